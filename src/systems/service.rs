//! A cluster of somebody else's daemons in a lab: started by a command, hurt by signals and by the switch.

use crate::control::host::Host;
use crate::control::lab::host::LabHost;
use crate::control::lab::switch::Network;
use crate::control::lab::{Lab, LabSpec, Links};
use crate::control::{process, skew};
use nemesis::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Role};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a daemon may take until it answers. Generous: the machine may be busy.
const START: Duration = Duration::from_secs(20);
/// How long a cluster may take until all its nodes work together.
const READY: Duration = Duration::from_secs(30);
/// How long the kernel may take to stop a process, to let it go on, or to end it.
const SIGNAL: Duration = Duration::from_secs(5);
/// How long a probe waits on a healthy link; the delay of a slow one is added.
const PROBE: Duration = Duration::from_millis(300);

/// The controller's way to a node, which no fault cuts.
pub struct Way<'a> {
    dial: Dial<'a>,
    /// The node.
    pub node: usize,
    /// Its name.
    pub name: &'a str,
}

/// Dials a port of a node.
type Dial<'a> = &'a dyn Fn(u16, Instant) -> io::Result<TcpStream>;

impl<'a> Way<'a> {
    /// A way by which ports are dialled like this.
    pub fn new(dial: Dial<'a>, node: usize, name: &'a str) -> Way<'a> {
        Way { dial, node, name }
    }

    /// A connection to a port of the node.
    pub fn dial(&self, port: u16, deadline: Instant) -> Result<TcpStream, String> {
        (self.dial)(port, deadline).map_err(|e| format!("dialling port {port}: {e}"))
    }
}

/// How one system runs on its nodes.
pub trait Service: Send + Sync + 'static {
    /// The shell command that starts it in the background on a node, and prints the number of its process.
    fn start_command(&self, node: usize) -> String;
    /// The port that the other nodes talk to.
    fn peer_port(&self) -> u16;
    /// The port that clients talk to.
    fn client_port(&self) -> u16;
    /// Files of a node that are worth keeping.
    fn logs(&self) -> &'static [&'static str];
    /// Files and directories of a node that are its own, and gone after the run.
    fn data(&self) -> &'static [&'static str];
    /// The program, which is also the name of its process.
    fn program(&self) -> &'static str;
    /// Whether the node's process answers at all.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String>;
    /// Whether the node serves clients.
    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String>;
    /// What the node thinks it is.
    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String>;
    /// What the node says its wall clock is, minus what it is, in nanoseconds. Of several values that its answer allows,
    /// the one that claims least.
    fn clock_offset(&self, way: &Way<'_>) -> Result<i64, String>;
}

/// The daemons of a system, one on each node of a lab. Dropping it ends the lab.
pub struct ServiceCluster<S> {
    service: S,
    names: Vec<String>,
    nodes: Vec<Mutex<Node>>,
    /// Where logs are kept.
    dir: PathBuf,
    /// `None` once it has ended.
    lab: RwLock<Option<Arc<Lab>>>,
}

/// A node's process, and what was done to its clock.
#[derive(Debug, Default)]
struct Node {
    /// As this machine counts; 0 is none.
    pid: u32,
    clock: ClockSetting,
    /// How often it was found to have ended, though nobody had killed it.
    ended: u32,
}

impl<S: Service> ServiceCluster<S> {
    /// Makes the lab, starts every node, and returns when all serve clients. `service` is made when the addresses are
    /// known.
    pub fn start(
        nodes: usize,
        dir: &Path,
        seed: u64,
        capture: Option<&Links>,
        service: impl FnOnce(&[LabHost]) -> Result<S, String>,
    ) -> Result<Arc<ServiceCluster<S>>, String> {
        let capture = capture.map(|links| (dir.join("links.pcap"), links.clone()));
        let spec = LabSpec { nodes, network: Network(0), here: false, seed, capture };
        let lab = Arc::new(Lab::up(&spec)?);
        let hosts: Vec<LabHost> = (0..nodes).map(|node| lab.host(node)).collect();
        let cluster = ServiceCluster {
            service: service(&hosts)?,
            names: lab.names(),
            nodes: (0..nodes).map(|_| Mutex::default()).collect(),
            dir: dir.to_path_buf(),
            lab: RwLock::new(Some(lab)),
        };
        match cluster.start_all() {
            Ok(()) => Ok(Arc::new(cluster)),
            Err(why) => {
                cluster.end();
                Err(why)
            }
        }
    }

    fn start_all(&self) -> Result<(), String> {
        let lab = self.lab()?;
        for node in 0..self.names.len() {
            self.launch(&lab, node)?;
        }
        let deadline = Instant::now() + READY;
        for node in 0..self.names.len() {
            self.wait_until(&lab, node, "waiting until it serves", deadline, |way, soon| {
                self.service.serves(way, soon)
            })?;
        }
        Ok(())
    }

    fn lab(&self) -> Result<Arc<Lab>, String> {
        let lab = self.lab.read().unwrap_or_else(PoisonError::into_inner).clone();
        lab.ok_or_else(|| "the cluster has ended".to_string())
    }

    fn failed(&self, node: usize, act: &str, why: &str) -> String {
        format!("{}: {act}: {why}", self.names[node])
    }

    /// Held while something is done to the node, so that signals of different purposes do not cross.
    fn node(&self, node: usize) -> Result<MutexGuard<'_, Node>, String> {
        let held = self.nodes.get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        Ok(held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn over<T>(&self, lab: &Lab, node: usize, act: impl FnOnce(&Way<'_>) -> T) -> T {
        let dial = |port, deadline| lab.dial(false, node, port, deadline);
        act(&Way::new(&dial, node, &self.names[node]))
    }

    /// Starts a node's process, and does not wait for more than its number.
    fn launch(&self, lab: &Lab, node: usize) -> Result<(), String> {
        let host = lab.host(node);
        let started = host.sh(&self.service.start_command(node), START)?;
        let inside = started.lines().last().unwrap_or_default().trim();
        let inside: u32 = inside.parse().map_err(|_| {
            self.failed(node, "starting", &format!("it gave no process number but {started:?}"))
        })?;
        let pid = host.outside(inside).ok_or_else(|| {
            let log = self.last_words(&host);
            self.failed(node, "starting", &format!("it has ended already{log}"))
        })?;
        self.node(node)?.pid = pid;
        Ok(())
    }

    /// The last line of its log.
    fn last_words(&self, host: &LabHost) -> String {
        let log = self.service.logs().iter().find_map(|path| fs::read_to_string(host.path(path)).ok());
        let last =
            log.as_deref().unwrap_or_default().trim_end().lines().last().unwrap_or_default().to_string();
        if last.is_empty() { String::new() } else { format!(": {last}") }
    }

    fn wait_until(
        &self,
        lab: &Lab,
        node: usize,
        act: &str,
        deadline: Instant,
        seen: impl Fn(&Way<'_>, Instant) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let soon = Instant::now() + Duration::from_millis(500);
            let why = match self.over(lab, node, |way| seen(way, soon.min(deadline))) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if self.state(node)? == NodeState::Dead {
                let log = self.last_words(&lab.host(node));
                return Err(self.failed(node, act, &format!("its process has ended{log}")));
            }
            if Instant::now() >= deadline {
                return Err(self.failed(node, act, &why));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, node: usize, pid: u32, act: &str, what: Signal) -> Result<(), String> {
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let group = group.ok_or_else(|| self.failed(node, act, "it has no process number"))?;
        match kill_process_group(group, what) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(self.failed(node, act, &e.to_string())),
        }
    }

    fn wait_for(&self, node: usize, act: &str, mut seen: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + SIGNAL;
        while !seen() {
            if Instant::now() > deadline {
                return Err(self.failed(node, act, "the signal has had no effect"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// A connection as clients make it.
    pub fn dial(&self, node: usize, deadline: Instant) -> Result<TcpStream, String> {
        let name = self.names.get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        let dialled = self.lab()?.dial(true, node, self.service.client_port(), deadline);
        dialled.map_err(|e| format!("{name}: dialling: {e}"))
    }

    /// Copies the logs, ends everything, and says what a reader of the report should know.
    pub fn end(&self) -> Vec<String> {
        let lab = self.lab.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(lab) = lab else { return Vec::new() };
        let mut notes = Vec::new();
        for (node, name) in self.names.iter().enumerate() {
            let (dir, host) = (self.dir.join(name), lab.host(node));
            for path in self.service.logs() {
                let file = dir.join(Path::new(path).file_name().unwrap_or_default());
                let kept = fs::create_dir_all(&dir).and_then(|()| fs::copy(host.path(path), file));
                if let Err(e) = kept {
                    notes.push(format!("The log {path} of {name} could not be kept: {e}."));
                }
            }
            let (ended, alive) = match self.node(node) {
                Ok(held) => (held.ended, held.pid == 0 || process::state(held.pid) != NodeState::Dead),
                Err(_) => (0, true),
            };
            let ended = ended + u32::from(!alive);
            if ended > 0 {
                let times = if ended == 1 { "once".to_string() } else { format!("{ended} times") };
                notes.push(format!("The process of {name} ended by itself, {times}: see its log."));
            }
        }
        let traffic = lab.switch().traffic();
        notes.push(format!("The switch passed {} packets and dropped {}.", traffic.arrived, traffic.dropped));
        // Nobody holds it any longer than a call takes; then its end is his.
        if let Some(Err(why)) = Arc::into_inner(lab).map(Lab::down) {
            notes.push(format!("The capture is not complete: {why}."));
        }
        notes
    }

    /// Process numbers of every daemon that runs.
    pub fn pids(&self) -> Vec<u32> {
        let pid = |node: &Mutex<Node>| node.lock().unwrap_or_else(PoisonError::into_inner).pid;
        self.nodes.iter().map(pid).filter(|&pid| pid != 0 && process::state(pid) != NodeState::Dead).collect()
    }

    /// What the system is like, to ask it more.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Asks a node something, by the controller's own way.
    pub fn ask<T>(&self, node: usize, act: impl FnOnce(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        let lab = self.lab()?;
        self.over(&lab, node, act)
    }
}

impl<S> Drop for ServiceCluster<S> {
    fn drop(&mut self) {
        drop(self.lab.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl<S: Service> Cluster for ServiceCluster<S> {
    fn nodes(&self) -> &[String] {
        &self.names
    }

    fn set_links(&self, rules: &[(Link, LinkRule)]) -> Result<(), String> {
        self.lab()?.switch().set(rules)
    }

    fn harmed(&self, link: &Link) -> Result<u64, String> {
        Ok(self.lab()?.switch().harmed(link))
    }

    fn probe(&self, from: usize, to: usize) -> Result<bool, String> {
        let act = "asking it for a probe";
        match self.state(from)? {
            NodeState::Running => {}
            NodeState::Stopped => return Err(self.failed(from, act, "it is stopped")),
            NodeState::Dead => return Err(self.failed(from, act, "it has no process")),
        }
        let lab = self.lab()?;
        let there = lab.switch().rule(&Link { from: End::Node(from), to: End::Node(to) });
        let back = lab.switch().rule(&Link { from: End::Node(to), to: End::Node(from) });
        let patience = PROBE + there.delay + there.jitter + back.delay + back.jitter;
        lab.reaches(from, to, self.service.peer_port(), patience)
    }

    fn pause(&self, node: usize) -> Result<(), String> {
        let held = self.node(node)?;
        let pid = held.pid;
        if pid == 0 || process::state(pid) == NodeState::Dead {
            return Err(self.failed(node, "pausing", "it has no process"));
        }
        self.signal(node, pid, "pausing", Signal::STOP)?;
        self.wait_for(node, "pausing", || process::all_stopped(pid))
    }

    fn resume(&self, node: usize) -> Result<(), String> {
        let held = self.node(node)?;
        let pid = held.pid;
        if pid == 0 || process::state(pid) == NodeState::Dead {
            return Ok(());
        }
        self.signal(node, pid, "resuming", Signal::CONT)?;
        self.wait_for(node, "resuming", || process::state(pid) != NodeState::Stopped)
    }

    fn kill(&self, node: usize) -> Result<(), String> {
        let mut held = self.node(node)?;
        let pid = std::mem::take(&mut held.pid);
        if pid == 0 {
            return Ok(());
        }
        held.ended += u32::from(process::state(pid) == NodeState::Dead);
        self.signal(node, pid, "killing", Signal::KILL)?;
        self.wait_for(node, "killing", || process::state(pid) == NodeState::Dead)
    }

    fn start(&self, node: usize) -> Result<(), String> {
        if self.state(node)? != NodeState::Dead {
            return Ok(());
        }
        let lab = self.lab()?;
        {
            let mut held = self.node(node)?;
            held.ended += u32::from(std::mem::take(&mut held.pid) != 0);
        }
        self.launch(&lab, node)?;
        let held = self.node(node)?;
        if held.clock != ClockSetting::default() {
            // A new program has an honest clock until it is bent again.
            skew::set(held.pid, held.clock).map_err(|e| self.failed(node, "setting its clock", &e))?;
        }
        drop(held);
        // Not until it serves: that may take a majority, and the others may still be dead.
        let deadline = Instant::now() + START;
        self.wait_until(&lab, node, "starting", deadline, |way, soon| self.service.answers(way, soon))
    }

    fn state(&self, node: usize) -> Result<NodeState, String> {
        let pid = self.node(node)?.pid;
        Ok(if pid == 0 { NodeState::Dead } else { process::state(pid) })
    }

    fn set_clock(&self, node: usize, setting: ClockSetting) -> Result<(), String> {
        let mut held = self.node(node)?;
        held.clock = setting;
        // A dead node gets it when it starts.
        if held.pid == 0 || process::state(held.pid) == NodeState::Dead {
            return Ok(());
        }
        skew::set(held.pid, setting).map_err(|e| self.failed(node, "setting its clock", &e))
    }

    fn clock_offset(&self, node: usize) -> Result<i64, String> {
        let lab = self.lab()?;
        let offset = self.over(&lab, node, |way| self.service.clock_offset(way));
        offset.map_err(|e| self.failed(node, "reading its clock", &e))
    }

    fn role(&self, node: usize) -> Result<Option<Role>, String> {
        let lab = self.lab()?;
        let role = self.over(&lab, node, |way| self.service.role(way));
        role.map_err(|e| self.failed(node, "asking for its role", &e))
    }
}
