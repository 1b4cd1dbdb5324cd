//! The search against the oracle: every tiny history, and random ones.
//!
//! By default all histories of at most 3 operations and a few thousand random ones of at most 10, for each model. With
//! `PERJURY_LONG=1`, all of at most 4 operations and 100 000 random ones: `PERJURY_LONG=1 cargo test --release -p
//! perjury-checker --test oracle_agrees -- --nocapture`.

use checker::testing::{Letters, Rng, keeps_its_promises};
use checker::{Budget, Model, ModelName, Problem, Property, oracle, search, with_model};
use std::sync::atomic::{AtomicBool, AtomicU64};

fn long() -> bool {
    std::env::var_os("PERJURY_LONG").is_some()
}

/// Searches, and holds the answer against the oracle; whether there is an order.
fn compare<M: Model>(problem: &Problem<M>) -> bool {
    let budget = Budget { stop: &AtomicBool::new(false), bytes: 1 << 30, states: &AtomicU64::new(0) };
    let truth = oracle::linearizable(problem);
    assert_found(problem, search::search(problem, &budget), truth);
    for found in search::search_by_each_engine(problem, &budget) {
        assert_found(problem, found, truth);
    }
    // With 1 it looks at the last operation that returned, and at those that did not.
    for most in [1, 3] {
        let recently = search::violated_recently(problem, most, &budget);
        assert!(!(recently && truth), "what is legal has no violation in it: {:#?}", problem.ops);
    }
    truth
}

/// The same for the history as it was known at one of its returns, where results are known of operations that are still
/// open: what a search learns from them must not reach further back than they do.
fn compare_cut<M: Model>(problem: &Problem<M>, rng: &mut Rng) {
    let returns: Vec<u32> = problem.ops.iter().filter(|op| !op.indeterminate()).map(|op| op.ret).collect();
    if !returns.is_empty() {
        compare(&search::until(problem, rng.pick(&returns)));
    }
}

fn assert_found<M: Model>(problem: &Problem<M>, found: search::Found, truth: bool) {
    match found {
        search::Found::Order(order) => {
            assert!(truth, "an order was found where there is none: {:#?}", problem.ops);
            assert_order(problem, &order);
        }
        search::Found::Fatal(fatal) => {
            assert!(!truth, "no order was found: {:#?}", problem.ops);
            let rank = problem.ops[fatal as usize].ret;
            assert!(
                !oracle::linearizable(&search::until(problem, rank)),
                "{fatal} is not fatal: {:#?}",
                problem.ops
            );
            if rank > 0 {
                let before = search::until(problem, rank - 1);
                assert!(oracle::linearizable(&before), "{fatal} is not the first: {:#?}", problem.ops);
            }
        }
        search::Found::GaveUp(reason) => panic!("gave up on {} operations: {reason:?}", problem.ops.len()),
    }
}

/// The order is legal, keeps real time and has every operation that returned. (Written anew: this test trusts nobody.)
fn assert_order<M: Model>(problem: &Problem<M>, order: &[u32]) {
    let mut states = vec![problem.model.init()];
    for (i, &at) in order.iter().enumerate() {
        let op = &problem.ops[at as usize];
        let mut next = Vec::new();
        for state in &states {
            problem.model.step(state, op.op, &mut |s| next.push(s));
        }
        assert!(!next.is_empty(), "{order:?} is illegal at {at}: {:#?}", problem.ops);
        states = next;
        for &later in &order[i + 1..] {
            assert!(
                problem.ops[later as usize].ret > op.invoke,
                "{order:?} breaks real time: {:#?}",
                problem.ops
            );
            assert_ne!(later, at);
        }
    }
    for (i, op) in problem.ops.iter().enumerate() {
        assert!(op.indeterminate() || order.contains(&(i as u32)), "{order:?} lacks {i}: {:#?}", problem.ops);
    }
}

fn every_tiny_history(model: ModelName) {
    with_model!(model, M => {
        let letters = Letters::<M>::new(model);
        let (mut total, mut legal) = (0, 0);
        for n in 1..=if long() { 4 } else { 3 } {
            total += letters.every(n, 3, &mut |problem| legal += u64::from(compare(problem)));
        }
        println!("{}: {total} tiny histories, {legal} linearizable", model.name());
        assert!(legal > 0 && legal < total);
    });
}

fn random_histories(model: ModelName) {
    with_model!(model, M => {
        let letters = Letters::<M>::new(model);
        let count = if long() { 100_000 } else { 4_000 };
        let seed = 7;
        println!("{}: {count} random histories, seed {seed}", model.name());
        let mut rng = Rng(seed);
        let mut legal = 0;
        for _ in 0..count {
            let problem = letters.random(&mut rng, 10);
            legal += usize::from(compare(&problem));
            compare_cut(&problem, &mut rng);
        }
        println!("{}: {legal} of them linearizable", model.name());
        assert!(legal > count / 10 && legal < count);
    });
}

/// What may be left out of a core: a legal history stays legal.
fn projections_keep_legal_histories_legal(model: ModelName) {
    with_model!(model, M => {
        let letters = Letters::<M>::new(model);
        let count = if long() { 100_000 } else { 4_000 };
        let mut rng = Rng(11);
        let (mut legal, mut smaller) = (0, 0);
        for _ in 0..count {
            let problem = letters.random(&mut rng, 9);
            for property in Property::all() {
                if !oracle::holds(&problem, property) {
                    continue;
                }
                legal += 1;
                let odds = 2 + rng.below(3);
                let mut keep: Vec<bool> = problem.ops.iter().map(|_| !rng.once_in(odds)).collect();
                let wanted = keep.clone();
                let projected = problem.model.project(&problem.ops, &mut keep, property);
                smaller += usize::from(projected.ops.len() < problem.ops.len());
                assert!(
                    oracle::holds(&projected, property),
                    "{property:?}: {wanted:?} → {keep:?} of {:#?}\n{:#?}", problem.ops, projected.ops
                );
                let mut again = keep.clone();
                let twice = problem.model.project(&problem.ops, &mut again, property);
                assert_eq!((again, twice.ops), (keep, projected.ops), "projecting again changes something");
            }
        }
        println!("{}: {legal} legal histories projected, {smaller} of them smaller", model.name());
        assert!(smaller > 0);
    });
}

/// What a model says about single operations, and that it changes a state in place as it makes a new one.
fn it_is_what_it_says(model: ModelName) {
    with_model!(model, M => {
        let letters = Letters::<M>::new(model);
        let (answered, unanswered) = letters.of_one();
        // Operations of a mutex name their process, and here all are of one: a history of several would be none.
        let histories = if model == ModelName::Mutex { 0 } else { 100 };
        let kept = keeps_its_promises(&letters.model, &answered, &unanswered, 5, histories);
        let kept = kept.unwrap_or_else(|broken| panic!("{}: {broken}", model.name()));
        assert!(kept.states > 1, "{}: {kept:?}", model.name());
    });
}

macro_rules! for_each_model {
    ($($module:ident $name:ident)*) => {
        $(mod $module {
            use super::*;

            #[test]
            fn the_model_is_what_it_says() {
                it_is_what_it_says(ModelName::$name);
            }

            #[test]
            fn every_tiny_history_is_judged_as_the_oracle_judges_it() {
                every_tiny_history(ModelName::$name);
            }

            #[test]
            fn random_histories_are_judged_as_the_oracle_judges_them() {
                random_histories(ModelName::$name);
            }

            #[test]
            fn what_is_left_out_of_a_core_never_makes_a_legal_history_illegal() {
                projections_keep_legal_histories_legal(ModelName::$name);
            }
        })*
    };
}

for_each_model! {
    register Register
    cas_register CasRegister
    multi_register MultiRegister
    kv Kv
    set Set
    queue Queue
    counter Counter
    mutex Mutex
    lock Lock
    versioned_register VersionedRegister
    revision_register RevisionRegister
    append_log AppendLog
    list_append ListAppend
    fetch_add FetchAdd
    unique_ids UniqueIds
    monotonic_ids MonotonicIds
    bag Bag
    stack Stack
    priority_queue PriorityQueue
    delivery Delivery
    element_set ElementSet
    semaphore Semaphore
    watch Watch
}
