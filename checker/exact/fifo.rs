//! First-in-first-out queues of different elements: the order of elements that both of their ends allow.
//!
//! An element must come before another if its enqueue certainly came before the other's, or if its dequeue did (what is
//! never dequeued goes last). Where no two must each come before the other, there is an order (Bouajjani, Emmi, Enea and
//! Hamza 2015); it is built here by taking, again and again, an element that nobody else must precede at either end.
//!
//! ```text
//!   enqueue:  from e_inv to e_res = its return, or that of its dequeue      a before b ⇐ e_res(a) < e_inv(b)
//!   dequeue:  from d_inv, not before e_inv, to d_res                        a before b ⇐ d_res(a) < d_inv(b)
//!   certainly in the queue: from e_res to d_inv. A dequeue that found nothing needs an instant when nothing is.
//! ```
//! A dequeue that nobody heard of must have happened only if some element had to go: the one that was certainly before
//! one that went. Elements by when they had to be gone, such dequeues by invocation, are matched in this order.

use super::Exact;
use super::elements::Elements;
use super::fatal::{Decision, decided};
use crate::problem::ObjOp;
use crate::queue::QueueOp;
use std::sync::atomic::AtomicBool;

/// Decides a queue that is empty at first and whose elements are enqueued once. `None` also where unheard dequeues, or those
/// whose answer is still to come, could make room for one that found nothing, and it is not clear which. O(n log n), and
/// O(n log² n) where it is violated.
pub(crate) fn fifo(ops: &[ObjOp<QueueOp>], stop: &AtomicBool) -> Option<Exact> {
    let elements = Elements::new(ops)?;
    decided("order of elements", ops, stop, |end| decide(ops, &elements, end))
}

fn decide(ops: &[ObjOp<QueueOp>], numbered: &Elements, end: u32) -> Decision {
    let ops = &ops[..ops.partition_point(|op| op.invoke <= end)];
    let mut found = match numbered.as_of(ops, end) {
        Ok(found) => found,
        Err(core) => return Decision::Violated(core),
    };
    if let Err(core) = found.go_where_they_must(ops) {
        return Decision::Violated(core);
    }
    let guessed = !found.unheard.is_empty();
    if let Err(core) = found.find_instants(ops) {
        return if guessed { Decision::Open } else { Decision::Violated(core) };
    }
    match found.order() {
        Ok(order) => Decision::Holds(found.lay_out(&order)),
        Err(Some([a, b])) => {
            let mut core = found.witnesses(ops, a);
            core.extend(found.witnesses(ops, b));
            core.extend(found.taker(b));
            // Before that returned, somebody unheard might have taken it.
            core.extend(found.taker(a).filter(|_| guessed));
            core.extend(&found.unheard);
            core.sort_unstable();
            core.dedup();
            Decision::Violated(core)
        }
        Err(None) => Decision::Open,
    }
}
