//! An event as the readers see it: its values are numbers already, so that a large file becomes a history
//! without one allocation per line.

use crate::event::{Event, Kind, Process};
use crate::history::Phase;
use crate::interner::{Interner, ValueId};
use crate::op::NO_TIME;
use crate::scan::{Atom, Fail, brief};
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
    pub fault: Option<u32>,
    pub phase: Option<Phase>,
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

    /// Splits the value `[k v]` of a client's event into key and value.
    pub(crate) fn unwrap_independent(&mut self, values: &mut Interner) -> Result<(), Wrong> {
        if !self.is_client() {
            return Ok(());
        }
        if self.key != ValueId::NULL {
            let key = brief(values.get(self.key));
            return Err(Wrong::new(
                "a [key value] pair (--independent) and no key beside it",
                format!("the key {key}"),
            ));
        }
        let (key, value) = match values.get(self.value) {
            Value::List(items) if items.len() == 2 => (items[0].clone(), items[1].clone()),
            other => return Err(Wrong::new("a [key value] pair as value (--independent)", brief(other))),
        };
        self.key = values.intern(&key);
        self.value = values.intern(&value);
        Ok(())
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
            fault: event.fault,
            phase: event.phase,
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
            fault: self.fault,
            phase: self.phase,
        }
    }
}

/// A text as it is, anything else as a person reads it.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_string)
}

/// The fields that we know. All others are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Index,
    Time,
    Process,
    Type,
    F,
    Key,
    Value,
    Error,
    Node,
    Session,
    Applied,
    Observed,
    Latency,
    Fault,
    Phase,
}

impl Field {
    pub(crate) fn named(name: &str) -> Option<Field> {
        Some(match name {
            "index" => Field::Index,
            "time" => Field::Time,
            "process" => Field::Process,
            "type" => Field::Type,
            "f" => Field::F,
            "key" => Field::Key,
            "value" => Field::Value,
            "error" => Field::Error,
            "node" => Field::Node,
            "session" => Field::Session,
            "applied" => Field::Applied,
            "observed" => Field::Observed,
            "latency_ns" | "latency-ns" => Field::Latency,
            "fault" => Field::Fault,
            "phase" => Field::Phase,
            _ => return None,
        })
    }
}

/// An event that is being put together, field by field in any order.
pub(crate) struct Draft {
    raw: Raw,
    seen: u32,
    /// Whether it is somebody else's file, where `phase`, `fault` … may mean anything.
    foreign: bool,
}

impl Draft {
    pub(crate) fn new(foreign: bool) -> Draft {
        let raw = Raw {
            line: 0,
            column: 0,
            index: None,
            time: NO_TIME,
            process: RawProcess::Other(ValueId::NULL),
            kind: Kind::Info,
            f: ValueId::NULL,
            key: ValueId::NULL,
            value: ValueId::NULL,
            error: ValueId::NULL,
            node: ValueId::NULL,
            session: None,
            applied: None,
            observed: None,
            latency_ns: None,
            fault: None,
            phase: None,
        };
        Draft { raw, seen: 0, foreign }
    }

    /// Notes a field.
    ///
    /// # Errors
    /// What the field should be, if it cannot be the `atom` that stands at offset `at`.
    pub(crate) fn set(
        &mut self,
        field: Field,
        at: usize,
        atom: &Atom<'_>,
        values: &mut Interner,
    ) -> Result<(), Fail> {
        let bit = 1 << field as u32;
        if self.seen & bit != 0 {
            return Err(Fail::new(at, "each field once").found(format!("a second {field:?}").to_lowercase()));
        }
        self.seen |= bit;
        self.fill(field, bit, atom, values)
            .map_err(|expected| Fail::new(at, expected).found(brief(&atom.to_value())))
    }

    fn fill(
        &mut self,
        field: Field,
        bit: u32,
        atom: &Atom<'_>,
        values: &mut Interner,
    ) -> Result<(), &'static str> {
        let raw = &mut self.raw;
        match field {
            Field::Value => raw.value = atom.intern(values),
            Field::Key => raw.key = atom.intern(values),
            Field::Error => raw.error = atom.intern(values),
            Field::Observed => raw.observed = Some(atom.intern(values)),
            Field::Time => match atom {
                // Jepsen's word for "not recorded".
                Atom::Int(-1) if self.foreign => {}
                Atom::Int(time) if *time != NO_TIME => raw.time = *time,
                Atom::Null => {}
                _ => return Err("a time in nanoseconds (a whole number of 64 bits)"),
            },
            Field::Index => match atom {
                Atom::Int(index) if *index >= 0 => raw.index = Some(*index as u64),
                _ if self.foreign => {}
                Atom::Null => {}
                _ => return Err("an index (a whole number from 0)"),
            },
            Field::Process => match atom {
                Atom::Int(number) => raw.process = RawProcess::Client(*number),
                Atom::Text(name) => raw.process = RawProcess::Other(values.intern_text(name)),
                Atom::Bool(_) | Atom::Pair(_) | Atom::Other(Value::List(_) | Value::Map(_))
                    if self.foreign =>
                {
                    raw.process = RawProcess::Other(atom.intern(values));
                }
                _ => return Err("a process (a whole number of 64 bits, or a name such as nemesis)"),
            },
            Field::Type => match atom {
                Atom::Text(name) => raw.kind = kind_named(name).ok_or("a type (invoke, ok, fail or info)")?,
                _ => return Err("a type (invoke, ok, fail or info)"),
            },
            Field::F => match atom {
                Atom::Text(name) => raw.f = values.intern_text(name),
                Atom::Null => self.seen &= !bit,
                _ if self.foreign => {
                    let text = text_of(&atom.to_value());
                    raw.f = values.intern_text(&text);
                }
                _ => return Err("the name of a function (a string)"),
            },
            Field::Node => match atom {
                Atom::Text(name) => raw.node = values.intern_text(name),
                Atom::Null => {}
                _ if self.foreign => {
                    let text = text_of(&atom.to_value());
                    raw.node = values.intern_text(&text);
                }
                _ => return Err("the name of a node (a string)"),
            },
            Field::Session => match atom {
                Atom::Int(session) => raw.session = Some(*session),
                Atom::Null => {}
                _ if self.foreign => {}
                _ => return Err("a session (a whole number of 64 bits)"),
            },
            Field::Applied => match atom {
                Atom::Bool(applied) => raw.applied = Some(*applied),
                Atom::Null => {}
                _ => return Err("true or false (whether it had an effect)"),
            },
            Field::Latency => match atom {
                Atom::Int(latency) if *latency >= 0 => raw.latency_ns = Some(*latency as u64),
                Atom::Null => {}
                _ if self.foreign => {}
                _ => return Err("a latency in nanoseconds (a whole number from 0)"),
            },
            Field::Fault => match atom {
                Atom::Int(fault) if u32::try_from(*fault).is_ok() => raw.fault = Some(*fault as u32),
                Atom::Null => {}
                _ if self.foreign => {}
                _ => return Err("the number of a fault (a whole number of 32 bits)"),
            },
            Field::Phase => match atom {
                Atom::Text(name) if Phase::named(name).is_some() => raw.phase = Phase::named(name),
                Atom::Null => {}
                _ if self.foreign => {}
                _ => return Err("a phase (inject, bit, heal or healed)"),
            },
        }
        Ok(())
    }

    /// The event, if it has all that an event must have.
    pub(crate) fn finish(mut self, values: &mut Interner) -> Result<Raw, Wrong> {
        let has = |field: Field| self.seen & (1 << field as u32) != 0;
        for (field, name) in [(Field::Type, "type"), (Field::Process, "process")] {
            if !has(field) {
                return Err(Wrong::new(format!("an event with the field `{name}`"), "one without"));
            }
        }
        if !has(Field::F) {
            // A nemesis of somebody else may do what it likes, and Elle's old files are all transactions.
            self.raw.f = match values.get(self.raw.value) {
                _ if self.foreign && !self.raw.is_client() => values.intern_text(""),
                Value::List(ops) if self.foreign && ops.iter().all(|op| op.as_list().is_some()) => {
                    values.intern_text("txn")
                }
                _ => return Err(Wrong::new("an event with the field `f`", "one without")),
            };
        }
        Ok(self.raw)
    }
}

pub(crate) fn kind_named(name: &str) -> Option<Kind> {
    Some(match name {
        "invoke" => Kind::Invoke,
        "ok" => Kind::Ok,
        "fail" => Kind::Fail,
        "info" => Kind::Info,
        _ => return None,
    })
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
