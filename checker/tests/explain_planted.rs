//! Anomalies of every kind, planted in lawful histories: each must be called by its name.
//!
//! The label is known by construction, from the definitions in the table of `checker::kinds`, and by no code of the checker.

mod explain_sketch;

use checker::{ModelName, Property};
use explain_sketch::plan::{Client, Plan, check};

fn registers(kind: &str, plant: impl Fn(&mut Plan)) {
    let with_past = |plan: &mut Plan| {
        plan.past("write x #", "read x null -> #");
        plant(plan);
    };
    check(kind, ModelName::Register, Property::Linearizable, with_past);
    check(kind, ModelName::CasRegister, Property::Linearizable, with_past);
}

/// `write x old`, acknowledged, and seen or not.
fn old_value(plan: &mut Plan, clients: [Client; 3]) -> u64 {
    let old = plan.fresh();
    plan.op("*", clients[plan.value as usize % 3], &format!("write x {old}"));
    if plan.dice.below(2) == 0 {
        plan.op("", clients[0], &format!("read x null -> {old}"));
    }
    old
}

/// Somebody sees `value` in the end.
fn seen_in_the_end(plan: &mut Plan, value: u64) {
    for _ in 0..1 + plan.dice.below(3) {
        let client = Client(plan.dice.below(3));
        plan.op("", client, &format!("read x null -> {value}"));
    }
}

#[test]
fn a_stale_read_is_called_so() {
    registers("stale-read", |plan| {
        let [a, b, c] = plan.clients();
        let old = old_value(plan, [a, b, c]);
        let new = plan.fresh();
        plan.op("*", a, &format!("write x {new}"));
        plan.op("*", b, &format!("read x null -> {old}"));
        // Without a second late read nobody can say that the write is gone for good.
        if plan.dice.below(4) > 0 {
            seen_in_the_end(plan, new);
        }
    });
}

#[test]
fn a_lost_write_is_called_so() {
    registers("lost-write", |plan| {
        let [a, b, c] = plan.clients();
        let old = old_value(plan, [a, b, c]);
        let new = plan.fresh();
        plan.op("*", a, &format!("write x {new}"));
        plan.op("*", b, &format!("read x null -> {old}"));
        plan.op("", a, &format!("read x null -> {old}"));
        if plan.dice.below(2) == 0 {
            // A later write hides the loss, but not what was read before it.
            let newest = plan.fresh();
            plan.op("", c, &format!("write x {newest}"));
            seen_in_the_end(plan, newest);
        } else {
            seen_in_the_end(plan, old);
        }
    });
}

#[test]
fn a_lost_write_is_called_so_without_real_time() {
    check("lost-write", ModelName::Register, Property::Sequential, |plan| {
        plan.past("write x #", "read x null -> #");
        let [a, b, c] = plan.clients();
        let (old, new) = (plan.fresh(), plan.fresh());
        plan.op("*", b, &format!("write x {old}"));
        plan.op("*", a, &format!("read x null -> {old}"));
        plan.op("*", a, &format!("write x {new}"));
        plan.op("*", a, &format!("read x null -> {old}"));
        plan.op("", c, &format!("read x null -> {old}"));
    });
}

#[test]
fn a_session_that_misses_its_own_write_is_called_so() {
    registers("not-read-your-writes", |plan| {
        let [a, b, c] = plan.clients();
        let old = old_value(plan, [a, b, c]);
        let new = plan.fresh();
        plan.op("*", a, &format!("write x {new}"));
        plan.op("*", a, &format!("read x null -> {old}"));
        seen_in_the_end(plan, new);
    });
    check("not-read-your-writes", ModelName::Register, Property::Sequential, |plan| {
        plan.past("write y #", "read y null -> #");
        let [a, b, _] = plan.clients();
        let (old, new) = (plan.fresh(), plan.fresh());
        plan.op("*", b, &format!("write x {old}"));
        plan.op("*", a, &format!("read x null -> {old}"));
        plan.op("*", a, &format!("write x {new}"));
        plan.op("*", a, &format!("read x null -> {old}"));
        seen_in_the_end(plan, new);
    });
}

/// A write that is under way, or gets no reply, while one client reads `new` and then another, or the same, `old`.
fn back_and_forth(plan: &mut Plan, same: bool) {
    let [a, b, c] = plan.clients();
    let old = old_value(plan, [a, b, c]);
    let new = plan.fresh();
    let invoke = plan.pass();
    plan.op("*", b, &format!("read x null -> {new}"));
    plan.op("*", if same { b } else { c }, &format!("read x null -> {old}"));
    let ret = plan.pass();
    let unanswered = plan.dice.below(2) == 0;
    let ret = if unanswered { format!("?{ret}") } else { ret.to_string() };
    plan.write("*", Client(a.0 + 10), invoke, &ret, &format!("write x {new}"));
    seen_in_the_end(plan, new);
}

#[test]
fn an_inversion_is_called_so() {
    registers("inversion", |plan| back_and_forth(plan, false));
}

#[test]
fn a_value_that_goes_backwards_is_called_so() {
    registers("non-monotonic", |plan| back_and_forth(plan, true));
    check("non-monotonic", ModelName::Register, Property::Sequential, |plan| {
        plan.past("write y #", "read y null -> #");
        let [a, b, _] = plan.clients();
        let (old, new) = (plan.fresh(), plan.fresh());
        plan.op("*", a, &format!("write x {old}"));
        plan.op("*", a, &format!("write x {new}"));
        plan.op("*", b, &format!("read x null -> {new}"));
        plan.op("*", b, &format!("read x null -> {old}"));
    });
}

#[test]
fn values_that_nobody_wrote_are_called_so() {
    registers("phantom-value", |plan| {
        let [_, b, _] = plan.clients();
        let never = plan.fresh() + 1000;
        plan.op("*", b, &format!("read x null -> {never}"));
    });
    registers("read-of-failed-write", |plan| {
        let [a, b, _] = plan.clients();
        let (value, invoke, ret) = (plan.fresh(), plan.pass(), plan.pass());
        plan.write("", a, invoke, &format!("!{ret}"), &format!("write x {value}"));
        plan.op("*", b, &format!("read x null -> {value}"));
    });
    registers("read-of-future", |plan| {
        let [a, b, _] = plan.clients();
        let value = plan.fresh();
        plan.op("*", b, &format!("read x null -> {value}"));
        plan.op("*", a, &format!("write x {value}"));
        seen_in_the_end(plan, value);
    });
}

#[test]
fn two_replacements_of_one_value_are_called_so() {
    for property in Property::all() {
        check("double-cas", ModelName::CasRegister, property, |plan| {
            plan.past("write x #", "read x null -> #");
            let [a, b, c] = plan.clients();
            let (old, one, two) = (plan.fresh(), plan.fresh(), plan.fresh());
            plan.op("*", a, &format!("write x {old}"));
            plan.op("*", b, &format!("cas x [{old} {one}]"));
            if plan.dice.below(2) == 0 {
                plan.op("", c, &format!("read x null -> {one}"));
            }
            plan.op("*", c, &format!("cas x [{old} {two}]"));
        });
        check("lost-update", ModelName::MultiRegister, property, |plan| {
            let [a, b, c] = plan.clients();
            let (old, one, two) = (plan.fresh(), plan.fresh(), plan.fresh());
            plan.op("*", a, &format!("txn - [[write x {old}] [write y {old}]]"));
            for (client, new) in [(b, one), (c, two)] {
                plan.op(
                    "*",
                    client,
                    &format!("txn - [[read x null] [write x {new}]] -> [[read x {old}] [write x {new}]]"),
                );
            }
        });
    }
}

/// Two transactions at once, and whatever else the plan does around them.
fn at_once(plan: &mut Plan, first: &str, second: &str) {
    let [a, b, _] = plan.clients();
    let from = plan.pass();
    let later = plan.pass();
    let to = plan.pass();
    let end = plan.pass();
    plan.write("*", Client(a.0 + 10), from, &to.to_string(), first);
    plan.write("*", Client(b.0 + 20), later, &end.to_string(), second);
}

#[test]
fn what_transactions_see_of_each_other_is_called_so() {
    let transactions = |kind: &str, plant: &dyn Fn(&mut Plan, u64, u64)| {
        check(kind, ModelName::MultiRegister, Property::Linearizable, |plan| {
            let (one, two) = (plan.fresh(), plan.fresh());
            plant(plan, one, two);
        });
    };
    transactions("read-skew", &|plan, one, _| {
        let write = format!("txn - [[write x {one}] [write y {one}]]");
        let read = format!("txn - [[read x null] [read y null]] -> [[read x {one}] [read y null]]");
        at_once(plan, &write, &read);
    });
    transactions("write-skew", &|plan, one, two| {
        let first = format!("txn - [[read x null] [write y {one}]] -> [[read x null] [write y {one}]]");
        let second = format!("txn - [[read y null] [write x {two}]] -> [[read y null] [write x {two}]]");
        at_once(plan, &first, &second);
    });
    transactions("circular-flow", &|plan, one, two| {
        let first = format!("txn - [[read x null] [write y {one}]] -> [[read x {two}] [write y {one}]]");
        let second = format!("txn - [[read y null] [write x {two}]] -> [[read y {one}] [write x {two}]]");
        at_once(plan, &first, &second);
    });
    transactions("intermediate-read", &|plan, one, two| {
        let write = format!("txn - [[write x {one}] [write x {two}]]");
        at_once(plan, &write, &format!("txn - [[read x null]] -> [[read x {one}]]"));
    });
    transactions("interleaved-writes", &|plan, one, two| {
        let both = |value: u64| format!("txn - [[write x {value}] [write y {value}]]");
        at_once(plan, &both(one), &both(two));
        let [_, _, c] = plan.clients();
        plan.op("*", c, &format!("txn - [[read x null] [read y null]] -> [[read x {one}] [read y {two}]]"));
    });
}

#[test]
fn cycles_over_two_keys_are_called_so() {
    for (x, y) in [("x", "y"), ("k1", "k2")] {
        check("store-buffer", ModelName::Register, Property::Sequential, |plan| {
            plan.past("write z #", "read z null -> #");
            let [a, b, _] = plan.clients();
            let (one, two) = (plan.fresh(), plan.fresh());
            let first = plan.dice.below(2) == 0;
            plan.op("*", a, &format!("write {x} {one}"));
            if first {
                plan.op("*", b, &format!("write {y} {two}"));
            }
            plan.op("*", a, &format!("read {y} null -> null"));
            if !first {
                plan.op("*", b, &format!("write {y} {two}"));
            }
            plan.op("*", b, &format!("read {x} null -> null"));
        });
        check("opposite-orders", ModelName::Register, Property::Sequential, |plan| {
            plan.past("write z #", "read z null -> #");
            let (one, two) = (plan.fresh(), plan.fresh());
            plan.op("*", Client(0), &format!("write {x} {one}"));
            plan.op("*", Client(1), &format!("write {y} {two}"));
            plan.op("*", Client(2), &format!("read {x} null -> {one}"));
            plan.op("*", Client(3), &format!("read {y} null -> {two}"));
            plan.op("*", Client(2), &format!("read {y} null -> null"));
            plan.op("*", Client(3), &format!("read {x} null -> null"));
        });
    }
    check("opposite-orders", ModelName::Register, Property::Sequential, |plan| {
        let (one, two) = (plan.fresh(), plan.fresh());
        plan.op("*", Client(0), &format!("write x {one}"));
        plan.op("*", Client(1), &format!("write x {two}"));
        for (client, values) in [(Client(2), [one, two]), (Client(3), [two, one])] {
            for value in values {
                plan.op("*", client, &format!("read x null -> {value}"));
            }
        }
    });
}

#[test]
fn lost_and_late_elements_are_called_so() {
    for lost in [true, false] {
        let kind = if lost { "set-lost" } else { "set-stale" };
        check(kind, ModelName::Set, Property::Linearizable, |plan| {
            let [a, b, c] = plan.clients();
            let (one, two, three) = (plan.fresh(), plan.fresh(), plan.fresh());
            plan.op("", c, &format!("add x {one}"));
            plan.op("*", a, &format!("add x {two}"));
            if lost {
                plan.op("", c, &format!("add x {three}"));
                plan.op("*", b, &format!("read x null -> [{one} {three}]"));
                plan.op("", c, &format!("read x null -> [{one} {three}]"));
            } else {
                plan.op("*", b, &format!("read x null -> [{one}]"));
                plan.op("", c, &format!("add x {three}"));
                plan.op("", c, &format!("read x null -> [{one} {two} {three}]"));
            }
        });
    }
}

#[test]
fn faults_of_queues_are_called_so() {
    for property in Property::all() {
        check("phantom-message", ModelName::Queue, property, |plan| {
            for _ in 0..plan.dice.below(4) {
                let (value, [a, b, _]) = (plan.fresh(), plan.clients());
                plan.op("", a, &format!("enqueue x {value}"));
                plan.op("", b, &format!("dequeue x null -> {value}"));
            }
            let [_, b, _] = plan.clients();
            let never = plan.fresh() + 1000;
            plan.op("*", b, &format!("dequeue x null -> {never}"));
        });
        check("duplicate-delivery", ModelName::Queue, property, |plan| {
            let [a, b, c] = plan.clients();
            let one = plan.fresh();
            plan.op("*", a, &format!("enqueue x {one}"));
            plan.op("*", b, &format!("dequeue x null -> {one}"));
            plan.op("*", c, &format!("dequeue x null -> {one}"));
        });
    }
    check("lost-message", ModelName::Queue, Property::Linearizable, |plan| {
        let [a, b, c] = plan.clients();
        let (one, two) = (plan.fresh(), plan.fresh());
        plan.op("*", a, &format!("enqueue x {one}"));
        if plan.dice.below(2) == 0 {
            plan.op("*", c, &format!("enqueue x {two}"));
            plan.op("*", b, &format!("dequeue x null -> {two}"));
        }
        plan.op("*", b, "dequeue x null -> null");
    });
    check("reordered-message", ModelName::Queue, Property::Linearizable, |plan| {
        let [a, b, c] = plan.clients();
        let (one, two) = (plan.fresh(), plan.fresh());
        plan.op("*", a, &format!("enqueue x {one}"));
        plan.op("*", b, &format!("enqueue x {two}"));
        plan.op("*", c, &format!("dequeue x null -> {two}"));
        plan.op("*", a, &format!("dequeue x null -> {one}"));
    });
}

#[test]
fn impossible_sums_are_called_so() {
    check("counter-out-of-range", ModelName::Counter, Property::Linearizable, |plan| {
        let [a, b, c] = plan.clients();
        let (one, two) = (plan.fresh(), plan.fresh());
        plan.op("*", a, &format!("add x {one}"));
        plan.op("*", b, &format!("add x {two}"));
        let sum = if plan.dice.below(2) == 0 { one + two + 1 } else { one };
        plan.op("*", c, &format!("read x null -> {sum}"));
    });
}

#[test]
fn faults_of_locks_are_called_so() {
    check("lock-shared", ModelName::Mutex, Property::Linearizable, |plan| {
        let [a, b, _] = plan.clients();
        plan.op("*", a, "acquire x null");
        plan.op("*", b, "acquire x null");
        let (first, second) = if plan.dice.below(2) == 0 { (a, b) } else { (b, a) };
        plan.op("*", first, "release x null");
        plan.op("*", second, "release x null");
    });
    check("stale-write-accepted", ModelName::Lock, Property::Linearizable, |plan| {
        let [a, b, _] = plan.clients();
        let (old, new) = (plan.fresh(), plan.fresh());
        plan.op("*", a, &format!("acquire x null -> {old}"));
        plan.op("*", b, &format!("acquire x null -> {new}"));
        plan.op("*", b, &format!("write x [{new} b]"));
        plan.op("*", a, &format!("write x [{old} a]"));
        plan.op("", a, &format!("release x {old}"));
    });
}
