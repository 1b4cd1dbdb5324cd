//! A cluster of real processes on this machine: started and signalled by the guard, linked by the proxy.

use super::clock;
use super::guard::Guard;
use super::lines::{Lines, NoLine};
use super::message::{Answer, Ask, Hello, NodeSpec, Question, Reply};
use super::process;
use super::proxy::Proxy;
use nemesis::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Role};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

/// How long a process may take to start and to answer. Generous: the machine may be busy.
const START: Duration = Duration::from_secs(20);
/// How long a node may take to answer its controller.
const ANSWER: Duration = Duration::from_secs(3);
/// How long the kernel may take to stop a process, or to let it go on.
const SIGNAL: Duration = Duration::from_secs(3);
/// How long a probe waits on a healthy link; the delay of a slow one is added.
const PROBE: Duration = Duration::from_millis(300);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The system: `demo-quorum`.
    pub system: &'a str,
    /// Names of the nodes; their files are in directories of these names.
    pub names: Vec<String>,
    /// Where those directories are made.
    pub dir: &'a Path,
    /// Seed for the nodes and for jitter.
    pub seed: u64,
    /// What clients will do.
    pub workload: &'a str,
    /// Options of the system.
    pub with: &'a [(String, String)],
}

/// Nodes as processes of this machine. Dropping it ends them all.
#[derive(Debug)]
pub struct LocalCluster {
    system: String,
    names: Vec<String>,
    dir: PathBuf,
    seed: u64,
    workload: String,
    with: Vec<(String, String)>,
    nonce: u64,
    guard: Guard,
    proxy: Proxy,
    nodes: Vec<Node>,
    /// Where nodes dial in; held while somebody waits for one.
    door: Mutex<TcpListener>,
}

/// A node's process, if it has one.
#[derive(Debug, Default)]
struct Node {
    /// 0 is none.
    pid: AtomicU32,
    /// Held while a question is open, so that the process id can be had meanwhile.
    control: Mutex<Option<Control>>,
}

#[derive(Debug)]
struct Control {
    lines: Lines<TcpStream>,
    questions: u64,
}

impl LocalCluster {
    /// Starts all nodes, and returns when each has reached its peers and says that it is ready.
    pub fn start(launch: &Launch<'_>) -> Result<Arc<LocalCluster>, String> {
        let n = launch.names.len();
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| format!("binding a port: {e}"))?;
        door.set_nonblocking(true).map_err(|e| format!("binding a port: {e}"))?;
        let dir = fs::create_dir_all(launch.dir).and_then(|()| launch.dir.canonicalize());
        let dir = dir.map_err(|e| format!("{}: {e}", launch.dir.display()))?;
        let cluster = LocalCluster {
            system: launch.system.to_string(),
            names: launch.names.clone(),
            dir,
            seed: launch.seed,
            workload: launch.workload.to_string(),
            with: launch.with.to_vec(),
            // Two clusters of one machine must not take each other's nodes for their own. No choice hangs on it.
            nonce: clock::unix_ns(SystemTime::now()) as u64 ^ u64::from(std::process::id()) << 32,
            guard: Guard::start()?,
            proxy: Proxy::start(n, launch.seed).map_err(|e| format!("starting the proxy: {e}"))?,
            nodes: (0..n).map(|_| Node::default()).collect(),
            door: Mutex::new(door),
        };
        let all: Vec<usize> = (0..n).collect();
        cluster.launch(&all)?;
        let deadline = Instant::now() + START;
        for &node in &all {
            while !matches!(cluster.ask(node, Ask::Ready, ANSWER)?, Answer::Yes(true)) {
                if Instant::now() > deadline {
                    return Err(cluster.failed(node, "starting", "it is not ready yet"));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(Arc::new(cluster))
    }

    /// Where clients dial to reach a node, through the proxy.
    pub fn client_address(&self, node: usize) -> SocketAddr {
        self.proxy.address(&End::Clients, node)
    }

    /// Pids of the guard and of every node that has a process.
    pub fn pids(&self) -> Vec<u32> {
        let nodes = self.nodes.iter().map(|node| node.pid.load(Ordering::Acquire)).filter(|&pid| pid != 0);
        let all = std::iter::once(self.guard.pid()).chain(nodes);
        all.filter(|&pid| process::state(pid) != NodeState::Dead).collect()
    }

    /// Ends every process. Whatever is asked of the cluster afterwards is an error.
    pub fn end(&self) {
        self.guard.dismiss();
    }

    /// Starts the processes of `wanted` and waits until each has dialled in.
    fn launch(&self, wanted: &[usize]) -> Result<(), String> {
        let door = self.door.lock().map_err(|_| "an earlier start has panicked".to_string())?;
        let control = door.local_addr().map_err(|e| e.to_string())?;
        let mut waiting = BTreeMap::new();
        for &node in wanted {
            let dir = self.dir.join(&self.names[node]);
            fs::create_dir_all(&dir).map_err(|e| self.failed(node, "starting", &e.to_string()))?;
            let peers = (0..self.names.len())
                .map(|to| (to != node).then(|| self.proxy.address(&End::Node(node), to)))
                .collect();
            let spec = NodeSpec {
                system: self.system.clone(),
                node,
                names: self.names.clone(),
                peers,
                dir: dir.clone(),
                control,
                nonce: self.nonce,
                parent: self.guard.pid(),
                seed: self.seed,
                workload: self.workload.clone(),
                with: self.with.clone(),
            };
            let args = vec!["demo-node".into(), serde_json::to_string(&spec).expect("plain data")];
            let log = dir.join("node.log");
            let pid = self.guard.spawn(node, args, &log).map_err(|e| self.failed(node, "starting", &e))?;
            self.node(node)?.pid.store(pid, Ordering::Release);
            waiting.insert(node, pid);
        }
        let deadline = Instant::now() + START;
        while !waiting.is_empty() {
            for (&node, &pid) in &waiting {
                if process::state(pid) == NodeState::Dead {
                    let log = fs::read_to_string(self.dir.join(&self.names[node]).join("node.log"));
                    let log = log.unwrap_or_default();
                    let last = log.trim_end().lines().last().unwrap_or("it ended without a word").to_string();
                    return Err(self.failed(node, "starting", &last));
                }
            }
            if Instant::now() > deadline {
                let node = *waiting.keys().next().expect("somebody is missing");
                return Err(self.failed(node, "starting", "it has not dialled in"));
            }
            let Some((hello, lines)) = self.answer_door(&door) else { continue };
            if waiting.get(&hello.node) == Some(&hello.pid) {
                waiting.remove(&hello.node);
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, hello.port));
                self.proxy.set_target(hello.node, Some(address));
                *self.control(hello.node)? = Some(Control { lines, questions: 0 });
            }
        }
        Ok(())
    }

    /// The next node that dials in and is one of ours; `None` if none comes for a moment.
    fn answer_door(&self, door: &TcpListener) -> Option<(Hello, Lines<TcpStream>)> {
        let moment = Duration::from_millis(50);
        let timeout = moment.try_into().ok()?;
        poll(&mut [PollFd::new(door, PollFlags::IN)], Some(&timeout)).ok()?;
        let (socket, _) = door.accept().ok()?;
        socket.set_nonblocking(false).ok()?;
        socket.set_nodelay(true).ok()?;
        let mut lines = Lines::new(socket);
        let line = lines.next(Some(Instant::now() + ANSWER)).ok()?;
        let hello: Hello = serde_json::from_str(&line).ok()?;
        (hello.nonce == self.nonce).then_some((hello, lines))
    }

    fn ask(&self, node: usize, ask: Ask, patience: Duration) -> Result<Answer, String> {
        let act = match &ask {
            Ask::Ready => "asking whether it is ready",
            Ask::Clock => "reading its clock",
            Ask::Role => "asking for its role",
            Ask::Probe { .. } => "asking it for a probe",
        };
        match self.state(node)? {
            NodeState::Running => {}
            NodeState::Stopped => return Err(self.failed(node, act, "it is stopped")),
            NodeState::Dead => return Err(self.failed(node, act, "it has no process")),
        }
        let mut control = self.control(node)?;
        let Control { lines, questions } =
            control.as_mut().ok_or_else(|| self.failed(node, act, "it has no process"))?;
        *questions += 1;
        let id = *questions;
        let deadline = Instant::now() + patience;
        let question = serde_json::to_string(&Question { id, ask }).expect("plain data");
        lines.send(&question).map_err(|e| self.failed(node, act, &e.to_string()))?;
        loop {
            let line = lines.next(Some(deadline)).map_err(|e| match e {
                NoLine::Late => self.failed(node, act, "no answer"),
                NoLine::Closed(why) => self.failed(node, act, &why),
            })?;
            let reply: Reply =
                serde_json::from_str(&line).map_err(|e| self.failed(node, act, &format!("{line:?}: {e}")))?;
            // Answers to earlier questions come late if the node was stopped meanwhile.
            if reply.id == id {
                return Ok(reply.answer);
            }
        }
    }

    fn pid(&self, node: usize) -> Result<Option<u32>, String> {
        let pid = self.node(node)?.pid.load(Ordering::Acquire);
        Ok(Some(pid).filter(|&pid| pid != 0 && process::state(pid) != NodeState::Dead))
    }

    fn node(&self, node: usize) -> Result<&Node, String> {
        self.nodes.get(node).ok_or_else(|| format!("there is no node number {node}"))
    }

    fn control(&self, node: usize) -> Result<MutexGuard<'_, Option<Control>>, String> {
        let control = self.node(node)?.control.lock();
        control.map_err(|_| self.failed(node, "asking it", "another thread has panicked meanwhile"))
    }

    fn failed(&self, node: usize, act: &str, why: &str) -> String {
        format!("{}: {act}: {why}", self.names[node])
    }

    fn wait_until(&self, node: usize, act: &str, mut seen: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + SIGNAL;
        while !seen() {
            if Instant::now() > deadline {
                return Err(self.failed(node, act, "the signal has had no effect"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Cluster for LocalCluster {
    fn nodes(&self) -> &[String] {
        &self.names
    }

    fn set_links(&self, rules: &[(Link, LinkRule)]) -> Result<(), String> {
        let n = self.names.len();
        for (link, rule) in rules {
            if *rule != rule.of_bytes() {
                return Err(format!(
                    "{link:?}: these links carry bytes between processes, not packets: loss, duplication, reordering, corruption and rates need the lab"
                ));
            }
            let known = |end: &End| match end {
                End::Node(i) => *i < n,
                End::Clients => true,
            };
            if !known(&link.from) || !known(&link.to) || link.from == link.to {
                return Err(format!("there is no link {link:?} among {n} nodes and their clients"));
            }
        }
        self.proxy.set(rules);
        Ok(())
    }

    fn probe(&self, from: usize, to: usize) -> Result<bool, String> {
        let there = self.proxy.rule(&Link { from: End::Node(from), to: End::Node(to) });
        let back = self.proxy.rule(&Link { from: End::Node(to), to: End::Node(from) });
        let timeout = PROBE + there.delay + there.jitter + back.delay + back.jitter;
        let ask = Ask::Probe { to, timeout_ms: timeout.as_millis() as u64 };
        match self.ask(from, ask, timeout + ANSWER)? {
            Answer::Yes(reached) => Ok(reached),
            other => Err(self.failed(from, "asking it for a probe", &format!("it said {other:?}"))),
        }
    }

    fn pause(&self, node: usize) -> Result<(), String> {
        let pid = self.pid(node)?.ok_or_else(|| self.failed(node, "pausing", "it has no process"))?;
        self.guard.stop(node).map_err(|e| self.failed(node, "pausing", &e))?;
        self.wait_until(node, "pausing", || process::all_stopped(pid))
    }

    fn resume(&self, node: usize) -> Result<(), String> {
        let Some(pid) = self.pid(node)? else { return Ok(()) };
        self.guard.resume(node).map_err(|e| self.failed(node, "resuming", &e))?;
        self.wait_until(node, "resuming", || process::state(pid) != NodeState::Stopped)
    }

    fn kill(&self, node: usize) -> Result<(), String> {
        self.node(node)?;
        self.guard.kill(node).map_err(|e| self.failed(node, "killing", &e))?;
        self.proxy.set_target(node, None);
        self.node(node)?.pid.store(0, Ordering::Release);
        // Whoever waits for an answer has seen the connection close by now.
        *self.control(node)? = None;
        Ok(())
    }

    fn start(&self, node: usize) -> Result<(), String> {
        if self.pid(node)?.is_none() {
            self.launch(&[node])?;
            self.ask(node, Ask::Ready, START)?;
        }
        Ok(())
    }

    fn state(&self, node: usize) -> Result<NodeState, String> {
        Ok(self.pid(node)?.map_or(NodeState::Dead, process::state))
    }

    fn set_clock(&self, node: usize, setting: ClockSetting) -> Result<(), String> {
        self.node(node)?;
        let file = self.dir.join(&self.names[node]).join("clock");
        let new = file.with_extension("new");
        let written = fs::write(&new, clock::to_text(setting)).and_then(|()| fs::rename(&new, &file));
        written.map_err(|e| self.failed(node, "setting its clock", &e.to_string()))?;
        // A stopped node looks before it next uses its clock, and one that is started reads the file first.
        if self.state(node)? == NodeState::Running {
            self.ask(node, Ask::Clock, ANSWER)?;
        }
        Ok(())
    }

    fn clock_offset(&self, node: usize) -> Result<i64, String> {
        let before = clock::unix_ns(SystemTime::now());
        let answer = self.ask(node, Ask::Clock, ANSWER)?;
        let after = clock::unix_ns(SystemTime::now());
        match answer {
            Answer::Clock(ns) => Ok(ns - (before + (after - before) / 2)),
            other => Err(self.failed(node, "reading its clock", &format!("it said {other:?}"))),
        }
    }

    fn role(&self, node: usize) -> Result<Option<Role>, String> {
        match self.ask(node, Ask::Role, ANSWER)? {
            Answer::Role(role) => Ok(role.map(|(primary, term)| Role { primary, term })),
            other => Err(self.failed(node, "asking for its role", &format!("it said {other:?}"))),
        }
    }
}
