//! Joins legal orders of single objects into one of all objects, if the objects are linearizable.
//!
//! Linearizability is local (Herlihy and Wing 1990, theorem 1), so there is an order, and it can be read off the ranks:
//! let each operation take effect as soon as it was invoked and its predecessor in its object's order took effect.
//!
//! ```text
//!   x:  w1 ── r1          t(op) = max(invocation of op, t(the one before it in its object's order))
//!   y:     w2 ──── r2     Nobody before op in that order returned before op was invoked, so t(op) is before its return:
//!                         t respects every object's order and real time, hence the order of every process.
//! ```

use super::chains::Chains;

/// One order of all operations from one order per object, each linearizable; `None` if the merged order breaks the
/// program order of a process (which takes an indeterminate operation in the middle of it). O(n log n).
pub(crate) fn merge<O: Copy>(chains: &Chains<O>, orders: &[Vec<u32>]) -> Option<Vec<u32>> {
    let mut timed: Vec<(u32, u32)> = Vec::with_capacity(orders.iter().map(Vec::len).sum());
    for order in orders {
        let mut time = 0;
        for &op in order {
            time = time.max(chains.ops[op as usize].invoke);
            timed.push((time, op));
        }
    }
    // Ranks are unique, so equal times are of one object, and a stable sort keeps its order.
    timed.sort_by_key(|t| t.0);
    let mut next = chains.start.clone();
    for &(_, op) in &timed {
        let at = &mut next[chains.ops[op as usize].process as usize];
        if op < *at {
            return None;
        }
        *at = op + 1;
    }
    Some(timed.into_iter().map(|t| t.1).collect())
}
