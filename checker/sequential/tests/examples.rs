//! The classic examples, by hand: each line is a process, `w x 1` writes, `r x 1` reads, `?` was never answered.

use super::histories::Said;
use super::{agrees, judge, problem};
use crate::ModelName;
use crate::keyed::Keyed;
use crate::oracle;
use crate::problem::Problem;
use crate::register::Register;
use crate::sequential::Rule;
use crate::verdict::Verdict;
use history::{Applied, Outcome, Value};

/// One operation after the other, line by line: real time is that of the text.
fn drawn(text: &str) -> Vec<Said> {
    let mut said = Vec::new();
    for (process, line) in (0..).zip(text.lines().map(str::trim).filter(|line| !line.is_empty())) {
        for op in line.split("──").map(str::trim) {
            let (op, outcome) = match op.strip_suffix('?') {
                Some(op) => (op, Outcome::Info),
                None => (op, Outcome::Ok),
            };
            let [f, key, value] = op.split(' ').collect::<Vec<_>>()[..] else { panic!("f key value: {op}") };
            let value = match value.parse().expect("a number") {
                0 => Value::Null,
                n => Value::Int(n),
            };
            let f = if f == "w" { "write" } else { "read" };
            let input = if f == "write" { value.clone() } else { Value::Null };
            let key = Value::text(key);
            let (applied, observed) = (Applied::Unsaid, None);
            said.push(Said { process, f, key, input, output: value, outcome, applied, observed });
        }
    }
    said
}

fn registers(text: &str) -> Problem<Keyed<Register>> {
    problem::<Register>(&drawn(text), ModelName::Register)
}

/// Whether it is sequential; the oracle must agree. `0` is the initial value.
fn sequential(text: &str) -> bool {
    agrees::<Register>(&drawn(text), ModelName::Register)
}

#[test]
fn a_store_buffer_is_impossible_with_two_keys() {
    let store_buffer = "
        w x 1 ── r y 0
        w y 1 ── r x 0";
    assert!(!sequential(store_buffer));
    // Each key alone is even linearizable in some real time: only both together are impossible.
    assert!(sequential("w x 1 \n r x 0"));
    assert!(sequential("r y 0 \n w y 1"));
    let Verdict::Invalid(core) = judge(&registers(store_buffer)).0 else { panic!("it is not sequential") };
    assert_eq!((core.core, core.minimal), (vec![0, 1, 2, 3], true));
}

#[test]
fn a_store_buffer_on_one_key_hides_the_own_write_and_is_impossible_too() {
    assert!(!sequential(
        "
        w x 1 ── r x 0
        w x 2 ── r x 0"
    ));
    // What each may see instead is the other's write: then one of the two came later.
    assert!(sequential(
        "
        w x 1 ── r x 2
        w x 2 ── r x 2"
    ));
    assert!(!sequential(
        "
        w x 1 ── r x 2
        w x 2 ── r x 1"
    ));
}

#[test]
fn independent_readers_must_agree_on_the_order_of_independent_writes() {
    assert!(!sequential(
        "
        w x 1
        w y 1
        r x 1 ── r y 0
        r y 1 ── r x 0"
    ));
    assert!(sequential(
        "
        w x 1
        w y 1
        r x 1 ── r y 0
        r x 1 ── r y 1"
    ));
    // One key: both writes, seen in two orders.
    assert!(!sequential(
        "
        w x 1
        w x 2
        r x 1 ── r x 2
        r x 2 ── r x 1"
    ));
    assert!(sequential(
        "
        w x 1
        w x 2
        r x 1 ── r x 2
        r x 1 ── r x 2"
    ));
}

#[test]
fn a_message_that_was_seen_brings_what_was_written_before_it() {
    assert!(!sequential(
        "
        w x 1 ── w y 1
        r y 1 ── r x 0"
    ));
    assert!(sequential(
        "
        w x 1 ── w y 1
        r y 0 ── r x 1"
    ));
}

#[test]
fn a_process_that_saw_the_new_value_may_not_see_the_old_one_again() {
    assert!(!sequential(
        "
        w x 1 ── w x 2
        r x 2 ── r x 1"
    ));
}

#[test]
fn a_stale_read_by_another_process_is_sequential_but_not_linearizable() {
    let stale = "
        w x 1 ── w x 2
        r x 1";
    assert!(sequential(stale));
    let one_key = registers(stale);
    assert!(!oracle::linearizable(&one_key));
}

#[test]
fn a_crashed_write_may_surface_later_and_then_stays() {
    assert!(sequential(
        "
        w x 1?
        w x 2 ── r x 2 ── r x 1"
    ));
    assert!(sequential(
        "
        w x 1?
        w x 2 ── r x 2 ── r x 2"
    ));
    assert!(!sequential(
        "
        w x 1?
        w x 2 ── r x 1 ── r x 2 ── r x 1"
    ));
    // A crashed write comes after what its process did before.
    assert!(!sequential(
        "
        w y 1 ── w x 1?
        r x 1 ── r y 0"
    ));
}

#[test]
fn a_value_that_nobody_wrote_is_a_proof_by_itself() {
    let text = "
        w x 1 ── r x 1
        r x 7";
    assert!(!sequential(text));
    let Verdict::Invalid(core) = judge(&registers(text)).0 else { panic!("it is not sequential") };
    assert_eq!((core.core, core.minimal), (vec![2], true));
}

#[test]
fn the_circle_of_a_store_buffer_goes_through_both_initial_values() {
    let (stop, states) = Default::default();
    let budget = crate::verdict::Budget { stop: &stop, bytes: 1 << 20, states: &states };
    let proof = crate::sequential::circle(
        &registers(
            "
        w x 1 ── r y 0
        w y 1 ── r x 0",
        ),
        &budget,
    )
    .expect("a circle");
    let rules: Vec<Rule> = proof.circle.iter().map(|&step| proof.steps[step].rule).collect();
    assert_eq!(rules.iter().filter(|r| **r == Rule::Initial).count(), 2, "{proof:?}");
    assert_eq!(rules.iter().filter(|r| **r == Rule::Program).count(), 2, "{proof:?}");
    assert_eq!(proof.operations(), [0, 1, 2, 3]);
    for (a, b) in proof.circle.iter().zip(proof.circle.iter().cycle().skip(1)) {
        assert_eq!(proof.steps[*a].to, proof.steps[*b].from, "a closed circle: {proof:?}");
    }
}
