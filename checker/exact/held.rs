//! Bags and priority queues whose elements are all different.
//!
//! An element is certainly in from when its putting (or its taking) returned until its taking (and its putting) was
//! invoked, and need not be in at any other instant:
//!
//! ```text
//!   P0 |--put a--|                                          in for certain
//!   P1                         |--take a--|                          ├──────────┤
//!                                                     put as late as it may be, taken as early
//! ```
//! A bag is empty at any instant that no element covers, and nothing else can go wrong but an element that comes before
//! it is put, or twice. In a priority queue an element can only be taken at an instant that no smaller one covers: the
//! smallest first, each at the earliest such instant, which leaves the others the most room (Lee and Mathur 2025 decide
//! histories without empty answers; peers that do not go on to ask about those accept illegal histories).

use super::bisect::bisected;
use super::contents::Contents;
use super::covers::Covers;
use super::fatal::Decision;
use super::forced::{answered, known};
use super::{Exact, Finding};
use crate::problem::ObjOp;
use std::sync::atomic::AtomicBool;

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It put this in.
    Put(i64),
    /// It took this out.
    Take(i64),
    /// It was told that there is nothing.
    Empty,
    /// It may have taken something.
    TakeUnheard,
    /// It saw what would be taken.
    Peek,
}

/// Decides the operations of a bag. `None` if an element was put in twice, or there is no order and somebody may have taken
/// what nobody heard of. O(n log n).
pub(crate) fn bag<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: &[i64],
    held: impl Fn(O) -> Held + Copy,
) -> Option<Exact> {
    let elements = Contents::new(ops, initial, held, |_, since| i64::from(since))?;
    bisected("elements", ops, stop, |end| {
        elements.decide(end, false, true).unwrap_or_else(|decision| decision)
    })
}

/// Decides the operations of a queue that gives out its smallest element. `None` if an element was put in twice, somebody
/// peeked, or there is no order and somebody may have taken what nobody heard of. O(n log n).
pub(crate) fn priority_queue<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: &[i64],
    held: impl Fn(O) -> Held + Copy,
) -> Option<Exact> {
    let elements = Contents::new(ops, initial, held, |element, _| element)?;
    bisected("elements", ops, stop, |end| {
        elements.decide(end, true, true).unwrap_or_else(|decision| decision)
    })
}

/// Whether already those elements of which somebody heard who took them have no order, whatever unheard takings took: a
/// violation, or nothing. O(n log n).
pub(crate) fn heard_of<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: &[i64],
    held: impl Fn(O) -> Held + Copy,
    smallest_first: bool,
) -> Option<Exact> {
    let elements = Contents::new(ops, initial, held, |element, _| element)?;
    let decide = |end| elements.decide(end, smallest_first, false).unwrap_or_else(|decision| decision);
    bisected("elements", ops, stop, decide).filter(|exact| matches!(exact.found, Finding::Violated { .. }))
}

/// What happens at one instant, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// What was in is taken.
    Take,
    /// An element is put in and taken at once.
    Passing,
    /// There is nothing.
    Empty,
    /// Something is put in.
    Put,
}

/// When an operation takes effect: the instant, what, which element, and the operation.
type Effect = (u32, At, usize, u32);

impl<O: Copy, H: Fn(O) -> Held> Contents<'_, O, H> {
    fn ret(&self, i: Option<u32>, end: u32) -> Option<u32> {
        i.map(|i| &self.ops[i as usize]).filter(|op| answered(op, end)).map(|op| op.ret)
    }

    /// What is known at `end`; of `all` elements, or of those alone of which somebody heard who took them.
    fn decide(&self, end: u32, smallest_first: bool, all: bool) -> Result<Decision, Decision> {
        let is_known = |&i: &u32| known(&self.ops[i as usize], end);
        let is_answered = |&i: &u32| answered(&self.ops[i as usize], end);
        let mut covers = Covers::default();
        let mut effects: Vec<Effect> = Vec::with_capacity(self.ops.len());
        // Per element, until when smaller ones kept it in longer than it had to be: from, to.
        let mut delays: Vec<Option<(u32, u32)>> = vec![None; self.all.len()];
        let unheard = all && self.unheard(end);
        for (number, (_, element)) in self.all.iter().enumerate() {
            if !all && !self.is_heard_of(element, end) {
                continue;
            }
            let mut takes = element.takes.iter().copied().filter(is_known);
            // The one that returned; or else any that may have happened, the first to be invoked.
            let must = element.takes.iter().copied().find(is_answered);
            if let Some(twice) = element.takes.iter().copied().filter(is_answered).nth(1) {
                return Err(Decision::Violated(must.into_iter().chain([twice]).collect()));
            }
            let take = must.or_else(|| takes.next());
            let put = element.put.filter(is_known);
            if put.is_none() && element.initial.is_none() {
                match must {
                    Some(take) => return Err(Decision::Violated(vec![take])),
                    None => continue,
                }
            }
            if must.is_none() && put.is_some_and(|put| !is_answered(&put)) {
                // Nobody needs it.
                continue;
            }
            let put_at = put.map_or(0, |put| self.ops[put as usize].invoke + 1);
            let taken_by = self.ret(must, end).unwrap_or(u32::MAX);
            if taken_by < put_at {
                return Err(Decision::Violated(must.into_iter().chain(put).collect()));
            }
            // In for certain after this; put in at that instant at the latest.
            let in_from = if element.initial.is_some() {
                0
            } else {
                self.ret(put, end).unwrap_or(u32::MAX).min(taken_by)
            };
            let Some(take) = take else {
                covers.add(if element.initial.is_some() { 0 } else { in_from + 1 }, u32::MAX, number as u32);
                effects.extend(put.map(|put| (in_from, At::Put, number, put)));
                continue;
            };
            let earliest = put_at.max(self.ops[take as usize].invoke + 1);
            let free = if smallest_first { covers.free(earliest) } else { Some(earliest) };
            if free != Some(earliest) {
                delays[number] = Some((earliest, free.map_or(u32::MAX, |free| free - 1)));
            }
            let Some(taken) = free.filter(|&free| free <= taken_by && (must.is_some() || free < u32::MAX))
            else {
                if must.is_none() {
                    // It was never taken.
                    covers.add(
                        if element.initial.is_some() { 0 } else { in_from + 1 },
                        u32::MAX,
                        number as u32,
                    );
                    effects.extend(put.map(|put| (in_from, At::Put, number, put)));
                    continue;
                }
                if unheard {
                    return Err(Decision::Open);
                }
                return Err(self.core(&covers, &delays, (earliest, taken_by), Some(number), take, end));
            };
            if element.initial.is_some() {
                covers.add(0, taken.saturating_sub(1), number as u32);
                effects.push((taken, At::Take, number, take));
            } else if taken <= in_from {
                effects.extend(put.map(|put| (taken, At::Passing, number, put)));
                effects.push((taken, At::Passing, number, take));
            } else {
                covers.add(in_from + 1, taken - 1, number as u32);
                effects.extend(put.map(|put| (in_from, At::Put, number, put)));
                effects.push((taken, At::Take, number, take));
            }
        }
        for (i, op) in (0u32..).zip(self.ops).filter(|(i, _)| is_answered(i)) {
            if (self.held)(op.op) != Held::Empty {
                continue;
            }
            match covers.free(op.invoke + 1).filter(|&free| free <= op.ret) {
                Some(free) => effects.push((free, At::Empty, 0, i)),
                None if unheard => return Err(Decision::Open),
                None => return Err(self.core(&covers, &delays, (op.invoke + 1, op.ret), None, i, end)),
            }
        }
        // A putting comes before its taking where they are at one instant: it was found first, and the sort is stable.
        effects.sort_by_key(|&(at, what, number, _)| (at, what, number));
        Ok(Decision::Holds(effects.into_iter().map(|(.., i)| i).collect()))
    }

    /// What covers these instants, and what kept that in, and so on.
    fn core(
        &self,
        covers: &Covers,
        delays: &[Option<(u32, u32)>],
        instants: (u32, u32),
        own: Option<usize>,
        shown_by: u32,
        end: u32,
    ) -> Decision {
        let mut core = vec![shown_by];
        core.extend(own.and_then(|number| self.all[number].1.put));
        let mut seen = vec![false; self.all.len()];
        let mut left = covers.owners(instants.0, instants.1, u32::MAX);
        while let Some(owner) = left.pop() {
            if std::mem::replace(&mut seen[owner as usize], true) {
                continue;
            }
            let element = &self.all[owner as usize].1;
            core.extend(
                element.put.iter().chain(&element.takes).filter(|&&i| known(&self.ops[i as usize], end)),
            );
            if let Some((from, to)) = delays[owner as usize] {
                left.extend(covers.owners(from, to, owner));
            }
        }
        core.sort_unstable();
        core.dedup();
        Decision::Violated(core)
    }
}
