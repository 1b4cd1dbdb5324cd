//! Half an operation, or one act of the nemesis: a line of `history.jsonl`.

use crate::history::Phase;
use crate::value::Value;

/// Who an event belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// A client process: one session, at most one open call.
    Client(i64),
    /// Anything else that writes into the history: `nemesis`.
    Other(String),
}

/// What happened at this instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The call is about to be handed to the client.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen, ever.
    Fail,
    /// Nobody knows; and everything that the nemesis does.
    Info,
}

impl Kind {
    /// As it stands in a file: `invoke`, `ok`, `fail`, `info`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Kind> {
        [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info].into_iter().find(|kind| kind.name() == name)
    }
}

/// One event, owned: what recorders write and converters pass on. (Readers of large files do not build these.)
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Position in the file, from 0, if written.
    pub index: Option<u64>,
    /// Nanoseconds since the run began, or [`NO_TIME`](crate::NO_TIME).
    pub time: i64,
    /// Whose event it is.
    pub process: Process,
    /// Which half it is.
    pub kind: Kind,
    /// The function.
    pub f: String,
    /// The key, if the function has one.
    pub key: Option<Value>,
    /// Argument of an invocation, result of an `ok`, argument again otherwise.
    pub value: Value,
    /// Error of a `fail` or `info`.
    pub error: Option<Value>,
    /// Node that was asked.
    pub node: Option<String>,
    /// Session, where it is not the process.
    pub session: Option<i64>,
    /// Whether an `ok` had an effect, if it says so.
    pub applied: Option<bool>,
    /// What an unapplied operation saw instead.
    pub observed: Option<Value>,
    /// The worker's own measurement; never orders anything.
    pub latency_ns: Option<u64>,
    /// When an invocation was meant to be made, in nanoseconds since the run began: before its time by as long as no
    /// worker was free for it. Orders nothing.
    pub due: Option<i64>,
    /// Number of the fault.
    pub fault: Option<u32>,
    /// Phase of the fault.
    pub phase: Option<Phase>,
}

impl Event {
    /// An event of a client, with everything optional absent.
    pub fn client(time: i64, process: i64, kind: Kind, f: &str, key: Option<Value>, value: Value) -> Event {
        Event {
            index: None,
            time,
            process: Process::Client(process),
            kind,
            f: f.to_string(),
            key,
            value,
            error: None,
            node: None,
            session: None,
            applied: None,
            observed: None,
            latency_ns: None,
            due: None,
            fault: None,
            phase: None,
        }
    }
}
