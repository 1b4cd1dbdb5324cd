//! A lock with fencing tokens, and the resource that it guards.
//!
//! The lock may be a lease: it may expire at any time without a word, so a new acquire is legal while the old holder
//! still believes. What is demanded is what fencing promises: each acquire returns a token larger than all before, and
//! the resource lets nobody in whose token is smaller than one that it has already seen.
//!
//! ```text
//!   acquire: null → token      release: token
//!   read: token → [token, v]   write: [token, v]       refused ("applied": false): the resource has seen a larger one
//! ```

use crate::decode::{function, must_apply, pair, refuse, unknown};
use crate::exact::{Exact, fenced};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Applied, Interner, NEVER, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;
use std::sync::atomic::AtomicBool;

/// A lock and the value that it guards.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    initial: ValueId,
}

/// Lock and resource between two operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockState {
    /// The largest token that was handed out.
    pub granted: Option<i64>,
    /// Who got it last and has not given it back. (It may have expired.)
    pub holder: Holder,
    /// The largest token that the resource has seen.
    pub seen: Option<i64>,
    /// What the resource holds.
    pub value: ValueId,
}

/// Who has the lock, as far as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// Whoever got this token.
    Token(i64),
    /// Somebody whose token nobody heard.
    Unheard,
}

/// What a client did with the lock or the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOp {
    /// It got the lock with this token.
    Acquire(i64),
    /// It may have got the lock; nobody heard the token.
    AcquireUnheard,
    /// It was told that the lock is held.
    AcquireRefused,
    /// It gave the lock back, if it was still its own.
    Release(i64),
    /// It was told that the lock was no longer its own.
    ReleaseRefused(i64),
    /// It read the resource.
    Read(i64, ValueId),
    /// It may have shown its token to the resource; nobody heard the value.
    ReadUnheard(i64),
    /// It wrote the resource.
    Write(i64, ValueId),
    /// The resource had seen a larger token.
    GuardRefused(i64),
}

impl Lock {
    /// A free lock that guards `initial`.
    pub fn new(initial: ValueId) -> Lock {
        Lock { initial }
    }
}

/// What is invoked from then on comes after `op` in every legal order; never, where only programs have an order.
fn until_when(op: &ObjOp<LockOp>, property: Property) -> u32 {
    match property {
        Property::Linearizable => op.ret,
        Property::Sequential => NEVER,
    }
}

/// Keeps the acquires that may be the last before somebody who was refused and is kept: those invoked before he returned,
/// without a larger token among those kept that returned before he was invoked.
fn keep_last_acquires(ops: &[ObjOp<LockOp>], keep: &mut [bool], property: Property) {
    let kept = |op: &(&ObjOp<LockOp>, &mut bool)| *op.1 && !op.0.indeterminate();
    // By return.
    let mut handed_out: Vec<(u32, i64)> = Vec::new();
    let mut refused: Vec<&ObjOp<LockOp>> = Vec::new();
    for (op, _) in ops.iter().zip(keep.iter_mut()).filter(kept) {
        match op.op {
            LockOp::Acquire(t) => handed_out.push((op.ret, t)),
            LockOp::AcquireRefused => refused.push(op),
            _ => {}
        }
    }
    if refused.is_empty() {
        return;
    }
    handed_out.sort_unstable();
    let mut largest = None;
    for (_, t) in &mut handed_out {
        largest = largest.max(Some(*t));
        *t = largest.unwrap_or(*t);
    }
    // By the largest token that came before; until when an acquire can matter to one of those up to there.
    let mut until: Vec<(Option<i64>, u32)> = refused
        .iter()
        .map(|op| {
            let before = match property {
                Property::Linearizable => handed_out.partition_point(|&(ret, _)| ret < op.invoke),
                Property::Sequential => 0,
            };
            (before.checked_sub(1).map(|at| handed_out[at].1), until_when(op, property))
        })
        .collect();
    until.sort_unstable();
    let mut latest = 0;
    for (_, until) in &mut until {
        latest = latest.max(*until);
        *until = latest;
    }
    for (op, kept) in ops.iter().zip(keep.iter_mut()) {
        let can_matter = match op.op {
            LockOp::Acquire(t) => until.partition_point(|&(before, _)| before <= Some(t)),
            LockOp::AcquireUnheard => until.len(),
            _ => 0,
        };
        *kept |= can_matter.checked_sub(1).is_some_and(|at| op.invoke < until[at].1);
    }
}

/// Keeps whoever may have shown a larger token before somebody whom the resource refused and who is kept.
fn keep_larger_tokens(ops: &[ObjOp<LockOp>], keep: &mut [bool], property: Property) {
    let mut refused: Vec<(i64, u32)> = Vec::new();
    for (op, _) in ops.iter().zip(keep.iter()).filter(|(op, kept)| **kept && !op.indeterminate()) {
        if let LockOp::GuardRefused(t) = op.op {
            refused.push((t, until_when(op, property)));
        }
    }
    refused.sort_unstable();
    let mut latest = 0;
    for (_, until) in &mut refused {
        latest = latest.max(*until);
        *until = latest;
    }
    for (op, kept) in ops.iter().zip(keep.iter_mut()) {
        if let LockOp::Read(t, _) | LockOp::ReadUnheard(t) | LockOp::Write(t, _) = op.op {
            let smaller = refused.partition_point(|&(refused, _)| refused < t);
            *kept |= smaller.checked_sub(1).is_some_and(|at| op.invoke < refused[at].1);
        }
    }
}

impl Specified for Lock {
    fn setup(setup: &mut Setup<'_>) -> Result<Lock, String> {
        Ok(Lock::new(setup.values.intern(setup.spec.initial.as_ref().unwrap_or(&Value::Null))))
    }
}

fn token(values: &Interner, id: ValueId, output: bool) -> Result<i64, IllFormed> {
    let value = values.get(id);
    value.as_int().ok_or_else(|| refuse("a whole number as token", value, output))
}

const GUARDED: &str = "[token, value]";

impl Model for Lock {
    type State = LockState;
    type Op = LockOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<LockOp>, IllFormed> {
        let refused = op.outcome == Outcome::Ok && op.applied == Applied::No;
        let info = op.outcome == Outcome::Info;
        let decoded = match function(values, op)? {
            "acquire" if op.outcome == Outcome::Fail => return Ok(None),
            "acquire" if refused => LockOp::AcquireRefused,
            "acquire" if info => LockOp::AcquireUnheard,
            "acquire" => LockOp::Acquire(token(values, op.output, true)?),
            "release" => match (token(values, op.input, false)?, refused) {
                (t, true) => LockOp::ReleaseRefused(t),
                (t, false) => LockOp::Release(t),
            },
            "read" => {
                // The token may be asked alone or, as the table of micro-operations does it, as [token, null].
                let asked = match values.get(op.input) {
                    Value::List(_) => pair(values, op.input, GUARDED)?[0],
                    _ => op.input,
                };
                let asked = token(values, asked, false)?;
                match op.outcome {
                    Outcome::Fail => return Ok(None),
                    Outcome::Info => LockOp::ReadUnheard(asked),
                    Outcome::Ok if refused => LockOp::GuardRefused(asked),
                    Outcome::Ok => match values.get(op.output).as_list() {
                        Some([t, v]) if t.as_int() == Some(asked) => {
                            let v = v.clone();
                            LockOp::Read(asked, values.intern(&v))
                        }
                        _ => {
                            let expected = format!("[{asked}, value], with the token that was asked with");
                            return Err(refuse(&expected, values.get(op.output), true));
                        }
                    },
                }
            }
            "write" => {
                let [t, v] = pair(values, op.input, "a list [token, value] as the value of a write")?;
                let t = token(values, t, false)?;
                if refused { LockOp::GuardRefused(t) } else { LockOp::Write(t, v) }
            }
            f => return Err(unknown("acquire, release, read or write", f)),
        };
        if !refused {
            must_apply(op, "operation")?;
        }
        Ok((op.outcome != Outcome::Fail).then_some(decoded))
    }

    fn init(&self) -> LockState {
        LockState { granted: None, holder: Holder::Nobody, seen: None, value: self.initial }
    }

    fn step(&self, state: &LockState, op: LockOp, out: &mut impl FnMut(LockState)) {
        let lets_in = |t: i64| state.seen.is_none_or(|seen| t >= seen);
        match op {
            LockOp::Acquire(t) => {
                if state.granted.is_none_or(|granted| t > granted) {
                    out(LockState { granted: Some(t), holder: Holder::Token(t), ..*state });
                }
            }
            // Its token is larger than all before and, for all that is known, smaller than the next.
            LockOp::AcquireUnheard => out(LockState { holder: Holder::Unheard, ..*state }),
            LockOp::AcquireRefused => {
                if state.holder != Holder::Nobody {
                    out(*state);
                }
            }
            LockOp::Release(t) if state.holder == Holder::Token(t) => {
                out(LockState { holder: Holder::Nobody, ..*state });
            }
            LockOp::Release(_) => out(*state),
            LockOp::ReleaseRefused(_) => out(*state),
            LockOp::Read(t, v) => {
                if lets_in(t) && state.value == v {
                    out(LockState { seen: Some(t), ..*state });
                }
            }
            LockOp::ReadUnheard(t) => {
                if lets_in(t) {
                    out(LockState { seen: Some(t), ..*state });
                }
            }
            LockOp::Write(t, v) => {
                if lets_in(t) {
                    out(LockState { seen: Some(t), value: v, ..*state });
                }
            }
            LockOp::GuardRefused(t) => {
                if !lets_in(t) {
                    out(*state);
                }
            }
        }
    }

    fn is_pure(&self, op: LockOp) -> bool {
        match op {
            LockOp::AcquireRefused | LockOp::ReleaseRefused(_) | LockOp::GuardRefused(_) => true,
            LockOp::Acquire(_)
            | LockOp::AcquireUnheard
            | LockOp::Release(_)
            | LockOp::Read(..)
            | LockOp::ReadUnheard(_)
            | LockOp::Write(..) => false,
        }
    }

    /// Lock and resource say nothing about one another.
    ///
    /// Of the resource, everything can be left out but who may have written what a kept read saw, and who may have shown a
    /// larger token before a kept refusal: less is seen then, and what is read comes from the same write. Of the lock,
    /// releases can be left out, for it is held more often then, and acquires, but not those that may be the last before
    /// a kept refusal.
    fn project(&self, ops: &[ObjOp<LockOp>], keep: &mut [bool], property: Property) -> Problem<Lock> {
        keep_larger_tokens(ops, keep, property);
        let mut wanted: FxHashMap<ValueId, u32> = FxHashMap::default();
        for (op, _) in ops.iter().zip(keep.iter()).filter(|(_, kept)| **kept) {
            if let LockOp::Read(_, v) = op.op {
                let until = wanted.entry(v).or_default();
                *until = (*until).max(until_when(op, property));
            }
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            if let LockOp::Write(_, v) = op.op {
                *kept |= wanted.get(&v).is_some_and(|&until| op.invoke < until);
            }
        }
        keep_last_acquires(ops, keep, property);
        Problem { model: *self, ops: crate::model::kept(ops, keep) }
    }

    fn exact(&self, ops: &[ObjOp<LockOp>], stop: &AtomicBool) -> Option<Exact> {
        fenced(ops, stop, self.initial)
    }

    fn describe_op(&self, values: &Interner, op: LockOp) -> String {
        match op {
            LockOp::Acquire(t) => format!("acquire → token {t}"),
            LockOp::AcquireUnheard => "acquire".to_string(),
            LockOp::AcquireRefused => "acquire refused".to_string(),
            LockOp::Release(t) => format!("release token {t}"),
            LockOp::ReleaseRefused(t) => format!("release token {t} refused"),
            LockOp::Read(t, v) => format!("read with token {t} → {}", values.get(v)),
            LockOp::ReadUnheard(t) => format!("read with token {t}"),
            LockOp::Write(t, v) => format!("write {} with token {t}", values.get(v)),
            LockOp::GuardRefused(t) => format!("token {t} refused"),
        }
    }

    fn describe_state(&self, values: &Interner, state: &LockState) -> String {
        let held = if state.holder == Holder::Nobody { "free" } else { "held" };
        // What nobody has touched is not worth a word: these stand in small boxes.
        let granted = state.granted.map(|t| format!("{held}, last token {t}"));
        let seen = state.seen.map(|t| format!("resource = {}, token {t}", values.get(state.value)));
        match (granted, seen) {
            (Some(granted), Some(seen)) => format!("{granted}; {seen}"),
            (Some(text), None) | (None, Some(text)) => text,
            (None, None) => held.to_string(),
        }
    }

    fn describe_conflict(&self, values: &Interner, state: &LockState, op: LockOp, object: &str) -> String {
        let seen = state.seen.map_or("none".to_string(), |t| t.to_string());
        match op {
            LockOp::Acquire(t) => match state.granted {
                Some(granted) => format!("it got token {t}, but token {granted} was handed out before"),
                None => format!("nothing speaks against token {t}"),
            },
            LockOp::AcquireRefused => format!("it was told that the lock is held, but {object} is free"),
            LockOp::Read(t, v) if state.seen.is_none_or(|seen| t >= seen) => {
                format!("it read {}, but the resource holds {}", values.get(v), values.get(state.value))
            }
            LockOp::Read(t, _) | LockOp::ReadUnheard(t) | LockOp::Write(t, _) => {
                format!("token {t} was let in, but the resource had seen token {seen}")
            }
            LockOp::GuardRefused(t) => {
                format!("token {t} was refused, but the largest that the resource had seen is {seen}")
            }
            LockOp::AcquireUnheard | LockOp::Release(_) | LockOp::ReleaseRefused(_) => {
                format!("nothing speaks against it: {}", self.describe_state(values, state))
            }
        }
    }
}
