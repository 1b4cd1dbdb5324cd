//! Sequential consistency against the oracle, and by hand.

mod examples;
mod histories;
mod scale;

use super::decide::{Answer, Method, decide, relevant};
use super::due;
use super::search::{Found, search};
use super::sequential;
use crate::counter::Counter;
use crate::keyed::{Keyed, KeyedOp};
use crate::kv::Kv;
use crate::lock::Lock;
use crate::model::Model;
use crate::multi_register::MultiRegister;
use crate::mutex::Mutex;
use crate::problem::Problem;
use crate::queue::Queue;
use crate::register::{Register, RegisterOp};
use crate::set::GrowSet;
use crate::spec::Specified;
use crate::testing::Letters;
use crate::verdict::{Budget, Counterexample, Property, Verdict};
use crate::{ModelName, build, oracle};
use histories::{Dice, Said, Shape, history, random, spec};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The problem of a whole history.
fn problem<M: Specified>(said: &[Said], model: ModelName) -> Problem<Keyed<M>> {
    let built = build::<M>(&mut history(said), &spec(model)).expect("the history fits the model");
    built.joined(|keys| format!("{keys:?}"))
}

fn judge<M: Model>(problem: &Problem<Keyed<M>>) -> (Verdict, Method) {
    let (verdict, method, _) = judge_counting(problem);
    (verdict, method)
}

/// The same, with the number of configurations visited.
fn judge_counting<M: Model>(problem: &Problem<Keyed<M>>) -> (Verdict, Method, u64) {
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let (verdict, method) = sequential(problem, &Budget { stop: &stop, bytes: 1 << 30, states: &states });
    (verdict, method, states.into_inner())
}

/// Judges a history, compares with the oracle, and says whether it is sequential.
fn agrees<M: Specified>(said: &[Said], model: ModelName) -> bool {
    agree_on(&problem::<M>(said, model))
}

fn agree_on<M: Model>(problem: &Problem<Keyed<M>>) -> bool {
    let expected = oracle::sequential(problem);
    let (verdict, method) = judge(problem);
    let found = match verdict {
        Verdict::Valid(witness) => {
            replay(problem, &witness.order);
            true
        }
        Verdict::Invalid(core) => {
            proves(problem, &core);
            false
        }
        Verdict::Unknown(reason) => panic!("{reason:?} for {:#?}", problem.ops),
    };
    assert_eq!(found, expected, "{method:?} on {:#?}", problem.ops);
    // The same without the help of linearizations, and by the search alone, which knows nothing of cells.
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let budget = Budget { stop: &stop, bytes: 1 << 30, states: &states };
    match decide(problem, u64::MAX, &budget) {
        (Answer::Order(order), _) => {
            replay(problem, &order);
            assert!(expected, "{order:?} of {:#?}", problem.ops);
        }
        (Answer::Nothing(_), method) => assert!(!expected, "{method:?} on {:#?}", problem.ops),
        (Answer::GaveUp(reason, _), _) => panic!("{reason:?} for {:#?}", problem.ops),
    }
    for most in [1, 2, 5] {
        if let (Answer::GaveUp(_, deepest), _) = decide(problem, most, &budget) {
            begins_legally(problem, &deepest);
        }
    }
    let chains = relevant(problem);
    let first = due::due(&chains, &[]).into();
    match search(&problem.model.objects, &chains, &[], &first, u64::MAX, &budget) {
        Found::Order(order) => {
            replay(problem, &chains.sources(&order));
            assert!(expected, "{order:?} of {:#?}", problem.ops);
        }
        Found::Nothing => assert!(!expected, "the search finds no order of {:#?}", problem.ops),
        Found::GaveUp(reason, _) => panic!("{reason:?} for {:#?}", problem.ops),
    }
    expected
}

/// The order is legal as far as it goes, and has of each process what it sent first.
fn begins_legally<M: Model>(problem: &Problem<Keyed<M>>, order: &[u32]) {
    let place = |source: u32| order.iter().position(|&s| s == source);
    for op in &problem.ops {
        let own = problem.ops.iter().filter(|o| o.process == op.process && o.invoke < op.invoke);
        if let Some(at) = place(op.source) {
            for before in own
                .filter(|o| !o.indeterminate() && !problem.model.is_pure(o.op) || place(o.source).is_some())
            {
                assert!(place(before.source).is_some_and(|b| b < at), "{order:?} of {:#?}", problem.ops);
            }
        }
    }
    let mut states = vec![problem.model.init()];
    for source in order {
        let op = problem.ops.iter().find(|op| op.source == *source).expect("an operation of the problem");
        let mut next = Vec::new();
        for state in &states {
            problem.model.step(state, op.op, &mut |s| next.push(s));
        }
        assert!(!next.is_empty(), "{order:?} is illegal at {source} of {:#?}", problem.ops);
        states = next;
    }
    // Names for the numbers that stand for values here.
    let mut values = history::Interner::default();
    for n in 0..1_000 {
        values.intern(&history::Value::Int(n));
    }
    let stuck = super::stuck(problem, order, &values, 7);
    let answered = |source: &&u32| problem.ops.iter().any(|op| op.source == **source && !op.indeterminate());
    assert_eq!(stuck.placed as usize, order.iter().filter(answered).count());
    for waiting in &stuck.waiting {
        assert!(
            waiting.done < waiting.of && !order.contains(&waiting.op),
            "{waiting:?} of {:#?}",
            problem.ops
        );
    }
}

/// Follows an order step by step, as the definition says.
fn replay<M: Model>(problem: &Problem<Keyed<M>>, order: &[u32]) {
    let at = |source: u32| {
        problem.ops.iter().position(|op| op.source == source).expect("an order of the problem's operations")
    };
    let order: Vec<usize> = order.iter().map(|&source| at(source)).collect();
    let mut states = vec![problem.model.init()];
    for (n, &i) in order.iter().enumerate() {
        let op = &problem.ops[i];
        for &j in &order[n + 1..] {
            let other = &problem.ops[j];
            assert!(
                other.process != op.process || other.invoke > op.invoke,
                "each operation once, and in its turn"
            );
        }
        let mut next = Vec::new();
        states.iter().for_each(|state| problem.model.step(state, op.op, &mut |s| next.push(s)));
        assert!(!next.is_empty(), "{op:?} is illegal in {order:?}");
        states = next;
    }
    let left_out = (0..problem.ops.len()).filter(|i| !order.contains(i));
    for i in left_out {
        assert!(problem.ops[i].indeterminate(), "only what was never answered may be left out");
    }
}

/// A core must be its own projection, have no order, and be minimal if it says so.
fn proves<M: Model>(problem: &Problem<Keyed<M>>, core: &Counterexample) {
    let mut keep: Vec<bool> = problem.ops.iter().map(|op| core.core.contains(&op.source)).collect();
    let named = keep.clone();
    let rest = problem.model.project(&problem.ops, &mut keep, Property::Sequential);
    assert_eq!(keep, named, "a core is closed: {core:?}");
    assert!(!oracle::sequential(&rest), "{core:?} has an order");
    if !core.minimal {
        return;
    }
    for i in (0..keep.len()).filter(|&i| named[i] && problem.model.is_pure(problem.ops[i].op)) {
        let mut keep = named.clone();
        keep[i] = false;
        let rest = problem.model.project(&problem.ops, &mut keep, Property::Sequential);
        assert!(keep == named || oracle::sequential(&rest), "{core:?} is not minimal");
    }
}

fn agrees_for(model: ModelName, said: &[Said]) -> bool {
    match model {
        ModelName::Register | ModelName::CasRegister => agrees::<Register>(said, model),
        ModelName::MultiRegister => agrees::<MultiRegister>(said, model),
        ModelName::Kv => agrees::<Kv>(said, model),
        ModelName::Set => agrees::<GrowSet>(said, model),
        ModelName::Queue => agrees::<Queue>(said, model),
        ModelName::Counter => agrees::<Counter>(said, model),
        ModelName::Mutex => agrees::<Mutex>(said, model),
        ModelName::Lock => agrees::<Lock>(said, model),
        other => panic!("drawn by testing::Letters: {other:?}"),
    }
}

/// How many random histories per model: `PERJURY_FUZZ=100000 cargo test -p perjury-checker --release sequential`.
fn cases() -> u64 {
    std::env::var("PERJURY_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(1500)
}

#[test]
fn random_histories_of_every_model_are_judged_as_the_oracle_judges_them() {
    for model in histories::DRAWN {
        let mut dice = Dice(0x5EED + model as u64);
        let mut tally = [0, 0];
        for _ in 0..cases() {
            let shape = Shape::random(&mut dice, 10);
            let said = random(model, shape, &mut dice);
            tally[usize::from(agrees_for(model, &said))] += 1;
        }
        println!("{model:?}: {} sequential, {} not", tally[1], tally[0]);
        assert!(tally[0] > 0 && tally[1] > 0, "{model:?}: both answers occur: {tally:?}");
    }
}

#[test]
fn random_histories_of_the_other_models_on_two_keys_are_judged_as_the_oracle_judges_them() {
    for model in ModelName::all().into_iter().filter(|model| !histories::DRAWN.contains(model)) {
        crate::with_model!(model, M => {
            let letters = Letters::<M>::new(model);
            let mut rng = crate::testing::Rng(0x5EED + model as u64);
            let mut tally = [0, 0];
            for _ in 0..cases() / 5 {
                let keys = rng.bits();
                let problem = spread(&letters.random(&mut rng, 9), |i| (keys >> i & 1) as u32, 2);
                tally[usize::from(agree_on(&problem))] += 1;
            }
            println!("{model:?}: {} sequential, {} not", tally[1], tally[0]);
            assert!(tally[0] > 0 && tally[1] > 0, "{model:?}: both answers occur: {tally:?}");
        });
    }
}

/// How many operations the enumerated histories have: `PERJURY_ALL=4` is the long run.
fn every_up_to() -> usize {
    std::env::var("PERJURY_ALL").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

/// The operations of a problem on several objects, as `object_of` says.
fn spread<M: Model>(
    problem: &Problem<M>,
    object_of: impl Fn(usize) -> u32,
    objects: usize,
) -> Problem<Keyed<M>> {
    let names = (0..objects).map(|object| object.to_string()).collect();
    let model = Keyed { objects: vec![problem.model.clone(); objects], names };
    let on = |(i, op): (usize, &crate::ObjOp<M::Op>)| op.with(KeyedOp { object: object_of(i), op: op.op });
    Problem { model, ops: problem.ops.iter().enumerate().map(on).collect() }
}

fn every<M: Specified>(model: ModelName) {
    let letters = Letters::<M>::new(model);
    let mut judged = [0u64, 0];
    for n in 0..=every_up_to() {
        letters.every(n, 3, &mut |problem| {
            // On one key; and on two in every way, if that is not the bulk of them all.
            let spread_too = n < every_up_to();
            for keys in 0..if spread_too { 1usize << n.saturating_sub(1) } else { 1 } {
                let object_of = |i: usize| if i == 0 { 0 } else { (keys >> (i - 1) & 1) as u32 };
                judged[usize::from(agree_on(&spread(problem, object_of, 2)))] += 1;
            }
        });
    }
    println!("every {}: {} sequential, {} not", model.name(), judged[1], judged[0]);
    assert!(judged[0] > 0 && judged[1] > 0, "both answers occur");
}

#[test]
fn every_tiny_history_on_one_key_and_on_two_is_judged_as_the_oracle_judges_it() {
    every::<Register>(ModelName::Register);
    every::<Register>(ModelName::CasRegister);
    every::<MultiRegister>(ModelName::MultiRegister);
    every::<Kv>(ModelName::Kv);
    every::<GrowSet>(ModelName::Set);
    every::<Queue>(ModelName::Queue);
    every::<Counter>(ModelName::Counter);
    every::<Mutex>(ModelName::Mutex);
    every::<Lock>(ModelName::Lock);
}

#[test]
fn small_programs_that_read_anything_are_judged_as_the_oracle_judges_them() {
    // Store buffers, independent reads, messages and coherence are all among these.
    let mut dice = Dice(0x117_A05);
    let mut tally = [0, 0];
    for _ in 0..cases() * 4 {
        let shape = Shape {
            ops: 4 + dice.below(6),
            processes: 2 + dice.below(3),
            keys: 1 + dice.below(2),
            values: 1 + dice.below(2),
            crashed: [0, 0, 25][dice.below(3) as usize],
            lies: 100,
            unique: false,
        };
        let model = if dice.percent(70) { ModelName::Register } else { ModelName::CasRegister };
        let said = random(model, shape, &mut dice);
        tally[usize::from(agrees_for(model, &said))] += 1;
    }
    println!("small programs: {} sequential, {} not", tally[1], tally[0]);
    assert!(tally[0] > 0 && tally[1] > 0, "both answers occur: {tally:?}");
}

#[test]
fn late_replicas_with_one_lie_are_judged_as_the_oracle_judges_them() {
    let mut dice = Dice(0x1A66);
    let mut tally = [0, 0];
    for _ in 0..cases() * 2 {
        let values = [None, Some(1), Some(2)][dice.below(3) as usize];
        let (processes, keys) = (2 + dice.below(2) as u32, 1 + dice.below(2) as u32);
        let mut problem = scale::lagging(9, processes, keys, values, &mut dice);
        let one = dice.below(9) as usize;
        let seen = |op| match op {
            RegisterOp::Read(value) => Some(value),
            _ => None,
        };
        let other = problem.ops[dice.below(9) as usize].op.op;
        if let (Some(_), Some(value)) = (seen(problem.ops[one].op.op), seen(other)) {
            problem.ops[one].op.op = RegisterOp::Read(value);
        }
        tally[usize::from(agree_on(&problem))] += 1;
    }
    println!("late replicas: {} sequential, {} not", tally[1], tally[0]);
    assert!(tally[0] > 0 && tally[1] > 0, "both answers occur: {tally:?}");
}
