//! Stacks whose elements are all different.
//!
//! From its push to its pop an element lies in the stack, and two elements lie one inside the other in time, or apart. An
//! element certainly lies there from when its push returned until its pop was invoked; where it need not, it comes and
//! goes at once and hinders nobody. What certainly lies there without a gap needs one element under all others:
//!
//! ```text
//!   P0 |-push a-|                                    |-pop → a-|      s: b's push returned, the first of all
//!   P1         |-push b-|s             t|-pop → b-|                   t: b's pop was invoked, the last of all
//!   P2                   |-push c- …                                  under all: pushed before s, popped after t
//! ```
//! **Lemma.** If one can be under all others, it may be. (Every other push returned at `s` or later and every other pop
//! was invoked at `t` or earlier: what an order of the others does outside of that stretch can be done at its ends.) Then
//! it is taken away, and what is left falls apart where nothing certainly lies. If no element can, there is no order, and
//! a few that follow one another from `s` to `t` show it. (The greedy step is Lee and Mathur's, 2025; patterns of
//! violations: Bouajjani, Emmi, Enea and Hamza 2015.)
//!
//! The stack is empty at an instant at which nothing certainly lies. An element that is never popped, or may be, lies
//! there until after the end, where all that is left is popped as it lies: that is cut off again.

use super::bisect::bisected;
use super::contents::{Contents, Element};
use super::covers::Covers;
use super::fatal::Decision;
use super::forced::{answered, known};
use super::held::Held;
use super::stretches::{Best, Cover};
use super::{Exact, Finding};
use crate::problem::ObjOp;
use std::sync::atomic::AtomicBool;

/// Decides the operations of a stack that holds `initial`, the top last. `None` if an element was pushed twice, somebody
/// peeked, or no order is found while somebody may have popped what nobody heard of. O(n log n).
pub(crate) fn stack<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: &[i64],
    held: impl Fn(O) -> Held + Copy,
) -> Option<Exact> {
    let stack = Stack::new(ops, initial, held)?;
    bisected("elements", ops, stop, |end| stack.decide(end, true).unwrap_or_else(|decision| decision))
}

/// Whether already those elements of which somebody heard who popped them have no order, whatever unheard pops popped: a
/// violation, or nothing. O(n log n).
pub(crate) fn stack_heard_of<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: &[i64],
    held: impl Fn(O) -> Held + Copy,
) -> Option<Exact> {
    let stack = Stack::new(ops, initial, held)?;
    bisected("elements", ops, stop, |end| stack.decide(end, false).unwrap_or_else(|decision| decision))
        .filter(|exact| matches!(exact.found, Finding::Violated { .. }))
}

struct Stack<'a, O, H> {
    contents: Contents<'a, O, H>,
    initial: u32,
}

/// An element as it was known at some rank. Ranks are counted anew, with two for each element that is there at first.
#[derive(Clone, Copy, Debug)]
struct Lies {
    element: u32,
    /// The push: invoked, returned.
    push: (u32, u32),
    /// The pop: invoked, returned.
    pop: (u32, u32),
    /// The operations to order: one that is there at first has no push, one that stays no pop.
    ops: [Option<u32>; 2],
    /// Whether the pop returned.
    popped: bool,
}

impl Lies {
    /// The instants at which it certainly lies there, first and last, if there are any.
    fn certain(&self) -> Option<(u32, u32)> {
        (self.push.1 < self.pop.0).then_some((self.push.1 + 1, self.pop.0))
    }
}

/// What happens at one instant, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Pop,
    Empty,
    /// Pushed and popped at once.
    Passing,
    Push,
}

/// An effect: the instant, what, its number among those, the operation if there is one, and whether it returned.
type Effect = (u32, At, usize, Option<u32>, bool);

/// What is left to be done, the last one first.
enum Left {
    /// Everything about these elements, by the return of the push.
    Between(usize, usize),
    Pop(usize, u32),
}

impl<'a, O: Copy, H: Fn(O) -> Held> Stack<'a, O, H> {
    fn new(ops: &'a [ObjOp<O>], initial: &[i64], held: H) -> Option<Stack<'a, O, H>> {
        // An unheard pop pops what came last.
        let contents = Contents::new(ops, initial, held, |_, since| -i64::from(since))?;
        Some(Stack { contents, initial: initial.len() as u32 })
    }

    /// What is known at `end`; of `all` elements, or of those alone of which somebody heard who popped them.
    fn decide(&self, end: u32, all: bool) -> Result<Decision, Decision> {
        let ops = self.contents.ops;
        let (spans, last) = self.ranks(end);
        let mut effects: Vec<Effect> = Vec::with_capacity(ops.len());
        let mut lies: Vec<Lies> = Vec::new();
        for (n, (_, element)) in (0u32..).zip(&self.contents.all) {
            if !all && !self.contents.is_heard_of(element, end) {
                continue;
            }
            let Some(known) = self.as_of(n, element, &spans, last, end)? else { continue };
            if known.certain().is_some() {
                lies.push(known);
                continue;
            }
            let at = known.push.0.max(known.pop.0) + 1;
            let number = 2 * n as usize;
            effects.push((at, At::Passing, number, known.ops[0], true));
            effects.push((at, At::Passing, number + 1, known.ops[1], true));
        }
        lies.sort_unstable_by_key(|known| known.push.1);
        let mut cover = Cover::new(last as usize + 2);
        for (from, to) in lies.iter().filter_map(Lies::certain) {
            cover.add(from, to, 1);
        }
        let unheard = all && self.contents.unheard(end);
        let refuse = |shown: Decision| if unheard { Decision::Open } else { shown };
        for (i, op) in ops.iter().enumerate().filter(|(_, op)| answered(op, end)) {
            if (self.contents.held)(op.op) != Held::Empty {
                continue;
            }
            let (invoke, ret) = spans[i];
            let free = cover.first_free(invoke + 1);
            if free > ret {
                let core = self.covering(&lies, (invoke + 1, ret), end).chain([i as u32]);
                return Err(refuse(Decision::Violated(core.collect())));
            }
            effects.push((free, At::Empty, i, Some(i as u32), true));
        }
        self.nest(&lies, cover, &mut effects).map_err(|(left, instants)| {
            refuse(Decision::Violated(self.covering(&left, instants, end).collect()))
        })?;
        effects.sort_by_key(|&(at, what, number, ..)| (at, what, number));
        // After the end everything is popped as it lies; what returned does so before.
        let stays = effects.iter().position(|effect| effect.3.is_none() && effect.1 == At::Pop);
        let until = stays.unwrap_or(effects.len());
        let kept = effects.iter().enumerate().filter(|(at, effect)| *at < until || effect.4);
        Ok(Decision::Holds(kept.filter_map(|(_, effect)| effect.3).collect()))
    }

    /// Per operation, its invocation and return in ranks without gaps, and a rank after all.
    fn ranks(&self, end: u32) -> (Vec<(u32, u32)>, u32) {
        let mut events: Vec<(u32, usize, bool)> = Vec::with_capacity(2 * self.contents.ops.len());
        for (i, op) in self.contents.ops.iter().enumerate().filter(|(_, op)| known(op, end)) {
            events.push((op.invoke, i, false));
            if answered(op, end) {
                events.push((op.ret, i, true));
            }
        }
        events.sort_unstable();
        let first = 2 * self.initial;
        let last = first + events.len() as u32;
        let mut spans = vec![(last, last + 1); self.contents.ops.len()];
        for (rank, (_, i, returns)) in (first..).zip(events) {
            if returns { spans[i].1 = rank } else { spans[i].0 = rank }
        }
        (spans, last)
    }

    /// What is known of an element; `None` if nobody needs it.
    fn as_of(
        &self,
        number: u32,
        element: &Element,
        spans: &[(u32, u32)],
        last: u32,
        end: u32,
    ) -> Result<Option<Lies>, Decision> {
        let is_known = |&i: &u32| known(&self.contents.ops[i as usize], end);
        let is_answered = |&i: &u32| answered(&self.contents.ops[i as usize], end);
        let mut returned = element.takes.iter().copied().filter(is_answered);
        let must = returned.next();
        if let Some(twice) = returned.next() {
            return Err(Decision::Violated(must.into_iter().chain([twice]).collect()));
        }
        // The one that returned; or else any that may have happened, the first to be invoked.
        let take = must.or_else(|| element.takes.iter().copied().find(is_known));
        let put = element.put.filter(is_known);
        let mut push = match (put, element.initial) {
            (Some(put), _) if must.is_none() && !is_answered(&put) => return Ok(None),
            (Some(put), _) => spans[put as usize],
            (None, Some(under)) => (2 * under, 2 * under + 1),
            (None, None) => {
                return must.map_or(Ok(None), |take| Err(Decision::Violated(vec![take])));
            }
        };
        let mut pop = take.map_or((last, last + 1), |take| spans[take as usize]);
        if pop.1 < push.0 {
            return Err(Decision::Violated(put.into_iter().chain(must).collect()));
        }
        push.1 = push.1.min(pop.1);
        pop.0 = pop.0.max(push.0);
        Ok(Some(Lies { element: number, push, pop, ops: [put, take], popped: must.is_some() }))
    }

    /// Puts elements one inside the other. `lies` by the return of the push.
    ///
    /// # Errors
    /// Elements of which none can be under all others, and from when to when.
    fn nest(
        &self,
        lies: &[Lies],
        mut cover: Cover,
        effects: &mut Vec<Effect>,
    ) -> Result<(), (Vec<Lies>, (u32, u32))> {
        // Elements that are left: those whose push was not invoked before the stretch that they are in, by invocation; and
        // the others by the return of the pop.
        let mut late = Best::new(lies.iter().map(|known| u32::MAX - known.push.0));
        let mut early = Best::new(lies.iter().map(|_| 0));
        let mut left = vec![Left::Between(0, lies.len())];
        while let Some(next) = left.pop() {
            let (first, beyond) = match next {
                Left::Between(first, beyond) => (first, beyond),
                Left::Pop(n, at) => {
                    effects.push((at, At::Pop, effects.len(), lies[n].ops[1], lies[n].popped));
                    continue;
                }
            };
            let first = [&late, &early].into_iter().filter_map(|tree| tree.first(first, beyond)).min();
            let Some(first) = first else { continue };
            let from = lies[first].push.1 + 1;
            let to = cover.first_free(from) - 1;
            let stop = first + lies[first..beyond].partition_point(|known| known.push.1 < to);
            while let Some((n, _)) = late.best(first, stop).filter(|&(n, _)| lies[n].push.0 + 1 < from) {
                late.set(n, 0);
                early.set(n, lies[n].pop.1);
            }
            let under = early.best(first, stop).filter(|&(_, ret)| ret > to);
            let Some((under, _)) = under else {
                let is_left = |n: &usize| late.first(*n, *n + 1).or(early.first(*n, *n + 1)).is_some();
                return Err(((first..stop).filter(is_left).map(|n| lies[n]).collect(), (from, to)));
            };
            early.set(under, 0);
            if let Some((from, to)) = lies[under].certain() {
                cover.add(from, to, -1);
            }
            effects.push((from - 1, At::Push, effects.len(), lies[under].ops[0], true));
            left.extend([Left::Between(stop, beyond), Left::Pop(under, to + 1), Left::Between(first, stop)]);
        }
        Ok(())
    }

    /// The operations of a few elements that together certainly lie there at all these instants.
    fn covering(&self, lies: &[Lies], instants: (u32, u32), end: u32) -> impl Iterator<Item = u32> + '_ {
        let mut covers = Covers::default();
        for known in lies {
            if let Some((from, to)) = known.certain() {
                covers.add(from, to, known.element);
            }
        }
        let owners = covers.owners(instants.0, instants.1, u32::MAX).into_iter();
        let ops = owners
            .map(|owner| &self.contents.all[owner as usize].1)
            .flat_map(|e| e.put.iter().chain(&e.takes));
        ops.copied().filter(move |&i| known(&self.contents.ops[i as usize], end))
    }
}
