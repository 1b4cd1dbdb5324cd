//! What each operation of a history did, in the few verbs that the kinds of anomaly are defined by.
//!
//! Decided from names and values alone, so that a kind can be told over the whole history without running a model.

use super::acts::Words;
use crate::spec::{ModelName, NilRead, Spec};
use history::{History, ValueId};

/// The shapes of object that explanations know more about than that no order exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Values are written, read and compared, with versions or without.
    Register,
    /// Elements are added, maybe removed, and looked for.
    Set,
    /// Values are appended, and read with their places.
    Log,
    /// Elements are put in and taken out.
    Queue,
    /// Numbers are added and the sum is told.
    Counter,
    /// A lock is acquired and released, and may hand out tokens.
    Lock,
    /// Permits are acquired and released.
    Permits,
    /// Ids are handed out.
    Ids,
    /// Changes have revisions, and are told to whoever watches.
    Watch,
}

impl Family {
    /// Of each model.
    pub(crate) fn of(model: ModelName) -> Family {
        match model {
            ModelName::Register
            | ModelName::CasRegister
            | ModelName::VersionedRegister
            | ModelName::RevisionRegister
            | ModelName::MultiRegister
            | ModelName::Kv => Family::Register,
            ModelName::Set | ModelName::ElementSet => Family::Set,
            ModelName::ListAppend | ModelName::AppendLog => Family::Log,
            ModelName::Queue
            | ModelName::Bag
            | ModelName::Delivery
            | ModelName::Stack
            | ModelName::PriorityQueue => Family::Queue,
            ModelName::Counter | ModelName::FetchAdd => Family::Counter,
            ModelName::Mutex | ModelName::Lock => Family::Lock,
            ModelName::Semaphore => Family::Permits,
            ModelName::UniqueIds | ModelName::MonotonicIds => Family::Ids,
            ModelName::Watch => Family::Watch,
        }
    }
}

/// How to call an object of the model that has no key.
pub(crate) fn noun(model: ModelName) -> &'static str {
    match Family::of(model) {
        Family::Register => "the register",
        Family::Set => "the set",
        Family::Log => "the list",
        Family::Queue => match model {
            ModelName::Bag => "the bag",
            ModelName::Stack => "the stack",
            _ => "the queue",
        },
        Family::Counter => "the counter",
        Family::Lock => "the lock",
        Family::Permits => "the semaphore",
        Family::Ids => "the generator",
        Family::Watch => "the store",
    }
}

/// Which of two elements is taken out first, if both are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The one that was put in first.
    First,
    /// The one that was put in last.
    Last,
    /// The smaller one.
    Smallest,
    /// Either.
    Any,
}

/// Whether an effect took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It was acknowledged.
    Yes,
    /// Nobody knows.
    Maybe,
    /// It was refused: never.
    No,
}

/// One thing that an operation did to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It saw `value`: a read, the comparison of a cas, a taking out (null: empty), all members of a set or list.
    Saw(ValueId),
    /// It put `value` there: a write, the exchange of a cas, an add, an enqueue, an append.
    Put(ValueId),
    /// It put a value there that its own transaction replaced.
    Passed(ValueId),
    /// It changed something that values alone do not tell: an append to a string, a taking out that nobody heard of.
    Changed,
    /// It saw which element would be taken next (null: none), and left it there.
    Looked(ValueId),
    /// It was told that these were all, after it had seen each of them.
    Drained(ValueId),
    /// It was told whether this element is in.
    Told(ValueId, bool),
    /// It took this element out of a set.
    Removed(ValueId),
    /// It saw what stands at this place (null: nothing yet).
    At(i64, ValueId),
    /// It was told a number, and whether it made it: an id, a version, the length of a list.
    Number(i64, Made),
    /// It was told this sum.
    Sum(i64),
    /// It added this to a sum.
    Added(i64),
    /// It got the lock, with this token or null.
    Acquired(ValueId),
    /// It gave the lock back.
    Released(ValueId),
    /// The resource behind a lock let this `[token, value]` in.
    Guarded(ValueId),
    /// It was told these changes.
    Watched(ValueId),
}

/// Where a number comes from that an operation was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// The operation made it.
    Here,
    /// It found it.
    Before,
}

impl Act {
    /// Whether it tells something about the state.
    pub(crate) fn observes(self) -> bool {
        match self {
            Act::Saw(_)
            | Act::Looked(_)
            | Act::Drained(_)
            | Act::Told(..)
            | Act::At(..)
            | Act::Number(..)
            | Act::Sum(_)
            | Act::Acquired(_)
            | Act::Guarded(_)
            | Act::Watched(_) => true,
            Act::Put(_)
            | Act::Passed(_)
            | Act::Changed
            | Act::Removed(_)
            | Act::Added(_)
            | Act::Released(_) => false,
        }
    }

    /// Whether it may have changed the state.
    pub(crate) fn changes(self) -> bool {
        match self {
            Act::Put(_)
            | Act::Passed(_)
            | Act::Changed
            | Act::Removed(_)
            | Act::Added(_)
            | Act::Number(_, Made::Here)
            | Act::Acquired(_)
            | Act::Released(_)
            | Act::Guarded(_) => true,
            Act::Saw(_)
            | Act::Looked(_)
            | Act::Drained(_)
            | Act::Told(..)
            | Act::At(..)
            | Act::Number(_, Made::Before)
            | Act::Sum(_)
            | Act::Watched(_) => false,
        }
    }
}

/// An act with who did it and whether it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// Index into the ops of the history.
    pub(crate) op: u32,
    pub(crate) key: ValueId,
    pub(crate) happened: Happened,
    pub(crate) act: Act,
}

/// How the answers are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) family: Family,
    pub(crate) model: ModelName,
    /// Whether a read of null says nothing.
    pub(crate) nil_unknown: bool,
}

impl Reading {
    pub(crate) fn of(spec: &Spec) -> Reading {
        Reading {
            family: Family::of(spec.model),
            model: spec.model,
            nil_unknown: spec.nil_read == NilRead::Unknown,
        }
    }

    /// Whether the lock is a lease with fencing tokens.
    pub(crate) fn lease(self) -> bool {
        self.model == ModelName::Lock
    }

    /// Whether a missing key and an empty string are the same, and numbers are their digits.
    pub(crate) fn strings(self) -> bool {
        self.model == ModelName::Kv
    }

    /// Whether values of registers stand in pairs with their versions.
    pub(crate) fn versions(self) -> bool {
        matches!(self.model, ModelName::VersionedRegister | ModelName::RevisionRegister)
    }

    /// Whether the numbers that operations are told only grow; else they only differ.
    pub(crate) fn grows(self) -> bool {
        self.model != ModelName::UniqueIds
    }

    /// Whether a message may come again.
    pub(crate) fn again(self) -> bool {
        self.model == ModelName::Delivery
    }

    /// Which element is taken out first.
    pub(crate) fn due(self) -> Due {
        match self.model {
            ModelName::Queue => Due::First,
            ModelName::Stack => Due::Last,
            ModelName::PriorityQueue => Due::Smallest,
            _ => Due::Any,
        }
    }
}

/// The facts of the whole history about the keys of `core` (about every key for transactions), by invocation. O(n).
pub(crate) fn facts(history: &History, core: &[u32], reading: Reading) -> Vec<Fact> {
    let mut keys: Vec<ValueId> = core.iter().map(|&i| history.ops[i as usize].key).collect();
    keys.sort_unstable();
    keys.dedup();
    let words = Words::new(history, &keys, reading);
    let mut facts = Vec::new();
    for (index, op) in history.ops.iter().enumerate() {
        if keys.binary_search(&op.key).is_ok() {
            words.acts(history, op, index as u32, reading, &mut facts);
        }
    }
    facts
}
