//! The models that tell an order, and the containers: made along a legal order with every element new, a few answers then
//! damaged.

use super::{Skeleton, histories, locks, messages, watches};
use checker::container::{Container, ContainerOp, Discipline};
use checker::element_set::{ElementF, ElementOp, ElementSet};
use checker::fetch_add::{FetchAdd, FetchAddOp};
use checker::ids::{Generated, Ids};
use checker::log::Log;
use checker::testing::Rng;
use checker::versioned::{Growth, Versioned, VersionedOp};
use checker::{Model, ModelName, NilRead, ObjOp, Problem, Property, oracle, search};
use history::{Interner, NEVER, NO_TIME, Op, Outcome, Value, ValueId};

/// Fills a skeleton along its effects; those that never took effect come last, with nothing to show for it.
pub(super) fn along<M: Model>(
    skeleton: Skeleton,
    model: M,
    mut one: impl FnMut(usize, bool, bool) -> Option<M::Op>,
) -> Problem<M> {
    let Skeleton { ops, effects } = skeleton;
    let never: Vec<usize> = (0..ops.len()).filter(|i| !effects.contains(i)).collect();
    let mut contents: Vec<Option<M::Op>> = vec![None; ops.len()];
    for (i, happens) in effects.into_iter().map(|i| (i, true)).chain(never.into_iter().map(|i| (i, false))) {
        contents[i] = one(i, ops[i].indeterminate(), happens);
    }
    Problem { model, ops: super::filled(&ops, &contents) }
}

/// Changes one operation in two histories.
pub(super) fn damage<M: Model>(
    mut problem: Problem<M>,
    rng: &mut Rng,
    change: impl FnOnce(&mut Rng, M::Op) -> M::Op,
) -> Problem<M> {
    if rng.once_in(2) && !problem.ops.is_empty() {
        let at = rng.below(problem.ops.len());
        problem.ops[at].op = change(rng, problem.ops[at].op);
    }
    problem
}

fn versioned(rng: &mut Rng, skeleton: Skeleton, growth: Growth, told: bool) -> Problem<Versioned> {
    let model = Versioned::new(growth, (0, ValueId::NULL), NilRead::Observe);
    let (mut version, mut value, mut fresh) = (0, ValueId::NULL, 0);
    let mut heard = true;
    let problem = along(skeleton, model, |_, info, happens| {
        let step = if growth == Growth::ByOne { 1 } else { 1 + rng.below(3) as i64 };
        let kind = rng.below(10);
        fresh += 1;
        let new = if told || rng.once_in(2) { ValueId(fresh) } else { ValueId(1 + rng.below(2) as u32) };
        let expected = if rng.once_in(4) { rng.below(4) as i64 } else { version };
        Some(match kind {
            0..4 if info => return None,
            0..4 => VersionedOp::Read(version, value),
            8.. if expected != version || (!heard && growth == Growth::Larger) => {
                if info {
                    VersionedOp::CasUnheard { expected, value: new }
                } else {
                    VersionedOp::CasRefused(expected)
                }
            }
            _ => {
                let before = version;
                if happens {
                    (version, value) = (version + step, new);
                    heard = true;
                }
                match (kind < 8, info || (!told && rng.once_in(6))) {
                    (true, true) => VersionedOp::WriteUnheard(new),
                    (true, false) => VersionedOp::Write(version, new),
                    (false, true) => VersionedOp::CasUnheard { expected: before, value: new },
                    (false, false) => VersionedOp::Cas { expected: before, version, value: new },
                }
            }
        })
    });
    damage(problem, rng, |rng, op| {
        let near = |rng: &mut Rng, n: i64| n + rng.pick(&[-1, 1, 2]);
        match op {
            VersionedOp::Read(n, v) if rng.once_in(2) => VersionedOp::Read(near(rng, n), v),
            VersionedOp::Read(n, _) => VersionedOp::Read(n, ValueId(rng.below(5) as u32)),
            VersionedOp::Write(n, v) => VersionedOp::Write(near(rng, n), v),
            VersionedOp::Cas { expected, version, value } if rng.once_in(2) => {
                VersionedOp::Cas { expected: near(rng, expected), version, value }
            }
            VersionedOp::Cas { expected, version, value } => {
                VersionedOp::Cas { expected, version: near(rng, version), value }
            }
            VersionedOp::CasRefused(n) => VersionedOp::CasRefused(near(rng, n)),
            VersionedOp::WriteUnheard(_) | VersionedOp::CasUnheard { .. } => op,
        }
    })
}

/// What an [`Op`] needs to be decoded.
fn raw(values: &mut Interner, f: &str, input: Value, output: Value, info: bool) -> Op {
    Op {
        invoke: 0,
        ret: 1,
        process: 0,
        f: values.intern(&Value::text(f)),
        key: ValueId::NULL,
        input: values.intern(&input),
        output: values.intern(&output),
        outcome: if info { Outcome::Info } else { Outcome::Ok },
        applied: history::Applied::Unsaid,
        observed: None,
        error: ValueId::NULL,
        node: ValueId::NULL,
        session: 0,
        invoke_time: NO_TIME,
        ret_time: NO_TIME,
        invoke_line: 1,
        ret_line: 2,
    }
}

fn log(rng: &mut Rng, skeleton: Skeleton, offsets: bool) -> Problem<Log> {
    let mut values = Interner::default();
    let initial: Vec<ValueId> = (0..rng.below(2)).map(|_| values.intern(&Value::Int(99))).collect();
    let mut model = Log::new(&initial, offsets, NilRead::Observe);
    let mut held: Vec<i64> = initial.iter().map(|_| 99).collect();
    let mut fresh = 0;
    let damaged = if rng.once_in(2) { rng.below(skeleton.ops.len()) } else { usize::MAX };
    let twice = rng.once_in(10);
    let inner = model.clone();
    let mut problem = along(skeleton, inner, |i, info, happens| {
        let kind = rng.below(10);
        let wrong = i == damaged;
        let list = |list: &[i64]| Value::list(list.iter().map(|&n| Value::Int(n)));
        let op = if kind < 5 {
            fresh += 1;
            let new = if twice { 1 + fresh % 3 } else { fresh };
            let mut at = held.len() as i64;
            if happens {
                held.push(new);
            }
            if wrong {
                at = (at + rng.pick(&[-1, 1])).max(0);
            }
            let unheard = offsets && rng.once_in(8);
            let answer = if offsets && !unheard { Value::Int(at) } else { Value::Null };
            raw(&mut values, "append", Value::Int(new), answer, info)
        } else if kind < 8 || !offsets {
            let mut seen = held.clone();
            if wrong {
                match rng.below(4) {
                    0 => drop(seen.pop()),
                    1 => seen.reverse(),
                    2 => seen.push(1 + rng.below(8) as i64),
                    _ if seen.is_empty() => {}
                    _ => drop(seen.remove(0)),
                }
            }
            raw(&mut values, "read", Value::Null, list(&seen), info)
        } else {
            let at = rng.below(held.len() + 2);
            let answer = if wrong { Some(1 + rng.below(8) as i64) } else { held.get(at).copied() };
            let answer = answer.map_or(Value::Null, Value::Int);
            raw(&mut values, "read", Value::Int(at as i64), answer, info)
        };
        model.decode(&mut values, &op).expect("well-formed")
    });
    problem.model = model;
    problem
}

fn sum(rng: &mut Rng, skeleton: Skeleton, by: &[i64]) -> Problem<FetchAdd> {
    let initial = rng.pick(&[0, 0, 5]);
    let mut at = initial;
    let problem = along(skeleton, FetchAdd::new(initial, NilRead::Observe), |_, info, happens| {
        if rng.once_in(3) {
            return (!info).then_some(FetchAddOp::Read(at));
        }
        let (before, amount) = (at, rng.pick(by));
        if happens {
            at += amount;
        }
        Some(match info || rng.once_in(12) {
            true => FetchAddOp::Add(amount),
            false => FetchAddOp::FetchAdd { before, amount },
        })
    });
    damage(problem, rng, |rng, op| match op {
        FetchAddOp::Read(n) => FetchAddOp::Read(n + rng.pick(&[-1, 1, 2])),
        FetchAddOp::FetchAdd { before, amount } => {
            FetchAddOp::FetchAdd { before: before + rng.pick(&[-1, 1, 2]), amount }
        }
        FetchAddOp::Add(_) | FetchAddOp::Jumped { .. } => op,
    })
}

fn ids(rng: &mut Rng, skeleton: Skeleton, growing: bool) -> Problem<Ids> {
    let mut last = 0;
    let model = Ids { growing, initial: (growing && rng.once_in(2)).then_some(0) };
    let problem = along(skeleton, model, |_, info, _| {
        last += 1 + rng.below(2) as i64;
        (!info).then_some(Generated(last))
    });
    damage(problem, rng, |rng, Generated(id)| Generated(id + rng.pick(&[-3, -2, -1, 1, 2, 3])))
}

fn container(rng: &mut Rng, skeleton: Skeleton, discipline: Discipline) -> Problem<Container> {
    let initial: Vec<i64> = if rng.once_in(4) { vec![50] } else { Vec::new() };
    let model = Container::new(discipline, &initial);
    let mut state = model.init();
    let mut names: Vec<i64> = (1..=12).collect();
    let puts = 3 + rng.below(3);
    let (twice, peeks, unheard) = (rng.once_in(12), rng.once_in(12), rng.once_in(3));
    let inner = model.clone();
    let problem = along(skeleton, inner, |_, info, happens| {
        let kind = rng.below(10);
        let op = if kind < puts {
            let at = rng.below(names.len());
            ContainerOp::Put(if twice { rng.below(3) as i64 } else { names.swap_remove(at) })
        } else if info {
            if !unheard {
                return None;
            }
            ContainerOp::TakeUnheard
        } else {
            let inside = state.all();
            let next = match discipline {
                Discipline::Bag if inside.is_empty() => None,
                Discipline::Bag => Some(inside[rng.below(inside.len())]),
                Discipline::Stack => inside.last().copied(),
                Discipline::PriorityQueue => inside.first().copied(),
            };
            match next {
                None => ContainerOp::Empty,
                Some(next) if peeks && discipline != Discipline::Bag && rng.once_in(2) => {
                    ContainerOp::Peek(next)
                }
                Some(next) => ContainerOp::Take(next),
            }
        };
        if happens {
            let mut all = Vec::new();
            model.step(&state, op, &mut |next| all.push(next));
            if !all.is_empty() {
                state = all.swap_remove(rng.below(all.len()));
            }
        }
        Some(op)
    });
    let takes: Vec<i64> = problem
        .ops
        .iter()
        .filter_map(|op| match op.op {
            ContainerOp::Put(element) => Some(element),
            ContainerOp::Take(_) | ContainerOp::Peek(_) | ContainerOp::Empty | ContainerOp::TakeUnheard => {
                None
            }
        })
        .collect();
    damage(problem, rng, |rng, op| match op {
        ContainerOp::Take(element) => match rng.below(4) {
            0 => ContainerOp::Empty,
            1 | 2 if !takes.is_empty() => ContainerOp::Take(rng.pick(&takes)),
            _ => ContainerOp::Take(element + 1),
        },
        ContainerOp::Empty if !takes.is_empty() => ContainerOp::Take(rng.pick(&takes)),
        ContainerOp::Put(_) | ContainerOp::Peek(_) | ContainerOp::Empty | ContainerOp::TakeUnheard => op,
    })
}

fn element(rng: &mut Rng, skeleton: Skeleton) -> Problem<ElementSet> {
    let mut state = false;
    let problem = along(skeleton, ElementSet::new(&[]), |_, info, happens| {
        let f = rng.pick(&[ElementF::Add, ElementF::Remove, ElementF::Contains]);
        let told = match f {
            ElementF::Contains => state,
            ElementF::Add | ElementF::AddUnchecked => !state,
            ElementF::Remove | ElementF::RemoveUnchecked => state,
        };
        if happens && f != ElementF::Contains {
            state = f == ElementF::Add;
        }
        let heard = f == ElementF::Contains || !rng.once_in(4);
        match (info, f) {
            (true, ElementF::Contains) => None,
            (true, _) => Some(ElementOp { f, told: None }),
            (false, _) => Some(ElementOp { f, told: heard.then_some(told) }),
        }
    });
    damage(problem, rng, |_, op| ElementOp { f: op.f, told: op.told.map(|told| !told) })
}

#[test]
fn versions_that_grow_by_one_are_an_order() {
    for told in [true, false] {
        let tally = histories("versions by one", 1500, 10, |rng, skeleton| {
            versioned(rng, skeleton, Growth::ByOne, told)
        });
        tally.was_decided_by("forced order", 10);
    }
}

#[test]
fn versions_that_grow_are_an_order() {
    for told in [true, false] {
        let tally =
            histories("versions", 1500, 10, |rng, skeleton| versioned(rng, skeleton, Growth::Larger, told));
        tally.was_decided_by("forced order", 10);
    }
}

#[test]
fn offsets_and_lists_are_an_order() {
    for offsets in [true, false] {
        let tally = histories("logs", 1500, 10, |rng, skeleton| log(rng, skeleton, offsets));
        tally.was_decided_by("forced order", 10);
    }
}

/// With everything known as the core, the search that makes it small gave up.
#[test]
fn a_list_alone_shows_that_an_earlier_append_is_missing() {
    let mut values = Interner::default();
    let mut model = Log::new(&[], false, NilRead::Observe);
    let mut append = |n: i64| raw(&mut values, "append", Value::Int(n), Value::Null, false);
    let mut asked: Vec<(u32, u32, Op)> = (1..=8).map(|n| (n as u32, history::NEVER, append(n))).collect();
    asked.push((9, 10, append(9)));
    asked.push((12, history::NEVER, append(10)));
    let seen = raw(&mut values, "read", Value::Null, Value::list([Value::Int(10)]), false);
    asked.insert(9, (11, 13, seen));
    let ops = (0u32..).zip(&asked).map(|(i, (invoke, ret, op))| {
        let op = model.decode(&mut values, op).expect("well-formed").expect("it says something");
        ObjOp { invoke: *invoke, ret: *ret, process: i, source: i, op }
    });
    let ops = ops.collect();
    let mut tally = super::Tally::default();
    tally.compare(&Problem { model, ops });
    assert_eq!(tally.seen.keys().collect::<Vec<_>>(), [&("forced order", false)]);
}

/// With all that an unheard taking may have taken in the core, the search that makes it small gave up.
#[test]
fn who_takes_what_nobody_put_in_shows_that_alone() {
    for discipline in [Discipline::Stack, Discipline::Bag] {
        let put = (0..7).map(|i| (i, 8 + i, ContainerOp::Put(i64::from(i))));
        let unheard = (0..3).map(|i| (20 + i, history::NEVER, ContainerOp::TakeUnheard));
        let asked = put.chain(unheard).chain([(30, 31, ContainerOp::Take(99))]);
        let ops = (0u32..)
            .zip(asked)
            .map(|(i, (invoke, ret, op))| ObjOp { invoke, ret, process: i, source: i, op })
            .collect();
        let mut tally = super::Tally::default();
        tally.compare(&Problem { model: Container::new(discipline, &[]), ops });
        assert_eq!(tally.seen.values().sum::<u64>(), 1);
    }
}

#[test]
fn what_additions_found_is_an_order() {
    for by in [&[1][..], &[1, 2], &[2, 0, -1]] {
        let tally = histories("sums", 1000, 10, |rng, skeleton| sum(rng, skeleton, by));
        if by.len() < 3 {
            tally.was_decided_by("forced order", 10);
        }
    }
}

#[test]
fn ids_are_compared_and_put_in_order() {
    for growing in [true, false] {
        let tally = histories("ids", 1000, 8, |rng, skeleton| ids(rng, skeleton, growing));
        tally.was_decided_by("forced order", 10);
    }
}

#[test]
fn bags_are_empty_where_nothing_must_be_in() {
    let tally = histories("bags", 2000, 10, |rng, skeleton| container(rng, skeleton, Discipline::Bag));
    tally.was_decided_by("elements", 10);
}

#[test]
fn what_lies_in_a_stack_lies_one_inside_the_other() {
    let tally = histories("stacks", 3000, 12, |rng, skeleton| {
        let mut problem = container(rng, skeleton, Discipline::Stack);
        let takes = |op: &ObjOp<ContainerOp>| matches!(op.op, ContainerOp::Take(_));
        let takes: Vec<usize> = (0..problem.ops.len()).filter(|&i| takes(&problem.ops[i])).collect();
        if takes.len() > 1 && rng.once_in(2) {
            let (a, b) = (rng.pick(&takes), rng.pick(&takes));
            let swapped = [problem.ops[b].op, problem.ops[a].op];
            (problem.ops[a].op, problem.ops[b].op) = (swapped[0], swapped[1]);
        }
        problem
    });
    tally.was_decided_by("elements", 10);
}

#[test]
fn the_smallest_is_taken_where_nothing_smaller_must_be_in() {
    let tally = histories("priority queues", 2000, 10, |rng, skeleton| {
        container(rng, skeleton, Discipline::PriorityQueue)
    });
    tally.was_decided_by("elements", 10);
}

/// `pop → ?` and `peek → 50`: somebody took what lay on it, whoever else is left out.
#[test]
fn what_was_there_at_first_and_only_looked_at_stays() {
    for discipline in [Discipline::Stack, Discipline::PriorityQueue, Discipline::Bag] {
        let initial = if discipline == Discipline::Stack { [50, 7] } else { [7, 50] };
        let ops = [(NEVER, ContainerOp::TakeUnheard), (2, ContainerOp::Peek(50))].into_iter().zip(0_u32..);
        let ops = ops.map(|((ret, op), i)| ObjOp { invoke: i, ret, process: i, source: i, op }).collect();
        let problem = Problem { model: Container::new(discipline, &initial), ops };
        assert!(oracle::linearizable(&problem));
        for wanted in [[false, false], [false, true], [true, false], [true, true]] {
            let mut keep = wanted.to_vec();
            let small = problem.model.project(&problem.ops, &mut keep, Property::Linearizable);
            assert!(oracle::linearizable(&small), "{discipline:?}: {wanted:?} → {keep:?}: {:?}", small.ops);
        }
    }
}

#[test]
fn an_element_is_a_cell_of_two_values() {
    let tally = histories("elements of sets", 2000, 10, element);
    tally.was_decided_by("zones, single candidates", 50);
}

/// Cores are cut at their fatal return: what returned later keeps its answer, and may not have happened.
#[test]
fn what_is_left_out_of_a_history_cut_short_never_makes_it_illegal() {
    fn check<M: Model>(name: ModelName, mut make: impl FnMut(&mut Rng, Skeleton) -> Problem<M>) {
        let mut rng = Rng(17);
        let long = std::env::var_os("PERJURY_LONG").is_some();
        let mut legal = 0;
        for _ in 0..if long { 100_000 } else { 1000 } {
            let skeleton = super::skeleton(&mut rng, 9);
            let whole = make(&mut rng, skeleton);
            let problem = search::until(&whole, rng.below(20) as u32);
            if !oracle::linearizable(&problem) {
                continue;
            }
            legal += 1;
            let mut keep: Vec<bool> = problem.ops.iter().map(|_| !rng.once_in(3)).collect();
            let wanted = keep.clone();
            let small = problem.model.project(&problem.ops, &mut keep, Property::Linearizable);
            let shown = |ops: &[ObjOp<M::Op>]| format!("{ops:#?}");
            assert!(
                oracle::linearizable(&small),
                "{}: {wanted:?} → {keep:?} of {}\n{}",
                name.name(),
                shown(&problem.ops),
                shown(&small.ops)
            );
        }
        assert!(legal > 100, "{}: {legal}", name.name());
    }
    check(ModelName::VersionedRegister, |rng, s| versioned(rng, s, Growth::ByOne, false));
    check(ModelName::RevisionRegister, |rng, s| versioned(rng, s, Growth::Larger, false));
    check(ModelName::AppendLog, |rng, s| log(rng, s, true));
    check(ModelName::ListAppend, |rng, s| log(rng, s, false));
    check(ModelName::FetchAdd, |rng, s| sum(rng, s, &[1, 2]));
    check(ModelName::MonotonicIds, |rng, s| ids(rng, s, true));
    check(ModelName::Bag, |rng, s| container(rng, s, Discipline::Bag));
    check(ModelName::Stack, |rng, s| container(rng, s, Discipline::Stack));
    check(ModelName::PriorityQueue, |rng, s| container(rng, s, Discipline::PriorityQueue));
    check(ModelName::ElementSet, element);
    check(ModelName::Lock, locks::any);
    check(ModelName::Semaphore, |rng, s| locks::semaphore(rng, &s, 15, 2));
    check(ModelName::Mutex, |rng, s| locks::mutex(rng, &s, 6));
    check(ModelName::Delivery, messages::delivery);
    check(ModelName::Watch, watches::watch);
}
