//! Is there a legal order that keeps real time? The general search, for every model.
//!
//! Two engines look at the same configurations ([`moves`] says what they leave out): [`depth`] finds an order fast where
//! there is one, [`breadth`] ends at the return that cannot be explained. They take turns, and in hard cases each has a
//! thread, until one of them has the answer. The answer does not depend on which: an order is an order, and the fatal
//! return is the first one up to which there is none.

mod bits;
mod breadth;
mod config;
mod depth;
mod moves;
mod plan;
mod recent;
mod steps;
mod window;

use crate::model::Model;
use crate::problem::{ObjOp, Problem};
use crate::verdict::{Budget, Reason};
use bits::Bits;
use breadth::Breadth;
use config::{Taken, order};
use depth::Depth;
use history::NEVER;
use moves::Mover;
use plan::Plan;
pub(crate) use recent::recent_violation;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A legal order: indices in the problem.
    Order(Vec<u32>),
    /// There is none; already the operations up to the return of this one have none, and up to any earlier one they have.
    Fatal(u32),
    /// The budget ended.
    GaveUp(Reason),
}

/// How an engine ended.
pub(crate) enum Ended {
    /// With an order.
    Found(Vec<Taken>),
    /// Without; it got as far as waiting for this return, and looked ahead.
    Nothing(u32),
    /// Without; the return of this layer cannot be explained.
    Nowhere(u32),
}

/// Configurations that an engine may look at in its first turn. Most histories need no second one.
const FIRST_TURN: u64 = 20_000;

/// So many operations before the one that the search is stuck at are looked at alone.
const RECENT: usize = 512;

/// From this many on, each engine has a thread.
const LONG: u64 = 200_000;

/// Looks for a legal order that keeps real time. Exponential in the number of operations that are open together, linear
/// in the length of the history.
pub fn search<M: Model>(problem: &Problem<M>, budget: &Budget<'_>) -> Found {
    search_up_to(problem, budget, u64::MAX)
}

/// [`search`] that gives up after about so many configurations ([`Reason::Memory`]). With fewer than 100 000 the answer is
/// always the same, whatever else the machine does.
pub fn search_up_to<M: Model>(problem: &Problem<M>, budget: &Budget<'_>, configurations: u64) -> Found {
    match race(problem, budget, configurations, true) {
        Raced::Order(order) => Found::Order(order),
        Raced::GaveUp(reason) => Found::GaveUp(reason),
        Raced::Fatal(index) => Found::Fatal(index),
        Raced::None(from) => first_fatal(problem, from, budget, configurations),
    }
}

/// Whether there is no legal order that keeps real time; `None` if that takes more than about so many configurations, or
/// the budget.
pub fn violated<M: Model>(problem: &Problem<M>, budget: &Budget<'_>, configurations: u64) -> Option<bool> {
    match race(problem, budget, configurations, true) {
        Raced::Order(_) => Some(false),
        Raced::Fatal(_) | Raced::None(_) => Some(true),
        Raced::GaveUp(_) => None,
    }
}

/// [`search`] by the breadth-first engine alone, which [`search`] turns to only where it is hard: for tests.
#[doc(hidden)]
pub fn search_breadth_first<M: Model>(problem: &Problem<M>, budget: &Budget<'_>) -> Found {
    let (plan, steps) = Plan::new(problem);
    let mut breadth: Breadth<'_, Box<[u64]>> = Breadth::new(Mover::new(&plan, steps, false));
    let never = AtomicBool::new(false);
    let mut meter = Meter::new(budget, &never, budget.bytes, u64::MAX);
    match breadth.run(&mut meter).map(|end| raced(problem, &plan, end)) {
        Some(Raced::Order(order)) => Found::Order(order),
        Some(Raced::Fatal(index)) => Found::Fatal(index),
        Some(Raced::None(_) | Raced::GaveUp(_)) | None => {
            Found::GaveUp(meter.out_of.unwrap_or(Reason::Stopped))
        }
    }
}

/// Whether the last operations of a history are a violation by themselves: for tests.
#[doc(hidden)]
pub fn violated_recently<M: Model>(problem: &Problem<M>, most: usize, budget: &Budget<'_>) -> bool {
    recent_violation(problem, most, budget).is_some()
}

enum Raced {
    Order(Vec<u32>),
    Fatal(u32),
    /// There is no order, and the fatal return is this one, by the order of returns, or a later one.
    None(u32),
    GaveUp(Reason),
}

/// The first return up to which there is no order, when it is known that there is one such from `from` on.
fn first_fatal<M: Model>(problem: &Problem<M>, from: u32, budget: &Budget<'_>, most: u64) -> Found {
    let mut returns: Vec<(u32, u32)> =
        (0u32..).zip(&problem.ops).filter(|(_, op)| !op.indeterminate()).map(|(i, op)| (op.ret, i)).collect();
    returns.sort_unstable();
    // Strides that double, then halves: the fatal return is usually where the search got stuck.
    let (mut low, mut high, mut stride) = (from as usize, returns.len() - 1, 1);
    let mut at = low;
    while low < high {
        match race(&until(problem, returns[at].0), budget, most, true) {
            Raced::GaveUp(reason) => return Found::GaveUp(reason),
            Raced::Order(_) => low = at + 1,
            // The cut changes neither numbers nor anything up to that return.
            Raced::Fatal(index) => return Found::Fatal(index),
            Raced::None(_) => high = at,
        }
        at = if high < returns.len() - 1 { low + (high - low) / 2 } else { (low + stride).min(high - 1) };
        at = at.max(low).min(high.max(low));
        stride *= 2;
    }
    Found::Fatal(returns[low].1)
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

/// `look_back`: whether a search that does not end soon may look for a violation among the last few operations alone.
fn race<M: Model>(problem: &Problem<M>, budget: &Budget<'_>, most: u64, look_back: bool) -> Raced {
    let (plan, steps) = Plan::new(problem);
    match plan.slots {
        0..=64 => race_with::<M, [u64; 1]>(problem, &plan, steps, budget, most, look_back),
        65..=128 => race_with::<M, [u64; 2]>(problem, &plan, steps, budget, most, look_back),
        129..=256 => race_with::<M, [u64; 4]>(problem, &plan, steps, budget, most, look_back),
        257.. => race_with::<M, Box<[u64]>>(problem, &plan, steps, budget, most, look_back),
    }
}

fn race_with<M: Model, B: Bits>(
    problem: &Problem<M>,
    plan: &Plan,
    steps: steps::Steps<'_>,
    budget: &Budget<'_>,
    most: u64,
    look_back: bool,
) -> Raced {
    let ended = |ended: Ended| raced(problem, plan, ended);
    let over = AtomicBool::new(false);
    let bytes = budget.bytes.saturating_sub(plan.bytes());
    let mut turn = FIRST_TURN.min(most);
    let mut spent = turn;
    let mut depth: Depth<'_, B> = Depth::new(Mover::new(plan, steps, true));
    let mut meter = Meter::new(budget, &over, bytes, turn);
    if let Some(end) = depth.run(&mut meter) {
        return ended(end);
    }
    if let Some(reason) = meter.out_of {
        return Raced::GaveUp(reason);
    }
    // Where it got stuck, the last few operations may be a violation by themselves. Everything before that has an order.
    let stuck = depth.deepest();
    if look_back {
        let stuck = &plan.done[stuck as usize];
        if recent_violation(&until(problem, stuck.ret), RECENT, budget).is_some() {
            return Raced::Fatal(stuck.index);
        }
    }
    let (_, steps) = Plan::new(problem);
    let mut breadth: Breadth<'_, B> = Breadth::new(Mover::new(plan, steps, false));
    // An engine that needs more than its half of the memory rests, and leaves the rest to the other.
    let (mut deep, mut wide) = (None, None);
    while turn < LONG || !cfg!(feature = "parallel") {
        if spent >= most {
            return Raced::GaveUp(Reason::Memory);
        }
        turn = turn.saturating_mul(2);
        spent = spent.saturating_add(2 * turn);
        if deep.is_none() {
            let mut meter = Meter::new(budget, &over, bytes / 2, turn);
            if let Some(end) = depth.run(&mut meter) {
                return ended(end);
            }
            deep = meter.out_of;
        }
        if wide.is_none() {
            let mut meter = Meter::new(budget, &over, bytes / 2, turn);
            if let Some(end) = breadth.run(&mut meter) {
                return ended(end);
            }
            wide = meter.out_of;
        }
        match (deep, wide) {
            (Some(Reason::Stopped), _) | (_, Some(Reason::Stopped)) => return Raced::GaveUp(Reason::Stopped),
            (Some(Reason::Memory), Some(Reason::Memory)) => return Raced::GaveUp(Reason::Memory),
            (None, _) | (_, None) => {}
        }
    }
    let mut deep_meter = Meter::new(budget, &over, bytes / 2, u64::MAX);
    let mut wide_meter = Meter::new(budget, &over, bytes / 2, u64::MAX);
    let (deep_end, wide_end) = std::thread::scope(|scope| {
        let depth = scope.spawn(|| {
            let end = if deep.is_none() { depth.run(&mut deep_meter) } else { None };
            over.fetch_or(end.is_some(), Ordering::Relaxed);
            end
        });
        let end = if wide.is_none() { breadth.run(&mut wide_meter) } else { None };
        over.fetch_or(end.is_some(), Ordering::Relaxed);
        (depth.join().expect("the depth-first search does not panic"), end)
    });
    match wide_end.or(deep_end) {
        Some(end) => ended(end),
        None if budget.stop.load(Ordering::Relaxed) => Raced::GaveUp(Reason::Stopped),
        None => Raced::GaveUp(Reason::Memory),
    }
}

/// What the end of an engine says about the problem.
fn raced<M: Model>(problem: &Problem<M>, plan: &Plan, ended: Ended) -> Raced {
    match ended {
        Ended::Found(taken) => {
            let blind = |index: u32| problem.model.is_blind(problem.ops[index as usize].op);
            Raced::Order(order(plan, &taken, blind))
        }
        Ended::Nothing(layer) => Raced::None(layer),
        Ended::Nowhere(layer) => Raced::Fatal(plan.done[layer as usize].index),
    }
}

/// Counts configurations, and says when to pause.
pub(crate) struct Meter<'a> {
    budget: &'a Budget<'a>,
    over: &'a AtomicBool,
    bytes: usize,
    left: u64,
    counted: u64,
    ticks: u32,
    /// Why the search cannot go on, if it cannot.
    pub(crate) out_of: Option<Reason>,
}

/// So many steps pass between two looks at the budget.
const LOOK_EVERY: u32 = 1024;

impl<'a> Meter<'a> {
    fn new(budget: &'a Budget<'a>, over: &'a AtomicBool, bytes: usize, left: u64) -> Meter<'a> {
        Meter { budget, over, bytes, left, counted: 0, ticks: LOOK_EVERY - 1, out_of: None }
    }

    /// One more configuration.
    #[inline]
    pub(crate) fn count(&mut self) {
        self.counted += 1;
    }

    /// Whether to pause, now that the search uses so many bytes.
    #[inline]
    pub(crate) fn pause(&mut self, bytes: impl FnOnce() -> usize) -> bool {
        self.ticks += 1;
        if self.ticks < LOOK_EVERY {
            return false;
        }
        self.ticks = 0;
        self.flush();
        if self.budget.stop.load(Ordering::Relaxed) {
            self.out_of = Some(Reason::Stopped);
        } else if bytes() > self.bytes {
            self.out_of = Some(Reason::Memory);
        }
        self.out_of.is_some() || self.left == 0 || self.over.load(Ordering::Relaxed)
    }

    fn flush(&mut self) {
        self.left = self.left.saturating_sub(self.counted);
        self.budget.states.fetch_add(self.counted, Ordering::Relaxed);
        self.counted = 0;
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
