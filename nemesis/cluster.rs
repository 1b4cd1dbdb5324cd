//! The port through which a cluster is hurt and probed. Adapters: local processes, the lab, and hosts over SSH.

use crate::ports::{Disks, Files, Freezer, Logs, Members, Parts};
use std::time::Duration;

/// One end of a directed link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// A node, by index in [`Cluster::nodes`].
    Node(usize),
    /// All clients that talk to the node at the other end.
    Clients,
}

/// A directed link: bytes that flow from one end to the other, requests and answers alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// Where bytes come from.
    pub from: End,
    /// Where they go.
    pub to: End,
}

/// What happens to bytes on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pass {
    /// They arrive.
    #[default]
    Flow,
    /// They are held back until the rule changes, as behind a cut cable: nobody is told. New connections hang.
    Stall,
    /// Connections are reset, and new ones too.
    Close,
}

/// The whole state of a directed link. The default is a healthy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LinkRule {
    /// Whether bytes pass.
    pub pass: Pass,
    /// Added to every byte; order on a connection is kept.
    pub delay: Duration,
    /// Up to this much more, drawn anew for each chunk.
    pub jitter: Duration,
    /// Of a million packets, how many are lost. This and what follows needs links that carry packets.
    pub loss: u32,
    /// Of a million packets, how many arrive twice.
    pub duplicate: u32,
    /// Of a million packets, how many are overtaken by later ones.
    pub reorder: u32,
    /// Of a million packets, how many arrive with a bit flipped.
    pub corrupt: u32,
    /// Bytes in a second that pass; 0 is as many as come.
    pub rate: u64,
}

impl LinkRule {
    /// The rule without what only links of packets can do.
    pub fn of_bytes(self) -> LinkRule {
        LinkRule { pass: self.pass, delay: self.delay, jitter: self.jitter, ..LinkRule::default() }
    }

    /// This rule and then that one: the worst passage, all delays one after the other, both chances, the lower rate.
    pub fn and(self, that: LinkRule) -> LinkRule {
        let pass = match (self.pass, that.pass) {
            (Pass::Stall, _) | (_, Pass::Stall) => Pass::Stall,
            (Pass::Close, _) | (_, Pass::Close) => Pass::Close,
            (Pass::Flow, Pass::Flow) => Pass::Flow,
        };
        let either = |a: u32, b: u32| {
            let (a, b) = (u64::from(a.min(MILLION)), u64::from(b.min(MILLION)));
            (a + b - a * b / u64::from(MILLION)) as u32
        };
        LinkRule {
            pass,
            delay: self.delay + that.delay,
            jitter: self.jitter + that.jitter,
            loss: either(self.loss, that.loss),
            duplicate: either(self.duplicate, that.duplicate),
            reorder: either(self.reorder, that.reorder),
            corrupt: either(self.corrupt, that.corrupt),
            rate: [self.rate, that.rate].into_iter().filter(|rate| *rate > 0).min().unwrap_or(0),
        }
    }
}

/// What chances are counted in.
pub const MILLION: u32 = 1_000_000;

/// What a node's process is doing, as the operating system sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It runs.
    Running,
    /// It is stopped by SIGSTOP (state T), or frozen.
    Stopped,
    /// It has no process.
    Dead,
}

/// What a node thinks it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Whether it takes itself for the primary (leader, lock owner …).
    pub primary: bool,
    /// Its term, epoch or ballot, where it has one.
    pub term: u64,
}

/// A node's clock, as the nemesis sets it. The default is an honest one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockSetting {
    /// Nanoseconds added to the wall clock only.
    pub offset_ns: i64,
    /// How fast the wall clock and the rate-only clock run: 1.0 is honest, 0.5 is half speed.
    pub rate: f64,
}

impl Default for ClockSetting {
    fn default() -> ClockSetting {
        ClockSetting { offset_ns: 0, rate: 1.0 }
    }
}

/// A cluster that can be hurt. Every call has a deadline of its own, and errors name node and act.
///
/// Methods that a cluster cannot offer return an error that names the missing part; they never pretend.
pub trait Cluster: Send + Sync {
    /// Names of the nodes.
    fn nodes(&self) -> &[String];

    /// Sets the rule of some links at one instant; links that are not named stay as they are.
    fn set_links(&self, rules: &[(Link, LinkRule)]) -> Result<(), String>;

    /// How many packets of a link its rules have lost, doubled, held back, corrupted or made wait for their turn so far.
    fn harmed(&self, link: &Link) -> Result<u64, String> {
        Err(format!("{link:?}: nobody counts what becomes of packets here"))
    }

    /// Whether `from` reaches `to` and back now: asked of node `from` itself, with a timeout of about 300 ms.
    /// `Err` if `from` cannot be asked (it is stopped or dead).
    fn probe(&self, from: usize, to: usize) -> Result<bool, String>;

    /// SIGSTOP. Returns when the process is in state T.
    fn pause(&self, node: usize) -> Result<(), String>;

    /// SIGCONT. No error if it was not stopped.
    fn resume(&self, node: usize) -> Result<(), String>;

    /// SIGKILL. Returns when the process is gone. No error if there was none.
    fn kill(&self, node: usize) -> Result<(), String>;

    /// Starts a node's process and waits until it answers. No error if it runs already.
    fn start(&self, node: usize) -> Result<(), String>;

    /// What the process is doing.
    fn state(&self, node: usize) -> Result<NodeState, String>;

    /// Sets a node's clock.
    fn set_clock(&self, node: usize, setting: ClockSetting) -> Result<(), String>;

    /// What the node itself says its wall clock is, minus what it should be, in nanoseconds.
    fn clock_offset(&self, node: usize) -> Result<i64, String>;

    /// What a node thinks it is. `None` if the system has no such roles.
    fn role(&self, node: usize) -> Result<Option<Role>, String>;

    /// Disks of their own, below the nodes' data.
    fn disks(&self) -> Result<&dyn Disks, String> {
        Err("its nodes have no disks of their own".into())
    }

    /// The nodes' files.
    fn files(&self) -> Result<&dyn Files, String> {
        Err("which of its files matter is not known".into())
    }

    /// The daemons of each node.
    fn parts(&self) -> Result<&dyn Parts, String> {
        Err("its nodes have one process each".into())
    }

    /// A freezer for whole nodes.
    fn freezer(&self) -> Result<&dyn Freezer, String> {
        Err("its nodes cannot be frozen".into())
    }

    /// The membership of the system.
    fn members(&self) -> Result<&dyn Members, String> {
        Err("this system offers no change of its members".into())
    }

    /// The nodes' logs.
    fn logs(&self) -> Result<&dyn Logs, String> {
        Err("its logs cannot be read while it runs".into())
    }
}
