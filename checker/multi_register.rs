//! Several registers that transactions read and write together.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::model::{IllFormed, Model};
use crate::spec::{NilRead, Setup, Specified};
use history::{Interner, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Registers by key, all of them touched by transactions that join them.
#[derive(Clone, Debug)]
pub struct MultiRegister {
    initial: Vec<(Value, ValueId)>,
    nil_read: NilRead,
    keys: Vec<ValueId>,
    key_numbers: FxHashMap<ValueId, u32>,
    starts: Vec<ValueId>,
    txns: Vec<Arc<[Micro]>>,
    txn_numbers: FxHashMap<Arc<[Micro]>, u32>,
}

/// A transaction, as its number in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Txn(u32);

/// One read or write inside a transaction. Keys have dense numbers of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Micro {
    /// It read this value of this key.
    Read(u32, ValueId),
    /// It wrote this value to this key.
    Write(u32, ValueId),
}

impl MultiRegister {
    /// Registers that hold the values `initial`, or null where it names none.
    pub fn new(initial: Vec<(Value, ValueId)>, nil_read: NilRead) -> MultiRegister {
        MultiRegister {
            initial,
            nil_read,
            keys: Vec::new(),
            key_numbers: FxHashMap::default(),
            starts: Vec::new(),
            txns: Vec::new(),
            txn_numbers: FxHashMap::default(),
        }
    }

    /// The reads and writes of a transaction, in their order. A read whose answer was not heard is absent.
    pub fn micros(&self, txn: Txn) -> &[Micro] {
        &self.txns[txn.0 as usize]
    }

    /// The key behind a number of [`Micro`].
    pub fn key(&self, number: u32) -> ValueId {
        self.keys[number as usize]
    }

    fn key_number(&mut self, values: &Interner, key: ValueId) -> u32 {
        let next = self.keys.len() as u32;
        let number = *self.key_numbers.entry(key).or_insert(next);
        if number == next {
            self.keys.push(key);
            // Keys of a JSON map are strings, whatever they are in the history.
            let key = values.get(key);
            let text = key.to_string();
            let named = |k: &Value| k == key || k.as_text() == Some(&text);
            let start = self.initial.iter().find(|(k, _)| named(k)).map_or(ValueId::NULL, |(_, v)| *v);
            self.starts.push(start);
        }
        number
    }

    fn txn(&mut self, micros: Vec<Micro>) -> Txn {
        let micros: Arc<[Micro]> = micros.into();
        if let Some(&number) = self.txn_numbers.get(&micros) {
            return Txn(number);
        }
        let number = self.txns.len() as u32;
        self.txns.push(micros.clone());
        self.txn_numbers.insert(micros, number);
        Txn(number)
    }
}

/// A read (`Ok`) or write (`Err`) of a key as the history writes it.
pub(crate) struct WrittenMicro {
    pub(crate) write: bool,
    pub(crate) key: Value,
    pub(crate) value: Value,
}

/// The micro-operations that a value lists: `[["read", k, v], ["write", k, v] …]`, or `r` and `w` for short.
pub(crate) fn written(value: &Value, output: bool) -> Result<Vec<WrittenMicro>, IllFormed> {
    let expected = "a list of [\"read\", key, value] and [\"write\", key, value]";
    let items = value.as_list().ok_or_else(|| refuse(expected, value, output))?;
    items
        .iter()
        .map(|item| match item.as_list() {
            Some([f, key, value]) => match f.as_text() {
                Some("read" | "r") => {
                    Ok(WrittenMicro { write: false, key: key.clone(), value: value.clone() })
                }
                Some("write" | "w") => {
                    Ok(WrittenMicro { write: true, key: key.clone(), value: value.clone() })
                }
                _ => Err(refuse(expected, item, output)),
            },
            _ => Err(refuse(expected, item, output)),
        })
        .collect()
}

impl Specified for MultiRegister {
    fn setup(setup: &mut Setup<'_>) -> Result<MultiRegister, String> {
        let initial = match &setup.spec.initial {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Map(entries)) => {
                entries.iter().map(|(k, v)| (k.clone(), setup.values.intern(v))).collect()
            }
            Some(other) => return Err(format!("--initial: expected a map of keys to values, found {other}")),
        };
        Ok(MultiRegister::new(initial, setup.spec.nil_read))
    }
}

impl Model for MultiRegister {
    type State = Arc<[ValueId]>;
    type Op = Txn;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<Txn>, IllFormed> {
        match function(values, op)? {
            "txn" => must_apply(op, "txn")?,
            f => return Err(unknown("txn", f)),
        }
        let asked = written(values.get(op.input), false)?;
        let answered = match op.outcome {
            Outcome::Ok => written(values.get(op.output), true)?,
            Outcome::Fail | Outcome::Info => Vec::new(),
        };
        let same = |(a, b): (&WrittenMicro, &WrittenMicro)| {
            a.write == b.write && a.key == b.key && (!a.write || a.value == b.value)
        };
        let heard = op.outcome == Outcome::Ok;
        if heard && (asked.len() != answered.len() || !asked.iter().zip(&answered).all(same)) {
            let expected = format!("the answers to {}", values.get(op.input));
            return Err(refuse(&expected, values.get(op.output), true));
        }
        if op.outcome == Outcome::Fail {
            return Ok(None);
        }
        let mut micros = Vec::with_capacity(asked.len());
        for micro in if heard { &answered } else { &asked } {
            let key = values.intern(&micro.key);
            let key = self.key_number(values, key);
            let value = values.intern(&micro.value);
            if micro.write {
                micros.push(Micro::Write(key, value));
            } else if heard && (value != ValueId::NULL || self.nil_read == NilRead::Observe) {
                micros.push(Micro::Read(key, value));
            }
        }
        let silent = micros.is_empty() || (!heard && micros.iter().all(|m| matches!(m, Micro::Read(..))));
        Ok((!silent).then(|| self.txn(micros)))
    }

    fn init(&self) -> Arc<[ValueId]> {
        self.starts.clone().into()
    }

    fn step(&self, state: &Arc<[ValueId]>, op: Txn, out: &mut impl FnMut(Arc<[ValueId]>)) {
        let micros = self.micros(op);
        if self.is_pure(op) {
            let holds = |m: &Micro| matches!(m, Micro::Read(k, v) if state[*k as usize] == *v);
            if micros.iter().all(holds) {
                out(state.clone());
            }
            return;
        }
        let mut held = state.to_vec();
        for micro in micros {
            match *micro {
                Micro::Read(k, v) if held[k as usize] != v => return,
                Micro::Read(..) => {}
                Micro::Write(k, v) => held[k as usize] = v,
            }
        }
        out(held.into());
    }

    fn is_pure(&self, op: Txn) -> bool {
        self.micros(op).iter().all(|m| matches!(m, Micro::Read(..)))
    }

    fn is_blind(&self, op: Txn) -> bool {
        let micros = self.micros(op);
        let writes = |key: u32| micros.iter().any(|m| matches!(m, Micro::Write(k, _) if *k == key));
        micros.iter().all(|m| matches!(m, Micro::Write(..))) && (0..self.keys.len() as u32).all(writes)
    }

    fn state_bytes(&self, state: &Arc<[ValueId]>) -> usize {
        state.len() * 4 + 32
    }

    fn describe_op(&self, values: &Interner, op: Txn) -> String {
        let micros: Vec<String> = self
            .micros(op)
            .iter()
            .map(|m| match *m {
                Micro::Read(k, v) => format!("read {} → {}", values.get(self.key(k)), values.get(v)),
                Micro::Write(k, v) => format!("write {} {}", values.get(self.key(k)), values.get(v)),
            })
            .collect();
        micros.join(", ")
    }

    fn describe_state(&self, values: &Interner, state: &Arc<[ValueId]>) -> String {
        let held: Vec<String> = state
            .iter()
            .zip(&self.keys)
            .map(|(&v, &k)| format!("{} = {}", values.get(k), values.get(v)))
            .collect();
        held.join(", ")
    }

    fn describe_conflict(&self, values: &Interner, state: &Arc<[ValueId]>, op: Txn, object: &str) -> String {
        let mut held = state.to_vec();
        for micro in self.micros(op) {
            match *micro {
                Micro::Read(k, v) if held[k as usize] != v => {
                    let (key, v, holds) =
                        (values.get(self.key(k)), values.get(v), values.get(held[k as usize]));
                    return format!("it read {key} = {v}, but {key} holds {holds}");
                }
                Micro::Read(..) => {}
                Micro::Write(k, v) => held[k as usize] = v,
            }
        }
        format!("nothing speaks against it: {object} holds {}", self.describe_state(values, state))
    }
}
