//! What only some clusters can have done to them: disks, parts of a node, a freezer, files, members, logs.
//!
//! Each is a port of its own, which [`Cluster`](crate::Cluster) gives out or says why not.

use crate::cluster::NodeState;

/// What a node's disk is made to do. The disk is the file system that its data are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// It works.
    Healthy,
    /// Nothing more fits on it.
    Full,
    /// Whoever writes waits.
    Hung,
    /// Whoever writes is refused, files that are open already too.
    ReadOnly,
}

/// Disks of their own, below the nodes' data.
pub trait Disks: Send + Sync {
    /// Cuts the power of some nodes at one instant: every process of theirs ends, and what was not synced is lost. The
    /// disks are there again when it returns; the processes are not, until [`Cluster::start`](crate::Cluster::start).
    fn power_loss(&self, nodes: &[usize]) -> Result<(), String>;

    /// Whether a file that was written just before the last power loss, and not synced, is gone.
    fn unsynced_gone(&self, node: usize) -> Result<bool, String>;

    /// Makes the disk do that. Healthy is no error if it was already; a process that had to end for it, or has ended by
    /// itself, is not started.
    fn set_disk(&self, node: usize, state: DiskState) -> Result<(), String>;

    /// What the disk does now: found out by writing a file there.
    fn disk(&self, node: usize) -> Result<DiskState, String>;
}

/// How a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit of what is written in it is flipped.
    BitFlip,
    /// The end of what is written in it is cut off: so many bytes, or half of them if there are not as many.
    Truncate(u64),
}

/// Files of nodes whose processes are dead.
pub trait Files: Send + Sync {
    /// Damages one of the files that matter to the system; `at`, in a million parts, says which and where. The file as it
    /// was is kept. Says what was done to which file.
    fn damage(&self, node: usize, how: Damage, at: u32) -> Result<String, String>;

    /// Whether the damaged file differs from what it was. False if there is none.
    fn damaged(&self, node: usize) -> Result<bool, String>;

    /// Gives the file back as it was, if `restore`, and forgets about it. No error if there is none.
    fn mend(&self, node: usize, restore: bool) -> Result<(), String>;
}

/// Nodes that have several daemons.
pub trait Parts: Send + Sync {
    /// Their names, the database first: `postgres`, `patroni`.
    fn parts(&self) -> Vec<String>;

    /// SIGSTOP to one of them and its children. Returns when they are in state T.
    fn pause_part(&self, node: usize, part: &str) -> Result<(), String>;

    /// SIGCONT. No error if it was not stopped.
    fn resume_part(&self, node: usize, part: &str) -> Result<(), String>;

    /// SIGKILL. Returns when it is gone. No error if it was.
    fn kill_part(&self, node: usize, part: &str) -> Result<(), String>;

    /// Starts it. No error if it runs.
    fn start_part(&self, node: usize, part: &str) -> Result<(), String>;

    /// What it is doing.
    fn part_state(&self, node: usize, part: &str) -> Result<NodeState, String>;
}

/// The kernel's freezer of process groups (cgroups).
pub trait Freezer: Send + Sync {
    /// Freezes every process of a node at one instant. Its state is then [`NodeState::Stopped`].
    fn freeze(&self, node: usize) -> Result<(), String>;

    /// Lets them go on. No error if they were not frozen.
    fn thaw(&self, node: usize) -> Result<(), String>;

    /// Whether the kernel says that they are frozen.
    fn frozen(&self, node: usize) -> Result<bool, String>;
}

/// A system whose members can be changed while it runs.
pub trait Members: Send + Sync {
    /// Takes a node out, through another: its process ends, and its data are removed.
    fn leave(&self, node: usize) -> Result<(), String>;

    /// Takes a node in again, with nothing of what it knew before, and starts it. No error if it is a member.
    fn join(&self, node: usize) -> Result<(), String>;

    /// Who is a member, as another node than `node` says.
    fn member(&self, node: usize) -> Result<bool, String>;
}

/// What the system's processes write down.
pub trait Logs: Send + Sync {
    /// How many logs a node has: one for each of its daemons, say.
    fn count(&self, node: usize) -> usize;

    /// What was appended to one of a node's logs since it had `from` bytes, at most a mebibyte, and how many bytes it has
    /// up to there. Without `from`: nothing, and how many it has. `Err` if it is not there (yet).
    fn log(&self, node: usize, which: usize, from: Option<u64>) -> Result<(u64, Vec<u8>), String>;
}
