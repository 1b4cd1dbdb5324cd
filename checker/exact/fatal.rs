//! Which return was the first that left no order?
//!
//! A method decides a history as it was known at some rank: what was invoked later is not there yet, and what returned
//! later is still open. Having no order is monotone in that rank, so the first fatal return can be found by asking again.

use super::{Exact, Finding};
use crate::problem::ObjOp;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a method says about a history as it was known at a rank. Numbers are indices in the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A legal order.
    Holds(Vec<u32>),
    /// There is none, and these operations show it: they have none by themselves, once what they saw is explained.
    Violated(Vec<u32>),
    /// The method cannot tell.
    Open,
}

/// So often the evidence itself says where to look next, before the range is halved.
const FOLLOWED: usize = 4;

/// Decides the whole history with `decide`, which is asked what holds as of a rank, and finds the first fatal return.
/// `None` if the method cannot tell, or soon after `stop` is set. A few calls of `decide`, at most O(log n).
pub(crate) fn decided<O>(
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
    // No order as of `high`; an order as of `low` and before.
    let latest = |core: &[u32], end: u32| {
        core.iter()
            .map(|&i| &ops[i as usize])
            .filter(|op| op.ret <= end && !op.indeterminate())
            .max_by_key(|op| op.ret)
    };
    let mut high = latest(&core, u32::MAX)?.ret;
    let mut low = 0;
    for asked in 0.. {
        if low + 1 >= high {
            break;
        }
        let at = if asked < FOLLOWED { high - 1 } else { low + (high - low) / 2 };
        match decide(at) {
            Decision::Holds(_) => low = at,
            Decision::Violated(earlier) => {
                high = latest(&earlier, at)?.ret;
                core = earlier;
            }
            Decision::Open => return None,
        }
    }
    let fatal = ops.iter().position(|op| op.ret == high)? as u32;
    core.retain(|&i| ops[i as usize].invoke < high);
    Some(Exact { method, found: Finding::Violated { fatal, core } })
}
