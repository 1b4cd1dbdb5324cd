//! Semaphores: how many permits are out never falls below none, nor rises above all.
//!
//! Who acquires and who releases is of no consequence, so an operation is one up or one down, at an instant between its
//! invocation and its return. **Lazily**: nothing is done before it must be. At a return the operation itself must be done
//! by then; if there is no permit left for an acquire, a release is done first, and if none is out for a release, an
//! acquire, in each case the open one that has to return first. One that was never answered is done only so.
//!
//! **Lemma.** No order has done fewer acquires at any instant, nor fewer releases, so that if nothing can be done first, there is
//! no order. (An operation that is done at its return: all that were done since one with a later return was preferred, or
//! since the beginning, have both ends between then and now, in any order. One that is done for another: whatever order
//! has done the other has done one more of these, for the difference is bounded.)
//!
//! A refusal needs an instant at which all permits are out, or none is. Where the lazy order has one, that is an order;
//! otherwise another order may have it, and the general search decides.

use super::Exact;
use super::bisect::bisected;
use super::fatal::Decision;
use super::forced::{answered, known};
use crate::problem::ObjOp;
use crate::semaphore::SemaphoreOp;
use history::NEVER;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicBool;

/// Decides the operations of a semaphore with `permits`. `None` if somebody was refused who finds no instant in the lazy
/// order. O(n log n).
pub(crate) fn permits(ops: &[ObjOp<SemaphoreOp>], stop: &AtomicBool, permits: i64) -> Option<Exact> {
    bisected("lazy order", ops, stop, |end| decide(ops, permits, end))
}

/// Operations of one kind that are open, by return.
type Waiting = BinaryHeap<Reverse<(u32, u32)>>;

struct Lazy<'a> {
    ops: &'a [ObjOp<SemaphoreOp>],
    permits: i64,
    end: u32,
    out: i64,
    acquires: Waiting,
    releases: Waiting,
    /// Refused for want of permits, or because none was out: open, and not yet at their instant.
    refused: Vec<u32>,
    done: Vec<bool>,
    order: Vec<u32>,
}

fn decide(ops: &[ObjOp<SemaphoreOp>], permits: i64, end: u32) -> Decision {
    let mut events: Vec<(u32, bool, u32)> = Vec::with_capacity(2 * ops.len());
    let mut refused = false;
    for (i, op) in (0u32..).zip(ops).filter(|(_, op)| known(op, end)) {
        refused |= is_refusal(op.op) && answered(op, end);
        events.push((op.invoke, false, i));
        if answered(op, end) {
            events.push((op.ret, true, i));
        }
    }
    events.sort_unstable();
    // Refusals ask for more: what has no order without them has none.
    let unrefused = events.iter().filter(|event| !is_refusal(ops[event.2 as usize].op));
    match Lazy::new(ops, permits, end).run(unrefused) {
        None => return Decision::Violated(core(ops, permits, end)),
        Some(order) if !refused => return Decision::Holds(order),
        Some(_) => {}
    }
    Lazy::new(ops, permits, end).run(events.iter()).map_or(Decision::Open, Decision::Holds)
}

fn is_refusal(op: SemaphoreOp) -> bool {
    match op {
        SemaphoreOp::AcquireRefused | SemaphoreOp::ReleaseRefused => true,
        SemaphoreOp::Acquire | SemaphoreOp::Release => false,
    }
}

/// Acquires that returned and whose processes have not released since, if there are too many of them, or else everything.
fn core(ops: &[ObjOp<SemaphoreOp>], permits: i64, end: u32) -> Vec<u32> {
    let mut held: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    // Released by somebody who had none.
    let mut others = 0;
    for (i, op) in (0u32..).zip(ops).filter(|(_, op)| known(op, end)) {
        match op.op {
            SemaphoreOp::Acquire => held.entry(op.process).or_default().push(i),
            SemaphoreOp::Release => {
                others += i64::from(held.get_mut(&op.process).and_then(Vec::pop).is_none());
            }
            SemaphoreOp::AcquireRefused | SemaphoreOp::ReleaseRefused => {}
        }
    }
    let out = held.into_values().flatten().filter(|&i| answered(&ops[i as usize], end));
    let mut out: Vec<u32> = out.collect();
    if out.len() as i64 - others <= permits {
        out = (0u32..).zip(ops).filter(|(_, op)| known(op, end)).map(|(i, _)| i).collect();
    }
    out
}

impl<'a> Lazy<'a> {
    fn new(ops: &'a [ObjOp<SemaphoreOp>], permits: i64, end: u32) -> Lazy<'a> {
        Lazy {
            ops,
            permits,
            end,
            out: 0,
            acquires: Waiting::new(),
            releases: Waiting::new(),
            refused: Vec::new(),
            done: vec![false; ops.len()],
            order: Vec::with_capacity(ops.len()),
        }
    }

    /// The order, if everyone can be done in time.
    fn run<'e>(mut self, events: impl Iterator<Item = &'e (u32, bool, u32)>) -> Option<Vec<u32>> {
        for &(_, returns, i) in events {
            if !returns {
                self.invoked(i);
            } else if !self.done[i as usize] {
                self.returns(i)?;
            }
        }
        Some(self.order)
    }

    fn invoked(&mut self, i: u32) {
        let op = &self.ops[i as usize];
        let ret = if answered(op, self.end) { op.ret } else { NEVER };
        match op.op {
            SemaphoreOp::Acquire => self.acquires.push(Reverse((ret, i))),
            SemaphoreOp::Release => self.releases.push(Reverse((ret, i))),
            SemaphoreOp::AcquireRefused | SemaphoreOp::ReleaseRefused => {
                if ret != NEVER {
                    self.refused.push(i);
                    self.refuse();
                }
            }
        }
    }

    fn returns(&mut self, i: u32) -> Option<()> {
        match self.ops[i as usize].op {
            SemaphoreOp::Acquire => {
                while self.out >= self.permits {
                    self.first(false)?;
                }
                self.first(true)
            }
            SemaphoreOp::Release => {
                while self.out <= 0 {
                    self.first(true)?;
                }
                self.first(false)
            }
            // All are out, or none: no longer lazy, but an order if it goes well.
            SemaphoreOp::AcquireRefused => {
                while self.out < self.permits {
                    self.first(true)?;
                }
                Some(())
            }
            SemaphoreOp::ReleaseRefused => {
                while self.out > 0 {
                    self.first(false)?;
                }
                Some(())
            }
        }
    }

    /// Does the open acquire, or release, that has to return first.
    fn first(&mut self, acquire: bool) -> Option<()> {
        let waiting = if acquire { &mut self.acquires } else { &mut self.releases };
        let Reverse((_, i)) = waiting.pop()?;
        self.out += if acquire { 1 } else { -1 };
        self.order.push(i);
        self.done[i as usize] = true;
        self.refuse();
        Some(())
    }

    /// Puts everyone who was refused and is open where he can be.
    fn refuse(&mut self) {
        let (out, permits) = (self.out, self.permits);
        let (ops, order, done) = (self.ops, &mut self.order, &mut self.done);
        self.refused.retain(|&i| {
            let all = ops[i as usize].op == SemaphoreOp::AcquireRefused;
            let fits = if all { out >= permits } else { out <= 0 };
            if fits {
                order.push(i);
                done[i as usize] = true;
            }
            !fits
        });
    }
}
