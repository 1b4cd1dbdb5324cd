//! A counter: amounts are added, the sum is read.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{self, Exact};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::ranges::Ranges;
use crate::spec::{NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use std::sync::atomic::AtomicBool;

/// A counter.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    initial: i64,
    nil_read: NilRead,
    /// Whether an amount may be above 0.
    grows: bool,
    /// Whether an amount may be below 0.
    shrinks: bool,
    left_out: LeftOut,
}

/// What additions a core leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    /// None.
    Nothing,
    /// Some, none of which takes away.
    Positive,
    /// Some, all of which take away.
    Negative,
    /// Some of either kind.
    Mixed,
}

/// What the counter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterState {
    /// What was added up. Wide enough for the sum of 2^32 amounts of 64 bits.
    pub sum: i128,
    /// What the additions that a core leaves out had made of it when it was last read; 0 where that says nothing.
    pub beyond: i128,
}

/// So many additions stay in a core, where there are no more: they can all be shown.
const FEW: usize = 4;

/// What a client did with a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// It read this sum.
    Read(i64),
    /// The same, where additions are left out that can have made between so much and so much until then.
    ReadWithin {
        /// The sum.
        sum: i64,
        /// The least that was left out.
        least: i128,
        /// The most.
        most: i128,
    },
    /// It added this amount.
    Add(i64),
}

impl Counter {
    /// A counter that stands at `initial`.
    pub fn new(initial: i64, nil_read: NilRead) -> Counter {
        Counter { initial, nil_read, grows: true, shrinks: true, left_out: LeftOut::Nothing }
    }
}

impl Specified for Counter {
    fn setup(setup: &mut Setup<'_>) -> Result<Counter, String> {
        let initial = match &setup.spec.initial {
            None | Some(Value::Null) => 0,
            Some(Value::Int(n)) => *n,
            Some(other) => return Err(format!("--initial: expected a whole number, found {other}")),
        };
        // Decoding will tell.
        Ok(Counter { grows: false, shrinks: false, ..Counter::new(initial, setup.spec.nil_read) })
    }
}

fn whole(values: &Interner, id: ValueId, output: bool) -> Result<i64, IllFormed> {
    let value = values.get(id);
    value.as_int().ok_or_else(|| refuse("a whole number of at most 64 bits", value, output))
}

impl Model for Counter {
    type State = CounterState;
    type Op = CounterOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<CounterOp>, IllFormed> {
        match function(values, op)? {
            "read" => {
                must_apply(op, "read")?;
                match op.outcome {
                    Outcome::Fail | Outcome::Info => Ok(None),
                    Outcome::Ok if op.output == ValueId::NULL => Ok(match self.nil_read {
                        NilRead::Unknown => None,
                        NilRead::Observe => Some(CounterOp::Read(0)),
                    }),
                    Outcome::Ok => Ok(Some(CounterOp::Read(whole(values, op.output, true)?))),
                }
            }
            "add" => {
                must_apply(op, "add")?;
                let amount = whole(values, op.input, false)?;
                self.grows |= amount > 0;
                self.shrinks |= amount < 0;
                Ok((op.outcome != Outcome::Fail).then_some(CounterOp::Add(amount)))
            }
            f => Err(unknown("read or add", f)),
        }
    }

    fn exact(&self, ops: &[ObjOp<CounterOp>], stop: &AtomicBool) -> Option<Exact> {
        exact::counter(self.initial, ops, stop)
    }

    fn refuted(&self, ops: &[ObjOp<CounterOp>], _: &AtomicBool) -> Option<Exact> {
        exact::ranges(self.initial, ops)
    }

    fn init(&self) -> CounterState {
        CounterState { sum: self.initial.into(), beyond: 0 }
    }

    fn step(&self, &state: &CounterState, op: CounterOp, out: &mut impl FnMut(CounterState)) {
        match op {
            CounterOp::Read(n) if state.sum == i128::from(n) => out(state),
            CounterOp::Read(_) => {}
            CounterOp::ReadWithin { sum, least, most } => {
                let beyond = i128::from(sum) - state.sum;
                let onwards = match self.left_out {
                    LeftOut::Positive => beyond >= state.beyond,
                    LeftOut::Negative => beyond <= state.beyond,
                    LeftOut::Nothing | LeftOut::Mixed => true,
                };
                if (least..=most).contains(&beyond) && onwards {
                    let known = matches!(self.left_out, LeftOut::Positive | LeftOut::Negative);
                    out(CounterState { beyond: if known { beyond } else { 0 }, ..state });
                }
            }
            CounterOp::Add(n) => out(CounterState { sum: state.sum + i128::from(n), ..state }),
        }
    }

    fn is_pure(&self, op: CounterOp) -> bool {
        match op {
            CounterOp::Read(_) | CounterOp::Add(0) => true,
            CounterOp::ReadWithin { .. } => self.left_out == LeftOut::Mixed,
            CounterOp::Add(_) => false,
        }
    }

    fn only_in(&self, op: CounterOp) -> Option<CounterState> {
        match op {
            CounterOp::Read(n) => Some(CounterState { sum: n.into(), beyond: 0 }),
            CounterOp::ReadWithin { .. } | CounterOp::Add(_) => None,
        }
    }

    /// Where all amounts have one sign, the sum goes one way.
    fn may_reach(&self, state: &CounterState, op: CounterOp) -> bool {
        match op {
            CounterOp::Read(n) => {
                (self.shrinks || state.sum <= i128::from(n)) && (self.grows || state.sum >= i128::from(n))
            }
            CounterOp::ReadWithin { .. } | CounterOp::Add(_) => true,
        }
    }

    /// Additions can be left out: what they made of the sum until it was read lies within two sums that need no order
    /// (`checker/ranges.rs`), and goes one way where they do. Where there are few, all stay.
    fn project(&self, ops: &[ObjOp<CounterOp>], keep: &mut [bool], property: Property) -> Problem<Counter> {
        let amount = |op: CounterOp| match op {
            CounterOp::Add(0) | CounterOp::Read(_) | CounterOp::ReadWithin { .. } => None,
            CounterOp::Add(n) => Some(n),
        };
        let few = ops.iter().filter(|op| amount(op.op).is_some()).count() <= FEW;
        let mut signs = (self.left_out == LeftOut::Positive, self.left_out == LeftOut::Negative);
        if self.left_out == LeftOut::Mixed {
            signs = (true, true);
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            if let Some(n) = amount(op.op) {
                *kept |= few;
                signs = (signs.0 | (!*kept && n > 0), signs.1 | (!*kept && n < 0));
            }
        }
        let left_out = match signs {
            (false, false) => LeftOut::Nothing,
            (true, false) => LeftOut::Positive,
            (false, true) => LeftOut::Negative,
            (true, true) => LeftOut::Mixed,
        };
        let mut kept = crate::model::kept(ops, keep);
        if left_out != LeftOut::Nothing {
            let ranges = Ranges::new(ops, property, |i, op| amount(op).filter(|_| !keep[i]));
            for op in &mut kept {
                let (least, most) = ranges.before(op);
                op.op = match op.op {
                    CounterOp::Read(sum) => CounterOp::ReadWithin { sum, least, most },
                    CounterOp::ReadWithin { sum, least: l, most: m } => {
                        CounterOp::ReadWithin { sum, least: least + l, most: most + m }
                    }
                    CounterOp::Add(n) => CounterOp::Add(n),
                };
            }
        }
        Problem { model: Counter { left_out, ..*self }, ops: kept }
    }

    fn describe_op(&self, _: &Interner, op: CounterOp) -> String {
        match op {
            CounterOp::Read(n) | CounterOp::ReadWithin { sum: n, .. } => format!("read → {n}"),
            CounterOp::Add(n) => format!("add {n}"),
        }
    }

    fn describe_state(&self, _: &Interner, state: &CounterState) -> String {
        let sum = state.sum + state.beyond;
        match self.left_out {
            LeftOut::Nothing => sum.to_string(),
            LeftOut::Positive => format!("{sum} or more"),
            LeftOut::Negative => format!("{sum} or less"),
            LeftOut::Mixed => format!("{sum} and what else was added"),
        }
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &CounterState,
        op: CounterOp,
        object: &str,
    ) -> String {
        let stands = self.describe_state(values, state);
        match op {
            CounterOp::Read(n) => format!("it read {n}, but {object} stands at {stands}"),
            CounterOp::ReadWithin { sum, least, most } => {
                let (low, high) = (state.sum + least, state.sum + most);
                if (low..=high).contains(&i128::from(sum)) {
                    format!("it read {sum}, but {object} stood at {stands} before")
                } else {
                    format!("it read {sum}, but what was added until then makes {low} to {high}")
                }
            }
            CounterOp::Add(_) => format!("nothing speaks against it: {object} stands at {stands}"),
        }
    }
}
