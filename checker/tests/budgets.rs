//! The search keeps to its budgets, and long, wide or hostile histories are no trouble: a verdict, or an honest refusal
//! that says where it was stuck.

use checker::queue::{Queue, QueueOp};
use checker::register::{Register, RegisterOp};
use checker::search::{Found, Watched, search, search_watched};
use checker::testing::Rng;
use checker::{Budget, FailedCas, Model, NilRead, ObjOp, Problem, Reason};
use history::{NEVER, ValueId};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn ask<M: Model>(problem: &Problem<M>, bytes: usize, stop: bool) -> (Found, u64) {
    let states = AtomicU64::new(0);
    let found = search(problem, &Budget { stop: &AtomicBool::new(stop), bytes, states: &states });
    (found, states.load(Ordering::Relaxed))
}

fn problem<M: Model>(model: M, ops: impl IntoIterator<Item = (u32, u32, M::Op)>) -> Problem<M> {
    let mut ops: Vec<_> = (0..)
        .zip(ops)
        .map(|(i, (invoke, ret, op))| ObjOp { invoke, ret, process: i, source: i, op })
        .collect();
    ops.sort_by_key(|op| op.invoke);
    Problem { model, ops }
}

fn register() -> Register {
    Register::new(ValueId::NULL, true, FailedCas::Drop, NilRead::Observe)
}

/// Elements that come together and go in an order that only their dequeues tell, all at once too: hard by design.
fn tangle(n: u32) -> Problem<Queue> {
    let mut rng = Rng(3);
    let comes = (0..n).map(|v| (v, n + v, QueueOp::Enqueue(ValueId(1 + v % 3))));
    let goes: Vec<_> =
        (0..n).map(|v| (2 * n + v, 3 * n + v, QueueOp::Dequeue(ValueId(1 + rng.below(3) as u32)))).collect();
    problem(Queue::new(&[]), comes.chain(goes))
}

#[test]
fn a_search_that_is_stopped_says_so() {
    assert_eq!(ask(&tangle(40), 1 << 30, true).0, Found::GaveUp(Reason::Stopped));
}

#[test]
fn a_search_that_needs_too_much_memory_says_so() {
    let (found, states) = ask(&tangle(40), 4 << 20, false);
    assert_eq!(found, Found::GaveUp(Reason::Memory));
    assert!(states < 5_000_000, "{states} states in 4 MB");
}

#[test]
fn thousands_of_writes_may_be_open_at_once() {
    let n = 2_000;
    let writes = (0..n).map(|v| (v, n + v, RegisterOp::Write(ValueId(1 + v))));
    let reads = (0..n).map(|v| (2 * n + 2 * v, 2 * n + 2 * v + 1, RegisterOp::Read(ValueId(7))));
    let legal = problem(register(), writes.clone().chain(reads));
    assert!(matches!(ask(&legal, 1 << 30, false).0, Found::Order(order) if order.len() == 2 * n as usize));
    let twice = [
        (2 * n, 2 * n + 1, RegisterOp::Read(ValueId(7))),
        (2 * n + 2, 2 * n + 3, RegisterOp::Read(ValueId(8))),
    ];
    let (found, _) = ask(&problem(register(), writes.chain(twice)), 1 << 30, false);
    assert_eq!(found, Found::Fatal(n + 1));
}

#[test]
fn thousands_of_enqueues_may_be_open_at_once() {
    let n = 2_000;
    let comes = (0..n).map(|v| (v, n + v, QueueOp::Enqueue(ValueId(1 + v))));
    let goes = (0..n).map(|v| (2 * n + 2 * v, 2 * n + 2 * v + 1, QueueOp::Dequeue(ValueId(n - v))));
    let (found, states) = ask(&problem(Queue::new(&[]), comes.chain(goes)), 1 << 31, false);
    assert!(matches!(found, Found::Order(_)), "{states} states");
}

#[test]
fn writes_that_were_never_answered_cost_nothing_unless_they_were_read() {
    let n = 5_000;
    let crashed = (0..n).map(|v| (v, NEVER, RegisterOp::Write(ValueId(10 + v))));
    let after = [
        (n, n + 1, RegisterOp::Write(ValueId(1))),
        (n + 2, n + 3, RegisterOp::Read(ValueId(1))),
        (n + 4, n + 5, RegisterOp::Read(ValueId(12))),
        (n + 6, n + 7, RegisterOp::Read(ValueId(1))),
    ];
    let (found, states) = ask(&problem(register(), crashed.clone().chain(after)), 1 << 30, false);
    assert_eq!(found, Found::Fatal(n + 3));
    assert!(states < 1_000, "{states} states");
    let (found, states) = ask(&problem(register(), crashed.chain(after.into_iter().take(3))), 1 << 30, false);
    assert!(matches!(found, Found::Order(_)));
    assert!(states < 1_000, "{states} states");
}

#[test]
fn a_long_history_needs_about_one_configuration_an_operation() {
    let n = 200_000;
    let ops = (0..n).map(|i| {
        let op = if i % 2 == 0 { RegisterOp::Write(ValueId(i)) } else { RegisterOp::Read(ValueId(i - 1)) };
        (2 * i, 2 * i + 1, op)
    });
    let (found, states) = ask(&problem(register(), ops), 1 << 30, false);
    assert!(matches!(found, Found::Order(order) if order.len() == n as usize));
    assert!(states <= u64::from(n), "{states} states");
}

/// A stale read hides among many operations that were never answered.
#[test]
fn a_stale_read_among_unanswered_operations_is_found_where_it_is() {
    let mut rng = Rng(17);
    let mut ops = Vec::new();
    let mut rank = 0;
    let mut next = || {
        rank += 1;
        rank
    };
    let (mut value, n) = (ValueId::NULL, 1_500);
    for i in 0..n {
        let new = ValueId(1 + rng.below(4) as u32);
        match rng.below(8) {
            0 => ops.push((next(), NEVER, RegisterOp::Write(new))),
            1 => ops.push((next(), NEVER, RegisterOp::Cas { expected: value, new })),
            2..=4 => {
                ops.push((next(), next(), RegisterOp::Write(new)));
                value = new;
            }
            _ => ops.push((next(), next(), RegisterOp::Read(value))),
        }
        if i == n / 2 {
            ops.push((next(), next(), RegisterOp::Write(ValueId(9))));
            ops.push((next(), next(), RegisterOp::Write(value)));
        }
    }
    let stale = ops.len() as u32;
    ops.push((next(), next(), RegisterOp::Read(ValueId(9))));
    let (found, states) = ask(&problem(register(), ops), 1 << 30, false);
    assert_eq!(found, Found::Fatal(stale));
    assert!(states < 50_000, "{states} states");
}

fn write(v: u32) -> RegisterOp {
    RegisterOp::Write(ValueId(v))
}

fn read(v: u32) -> RegisterOp {
    RegisterOp::Read(ValueId(v))
}

/// Short operations one after the other: writes of a few values, each read at once.
fn calm(from: u32, n: u32) -> impl Iterator<Item = (u32, u32, RegisterOp)> {
    (0..n).map(move |i| {
        let op = if i % 2 == 0 { write(1 + i / 2 % 4) } else { read(1 + i / 2 % 4) };
        (from + 2 * i, from + 2 * i + 1, op)
    })
}

/// Whether it ends with an order (true) or none, within so many configurations.
fn ends(ops: impl IntoIterator<Item = (u32, u32, RegisterOp)>, most: u64) -> bool {
    ends_within(1 << 28, ops, most)
}

fn ends_within(bytes: usize, ops: impl IntoIterator<Item = (u32, u32, RegisterOp)>, most: u64) -> bool {
    let (found, states) = ask(&problem(register(), ops), bytes, false);
    assert!(states <= most, "{states} states");
    match found {
        Found::Order(_) => true,
        Found::Fatal(_) => false,
        Found::GaveUp(reason) => panic!("{reason:?} after {states} states"),
    }
}

#[test]
fn operations_that_span_the_whole_history_cost_little() {
    let (n, slow) = (3_000, 30);
    let end = slow + 2 * n;
    let spanning = |of: fn(u32) -> u32| (0..slow).map(move |i| (i, end + i, write(of(i))));
    // Never read; of a value that is read all the time; each read once at the end.
    assert!(ends(spanning(|i| 10 + i).chain(calm(slow, n)), 100_000));
    assert!(ends(spanning(|_| 1).chain(calm(slow, n)), 100_000));
    let read_last = (0..slow).map(|i| (end + slow + 2 * i, end + slow + 2 * i + 1, read(10)));
    assert!(ends(spanning(|i| 10 + i).chain(calm(slow, n)).chain(read_last), 100_000));
    // All but one come before the two reads, and none between them.
    let back = [(end + slow, end + slow + 1, read(10)), (end + slow + 2, end + slow + 3, read(11))];
    assert!(!ends(spanning(|i| 10 + i).chain(calm(slow, n)).chain(back), 400_000));
}

#[test]
fn a_thousand_unanswered_writes_of_one_value_cost_little() {
    let n = 1_000;
    let open = (0..n).map(|i| (i, NEVER, write(9)));
    let between = (0..200).map(|i| {
        let op = match i % 4 {
            0 => write(1),
            1 => read(1),
            _ => read(9),
        };
        (n + 2 * i, n + 2 * i + 1, op)
    });
    assert!(ends(open.clone().chain(between.clone()), 20_000));
    let impossible = [(3 * n, 3 * n + 1, read(1)), (3 * n + 2, 3 * n + 3, read(2))];
    assert!(!ends(open.chain(between).chain(impossible), 20_000));
}

#[test]
fn one_value_written_a_thousand_times_costs_little() {
    let writes = (0..1_000).map(|i| (i, 1_000 + i, write(1)));
    let reads = (0..1_000).map(|i| (2_000 + 2 * i, 2_001 + 2 * i, read(1)));
    assert!(ends(writes.clone().chain(reads.clone()), 20_000));
    assert!(!ends(writes.chain(reads).chain([(9_000, 9_001, read(2))]), 20_000));
}

#[test]
fn ten_thousand_processes_may_do_something_at_once() {
    // Each step of an order keeps what else could have been done there: the square of what is open.
    let (n, bytes) =
        if std::env::var_os("PERJURY_LONG").is_some() { (10_000, 1 << 32) } else { (2_000, 1 << 28) };
    // Every rank the same but for who came first: as a log whose timestamps are all equal.
    let all = (0..n).map(|i| (i, n + i, if i % 2 == 0 { write(i) } else { read(i - 1) }));
    assert!(ends_within(bytes, all.clone(), 100_000));
    assert!(!ends_within(bytes, all.chain([(2 * n, 2 * n + 1, read(n + 1))]), 100_000));
}

#[test]
fn sixty_open_changes_and_an_impossible_read_end_in_a_verdict_or_in_an_honest_refusal() {
    // Each change needs another one first: nothing but trying tells that no order ends in 99.
    let mut rng = Rng(9);
    let changes = (0..60).map(|i| {
        let (expected, new) = (ValueId(rng.below(12) as u32), ValueId(1 + rng.below(11) as u32));
        (i, 60 + i, RegisterOp::Cas { expected, new })
    });
    let start = Register::new(ValueId(0), true, FailedCas::Drop, NilRead::Observe);
    let tangled = problem(start, changes.chain([(200, 201, read(5)), (202, 203, read(6))]));
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let seen = AtomicU64::new(0);
    let tell = |at: checker::At| {
        seen.fetch_max(at.bytes, Ordering::Relaxed);
    };
    let budget = Budget { stop: &stop, bytes: 16 << 20, states: &states };
    let (found, stuck) = search_watched(&tangled, &Watched { budget: &budget, tell: Some(&tell) });
    match found {
        Found::Fatal(_) => assert!(stuck.is_none()),
        Found::Order(order) => panic!("{order:?}"),
        Found::GaveUp(reason) => {
            assert_eq!(reason, Reason::Memory);
            let stuck = stuck.expect("it says where");
            assert!((stuck.of, stuck.width) == (62, 60) && !stuck.open.is_empty(), "{stuck}");
        }
    }
    // Three engines share what there is.
    let seen = seen.into_inner();
    assert!(seen > 0 && seen < 18 << 20, "{seen} bytes");
}

#[test]
fn a_search_that_is_stopped_says_where_it_was_stuck() {
    let problem = tangle(40);
    let stop = AtomicBool::new(false);
    let states = AtomicU64::new(0);
    let budget = Budget { stop: &stop, bytes: 1 << 30, states: &states };
    // Somebody loses patience.
    let tell = |at: checker::At| stop.store(at.states > 100_000, Ordering::Relaxed);
    let (found, stuck) = search_watched(&problem, &Watched { budget: &budget, tell: Some(&tell) });
    assert_eq!(found, Found::GaveUp(Reason::Stopped));
    let stuck = stuck.expect("it says where");
    assert_eq!((stuck.of, stuck.width, stuck.distinct), (80, 40, 6));
    assert!(stuck.states > 100_000 && stuck.awaited == stuck.open.first().copied(), "{stuck}");
}
