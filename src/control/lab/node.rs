//! A node's processes of ours: its keeper, outside, and its first process, inside.
//!
//! ```text
//!   controller ══socket══ keeper ──pipe── init (process 1 of the node) ── whatever runs there
//!                           │  waits for either end                └── takes in orphans
//!                           └── made the name spaces and the interface, whose descriptor it sent up the socket
//! ```
//!
//! All name spaces are anonymous: when init is gone the kernel ends every process of the node, and with the last one its
//! network, its mounts and its files are gone. However the controller ends, the kernel closes its socket; the keeper then
//! kills init. If the keeper is killed, its pipe closes and init ends by itself (and by its parent-death signal).

use super::detached::Process;
use super::disk;
use super::freezer::Freezer;
use super::kernel;
use super::root;
use super::switch::PACKET_MAX;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, set_parent_process_death_signal, waitid,
};
use rustix::thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// What a node is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    /// `n1`
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Everybody's names and addresses.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// How much it may write, in MiB of memory.
    pub megabytes: u64,
    /// Whether it has groups of processes of its own, where this machine has version 2 of cgroups.
    pub groups: bool,
}

/// What the keeper and init tell the controller, one line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// The process id of init, as this machine counts.
    Init(u32),
    /// Init has made the node what it is to be.
    Ready,
    /// It could not be.
    Failed(String),
}

/// What no process of a node may do, because it would be done to the whole machine.
const WITHHELD: [CapabilitySet; 5] = [
    CapabilitySet::SYS_TIME,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::SYSLOG,
];

/// Gives up what a node must not have: programs that are started from here on cannot have it.
pub fn withhold() -> Result<(), String> {
    for capability in WITHHELD {
        match remove_capability_from_bounding_set(capability) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(e) => return Err(format!("giving up a capability: {e}")),
        }
    }
    Ok(())
}

/// How our own binary is called to become one of these.
pub fn ourselves(args: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("perjury").args(args);
    command
}

fn tell(to: &mut impl Write, news: &News) {
    let line = serde_json::to_string(news).expect("plain data");
    // If nobody listens any more, the end of the socket says so to whoever waits for it.
    let _ = to.write_all(format!("{line}\n").as_bytes());
}

/// The main function of a keeper: `perjury lab-keep SPEC`, with a socket to the controller as standard input.
pub fn keep_main(args: &[String]) -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(70) };
    let mut socket = UnixStream::from(socket);
    match keep(args, &mut socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tell(&mut socket, &News::Failed(why));
            ExitCode::FAILURE
        }
    }
}

fn keep(args: &[String], socket: &mut UnixStream) -> Result<(), String> {
    let text = args.first().ok_or("a node's keeper is started by a lab")?;
    let spec: NodeSpec = serde_json::from_str(text).map_err(|e| format!("the node's argument: {e}"))?;
    // Before the mounts of this machine are left behind.
    let freezer = Freezer::find().ok().zip(Process::of(std::process::id()));
    let home = match &freezer {
        Some((freezer, this)) if spec.groups => freezer
            .enter(&Freezer::home_of_node(this.pid, this.began))
            .map_err(|e| format!("its groups of processes: {e}"))?,
        Some(_) | None => None,
    };
    let all = UnshareFlags::NEWNS
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWPID;
    kernel::unshare(all).map_err(|e| format!("making name spaces: {e}"))?;
    let interface = interface(spec.address)?;
    send(socket, &interface)?;
    drop(interface);
    let theirs = socket.try_clone().map_err(|e| format!("sharing the socket: {e}"))?;
    let (held, pipe) = UnixStream::pair().map_err(|e| format!("making a pipe: {e}"))?;
    let mut init = ourselves(&["lab-init", text])
        .stdin(Stdio::from(OwnedFd::from(held)))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("starting the node's first process: {e}"))?;
    // It is born in the node's group, and this one has no business there.
    if let (Some((freezer, _)), Some(home)) = (&freezer, &home) {
        freezer.leave(home).map_err(|e| format!("its groups of processes: {e}"))?;
    }
    tell(socket, &News::Init(init.id()));
    let pid = i32::try_from(init.id()).ok().and_then(Pid::from_raw).ok_or("init has no process id")?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| format!("watching init: {e}"))?;
    // The controller says nothing: the socket is readable when it is closed.
    let mut fds = [PollFd::new(&*socket, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
    while let Err(Errno::INTR) = poll(&mut fds, None) {}
    // Who waits for a disk that hangs cannot be ended, and neither can who is frozen by an old freezer.
    disk::thaw(Path::new("/"));
    if let Some((freezer, this)) = &freezer {
        let _ = freezer.thaw(&Freezer::group(this.pid, this.began));
    }
    let _ = init.kill();
    let _ = init.wait();
    if let (Some((freezer, this)), Some(_)) = (&freezer, &home) {
        // What cannot be removed now is tried again by the next command about labs.
        let _ = freezer.thaw(&Freezer::home_of_node(this.pid, this.began));
    }
    drop(pipe);
    Ok(())
}

/// The interface of this network, with its address.
pub fn interface(address: Ipv4Addr) -> Result<OwnedFd, String> {
    let failed = |e: Errno| format!("making an interface: {e}");
    let interface = kernel::tun("eth0").map_err(failed)?;
    kernel::sizes("eth0", PACKET_MAX, 10_000).map_err(failed)?;
    kernel::address("eth0", address).map_err(failed)?;
    kernel::up("lo").map_err(failed)?;
    Ok(interface)
}

fn send(socket: &UnixStream, fd: &OwnedFd) -> Result<(), String> {
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    with.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(b"\n")], &mut with, SendFlags::empty())
        .map(drop)
        .map_err(|e| format!("handing over the interface: {e}"))
}

/// The main function of a node's first process: `perjury lab-init SPEC`, with the keeper's pipe as standard input and the
/// controller's socket as standard output.
pub fn init_main(args: &[String]) -> ExitCode {
    let mut controller = std::io::stdout();
    match become_node(args) {
        Ok(()) => {
            tell(&mut controller, &News::Ready);
            reap();
            ExitCode::SUCCESS
        }
        Err(why) => {
            tell(&mut controller, &News::Failed(why));
            ExitCode::FAILURE
        }
    }
}

fn become_node(args: &[String]) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| format!("init: {e}"))?;
    let text = args.first().ok_or("a node's first process is started by its keeper")?;
    let spec: NodeSpec = serde_json::from_str(text).map_err(|e| format!("the node's argument: {e}"))?;
    if std::process::id() != 1 {
        return Err("init is not the first process of its name space".into());
    }
    // Its group is then the root of what it sees.
    let groups = spec.groups && Freezer::find().is_ok_and(|freezer| freezer.second());
    if groups {
        kernel::unshare(UnshareFlags::NEWCGROUP).map_err(|e| format!("making a name space: {e}"))?;
    }
    root::enter(&spec.name, &spec.hosts, spec.megabytes, groups)?;
    rustix::system::sethostname(spec.name.as_bytes()).map_err(|e| format!("setting the name: {e}"))?;
    withhold()
}

/// Buries what has ended, until the keeper's pipe closes.
fn reap() {
    let Ok(stdin) = std::io::stdin().as_fd().try_clone_to_owned() else { return };
    let pipe = UnixStream::from(stdin);
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
        match poll(&mut fds, Some(&moment)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
        while let Ok(Some(_)) = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {}
    }
}

/// Where a node looks for programs, whatever its user has put before that: a system is installed if it is there.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The main function of a command in a node: `perjury lab-enter INIT PROGRAM ARGUMENT…`.
///
/// It enters the node's name spaces and starts itself once more, as a process of the node; that one dies with this one,
/// and becomes the program.
pub fn enter_main(args: &[String]) -> ExitCode {
    let entered = || -> Result<ExitCode, String> {
        let [pid, program @ ..] = args else { return Err("which node?".into()) };
        let pid = pid.parse().ok().and_then(Pid::from_raw).ok_or("a node is named by its init")?;
        let exe = File::open("/proc/self/exe").map_err(|e| format!("opening this program: {e}"))?;
        // A descendant of the node's first process would be there already.
        if let Ok(freezer) = Freezer::find() {
            freezer.join(pid.as_raw_nonzero().get()).map_err(|e| format!("entering the node: {e}"))?;
        }
        super::netns::enter_all(pid)?;
        let exe = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&exe));
        let status = Command::new(exe)
            .arg0("perjury")
            .arg("lab-inside")
            .args(program)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .envs(std::env::var("TERM").map(|term| ("TERM", term)))
            .current_dir("/")
            .status()
            .map_err(|e| format!("starting a process in the node: {e}"))?;
        // As a shell says it: 128 and the signal.
        use std::os::unix::process::ExitStatusExt;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => ExitCode::from(code as u8),
            (None, signal) => ExitCode::from(128 + signal.unwrap_or(0) as u8),
        })
    };
    entered().unwrap_or_else(|why| {
        eprintln!("perjury: {why}");
        ExitCode::from(127)
    })
}

/// The main function of the process inside, before it becomes the program.
pub fn inside_main(args: &[String]) -> ExitCode {
    let become_program = || -> Result<(), String> {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| e.to_string())?;
        withhold()?;
        let [program, args @ ..] = args else { return Err("which program?".into()) };
        Err(format!("{program}: {}", Command::new(program).args(args).exec()))
    };
    match become_program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("perjury: {why}");
            ExitCode::from(127)
        }
    }
}
