//! A lock with fencing tokens and what it guards: two objects, each decided by the order that tokens force.
//!
//! Nothing that is done with the lock says anything about the resource, and the other way round. So both have an order
//! exactly if all have one, and two orders that keep real time become one by when their operations take effect
//! (Herlihy and Wing 1990, §3.2).

use super::Exact;
use super::bisect::bisected;
use super::fatal::Decision;
use super::guarded::guarded;
use super::holders::holders;
use crate::lock::LockOp;
use crate::problem::ObjOp;
use history::ValueId;
use std::sync::atomic::AtomicBool;

/// Decides a lock that guards a resource which holds `initial`. `None` if the contents of the resource leave open who
/// read what, or whoever was refused finds no place at once. O(n log n).
pub(crate) fn fenced(ops: &[ObjOp<LockOp>], stop: &AtomicBool, initial: ValueId) -> Option<Exact> {
    bisected("forced order", ops, stop, |end| decide(ops, initial, end).unwrap_or_else(|decision| decision))
}

fn decide(ops: &[ObjOp<LockOp>], initial: ValueId, end: u32) -> Result<Decision, Decision> {
    match (holders(ops, end), guarded(ops, initial, end)) {
        (Ok(mut all), Ok(resource)) => {
            all.extend(resource);
            all.sort_by_key(|&(at, _)| at);
            Ok(Decision::Holds(all.into_iter().map(|(_, i)| i).collect()))
        }
        (Err(violated @ Decision::Violated(_)), _) | (_, Err(violated)) | (Err(violated), _) => Err(violated),
    }
}
