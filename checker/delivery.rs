//! Delivery at least once: nothing that was confirmed is missing at the end, and nothing comes that was never sent.
//!
//! ```text
//!   enqueue: v    dequeue: null → v, as often as it likes; null says nothing    drain: null → [v…], all that is left
//! ```
//! A message may be delivered any number of times, but not before it was sent. A drain returns every message that was sent
//! before it and never delivered, and may repeat others. Where several clients drain at once, they do it with dequeues,
//! and one of them ends with a drain of what is left then, maybe nothing.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{Exact, delivered};
use crate::model::{Advance, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A queue that delivers at least once.
#[derive(Clone, Debug)]
pub struct Delivery {
    initial: Arc<[ValueId]>,
    /// What each drain returned: ascending, each once.
    drains: Vec<Arc<[ValueId]>>,
    numbered: FxHashMap<ValueId, u32>,
}

/// Messages, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryState {
    /// Those that were sent.
    pub sent: Arc<BTreeSet<ValueId>>,
    /// Those of them that were not delivered since.
    pub waiting: Arc<BTreeSet<ValueId>>,
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryOp {
    /// It sent this.
    Enqueue(ValueId),
    /// It got this.
    Dequeue(ValueId),
    /// It may have got something; nobody heard what.
    DequeueUnheard,
    /// It got this list, a number of the model, and then there was nothing.
    Drain(u32),
    /// It may have got all that there was; nobody heard what.
    DrainUnheard,
}

impl Delivery {
    /// A queue in which `initial` was sent already.
    pub fn new(initial: &[ValueId]) -> Delivery {
        Delivery { initial: ascending(initial), drains: Vec::new(), numbered: FxHashMap::default() }
    }

    /// The messages that [`DeliveryOp::Drain`] names.
    pub fn list(&self, number: u32) -> &[ValueId] {
        &self.drains[number as usize]
    }

    /// What was sent before the first operation.
    pub fn initial(&self) -> &[ValueId] {
        &self.initial
    }

    fn shown<'a>(values: &Interner, list: impl Iterator<Item = &'a ValueId>) -> String {
        let shown: Vec<String> = list.map(|&v| values.get(v).to_string()).collect();
        format!("[{}]", shown.join(" "))
    }
}

fn ascending(list: &[ValueId]) -> Arc<[ValueId]> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    list.into()
}

fn has(list: &[ValueId], value: ValueId) -> bool {
    list.binary_search(&value).is_ok()
}

impl Specified for Delivery {
    fn setup(setup: &mut Setup<'_>) -> Result<Delivery, String> {
        Ok(Delivery::new(&initial_list(setup, "a list of messages")?))
    }
}

impl Model for Delivery {
    type State = DeliveryState;
    type Op = DeliveryOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<DeliveryOp>, IllFormed> {
        let f = function(values, op)?;
        match f {
            "enqueue" => {
                must_apply(op, f)?;
                if op.input == ValueId::NULL {
                    return Err(refuse("a message other than null", &Value::Null, false));
                }
                Ok((op.outcome != Outcome::Fail).then_some(DeliveryOp::Enqueue(op.input)))
            }
            "dequeue" => {
                must_apply(op, f)?;
                Ok(match op.outcome {
                    Outcome::Fail => None,
                    Outcome::Info => Some(DeliveryOp::DequeueUnheard),
                    Outcome::Ok if op.output == ValueId::NULL => None,
                    Outcome::Ok => Some(DeliveryOp::Dequeue(op.output)),
                })
            }
            "drain" => {
                must_apply(op, f)?;
                match op.outcome {
                    Outcome::Fail => return Ok(None),
                    Outcome::Info => return Ok(Some(DeliveryOp::DrainUnheard)),
                    Outcome::Ok => {}
                }
                if let Some(&number) = self.numbered.get(&op.output) {
                    return Ok(Some(DeliveryOp::Drain(number)));
                }
                let listed = match values.get(op.output) {
                    Value::Null => Vec::new(),
                    Value::List(items) => items.to_vec(),
                    other => return Err(refuse("a list of messages as the result of a drain", other, true)),
                };
                let listed: Vec<ValueId> = listed.iter().map(|v| values.intern(v)).collect();
                let number = self.drains.len() as u32;
                self.drains.push(ascending(&listed));
                self.numbered.insert(op.output, number);
                Ok(Some(DeliveryOp::Drain(number)))
            }
            f => Err(unknown("enqueue, dequeue or drain", f)),
        }
    }

    fn init(&self) -> DeliveryState {
        let all: Arc<BTreeSet<ValueId>> = Arc::new(self.initial.iter().copied().collect());
        DeliveryState { sent: all.clone(), waiting: all }
    }

    fn step(&self, state: &DeliveryState, op: DeliveryOp, out: &mut impl FnMut(DeliveryState)) {
        let mut next = state.clone();
        match self.advance(&mut next, op) {
            Advance::Done => out(next),
            Advance::Illegal => {}
            // It took nothing, or one of those that wait.
            Advance::Open => {
                out(next);
                for v in state.waiting.iter() {
                    let mut without = state.clone();
                    Arc::make_mut(&mut without.waiting).remove(v);
                    out(without);
                }
            }
        }
    }

    fn advance(&self, state: &mut DeliveryState, op: DeliveryOp) -> Advance {
        match op {
            DeliveryOp::Enqueue(v) => {
                Arc::make_mut(&mut state.sent).insert(v);
                Arc::make_mut(&mut state.waiting).insert(v);
            }
            DeliveryOp::Dequeue(v) if !state.sent.contains(&v) => return Advance::Illegal,
            DeliveryOp::Dequeue(v) => {
                if state.waiting.contains(&v) {
                    Arc::make_mut(&mut state.waiting).remove(&v);
                }
            }
            DeliveryOp::DequeueUnheard if state.waiting.is_empty() => {}
            DeliveryOp::DequeueUnheard => return Advance::Open,
            DeliveryOp::Drain(number) => {
                let list = self.list(number);
                let nothing_missing = state.waiting.iter().all(|&v| has(list, v));
                if !nothing_missing || !list.iter().all(|v| state.sent.contains(v)) {
                    return Advance::Illegal;
                }
                state.waiting = Arc::default();
            }
            // It may have ended halfway, with some of them.
            DeliveryOp::DrainUnheard => state.waiting = Arc::default(),
        }
        Advance::Done
    }

    /// An unheard taking took something that is waiting and would be missed at the next drain.
    fn tell(&self, ordered: &[DeliveryOp]) -> Option<Vec<DeliveryOp>> {
        if !ordered.contains(&DeliveryOp::DequeueUnheard) {
            return None;
        }
        // From the back: where each message comes next, and what the next drain brings.
        let mut comes: FxHashMap<ValueId, usize> = FxHashMap::default();
        let (mut drain, mut missed) = (None, vec![false; ordered.len()]);
        let lacks = |drain: Option<(usize, u32)>, comes: &FxHashMap<ValueId, usize>, v: ValueId| {
            drain.is_some_and(|(at, number)| {
                comes.get(&v).is_none_or(|&next| next > at) && !has(self.list(number), v)
            })
        };
        for (at, &op) in ordered.iter().enumerate().rev() {
            match op {
                DeliveryOp::Drain(number) => drain = Some((at, number)),
                DeliveryOp::DrainUnheard => drain = None,
                DeliveryOp::Dequeue(v) => _ = comes.insert(v, at),
                DeliveryOp::Enqueue(v) => missed[at] = lacks(drain, &comes, v),
                DeliveryOp::DequeueUnheard => {}
            }
        }
        let mut missing: Vec<ValueId> =
            self.initial.iter().copied().filter(|&v| lacks(drain, &comes, v)).collect();
        let mut sent = self.initial.first().copied();
        let told = ordered.iter().zip(missed).map(|(&op, missed)| match op {
            DeliveryOp::Enqueue(v) => {
                sent = Some(v);
                missing.extend(missed.then_some(v));
                op
            }
            // What was delivered or need not be may come again.
            DeliveryOp::DequeueUnheard => missing.pop().or(sent).map_or(op, DeliveryOp::Dequeue),
            DeliveryOp::Drain(_) | DeliveryOp::DrainUnheard => {
                missing.clear();
                op
            }
            DeliveryOp::Dequeue(_) => op,
        });
        Some(told.collect())
    }

    fn may_be(&self, unheard: DeliveryOp, told: DeliveryOp) -> bool {
        unheard == told || matches!((unheard, told), (DeliveryOp::DequeueUnheard, DeliveryOp::Dequeue(_)))
    }

    fn is_pure(&self, _: DeliveryOp) -> bool {
        false
    }

    fn state_bytes(&self, state: &DeliveryState) -> usize {
        (state.sent.len() + state.waiting.len()) * 8 + 96
    }

    /// Messages can be left out whole: where they are sent, where they come, and in what drains return. So can what says
    /// nothing but that: a message that comes again. An unheard taking stays, and may have taken any that is kept.
    fn project(&self, ops: &[ObjOp<DeliveryOp>], keep: &mut [bool], _: Property) -> Problem<Delivery> {
        let mut wanted: FxHashMap<ValueId, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            if let DeliveryOp::Enqueue(v) | DeliveryOp::Dequeue(v) = op.op {
                *wanted.entry(v).or_default() |= *kept;
            }
        }
        for &v in self.initial.iter() {
            wanted.entry(v).or_insert(true);
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                DeliveryOp::Enqueue(v) | DeliveryOp::Dequeue(v) => *kept = wanted[&v],
                DeliveryOp::DequeueUnheard | DeliveryOp::DrainUnheard => *kept = true,
                // It takes what is kept.
                DeliveryOp::Drain(_) => *kept = true,
            }
        }
        let stays = |v: &&ValueId| wanted.get(v) != Some(&false);
        let restrict = |list: &[ValueId]| -> Arc<[ValueId]> { list.iter().filter(stays).copied().collect() };
        let model = Delivery {
            initial: restrict(&self.initial),
            drains: self.drains.iter().map(|list| restrict(list)).collect(),
            numbered: self.numbered.clone(),
        };
        Problem { model, ops: crate::model::kept(ops, keep) }
    }

    fn exact(&self, ops: &[ObjOp<DeliveryOp>], stop: &AtomicBool) -> Option<Exact> {
        delivered(ops, stop, &self.initial, |number| self.list(number))
    }

    fn describe_op(&self, values: &Interner, op: DeliveryOp) -> String {
        match op {
            DeliveryOp::Enqueue(v) => format!("enqueue {}", values.get(v)),
            DeliveryOp::Dequeue(v) => format!("dequeue → {}", values.get(v)),
            DeliveryOp::DequeueUnheard => "dequeue".to_string(),
            DeliveryOp::Drain(number) => {
                format!("drain → {}", Delivery::shown(values, self.list(number).iter()))
            }
            DeliveryOp::DrainUnheard => "drain".to_string(),
        }
    }

    fn describe_state(&self, values: &Interner, state: &DeliveryState) -> String {
        format!("{} not delivered", Delivery::shown(values, state.waiting.iter()))
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &DeliveryState,
        op: DeliveryOp,
        object: &str,
    ) -> String {
        let unsent = |v: ValueId| format!("it got {}, which nobody had put into {object}", values.get(v));
        match op {
            DeliveryOp::Dequeue(v) if !state.sent.contains(&v) => unsent(v),
            DeliveryOp::Drain(number) => {
                let list = self.list(number);
                match (
                    list.iter().find(|v| !state.sent.contains(v)),
                    state.waiting.iter().find(|&&v| !has(list, v)),
                ) {
                    (Some(&v), _) => unsent(v),
                    (None, Some(&v)) => {
                        format!("{} is missing, which was put into {object} and never came", values.get(v))
                    }
                    (None, None) => format!("nothing speaks against it: {object} ends here"),
                }
            }
            DeliveryOp::Enqueue(_)
            | DeliveryOp::Dequeue(_)
            | DeliveryOp::DequeueUnheard
            | DeliveryOp::DrainUnheard => {
                format!("nothing speaks against it: {object} has {}", self.describe_state(values, state))
            }
        }
    }
}
