//! Locks with one holder: nobody acquires between another's acquire and release.
//!
//! A process acquires and releases in turn, and each pair is a block that nothing may come between. Blocks precede one
//! another as zones do ([`clusters`](super::clusters)), and a lock's are all forward: from the return of the acquire to
//! the invocation of the release. So they must be disjoint. One that is never released must be the last.

use super::Exact;
use super::clusters::NONE;
use super::fatal::{Decision, decided};
use super::ranks::by_rank;
use crate::mutex::MutexOp;
use crate::problem::ObjOp;

/// Decides a lock where nobody was refused. An unanswered acquire can be left out, for its process does no more; an
/// unanswered release happens where it can. O(n), and O(n log n) where it is violated.
pub(crate) fn mutex(ops: &[ObjOp<MutexOp>]) -> Option<Exact> {
    let refused = |op: &ObjOp<MutexOp>| match op.op {
        MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => true,
        MutexOp::Acquire(_) | MutexOp::Release(_) => false,
    };
    if ops.iter().any(refused) {
        return None;
    }
    decided("disjoint intervals", ops, |end| decide(ops, end))
}

fn decide(ops: &[ObjOp<MutexOp>], end: u32) -> Decision {
    let ops = &ops[..ops.partition_point(|op| op.invoke <= end)];
    let processes = ops.iter().map(|op| op.process as usize + 1).max().unwrap_or(0);
    // Per process, the acquire that is not released; per acquire, its release.
    let mut holds = vec![NONE; processes];
    let mut release = vec![NONE; ops.len()];
    for (i, op) in ops.iter().enumerate() {
        let answered = op.ret <= end && !op.indeterminate();
        let holds = &mut holds[op.process as usize];
        match op.op {
            MutexOp::Acquire(_) if !answered => {}
            MutexOp::Acquire(_) if *holds != NONE => return Decision::Violated(vec![*holds, i as u32]),
            MutexOp::Acquire(_) => *holds = i as u32,
            MutexOp::Release(_) if *holds != NONE => {
                release[*holds as usize] = i as u32;
                *holds = NONE;
            }
            MutexOp::Release(_) if answered => return Decision::Violated(vec![i as u32]),
            MutexOp::Release(_) => {}
            MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => return Decision::Open,
        }
    }
    let acquires = ops.iter().zip(0u32..).filter(|(op, _)| match op.op {
        MutexOp::Acquire(_) => op.ret <= end && !op.indeterminate(),
        MutexOp::Release(_) | MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => false,
    });
    let mut order = Vec::with_capacity(ops.len());
    let (mut held_until, mut holder) = (0, NONE);
    for acquire in by_rank(acquires.map(|(op, i)| (op.ret, i))) {
        if ops[acquire as usize].ret < held_until {
            let core = [holder, acquire].into_iter().flat_map(|a| [a, release[a as usize]]);
            // A release that came too late shows nothing.
            let seen = |&i: &u32| i != NONE && ops[i as usize].ret <= end && ops[i as usize].ret < held_until;
            return Decision::Violated(core.filter(seen).collect());
        }
        order.push(acquire);
        let released = release[acquire as usize];
        order.extend(Some(released).filter(|&r| r != NONE));
        held_until = if released == NONE { NONE } else { ops[released as usize].invoke };
        holder = acquire;
    }
    Decision::Holds(order)
}
