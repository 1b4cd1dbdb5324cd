//! A cluster of somebody else's daemons in a lab: started by commands, hurt by signals and by the switch.

mod ports;

use super::service::{Part, Service, Way};
use crate::client::{LabPlace, Start};
use crate::control::disk::{Mounts, sync};
use crate::control::host::Host;
use crate::control::lab::disk;
use crate::control::lab::host::LabHost;
use crate::control::lab::switch::Network;
use crate::control::lab::{Lab, LabSpec};
use crate::control::{process, skew};
use nemesis::{ClockSetting, Cluster, DiskState, End, Link, LinkRule, NodeState, Role};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a daemon may take until it answers. Generous: the machine may be busy.
const START: Duration = Duration::from_secs(20);
/// How long the kernel may take to stop a process, to let it go on, or to end it.
const SIGNAL: Duration = Duration::from_secs(5);
/// How long a probe waits on a healthy link; the delay of a slow one is added.
const PROBE: Duration = Duration::from_millis(300);

/// The daemons of a system on the nodes of a lab. Dropping it ends the lab.
pub struct LabCluster<S> {
    service: S,
    parts: Vec<Part>,
    names: Vec<String>,
    nodes: Vec<Mutex<Node>>,
    /// The nodes' disks, if they were given any.
    disks: Vec<Mounts>,
    /// Where logs are kept.
    dir: PathBuf,
    /// `None` once it has ended.
    lab: RwLock<Option<Arc<Lab>>>,
}

/// A node's daemons, and what was done to their clocks.
#[derive(Debug, Default)]
struct Node {
    /// Part and process, as this machine counts; 0 is none.
    daemons: Vec<(usize, u32)>,
    clock: ClockSetting,
    /// How often one was found to have ended, though nobody had killed it.
    ended: u32,
    /// Whether the node is frozen.
    frozen: bool,
    /// What its disk was made to do.
    disk: Option<DiskState>,
}

impl Node {
    /// The processes that were started and not killed.
    fn roots(&self) -> impl Iterator<Item = u32> + '_ {
        self.daemons.iter().map(|(_, pid)| *pid).filter(|pid| *pid != 0)
    }

    /// Those of them that are there, with all that descends from them.
    fn families(&self) -> Vec<u32> {
        families(self.roots())
    }

    fn state(&self) -> NodeState {
        let states: Vec<NodeState> = self.roots().map(process::state).collect();
        let first = |wanted| states.contains(&wanted).then_some(wanted);
        match first(NodeState::Running).or(first(NodeState::Stopped)) {
            // The kernel shows a frozen process as one that waits for something.
            Some(_) if self.frozen => NodeState::Stopped,
            state => state.unwrap_or(NodeState::Dead),
        }
    }
}

/// Those of these processes that are there, with all that descends from them.
fn families(roots: impl Iterator<Item = u32>) -> Vec<u32> {
    let alive = roots.filter(|pid| process::state(*pid) != NodeState::Dead);
    alive.flat_map(process::family).filter(|pid| process::state(*pid) != NodeState::Dead).collect()
}

/// Puts this program on a node.
fn bring(host: &LabHost, path: &str) -> Result<(), String> {
    let (there, failed) =
        (host.path(path), |e| format!("{}: putting this program at {path}: {e}", host.name()));
    let made = there.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::copy("/proc/self/exe", there)).map(drop).map_err(failed)
}

impl<S: Service> LabCluster<S> {
    /// Makes the lab, starts the system, and returns when all nodes serve clients. `service` is made when names and
    /// addresses are known.
    pub fn start(
        start: &Start<'_>,
        place: &LabPlace,
        service: impl FnOnce(Vec<(String, String)>) -> Result<S, String>,
    ) -> Result<Arc<LabCluster<S>>, String> {
        let Start { nodes, dir, seed, .. } = *start;
        let LabPlace { capture, disk, link_delay: delay } = place;
        let capture = capture.as_ref().map(|links| (dir.join("links.pcap"), links.clone()));
        let spec =
            LabSpec { nodes, network: Network(0), here: false, seed, delay: *delay, groups: false, capture };
        let lab = Lab::up(&spec)?;
        let hosts: Vec<LabHost> = (0..nodes).map(|node| lab.host(node)).collect();
        let members = hosts.iter().map(|host| (host.name().to_string(), host.address().to_string()));
        let service = service(members.collect())?;
        let disks = if *disk { give_disks(&hosts, &service.disk())? } else { Vec::new() };
        let cluster = LabCluster {
            parts: service.parts(),
            service,
            names: lab.names(),
            nodes: (0..nodes).map(|_| Mutex::default()).collect(),
            disks,
            dir: dir.to_path_buf(),
            lab: RwLock::new(Some(Arc::new(lab))),
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
        let deadline = Instant::now() + self.service.patience();
        let nodes: Vec<usize> = (0..self.names.len()).collect();
        if let Some(path) = self.service.ourselves() {
            side_by_side(&nodes, |&node| bring(&lab.host(node), path))?;
        }
        side_by_side(&nodes, |&node| match self.service.prepare(node) {
            Some(script) => Ok(lab.host(node).sh(&script, self.service.patience()).map(drop)?),
            None => Ok(()),
        })?;
        for wave in self.service.waves(self.names.len()) {
            side_by_side(&wave, |&(node, part)| self.launch(&lab, node, part, true))?;
            side_by_side(&wave, |&(node, part)| {
                let act = format!("waiting for {}", self.parts[part].name);
                self.wait_until(&lab, node, &act, deadline, |way, soon| self.service.risen(way, part, soon))
            })?;
        }
        self.with_ways(&lab, |ways| self.service.assemble(ways))?;
        side_by_side(&nodes, |&node| {
            self.wait_until(&lab, node, "waiting until it serves", deadline, |way, soon| {
                self.service.serves(way, soon)
            })?;
            // What was set up has been there for long where people run it: no loss of power takes it.
            match self.disks.get(node) {
                Some(mounts) => Ok(lab.host(node).sh(&sync(&mounts.base), START).map(drop)?),
                None => Ok(()),
            }
        })
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
        let sh = |command: &str, patience| lab.host(node).sh(command, patience);
        act(&Way::new(node, &self.names[node], &dial, &sh))
    }

    /// The ways to all nodes.
    fn with_ways<T>(&self, lab: &Lab, act: impl FnOnce(&[Way<'_>]) -> T) -> T {
        let ends: Vec<_> = (0..self.names.len())
            .map(|node| {
                let dial = move |port, deadline| lab.dial(false, node, port, deadline);
                let sh = move |command: &str, patience| lab.host(node).sh(command, patience);
                (dial, sh)
            })
            .collect();
        let way = |(node, (dial, sh))| Way::new(node, &self.names[node], dial, sh);
        act(&ends.iter().map(|(dial, sh)| (dial as _, sh as _)).enumerate().map(way).collect::<Vec<_>>())
    }

    /// Starts a part of a node, and does not wait for more than its number.
    fn launch(&self, lab: &Lab, node: usize, part: usize, new: bool) -> Result<(), String> {
        let act = match self.parts.len() {
            1 => "starting".to_string(),
            _ => format!("starting {}", self.parts[part].name),
        };
        let host = lab.host(node);
        let started = host.sh(&self.service.start_command(node, part, new), START)?;
        let inside = started.lines().last().unwrap_or_default().trim();
        let inside: u32 = inside
            .parse()
            .map_err(|_| self.failed(node, &act, &format!("it gave no process number but {started:?}")))?;
        let pid = host.outside(inside).ok_or_else(|| {
            self.failed(node, &act, &format!("it has ended already{}", self.last_words(&host)))
        })?;
        let mut held = self.node(node)?;
        held.daemons.retain(|(known, _)| *known != part);
        held.daemons.push((part, pid));
        held.daemons.sort_unstable();
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

    /// A signal to processes; one that has ended needs none.
    fn signal(&self, node: usize, pids: &[u32], act: &str, what: Signal) -> Result<(), String> {
        for &pid in pids {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| self.failed(node, act, "it has no process number"))?;
            match kill_process(pid, what) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(e) => return Err(self.failed(node, act, &e.to_string())),
            }
        }
        Ok(())
    }

    /// Stops everything that descends from the node's daemons, what they start meanwhile too, and gives all of it.
    fn stop_families(
        &self,
        node: usize,
        act: &str,
        families: impl Fn() -> Vec<u32>,
    ) -> Result<Vec<u32>, String> {
        let mut stopped = Vec::new();
        loop {
            let families = families();
            let new: Vec<u32> = families.iter().copied().filter(|pid| !stopped.contains(pid)).collect();
            if new.is_empty() {
                return Ok(families);
            }
            self.signal(node, &new, act, Signal::STOP)?;
            // Who still runs may start another one.
            self.wait_for(node, act, || new.iter().all(|pid| still(*pid)))?;
            stopped.extend(new);
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

    /// Starts a program of this machine in the network in which clients are.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, String> {
        self.lab()?.spawn(command)
    }

    /// A connection to a port of a node, as clients make it.
    pub fn dial(&self, node: usize, port: u16, deadline: Instant) -> Result<TcpStream, String> {
        let name = self.names.get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        self.lab()?.dial(true, node, port, deadline).map_err(|e| format!("{name}: dialling: {e}"))
    }

    /// Copies the logs, ends everything, and says what a reader of the report should know.
    pub fn end(&self) -> Vec<String> {
        let lab = self.lab.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(lab) = lab else { return Vec::new() };
        let mut notes = Vec::new();
        for (node, name) in self.names.iter().enumerate() {
            let (dir, host) = (self.dir.join(name), lab.host(node));
            for path in self.service.logs() {
                let file = dir.join(Path::new(&path).file_name().unwrap_or_default());
                let kept = fs::create_dir_all(&dir).and_then(|()| fs::copy(host.path(&path), file));
                if let Err(e) = kept {
                    notes.push(format!("The log {path} of {name} could not be kept: {e}."));
                }
            }
            let ended = self.node(node).map_or(0, |held| {
                held.ended + held.roots().filter(|pid| process::state(*pid) == NodeState::Dead).count() as u32
            });
            if ended > 0 {
                let times = if ended == 1 { "once".to_string() } else { format!("{ended} times") };
                notes.push(format!("A process of {name} ended by itself, {times}: see its log."));
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
        let roots = |node: &Mutex<Node>| -> Vec<u32> {
            node.lock().unwrap_or_else(PoisonError::into_inner).roots().collect()
        };
        let all = self.nodes.iter().flat_map(roots);
        all.filter(|&pid| process::state(pid) != NodeState::Dead).collect()
    }

    /// What the system is like, to ask it more.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Asks a node something, by the controller's own way.
    pub fn ask<T>(&self, node: usize, act: impl FnOnce(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        let lab = self.lab()?;
        self.over(&lab, node, act).map_err(|why| format!("{}: {why}", self.names[node]))
    }
}

/// Gives each node a disk with these directories on it.
fn give_disks(hosts: &[LabHost], dirs: &[String]) -> Result<Vec<Mounts>, String> {
    let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
    let given: Vec<Mutex<Option<Mounts>>> = hosts.iter().map(|_| Mutex::default()).collect();
    let all: Vec<(&LabHost, &Mutex<Option<Mounts>>)> = hosts.iter().zip(&given).collect();
    side_by_side(&all, |(host, given)| {
        let mounts = disk::give(host, &dirs)?;
        *given.lock().unwrap_or_else(PoisonError::into_inner) = Some(mounts);
        Ok(())
    })?;
    let taken = |one: Mutex<Option<Mounts>>| one.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(given.into_iter().filter_map(taken).collect())
}

/// Whether a process stands still, or is gone.
fn still(pid: u32) -> bool {
    process::all_stopped(pid) || process::state(pid) == NodeState::Dead
}

/// Does the same with all of them at once; all errors in one.
fn side_by_side<T: Sync>(all: &[T], act: impl Fn(&T) -> Result<(), String> + Sync) -> Result<(), String> {
    let act = &act;
    let errors: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(move || act(one))).collect();
        let ends =
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("its thread has panicked".into())));
        ends.filter_map(Result::err).collect()
    });
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

impl<S> Drop for LabCluster<S> {
    fn drop(&mut self) {
        drop(self.lab.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl<S: Service> Cluster for LabCluster<S> {
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
        if held.state() == NodeState::Dead {
            return Err(self.failed(node, "pausing", "it has no process"));
        }
        self.stop_families(node, "pausing", || held.families()).map(drop)
    }

    fn resume(&self, node: usize) -> Result<(), String> {
        let held = self.node(node)?;
        let mut families = held.families();
        // Who starts others goes on last, so that nobody is started and missed.
        families.reverse();
        self.signal(node, &families, "resuming", Signal::CONT)?;
        self.wait_for(node, "resuming", || families.iter().all(|p| process::state(*p) != NodeState::Stopped))
    }

    fn kill(&self, node: usize) -> Result<(), String> {
        let mut held = self.node(node)?;
        held.ended += held.roots().filter(|pid| process::state(*pid) == NodeState::Dead).count() as u32;
        let families = self.stop_families(node, "killing", || held.families())?;
        let roots: Vec<u32> = held.roots().collect();
        held.daemons.iter_mut().for_each(|(_, pid)| *pid = 0);
        self.signal(node, &families, "killing", Signal::KILL)?;
        // Children of one that had ended before are in its group, if anywhere.
        for group in roots.iter().filter_map(|pid| i32::try_from(*pid).ok().and_then(Pid::from_raw)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.wait_for(node, "killing", || families.iter().all(|p| process::state(*p) == NodeState::Dead))
    }

    fn start(&self, node: usize) -> Result<(), String> {
        let lab = self.lab()?;
        let dead: Vec<usize> = {
            let mut held = self.node(node)?;
            let dead = |(_, pid): &&mut (usize, u32)| *pid == 0 || process::state(*pid) == NodeState::Dead;
            let mut ended = 0;
            let parts = held.daemons.iter_mut().filter(dead).map(|(part, pid)| {
                ended += u32::from(std::mem::take(pid) != 0);
                *part
            });
            let parts = parts.collect();
            held.ended += ended;
            parts
        };
        if dead.is_empty() {
            return Ok(());
        }
        for part in dead {
            self.launch(&lab, node, part, false)?;
        }
        // A new program has an honest clock until it is bent again.
        let setting = self.node(node)?.clock;
        if setting != ClockSetting::default() {
            self.set_clock(node, setting)?;
        }
        // Not until it serves: that may take a majority, and the others may still be dead.
        let deadline = Instant::now() + START.max(self.service.patience());
        self.wait_until(&lab, node, "starting", deadline, |way, soon| self.service.answers(way, soon))
    }

    fn state(&self, node: usize) -> Result<NodeState, String> {
        Ok(self.node(node)?.state())
    }

    fn set_clock(&self, node: usize, setting: ClockSetting) -> Result<(), String> {
        let mut held = self.node(node)?;
        held.clock = setting;
        // A dead node gets it when it starts; a child inherits it, and one that has just ended needs none.
        for pid in held.families() {
            match skew::set(pid, setting) {
                Ok(()) => {}
                Err(_) if process::state(pid) == NodeState::Dead => {}
                Err(why) => return Err(self.failed(node, "setting its clock", &why)),
            }
        }
        Ok(())
    }

    fn clock_offset(&self, node: usize) -> Result<i64, String> {
        let lab = self.lab()?;
        let told = self.over(&lab, node, |way| self.service.clock_offset(way));
        let offset = match told {
            Ok(Some(offset)) => Ok(offset),
            Ok(None) => match self.node(node)?.roots().next() {
                Some(pid) => skew::offset(pid),
                None => Err("it has no process".into()),
            },
            Err(why) => Err(why),
        };
        offset.map_err(|why| self.failed(node, "reading its clock", &why))
    }

    fn role(&self, node: usize) -> Result<Option<Role>, String> {
        let lab = self.lab()?;
        let role = self.over(&lab, node, |way| self.service.role(way));
        role.map_err(|e| self.failed(node, "asking for its role", &e))
    }

    fn disks(&self) -> Result<&dyn nemesis::Disks, String> {
        match self.disks[..] {
            [] => Err("the nodes of this lab have no disks of their own (--disk)".into()),
            _ => Ok(self),
        }
    }

    fn files(&self) -> Result<&dyn nemesis::Files, String> {
        match self.service.files()[..] {
            [] => Err("which of its files matter is not known".into()),
            _ => Ok(self),
        }
    }

    fn parts(&self) -> Result<&dyn nemesis::Parts, String> {
        Ok(self)
    }

    fn freezer(&self) -> Result<&dyn nemesis::Freezer, String> {
        Ok(self)
    }

    fn members(&self) -> Result<&dyn nemesis::Members, String> {
        if self.service.changes_members() {
            Ok(self)
        } else {
            Err("this system offers no change of its members".into())
        }
    }

    fn logs(&self) -> Result<&dyn nemesis::Logs, String> {
        Ok(self)
    }
}
