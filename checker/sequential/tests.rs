//! Sequential consistency against the oracle, and by hand.

mod examples;
mod histories;
mod scale;

use super::{Method, sequential};
use crate::counter::Counter;
use crate::keyed::Keyed;
use crate::kv::Kv;
use crate::lock::Lock;
use crate::model::Model;
use crate::multi_register::MultiRegister;
use crate::mutex::Mutex;
use crate::problem::Problem;
use crate::queue::Queue;
use crate::register::Register;
use crate::set::GrowSet;
use crate::spec::Specified;
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
    let problem = problem::<M>(said, model);
    let expected = oracle::sequential(&problem);
    let (verdict, method) = judge(&problem);
    let found = match verdict {
        Verdict::Valid(witness) => {
            replay(&problem, &witness.order);
            true
        }
        Verdict::Invalid(core) => {
            proves(&problem, &core);
            false
        }
        Verdict::Unknown(reason) => panic!("{reason:?} for {said:#?}"),
    };
    assert_eq!(found, expected, "{method:?} on {said:#?}");
    expected
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
    }
}

/// How many random histories per model: `PERJURY_FUZZ=100000 cargo test -p perjury-checker --release sequential`.
fn cases() -> u64 {
    std::env::var("PERJURY_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(1500)
}

#[test]
fn random_histories_of_every_model_are_judged_as_the_oracle_judges_them() {
    for model in ModelName::all() {
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
