//! The search keeps to its budgets, and long or wide histories are no trouble.

use checker::queue::{Queue, QueueOp};
use checker::register::{Register, RegisterOp};
use checker::search::{Found, search};
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
    assert!(states < 500_000, "{states} states");
}
