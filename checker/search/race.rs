//! The engines at work on one problem: they take turns, and in hard cases two of them end in threads of their own.

use super::bits::Bits;
use super::breadth::Breadth;
use super::config::{Taken, order};
use super::depth::Depth;
use super::meter::{Meter, Watched};
use super::moves::Mover;
use super::plan::Plan;
use super::recent::recent_violation;
use super::stale::stale_read;
use super::steps::Steps;
use super::until;
use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::Reason;
use std::sync::atomic::{AtomicBool, Ordering};

/// How an engine ended.
pub(crate) enum Ended {
    /// With an order.
    Found(Vec<Taken>),
    /// Without; it looked ahead, and got as far as waiting for this return.
    Nothing(u32),
    /// Without; the return of this layer cannot be explained.
    Nowhere(u32),
}

/// What a race is about: how the problem ended.
pub(crate) enum Raced {
    /// In a legal order.
    Order(Vec<u32>),
    /// There is none, and this is the fatal operation.
    Fatal(u32),
    /// There is none, and the fatal return is this one, by the order of returns, or a later one.
    None(u32),
    /// The budget ended, and some order reaches all returns before this one, by the order of returns.
    GaveUp(Reason, u32),
}

/// Configurations that an engine may look at in its first turn. Most histories need no second one.
const FIRST_TURN: u64 = 20_000;

/// Turns longer than this are not taken: from there on, engines have threads.
const LONG: u64 = 200_000;

/// Bytes that an operation takes to be laid out, about.
const LAID_OUT: usize = 100;

/// So many operations before the one that the search is stuck at are looked at alone.
const RECENT: usize = 512;

/// Races the engines, until about `most` configurations were looked at. `look_back`: whether a search that does not end
/// soon may look for a violation among the last few operations alone.
pub(crate) fn race<M: Model>(
    problem: &Problem<M>,
    watched: &Watched<'_>,
    most: u64,
    look_back: bool,
) -> Raced {
    // Laying out a long history takes a while, and memory.
    if watched.stopped() {
        return Raced::GaveUp(Reason::Stopped, 0);
    }
    if problem.ops.len().saturating_mul(LAID_OUT) > watched.budget.bytes {
        return Raced::GaveUp(Reason::Memory, 0);
    }
    let (plan, steps) = Plan::new(problem, true);
    match plan.slots {
        0..=64 => run::<M, [u64; 1]>(problem, &plan, steps, watched, most, look_back),
        65..=128 => run::<M, [u64; 2]>(problem, &plan, steps, watched, most, look_back),
        129..=256 => run::<M, [u64; 4]>(problem, &plan, steps, watched, most, look_back),
        257.. => run::<M, Box<[u64]>>(problem, &plan, steps, watched, most, look_back),
    }
}

fn run<M: Model, B: Bits>(
    problem: &Problem<M>,
    plan: &Plan,
    steps: Steps<'_>,
    watched: &Watched<'_>,
    most: u64,
    look_back: bool,
) -> Raced {
    let bytes = watched.budget.bytes.saturating_sub(plan.bytes());
    let depth: Depth<'_, B> = Depth::new(Mover::new(plan, steps, true));
    let mut race = Race { problem, plan, watched, depth, deep: None, looked: None };
    // A long history that is easy is done in one go.
    let first = FIRST_TURN.max(2 * plan.done.len() as u64).min(most);
    let mut spent = first;
    if let Some(end) = race.depth(bytes, first) {
        return raced(problem, plan, end);
    }
    if let Some(Reason::Stopped) = race.deep {
        return Raced::GaveUp(Reason::Stopped, race.depth.deepest());
    }
    // Most histories never come here. Those that do are often violated in a way that anybody can see.
    if let Some(stale) = if look_back { stale_read(problem) } else { None } {
        return first_or(stale, problem, watched, most);
    }
    // A third of the memory for each engine; one that needs more rests.
    let bytes = bytes / 3;
    let mut plain: Depth<'_, B> = Depth::new(Mover::plain(plan, problem));
    let mut breadth: Breadth<'_, B> = Breadth::new(Mover::plain(plan, problem));
    let (mut straight, mut wide) = (None, None);
    let mut turn = FIRST_TURN / 2;
    while turn < LONG || !cfg!(feature = "parallel") {
        if spent >= most {
            return Raced::GaveUp(Reason::Memory, plain.deepest().max(breadth.layer()));
        }
        turn = turn.saturating_mul(2);
        spent = spent.saturating_add(3 * turn);
        // Without an eye on what comes later, depth first gets as far as there is an order: to the fatal return.
        let straight_end = resting(&mut straight, watched, bytes, turn, |meter| plain.run(meter));
        if let Some(end) = straight_end {
            return raced(problem, plan, end);
        }
        if straight.is_some() {
            plain.forget();
        }
        if look_back {
            for stuck in [race.depth.deepest(), plain.deepest()] {
                if race.violated_near(stuck) {
                    return Raced::Fatal(plan.done[stuck as usize].index);
                }
            }
        }
        let wide_end = resting(&mut wide, watched, bytes, turn, |meter| breadth.run(meter));
        if wide.is_some() {
            breadth.forget();
        }
        if let Some(end) = wide_end.or_else(|| race.depth(bytes, turn)) {
            return raced(problem, plan, end);
        }
        if let Some(reason) = all_rest([straight, race.deep, wide]) {
            return Raced::GaveUp(reason, plain.deepest().max(breadth.layer()));
        }
    }
    let straightest = plain.deepest();
    drop(plain);
    race.in_threads(bytes, breadth, wide, straightest)
}

/// There is no order up to the return of `stale`: whether there is one up to all before it, if that is soon found out.
pub(crate) fn first_or<M: Model>(
    stale: u32,
    problem: &Problem<M>,
    watched: &Watched<'_>,
    most: u64,
) -> Raced {
    let before = until(problem, problem.ops[stale as usize].ret - 1);
    match race(&before, watched, most.min(LONG), true) {
        Raced::Order(_) | Raced::GaveUp(..) => Raced::Fatal(stale),
        earlier @ (Raced::Fatal(_) | Raced::None(_)) => earlier,
    }
}

/// Why all engines rest, if they do; one that was stopped stops the others.
fn all_rest(engines: [Option<Reason>; 3]) -> Option<Reason> {
    if engines.contains(&Some(Reason::Stopped)) {
        return Some(Reason::Stopped);
    }
    // The first cannot give a verdict that the others do not: it is not waited for.
    (engines[1].is_some() && engines[2].is_some()).then_some(Reason::Memory)
}

/// A turn for an engine, unless it rests.
fn resting(
    rests: &mut Option<Reason>,
    watched: &Watched<'_>,
    bytes: usize,
    turn: u64,
    run: impl FnOnce(&mut Meter<'_>) -> Option<Ended>,
) -> Option<Ended> {
    if rests.is_some() {
        return None;
    }
    let never = AtomicBool::new(false);
    let mut meter = Meter::new(watched, &never, bytes, turn);
    let end = run(&mut meter);
    *rests = meter.out_of;
    end
}

struct Race<'a, M: Model, B> {
    problem: &'a Problem<M>,
    plan: &'a Plan,
    watched: &'a Watched<'a>,
    depth: Depth<'a, B>,
    /// Why the depth-first engine rests.
    deep: Option<Reason>,
    /// The furthest return at which the last few operations were looked at alone.
    looked: Option<u32>,
}

impl<M: Model, B: Bits> Race<'_, M, B> {
    fn depth(&mut self, bytes: usize, turn: u64) -> Option<Ended> {
        let depth = &mut self.depth;
        let end = resting(&mut self.deep, self.watched, bytes, turn, |meter| depth.run(meter));
        if self.deep.is_some() {
            self.depth.forget();
        }
        end
    }

    /// Whether the last few operations before the return that a search is stuck at are a violation by themselves.
    /// Everything that returned before has an order, so that it is the fatal one.
    fn violated_near(&mut self, stuck: u32) -> bool {
        if self.looked.is_some_and(|looked| stuck <= looked) {
            return false;
        }
        self.looked = Some(stuck);
        let known = until(self.problem, self.plan.done[stuck as usize].ret);
        recent_violation(&known, RECENT, self.watched).is_some()
    }

    /// Both engines at once, until one of them ends. Some order reaches `reached`.
    fn in_threads(
        mut self,
        bytes: usize,
        mut breadth: Breadth<'_, B>,
        wide: Option<Reason>,
        reached: u32,
    ) -> Raced {
        let over = AtomicBool::new(false);
        let watched = self.watched;
        let (depth, deep) = (&mut self.depth, self.deep);
        let (deep_end, wide_end) = std::thread::scope(|scope| {
            let over = &over;
            let depth = scope.spawn(move || {
                let mut meter = Meter::new(watched, over, bytes, u64::MAX);
                let end = if deep.is_none() { depth.run(&mut meter) } else { None };
                over.fetch_or(end.is_some(), Ordering::Relaxed);
                end
            });
            let mut meter = Meter::new(watched, over, bytes, u64::MAX);
            let end = if wide.is_none() { breadth.run(&mut meter) } else { None };
            over.fetch_or(end.is_some(), Ordering::Relaxed);
            (depth.join().expect("the depth-first search does not panic"), end)
        });
        let why = if watched.stopped() { Reason::Stopped } else { Reason::Memory };
        match wide_end.or(deep_end) {
            Some(end) => raced(self.problem, self.plan, end),
            None => Raced::GaveUp(why, reached.max(breadth.layer()).max(self.depth.deepest())),
        }
    }
}

/// What the end of an engine says about the problem.
pub(crate) fn raced<M: Model>(problem: &Problem<M>, plan: &Plan, ended: Ended) -> Raced {
    match ended {
        Ended::Found(taken) => {
            let blind = |index: u32| problem.model.is_blind(problem.ops[index as usize].op);
            Raced::Order(order(plan, &taken, blind))
        }
        Ended::Nothing(layer) => Raced::None(layer),
        Ended::Nowhere(layer) => Raced::Fatal(plan.done[layer as usize].index),
    }
}
