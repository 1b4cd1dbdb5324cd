//! Whether a model is what it says about itself, and whether it is judged as the oracle judges it.

use super::{Rng, Shape, random_history};
use crate::certify::{Refused, refute, replay};
use crate::core::shrink;
use crate::exact::{Exact, Finding};
use crate::model::{Advance, Model};
use crate::oracle;
use crate::problem::Problem;
use crate::search::{self, Found};
use crate::verdict::{Budget, Property};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What [`keeps_its_promises`] looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// States in which every operation was tried.
    pub states: usize,
    /// Random histories.
    pub histories: usize,
    /// Those that have a legal order.
    pub legal: usize,
}

/// So many states are looked at; most small alphabets have fewer.
const STATES_MAX: usize = 300;

/// Holds a model against what it says about itself: over the states that `answered` and `unanswered` operations lead to,
/// every promise about single operations ([`Model::is_pure`], [`Model::is_blind`], [`Model::only_in`],
/// [`Model::may_reach`], [`Model::advance`], [`Model::may_be`]); over random histories of up to 9 of them, that searches, cores and exact methods agree with
/// trying every order, and that [`Model::project`] keeps legal histories legal.
///
/// Give few operations over few values, so that histories collide: about twenty. About 50 µs a history.
///
/// # Errors
/// The first promise that is broken, with the operations that break it.
///
/// # Panics
/// If `answered` is empty.
pub fn keeps_its_promises<M: Model>(
    model: &M,
    answered: &[M::Op],
    unanswered: &[M::Op],
    seed: u64,
    histories: usize,
) -> Result<Promises, String> {
    let mut all = answered.to_vec();
    all.extend(unanswered.iter().filter(|op| !answered.contains(op)));
    let states = single_operations(model, &all)?;
    let mut rng = Rng(seed);
    let mut legal = 0;
    for _ in 0..histories {
        let mut shape = Shape::random(&mut rng, 9);
        if unanswered.is_empty() {
            shape.crash = 0;
        }
        let problem = random_history(model, &mut rng, shape, |rng, _, info| {
            Some(rng.pick(if info { unanswered } else { answered }))
        });
        legal += usize::from(agrees(&problem)?);
        shrinks(&problem)?;
        // As it was known at some return: what was answered later is open there, with a result that is known.
        let at = problem.ops[rng.below(problem.ops.len())].ret;
        agrees(&search::until(&problem, at))?;
        projects(&problem, &mut rng)?;
    }
    Ok(Promises { states, histories, legal })
}

fn next_states<M: Model>(model: &M, state: &M::State, op: M::Op) -> Vec<M::State> {
    let mut next = Vec::new();
    model.step(state, op, &mut |s| next.push(s));
    next
}

/// The number of states, if all promises about single operations hold in them.
fn single_operations<M: Model>(model: &M, all: &[M::Op]) -> Result<usize, String> {
    let mut states = vec![model.init()];
    let mut numbers: FxHashMap<M::State, usize> = [(model.init(), 0)].into_iter().collect();
    // Per state, where operations other than blind writes lead.
    let mut ways: Vec<Vec<usize>> = Vec::new();
    let mut at = 0;
    while at < states.len().min(STATES_MAX) {
        let from = states[at].clone();
        let mut led = Vec::new();
        for &op in all {
            for state in next_states(model, &from, op) {
                let number = *numbers.entry(state.clone()).or_insert_with(|| {
                    states.push(state);
                    states.len() - 1
                });
                if !model.is_blind(op) {
                    led.push(number);
                }
            }
        }
        ways.push(led);
        at += 1;
    }
    for &op in all {
        let writes = next_states(model, &states[0], op);
        let only = model.only_in(op);
        if let Some(only) = only.as_ref().filter(|only| next_states(model, only, op).is_empty()) {
            return Err(format!("only_in({op:?}) is {only:?}, but it is illegal there"));
        }
        for state in &states {
            let next = next_states(model, state, op);
            advances(model, state, op, &next)?;
            if model.is_pure(op) && next.iter().any(|s| s != state) {
                return Err(format!("is_pure({op:?}), but it leads from {state:?} to {next:?}"));
            }
            if model.is_blind(op) && (next.len() != 1 || next != writes) {
                return Err(format!("is_blind({op:?}), but it leads from {state:?} to {next:?}"));
            }
            if only.as_ref().is_some_and(|only| only != state) && !next.is_empty() {
                return Err(format!("only_in({op:?}) is {only:?}, but it is legal in {state:?}"));
            }
        }
        for &told in all.iter().filter(|&&told| told != op && model.may_be(op, told)) {
            for state in &states {
                let (may, does) = (next_states(model, state, op), next_states(model, state, told));
                if let Some(other) = does.iter().find(|s| !may.contains(s)) {
                    return Err(format!(
                        "may_be({op:?}, {told:?}), but only that leads from {state:?} to {other:?}"
                    ));
                }
            }
        }
        if !model.is_pure(op) {
            continue;
        }
        let legal: Vec<bool> = states.iter().map(|s| !next_states(model, s, op).is_empty()).collect();
        for (number, from) in states.iter().enumerate().take(ways.len()) {
            if !model.may_reach(from, op) && reaches(&ways, number, &legal) {
                return Err(format!(
                    "may_reach({from:?}, {op:?}) is false, but there is a way to a state in which it is legal"
                ));
            }
        }
    }
    Ok(states.len())
}

/// Whether [`Model::advance`] says what [`Model::step`] says.
fn advances<M: Model>(model: &M, state: &M::State, op: M::Op, next: &[M::State]) -> Result<(), String> {
    let mut after = state.clone();
    let became = model.advance(&mut after, op);
    let right = match became {
        Advance::Done => next == [after.clone()],
        Advance::Illegal => next.is_empty() && after == *state,
        Advance::Open => !next.is_empty() && after == *state,
    };
    if right {
        Ok(())
    } else {
        Err(format!("advance({state:?}, {op:?}) is {became:?} to {after:?}, step says {next:?}"))
    }
}

/// Whether `ways` lead from `from` to a state of `wanted`.
fn reaches(ways: &[Vec<usize>], from: usize, wanted: &[bool]) -> bool {
    let mut seen = vec![false; wanted.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if wanted[at] {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(ways.get(at).into_iter().flatten());
        }
    }
    false
}

/// Whether a small history has a legal order that keeps real time, if every way to find out says the same.
///
/// # Errors
/// Who says something else, with the history.
pub fn agrees<M: Model>(problem: &Problem<M>) -> Result<bool, String> {
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let budget = Budget { stop: &stop, bytes: 1 << 30, states: &states };
    let truth = oracle::linearizable(problem);
    let wrong = |who: &str, what: String| Err(format!("{who}: {what}, of {:#?}", problem.ops));
    let sources = |order: &[u32]| order.iter().map(|&i| problem.ops[i as usize].source).collect::<Vec<_>>();
    let mut found = vec![("the search", search::search(problem, &budget))];
    found.extend(
        ["depth first", "breadth first"].into_iter().zip(search::search_by_each_engine(problem, &budget)),
    );
    if let Some(exact) = problem.model.exact(&problem.ops, &AtomicBool::new(false)) {
        found.push((
            exact.method,
            match exact.found {
                Finding::Order(order) => Found::Order(order),
                Finding::Violated { fatal, .. } => Found::Fatal(fatal),
            },
        ));
    }
    if let Some(Exact { method, found: Finding::Violated { fatal, .. } }) =
        problem.model.refuted(&problem.ops, &AtomicBool::new(false))
    {
        let rank = problem.ops[fatal as usize].ret;
        if truth || oracle::linearizable(&search::until(problem, rank)) {
            return wrong(method, format!("there is an order after operation {fatal}"));
        }
    }
    for (who, found) in found {
        match found {
            Found::Order(order) => {
                if let Err(what) = replay(problem, &sources(&order), Property::Linearizable) {
                    return wrong(who, format!("the order {order:?} is none: {what}"));
                }
            }
            Found::Fatal(fatal) => {
                let rank = problem.ops[fatal as usize].ret;
                let first = rank == 0 || oracle::linearizable(&search::until(problem, rank - 1));
                if truth || !first || oracle::linearizable(&search::until(problem, rank)) {
                    return wrong(who, format!("operation {fatal} is not the first without an order"));
                }
            }
            Found::GaveUp(reason) => return wrong(who, format!("gave up: {reason:?}")),
        }
    }
    for most in [1, 3] {
        // With 1 it looks at the last operation that returned, and at those that did not.
        if truth && search::violated_recently(problem, most, &budget) {
            return wrong(
                "the look at the last operations",
                "a violation, where there is an order".to_string(),
            );
        }
    }
    Ok(truth)
}

/// The core of what has no order is one.
fn shrinks<M: Model>(problem: &Problem<M>) -> Result<(), String> {
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let budget = Budget { stop: &stop, bytes: 1 << 30, states: &states };
    let Found::Fatal(fatal) = search::search(problem, &budget) else { return Ok(()) };
    match refute(problem, &shrink(problem, fatal, &budget), Property::Linearizable) {
        Ok(()) | Err(Refused::TooLarge) => Ok(()),
        Err(Refused::Wrong(what)) => Err(format!("the core: {what}, of {:#?}", problem.ops)),
    }
}

/// What a model leaves out of a core never makes a legal history illegal.
fn projects<M: Model>(problem: &Problem<M>, rng: &mut Rng) -> Result<(), String> {
    for property in [Property::Linearizable, Property::Sequential] {
        if !oracle::holds(problem, property) {
            continue;
        }
        let odds = 2 + rng.below(3);
        let mut keep: Vec<bool> = problem.ops.iter().map(|_| !rng.once_in(odds)).collect();
        let wanted = keep.clone();
        let small = problem.model.project(&problem.ops, &mut keep, property);
        let mut again = keep.clone();
        let twice = problem.model.project(&problem.ops, &mut again, property);
        if !oracle::holds(&small, property) {
            return Err(format!(
                "project: asked for {wanted:?}, {keep:?} has no order, of {:#?}",
                problem.ops
            ));
        }
        if (again, twice.ops) != (keep.clone(), small.ops) {
            return Err(format!("project: asked for {keep:?} again, it changes more, of {:#?}", problem.ops));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IllFormed;
    use history::{Interner, Op};

    /// Adds and reads a number below four, and lies about itself where it is told to.
    #[derive(Clone, Copy, Debug)]
    struct Clock {
        lie: Lie,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Lie {
        None,
        AddIsPure,
        AddIsBlind,
        ReadOnlyInZero,
        NothingIsReached,
        AddMayBeLeftOut,
        AddGoesTwice,
        AddMayBeAnother,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum ClockOp {
        Add(u8),
        Read(u8),
    }

    impl Model for Clock {
        type State = u8;
        type Op = ClockOp;

        fn decode(&mut self, _: &mut Interner, _: &Op) -> Result<Option<ClockOp>, IllFormed> {
            Ok(None)
        }

        fn init(&self) -> u8 {
            0
        }

        fn step(&self, &state: &u8, op: ClockOp, out: &mut impl FnMut(u8)) {
            match op {
                ClockOp::Add(n) => out((state + n) % 4),
                ClockOp::Read(n) if n == state => out(state),
                ClockOp::Read(_) => {}
            }
        }

        fn advance(&self, state: &mut u8, op: ClockOp) -> Advance {
            let twice = self.lie == Lie::AddGoesTwice;
            match op {
                ClockOp::Add(n) => *state = (*state + if twice { 2 * n } else { n }) % 4,
                ClockOp::Read(n) if n == *state => {}
                ClockOp::Read(_) => return Advance::Illegal,
            }
            Advance::Done
        }

        fn may_be(&self, unheard: ClockOp, told: ClockOp) -> bool {
            unheard == told || self.lie == Lie::AddMayBeAnother
        }

        fn is_pure(&self, op: ClockOp) -> bool {
            matches!(op, ClockOp::Read(_)) || self.lie == Lie::AddIsPure
        }

        fn is_blind(&self, op: ClockOp) -> bool {
            matches!(op, ClockOp::Add(_)) && self.lie == Lie::AddIsBlind
        }

        fn only_in(&self, op: ClockOp) -> Option<u8> {
            match op {
                ClockOp::Read(_) if self.lie == Lie::ReadOnlyInZero => Some(0),
                ClockOp::Read(n) => Some(n),
                ClockOp::Add(_) => None,
            }
        }

        fn may_reach(&self, _: &u8, _: ClockOp) -> bool {
            self.lie != Lie::NothingIsReached
        }

        fn superfluous(&self, ops: &[crate::ObjOp<ClockOp>]) -> Vec<bool> {
            ops.iter().map(|op| op.indeterminate() && self.lie == Lie::AddMayBeLeftOut).collect()
        }

        fn describe_op(&self, _: &Interner, op: ClockOp) -> String {
            format!("{op:?}")
        }

        fn describe_state(&self, _: &Interner, state: &u8) -> String {
            state.to_string()
        }

        fn describe_conflict(&self, _: &Interner, state: &u8, op: ClockOp, _: &str) -> String {
            format!("{op:?} in {state}")
        }
    }

    #[test]
    fn every_lie_of_a_model_about_itself_is_found_out() {
        let reads = [0, 1, 2].map(ClockOp::Read);
        let adds = [1, 2].map(ClockOp::Add);
        let answered = [&reads[..], &adds].concat();
        let ask = |lie| keeps_its_promises(&Clock { lie }, &answered, &adds, 3, 300);
        let honest = ask(Lie::None).expect("an honest model");
        assert!(honest.states == 4 && honest.legal > 50 && honest.legal < 300, "{honest:?}");
        for (lie, promise) in [
            (Lie::AddIsPure, "is_pure"),
            (Lie::AddIsBlind, "is_blind"),
            (Lie::ReadOnlyInZero, "only_in"),
            (Lie::NothingIsReached, "may_reach"),
            (Lie::AddMayBeLeftOut, "the search"),
            (Lie::AddGoesTwice, "advance"),
            (Lie::AddMayBeAnother, "may_be"),
        ] {
            let broken = ask(lie).expect_err("a lie");
            assert!(broken.starts_with(promise), "{lie:?}: {broken}");
        }
    }
}
