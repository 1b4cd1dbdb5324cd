//! A counter: amounts are added, the sum is read.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{self, Exact};
use crate::model::{IllFormed, Model};
use crate::problem::ObjOp;
use crate::spec::{NilRead, Setup, Specified};
use history::{Interner, Op, Outcome, Value, ValueId};

/// A counter.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    initial: i64,
    nil_read: NilRead,
    /// Whether an amount may be above 0.
    grows: bool,
    /// Whether an amount may be below 0.
    shrinks: bool,
}

/// What a client did with a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// It read this sum.
    Read(i64),
    /// It added this amount.
    Add(i64),
}

impl Counter {
    /// A counter that stands at `initial`.
    pub fn new(initial: i64, nil_read: NilRead) -> Counter {
        Counter { initial, nil_read, grows: true, shrinks: true }
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
    /// Wide enough for the sum of 2^32 amounts of 64 bits.
    type State = i128;
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

    fn exact(&self, ops: &[ObjOp<CounterOp>]) -> Option<Exact> {
        exact::counter(self.initial, ops)
    }

    fn init(&self) -> i128 {
        i128::from(self.initial)
    }

    fn step(&self, &state: &i128, op: CounterOp, out: &mut impl FnMut(i128)) {
        match op {
            CounterOp::Read(n) if state == i128::from(n) => out(state),
            CounterOp::Read(_) => {}
            CounterOp::Add(n) => out(state + i128::from(n)),
        }
    }

    fn is_pure(&self, op: CounterOp) -> bool {
        match op {
            CounterOp::Read(_) | CounterOp::Add(0) => true,
            CounterOp::Add(_) => false,
        }
    }

    fn only_in(&self, op: CounterOp) -> Option<i128> {
        match op {
            CounterOp::Read(n) => Some(i128::from(n)),
            CounterOp::Add(_) => None,
        }
    }

    /// Where all amounts have one sign, the sum goes one way.
    fn may_reach(&self, &state: &i128, op: CounterOp) -> bool {
        match op {
            CounterOp::Read(n) => {
                (self.shrinks || state <= i128::from(n)) && (self.grows || state >= i128::from(n))
            }
            CounterOp::Add(_) => true,
        }
    }

    fn describe_op(&self, _: &Interner, op: CounterOp) -> String {
        match op {
            CounterOp::Read(n) => format!("read → {n}"),
            CounterOp::Add(n) => format!("add {n}"),
        }
    }

    fn describe_state(&self, _: &Interner, state: &i128) -> String {
        state.to_string()
    }

    fn describe_conflict(&self, _: &Interner, state: &i128, op: CounterOp, object: &str) -> String {
        match op {
            CounterOp::Read(n) => format!("it read {n}, but {object} stands at {state}"),
            CounterOp::Add(_) => format!("nothing speaks against it: {object} stands at {state}"),
        }
    }
}
