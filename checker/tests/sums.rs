//! Counters and sums whose violations are shown by adding up: against the oracle where they are small, and in one or two
//! operations where they are large.

mod explain_sketch;

use checker::counter::{Counter, CounterOp};
use checker::exact::Finding;
use checker::fetch_add::FetchAddOp;
use checker::judge::{Limits, judge};
use checker::testing::{Rng, Shape, random_history};
use checker::{Counterexample, Model, ModelName, NilRead, Property, Spec, certify, oracle};
use history::results::Answer;
use history::{Applied, History, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
use std::sync::atomic::{AtomicBool, AtomicU64};

#[test]
fn reads_that_no_additions_make_possible_are_refuted_by_sums_alone_and_the_oracle_agrees() {
    let mut rng = Rng(19);
    let (mut decided, mut alone) = (0, 0);
    for _ in 0..20_000 {
        let negative = rng.once_in(2);
        let crash = rng.pick(&[0, 3]);
        let shape = Shape { ops: 6 + rng.below(6), workers: 3, crash, ..Shape::random(&mut rng, 12) };
        let model = Counter::new(0, NilRead::Observe);
        let problem = random_history(&model, &mut rng, shape, |rng, _, info| {
            Some(match rng.below(3) {
                0 if !info => CounterOp::Read(rng.below(8) as i64 - if negative { 3 } else { 0 }),
                _ => CounterOp::Add(1 + rng.below(3) as i64 - if negative { 2 } else { 0 }),
            })
        });
        let Some(exact) = model.refuted(&problem.ops, &AtomicBool::new(false)) else {
            continue;
        };
        let Finding::Violated { fatal, core } = exact.found else { panic!("no order is made from ranges") };
        decided += 1;
        assert!(!oracle::holds(&problem, Property::Linearizable), "{problem:#?}");
        // What the method names is enough, whatever is left out; and cut at the return that it names.
        let source = |i: u32| problem.ops[i as usize].source;
        let adds = problem.ops.iter().filter(|op| matches!(op.op, CounterOp::Add(n) if n != 0)).count();
        let mut core: Vec<u32> = core.into_iter().map(source).collect();
        core.sort_unstable();
        if adds <= 4 {
            continue;
        }
        let counterexample = Counterexample { core, minimal: false, fatal: Some(source(fatal)) };
        if let Ok(small) = certify::small(&problem, &counterexample, Property::Linearizable) {
            alone += 1;
            assert!(small.ops.len() <= 2 && !oracle::holds(&small, Property::Linearizable), "{small:#?}");
        }
    }
    println!("{decided} decided, {alone} of them by their reads alone");
    assert!(decided > 1_000 && alone > 100);
}

/// A history of one object by four clients, in which `answer` gives each operation its name, input and output.
fn history(n: u32, mut answer: impl FnMut(u32) -> (&'static str, Value, Value)) -> History {
    let mut history = History::default();
    for i in 0..n {
        let (f, input, output) = answer(i);
        history.ops.push(Op {
            invoke: 2 * i,
            ret: 2 * i + 1,
            process: i % 4,
            f: history.values.intern(&Value::text(f)),
            key: ValueId::NULL,
            input: history.values.intern(&input),
            output: history.values.intern(&output),
            outcome: Outcome::Ok,
            applied: Applied::Unsaid,
            observed: None,
            error: ValueId::NULL,
            node: ValueId::NULL,
            session: i % 4,
            invoke_time: NO_TIME,
            ret_time: NO_TIME,
            invoke_line: 2 * i + 1,
            ret_line: 2 * i + 2,
        });
    }
    history.ranks = 2 * n;
    history.processes = (0..4).collect();
    history
}

/// The core of the violation, and its kind.
fn violated(mut history: History, model: ModelName) -> (usize, String) {
    let spec = Spec::new(model, "jsonl");
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let limits = Limits { stop: &stop, bytes: 1 << 30, threads: 1, states: &states, progress: None };
    let judged = judge(&mut history, &spec, Property::Linearizable, &limits).expect("a judgement");
    assert_eq!(judged.judgement.answer, Answer::Violated, "{:?}", judged.judgement.objects);
    let core = &judged.violations[0].counterexample;
    let anomaly = checker::explain::explain(&history, &spec, Property::Linearizable, core, 1);
    assert!(core.minimal && anomaly.orders_total > 0, "{anomaly:#?}");
    (core.core.len(), anomaly.kind)
}

#[test]
fn large_counters_are_refuted_in_one_read_or_two() {
    const N: u32 = 40_000;
    // Each tenth operation reads; amounts are all 1, or differ.
    for amounts in [1, 7] {
        let amount = |i: u32| i64::from(i % amounts) + 1;
        let run = |lie: &dyn Fn(u32, i64, i64) -> i64| {
            let (mut sum, mut before) = (0, 0);
            history(N, |i| {
                if i % 10 == 9 {
                    let read = lie(i, sum, before);
                    before = read;
                    return ("read", Value::Null, Value::Int(read));
                }
                sum += amount(i);
                ("add", Value::Int(amount(i)), Value::Int(amount(i)))
            })
        };
        let at = N - 1;
        let lost = run(&|i, sum, _| if i == at { sum - 1 } else { sum });
        assert_eq!(violated(lost, ModelName::Counter), (1, "counter-out-of-range".to_string()));
        let twice = run(&|i, sum, _| if i == at { sum + 1 } else { sum });
        assert_eq!(violated(twice, ModelName::Counter), (1, "counter-out-of-range".to_string()));
        // While an addition of everything is open, reads may go up, but not back.
        let mut back = run(&|i, sum, before| if i == at { before - 1 } else { sum + 1_000_000 });
        let (f, million) = (back.ops[0].f, back.values.intern(&Value::Int(1_000_000)));
        let open = Op { f, input: million, output: ValueId::NULL, outcome: Outcome::Info, ..back.ops[0] };
        back.ops[0] = Op { ret: NEVER, process: 4, session: 4, ..open };
        back.processes.push(4);
        for op in back.ops.iter_mut().filter(|op| op.output != ValueId::NULL && op.input == ValueId::NULL) {
            // The first addition is not counted.
            let told = back.values.get(op.output).as_int().expect("a sum") - amount(0);
            op.output = back.values.intern(&Value::Int(told));
        }
        let (core, kind) = violated(back, ModelName::Counter);
        assert!(
            core <= 2 && ["inversion", "non-monotonic", "counter-out-of-range"].contains(&kind.as_str()),
            "{core} {kind}"
        );
    }
}

#[test]
fn a_large_sum_that_jumps_is_refuted_in_one_operation() {
    const N: u32 = 40_000;
    let mut sum = 0;
    let jumped = history(N, |i| {
        sum += if i == N - 1 { 3 } else { 1 };
        ("fetch-add", Value::Int(1), Value::Int(sum - 1))
    });
    assert_eq!(violated(jumped, ModelName::FetchAdd), (1, "counter-out-of-range".to_string()));
    // And it is told what it is: no operation of a history is one.
    let jumped = FetchAddOp::Jumped { told: 3, most: 1 };
    let model = checker::fetch_add::FetchAdd::new(0, NilRead::Observe);
    model.step(&model.init(), jumped, &mut |_| panic!("it fits nowhere"));
}
