//! The port to a system under test: how it is started, and how one process talks to it.

use crate::cli::SshArgs;
use crate::control::lab::Links;
use history::{Call, Completion};
use nemesis::Cluster;
use std::time::{Duration, Instant};

/// One session of one process with one node. Dropping it closes the session.
///
/// A client never retries, never reconnects and never changes the node: whatever goes wrong is an answer.
pub trait Client: Send {
    /// Sends `call` and waits for its answer, at most until `deadline`.
    /// An answer to an earlier call must never be taken for this one's.
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion;

    /// After an `Info { late: true }`: waits on for that call's answer. No other call is made on this client any more.
    fn late(&mut self, until: Instant) -> Completion {
        let _ = until;
        Completion::lost("no answer")
    }

    /// Whether the session is still the one that was opened. If not, the process ends, whatever the outcome was.
    fn alive(&self) -> bool;
}

/// A configuration value of a system: `--with key=value`.
#[derive(Clone, Debug)]
pub struct SystemOption {
    /// `w`
    pub name: &'static str,
    /// `2`
    pub default: &'static str,
    /// One sentence, with the values that it takes.
    pub about: &'static str,
}

/// What a configuration of a system claims about a workload's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// `linearizable`, `sequential`, or what it does without.
    pub text: String,
    /// Whether the claim is true of this implementation, by construction. (Specimens lie on request.)
    pub honest: bool,
}

/// A kind of system that can be tested.
pub trait System: Send + Sync {
    /// `demo-quorum`
    fn name(&self) -> &'static str;
    /// What is typed to name it: its name, or the path of the file that describes it.
    fn typed(&self) -> &'static str {
        self.name()
    }
    /// One sentence.
    fn about(&self) -> &'static str;
    /// What `--with` takes.
    fn options(&self) -> &'static [SystemOption];
    /// Workloads that its clients can do, the default first.
    fn workloads(&self) -> &'static [&'static str];
    /// How many nodes it has unless told otherwise.
    fn default_nodes(&self) -> usize;
    /// What this configuration claims. `Err` names a bad option and what it takes.
    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String>;
    /// The same for one workload, where that makes a difference.
    fn claim_of(&self, workload: &str, with: &[(String, String)]) -> Result<Claim, String> {
        let _ = workload;
        self.claim(with)
    }
    /// Configurations worth naming, the bare one first: what `perjury list systems` shows the claims of.
    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[]]
    }
    /// Whether its nodes must be machines, or what looks like some; the others are processes of this one.
    fn needs_nodes(&self) -> bool {
        false
    }
    /// What `perjury lab install` takes to install it.
    fn packages(&self) -> &'static str {
        self.name()
    }
    /// A shell command that ends with exit code 0 on a machine where it is installed.
    fn installed(&self) -> &'static str {
        "true"
    }
    /// What this configuration needs beside it: another such command, and what `perjury lab install` calls it.
    fn needs(&self, with: &[(String, String)]) -> Option<(&'static str, &'static str)> {
        let _ = with;
        None
    }
    /// Starts `nodes` nodes with their files under `dir`, and returns when all answer.
    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String>;
}

/// Everything that a start depends on.
pub struct Start<'a> {
    /// How many nodes.
    pub nodes: usize,
    /// Options of the system, checked by `claim`.
    pub with: &'a [(String, String)],
    /// The workload that clients will do.
    pub workload: &'a str,
    /// Directory for the nodes' files and logs: `<dir>/n1/…`.
    pub dir: &'a std::path::Path,
    /// Seed for everything random in it.
    pub seed: u64,
    /// Where its nodes are.
    pub place: &'a Place,
}

/// Where the nodes of a system are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Processes of this machine.
    #[default]
    Here,
    /// Isolated nodes on this machine, made for the run and gone with it.
    Lab(LabPlace),
    /// Other machines.
    Hosts(HostsPlace),
}

/// Isolated nodes on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabPlace {
    /// Links whose packets are written to a file.
    pub capture: Option<Links>,
    /// Whether each node has a file system of its own for its data.
    pub disk: bool,
    /// How long everything takes on each link, in each direction.
    pub link_delay: Duration,
}

/// Other machines, and how they are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsPlace {
    /// The nodes, as they were typed.
    pub nodes: Vec<String>,
    /// How they are reached.
    pub ssh: SshArgs,
    /// The system runs there already, and is neither started nor ended.
    pub no_db: bool,
}

/// A running cluster. Dropping it ends every process that it started, stopped ones too.
pub trait Running: Send + Sync {
    /// How to hurt it.
    fn cluster(&self) -> &dyn Cluster;
    /// The cluster again, to be shared with the thread of the nemesis.
    fn shared(&self) -> std::sync::Arc<dyn Cluster>;
    /// Opens a session of `process` with a node. `Err` means that nothing was sent: it is `Fail` for the waiting call.
    fn open(&self, process: i64, node: usize, deadline: Instant) -> Result<Box<dyn Client>, String>;
    /// Its version, for the report: `3.5.9`.
    fn version(&self) -> String;
    /// By how many nanoseconds the clock of each node was ahead of this machine's before anything bent it. Nothing of
    /// nodes that have this machine's clock.
    fn ahead(&self) -> Vec<(String, i64)> {
        Vec::new()
    }
    /// Pids of everything that it started and that still runs.
    fn pids(&self) -> Vec<u32>;
    /// Whether every node that runs has caught up with what the others have, as they know it. `Err` says who has not.
    fn settled(&self) -> Result<(), String> {
        Ok(())
    }
    /// Ends it, before it is dropped, and says what a reader of the report should know, one sentence each.
    fn end(&self) -> Vec<String> {
        Vec::new()
    }
}
