//! A generator of ids that are all different, or that also grow.
//!
//! ```text
//!   generate: null → id
//! ```

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{Decision, Exact, Place, answered, bisected, in_places};
use crate::model::{Advance, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::spec::{ModelName, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A generator of ids.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Whether each id is larger than all before.
    pub growing: bool,
    /// The last id before the first operation, where they grow.
    pub initial: Option<i64>,
}

/// It got this id: where ids grow the number, else the number of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generated(pub i64);

impl Specified for Ids {
    fn setup(setup: &mut Setup<'_>) -> Result<Ids, String> {
        let growing = setup.spec.model == ModelName::MonotonicIds;
        let initial = match &setup.spec.initial {
            None | Some(Value::Null) => None,
            Some(Value::Int(n)) if growing => Some(*n),
            Some(other) if growing => {
                return Err(format!("--initial: expected the last id, a whole number, found {other}"));
            }
            Some(other) => return Err(format!("--initial: ids start with none (null), found {other}")),
        };
        Ok(Ids { growing, initial })
    }
}

impl Model for Ids {
    /// The ids that were given, ascending; where they grow, the last one.
    type State = Arc<BTreeSet<i64>>;
    type Op = Generated;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<Generated>, IllFormed> {
        match function(values, op)? {
            "generate" => {
                must_apply(op, "generate")?;
                match op.outcome {
                    // An id that nobody heard is nobody's.
                    Outcome::Fail | Outcome::Info => Ok(None),
                    Outcome::Ok if self.growing => {
                        let id = values.get(op.output);
                        let number = id.as_int().ok_or_else(|| refuse("a whole number as id", id, true))?;
                        Ok(Some(Generated(number)))
                    }
                    Outcome::Ok if op.output == ValueId::NULL => {
                        Err(refuse("an id", values.get(op.output), true))
                    }
                    Outcome::Ok => Ok(Some(Generated(op.output.0.into()))),
                }
            }
            f => Err(unknown("generate", f)),
        }
    }

    fn init(&self) -> Arc<BTreeSet<i64>> {
        Arc::new(self.initial.into_iter().collect())
    }

    fn step(&self, state: &Arc<BTreeSet<i64>>, op: Generated, out: &mut impl FnMut(Arc<BTreeSet<i64>>)) {
        let mut next = state.clone();
        if self.advance(&mut next, op) == Advance::Done {
            out(next);
        }
    }

    fn advance(&self, state: &mut Arc<BTreeSet<i64>>, Generated(id): Generated) -> Advance {
        let taken =
            if self.growing { state.last().is_some_and(|&last| last >= id) } else { state.contains(&id) };
        if taken {
            return Advance::Illegal;
        }
        let given = Arc::make_mut(state);
        if self.growing {
            given.clear();
        }
        given.insert(id);
        Advance::Done
    }

    fn state_bytes(&self, state: &Arc<BTreeSet<i64>>) -> usize {
        state.len() * 12 + 64
    }

    /// Any id can be left out: the others are still different, and still grow.
    fn project(&self, ops: &[ObjOp<Generated>], keep: &mut [bool], _: Property) -> Problem<Ids> {
        Problem { model: *self, ops: crate::model::kept(ops, keep) }
    }

    fn exact(&self, ops: &[ObjOp<Generated>], stop: &AtomicBool) -> Option<Exact> {
        bisected("forced order", ops, stop, |end| {
            let open = Place { op: 0, first: 0, last: 0, not: None };
            let mut ids: Vec<(i64, Place)> = (0..)
                .zip(ops)
                .filter(|(_, op)| answered(op, end))
                .map(|(i, op)| (op.op.0, Place { op: i, ..open }))
                .collect();
            ids.sort_unstable_by_key(|(id, place)| (*id, place.op));
            for (n, (id, place)) in ids.iter_mut().enumerate() {
                if self.growing && self.initial.is_some_and(|initial| *id <= initial) {
                    return Decision::Violated(vec![place.op]);
                }
                if self.growing {
                    (place.first, place.last) = (n as u32, n as u32);
                }
            }
            if let Some(same) = ids.windows(2).find(|two| two[0].0 == two[1].0) {
                return Decision::Violated(vec![same[0].1.op, same[1].1.op]);
            }
            let mut places: Vec<Place> = ids.into_iter().map(|(_, place)| place).collect();
            match in_places(ops, end, &mut places) {
                Ok(order) => Decision::Holds(order),
                Err((before, after)) => Decision::Violated(before.into_iter().chain([after]).collect()),
            }
        })
    }

    fn describe_op(&self, values: &Interner, Generated(id): Generated) -> String {
        format!("generate → {}", self.name(values, id))
    }

    fn describe_state(&self, values: &Interner, state: &Arc<BTreeSet<i64>>) -> String {
        let ids: Vec<String> = state.iter().map(|&id| self.name(values, id)).collect();
        match &ids[..] {
            [] => "no ids".to_string(),
            [last] if self.growing => format!("the last id is {last}"),
            [only] => format!("{only} was given"),
            ids => format!("{} were given", ids.join(" ")),
        }
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &Arc<BTreeSet<i64>>,
        op: Generated,
        object: &str,
    ) -> String {
        let id = self.name(values, op.0);
        match state.last() {
            Some(&last) if self.growing && last >= op.0 => {
                format!("it got {id}, but {object} had given {} before", self.name(values, last))
            }
            _ if state.contains(&op.0) => format!("it got {id}, which {object} had given before"),
            _ => format!("nothing speaks against {id}"),
        }
    }
}

impl Ids {
    fn name(&self, values: &Interner, id: i64) -> String {
        match u32::try_from(id) {
            Ok(id) if !self.growing => values.get(ValueId(id)).to_string(),
            _ => id.to_string(),
        }
    }
}
