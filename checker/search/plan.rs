//! A problem laid out for the search: layers, slots, crashed operations by class.
//!
//! A *layer* is a return: layer L waits for the operation with the L-th return, and operations are numbered by it.
//! An operation occupies a *slot*, one bit, from its invocation to its return; slots are reused, so there are as many as
//! operations were ever open at once, however long the history is.
//!
//! ```text
//!   0 |------|                      layers: 1 returns first (layer 0), then 0, then 2
//!   1   |--|      slots: 0 and 1
//!   2          |------|             takes slot 0 or 1 again
//! ```

use super::steps::{Class, ClassFacts, NOWHERE, StateId, Steps};
use crate::exact::by_rank;
use crate::model::{Forced, Model};
use crate::problem::Problem;
use history::NEVER;
use rustc_hash::FxHashMap;

/// What the search may do with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes nothing wherever it is legal: done as soon as it is legal.
    Pure,
    /// A blind write: may be hidden under another.
    Blind,
    /// Anything else.
    Other,
}

/// An operation that returned, by the order of returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) invoke: u32,
    pub(crate) ret: u32,
    pub(crate) class: Class,
    pub(crate) kind: Kind,
    pub(crate) slot: u32,
    /// Index in the problem.
    pub(crate) index: u32,
}

/// Indeterminate operations that are the same.
#[derive(Clone, Debug)]
pub(crate) struct Crashed {
    pub(crate) class: Class,
    pub(crate) blind: bool,
    /// Indices in the problem, oldest first.
    pub(crate) members: Vec<u32>,
    /// After this rank, nobody can see its effect.
    pub(crate) until: u32,
    /// Its place in the order that results force; of all members, if there are several.
    pub(crate) forced: Forced,
}

/// The layout.
pub(crate) struct Plan {
    /// By return.
    pub(crate) done: Vec<Done>,
    /// The same, by invocation.
    pub(crate) by_invoke: Vec<u32>,
    /// By the invocation of the oldest member.
    pub(crate) crashed: Vec<Crashed>,
    /// Ranks of the invocations of crashed operations, with their class in `crashed`.
    pub(crate) crash_events: Vec<(u32, u32)>,
    /// What is known of each class.
    pub(crate) facts: Vec<ClassFacts>,
    /// How many slots there are.
    pub(crate) slots: usize,
    /// One more than the largest state that `facts` names.
    pub(crate) named_states: usize,
    /// The places of completed operations in the order that results force, by return; empty if nothing is forced.
    places: Vec<Forced>,
    /// Per group of [`Forced`], for each place in `by_invoke`, the smallest `latest` from there on; empty if nothing is
    /// forced.
    pub(crate) latest_from: [Vec<u32>; 2],
    /// Whether every class that changes something leads to one known state.
    pub(crate) posts_known: bool,
}

impl Plan {
    /// Lays out a problem. With `ahead`, what is heard later may tell what happened before. O(n log n).
    pub(crate) fn new<M: Model>(problem: &Problem<M>, ahead: bool) -> (Plan, Steps<'_>) {
        let informed = ahead.then(|| problem.model.informed(&problem.ops)).flatten();
        let (steps, class_of, facts) =
            Steps::new(&problem.model, informed, problem.ops.iter().map(|op| op.op));
        let forced = if ahead { problem.model.forced_order(&problem.ops) } else { Vec::new() };
        let place = |index: usize| forced.get(index).copied().unwrap_or(Forced::FREE);
        let (done, by_invoke, slots) = by_return(problem, &class_of, &facts);
        let places = done.iter().map(|op| place(op.index as usize));
        let places: Vec<Forced> = if forced.is_empty() { Vec::new() } else { places.collect() };
        let latest_from = latest_from(&places, &by_invoke);
        let (crashed, crash_events) = crashed(problem, &class_of, &facts, &done, place);
        let named = |f: &ClassFacts| [f.before, f.after].into_iter().filter(|&s| s != NOWHERE);
        let named_states = facts.iter().flat_map(named).max().map_or(1, |s| s as usize + 1);
        let posts_known = facts.iter().all(|f| f.pure || f.after != NOWHERE);
        let plan = Plan {
            done,
            by_invoke,
            crashed,
            crash_events,
            facts,
            slots,
            named_states,
            places,
            latest_from,
            posts_known,
        };
        (plan, steps)
    }

    /// The place of a completed operation in the order that results force.
    #[inline]
    pub(crate) fn place(&self, id: u32) -> Forced {
        self.places.get(id as usize).copied().unwrap_or(Forced::FREE)
    }

    /// What is known of the class of a completed operation.
    pub(crate) fn facts_of(&self, id: u32) -> ClassFacts {
        self.facts[self.done[id as usize].class as usize]
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        (self.done.len() + self.places.len()) * size_of::<Done>()
            + (self.by_invoke.len() + self.latest_from[0].len() * 2) * 4
            + self.crash_events.len() * 16
            + self.facts.len() * size_of::<ClassFacts>()
            + self.named_states * 8
    }
}

/// [`Plan::latest_from`].
fn latest_from(places: &[Forced], by_invoke: &[u32]) -> [Vec<u32>; 2] {
    if places.is_empty() {
        return Default::default();
    }
    [0, 1].map(|group| {
        let mut smallest = NEVER;
        let mut from = vec![NEVER; by_invoke.len() + 1];
        for (at, &id) in by_invoke.iter().enumerate().rev() {
            let forced = places[id as usize];
            if forced.group == group {
                smallest = smallest.min(forced.latest);
            }
            from[at] = smallest;
        }
        from
    })
}

/// The operations that returned: by return, their numbers by invocation, and how many slots they need. One sweep over
/// invocations and returns. O(n) where returns come nearly in the order of invocations.
fn by_return<M: Model>(
    problem: &Problem<M>,
    class_of: &[Class],
    facts: &[ClassFacts],
) -> (Vec<Done>, Vec<u32>, usize) {
    let ops = &problem.ops;
    let answered = ops.iter().zip(0u32..).filter(|(op, _)| !op.indeterminate());
    let returns = by_rank(answered.map(|(op, index)| (op.ret, index)));
    let mut done: Vec<Done> = Vec::with_capacity(returns.len());
    let mut by_invoke: Vec<u32> = Vec::with_capacity(returns.len());
    // Per operation, its slot, and its place in the order of invocations.
    let mut places = vec![(0, 0); ops.len()];
    let mut free: Vec<u32> = Vec::new();
    let mut slots = 0;
    let mut returns = returns.into_iter().peekable();
    let mut close = |index: u32, (slot, at): (u32, u32), by_invoke: &mut Vec<u32>| {
        by_invoke[at as usize] = done.len() as u32;
        let class = class_of[index as usize];
        let kind = match facts[class as usize] {
            ClassFacts { pure: true, .. } => Kind::Pure,
            ClassFacts { blind: true, .. } => Kind::Blind,
            ClassFacts { .. } => Kind::Other,
        };
        let (invoke, ret) = (ops[index as usize].invoke, ops[index as usize].ret);
        done.push(Done { invoke, ret, class, kind, slot, index });
    };
    for (index, op) in ops.iter().enumerate().filter(|(_, op)| !op.indeterminate()) {
        while let Some(first) = returns.next_if(|&first| ops[first as usize].ret < op.invoke) {
            let place: (u32, u32) = places[first as usize];
            free.push(place.0);
            close(first, place, &mut by_invoke);
        }
        let slot = free.pop().unwrap_or(slots);
        slots = slots.max(slot + 1);
        places[index] = (slot, by_invoke.len() as u32);
        by_invoke.push(0);
    }
    for first in returns {
        close(first, places[first as usize], &mut by_invoke);
    }
    (done, by_invoke, slots as usize)
}

/// Groups the indeterminate operations, without those whose effect nobody can see.
fn crashed<M: Model>(
    problem: &Problem<M>,
    class_of: &[Class],
    facts: &[ClassFacts],
    done: &[Done],
    place: impl Fn(usize) -> Forced,
) -> (Vec<Crashed>, Vec<(u32, u32)>) {
    let superfluous = problem.model.superfluous(&problem.ops);
    let needed = |i: &usize| !superfluous.get(*i).is_some_and(|superfluous| *superfluous);
    let open: Vec<usize> =
        (0..problem.ops.len()).filter(|&i| problem.ops[i].indeterminate()).filter(needed).collect();
    let until = seen_until(&open, class_of, facts, done);
    let mut numbers: FxHashMap<Class, u32> = FxHashMap::default();
    let mut groups: Vec<Crashed> = Vec::new();
    let mut events = Vec::new();
    for &i in &open {
        let (class, op) = (class_of[i], &problem.ops[i]);
        let fact = facts[class as usize];
        let until = until(fact);
        if fact.pure || until < op.invoke {
            continue;
        }
        let group = *numbers.entry(class).or_insert_with(|| {
            let forced = place(i);
            groups.push(Crashed { class, blind: fact.blind, members: Vec::new(), until, forced });
            groups.len() as u32 - 1
        });
        let group_of = &mut groups[group as usize];
        group_of.members.push(i as u32);
        if group_of.members.len() > 1 {
            group_of.forced = Forced::FREE;
        }
        events.push((op.invoke, group));
    }
    (groups, events)
}

/// For each class of indeterminate operations, the last rank at which its effect can be seen.
///
/// An effect is a state; it is seen by a completed operation that is legal only there, by one that may be legal anywhere
/// (unless it is a blind write, which sees nothing), or by an indeterminate one whose own effect is seen later.
fn seen_until(
    open: &[usize],
    class_of: &[Class],
    facts: &[ClassFacts],
    done: &[Done],
) -> impl Fn(ClassFacts) -> u32 {
    let mut by_state: FxHashMap<StateId, u32> = FxHashMap::default();
    let mut by_any = 0;
    for op in done {
        let fact = facts[op.class as usize];
        if fact.before != NOWHERE {
            let last = by_state.entry(fact.before).or_default();
            *last = op.ret.max(*last);
        } else if !fact.blind {
            by_any = op.ret.max(by_any);
        }
    }
    let mut classes: Vec<Class> = open.iter().map(|&i| class_of[i]).collect();
    classes.sort_unstable();
    classes.dedup();
    let look = |by_state: &FxHashMap<StateId, u32>, by_any: u32, fact: ClassFacts| match fact.after {
        NOWHERE => u32::MAX,
        state => by_state.get(&state).copied().unwrap_or(0).max(by_any),
    };
    // Each round carries a sight one indeterminate operation further back.
    loop {
        let mut changed = false;
        for &class in &classes {
            let fact = facts[class as usize];
            if fact.blind || fact.pure {
                continue;
            }
            let until = look(&by_state, by_any, fact);
            let seen = match fact.before {
                NOWHERE => &mut by_any,
                state => by_state.entry(state).or_default(),
            };
            changed |= *seen < until;
            *seen = until.max(*seen);
        }
        if !changed {
            return move |fact| look(&by_state, by_any, fact);
        }
    }
}
