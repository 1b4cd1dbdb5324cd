//! Each reduction of the search against the oracle, on histories that aim at it: random ones of all kinds rarely set its
//! trap.
//!
//! Every history is also judged as it was known at one of its returns, and by both engines that do not look ahead. With
//! `PERJURY_LONG=1`, a million histories for each, with `PERJURY_FUZZ=N` so many:
//! `PERJURY_LONG=1 cargo test --release -p perjury-checker --test reductions -- --nocapture`.
//! (`docs/correctness.md` says which reduction is which.)

use checker::container::{Container, ContainerOp, Discipline};
use checker::counter::{Counter, CounterOp};
use checker::queue::{Queue, QueueOp};
use checker::register::{Register, RegisterOp};
use checker::testing::{Letters, Rng, Shape, agrees, random_history};
use checker::{FailedCas, Model, ModelName, NilRead, ObjOp, Problem, search};
use history::{NEVER, ValueId};

/// Most operations of a history.
const OPS: usize = 12;

fn aim<M: Model>(name: &str, mut make: impl FnMut(&mut Rng) -> Problem<M>) {
    let asked = std::env::var("PERJURY_FUZZ").ok().and_then(|count| count.parse().ok());
    let usual = if std::env::var_os("PERJURY_LONG").is_some() { 1_000_000 } else { 1_500 };
    let count = asked.unwrap_or(usual);
    let mut rng = Rng(name.bytes().fold(1, |seed, byte| seed << 5 ^ u64::from(byte)));
    let mut legal = 0;
    let judged = |problem: &Problem<M>| agrees(problem).unwrap_or_else(|what| panic!("{name}: {what}"));
    for _ in 0..count {
        let problem = make(&mut rng);
        legal += usize::from(judged(&problem));
        if let Some(op) = problem.ops.get(rng.below(problem.ops.len().max(1))) {
            judged(&search::until(&problem, op.ret));
        }
    }
    println!("{name}: {count} histories and as many cut short, {legal} linearizable, no disagreement");
    assert!(legal > count / 50 && legal < count - count / 50, "{name}: {legal} of {count} are legal");
}

fn register() -> Register {
    Register::new(ValueId::NULL, true, FailedCas::Observe, NilRead::Observe)
}

fn value(rng: &mut Rng, below: usize) -> ValueId {
    ValueId(rng.below(below) as u32)
}

fn cas(rng: &mut Rng, values: usize) -> RegisterOp {
    RegisterOp::Cas { expected: value(rng, values), new: value(rng, values) }
}

/// A shape of up to twelve operations of which one in `crash` is never answered.
fn shape(rng: &mut Rng, workers: usize, crash: usize) -> Shape {
    Shape { ops: 4 + rng.below(OPS - 3), workers, crash, ..Shape::random(rng, OPS) }
}

/// Operations at these places, each moved a little, with some more around them.
fn around<M: Model>(
    model: M,
    rng: &mut Rng,
    planted: &[(u32, u32, M::Op)],
    mut more: impl FnMut(&mut Rng) -> M::Op,
) -> Problem<M> {
    let mut places: Vec<(u32, u32, M::Op)> = planted
        .iter()
        .map(|&(invoke, ret, op)| {
            let moved = |place: u32, rng: &mut Rng| 10 * place + rng.below(14) as u32;
            let invoke = moved(invoke, rng);
            let ret = if ret == NEVER { NEVER } else { moved(ret, rng).max(invoke + 1) };
            (invoke, ret, op)
        })
        .collect();
    for _ in 0..rng.below(4) {
        let invoke = rng.below(110) as u32;
        let ret = if rng.once_in(4) { NEVER } else { invoke + 1 + rng.below(40) as u32 };
        places.push((invoke, ret, more(rng)));
    }
    // Ranks, each once.
    let mut events: Vec<(u32, bool, usize)> = Vec::new();
    for (i, &(invoke, ret, _)) in places.iter().enumerate() {
        events.push((invoke, false, i));
        if ret != NEVER {
            events.push((ret, true, i));
        }
    }
    events.sort_unstable();
    let mut ops: Vec<ObjOp<M::Op>> = places
        .iter()
        .zip(0..)
        .map(|(&(_, _, op), i)| ObjOp { invoke: 0, ret: NEVER, process: i, source: i, op })
        .collect();
    for (rank, (_, returns, i)) in (0..).zip(events) {
        *(if returns { &mut ops[i].ret } else { &mut ops[i].invoke }) = rank;
    }
    ops.sort_by_key(|op| op.invoke);
    Problem { model, ops }
}

#[test]
fn which_of_the_elements_that_nobody_names_an_unheard_taking_takes_is_all_the_same() {
    aim("bags", |rng| {
        let initial: Vec<i64> = (0..rng.below(3) as i64).collect();
        let (elements, shape) = (2 + rng.below(3), shape(rng, 4, 3));
        random_history(&Container::new(Discipline::Bag, &initial), rng, shape, |rng, _, info| {
            let element = rng.below(elements) as i64;
            Some(match rng.below(7) {
                0..=2 => ContainerOp::Put(element),
                3 if !info => ContainerOp::Empty,
                4 | 5 if !info => ContainerOp::Take(element),
                _ if info => ContainerOp::TakeUnheard,
                _ => ContainerOp::Put(element),
            })
        })
    });
}

#[test]
fn r1_what_is_pure_is_done_at_once_and_a_write_that_changes_nothing_is_not_pure() {
    aim("R1", |rng| {
        let crash = rng.pick(&[0, 6]);
        let shape = shape(rng, 5, crash);
        random_history(&register(), rng, shape, |rng, _, _| {
            Some(match rng.below(8) {
                0..=2 => RegisterOp::Read(value(rng, 3)),
                3 => RegisterOp::CasRefused { expected: value(rng, 3), new: value(rng, 3) },
                4 => {
                    let (expected, new, observed) = (value(rng, 3), value(rng, 3), value(rng, 3));
                    RegisterOp::CasSaw { expected, new, observed }
                }
                5 => cas(rng, 3),
                _ => RegisterOp::Write(value(rng, 2)),
            })
        })
    });
}

#[test]
fn r2_a_blind_write_that_nobody_saw_is_hidden_but_an_unanswered_cas_may_have_seen_it() {
    let any = |rng: &mut Rng| match rng.below(10) {
        0..=4 => RegisterOp::Write(value(rng, 4)),
        5..=6 => RegisterOp::Read(value(rng, 4)),
        7 => RegisterOp::CasRefused { expected: value(rng, 4), new: value(rng, 4) },
        _ => cas(rng, 4),
    };
    let mut plant = false;
    aim("R2", |rng| {
        plant = !plant;
        if plant {
            let (a, b, c) = (value(rng, 4), value(rng, 4), value(rng, 4));
            // The trap: the first write is seen by nobody but the cas, which is never answered, and whose effect is read.
            //   write a |--------------------------------|
            //   write b    |---|
            //   read b           |---|
            //   cas a → c              |-
            //   read c                    |---|
            let planted = [
                (0, 10, RegisterOp::Write(a)),
                (1, 2, RegisterOp::Write(b)),
                (3, 4, RegisterOp::Read(b)),
                (5, NEVER, RegisterOp::Cas { expected: a, new: c }),
                (6, 7, RegisterOp::Read(c)),
            ];
            return around(register(), rng, &planted, any);
        }
        let crash = rng.pick(&[3, 6]);
        let shape = shape(rng, 4, crash);
        random_history(&register(), rng, shape, |rng, _, info| {
            Some(if info && !rng.once_in(3) { cas(rng, 4) } else { any(rng) })
        })
    });
}

#[test]
fn r3_what_was_never_answered_is_taken_as_late_as_possible_and_in_chains() {
    let mut plant = false;
    aim("R3", |rng| {
        plant = !plant;
        if plant {
            // Chains of unanswered operations of which only the last is seen, and cycles that lead back.
            let values: Vec<ValueId> = (0..4).map(|_| value(rng, 4)).collect();
            let step = |i: usize| RegisterOp::Cas { expected: values[i], new: values[i + 1] };
            let planted = [
                (0, 1, RegisterOp::Write(values[0])),
                (2, NEVER, step(0)),
                (2, NEVER, step(1)),
                (2, NEVER, step(2)),
                (3, 5, RegisterOp::Read(values[3])),
                (4, 7, RegisterOp::Read(values[1])),
            ];
            return around(register(), rng, &planted, |rng| cas(rng, 4));
        }
        let shape = shape(rng, 3, 2);
        random_history(&register(), rng, shape, |rng, _, info| {
            Some(match rng.below(6) {
                0..=2 if info => cas(rng, 4),
                _ if info => RegisterOp::Write(value(rng, 4)),
                0..=3 => RegisterOp::Read(value(rng, 4)),
                4 => cas(rng, 4),
                _ => RegisterOp::CasRefused { expected: value(rng, 4), new: value(rng, 4) },
            })
        })
    });
}

#[test]
fn r4_of_equal_unanswered_operations_the_oldest_comes_first_and_each_only_once() {
    aim("R4", |rng| {
        let shape = shape(rng, 3, 2);
        random_history(&register(), rng, shape, |rng, _, info| {
            let toggle = |from: u32| RegisterOp::Cas { expected: ValueId(from), new: ValueId(1 - from) };
            Some(match rng.below(5) {
                0..=1 if info => toggle(0),
                2 if info => RegisterOp::Write(ValueId(1)),
                _ if info => toggle(1),
                0..=2 => RegisterOp::Read(value(rng, 2)),
                3 => toggle(rng.below(2) as u32),
                _ => RegisterOp::Write(value(rng, 2)),
            })
        })
    });
}

#[test]
fn r5_who_used_fewer_unanswered_operations_can_do_whatever_the_other_can() {
    aim("R5", |rng| {
        let shape = shape(rng, 4, 2);
        random_history(&register(), rng, shape, |rng, _, info| {
            Some(match rng.below(6) {
                0..=3 if info => RegisterOp::Write(value(rng, 4)),
                _ if info => cas(rng, 4),
                0..=1 => RegisterOp::Read(value(rng, 4)),
                2 => cas(rng, 4),
                _ => RegisterOp::Write(value(rng, 4)),
            })
        })
    });
}

#[test]
fn r6_a_value_that_is_still_needed_and_cannot_come_again_is_not_left() {
    aim("R6", |rng| {
        let crash = rng.pick(&[0, 3]);
        let shape = shape(rng, 4, crash);
        let mut unique = 0;
        random_history(&register(), rng, shape, |rng, _, info| {
            let seen = value(rng, unique + 1);
            Some(match rng.below(6) {
                0..=2 if !info => RegisterOp::Read(seen),
                3 => {
                    unique += 1;
                    RegisterOp::Cas { expected: seen, new: ValueId(unique as u32) }
                }
                // Now and then a value comes again after all.
                4 if rng.once_in(3) => RegisterOp::Write(seen),
                _ => {
                    unique += 1;
                    RegisterOp::Write(ValueId(unique as u32))
                }
            })
        })
    });
}

#[test]
fn r7_who_must_return_next_and_is_legal_only_in_a_state_that_nothing_open_makes_is_the_end() {
    aim("R7", |rng| {
        let crash = rng.pick(&[0, 4]);
        let shape = shape(rng, 4, crash);
        random_history(&register(), rng, shape, |rng, _, info| {
            Some(match rng.below(5) {
                0..=1 if !info => RegisterOp::Read(value(rng, 4)),
                2 if rng.once_in(2) => RegisterOp::Write(value(rng, 4)),
                _ => cas(rng, 4),
            })
        })
    });
}

#[test]
fn of_equal_operations_the_one_with_the_earliest_deadline_comes_first() {
    aim("equal operations", |rng| {
        let crash = rng.pick(&[0, 3]);
        let shape = shape(rng, 5, crash);
        let model = Counter::new(0, NilRead::Observe);
        random_history(&model, rng, shape, |rng, _, info| {
            Some(match rng.below(4) {
                0..=1 if !info => CounterOp::Read(rng.below(4) as i64),
                2 => CounterOp::Add(-1),
                _ => CounterOp::Add(1),
            })
        })
    });
}

#[test]
fn the_elements_of_a_queue_come_as_they_go_unless_somebody_took_one_unheard() {
    aim("forced order", |rng| {
        let crash = rng.pick(&[0, 3]);
        let shape = shape(rng, 4, crash);
        let initial: &[ValueId] = if rng.once_in(4) { &[ValueId(1)] } else { &[] };
        let mut next = 1;
        random_history(&Queue::new(initial), rng, shape, |rng, _, info| {
            // Mostly each element once, so that the order is forced.
            let element = if rng.once_in(6) { 1 + value(rng, 4).0 } else { next };
            Some(match rng.below(6) {
                0..=2 if info => QueueOp::DequeueUnheard,
                3 if !info => QueueOp::Empty,
                4..=5 if !info => QueueOp::Dequeue(ValueId(1 + rng.below(next as usize) as u32)),
                _ => {
                    next = (next + 1).min(6);
                    QueueOp::Enqueue(ValueId(element))
                }
            })
        })
    });
}

fn letters<M: checker::spec::Specified>(name: &str, model: ModelName) {
    let letters = Letters::<M>::new(model);
    aim(name, |rng| letters.random(rng, OPS));
}

#[test]
fn what_a_string_became_later_says_what_was_appended_where() {
    letters::<checker::kv::Kv>("strings", ModelName::Kv);
}

#[test]
fn a_set_only_grows() {
    letters::<checker::set::GrowSet>("sets", ModelName::Set);
}
