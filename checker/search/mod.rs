//! Is there a legal order that keeps real time? The general search, for every model.
//!
//! Two engines look at the same configurations (`moves` says what they leave out): `depth` finds an order fast where
//! there is one, `breadth` ends at the return that cannot be explained. They take turns, and in hard cases each has a
//! thread, until one of them has the answer. The answer does not depend on which: an order is an order, and the fatal
//! return is the first one up to which there is none; unless that is too hard to say, and a later one is plain to see
//! (`stale`).

mod bits;
mod breadth;
mod config;
mod depth;
mod meter;
mod moves;
mod plan;
mod race;
mod recent;
mod stale;
mod steps;
mod stuck;
mod window;

use crate::model::Model;
use crate::problem::{ObjOp, Problem};
use crate::verdict::{Budget, Reason};
use breadth::Breadth;
use depth::Depth;
use history::NEVER;
use meter::Meter;
pub use meter::{At, Watched};
pub(crate) use meter::{table_bytes, vec_bytes};
use moves::Mover;
use plan::Plan;
use race::{Ended, Raced, first_or, race, raced};
pub(crate) use recent::recent_violation;
#[doc(hidden)]
pub use stale::stale_read;
use std::sync::atomic::{AtomicBool, Ordering};
use stuck::stuck_at;
pub use stuck::{Stuck, Waiting};

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A legal order: indices in the problem.
    Order(Vec<u32>),
    /// There is none; already the operations up to the return of this one have none, and up to any earlier one they have
    /// (or that is too hard to say, and this one is plain to see).
    Fatal(u32),
    /// The budget ended.
    GaveUp(Reason),
}

/// Looks for a legal order that keeps real time. Exponential in the number of operations that are open together, linear
/// in the length of the history.
pub fn search<M: Model>(problem: &Problem<M>, budget: &Budget<'_>) -> Found {
    search_up_to(problem, budget, u64::MAX)
}

/// [`search`] that gives up after about so many configurations ([`Reason::Memory`]). With fewer than 100 000 the answer is
/// always the same, whatever else the machine does.
pub fn search_up_to<M: Model>(problem: &Problem<M>, budget: &Budget<'_>, configurations: u64) -> Found {
    within(problem, &budget.into(), configurations).unwrap_or_else(|(reason, _)| Found::GaveUp(reason))
}

/// [`search`] that tells somebody where it is, and where it was stuck if it gave up.
pub fn search_watched<M: Model>(problem: &Problem<M>, watched: &Watched<'_>) -> (Found, Option<Stuck>) {
    let states = || watched.budget.states.load(Ordering::Relaxed);
    match within(problem, watched, u64::MAX) {
        Ok(found) => (found, None),
        Err((reason, layer)) => (Found::GaveUp(reason), Some(stuck_at(problem, layer, states()))),
    }
}

/// # Errors
/// Why it gave up, and the return that it could not get past, by the order of returns.
fn within<M: Model>(
    problem: &Problem<M>,
    watched: &Watched<'_>,
    configurations: u64,
) -> Result<Found, (Reason, u32)> {
    match race(problem, watched, configurations, true) {
        Raced::Order(order) => Ok(Found::Order(order)),
        Raced::GaveUp(reason, layer) => Err((reason, layer)),
        Raced::Fatal(index) => Ok(Found::Fatal(index)),
        Raced::None(from) => {
            let seen = stale_read(problem).map(|stale| first_or(stale, problem, watched, configurations));
            match seen {
                Some(Raced::Fatal(index)) => Ok(Found::Fatal(index)),
                Some(Raced::None(_) | Raced::Order(_) | Raced::GaveUp(..)) | None => {
                    first_fatal(problem, from, watched, configurations)
                }
            }
        }
    }
}

/// Whether there is no legal order that keeps real time; `None` if that takes more than about so many configurations, or
/// the budget.
pub fn violated<M: Model>(problem: &Problem<M>, budget: &Budget<'_>, configurations: u64) -> Option<bool> {
    match race(problem, &budget.into(), configurations, true) {
        Raced::Order(_) => Some(false),
        Raced::Fatal(_) | Raced::None(_) => Some(true),
        Raced::GaveUp(..) => None,
    }
}

/// [`search`] by each of the engines alone that it turns to only where it is hard: for tests.
#[doc(hidden)]
pub fn search_by_each_engine<M: Model>(problem: &Problem<M>, budget: &Budget<'_>) -> [Found; 2] {
    let (plan, _) = Plan::new(problem, false);
    let (mover, watched) = (|| Mover::plain(&plan, problem), Watched::from(budget));
    // As if there were too many moves to be kept.
    let mut depth: Depth<'_, Box<[u64]>> = Depth::keeping(mover(), 1);
    let mut breadth: Breadth<'_, Box<[u64]>> = Breadth::new(mover());
    let never = AtomicBool::new(false);
    let found = |end: Option<Ended>| match end.map(|end| raced(problem, &plan, end)) {
        Some(Raced::Order(order)) => Found::Order(order),
        Some(Raced::Fatal(index)) => Found::Fatal(index),
        Some(Raced::None(_) | Raced::GaveUp(..)) | None => Found::GaveUp(Reason::Memory),
    };
    let meter = || Meter::new(&watched, &never, budget.bytes, u64::MAX);
    [found(depth.run(&mut meter())), found(breadth.run(&mut meter()))]
}

/// Whether the last operations of a history are a violation by themselves: for tests.
#[doc(hidden)]
pub fn violated_recently<M: Model>(problem: &Problem<M>, most: usize, budget: &Budget<'_>) -> bool {
    recent_violation(problem, most, &budget.into()).is_some()
}

/// The first return up to which there is no order, when it is known that there is one such from `from` on.
///
/// # Errors
/// Why it gave up, and a return that some order reaches.
fn first_fatal<M: Model>(
    problem: &Problem<M>,
    from: u32,
    watched: &Watched<'_>,
    most: u64,
) -> Result<Found, (Reason, u32)> {
    let mut returns: Vec<(u32, u32)> =
        (0u32..).zip(&problem.ops).filter(|(_, op)| !op.indeterminate()).map(|(i, op)| (op.ret, i)).collect();
    returns.sort_unstable();
    // Strides that double, then halves: the fatal return is usually where the search got stuck.
    let (mut low, mut high, mut stride) = (from as usize, returns.len() - 1, 1);
    let mut at = low;
    while low < high {
        match race(&until(problem, returns[at].0), watched, most, true) {
            Raced::GaveUp(reason, layer) => return Err((reason, layer.max(low as u32))),
            Raced::Order(_) => low = at + 1,
            // The cut changes neither numbers nor anything up to that return.
            Raced::Fatal(index) => return Ok(Found::Fatal(index)),
            Raced::None(_) => high = at,
        }
        at = if high < returns.len() - 1 { low + (high - low) / 2 } else { (low + stride).min(high - 1) };
        at = at.max(low).min(high.max(low));
        stride *= 2;
    }
    Ok(Found::Fatal(returns[low].1))
}

/// The problem as it was known at this return: later ones are still open, and may not have happened.
pub fn until<M: Model>(problem: &Problem<M>, rank: u32) -> Problem<M> {
    let known = |op: &ObjOp<M::Op>| op.invoke < rank;
    let open = |op: &ObjOp<M::Op>| ObjOp { ret: if op.ret <= rank { op.ret } else { NEVER }, ..*op };
    Problem {
        model: problem.model.clone(),
        ops: problem.ops.iter().filter(|op| known(op)).map(open).collect(),
    }
}
