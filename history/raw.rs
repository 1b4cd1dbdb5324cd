//! An event as the readers see it: its values are numbers already, so that a large file becomes a history
//! without one allocation per line.

use crate::event::{Event, Kind, Process};
use crate::history::Phase;
use crate::interner::{Interner, ValueId};
use crate::value::Value;

/// An event, its values interned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub line: u64,
    pub column: u64,
    pub index: Option<u64>,
    pub time: i64,
    pub process: RawProcess,
    pub kind: Kind,
    pub f: ValueId,
    /// `NULL` if there is none.
    pub key: ValueId,
    pub value: ValueId,
    /// `NULL` if there is none.
    pub error: ValueId,
    /// `NULL` if there is none.
    pub node: ValueId,
    pub session: Option<i64>,
    pub applied: Option<bool>,
    pub observed: Option<ValueId>,
    pub latency_ns: Option<u64>,
    pub due: Option<i64>,
    pub fault: Option<u32>,
    pub phase: Option<Phase>,
    /// Bytes that its values may take if they are stored, where they were not.
    pub weight: u32,
}

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawProcess {
    Client(i64),
    Other(ValueId),
}

/// Something that is no event, or no history, at the place that the caller knows.
#[derive(Debug, PartialEq)]
pub(crate) struct Wrong {
    pub expected: String,
    pub found: String,
}

impl Wrong {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Wrong {
        Wrong { expected: expected.into(), found: found.into() }
    }
}

impl Raw {
    pub(crate) fn is_client(&self) -> bool {
        matches!(self.process, RawProcess::Client(_))
    }

    pub(crate) fn from_event(event: &Event, line: u64, values: &mut Interner) -> Raw {
        let mut id =
            |value: &Option<Value>| value.as_ref().map_or(ValueId::NULL, |value| values.intern(value));
        let (key, error) = (id(&event.key), id(&event.error));
        Raw {
            line,
            column: 1,
            index: event.index,
            time: event.time,
            process: match &event.process {
                Process::Client(number) => RawProcess::Client(*number),
                Process::Other(name) => RawProcess::Other(values.intern_text(name)),
            },
            kind: event.kind,
            f: values.intern_text(&event.f),
            key,
            value: values.intern(&event.value),
            error,
            node: event.node.as_ref().map_or(ValueId::NULL, |node| values.intern_text(node)),
            session: event.session,
            applied: event.applied,
            observed: event.observed.as_ref().map(|value| values.intern(value)),
            latency_ns: event.latency_ns,
            due: event.due,
            fault: event.fault,
            phase: event.phase,
            weight: 0,
        }
    }

    pub(crate) fn to_event(self, values: &Interner) -> Event {
        let some = |id: ValueId| if id == ValueId::NULL { None } else { Some(values.get(id).clone()) };
        Event {
            index: self.index,
            time: self.time,
            process: match self.process {
                RawProcess::Client(number) => Process::Client(number),
                RawProcess::Other(name) => Process::Other(text_of(values.get(name))),
            },
            kind: self.kind,
            f: text_of(values.get(self.f)),
            key: some(self.key),
            value: values.get(self.value).clone(),
            error: some(self.error),
            node: some(self.node).map(|node| text_of(&node)),
            session: self.session,
            applied: self.applied,
            observed: self.observed.map(|id| values.get(id).clone()),
            latency_ns: self.latency_ns,
            due: self.due,
            fault: self.fault,
            phase: self.phase,
        }
    }
}

/// A text as it is, anything else as a person reads it.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_string)
}
