//! What a search concludes, and what it may spend.

use std::sync::atomic::{AtomicBool, AtomicU64};

/// What one legal order of the operations shows. All that can be asked of a history: [`crate::Rung`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// One legal order that keeps real time (Herlihy and Wing 1990). Judged per object, which is exact.
    Linearizable,
    /// One legal order that keeps the order of each process (Lamport 1979). Judged over all objects together.
    Sequential,
}

impl Property {
    /// All of them.
    pub fn all() -> [Property; 2] {
        [Property::Linearizable, Property::Sequential]
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Property::Linearizable => "linearizable",
            Property::Sequential => "sequential",
        }
    }

    /// What it demands, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Property::Linearizable => {
                "Each operation takes effect at one instant between its invocation and its return."
            }
            Property::Sequential => {
                "All operations have one legal order in which each process keeps its own order."
            }
        }
    }
}

/// The answer of a search, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A legal order exists.
    Valid(Witness),
    /// No legal order exists.
    Invalid(Counterexample),
    /// The budget ended first. Never a pass.
    Unknown(Reason),
}

/// A legal order: indices into `History::ops`. Indeterminate operations that never took effect are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// First to last.
    pub order: Vec<u32>,
}

/// Operations that already have no legal order, closed under explanation (`docs/architecture.md`, invariant 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Indices into `History::ops`, by invocation.
    pub core: Vec<u32>,
    /// Whether it was proved that without any one of its observations the rest has a legal order.
    pub minimal: bool,
    /// The operation whose return left no legal order, where the search knows one.
    pub fatal: Option<u32>,
}

/// Why a search gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// [`Budget::stop`] was set from outside: time limit or interruption.
    Stopped,
    /// The search would have needed more than [`Budget::bytes`].
    Memory,
    /// There is no order, but what shows that is too large to be verified, or there was no time left for it.
    Unverified,
}

/// What a search may spend. The clock is outside: whoever owns it sets `stop`.
#[derive(Debug)]
pub struct Budget<'a> {
    /// Looked at every few thousand configurations.
    pub stop: &'a AtomicBool,
    /// Bytes for memo tables and frontiers of this search.
    pub bytes: usize,
    /// Counts configurations visited, for progress and for the report.
    pub states: &'a AtomicU64,
}
