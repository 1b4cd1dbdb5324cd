//! A sum that tells whoever adds where it stood: tickets, sequence numbers, atomic counters.
//!
//! ```text
//!   fetch-add: n → the sum before (n null: 1)     add-fetch: n → the sum after     add: n     read: null → the sum
//! ```

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{Exact, Summed, sums};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::ranges::Ranges;
use crate::spec::{NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use std::sync::atomic::AtomicBool;

/// The sum.
#[derive(Clone, Copy, Debug)]
pub struct FetchAdd {
    initial: i64,
    nil_read: NilRead,
    /// Whether additions are left out, so that the sum is only known to be at least what it was told to be.
    at_least: bool,
}

/// What a client did with the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchAddOp {
    /// It read this.
    Read(i64),
    /// It added an amount to this.
    FetchAdd {
        /// The sum before.
        before: i64,
        /// What was added.
        amount: i64,
    },
    /// It added this, and nobody heard to what.
    Add(i64),
    /// It was told more than everything together can have made by then.
    Jumped {
        /// What it was told.
        told: i64,
        /// The most that it can have been.
        most: i128,
    },
}

impl FetchAdd {
    /// A sum that stands at `initial`.
    pub fn new(initial: i64, nil_read: NilRead) -> FetchAdd {
        FetchAdd { initial, nil_read, at_least: false }
    }

    /// Where the sum stands at first.
    pub fn initial(&self) -> i64 {
        self.initial
    }
}

impl Specified for FetchAdd {
    fn setup(setup: &mut Setup<'_>) -> Result<FetchAdd, String> {
        match &setup.spec.initial {
            None | Some(Value::Null) => Ok(FetchAdd::new(0, setup.spec.nil_read)),
            Some(Value::Int(n)) => Ok(FetchAdd::new(*n, setup.spec.nil_read)),
            Some(other) => Err(format!("--initial: expected a whole number, found {other}")),
        }
    }
}

fn whole(values: &Interner, id: ValueId, output: bool) -> Result<i64, IllFormed> {
    let value = values.get(id);
    value.as_int().ok_or_else(|| refuse("a whole number of at most 64 bits", value, output))
}

/// What an operation adds.
fn added(op: FetchAddOp) -> Option<i64> {
    match op {
        FetchAddOp::FetchAdd { amount, .. } | FetchAddOp::Add(amount) => Some(amount),
        FetchAddOp::Read(_) | FetchAddOp::Jumped { .. } => None,
    }
}

impl Model for FetchAdd {
    /// Wide enough for the sum of 2^32 amounts of 64 bits.
    type State = i128;
    type Op = FetchAddOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<FetchAddOp>, IllFormed> {
        let f = function(values, op)?;
        match f {
            "read" => {
                must_apply(op, f)?;
                match op.outcome {
                    Outcome::Fail | Outcome::Info => Ok(None),
                    Outcome::Ok if op.output == ValueId::NULL => Ok(match self.nil_read {
                        NilRead::Unknown => None,
                        NilRead::Observe => Some(FetchAddOp::Read(0)),
                    }),
                    Outcome::Ok => Ok(Some(FetchAddOp::Read(whole(values, op.output, true)?))),
                }
            }
            "fetch-add" | "add-fetch" | "add" => {
                must_apply(op, f)?;
                let one = op.input == ValueId::NULL && f != "add";
                let amount = if one { 1 } else { whole(values, op.input, false)? };
                Ok(match op.outcome {
                    Outcome::Fail => None,
                    Outcome::Info => Some(FetchAddOp::Add(amount)),
                    Outcome::Ok if f == "add" => Some(FetchAddOp::Add(amount)),
                    Outcome::Ok => {
                        let told = whole(values, op.output, true)?;
                        let before = if f == "fetch-add" { Some(told) } else { told.checked_sub(amount) };
                        let before = before.ok_or_else(|| {
                            refuse("a sum of at most 64 bits, before and after", values.get(op.output), true)
                        })?;
                        Some(FetchAddOp::FetchAdd { before, amount })
                    }
                })
            }
            f => Err(unknown("fetch-add, add-fetch, add or read", f)),
        }
    }

    fn init(&self) -> i128 {
        i128::from(self.initial)
    }

    fn step(&self, &state: &i128, op: FetchAddOp, out: &mut impl FnMut(i128)) {
        let fits = |told: i64| match self.at_least {
            true => i128::from(told) >= state,
            false => i128::from(told) == state,
        };
        match op {
            FetchAddOp::Read(sum) => {
                if fits(sum) {
                    out(sum.into());
                }
            }
            FetchAddOp::FetchAdd { before, amount } => {
                if fits(before) {
                    out(i128::from(before) + i128::from(amount));
                }
            }
            FetchAddOp::Add(amount) => out(state + i128::from(amount)),
            FetchAddOp::Jumped { .. } => {}
        }
    }

    fn is_pure(&self, op: FetchAddOp) -> bool {
        match op {
            FetchAddOp::Read(_) => !self.at_least,
            FetchAddOp::FetchAdd { amount, .. } => amount == 0 && !self.at_least,
            FetchAddOp::Add(amount) => amount == 0,
            FetchAddOp::Jumped { .. } => false,
        }
    }

    fn only_in(&self, op: FetchAddOp) -> Option<i128> {
        match op {
            FetchAddOp::Read(sum) | FetchAddOp::FetchAdd { before: sum, .. } if !self.at_least => {
                Some(sum.into())
            }
            FetchAddOp::Read(_)
            | FetchAddOp::FetchAdd { .. }
            | FetchAddOp::Add(_)
            | FetchAddOp::Jumped { .. } => None,
        }
    }

    /// Where nothing is taken away, additions can be left out: the sum is then at least what the others make it, and never
    /// less than somebody was told. Nor is it more than all additions that can have come before make (`checker/ranges.rs`).
    fn project(&self, ops: &[ObjOp<FetchAddOp>], keep: &mut [bool], property: Property) -> Problem<FetchAdd> {
        let grows = ops.iter().all(|op| match op.op {
            FetchAddOp::Read(_) | FetchAddOp::Jumped { .. } => true,
            FetchAddOp::FetchAdd { amount, .. } | FetchAddOp::Add(amount) => amount >= 0,
        });
        let mut model = *self;
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            if !self.is_pure(op.op) {
                *kept |= !grows;
                model.at_least |= !*kept;
            }
        }
        let mut kept = crate::model::kept(ops, keep);
        if model.at_least {
            let ranges = Ranges::new(ops, property, |_, op| added(op));
            for op in &mut kept {
                let told = match op.op {
                    FetchAddOp::Read(sum) | FetchAddOp::FetchAdd { before: sum, .. } => sum,
                    FetchAddOp::Add(_) | FetchAddOp::Jumped { .. } => continue,
                };
                // Its own addition comes after what it was told.
                let own = added(op.op).map_or(0, i128::from);
                let most = i128::from(self.initial) + ranges.before(op).1 - own;
                if i128::from(told) > most {
                    op.op = FetchAddOp::Jumped { told, most };
                }
            }
        }
        Problem { model, ops: kept }
    }

    fn exact(&self, ops: &[ObjOp<FetchAddOp>], stop: &AtomicBool) -> Option<Exact> {
        sums(ops, stop, self.initial, |op| match op {
            FetchAddOp::Read(sum) => Summed::Saw(sum),
            FetchAddOp::FetchAdd { before, amount } => Summed::Added(Some(before), amount),
            FetchAddOp::Add(amount) => Summed::Added(None, amount),
            // Not of the kind that histories are made of.
            FetchAddOp::Jumped { told, .. } => Summed::Saw(told),
        })
    }

    fn describe_op(&self, _: &Interner, op: FetchAddOp) -> String {
        match op {
            FetchAddOp::Read(sum) => format!("read → {sum}"),
            FetchAddOp::FetchAdd { before, amount } => {
                format!("add {amount} to {before} → {}", i128::from(before) + i128::from(amount))
            }
            FetchAddOp::Add(amount) => format!("add {amount}"),
            FetchAddOp::Jumped { told, .. } => format!("was told {told}"),
        }
    }

    fn describe_state(&self, _: &Interner, state: &i128) -> String {
        match self.at_least {
            true => format!("{state} or more"),
            false => state.to_string(),
        }
    }

    fn describe_conflict(&self, values: &Interner, state: &i128, op: FetchAddOp, object: &str) -> String {
        let state = self.describe_state(values, state);
        match op {
            FetchAddOp::Read(sum) => format!("it read {sum}, but {object} stands at {state}"),
            FetchAddOp::FetchAdd { before, .. } => {
                format!("it found {before}, but {object} stands at {state}")
            }
            FetchAddOp::Jumped { told, most } => {
                format!("it was told {told}, but all that can have been added until then makes {most}")
            }
            FetchAddOp::Add(_) => format!("nothing speaks against it: {object} stands at {state}"),
        }
    }
}
