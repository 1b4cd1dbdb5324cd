//! Watches: made along a legal order, a few answers then damaged in each of the ways that a watch can lie.

use super::{Skeleton, Tally, filled, histories};
use checker::testing::Rng;
use checker::watch::{Watch, WatchOp};
use checker::{Model, ObjOp, Problem};
use history::{Interner, NEVER, Value};

/// A change as a test writes it: name, value (0: deleted).
type Change = (i64, i64);

/// What a client did, with what it was told.
#[derive(Clone, Debug)]
enum Asked {
    Write(Change, Option<i64>),
    Watch { from: i64, upto: i64, events: Vec<(i64, Change)>, all: bool },
}

pub(super) fn watch(rng: &mut Rng, skeleton: Skeleton) -> Problem<Watch> {
    let Skeleton { ops, effects } = skeleton;
    // Few different changes, so that it matters who made which.
    let (names, values) = (1 + rng.below(2) as i64, 1 + rng.below(3) as i64);
    let (unique, writes) = (rng.once_in(2), 4 + rng.below(4));
    let (mut store, mut reached, mut fresh): (Vec<(i64, Change)>, i64, i64) = (Vec::new(), 0, 10);
    let never: Vec<usize> = (0..ops.len()).filter(|i| !effects.contains(i)).collect();
    let mut contents: Vec<Option<Asked>> = vec![None; ops.len()];
    for (i, happens) in effects.into_iter().map(|i| (i, true)).chain(never.into_iter().map(|i| (i, false))) {
        let info = ops[i].indeterminate();
        if rng.below(10) < writes {
            fresh += 1;
            let value = match rng.below(5) {
                0 => 0,
                _ if unique => fresh,
                _ => 1 + rng.below(values as usize) as i64,
            };
            let change = (rng.below(names as usize) as i64, value);
            let revision = reached + 1 + rng.below(2) as i64;
            if happens {
                store.push((revision, change));
                reached = revision;
            }
            contents[i] = Some(Asked::Write(change, (!info).then_some(revision)));
        } else if !info {
            let all = rng.once_in(3);
            let last = store.last().map_or(0, |event| event.0);
            let upto = if all { last + rng.below(2) as i64 } else { rng.below(reached as usize + 2) as i64 };
            let from = rng.below(upto as usize + 2) as i64;
            let events: Vec<_> = store.iter().copied().filter(|e| from <= e.0 && e.0 <= upto).collect();
            reached = reached.max(upto);
            contents[i] = Some(Asked::Watch { from, upto, events, all });
        }
    }
    if rng.once_in(2) {
        damage(rng, &mut contents, &store);
    }
    decoded(&ops, &contents)
}

/// One answer, or one revision, as it was not.
fn damage(rng: &mut Rng, contents: &mut [Option<Asked>], store: &[(i64, Change)]) {
    let at = rng.below(contents.len());
    match &mut contents[at] {
        Some(Asked::Write(_, Some(revision))) => *revision = (*revision + rng.pick(&[-2, -1, 1, 2])).max(1),
        Some(Asked::Watch { from, upto, events, .. }) => {
            let one = (!events.is_empty()).then(|| rng.below(events.len()));
            match (rng.below(7), one) {
                (0, Some(one)) => _ = events.remove(one),
                (1, Some(one)) => events.insert(one, events[one]),
                (2, Some(one)) => events.swap(0, one),
                (3, Some(one)) => events[one].1.1 = 1 + rng.below(3) as i64,
                (4, Some(one)) => events[one].0 += rng.pick(&[-1, 1]),
                (5, _) if !store.is_empty() => events.insert(0, rng.pick(store)),
                (6, _) => *from += 1,
                (_, _) => *upto += rng.pick(&[-1, 1, 2]),
            }
        }
        Some(Asked::Write(_, None)) | None => {}
    }
}

fn decoded(ops: &[ObjOp<()>], contents: &[Option<Asked>]) -> Problem<Watch> {
    let mut values = Interner::default();
    let mut model = Watch::default();
    let shown = |value: i64| if value == 0 { Value::Null } else { Value::Int(value) };
    let contents: Vec<Option<WatchOp>> = ops
        .iter()
        .zip(contents)
        .map(|(op, asked)| {
            let (f, input, output) = match asked.as_ref()? {
                Asked::Write((name, 0), made) => ("delete", Value::Int(*name), made.map(Value::Int)),
                Asked::Write((name, value), made) => {
                    ("put", Value::list([Value::Int(*name), Value::Int(*value)]), made.map(Value::Int))
                }
                Asked::Watch { from, upto, events, all } => {
                    let event = |&(revision, (name, value)): &(i64, Change)| {
                        Value::list([Value::Int(revision), Value::Int(name), shown(value)])
                    };
                    let answer = Value::list([Value::Int(*upto), Value::list(events.iter().map(event))]);
                    (if *all { "catch-up" } else { "watch" }, Value::Int(*from), Some(answer))
                }
            };
            let output = output.unwrap_or(Value::Null);
            let op = super::recorded(&mut values, f, &input, &output, op.indeterminate());
            model.decode(&mut values, &op).expect("it fits the model")
        })
        .collect();
    Problem { model, ops: filled(ops, &contents) }
}

#[test]
fn a_watch_has_what_happened_and_nothing_else() {
    let tally = histories("watches", 4000, 11, watch);
    tally.was_decided_by("forced order", 100);
}

/// ```text
///   put a = 1 |---- …  no reply          put b = 2 |---- …  no reply
///                 |-watch → [5: a = 1]-|                 |-watch → [5: b = 2]-|      nothing else is known of revision 5
/// ```
#[test]
fn two_changes_at_a_revision_that_nobody_was_told_are_a_violation_with_those_that_may_have_made_them() {
    let op =
        |(process, invoke, ret): (u32, u32, u32)| ObjOp { invoke, ret, process, source: process, op: () };
    let ops = [(0, 0, NEVER), (1, 1, NEVER), (2, 2, 3), (3, 4, 5)].map(op);
    let told = |change| Asked::Watch { from: 1, upto: 5, events: vec![(5, change)], all: false };
    let contents = [Asked::Write((0, 1), None), Asked::Write((1, 2), None), told((0, 1)), told((1, 2))];
    let mut tally = Tally::default();
    tally.compare(&decoded(&ops, &contents.map(Some)));
    assert_eq!(tally.seen.get(&("forced order", false)), Some(&1));
}
