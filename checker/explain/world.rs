//! The few operations of a core, decoded, with what must come before what: the small world in which everything about
//! an anomaly is computed.

use crate::model::Model;
use crate::problem::{ObjOp, Problem};
use crate::verdict::Property;
use history::{Interner, NEVER, Op};
use std::collections::HashSet;

/// Operations that a mask can hold. Larger cores are told without tables.
pub(crate) const STEPS_MAX: usize = 128;

/// Which operations must keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Linearizability: what returned before another was invoked comes first.
    RealTime,
    /// Sequential consistency: what one client sent first comes first.
    Program,
}

impl From<Property> for Base {
    fn from(property: Property) -> Base {
        match property {
            Property::Linearizable => Base::RealTime,
            Property::Sequential => Base::Program,
        }
    }
}

impl Base {
    /// Whether `a` must come before `b` in every order that the property allows.
    pub(crate) fn before(self, a: &Op, b: &Op) -> bool {
        self.orders((a.invoke, a.ret, a.process), (b.invoke, b.process))
    }

    fn orders(
        self,
        (a_invoke, a_ret, a_process): (u32, u32, u32),
        (b_invoke, b_process): (u32, u32),
    ) -> bool {
        match self {
            Base::RealTime => a_ret != NEVER && a_ret < b_invoke,
            Base::Program => a_process == b_process && a_invoke < b_invoke,
        }
    }
}

/// One operation that constrains something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<O> {
    /// Position in the core.
    pub(crate) core: usize,
    /// What it did.
    pub(crate) op: O,
    /// Whether it may be absent.
    pub(crate) optional: bool,
    /// Rank of the invocation.
    pub(crate) invoke: u32,
    /// Rank of the return; `NEVER` if it is indeterminate.
    pub(crate) ret: u32,
    /// The steps that must come before it.
    before: u128,
    /// The steps that must come after it.
    after: u128,
}

/// The decoded core.
pub(crate) struct World<'a, M: Model> {
    pub(crate) model: M,
    pub(crate) values: &'a Interner,
    /// How to call the object: its key, or `the register`.
    pub(crate) object: String,
    pub(crate) steps: Vec<Step<M::Op>>,
}

/// Every state that is possible.
pub(crate) type States<S> = Vec<S>;

impl<'a, M: Model> World<'a, M> {
    /// The world of `problem`, whose operations stand in `core` (indices into the ops of the history). None if there are
    /// more than [`STEPS_MAX`].
    pub(crate) fn new(
        problem: &Problem<M>,
        values: &'a Interner,
        core: &[u32],
        base: Base,
        object: String,
    ) -> Option<World<'a, M>> {
        if problem.ops.len() > STEPS_MAX {
            return None;
        }
        let ops: Vec<(usize, &ObjOp<M::Op>)> = problem
            .ops
            .iter()
            .filter_map(|op| Some((core.iter().position(|&index| index == op.source)?, op)))
            .collect();
        let precedes = |a: &ObjOp<M::Op>, b: &ObjOp<M::Op>| {
            base.orders((a.invoke, a.ret, a.process), (b.invoke, b.process))
        };
        let mask = |of: &dyn Fn(&ObjOp<M::Op>) -> bool| {
            ops.iter().enumerate().filter(|(_, (_, op))| of(op)).fold(0u128, |mask, (i, _)| mask | 1 << i)
        };
        let steps = ops
            .iter()
            .map(|&(position, op)| Step {
                core: position,
                op: op.op,
                optional: op.indeterminate(),
                invoke: op.invoke,
                ret: op.ret,
                before: mask(&|other| precedes(other, op)),
                after: mask(&|other| precedes(op, other)),
            })
            .collect();
        Some(World { model: problem.model.clone(), values, object, steps })
    }

    /// The state before everything.
    pub(crate) fn init(&self) -> States<M::State> {
        vec![self.model.init()]
    }

    /// Every state that `step` may lead to from one of `states`, without repetition. Empty: it is illegal here.
    pub(crate) fn apply(&self, states: &[M::State], step: usize) -> States<M::State> {
        let (mut seen, mut next) = (HashSet::new(), Vec::new());
        for state in states {
            self.model.step(state, self.steps[step].op, &mut |state| {
                if seen.insert(state.clone()) {
                    next.push(state);
                }
            });
        }
        next
    }

    /// The steps that every order must contain.
    pub(crate) fn mandatory(&self) -> u128 {
        self.steps.iter().enumerate().filter(|(_, s)| !s.optional).fold(0, |mask, (i, _)| mask | 1 << i)
    }

    /// Whether `step` may come next after the steps of `placed`: what must precede it is there (an operation that
    /// may be absent need not be), and nothing that must follow it is.
    pub(crate) fn enabled(&self, placed: u128, step: usize) -> bool {
        let s = &self.steps[step];
        placed & (1 << step) == 0 && s.before & self.mandatory() & !placed == 0 && s.after & placed == 0
    }

    /// A state as a person reads it.
    pub(crate) fn describe(&self, state: &M::State) -> String {
        self.model.describe_state(self.values, state)
    }
}
