//! The guard: a child process that starts the nodes, signals them, and ends them all when its controller is gone.
//!
//! ```text
//!   controller ══socket══ guard ──┬── n1      each in a process group of its own, with SIGKILL as its
//!                                 ├── n2      parent-death signal (the parent being the guard)
//!                                 └── n3
//! ```
//!
//! However the controller ends (SIGKILL too, and in the middle of starting), the kernel closes the socket; the guard
//! then kills every group, stopped ones too, waits for them, and ends. The guard is the nodes' parent, so there is no
//! moment at which a node runs that it does not know, and no process id can be taken by a stranger before it has
//! waited for it. Should the guard itself be killed, the kernel sends the parent-death signal to the nodes.

use super::lines::{Lines, NoLine};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long the controller waits for the guard. It only forks and signals.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the controller asks for. The guard answers each with one [`Answer`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// Start a process of our own binary. If this node had one, it is waited for first.
    Spawn {
        node: usize,
        args: Vec<String>,
        log: PathBuf,
    },
    Stop {
        node: usize,
    },
    Continue {
        node: usize,
    },
    /// SIGKILL to the group, and wait.
    Kill {
        node: usize,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Started(u32),
    Obeyed,
    Failed(String),
}

/// Under the test harness the binary's `main` is the harness, so children are called as a test that becomes the child.
#[cfg(test)]
const CHILD_ARGS: &str = "PERJURY_CHILD_ARGS";

/// How our own binary is called to become a node or a guard.
///
/// By way of `/proc/self/exe`, a child is the very program that runs, even if its file has been replaced meanwhile.
fn ourselves(args: &[String]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("perjury");
    #[cfg(not(test))]
    command.args(args);
    #[cfg(test)]
    command
        .args(["control::guard::tests::a_child_of_a_test", "--exact", "--ignored", "--nocapture"])
        .env(CHILD_ARGS, args.join("\u{1f}"));
    command
}

/// The controller's hold on its guard. Dropping it ends the guard and every process that the guard started.
#[derive(Debug)]
pub struct Guard {
    pid: u32,
    /// `None` once it is dismissed.
    active: Mutex<Option<(Child, Lines<UnixStream>)>>,
}

impl Guard {
    /// Starts a guard without nodes.
    pub fn start() -> Result<Guard, String> {
        let start = || -> io::Result<Guard> {
            let (ours, theirs) = UnixStream::pair()?;
            let child = ourselves(&["guard".to_string()])
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // Ctrl-C at the terminal goes to the whole foreground group: the guard must outlive it.
                .process_group(0)
                .spawn()?;
            Ok(Guard { pid: child.id(), active: Mutex::new(Some((child, Lines::new(ours)))) })
        };
        start().map_err(|e| format!("starting the guard of the nodes: {e}"))
    }

    /// Its process id, which is the parent's of every node.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Starts a process of this binary with `args`, output appended to `log`; its process id.
    pub fn spawn(&self, node: usize, args: Vec<String>, log: &Path) -> Result<u32, String> {
        match self.order(&Order::Spawn { node, args, log: log.to_path_buf() })? {
            Answer::Started(pid) => Ok(pid),
            Answer::Obeyed => Err("the guard did not say which process it started".into()),
            Answer::Failed(why) => Err(why),
        }
    }

    /// SIGSTOP to the node's group.
    pub fn stop(&self, node: usize) -> Result<(), String> {
        self.act(&Order::Stop { node })
    }

    /// SIGCONT to the node's group.
    pub fn resume(&self, node: usize) -> Result<(), String> {
        self.act(&Order::Continue { node })
    }

    /// SIGKILL to the node's group; returns when it is gone.
    pub fn kill(&self, node: usize) -> Result<(), String> {
        self.act(&Order::Kill { node })
    }

    /// Ends every node, and the guard. Nothing to do the second time.
    pub fn dismiss(&self) {
        let active = self.active.lock().map(|mut active| active.take());
        if let Ok(Some((mut child, lines))) = active {
            // Closing the socket is the order to end everything; the guard exits when the last node is gone.
            drop(lines);
            let _ = child.wait();
        }
    }

    fn act(&self, order: &Order) -> Result<(), String> {
        match self.order(order)? {
            Answer::Started(_) | Answer::Obeyed => Ok(()),
            Answer::Failed(why) => Err(why),
        }
    }

    fn order(&self, order: &Order) -> Result<Answer, String> {
        let mut active = self.active.lock().map_err(|_| "the guard is in an unknown state")?;
        let (_, lines) = active.as_mut().ok_or("the cluster has ended")?;
        lines
            .send(&serde_json::to_string(order).expect("an order is plain data"))
            .map_err(|e| e.to_string())?;
        let line = lines.next(Some(Instant::now() + PATIENCE)).map_err(|e| match e {
            NoLine::Late => "the guard does not answer".to_string(),
            NoLine::Closed(why) => format!("the guard is gone: {why}"),
        })?;
        serde_json::from_str(&line).map_err(|e| format!("the guard said {line:?}: {e}"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// The main function of the guard: `perjury guard`, with a socket to its controller as standard input.
pub fn guard_main(_args: &[String]) -> ExitCode {
    let socket = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd) => UnixStream::from(fd),
        Err(_) => return ExitCode::from(70),
    };
    let mut lines = Lines::new(socket);
    let mut nodes: BTreeMap<usize, Child> = BTreeMap::new();
    // Whatever ends this loop (a closed socket, a line that is not an order), the nodes are ended after it.
    while let Ok(line) = lines.next(None) {
        let Ok(order) = serde_json::from_str::<Order>(&line) else { break };
        let done = obey(&mut nodes, order).unwrap_or_else(Answer::Failed);
        if lines.send(&serde_json::to_string(&done).expect("plain data")).is_err() {
            break;
        }
    }
    for child in nodes.values() {
        let _ = signal(child, Signal::KILL);
    }
    for child in nodes.values_mut() {
        let _ = child.wait();
    }
    ExitCode::SUCCESS
}

fn obey(nodes: &mut BTreeMap<usize, Child>, order: Order) -> Result<Answer, String> {
    match order {
        Order::Spawn { node, args, log } => {
            end(nodes, node)?;
            let out = OpenOptions::new().create(true).append(true).open(&log);
            let out = out.map_err(|e| format!("{}: {e}", log.display()))?;
            let err = out.try_clone().map_err(|e| format!("{}: {e}", log.display()))?;
            let child = ourselves(&args)
                .stdin(Stdio::null())
                .stdout(out)
                .stderr(err)
                .process_group(0)
                .spawn()
                .map_err(|e| format!("/proc/self/exe: {e}"))?;
            let pid = child.id();
            nodes.insert(node, child);
            Ok(Answer::Started(pid))
        }
        Order::Stop { node } => to_node(nodes, node, Signal::STOP),
        Order::Continue { node } => to_node(nodes, node, Signal::CONT),
        Order::Kill { node } => end(nodes, node).map(|()| Answer::Obeyed),
    }
}

fn to_node(nodes: &BTreeMap<usize, Child>, node: usize, what: Signal) -> Result<Answer, String> {
    let child = nodes.get(&node).ok_or("it has no process")?;
    signal(child, what).map_err(|e| e.to_string())?;
    Ok(Answer::Obeyed)
}

/// Kills a node's group and waits for it. Nothing to do if it has no process.
fn end(nodes: &mut BTreeMap<usize, Child>, node: usize) -> Result<(), String> {
    if let Some(mut child) = nodes.remove(&node) {
        // It may have ended by itself; its id is still ours until we wait for it.
        let _ = signal(&child, Signal::KILL);
        child.wait().map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn signal(child: &Child, what: Signal) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process_group(pid, what)?)
}

/// Ends this process with its parent: asks the kernel for it, and then makes sure that it was not too late to ask.
pub fn die_with_parent(parent: u32) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| e.to_string())?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if now == i32::try_from(parent).ok() { Ok(()) } else { Err("the parent is already gone".into()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// How a test calls [`a_child_of_a_test`].
    pub(crate) fn child(args: &[&str]) -> Command {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        ourselves(&args)
    }

    /// Not a test: the way in for what tests start as children, see [`ourselves`].
    #[test]
    #[ignore = "becomes a guard, a node or a controller when a test starts it as a child"]
    fn a_child_of_a_test() {
        let Ok(args) = std::env::var(CHILD_ARGS) else { return };
        let args: Vec<String> = args.split('\u{1f}').map(String::from).collect();
        match args[0].as_str() {
            "guard" => drop(guard_main(&args[1..])),
            "demo-node" => drop(crate::systems::demo::node_main(&args[1..])),
            "controller" => crate::systems::demo::tests::abandoned_controller(&args[1..]),
            #[cfg(feature = "ssh")]
            "hosts-test" => crate::control::hosts::tests::abandoned_test(&args[1..]),
            #[cfg(feature = "ssh")]
            "hosts-controller" => crate::control::hosts::tests::abandoned_controller(&args[1..]),
            other => panic!("unknown child {other}"),
        }
        std::process::exit(0);
    }
}
