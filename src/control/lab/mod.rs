//! The lab: isolated nodes on this machine, each with its own network, processes, files and name.
//!
//! ```text
//!   kernel.rs  new name spaces, interfaces         node.rs    a node's keeper, its first process, commands in it
//!   root.rs    the files of a node                 netns.rs   sockets in other networks
//!   switch.rs  the network between the nodes       link.rs    what a rule does to packets     capture.rs  a pcap file
//!   host.rs    a node behind the port of hosts     detached.rs  labs that outlive the command that made them
//!   sshd.rs    an sshd for each node
//!   disk.rs    a file system for a node's data     freezer.rs   all processes of a node, frozen
//! ```
//!
//! Nothing of a lab has a name in the kernel: when the process that holds it ends, however it ends, the lab is gone.

mod capture;
pub mod detached;
pub mod disk;
pub mod freezer;
pub mod host;
mod kernel;
mod link;
mod netns;
pub mod node;
mod root;
mod sshd;
pub mod switch;

use capture::Capture;
use detached::Process;
use freezer::Freezer;
use host::LabHost;
use nemesis::{End, Link};
use netns::Netns;
use node::{News, NodeSpec, ourselves};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::fs;
use std::io::{self, BufRead, BufReader, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use switch::{Network, Switch, Tap};

/// How long a node may take to come up. Generous: the machine may be busy.
const UP: Duration = Duration::from_secs(20);
/// How many nodes a lab has at most; the addresses above belong to the controller.
pub const NODES_MAX: usize = 100;
/// How much a node may write, in MiB of memory, unless told otherwise.
pub const MEGABYTES: u64 = 4096;

/// What a lab is to be.
#[derive(Clone, Debug)]
pub struct LabSpec {
    /// How many nodes: `n1`, `n2` …
    pub nodes: usize,
    /// Its addresses.
    pub network: Network,
    /// Whether the controller's interface is in the network of this machine, for everybody here to use, and not in one
    /// of its own.
    pub here: bool,
    /// The seed of all chances of its links.
    pub seed: u64,
    /// How long everything takes on each of its links, in each direction.
    pub delay: Duration,
    /// Whether each node has groups of processes of its own (cgroups), as a machine does, where this machine has version 2.
    pub groups: bool,
    /// Which links are written to a file, and to which.
    pub capture: Option<(PathBuf, Links)>,
}

/// Links to be captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// All.
    #[default]
    All,
    /// These, in both directions: names of two nodes, or of a node and `clients`.
    Between(Vec<(String, String)>),
}

impl std::fmt::Display for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Links::All => f.write_str("all"),
            Links::Between(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}-{b}")).collect();
                f.write_str(&pairs.join(","))
            }
        }
    }
}

/// Nodes that are up, and the network between them. Dropping it ends every process in them.
#[derive(Debug)]
pub struct Lab {
    network: Network,
    nodes: Vec<Node>,
    switch: Switch,
    /// The controller's network; `None` if it is this machine's.
    netns: Option<Netns>,
}

#[derive(Debug)]
struct Node {
    name: String,
    init: u32,
    netns: Netns,
    keeper: Keeper,
}

/// A keeper and the socket that holds it. Closing the socket ends the node.
#[derive(Debug)]
struct Keeper {
    child: Child,
    socket: Option<UnixStream>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.socket.take());
        // It ends as soon as its node has; whatever runs there is killed, stopped or not.
        let _ = self.child.wait();
    }
}

impl Lab {
    /// Makes the nodes, and returns when each is ready.
    ///
    /// # Errors
    /// What this machine or this user lacks, in one sentence.
    pub fn up(spec: &LabSpec) -> Result<Lab, String> {
        able()?;
        sweep();
        if !(1..=NODES_MAX).contains(&spec.nodes) {
            return Err(format!("a lab has 1 to {NODES_MAX} nodes, not {}", spec.nodes));
        }
        let names: Vec<String> = (1..=spec.nodes).map(|i| format!("n{i}")).collect();
        let mut hosts: Vec<(String, Ipv4Addr)> =
            names.iter().enumerate().map(|(i, name)| (name.clone(), spec.network.node(i))).collect();
        hosts.push(("control".to_string(), spec.network.control()));
        // All at once; each is waited for after that.
        let mut rising = Vec::with_capacity(spec.nodes);
        for (i, name) in names.iter().enumerate() {
            let spec = NodeSpec {
                name: name.clone(),
                address: spec.network.node(i),
                hosts: hosts.clone(),
                megabytes: MEGABYTES,
                groups: spec.groups,
            };
            rising.push(Keeper::start(&spec).map_err(|why| format!("{name}: {why}"))?);
        }
        let deadline = Instant::now() + UP;
        let (mut nodes, mut ports) = (Vec::with_capacity(spec.nodes), Vec::with_capacity(spec.nodes + 1));
        for (keeper, name) in rising.into_iter().zip(&names) {
            let (port, init) = keeper.risen(deadline).map_err(|why| format!("{name}: {why}"))?;
            ports.push(port);
            nodes.push(Node { name: name.clone(), init, netns: Netns::of(init)?, keeper });
        }
        let own = || controller_interface(spec.network, spec.here);
        let (netns, port) = if spec.here {
            (None, own()?)
        } else {
            Netns::create(own).map(|(netns, port)| (Some(netns), port))?
        };
        ports.push(port);
        let tap = spec.capture.as_ref().map(|(path, links)| tap(path, links, &names)).transpose()?;
        let switch = Switch::start(spec.network, ports, spec.seed, spec.delay, tap)?;
        Ok(Lab { network: spec.network, nodes, switch, netns })
    }

    /// Names of the nodes.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// The network between the nodes.
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// The process id of a node's first process, as this machine counts.
    pub fn init(&self, node: usize) -> u32 {
        self.nodes[node].init
    }

    /// The process id of the process beside a node that holds it.
    pub fn keeper(&self, node: usize) -> u32 {
        self.nodes[node].keeper.child.id()
    }

    /// A node as a host.
    pub fn host(&self, node: usize) -> LabHost {
        LabHost::new(&self.nodes[node].name, self.network.node(node), self.nodes[node].init)
    }

    /// A connection to a node: as clients make them, which can be cut off, or as the controller's own.
    pub fn dial(&self, clients: bool, node: usize, port: u16, deadline: Instant) -> io::Result<TcpStream> {
        let from = if clients { self.network.clients() } else { self.network.control() };
        let to = SocketAddrV4::new(self.network.node(node), port);
        match &self.netns {
            Some(netns) => netns.dial(Some(from), to, deadline),
            None => netns::dial_here(Some(from), to, deadline),
        }
    }

    /// Starts a program of this machine in the network in which clients are: what it says comes from their address, and
    /// can be cut off.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, String> {
        let mut spawn = || command.spawn().map_err(|e| format!("starting a program: {e}"));
        match &self.netns {
            Some(netns) => netns.within(spawn),
            None => spawn(),
        }
    }

    /// Whether packets pass from one node to another and back: a connection from there, accepted or refused.
    pub fn reaches(&self, from: usize, to: usize, port: u16, patience: Duration) -> Result<bool, String> {
        let to = SocketAddrV4::new(self.network.node(to), port);
        match self.nodes[from].netns.dial(None, to, Instant::now() + patience) {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Ok(true),
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Ok(false),
                _ => Err(format!("{}: asking for a connection: {error}", self.nodes[from].name)),
            },
        }
    }

    /// Freezes every process of a node but its first, at one instant.
    pub fn freeze(&self, node: usize) -> Result<(), String> {
        let host = self.host(node);
        let (freezer, group) = self.freezer(node)?;
        freezer.freeze(&group, || host.processes()).map_err(|why| format!("{}: {why}", self.nodes[node].name))
    }

    /// Lets a frozen node go on. No error if it was not frozen.
    pub fn thaw(&self, node: usize) -> Result<(), String> {
        let (freezer, group) = self.freezer(node)?;
        freezer.thaw(&group).map_err(|why| format!("{}: {why}", self.nodes[node].name))
    }

    /// Whether the kernel says that a node is frozen.
    pub fn frozen(&self, node: usize) -> Result<bool, String> {
        let (freezer, group) = self.freezer(node)?;
        Ok(freezer.frozen(&group))
    }

    fn freezer(&self, node: usize) -> Result<(Freezer, String), String> {
        let keeper = Process::of(self.keeper(node))
            .ok_or_else(|| format!("{}: its keeper has ended", self.nodes[node].name))?;
        Ok((Freezer::find()?, Freezer::group(keeper.pid, keeper.began)))
    }

    /// Ends every node, and says whether the capture, if there was one, could be written.
    pub fn down(mut self) -> Result<(), String> {
        self.unplug();
        self.switch.stop()
    }

    /// All sockets first, then all waits: nodes end side by side.
    fn unplug(&mut self) {
        for node in &mut self.nodes {
            drop(node.keeper.socket.take());
        }
        self.nodes.clear();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// Takes away what labs have left behind whose keepers were killed, too: groups of frozen processes, and processes that
/// wait for a disk that hangs.
pub fn sweep() {
    disk::sweep();
    if let Ok(freezer) = Freezer::find() {
        freezer.sweep(|pid, began| Process { pid, began }.lives());
    }
}

/// Whether a lab can be made here and by us.
pub fn able() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("a lab needs root: it makes name spaces, mounts and interfaces of its own".into());
    }
    for (file, what) in [
        ("/dev/net/tun", "TUN devices (CONFIG_TUN)"),
        ("/proc/self/ns/net", "network name spaces (CONFIG_NET_NS)"),
        ("/proc/self/ns/pid", "process name spaces (CONFIG_PID_NS)"),
    ] {
        if fs::metadata(file).is_err() {
            return Err(format!("a lab needs {what}, and there is no {file}"));
        }
    }
    if !fs::read_to_string("/proc/filesystems").unwrap_or_default().contains("\toverlay\n") {
        return Err("a lab needs overlayfs (CONFIG_OVERLAY_FS), which this kernel does not list".into());
    }
    Ok(())
}

/// The controller's interface, with an address for clients and one for itself.
fn controller_interface(network: Network, here: bool) -> Result<OwnedFd, String> {
    if !here {
        let interface = node::interface(network.clients())?;
        kernel::address("eth0:1", network.control()).map_err(|e| format!("giving it an address: {e}"))?;
        return Ok(interface);
    }
    let failed = |e: rustix::io::Errno| format!("making an interface: {e}");
    let name = format!("perjury{}", network.0);
    let interface = kernel::tun(&name).map_err(failed)?;
    kernel::sizes(&name, switch::PACKET_MAX, 10_000).map_err(failed)?;
    kernel::address(&name, network.control()).map_err(failed)?;
    kernel::address(&format!("{name}:1"), network.clients()).map_err(failed)?;
    Ok(interface)
}

fn tap(path: &Path, links: &Links, names: &[String]) -> Result<Tap, String> {
    let end = |name: &str| match names.iter().position(|known| known == name) {
        Some(node) => Ok(End::Node(node)),
        None if name == "clients" => Ok(End::Clients),
        None => Err(format!("there is no {name:?} to capture; there are {}, clients", names.join(", "))),
    };
    let links = match links {
        Links::All => None,
        Links::Between(pairs) => {
            let mut links = Vec::new();
            for (a, b) in pairs {
                let (a, b) = (end(a)?, end(b)?);
                links.push(Link { from: a.clone(), to: b.clone() });
                links.push(Link { from: b, to: a });
            }
            Some(links)
        }
    };
    let capture = Capture::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Tap { capture, links })
}

impl Keeper {
    fn start(spec: &NodeSpec) -> Result<Keeper, String> {
        use std::os::unix::process::CommandExt;
        let failed = |e: io::Error| format!("starting its keeper: {e}");
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let text = serde_json::to_string(spec).expect("plain data");
        let child = ourselves(&["lab-keep", &text])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal goes to the whole foreground group: a node must outlive it, to be healed.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Keeper { child, socket: Some(ours) })
    }

    /// Waits for the node: its end of the network, and the process id of its init.
    fn risen(&self, deadline: Instant) -> Result<(OwnedFd, u32), String> {
        let socket = self.socket.as_ref().ok_or("its keeper has been let go")?;
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
        let (mut text, port) = receive(socket)?;
        let mut lines = BufReader::new(socket);
        let (mut init, mut ready) = (None, false);
        while init.is_none() || !ready {
            // What came along with the descriptor is one byte, the end of an empty line, unless the news is bad.
            lines.read_line(&mut text).map_err(|e| format!("coming up: {e}"))?;
            match serde_json::from_str::<News>(text.trim()) {
                Ok(News::Init(pid)) => init = Some(pid),
                Ok(News::Ready) => ready = true,
                Ok(News::Failed(why)) => return Err(why),
                Err(_) if text == "\n" => {}
                Err(_) if text.is_empty() => return Err("its keeper has ended without a word".into()),
                Err(e) => return Err(format!("its keeper said {text:?}: {e}")),
            }
            text.clear();
        }
        Ok((port.ok_or("its keeper sent no interface")?, init.ok_or("it has no init")?))
    }
}

/// One byte, with the descriptor that comes along.
fn receive(socket: &UnixStream) -> Result<(String, Option<OwnedFd>), String> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut with, flags)
        .map_err(|e| format!("coming up: {e}"))?;
    let mut port = None;
    for message in with.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            port = port.or(fds.into_iter().next());
        }
    }
    Ok((String::from_utf8_lossy(&byte[..got.bytes]).into_owned(), port))
}
