//! Methods that decide what they apply to in O(n) or O(n log n), without a search.
//!
//! A model offers one with [`Model::exact`](crate::Model::exact), which first looks in one pass whether the history is
//! of the kind that the method decides. What it finds is never believed: it becomes a verdict when
//! [`certify`](crate::certify) accepts the evidence, and otherwise the general search decides and a warning says so
//! (`docs/methods.md`).

mod appends;
mod bisect;
mod cell;
mod clusters;
mod contents;
mod counter;
mod covers;
mod delivered;
mod elements;
mod evidence;
mod fatal;
mod fenced;
mod fifo;
mod forced;
mod groups;
mod grow_set;
mod guarded;
mod held;
mod holders;
mod logs;
mod mutex;
mod numbers;
mod permits;
mod ranks;
mod refusals;
mod sources;
mod stacked;
mod stretches;
mod sums;
mod versions;
mod watched;
mod zones;

pub(crate) use appends::{Text, appends};
pub(crate) use bisect::bisected;
pub(crate) use cell::cell;
pub(crate) use counter::{counter, ranges};
pub(crate) use delivered::delivered;
pub(crate) use fatal::Decision;
pub(crate) use fenced::fenced;
pub(crate) use fifo::fifo;
pub(crate) use forced::{Place, answered, in_places};
pub(crate) use grow_set::grow_set;
pub(crate) use held::{Held, bag, heard_of, priority_queue};
pub(crate) use logs::{Logged, logs};
pub(crate) use mutex::mutex;
pub(crate) use permits::permits;
pub(crate) use ranks::by_rank;
pub(crate) use stacked::{stack, stack_heard_of};
pub(crate) use sums::{Summed, sums};
pub(crate) use versions::{Said, versions};
pub(crate) use watched::{Watched, watched};
pub(crate) use zones::Zones;

/// What a method found about the operations of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact {
    /// How the method is called in results: `zones`, `forced order` …
    pub method: &'static str,
    /// What it found.
    pub found: Finding,
}

/// The answer of a method. All numbers are indices in the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A legal order that keeps real time. Indeterminate operations that never took effect are absent.
    Order(Vec<u32>),
    /// There is none.
    Violated {
        /// Already the operations up to the return of this one have no order, and up to any earlier return they have.
        fatal: u32,
        /// Operations known at that return that show it, in any order; what the model demands in addition is added
        /// when the core is made minimal.
        core: Vec<u32>,
    },
}
