//! Puts an event together from its fields, in whatever order they stand.

use crate::event::Kind;
use crate::history::Phase;
use crate::interner::{Interner, ValueId};
use crate::op::NO_TIME;
use crate::raw::{Raw, RawProcess, Wrong, text_of};
use crate::scan::{Atom, Fail, brief};
use crate::value::Value;

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
    Due,
    Fault,
    Phase,
}

impl Field {
    pub(crate) fn named(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"index" => Field::Index,
            b"time" => Field::Time,
            b"process" => Field::Process,
            b"type" => Field::Type,
            b"f" => Field::F,
            b"key" => Field::Key,
            b"value" => Field::Value,
            b"error" => Field::Error,
            b"node" => Field::Node,
            b"session" => Field::Session,
            b"applied" => Field::Applied,
            b"observed" => Field::Observed,
            b"latency_ns" | b"latency-ns" => Field::Latency,
            b"due" => Field::Due,
            b"fault" => Field::Fault,
            b"phase" => Field::Phase,
            _ => return None,
        })
    }
}

/// An event that is being put together, field by field in any order.
///
/// What a client sent and saw is numbered only when all is read, and it is known whether anybody wants it.
pub(crate) struct Draft<'a> {
    /// Everything else. Its key, value, error and observed value are not set yet.
    pub raw: Raw,
    pub key: Atom<'a>,
    pub value: Atom<'a>,
    pub error: Atom<'a>,
    pub observed: Option<Atom<'a>>,
    seen: u32,
    /// Whether it is somebody else's file, where `phase`, `fault` … may mean anything.
    foreign: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(foreign: bool) -> Draft<'a> {
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
            due: None,
            fault: None,
            phase: None,
            weight: 0,
        };
        let (key, value, error) = (Atom::Null, Atom::Null, Atom::Null);
        Draft { raw, key, value, error, observed: None, seen: 0, foreign }
    }

    /// Notes a field.
    ///
    /// # Errors
    /// What the field should be, if it cannot be the `atom` that stands at offset `at`.
    pub(crate) fn set(
        &mut self,
        field: Field,
        at: usize,
        atom: Atom<'a>,
        values: &mut Interner,
    ) -> Result<(), Fail> {
        let bit = 1 << field as u32;
        if self.seen & bit != 0 {
            return Err(Fail::new(at, "each field once").found(format!("a second {field:?}").to_lowercase()));
        }
        self.seen |= bit;
        match field {
            Field::Value => self.value = atom,
            Field::Key => self.key = atom,
            Field::Error => self.error = atom,
            Field::Observed => self.observed = Some(atom),
            Field::Index
            | Field::Time
            | Field::Process
            | Field::Type
            | Field::F
            | Field::Node
            | Field::Session
            | Field::Applied
            | Field::Latency
            | Field::Due
            | Field::Fault
            | Field::Phase => self
                .fill(field, bit, &atom, values)
                .map_err(|expected| Fail::new(at, expected).found(brief(&atom.to_value())))?,
        }
        Ok(())
    }

    /// Notes that a field was seen; not if it was seen before.
    #[inline(always)]
    pub(crate) fn sees(&mut self, field: Field) -> bool {
        let bit = 1 << field as u32;
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first
    }

    /// Whether all that an event must have was seen.
    #[inline(always)]
    pub(crate) fn complete(&self) -> bool {
        const NEEDED: u32 = 1 << Field::Type as u32 | 1 << Field::Process as u32 | 1 << Field::F as u32;
        self.seen & NEEDED == NEEDED
    }

    /// Notes a field that is judged at once.
    fn fill(
        &mut self,
        field: Field,
        bit: u32,
        atom: &Atom<'_>,
        values: &mut Interner,
    ) -> Result<(), &'static str> {
        let raw = &mut self.raw;
        match field {
            Field::Value | Field::Key | Field::Error | Field::Observed => unreachable!("set keeps these"),
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
                Atom::Text(name) => {
                    raw.kind = Kind::named(name).ok_or("a type (invoke, ok, fail or info)")?
                }
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
            Field::Due => match atom {
                Atom::Int(due) => raw.due = Some(*due),
                Atom::Null => {}
                _ if self.foreign => {}
                _ => return Err("the time at which it was due, in nanoseconds (a whole number of 64 bits)"),
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

    /// Whether it has all that an event must have; if so, it is complete but for its place and its values.
    pub(crate) fn finish(&mut self, values: &mut Interner) -> Result<(), Wrong> {
        let has = |field: Field| self.seen & (1 << field as u32) != 0;
        for (field, name) in [(Field::Type, "type"), (Field::Process, "process")] {
            if !has(field) {
                return Err(Wrong::new(format!("an event with the field `{name}`"), "one without"));
            }
        }
        if !has(Field::F) {
            // A nemesis of somebody else may do what it likes, and Elle's old files are all transactions.
            self.raw.f = match &self.value {
                _ if self.foreign && !self.raw.is_client() => values.intern_text(""),
                Atom::Other(Value::List(ops))
                    if self.foreign && ops.iter().all(|op| op.as_list().is_some()) =>
                {
                    values.intern_text("txn")
                }
                _ => return Err(Wrong::new("an event with the field `f`", "one without")),
            };
        }
        Ok(())
    }

    /// Splits the value `[k v]` of a client's event into key and value.
    pub(crate) fn unwrap_independent(&mut self) -> Result<(), Wrong> {
        if !self.raw.is_client() {
            return Ok(());
        }
        if !matches!(self.key, Atom::Null) {
            let expected = "a [key value] pair (--independent) and no key beside it";
            return Err(Wrong::new(expected, format!("the key {}", brief(&self.key.to_value()))));
        }
        let (key, value) = match &mut self.value {
            Atom::Pair([key, value]) => (Atom::Int(*key), Atom::Int(*value)),
            Atom::Other(Value::List(items)) if items.len() == 2 => {
                let mut take = |i: usize| Atom::of(std::mem::replace(&mut items[i], Value::Null));
                (take(0), take(1))
            }
            other => {
                let expected = "a [key value] pair as value (--independent)";
                return Err(Wrong::new(expected, brief(&other.to_value())));
            }
        };
        (self.key, self.value) = (key, value);
        Ok(())
    }

    /// Bytes that the values may take if they are stored; equal ones are counted each time.
    pub(crate) fn weigh(&mut self) {
        let observed = self.observed.as_ref().map_or(0, Atom::bytes);
        let bytes = self.value.bytes() + self.error.bytes() + observed;
        self.raw.weight = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// Numbers the values.
    pub(crate) fn number(&mut self, values: &mut Interner) {
        self.raw.key = self.key.intern(values);
        self.raw.value = self.value.intern(values);
        self.raw.error = self.error.intern(values);
        self.raw.observed = self.observed.as_ref().map(|atom| atom.intern(values));
    }
}
