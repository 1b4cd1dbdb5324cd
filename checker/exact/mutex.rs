//! Locks with one holder: nobody acquires between another's acquire and release.
//!
//! A process acquires and releases in turn, and each pair is a block that nothing may come between. Blocks precede one
//! another as zones do ([`clusters`](super::clusters)), and a lock's are all forward: from the return of the acquire to
//! the invocation of the release. So they must be disjoint. One that is never released must be the last.
//!
//! A refused acquire needs an instant at which somebody has the lock. The order of the blocks is known, so the lock must
//! be free only where a release had returned before the next acquire was invoked; everywhere else one block may follow the
//! other at once. Behind the last block an unanswered acquire may have the lock for good. A refused release is wrong only
//! between an acquire of its own process and the release that follows.
//!
//! Instant `r` comes right before the event of rank `r`; an operation can be at the instants after its invocation up to
//! its return.

use super::Exact;
use super::clusters::NONE;
use super::fatal::{Decision, decided};
use super::ranks::by_rank;
use crate::mutex::MutexOp;
use crate::problem::ObjOp;
use std::sync::atomic::AtomicBool;

/// Decides a lock. An unanswered acquire can be left out where nobody was refused because of it, for its process does no
/// more; an unanswered release happens where it can. O(n), and O(n log n) where somebody was refused or it is violated.
pub(crate) fn mutex(ops: &[ObjOp<MutexOp>], stop: &AtomicBool) -> Option<Exact> {
    decided("disjoint intervals", ops, stop, |end| decide(ops, end))
}

/// Who has the lock, first to last, as far as it is known.
struct Blocks {
    /// Acquires that returned, in the order in which they had the lock.
    acquires: Vec<u32>,
    /// Per operation: the release that follows, if it is an acquire.
    release: Vec<u32>,
    /// Never answered, the first to be invoked.
    unheard: Option<u32>,
    /// Acquires that were refused.
    refused: Vec<u32>,
    /// Releases that were refused, rightly.
    free: Vec<u32>,
}

fn decide(ops: &[ObjOp<MutexOp>], end: u32) -> Decision {
    let ops = &ops[..ops.partition_point(|op| op.invoke <= end)];
    let answered = |i: u32| ops[i as usize].ret <= end && !ops[i as usize].indeterminate();
    let blocks = match Blocks::new(ops, answered) {
        Ok(blocks) => blocks,
        Err(core) => return Decision::Violated(core),
    };
    let (mut held_until, mut holder) = (0, NONE);
    for &acquire in &blocks.acquires {
        if ops[acquire as usize].ret < held_until {
            let core = [holder, acquire].into_iter().flat_map(|a| [a, blocks.release[a as usize]]);
            // A release that came too late shows nothing.
            let seen = |&i: &u32| i != NONE && ops[i as usize].ret <= end && ops[i as usize].ret < held_until;
            return Decision::Violated(core.filter(seen).collect());
        }
        let released = blocks.release[acquire as usize];
        held_until = if released == NONE { NONE } else { ops[released as usize].invoke };
        holder = acquire;
    }
    if blocks.refused.is_empty() && blocks.free.is_empty() {
        let released = |a: u32| Some(blocks.release[a as usize]).filter(|&r| r != NONE);
        return Decision::Holds(
            blocks.acquires.iter().flat_map(|&a| [Some(a), released(a)]).flatten().collect(),
        );
    }
    blocks.with_refusals(ops, answered)
}

/// What happens at one instant, in this order, by blocks: a release and the acquire after it, and who is refused there.
const ACQUIRE: u8 = 0;
const REFUSED: u8 = 1;
const RELEASE: u8 = 2;

impl Blocks {
    fn new(ops: &[ObjOp<MutexOp>], answered: impl Fn(u32) -> bool) -> Result<Blocks, Vec<u32>> {
        let processes = ops.iter().map(|op| op.process as usize + 1).max().unwrap_or(0);
        // Per process, the acquire that is not released.
        let mut holds = vec![NONE; processes];
        let release = vec![NONE; ops.len()];
        let mut made =
            Blocks { acquires: Vec::new(), release, unheard: None, refused: Vec::new(), free: Vec::new() };
        for (i, op) in (0u32..).zip(ops) {
            let holds = &mut holds[op.process as usize];
            match op.op {
                MutexOp::Acquire(_) if !answered(i) => made.unheard = made.unheard.or(Some(i)),
                MutexOp::Acquire(_) if *holds != NONE => return Err(vec![*holds, i]),
                MutexOp::Acquire(_) => *holds = i,
                MutexOp::Release(_) if *holds != NONE => {
                    made.release[*holds as usize] = i;
                    *holds = NONE;
                }
                MutexOp::Release(_) if answered(i) => return Err(vec![i]),
                MutexOp::AcquireRefused(_) if answered(i) => made.refused.push(i),
                MutexOp::ReleaseRefused(_) if answered(i) && *holds != NONE => return Err(vec![*holds, i]),
                MutexOp::ReleaseRefused(_) if answered(i) => made.free.push(i),
                MutexOp::Release(_) | MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => {}
            }
        }
        let acquired =
            |(op, i): &(&ObjOp<MutexOp>, u32)| matches!(op.op, MutexOp::Acquire(_)) && answered(*i);
        let acquires = ops.iter().zip(0u32..).filter(acquired);
        made.acquires = by_rank(acquires.map(|(op, i)| (op.ret, i)));
        Ok(made)
    }

    /// An order in which the lock is held as long as it can be, or somebody who was refused while it was free.
    fn with_refusals(&self, ops: &[ObjOp<MutexOp>], answered: impl Fn(u32) -> bool) -> Decision {
        let op = |i: u32| &ops[i as usize];
        // Per block, when it has the lock: each from as early as can be to as late as can be.
        let mut held: Vec<(u32, u32)> = Vec::with_capacity(self.acquires.len());
        let mut free_from = 0;
        for (n, &acquire) in self.acquires.iter().enumerate() {
            let release = self.release[acquire as usize];
            let next = self.acquires.get(n + 1).map(|&next| op(next).ret);
            let from = free_from.max(op(acquire).invoke + 1);
            // It may be late, but not later than the next one can wait.
            let latest = if release == NONE || !answered(release) { u32::MAX } else { op(release).ret };
            let invoked = if release == NONE { 0 } else { op(release).invoke + 1 };
            let to = match next {
                Some(_) => latest.min(invoked.max(from).max(op(self.acquires[n + 1]).invoke + 1)),
                None => latest,
            };
            held.push((from, to));
            free_from = to;
        }
        let mut effects: Vec<(u32, usize, u8, u32)> = Vec::with_capacity(ops.len());
        for (n, (&acquire, &(from, to))) in self.acquires.iter().zip(&held).enumerate() {
            effects.push((from, n, ACQUIRE, acquire));
            let release = self.release[acquire as usize];
            if release != NONE && to != u32::MAX {
                effects.push((to, n, RELEASE, release));
            }
        }
        effects.extend(self.free.iter().map(|&i| (op(i).invoke + 1, 0, REFUSED, i)));
        let last = held.len();
        let mut unheard = None;
        for &i in &self.refused {
            let (first, ret) = (op(i).invoke + 1, op(i).ret);
            // The first block that has the lock at some instant from then on.
            let at = held.partition_point(|&(_, to)| to < first);
            if let Some(&(from, _)) = held.get(at).filter(|held| held.0 <= ret) {
                effects.push((from.max(first), at, REFUSED, i));
                continue;
            }
            let helper = self.unheard.filter(|&u| at == last && op(u).invoke < ret);
            let Some(helper) = helper else {
                let before = at.checked_sub(1).map(|before| self.acquires[before]);
                let next = self.acquires.get(at).copied();
                let release = before.map(|before| self.release[before as usize]).filter(|&r| r != NONE);
                let core = [Some(i), before, release, next].into_iter().flatten();
                return Decision::Violated(core.chain(self.unheard).collect());
            };
            unheard = Some(helper);
            effects.push((ret, last, REFUSED, i));
        }
        if let Some(helper) = unheard {
            let free_from = held.last().map_or(0, |&(_, to)| to);
            effects.push((free_from.max(op(helper).invoke + 1), last, ACQUIRE, helper));
        }
        effects.sort_unstable();
        Decision::Holds(effects.into_iter().map(|(.., i)| i).collect())
    }
}
