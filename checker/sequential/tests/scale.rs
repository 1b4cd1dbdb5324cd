//! Large histories: the work must grow with the history, not with its orders.

use super::histories::Dice;
use super::judge_counting;
use crate::keyed::{Keyed, KeyedOp};
use crate::mutex::{Mutex, MutexOp};
use crate::problem::{ObjOp, Problem};
use crate::register::{Register, RegisterOp};
use crate::sequential::{Method, accept_from_linearizations};
use crate::spec::{FailedCas, NilRead};
use crate::testing::Rng;
use crate::testing::lagging::{Access, Lagging, Lie};
use crate::verdict::Verdict;
use history::ValueId;
use std::time::Instant;

fn registers(keys: u32) -> Keyed<Register> {
    let register = Register::new(ValueId::NULL, true, FailedCas::Drop, NilRead::Observe);
    Keyed { objects: vec![register; keys as usize], names: (0..keys).map(|k| k.to_string()).collect() }
}

/// Replicas that apply one log, each as late as it likes: a process reads what its replica holds, and its own writes wait
/// until its replica has caught up.
pub fn lagging(
    n: u32,
    processes: u32,
    keys: u32,
    values: Option<u64>,
    dice: &mut Dice,
) -> Problem<Keyed<Register>> {
    let mut log: Vec<(u32, ValueId)> = Vec::new();
    let mut applied = vec![0usize; processes as usize];
    let mut holds = vec![vec![ValueId::NULL; keys as usize]; processes as usize];
    let mut ops = Vec::new();
    for i in 0..n {
        let p = dice.below(u64::from(processes)) as usize;
        let object = dice.below(u64::from(keys)) as u32;
        let write = dice.percent(30);
        if write {
            let value = values.map_or(i + 1, |v| 1 + dice.below(v) as u32);
            log.push((object, ValueId(value)));
        }
        let most = log.len() - applied[p];
        let steps = if write { most } else { (dice.below(2 * most as u64 + 1) as usize).min(most) / 4 };
        for &(key, value) in &log[applied[p]..applied[p] + steps] {
            holds[p][key as usize] = value;
        }
        applied[p] += steps;
        let held = holds[p][object as usize];
        let op = if write { RegisterOp::Write(held) } else { RegisterOp::Read(held) };
        ops.push(ObjOp {
            invoke: 2 * i,
            ret: 2 * i + 1,
            process: p as u32,
            source: i,
            op: KeyedOp { object, op },
        });
    }
    Problem { model: registers(keys), ops }
}

/// Reads of values that had been overwritten by then: operations follow one another in real time.
fn stale_reads(problem: &Problem<Keyed<Register>>) -> usize {
    let mut newest = vec![ValueId::NULL; problem.model.objects.len()];
    let mut stale = 0;
    for op in &problem.ops {
        match op.op.op {
            RegisterOp::Write(v) => newest[op.op.object as usize] = v,
            RegisterOp::Read(v) => stale += usize::from(newest[op.op.object as usize] != v),
            other => panic!("neither read nor write: {other:?}"),
        }
    }
    stale
}

#[test]
fn a_lagging_replica_is_sequential_and_costs_about_one_choice_for_each_write() {
    for n in [2_000, 20_000] {
        let problem = lagging(n, 8, 4, None, &mut Dice(7));
        assert!(stale_reads(&problem) > n as usize / 10, "most reads are behind: nothing linearizable");
        let began = Instant::now();
        let (verdict, method, states) = judge_counting(&problem);
        println!("lagging replica, {n} ops: {:?}, {states} choices", began.elapsed());
        assert!(matches!(verdict, Verdict::Valid(_)), "{method:?}");
        assert_eq!(method, Method::Frontiers);
        assert!(states < u64::from(n), "{states} choices");
    }
}

#[test]
fn two_replicas_that_apply_two_writes_in_different_orders_are_found_among_many() {
    let mut problem = lagging(20_000, 8, 4, None, &mut Dice(8));
    // Two late processes, each of which sees its own write of x first and the other's write after.
    let (n, x, y) = (20_000, ValueId(50_000), ValueId(50_001));
    let tell = [
        (100, RegisterOp::Write(x)),
        (101, RegisterOp::Write(y)),
        (102, RegisterOp::Read(x)),
        (103, RegisterOp::Read(y)),
        (102, RegisterOp::Read(y)),
        (103, RegisterOp::Read(x)),
    ];
    for (i, (process, op)) in (n..).zip(tell) {
        let op = KeyedOp { object: 0, op };
        problem.ops.push(ObjOp { invoke: 2 * i, ret: 2 * i + 1, process, source: i, op });
    }
    let began = Instant::now();
    let (verdict, method, states) = judge_counting(&problem);
    println!("two orders of two writes among 20 000 ops: {:?}, {states} choices", began.elapsed());
    let Verdict::Invalid(core) = verdict else { panic!("{verdict:?} by {method:?}") };
    assert_eq!(method, Method::Frontiers);
    assert_eq!(core.core, [n, n + 1, n + 2, n + 3, n + 4, n + 5]);
    assert!(core.minimal);
}

/// The same with writes that are late too, and perhaps a lie.
fn late(shape: Lagging, seed: u64) -> Problem<Keyed<Register>> {
    let mut source = 0;
    let op = |access: Access| {
        let value = ValueId(access.value);
        let op = if access.write { RegisterOp::Write(value) } else { RegisterOp::Read(value) };
        source += 1;
        ObjOp {
            invoke: access.invoke,
            ret: access.invoke + 1,
            process: access.process,
            source: source - 1,
            op: KeyedOp { object: access.key, op },
        }
    };
    let ops = shape.accesses(&mut Rng(seed)).into_iter().map(op).collect();
    Problem { model: registers(shape.keys), ops }
}

#[test]
fn late_processes_are_sequential_however_many_and_however_late() {
    for (seed, (processes, keys, writes, lag)) in (0..).zip([
        (8, 4, 30, 100),
        (2, 1, 50, 1000),
        (32, 100, 50, 1000),
        (64, 4, 50, 300),
        (500, 3, 30, 10),
    ]) {
        let shape = Lagging { ops: 4000, processes, keys, writes, lag, values: None, lie: None };
        let problem = late(shape, seed);
        assert!(stale_reads(&problem) > 400, "nothing linearizable");
        let (verdict, method, states) = judge_counting(&problem);
        println!("{shape:?}: {states} choices");
        assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?} by {method:?}");
        assert_eq!(method, Method::Frontiers);
    }
}

#[test]
fn a_lie_across_keys_is_found_among_late_processes_and_told_in_eight_operations() {
    for seed in 0..10 {
        for lie in [Lie::Message, Lie::StoreBuffer, Lie::Readers] {
            let (lag, lie) = (1000, Some(lie));
            let shape = Lagging { ops: 2000, processes: 8, keys: 4, writes: 30, lag, values: None, lie };
            let problem = late(shape, seed);
            let (verdict, method, states) = judge_counting(&problem);
            let Verdict::Invalid(core) = verdict else { panic!("{verdict:?} by {method:?}") };
            assert!(core.core.len() <= 8 && core.minimal, "{core:?} after {states} choices");
        }
    }
}

#[test]
fn two_processes_that_keep_a_lock_are_found_after_a_hundred_rounds_of_four_that_share_it() {
    let lock = Mutex::new((0..4).collect::<Vec<i64>>().into());
    let model = Keyed { objects: vec![lock], names: vec![String::new()] };
    let mut ops = Vec::new();
    let mut tell = |process: u32, op| {
        let source = ops.len() as u32;
        let op = KeyedOp { object: 0, op };
        ops.push(ObjOp { invoke: 2 * source, ret: 2 * source + 1, process, source, op });
    };
    for round in 0..100 {
        tell(round % 4, MutexOp::Acquire(round % 4));
        tell(round % 4, MutexOp::Release(round % 4));
    }
    tell(1, MutexOp::Acquire(1));
    tell(3, MutexOp::Acquire(3));
    let (verdict, method, states) = judge_counting(&Problem { model, ops });
    let Verdict::Invalid(core) = verdict else { panic!("{verdict:?} by {method:?}") };
    assert_eq!((core.core, core.minimal), (vec![200, 201], true));
    assert!(states < 1000, "a process may as well give the lock back at once: {states} configurations");
}

#[test]
fn few_values_again_and_again_are_still_found_sequential() {
    for n in [200, 1000] {
        let problem = lagging(n, 4, 2, Some(4), &mut Dice(9));
        let began = Instant::now();
        let (verdict, method, states) = judge_counting(&problem);
        println!("lagging replica, 4 values, {n} ops: {:?}, {states} configurations", began.elapsed());
        assert!(matches!(verdict, Verdict::Valid(_)), "{method:?} {verdict:?}");
    }
}

#[test]
fn a_million_linearizable_operations_are_accepted_from_the_orders_of_their_keys() {
    let (n, keys, processes) = (1_000_000u32, 1000u32, 10u32);
    let mut dice = Dice(10);
    let mut orders = vec![Vec::new(); keys as usize];
    let mut holds = vec![ValueId::NULL; keys as usize];
    let mut ops = Vec::with_capacity(n as usize);
    // Rounds in which all processes overlap and take effect in reverse.
    for round in 0..n / processes {
        let mut of_round = Vec::new();
        for p in 0..processes {
            let object = dice.below(u64::from(keys)) as u32;
            let source = round * processes + p;
            of_round.push((source, p, object, dice.percent(50)));
        }
        let base = round * 2 * processes;
        let mut decided = vec![RegisterOp::Read(ValueId::NULL); processes as usize];
        for &(source, p, object, write) in of_round.iter().rev() {
            let held = &mut holds[object as usize];
            if write {
                *held = ValueId(1 + source % 5);
            }
            decided[p as usize] = if write { RegisterOp::Write(*held) } else { RegisterOp::Read(*held) };
            orders[object as usize].push(source);
        }
        for (source, p, object, _) in of_round {
            let op = KeyedOp { object, op: decided[p as usize] };
            ops.push(ObjOp { invoke: base + p, ret: base + processes + p, process: p, source, op });
        }
    }
    let problem = Problem { model: registers(keys), ops };
    let began = Instant::now();
    let witness = accept_from_linearizations(&problem, &orders).expect("linearizable per key, so sequential");
    println!("a million linearizable ops merged: {:?}", began.elapsed());
    assert_eq!(witness.order.len(), n as usize);
    let began = Instant::now();
    let (verdict, method, _) = judge_counting(&problem);
    println!("a million linearizable ops, orders found and merged: {:?}", began.elapsed());
    assert!(matches!(verdict, Verdict::Valid(_)), "by {method:?}");
    assert_eq!(method, Method::Linearizations);
    let mut held = vec![ValueId::NULL; keys as usize];
    let mut last = vec![None; processes as usize];
    for source in witness.order {
        let op = problem.ops[source as usize];
        assert!(last[op.process as usize].replace(op.invoke) < Some(op.invoke), "program order");
        match op.op.op {
            RegisterOp::Write(v) => held[op.op.object as usize] = v,
            RegisterOp::Read(v) => assert_eq!(held[op.op.object as usize], v),
            other => panic!("neither read nor write: {other:?}"),
        }
    }
}
