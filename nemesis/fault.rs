//! The port of a fault: done, proved, undone, proved again.

use crate::cluster::Cluster;
use crate::journal::Journal;
use history::{Event, Value};
use std::time::Duration;

/// Where a fault is done: the cluster behind its journal, and the fault's number.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Everything that is applied goes through here, and is thereby known to be undone.
    pub journal: &'a Journal,
    /// The number of this fault, from 1.
    pub id: u32,
}

impl Site<'_> {
    /// The cluster, for looking at it.
    pub fn cluster(&self) -> &dyn Cluster {
        self.journal.cluster()
    }

    /// The name of a node.
    pub fn name(&self, node: usize) -> &str {
        self.cluster().nodes().get(node).map_or("?", String::as_str)
    }

    /// The names of nodes, with spaces between.
    pub fn names(&self, nodes: &[usize]) -> String {
        nodes.iter().map(|&n| self.name(n)).collect::<Vec<_>>().join(" ")
    }
}

/// Something that two faults must not touch at the same time, because one would undo or hide the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Whether nodes' processes run.
    Processes,
    /// What a node's clock says.
    Clock(usize),
    /// Which links pass.
    Reach,
    /// How long links take.
    Delay,
    /// Who belongs to the system.
    Members,
}

/// A request that a fault wants to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The node, on every session with it that was opened for the fault and has no open call.
    pub node: usize,
    /// The key; asked for is a read of it.
    pub key: Option<Value>,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// What a fault wants while it is in force.
#[derive(Clone, Debug, PartialEq)]
pub enum Drive {
    /// Nothing; it ends when its time is over.
    Idle,
    /// To be asked again: it is not finished, and does not want to be healed yet.
    Busy,
    /// That a trigger be written into the history, in these words.
    Fired(String),
    /// That this request be made now.
    Ask(Asked),
    /// To be healed now.
    Over,
}

/// A way to hurt a cluster. Everything it does goes through the journal of its [`Site`].
pub trait Fault: Send {
    /// `partition`, `pause` …
    fn kind(&self) -> &'static str;

    /// The nodes that it is aimed at.
    fn nodes(&self) -> Vec<usize>;

    /// Nodes that it leaves without contact to a majority, though they run.
    fn cut_off(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Whether it is aimed at a node that took itself for the primary.
    fn hits_primary(&self) -> bool {
        false
    }

    /// What no other fault may touch meanwhile.
    fn claims(&self) -> Vec<Claim>;

    /// Nodes with which an idle session must be open before it is injected.
    fn needs_sessions(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Does it, and says in words what it did.
    fn inject(&mut self, site: &Site<'_>) -> Result<String, String>;

    /// Evidence that it bites, or nothing yet. Takes at most a second or so.
    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String>;

    /// Hears every event of the history while it is in force.
    fn saw(&mut self, event: &Event, site: &Site<'_>) {
        let _ = (event, site);
    }

    /// Called many times a second while it is in force, `elapsed` after its injection.
    fn drive(&mut self, site: &Site<'_>, elapsed: Duration) -> Result<Drive, String> {
        let _ = (site, elapsed);
        Ok(Drive::Idle)
    }

    /// Undoes it. May be called again, also when nothing was done.
    fn heal(&mut self, site: &Site<'_>) -> Result<(), String> {
        site.journal.undo(site.id)
    }

    /// Whether it is seen to be gone.
    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String>;
}
