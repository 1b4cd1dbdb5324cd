//! First in, first out: queues of different elements, of which a few answers are exchanged.

use super::{Skeleton, acted, filled, histories};
use checker::Problem;
use checker::queue::{Queue, QueueOp};
use checker::testing::Rng;
use history::ValueId;
use std::collections::VecDeque;

/// Of ten operations, so many enqueue; an unanswered dequeue is unheard.
fn queue(rng: &mut Rng, skeleton: &Skeleton, unheard: bool) -> Problem<Queue> {
    let enqueues = 3 + rng.below(4);
    let mut held: VecDeque<u32> = VecDeque::new();
    let mut fresh = 0;
    let mut contents = acted(skeleton, |op, effect| {
        if rng.below(10) < enqueues {
            fresh += 1;
            if effect {
                held.push_back(fresh);
            }
            return Some(QueueOp::Enqueue(ValueId(fresh)));
        }
        if op.indeterminate() {
            if unheard && effect {
                held.pop_front();
            }
            return unheard.then_some(QueueOp::DequeueUnheard);
        }
        Some(held.pop_front().map_or(QueueOp::Empty, |v| QueueOp::Dequeue(ValueId(v))))
    });
    if rng.once_in(2) {
        let (i, j) = (rng.below(contents.len()), rng.below(contents.len()));
        match (contents[i], contents[j]) {
            // Two take what the other took, or one finds nothing, or takes anything.
            (Some(QueueOp::Dequeue(a)), Some(QueueOp::Dequeue(b))) => {
                contents[i] = Some(QueueOp::Dequeue(b));
                contents[j] = Some(QueueOp::Dequeue(a));
            }
            (Some(QueueOp::Dequeue(_)), _) if rng.once_in(2) => contents[i] = Some(QueueOp::Empty),
            (Some(QueueOp::Dequeue(_) | QueueOp::Empty), _) => {
                contents[i] = Some(QueueOp::Dequeue(ValueId(1 + rng.below(fresh as usize + 1) as u32)));
            }
            (Some(QueueOp::Enqueue(_) | QueueOp::DequeueUnheard) | None, _) => {}
        }
    }
    Problem { model: Queue::new(&[]), ops: filled(&skeleton.ops, &contents) }
}

#[test]
fn a_queue_of_different_elements_is_decided_by_their_order() {
    let tally = histories("queue", 3_000, 12, |rng, skeleton| queue(rng, &skeleton, false));
    tally.was_decided_by("order of elements", 20);
}

#[test]
fn a_queue_with_unheard_dequeues_is_decided_by_who_had_to_go() {
    let tally = histories("queue, unheard", 3_000, 11, |rng, skeleton| queue(rng, &skeleton, true));
    tally.was_decided_by("order of elements", 20);
}
