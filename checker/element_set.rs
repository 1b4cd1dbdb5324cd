//! A set with add, remove and contains. Each element is an object of its own, which is in or out.
//!
//! ```text
//!   add: v → true if it was not there    remove: v → true if it was there    contains: v → true or false
//! ```
//! An add or remove that was answered with null or with its own value says only that it happened.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::Exact;
use crate::model::{Access, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::sources::{self, Sees};
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// One element of a set.
#[derive(Clone, Debug)]
pub struct ElementSet {
    /// What the set holds at first.
    initial: Arc<[ValueId]>,
    /// Which element, once an operation named it.
    element: Option<ValueId>,
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElementOp {
    /// What it asked for.
    pub f: ElementF,
    /// What it was told: whether something changed, or whether the element is there.
    pub told: Option<bool>,
}

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementF {
    /// Put it in.
    Add,
    /// Take it out.
    Remove,
    /// Look whether it is in.
    Contains,
    /// An add that is not held to having found the element out, because why it was is outside a core.
    AddUnchecked,
    /// The same for a remove.
    RemoveUnchecked,
}

impl ElementOp {
    /// Whether the element was in before, as far as it was told.
    fn found(self) -> Option<bool> {
        match self.f {
            ElementF::Add => self.told.map(|changed| !changed),
            ElementF::Remove | ElementF::Contains => self.told,
            ElementF::AddUnchecked | ElementF::RemoveUnchecked => None,
        }
    }

    /// Whether the element is in afterwards, if the operation may have changed that.
    fn leaves(self) -> Option<bool> {
        match (self.f, self.told) {
            (ElementF::Contains, _) | (ElementF::Add | ElementF::Remove, Some(false)) => None,
            (ElementF::Add, Some(true) | None) | (ElementF::AddUnchecked, _) => Some(true),
            (ElementF::Remove, Some(true) | None) | (ElementF::RemoveUnchecked, _) => Some(false),
        }
    }
}

/// In or out as a value of a cell.
fn cell(is_in: bool) -> ValueId {
    ValueId(is_in.into())
}

impl ElementSet {
    /// An element of a set that holds `initial`.
    pub fn new(initial: &[ValueId]) -> ElementSet {
        ElementSet { initial: initial.into(), element: None }
    }

    fn name(&self, values: &Interner) -> String {
        self.element.map_or("the element".to_string(), |element| values.get(element).to_string())
    }
}

impl Specified for ElementSet {
    fn setup(setup: &mut Setup<'_>) -> Result<ElementSet, String> {
        Ok(ElementSet::new(&initial_list(setup, "a list of elements")?))
    }
}

impl Model for ElementSet {
    type State = bool;
    type Op = ElementOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<ElementOp>, IllFormed> {
        let name = function(values, op)?;
        let f = match name {
            "add" => ElementF::Add,
            "remove" => ElementF::Remove,
            "contains" => ElementF::Contains,
            other => return Err(unknown("add, remove or contains", other)),
        };
        must_apply(op, name)?;
        let element = values.get(op.input);
        if matches!(element, Value::Null | Value::Bool(_)) {
            // It could not be told from an answer.
            return Err(refuse("an element other than null, true and false", element, false));
        }
        self.element = Some(op.input);
        if op.outcome == Outcome::Fail || (op.outcome == Outcome::Info && f == ElementF::Contains) {
            return Ok(None);
        }
        let told = match values.get(op.output) {
            _ if op.outcome == Outcome::Info => None,
            Value::Bool(told) => Some(*told),
            _ if f != ElementF::Contains && (op.output == ValueId::NULL || op.output == op.input) => None,
            other => return Err(refuse("true or false", other, true)),
        };
        Ok(Some(ElementOp { f, told }))
    }

    fn init(&self) -> bool {
        self.element.is_some_and(|element| self.initial.contains(&element))
    }

    fn step(&self, &state: &bool, op: ElementOp, out: &mut impl FnMut(bool)) {
        if op.found().is_none_or(|found| found == state) {
            out(op.leaves().unwrap_or(state));
        }
    }

    fn is_pure(&self, op: ElementOp) -> bool {
        op.leaves().is_none()
    }

    fn is_blind(&self, op: ElementOp) -> bool {
        op.found().is_none() && op.leaves().is_some()
    }

    fn only_in(&self, op: ElementOp) -> Option<bool> {
        op.found()
    }

    /// As for a register (`checker/sources.rs`).
    fn project(
        &self,
        ops: &[ObjOp<ElementOp>],
        keep: &mut [bool],
        property: Property,
    ) -> Problem<ElementSet> {
        let sees = |op: ElementOp| op.found().map(|found| Sees::Is(cell(found)));
        let leaves = |op: ElementOp| op.leaves().map(cell);
        let explained = sources::close(ops, keep, property, |op| self.is_pure(op), sees, leaves);
        let mut ops: Vec<_> = ops.to_vec();
        for (op, _) in ops.iter_mut().zip(explained).filter(|(_, explained)| !explained) {
            op.op.f = match op.op.f {
                ElementF::Add | ElementF::AddUnchecked => ElementF::AddUnchecked,
                ElementF::Remove | ElementF::RemoveUnchecked => ElementF::RemoveUnchecked,
                ElementF::Contains => ElementF::Contains,
            };
        }
        Problem { model: self.clone(), ops: crate::model::kept(&ops, keep) }
    }

    fn access(&self, op: ElementOp) -> Option<Access> {
        Some(Access { sees: op.found().map(|found| Sees::Is(cell(found))), leaves: op.leaves().map(cell) })
    }

    fn initial_value(&self) -> Option<ValueId> {
        Some(cell(self.init()))
    }

    fn exact(&self, ops: &[ObjOp<ElementOp>], stop: &AtomicBool) -> Option<Exact> {
        crate::exact::cell(ops, stop, self.initial_value(), |op| self.access(op))
    }

    fn describe_op(&self, values: &Interner, op: ElementOp) -> String {
        let name = self.name(values);
        let told = match op.told {
            Some(told) => format!(" → {told}"),
            None => String::new(),
        };
        match op.f {
            ElementF::Add | ElementF::AddUnchecked => format!("add {name}{told}"),
            ElementF::Remove | ElementF::RemoveUnchecked => format!("remove {name}{told}"),
            ElementF::Contains => format!("contains {name}{told}"),
        }
    }

    fn describe_state(&self, values: &Interner, state: &bool) -> String {
        let name = self.name(values);
        if *state { format!("{name} is in") } else { format!("{name} is not in") }
    }

    fn describe_conflict(&self, values: &Interner, state: &bool, op: ElementOp, object: &str) -> String {
        let held = if *state { "it is" } else { "it is not" };
        let name = self.name(values);
        match op.found() {
            Some(true) => format!("it was told that {name} is in {object}, but {held}"),
            Some(false) => format!("it was told that {name} is not in {object}, but {held}"),
            None => format!("nothing speaks against it: {}", self.describe_state(values, state)),
        }
    }
}
