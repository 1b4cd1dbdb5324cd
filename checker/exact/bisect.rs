//! Which return was the first that left no order, where evidence found later may not yet be evidence then?
//!
//! As [`super::fatal`], for methods whose evidence names open operations: every range is halved with an answer of its own,
//! and the evidence is the one that was found at the fatal return.

use super::{Decision, Exact, Finding};
use crate::problem::ObjOp;
use history::NEVER;
use std::sync::atomic::{AtomicBool, Ordering};

/// Decides the whole history with `decide`, which is asked what holds as of a rank, and finds the first fatal return.
/// `None` if the method cannot tell, or soon after `stop` is set. A few calls of `decide`, at most O(log n).
pub(crate) fn bisected<O>(
    method: &'static str,
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    mut decide: impl FnMut(u32) -> Decision,
) -> Option<Exact> {
    let mut decide = |end| if stop.load(Ordering::Relaxed) { Decision::Open } else { decide(end) };
    let mut core = match decide(u32::MAX) {
        Decision::Holds(order) => return Some(Exact { method, found: Finding::Order(order) }),
        Decision::Violated(core) => core,
        Decision::Open => return None,
    };
    // The last return among the evidence: a good guess.
    let guess = |core: &[u32], below: u32| {
        let returns = core.iter().map(|&i| ops[i as usize].ret).filter(|&ret| ret < below);
        returns.max().unwrap_or(0)
    };
    // No order as of `high`; an order as of `low` and before.
    let mut high = ops.iter().map(|op| op.ret).filter(|&ret| ret != NEVER).max()?;
    let mut low = 0;
    let mut next = guess(&core, NEVER);
    let mut asked = 0;
    while low + 1 < high || asked == 0 {
        let at = if low < next && next < high { next } else { low + (high - low).div_ceil(2) };
        asked += 1;
        match decide(at) {
            Decision::Holds(_) => (low, next) = (at, 0),
            Decision::Violated(earlier) => {
                // Evidence that returned earlier, or else right before.
                let last = guess(&earlier, at + 1);
                next = if last < at { last } else { at - 1 };
                (high, core) = (at, earlier);
            }
            Decision::Open => return None,
        }
    }
    let fatal = ops.iter().position(|op| op.ret == high)? as u32;
    core.retain(|&i| ops[i as usize].invoke < high);
    core.sort_unstable();
    core.dedup();
    Some(Exact { method, found: Finding::Violated { fatal, core } })
}
