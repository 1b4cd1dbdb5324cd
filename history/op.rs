//! One operation: an invocation with what became of it.

use crate::interner::ValueId;

/// A rank that no event has: the return of an operation that was never answered.
pub const NEVER: u32 = u32::MAX;

/// A time that was not recorded.
pub const NO_TIME: i64 = i64::MIN;

/// What the client was told in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened, between invocation and return.
    Ok,
    /// It did not happen, ever.
    Fail,
    /// Nobody knows: it may have happened, at any time after its invocation, or never.
    Info,
}

/// What an `ok` says beside its value: whether the operation changed anything (`"applied"` in the file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Applied {
    /// The event does not say, which means that it did what it was asked to.
    #[default]
    Unsaid,
    /// It did what it was asked to.
    Yes,
    /// It compared false, or found the lock held: an observation, without effect.
    No,
}

/// An operation. Values are numbers in the history's [`Interner`](crate::Interner), processes and sessions are dense.
///
/// ```text
///   rank   0      1      2      3
///   P0     |--invoke.0----ret.2-|          invoke=0 ret=2
///   P1            |------------ …          invoke=1 ret=NEVER, outcome Info
/// ```
/// `a` really came before `b` exactly when `a.ret < b.invoke`.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Rank of the invocation among all client events of the history.
    pub invoke: u32,
    /// Rank of the `ok` or `fail`; [`NEVER`] if `outcome` is `Info`.
    pub ret: u32,
    /// Dense number of the process; its name is in `History::processes`.
    pub process: u32,
    /// The function: `read`, `write`, `cas` … as a text value.
    pub f: ValueId,
    /// The key, or [`ValueId::NULL`] where the event names none.
    pub key: ValueId,
    /// What was asked: the value of the invocation.
    pub input: ValueId,
    /// What was answered: the value of the completion ([`ValueId::NULL`] if there was none).
    pub output: ValueId,
    /// What the client was told.
    pub outcome: Outcome,
    /// Whether an `ok` says that it had no effect.
    pub applied: Applied,
    /// The value that an unapplied operation saw instead (`"observed"`), if the event tells.
    pub observed: Option<ValueId>,
    /// The error of a `fail` or `info`, as the client saw it; [`ValueId::NULL`] if none.
    pub error: ValueId,
    /// The node that was asked, as a text value; [`ValueId::NULL`] if unknown.
    pub node: ValueId,
    /// Dense number of the session. Without a `session` field, the process is the session.
    pub session: u32,
    /// Nanoseconds since the run began, or [`NO_TIME`].
    pub invoke_time: i64,
    /// When the completion of any kind was recorded (for `Info`: when the client gave up), or [`NO_TIME`].
    pub ret_time: i64,
    /// Line of the invocation in the source, from 1.
    pub invoke_line: u32,
    /// Line of the completion in the source; 0 if there was none.
    pub ret_line: u32,
}

impl Op {
    /// Whether this operation returned before `other` was invoked.
    pub fn before(&self, other: &Op) -> bool {
        self.ret < other.invoke
    }
}
