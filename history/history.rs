//! A whole history, and the error of what is not one.

use crate::interner::{Interner, ValueId};
use crate::op::{NO_TIME, Op};
use crate::shard::Shard;
use crate::value::Value;
use std::fmt;

/// Everything that the clients saw, paired and ready to be judged.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Operations in the order of their invocations.
    pub ops: Vec<Op>,
    /// The values that the operations speak of.
    pub values: Interner,
    /// Names of the processes by dense number: the integers of the file.
    pub processes: Vec<i64>,
    /// How many ranks there are: client events, invocations and completions.
    pub ranks: u32,
    /// What the nemesis did, in file order.
    pub faults: Vec<FaultEvent>,
    /// When operations were meant to be sent, where the history says: the line of the invocation with the time in
    /// nanoseconds since the run began, by line. See [`History::due`]. A part of a history has none.
    pub dues: Vec<(u32, i64)>,
    /// Where it was read.
    pub source: Source,
    /// What the reader had to assume, one sentence each.
    pub warnings: Vec<String>,
    /// Which part of a history this is; `None` if it is all of it.
    pub part: Option<Part>,
}

impl History {
    /// When an operation was meant to be sent, where the history says: not after it was sent. O(log n).
    pub fn due(&self, op: &Op) -> Option<i64> {
        let at = self.dues.binary_search_by_key(&op.invoke_line, |due| due.0).ok()?;
        let due = self.dues[at].1;
        (op.invoke_time != NO_TIME && due <= op.invoke_time).then_some(due)
    }
}

/// That a history is a part of one, and what is known of the whole: ranks, lines, processes, sessions and faults are
/// those of the whole.
#[derive(Clone, Debug)]
pub struct Part {
    /// The keys that belong to it.
    pub shard: Shard,
    /// The functions of all operations of the whole, as text values, in order of first appearance.
    pub functions: Vec<ValueId>,
    /// How many operations the whole has.
    pub ops: u64,
}

/// Where a history came from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file's path as given, or `-` for standard input.
    pub name: String,
    /// Name of the format, one of those that `perjury list formats` shows.
    pub format: &'static str,
}

/// One event of the nemesis.
#[derive(Clone, Debug)]
pub struct FaultEvent {
    /// Nanoseconds since the run began, or [`NO_TIME`](crate::NO_TIME).
    pub time: i64,
    /// How many client events stood before it.
    pub rank: u32,
    /// What kind: `partition`, `pause`, `start` …
    pub f: String,
    /// Number of the fault, where the history says which events belong together.
    pub fault: Option<u32>,
    /// Phase, where the history says it.
    pub phase: Option<Phase>,
    /// What was done, to whom.
    pub value: Value,
    /// Line in the source.
    pub line: u32,
}

/// The life of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It was done.
    Inject,
    /// It was seen to bite.
    Bit,
    /// Its undoing began.
    Heal,
    /// It was seen to be gone.
    Healed,
}

impl Phase {
    /// As it stands in a file: `inject`, `bit`, `heal`, `healed`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Inject => "inject",
            Phase::Bit => "bit",
            Phase::Heal => "heal",
            Phase::Healed => "healed",
        }
    }

    /// The phase of that name.
    pub fn named(name: &str) -> Option<Phase> {
        [Phase::Inject, Phase::Bit, Phase::Heal, Phase::Healed].into_iter().find(|phase| phase.name() == name)
    }
}

/// Why something is not a history: one place, what should stand there, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The file's path, or `-`.
    pub file: String,
    /// Line, from 1; 0 if it is about the whole file.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
    /// What was expected there.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: expected {}, found {}", self.file, self.expected, self.found);
        }
        write!(
            f,
            "{}:{}:{}: expected {}, found {}",
            self.file, self.line, self.column, self.expected, self.found
        )
    }
}

impl std::error::Error for Malformed {}
