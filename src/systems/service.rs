//! What a system of daemons is on its nodes: how they are started and asked, and how clients talk to them. Where the
//! nodes are (a lab, other machines) is the business of others.
//!
//! ```text
//!   prepare ─▶ wave by wave: start, risen ─▶ assemble ─▶ serves ─▶ open, open, …          a new cluster
//!   start of every part that is dead ─▶ answers                                           after a kill
//! ```

use crate::client::Client;
use crate::control::host::HostError;
use nemesis::Role;
use std::io;
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A daemon of a node. A node may have several: a database, and who watches over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is called here: `sentinel`.
    pub name: String,
    /// The name of its process, as the kernel knows it: `redis-sentinel`.
    pub program: String,
}

impl Part {
    /// A daemon that is called as its process is.
    pub fn new(program: &str) -> Part {
        Part::named(program, program)
    }

    /// A daemon of this name whose process has that one.
    pub fn named(name: &str, program: &str) -> Part {
        Part { name: name.to_string(), program: program.to_string() }
    }
}

/// The controller's way to a node, which no fault cuts.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    /// The node.
    pub node: usize,
    /// Its name.
    pub name: &'a str,
    dial: &'a (dyn Fn(u16, Instant) -> io::Result<TcpStream> + Sync),
    sh: &'a (dyn Fn(&str, Duration) -> Result<String, HostError> + Sync),
}

impl<'a> Way<'a> {
    /// A way by which ports are dialled, and commands run, like this.
    pub fn new(
        node: usize,
        name: &'a str,
        dial: &'a (dyn Fn(u16, Instant) -> io::Result<TcpStream> + Sync),
        sh: &'a (dyn Fn(&str, Duration) -> Result<String, HostError> + Sync),
    ) -> Way<'a> {
        Way { node, name, dial, sh }
    }

    /// A connection to a port of the node.
    pub fn dial(&self, port: u16, deadline: Instant) -> Result<TcpStream, String> {
        (self.dial)(port, deadline).map_err(|e| format!("dialling port {port}: {e}"))
    }

    /// Runs a shell command on the node, which must end with exit code 0 in that time, and gives what it printed.
    pub fn sh(&self, command: &str, patience: Duration) -> Result<String, String> {
        Ok((self.sh)(command, patience)?)
    }
}

/// A client's way to the nodes, which faults do cut.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    /// The node that the session is with.
    pub node: usize,
    /// Its name.
    pub name: &'a str,
    /// The process whose session it is.
    pub process: i64,
    /// What it will do.
    pub workload: &'a str,
    /// When the session must be open.
    pub deadline: Instant,
    dial: &'a dyn Fn(usize, u16, Instant) -> Result<TcpStream, String>,
    spawn: &'a dyn Fn(&mut Command) -> Result<Child, String>,
}

impl<'a> Door<'a> {
    /// A way by which nodes are dialled, and programs started, like this; errors name the node.
    pub fn new(
        to: (usize, &'a str),
        process: i64,
        workload: &'a str,
        deadline: Instant,
        dial: &'a dyn Fn(usize, u16, Instant) -> Result<TcpStream, String>,
        spawn: &'a dyn Fn(&mut Command) -> Result<Child, String>,
    ) -> Door<'a> {
        Door { node: to.0, name: to.1, process, workload, deadline, dial, spawn }
    }

    /// Starts a program of this machine in the network in which clients are.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, String> {
        (self.spawn)(command)
    }

    /// A connection to a port of any node: by `deadline`, or not at all.
    pub fn dial(&self, node: usize, port: u16) -> Result<TcpStream, String> {
        (self.dial)(node, port, self.deadline)
    }
}

/// How one system runs on its nodes.
pub trait Service: Send + Sync + 'static {
    /// The daemons of a node, in the order in which they start. The first is the one that clients talk to.
    fn parts(&self) -> Vec<Part>;

    /// Where on each node this very program must be, if one of the parts is it.
    fn ourselves(&self) -> Option<&'static str> {
        None
    }

    /// How long a new cluster may take until all its nodes serve. Generous: the machine may be busy.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// A shell script that readies a node before a new cluster starts: directories, files of configuration.
    fn prepare(&self, node: usize) -> Option<String> {
        let _ = node;
        None
    }

    /// The shell command that starts a part in the background on a node, and prints the number of its process: in a
    /// session of its own, with all three streams redirected. `new`: a cluster that has never run before.
    fn start_command(&self, node: usize, part: usize, new: bool) -> String;

    /// In which order the parts of `nodes` nodes start in a new cluster: (node, part), those of a wave together, and
    /// the next wave when all of them have [risen](Service::risen). Unless said otherwise, part by part on all nodes.
    /// A part that stands in no wave does not run on that node.
    fn waves(&self, nodes: usize) -> Vec<Vec<(usize, usize)>> {
        let wave = |part| (0..nodes).map(|node| (node, part)).collect();
        (0..self.parts().len()).map(wave).collect()
    }

    /// Whether a part that was started has come so far that the next wave may start.
    fn risen(&self, way: &Way<'_>, part: usize, deadline: Instant) -> Result<(), String> {
        let _ = (way, part, deadline);
        Ok(())
    }

    /// What makes a cluster of daemons that run: members, users, tables. Called once, before [`Service::serves`] is
    /// asked; errors name the node.
    fn assemble(&self, ways: &[Way<'_>]) -> Result<(), String> {
        let _ = ways;
        Ok(())
    }

    /// The port that the other nodes talk to: probes dial it.
    fn peer_port(&self) -> u16;

    /// Files of a node that are worth keeping.
    fn logs(&self) -> Vec<String>;

    /// Files and directories of a node that are its own, and gone after the run.
    fn data(&self) -> Vec<String>;

    /// Directories of a node that are put on a disk of its own, where it has one. Unless said otherwise, those of its data
    /// below `/var/lib`.
    fn disk(&self) -> Vec<String> {
        self.data().into_iter().filter(|path| path.starts_with("/var/lib/")).collect()
    }

    /// Files of a node that hold what it has been told, as patterns of the shell: what faults damage.
    fn files(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether members can be taken out and in while it runs.
    fn changes_members(&self) -> bool {
        false
    }

    /// Takes `node` out of the system, by way of another.
    fn leave(&self, other: &Way<'_>, node: usize) -> Result<(), String> {
        let _ = (other, node);
        Err("this system offers no change of its members".into())
    }

    /// Takes `node` in again, by way of another; it is started after that, with no data, as one of an old cluster.
    fn join(&self, other: &Way<'_>, node: usize) -> Result<(), String> {
        let _ = (other, node);
        Err("this system offers no change of its members".into())
    }

    /// Whether `node` is a member, as another one knows.
    fn member(&self, other: &Way<'_>, node: usize) -> Result<bool, String> {
        let _ = (other, node);
        Err("this system offers no change of its members".into())
    }

    /// Whether the node's process answers at all.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String>;

    /// Whether the node serves clients.
    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String>;

    /// Whether the node has caught up with what the others have, as far as it knows. Unless said otherwise, whether it
    /// serves.
    fn settled(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        self.serves(way, deadline)
    }

    /// What the node thinks it is; nothing, if the system has no such roles.
    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String>;

    /// What the node says its wall clock is, minus what it is, in nanoseconds: of several values that its answer allows,
    /// the one that claims least. `None` if the system does not tell; then its process is asked.
    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let _ = way;
        Ok(None)
    }

    /// The version of the system, as the node tells it: `3.4.23`.
    fn version(&self, way: &Way<'_>) -> Result<String, String>;

    /// Removes what earlier runs have left in a cluster of somebody else: what is ours, and nothing else.
    fn clear(&self, way: &Way<'_>) -> Result<(), String>;

    /// Whether a client can be had at all: asked once for each node, when all of them serve.
    fn try_client(&self, door: &Door<'_>) -> Result<(), String> {
        let _ = door;
        Ok(())
    }

    /// Opens a session. `Err` means that nothing was sent that could have an effect.
    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String>;

    /// Ends what it has started for its clients. Nothing to do the second time.
    fn end(&self) {}
}
