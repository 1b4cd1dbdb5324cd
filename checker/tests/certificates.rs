//! The verifier is not fooled: orders and cores that prove nothing are refused.

use checker::certify::{Refused, refute, replay};
use checker::register::Register;
use checker::register::RegisterOp::{self, Read, Write};
use checker::testing::{Letters, Rng};
use checker::{Budget, Counterexample, ModelName, ObjOp, Problem, Property, oracle, search, with_model};
use checker::{FailedCas, NilRead};
use history::{NEVER, ValueId};
use std::sync::atomic::{AtomicBool, AtomicU64};

const V1: ValueId = ValueId(1);
const V2: ValueId = ValueId(2);

fn problem(ops: &[(u32, u32, u32, RegisterOp)]) -> Problem<Register> {
    let ops = ops.iter().enumerate().map(|(i, &(process, invoke, ret, op))| ObjOp {
        invoke,
        ret,
        process,
        source: 10 + i as u32,
        op,
    });
    Problem {
        model: Register::new(ValueId::NULL, true, FailedCas::Drop, NilRead::Observe),
        ops: ops.collect(),
    }
}

fn counterexample(core: &[u32], fatal: u32) -> Counterexample {
    Counterexample { core: core.to_vec(), minimal: true, fatal: Some(fatal) }
}

#[test]
fn an_order_must_have_everything_once_in_time_and_legal() {
    let p =
        problem(&[(0, 0, 1, Write(V1)), (0, 2, 5, Write(V2)), (1, 3, 4, Read(V1)), (2, 6, NEVER, Write(V1))]);
    let accepted = |order: &[u32]| replay(&p, order, Property::Linearizable).is_ok();
    assert!(accepted(&[10, 12, 11]));
    assert!(accepted(&[10, 12, 11, 13]), "what was never answered may be there");
    assert!(!accepted(&[10, 11, 12]), "illegal: 1 was overwritten");
    assert!(!accepted(&[10, 12]), "a write that returned is missing");
    assert!(!accepted(&[10, 12, 11, 11]), "one is there twice");
    assert!(!accepted(&[10, 12, 11, 99]), "one is unknown");
    assert!(!accepted(&[11, 10, 12]), "real time");
}

#[test]
fn an_order_must_keep_each_process_in_its_own_order() {
    let p = problem(&[(0, 0, 1, Write(V1)), (0, 2, 3, Write(V2)), (1, 4, 5, Read(V1))]);
    assert!(replay(&p, &[10, 12, 11], Property::Sequential).is_ok());
    assert!(replay(&p, &[10, 12, 11], Property::Linearizable).is_err());
    assert!(replay(&p, &[11, 10, 12], Property::Sequential).is_err());
}

#[test]
fn a_core_that_leaves_out_a_write_that_could_have_been_seen_is_refused() {
    // P0 |-w1-|  |-w2-|
    // P1         |-w1-|   |-r1-|        legal: the second write 1 may come last
    let p = problem(&[(0, 0, 1, Write(V1)), (0, 2, 5, Write(V2)), (1, 3, 4, Write(V1)), (1, 6, 7, Read(V1))]);
    let without_the_source = counterexample(&[10, 11, 13], 13);
    assert!(matches!(refute(&p, &without_the_source, Property::Linearizable), Err(Refused::Wrong(_))));
    let everything = counterexample(&[10, 11, 12, 13], 13);
    assert!(matches!(refute(&p, &everything, Property::Linearizable), Err(Refused::Wrong(_))));
}

#[test]
fn a_core_that_shows_why_a_write_cannot_have_been_seen_is_accepted() {
    let p = problem(&[(0, 0, 1, Write(V1)), (0, 2, 3, Write(V2)), (1, 4, 5, Read(V1))]);
    assert_eq!(refute(&p, &counterexample(&[11, 12], 12), Property::Linearizable), Ok(()));
    assert_eq!(refute(&p, &counterexample(&[10, 11, 12], 12), Property::Linearizable), Ok(()));
    // Without the write between, nothing speaks against the old value.
    assert!(refute(&p, &counterexample(&[10, 12], 12), Property::Linearizable).is_err());
    assert!(refute(&p, &counterexample(&[12], 12), Property::Linearizable).is_err());
}

#[test]
fn what_comes_after_the_fatal_return_is_no_evidence() {
    // P0 |-w1-|  |-r2-|
    // P1                |-w2-|          the read is fatal, whatever comes later; but a write still open may explain it
    let late = problem(&[(0, 0, 1, Write(V1)), (0, 2, 3, Read(V2)), (1, 4, 5, Write(V2))]);
    assert_eq!(refute(&late, &counterexample(&[11], 11), Property::Linearizable), Ok(()));
    assert!(refute(&late, &counterexample(&[11, 12], 11), Property::Linearizable).is_err());
    let open = problem(&[(0, 0, 1, Write(V1)), (1, 2, 5, Write(V2)), (0, 3, 4, Read(V2))]);
    assert!(refute(&open, &counterexample(&[12], 12), Property::Linearizable).is_err());
}

/// Every violation of random histories has a core that the verifier accepts, and no part of it is superfluous.
fn cores_are_accepted_and_minimal(model: ModelName) {
    with_model!(model, M => {
        let letters = Letters::<M>::new(model);
        let mut rng = Rng(23);
        let (mut violated, mut small) = (0, 0);
        for _ in 0..1_500 {
            let problem = letters.random(&mut rng, 10);
            let budget = Budget { stop: &AtomicBool::new(false), bytes: 1 << 28, states: &AtomicU64::new(0) };
            let search::Found::Fatal(fatal) = search::search(&problem, &budget) else { continue };
            let found = checker::core::shrink(&problem, fatal, &budget);
            refute(&problem, &found, Property::Linearizable).expect("the core is a proof");
            assert!(found.minimal);
            violated += 1;
            small += usize::from(found.core.len() < problem.ops.len());
            for left_out in &found.core {
                let core = found.core.iter().copied().filter(|op| op != left_out).collect();
                let less = Counterexample { core, ..found.clone() };
                // The verifier has nothing to cut by if the fatal operation itself is gone.
                if Some(*left_out) != found.fatal {
                    assert!(refute(&problem, &less, Property::Linearizable).is_err(), "{found:?} {:#?}", problem.ops);
                }
            }
        }
        assert!(violated > 100 && small > 0, "{violated} violations, {small} made smaller");
    });
}

#[test]
fn cores_of_every_model_are_accepted_and_minimal() {
    for model in ModelName::all() {
        cores_are_accepted_and_minimal(model);
    }
}

/// Orders that are damaged are refused whenever they are no longer orders.
#[test]
fn damaged_orders_are_refused() {
    let letters = Letters::<Register>::new(ModelName::CasRegister);
    let mut rng = Rng(5);
    let mut refused = 0;
    for _ in 0..2_000 {
        let problem = letters.random(&mut rng, 8);
        let budget = Budget { stop: &AtomicBool::new(false), bytes: 1 << 28, states: &AtomicU64::new(0) };
        let search::Found::Order(order) = search::search(&problem, &budget) else { continue };
        let mut order: Vec<u32> = order.iter().map(|&i| problem.ops[i as usize].source).collect();
        replay(&problem, &order, Property::Linearizable).expect("an order");
        if order.len() < 2 {
            continue;
        }
        let (a, b) = (rng.below(order.len()), rng.below(order.len()));
        order.swap(a, b);
        if replay(&problem, &order, Property::Linearizable).is_err() {
            refused += 1;
            continue;
        }
        assert!(oracle::linearizable(&problem));
        assert!(problem.ops.iter().all(|op| op.indeterminate() || order.contains(&op.source)));
    }
    assert!(refused > 100);
}
