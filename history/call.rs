//! What a client is asked to do, and what it makes of the answer.

use crate::value::Value;

/// A request in the words of the workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function: `read`, `write`, `cas` …
    pub f: String,
    /// The key, where the function has one.
    pub key: Option<Value>,
    /// The argument; `Null` for a read.
    pub value: Value,
}

/// What became of a call. In doubt, `Info`: a wrong `Fail` makes an innocent system guilty.
#[derive(Clone, Debug, PartialEq)]
pub enum Completion {
    /// It happened, and this is the result.
    Ok {
        /// The result: what was read, or the argument again.
        value: Value,
        /// Said by operations that can succeed without effect: a cas that compared false, a lock that is held.
        applied: Option<bool>,
        /// What such an operation saw instead, where the system tells.
        observed: Option<Value>,
    },
    /// It did not happen, ever: refused before it was sent, or refused by an answer that says so.
    Fail(String),
    /// It may have happened, now or at any later time.
    Info {
        /// What the client saw: `deadline exceeded`, `connection reset` …
        error: String,
        /// Whether an answer may still arrive on the open connection.
        late: bool,
    },
}

impl Completion {
    /// `Ok` with a value and nothing else to say.
    pub fn ok(value: Value) -> Completion {
        Completion::Ok { value, applied: None, observed: None }
    }

    /// `Info` after which nothing more can arrive.
    pub fn lost(error: impl Into<String>) -> Completion {
        Completion::Info { error: error.into(), late: false }
    }
}
