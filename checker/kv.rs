//! One key of a key-value store: a string that is read, replaced and appended to.
//!
//! A missing key holds the empty string: a get that answers null and one that answers "" say the same.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::model::{Access, IllFormed, Model};
use crate::sources::Sees;
use crate::spec::{NilRead, Setup, Specified};
use history::{Interner, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// One key.
#[derive(Clone, Debug)]
pub struct Kv {
    initial: Arc<str>,
    nil_read: NilRead,
    strings: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

/// What a client did with a key. The numbers are those of the model's strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// It read this string.
    Get(u32),
    /// It replaced whatever there was by this string.
    Put(u32),
    /// It wrote this string behind whatever there was.
    Append(u32),
}

impl Kv {
    /// A key that holds `initial`.
    pub fn new(initial: &str, nil_read: NilRead) -> Kv {
        Kv { initial: initial.into(), nil_read, strings: Vec::new(), numbers: FxHashMap::default() }
    }

    fn string(&mut self, values: &Interner, id: ValueId, output: bool) -> Result<u32, IllFormed> {
        let value = values.get(id);
        let text = plain(value).ok_or_else(|| refuse("a string or a number", value, output))?;
        if let Some(&number) = self.numbers.get(&text) {
            return Ok(number);
        }
        let number = self.strings.len() as u32;
        self.strings.push(text.clone());
        self.numbers.insert(text, number);
        Ok(number)
    }
}

/// The string that a value stands for.
fn plain(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Null => Some("".into()),
        Value::Text(text) => Some((**text).into()),
        Value::Bool(_) | Value::Int(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::List(_) | Value::Map(_) => None,
    }
}

impl Specified for Kv {
    fn setup(setup: &mut Setup<'_>) -> Result<Kv, String> {
        let initial = setup.spec.initial.as_ref().unwrap_or(&Value::Null);
        let text = plain(initial).ok_or_else(|| format!("--initial: expected a string, found {initial}"))?;
        Ok(Kv::new(&text, setup.spec.nil_read))
    }
}

impl Model for Kv {
    type State = Arc<str>;
    type Op = KvOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<KvOp>, IllFormed> {
        let f = function(values, op)?;
        match f {
            "get" => {
                must_apply(op, "get")?;
                Ok(match op.outcome {
                    Outcome::Fail | Outcome::Info => None,
                    Outcome::Ok if op.output == ValueId::NULL && self.nil_read == NilRead::Unknown => None,
                    Outcome::Ok => Some(KvOp::Get(self.string(values, op.output, true)?)),
                })
            }
            "put" | "append" => {
                let put = f == "put";
                must_apply(op, f)?;
                let string = self.string(values, op.input, false)?;
                let decoded = if put { KvOp::Put(string) } else { KvOp::Append(string) };
                Ok((op.outcome != Outcome::Fail).then_some(decoded))
            }
            f => Err(unknown("get, put or append", f)),
        }
    }

    fn init(&self) -> Arc<str> {
        self.initial.clone()
    }

    fn step(&self, state: &Arc<str>, op: KvOp, out: &mut impl FnMut(Arc<str>)) {
        match op {
            KvOp::Get(s) => {
                if **state == *self.strings[s as usize] {
                    out(state.clone());
                }
            }
            KvOp::Put(s) => out(self.strings[s as usize].clone()),
            KvOp::Append(s) => out([&**state, &*self.strings[s as usize]].concat().into()),
        }
    }

    fn is_pure(&self, op: KvOp) -> bool {
        match op {
            KvOp::Get(_) => true,
            KvOp::Put(_) | KvOp::Append(_) => false,
        }
    }

    fn is_blind(&self, op: KvOp) -> bool {
        match op {
            KvOp::Put(_) => true,
            KvOp::Get(_) | KvOp::Append(_) => false,
        }
    }

    /// Appends depend on what they find, so a key that is appended to is no cell.
    fn access(&self, op: KvOp) -> Option<Access> {
        match op {
            KvOp::Get(n) => Some(Access { sees: Some(Sees::Is(ValueId(n))), leaves: None }),
            KvOp::Put(n) => Some(Access { sees: None, leaves: Some(ValueId(n)) }),
            KvOp::Append(_) => None,
        }
    }

    fn initial_value(&self) -> Option<ValueId> {
        // A string that no operation names has no number, and no operation can have seen it.
        Some(ValueId(self.numbers.get(&self.initial).copied().unwrap_or(u32::MAX)))
    }

    fn only_in(&self, op: KvOp) -> Option<Arc<str>> {
        match op {
            KvOp::Get(s) => Some(self.strings[s as usize].clone()),
            KvOp::Put(_) | KvOp::Append(_) => None,
        }
    }

    fn state_bytes(&self, state: &Arc<str>) -> usize {
        state.len() + 32
    }

    fn describe_op(&self, _: &Interner, op: KvOp) -> String {
        let s = |number: u32| &*self.strings[number as usize];
        match op {
            KvOp::Get(n) => format!("get → {:?}", s(n)),
            KvOp::Put(n) => format!("put {:?}", s(n)),
            KvOp::Append(n) => format!("append {:?}", s(n)),
        }
    }

    fn describe_state(&self, _: &Interner, state: &Arc<str>) -> String {
        format!("{state:?}")
    }

    fn describe_conflict(&self, _: &Interner, state: &Arc<str>, op: KvOp, object: &str) -> String {
        match op {
            KvOp::Get(n) => {
                format!("it read {:?}, but {object} holds {state:?}", &*self.strings[n as usize])
            }
            KvOp::Put(_) | KvOp::Append(_) => format!("nothing speaks against it: {object} holds {state:?}"),
        }
    }
}
