//! Forced order: where the results say which group of operations comes after which, and leave open the order inside one.
//!
//! A legal order exists exactly if nobody in a later group returned before somebody in an earlier group was invoked. Then
//! the groups one after the other, each by invocation, are one.

use super::clusters::NONE;
use crate::problem::ObjOp;

/// The operations of all groups in order, or two operations that real time puts the other way round: the first returned
/// before the second was invoked, and is in a later group. `group` has one entry per operation, [`NONE`] for those that
/// are left out. O(operations + groups).
pub(crate) fn in_groups<O>(
    ops: &[ObjOp<O>],
    end: u32,
    group: &[u32],
    groups: usize,
) -> Result<Vec<u32>, (u32, u32)> {
    let mut starts = vec![0usize; groups + 1];
    for &g in group.iter().filter(|&&g| g != NONE) {
        starts[g as usize + 1] += 1;
    }
    for g in 0..groups {
        starts[g + 1] += starts[g];
    }
    let mut order = vec![NONE; starts[groups]];
    for (i, &g) in group.iter().enumerate().filter(|(_, g)| **g != NONE) {
        order[starts[g as usize]] = i as u32;
        starts[g as usize] += 1;
    }
    // From the back: who returned first, in this group and in later ones.
    let (mut earliest, mut later) = (NONE, NONE);
    let ret = |i: u32| if i == NONE || ops[i as usize].ret > end { u32::MAX } else { ops[i as usize].ret };
    let mut at = NONE;
    for &i in order.iter().rev() {
        if group[i as usize] != at {
            at = group[i as usize];
            later = earliest;
        }
        if ret(later) < ops[i as usize].invoke {
            return Err((later, i));
        }
        if ret(i) < ret(earliest) {
            earliest = i;
        }
    }
    Ok(order)
}
