//! Queues that deliver at least once: made along a legal order, a few answers then damaged.

use super::{Skeleton, filled, histories};
use checker::Problem;
use checker::delivery::{Delivery, DeliveryOp};
use checker::testing::Rng;
use checker::{Model, ObjOp};
use history::{Interner, Value, ValueId};

/// What a client did, with what it got.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Enqueue(i64),
    Dequeue(i64),
    DequeueUnheard,
    /// A bit for each message.
    Drain(u64),
    DrainUnheard,
}

pub(super) fn delivery(rng: &mut Rng, skeleton: Skeleton) -> Problem<Delivery> {
    let Skeleton { ops, effects } = skeleton;
    let (puts, drains) = (3 + rng.below(3), 1 + rng.below(3));
    let (twice, unheard, crashed) = (rng.once_in(10), rng.once_in(2), rng.once_in(8));
    let initial: u64 = if rng.once_in(6) { 1 << 9 } else { 0 };
    let (mut sent, mut waiting, mut fresh) = (initial, initial, 0);
    let mut drained_until = 0;
    let mut contents: Vec<Option<Asked>> = vec![None; ops.len()];
    let one = |rng: &mut Rng, set: u64| {
        let all: Vec<i64> = (0..16).filter(|&i| set >> i & 1 == 1).collect();
        (!all.is_empty()).then(|| rng.pick(&all))
    };
    let never: Vec<usize> = (0..ops.len()).filter(|i| !effects.contains(i)).collect();
    for (i, happens) in effects.into_iter().map(|i| (i, true)).chain(never.into_iter().map(|i| (i, false))) {
        let info = ops[i].indeterminate();
        let kind = rng.below(10);
        let asked = if kind < puts {
            fresh += 1;
            Asked::Enqueue(if twice { fresh % 3 } else { fresh })
        } else if kind < puts + drains {
            match info {
                // Drains that are not over when the next begins, hardly.
                false if ops[i].invoke < drained_until && !rng.once_in(8) => continue,
                false => {
                    drained_until = ops[i].ret;
                    Asked::Drain(waiting | if rng.once_in(3) { sent & rng.bits() } else { 0 })
                }
                true if crashed => Asked::DrainUnheard,
                true => continue,
            }
        } else if info && unheard {
            Asked::DequeueUnheard
        } else if !info {
            let from = if rng.once_in(4) { sent } else { waiting };
            match one(rng, from) {
                Some(message) => Asked::Dequeue(message),
                None => continue,
            }
        } else {
            continue;
        };
        if happens {
            match asked {
                Asked::Enqueue(message) => (sent, waiting) = (sent | 1 << message, waiting | 1 << message),
                Asked::Dequeue(message) => waiting &= !(1 << message),
                Asked::DequeueUnheard => waiting &= !one(rng, waiting).map_or(0, |message| 1 << message),
                Asked::Drain(_) | Asked::DrainUnheard => waiting = 0,
            }
        }
        contents[i] = Some(asked);
    }
    let told = |i: &usize| matches!(contents[*i], Some(Asked::Dequeue(_) | Asked::Drain(_)));
    let told: Vec<usize> = (0..ops.len()).filter(told).collect();
    if rng.once_in(2) && !told.is_empty() {
        let at = rng.pick(&told);
        let message = 1 + rng.below(fresh as usize + 1) as i64;
        contents[at] = contents[at].map(|asked| match asked {
            Asked::Dequeue(_) => Asked::Dequeue(message),
            Asked::Drain(list) => Asked::Drain(list ^ 1 << message),
            Asked::Enqueue(_) | Asked::DequeueUnheard | Asked::DrainUnheard => asked,
        });
    }
    decoded(&ops, &contents, initial)
}

fn decoded(ops: &[ObjOp<()>], contents: &[Option<Asked>], initial: u64) -> Problem<Delivery> {
    let mut values = Interner::default();
    let list = |set: u64| (0..16).filter(move |&i| set >> i & 1 == 1).map(Value::Int);
    let there: Vec<ValueId> = list(initial).map(|value| values.intern(&value)).collect();
    let mut model = Delivery::new(&there);
    let contents: Vec<Option<DeliveryOp>> = ops
        .iter()
        .zip(contents)
        .map(|(op, asked)| {
            let (f, input, output) = match (*asked)? {
                Asked::Enqueue(message) => ("enqueue", Value::Int(message), Value::Null),
                Asked::Dequeue(message) => ("dequeue", Value::Null, Value::Int(message)),
                Asked::DequeueUnheard => ("dequeue", Value::Null, Value::Null),
                Asked::Drain(set) => ("drain", Value::Null, Value::list(list(set))),
                Asked::DrainUnheard => ("drain", Value::Null, Value::Null),
            };
            let op = super::recorded(&mut values, f, &input, &output, op.indeterminate());
            model.decode(&mut values, &op).expect("it fits the model")
        })
        .collect();
    Problem { model, ops: filled(ops, &contents) }
}

#[test]
fn a_drain_leaves_nothing_that_must_be_waiting() {
    let tally = histories("delivery", 3000, 11, delivery);
    tally.was_decided_by("elements", 10);
}
