//! As `explain_planted.rs`, for versions, lists, sets by element, what elements are taken out of, sums, ids and permits.

mod explain_sketch;

use checker::{ModelName, Property};
use explain_sketch::plan::{Client, Plan, check};

const VERSIONED: [ModelName; 2] = [ModelName::VersionedRegister, ModelName::RevisionRegister];

/// Writes a register with versions.
struct Versions<'a> {
    plan: &'a mut Plan,
    version: u64,
}

impl Versions<'_> {
    /// The next version with a value of its own, as `[version value]`.
    fn write(&mut self, mark: &str, client: Client) -> String {
        self.version += 1;
        let value = self.plan.fresh();
        let pair = format!("[{} {value}]", self.version);
        self.plan.op(mark, client, &format!("write x {value} -> {pair}"));
        pair
    }

    fn read(&mut self, mark: &str, client: Client, pair: &str) {
        self.plan.op(mark, client, &format!("read x null -> {pair}"));
    }
}

fn versioned(kind: &str, properties: &[Property], plant: impl Fn(&mut Versions<'_>, [Client; 3])) {
    for model in VERSIONED {
        for &property in properties {
            check(kind, model, property, |plan| {
                let past = plan.dice.below(3);
                let clients = plan.clients();
                let mut versions = Versions { plan, version: 0 };
                for _ in 0..past {
                    let pair = versions.write("", clients[2]);
                    versions.read("", clients[0], &pair);
                }
                plant(&mut versions, clients);
            });
        }
    }
}

const REAL_TIME: &[Property] = &[Property::Linearizable];

#[test]
fn versions_that_were_overwritten_are_called_so() {
    versioned("stale-read", REAL_TIME, |x, [a, b, c]| {
        let old = x.write("*", a);
        let new = x.write("*", a);
        x.read("*", b, &old);
        x.read("", c, &new);
    });
    versioned("lost-write", REAL_TIME, |x, [a, b, c]| {
        let old = x.write("*", c);
        x.write("*", a);
        x.read("*", b, &old);
        x.read("", a, &old);
    });
    versioned("not-read-your-writes", REAL_TIME, |x, [a, b, c]| {
        let old = x.write("*", b);
        let new = x.write("*", a);
        x.read("*", a, &old);
        x.read("", c, &new);
    });
    versioned("non-monotonic", REAL_TIME, |x, [a, b, _]| {
        let old = x.write("*", a);
        x.version += 1;
        let (value, invoke) = (x.plan.fresh(), x.plan.pass());
        let new = format!("[{} {value}]", x.version);
        x.read("*", b, &new);
        x.read("*", b, &old);
        let ret = x.plan.pass();
        x.plan.write("*", Client(9), invoke, &ret.to_string(), &format!("write x {value} -> {new}"));
        x.read("", a, &new);
    });
    versioned("inversion", REAL_TIME, |x, [a, b, c]| {
        let old = x.write("*", a);
        x.version += 1;
        let (value, invoke) = (x.plan.fresh(), x.plan.pass());
        let new = format!("[{} {value}]", x.version);
        x.read("*", b, &new);
        x.read("*", c, &old);
        let ret = x.plan.pass();
        x.plan.write("*", Client(9), invoke, &format!("?{ret}"), &format!("write x {value}"));
    });
}

#[test]
fn versions_that_cannot_be_are_called_so() {
    versioned("phantom-value", &Property::all(), |x, [a, b, _]| {
        x.write("*", a);
        let never = format!("[{} {}]", x.version, x.plan.fresh() + 1000);
        x.read("*", b, &never);
    });
    versioned("read-of-failed-write", &Property::all(), |x, [a, b, _]| {
        let (value, invoke, ret) = (x.plan.fresh(), x.plan.pass(), x.plan.pass());
        x.plan.write("", a, invoke, &format!("!{ret}"), &format!("write x {value}"));
        let pair = format!("[{} {value}]", x.version + 1);
        x.read("*", b, &pair);
    });
    versioned("read-of-future", REAL_TIME, |x, [a, b, _]| {
        let value = x.plan.value + 1;
        let pair = format!("[{} {value}]", x.version + 1);
        x.read("*", b, &pair);
        x.plan.op("*", a, &format!("write x {value} -> {pair}"));
    });
}

#[test]
fn versions_that_two_made_are_called_so() {
    versioned("double-cas", &Property::all(), |x, [a, b, c]| {
        x.write("*", a);
        let found = x.version;
        for (client, version) in [(b, found + 1), (c, found + 2)] {
            let value = x.plan.fresh();
            x.plan.op("*", client, &format!("cas x [{found} {value}] -> [{version} {value}]"));
        }
    });
    versioned("duplicate-id", &Property::all(), |x, [a, b, _]| {
        x.write("*", a);
        x.version -= 1;
        x.write("*", b);
    });
    versioned("id-went-back", REAL_TIME, |x, [a, b, _]| {
        // Somebody who never heard may have filled the gap.
        let (value, invoke, ret) = (x.plan.fresh(), x.plan.pass(), x.plan.pass());
        x.plan.write("", Client(9), invoke, &format!("?{ret}"), &format!("write x {value}"));
        x.version += 1;
        x.write("*", a);
        x.version -= 2;
        x.write("*", b);
        x.version += 1;
    });
    for property in Property::all() {
        check("skipped-id", ModelName::VersionedRegister, property, |plan| {
            let mut x = Versions { plan, version: 0 };
            x.write("*", Client(2));
            x.version += 1 + x.plan.dice.below(3);
            x.write("*", Client(0));
        });
    }
}

/// Appends of fresh values that are all seen, by one client.
fn appended(plan: &mut Plan, model: ModelName) -> Vec<u64> {
    let mut list = Vec::new();
    for _ in 0..plan.dice.below(3) {
        append(plan, model, "", Client(2), &mut list);
    }
    list
}

fn append(plan: &mut Plan, model: ModelName, mark: &str, client: Client, list: &mut Vec<u64>) -> u64 {
    let value = plan.fresh();
    let told = if model == ModelName::AppendLog { format!(" -> {}", list.len()) } else { String::new() };
    plan.op(mark, client, &format!("append x {value}{told}"));
    list.push(value);
    value
}

fn read(plan: &mut Plan, mark: &str, client: Client, list: &[u64]) {
    let list: Vec<String> = list.iter().map(u64::to_string).collect();
    plan.op(mark, client, &format!("read x null -> [{}]", list.join(" ")));
}

fn lists(kind: &str, properties: &[Property], plant: impl Fn(&mut Plan, ModelName, Vec<u64>)) {
    for model in [ModelName::ListAppend, ModelName::AppendLog] {
        for &property in properties {
            check(kind, model, property, |plan| {
                let list = appended(plan, model);
                plant(plan, model, list);
            });
        }
    }
}

#[test]
fn lists_that_lack_something_are_called_so() {
    lists("lost-write", REAL_TIME, |plan, model, mut list| {
        append(plan, model, "*", Client(0), &mut list);
        list.pop();
        read(plan, "*", Client(1), &list);
        read(plan, "", Client(0), &list);
    });
    lists("stale-read", REAL_TIME, |plan, model, mut list| {
        let old = list.clone();
        append(plan, model, "*", Client(0), &mut list);
        read(plan, "*", Client(1), &old);
        read(plan, "", Client(2), &list);
    });
    lists("not-read-your-writes", REAL_TIME, |plan, model, mut list| {
        let old = list.clone();
        append(plan, model, "*", Client(0), &mut list);
        read(plan, "*", Client(0), &old);
        read(plan, "", Client(2), &list);
    });
    for (kind, second) in [("non-monotonic", Client(1)), ("inversion", Client(2))] {
        lists(kind, REAL_TIME, |plan, _, mut list| {
            let (old, value, invoke) = (list.clone(), plan.fresh(), plan.pass());
            list.push(value);
            read(plan, "*", Client(1), &list);
            read(plan, "*", second, &old);
            let ret = plan.pass();
            plan.write("*", Client(9), invoke, &format!("?{ret}"), &format!("append x {value}"));
        });
    }
}

#[test]
fn lists_that_cannot_be_are_called_so() {
    lists("phantom-value", &Property::all(), |plan, _, mut list| {
        list.push(plan.fresh() + 1000);
        read(plan, "*", Client(1), &list);
    });
    lists("read-of-failed-write", &Property::all(), |plan, _, mut list| {
        let (value, invoke, ret) = (plan.fresh(), plan.pass(), plan.pass());
        plan.write("", Client(0), invoke, &format!("!{ret}"), &format!("append x {value}"));
        list.push(value);
        read(plan, "*", Client(1), &list);
    });
    lists("read-of-future", REAL_TIME, |plan, model, list| {
        let mut more = list.clone();
        more.push(plan.value + 100);
        read(plan, "*", Client(1), &more);
        plan.value += 99;
        let told = if model == ModelName::AppendLog { format!(" -> {}", list.len()) } else { String::new() };
        plan.op("*", Client(0), &format!("append x {}{told}", plan.value + 1));
    });
    lists("duplicate-append", &Property::all(), |plan, model, mut list| {
        let value = append(plan, model, "*", Client(0), &mut list);
        list.push(value);
        read(plan, "*", Client(1), &list);
    });
    lists("incompatible-order", &Property::all(), |plan, _, list| {
        let (one, two, first, second) = (plan.fresh(), plan.fresh(), plan.pass(), plan.pass());
        let (first_ret, second_ret) = (plan.pass(), plan.pass());
        plan.write("*", Client(0), first, &format!("?{first_ret}"), &format!("append x {one}"));
        plan.write("*", Client(1), second, &format!("?{second_ret}"), &format!("append x {two}"));
        let both = |values: [u64; 2]| [&list[..], &values[..]].concat();
        read(plan, "*", Client(2), &both([one, two]));
        read(plan, "*", Client(3), &both([two, one]));
    });
}

#[test]
fn offsets_are_called_by_what_is_wrong_with_them() {
    for property in Property::all() {
        check("duplicate-id", ModelName::AppendLog, property, |plan| {
            let mut list = appended(plan, ModelName::AppendLog);
            append(plan, ModelName::AppendLog, "*", Client(0), &mut list);
            list.pop();
            append(plan, ModelName::AppendLog, "*", Client(1), &mut list);
        });
        check("incompatible-order", ModelName::AppendLog, property, |plan| {
            let mut list = appended(plan, ModelName::AppendLog);
            append(plan, ModelName::AppendLog, "*", Client(0), &mut list);
            let (at, other) = (list.len() - 1, append(plan, ModelName::AppendLog, "*", Client(1), &mut list));
            plan.op("*", Client(2), &format!("read x {at} -> {other}"));
            read(plan, "", Client(1), &list);
        });
    }
    check("skipped-id", ModelName::AppendLog, Property::Linearizable, |plan| {
        let mut list = Vec::new();
        append(plan, ModelName::AppendLog, "*", Client(2), &mut list);
        let (value, gap) = (plan.fresh(), 2 + plan.dice.below(3));
        plan.op("*", Client(0), &format!("append x {value} -> {gap}"));
    });
    check("id-went-back", ModelName::AppendLog, Property::Linearizable, |plan| {
        let mut list = appended(plan, ModelName::AppendLog);
        let (unheard, invoke, ret) = (plan.fresh(), plan.pass(), plan.pass());
        plan.write("", Client(9), invoke, &format!("?{ret}"), &format!("append x {unheard}"));
        let value = plan.fresh();
        plan.op("*", Client(0), &format!("append x {value} -> {}", list.len() + 1));
        append(plan, ModelName::AppendLog, "*", Client(1), &mut list);
    });
    check("stale-read", ModelName::AppendLog, Property::Linearizable, |plan| {
        let mut list = appended(plan, ModelName::AppendLog);
        append(plan, ModelName::AppendLog, "*", Client(0), &mut list);
        plan.op("*", Client(1), &format!("read x {} -> null", list.len() - 1));
        read(plan, "", Client(2), &list);
    });
}

#[test]
fn elements_are_called_by_what_is_wrong_with_them() {
    let elements = |kind, plant: &dyn Fn(&mut Plan, u64)| {
        check(kind, ModelName::ElementSet, Property::Linearizable, |plan| {
            let other = plan.fresh();
            if plan.dice.below(2) == 0 {
                plan.op("", Client(2), &format!("add x {other} -> true"));
            }
            let element = plan.fresh();
            plant(plan, element);
        });
    };
    elements("set-lost", &|plan, e| {
        plan.op("*", Client(0), &format!("add x {e}"));
        plan.op("*", Client(1), &format!("contains x {e} -> false"));
        plan.op("", Client(0), &format!("contains x {e} -> false"));
    });
    elements("set-stale", &|plan, e| {
        plan.op("*", Client(0), &format!("add x {e}"));
        plan.op("*", Client(1), &format!("contains x {e} -> false"));
        plan.op("", Client(0), &format!("contains x {e} -> true"));
    });
    elements("not-read-your-writes", &|plan, e| {
        plan.op("*", Client(0), &format!("add x {e}"));
        plan.op("*", Client(0), &format!("contains x {e} -> false"));
        plan.op("", Client(1), &format!("contains x {e} -> true"));
    });
    elements("set-resurrected", &|plan, e| {
        plan.op("*", Client(1), &format!("add x {e}"));
        plan.op("*", Client(0), &format!("remove x {e} -> true"));
        plan.op("*", Client(1), &format!("contains x {e} -> true"));
    });
    elements("phantom-value", &|plan, e| {
        plan.op("*", Client(1), &format!("contains x {e} -> true"));
    });
    elements("double-cas", &|plan, e| {
        plan.op("*", Client(0), &format!("add x {e} -> true"));
        plan.op("*", Client(1), &format!("add x {e} -> true"));
    });
}

/// The model, and how to put, to take and to look.
const CONTAINERS: [(ModelName, &str, &str, Option<&str>); 3] = [
    (ModelName::Bag, "enqueue", "dequeue", None),
    (ModelName::Stack, "push", "pop", Some("peek")),
    (ModelName::PriorityQueue, "insert", "delete-min", Some("peek")),
];

#[test]
fn what_is_put_in_and_taken_out_is_called_by_what_is_wrong_with_it() {
    for (model, put, take, peek) in CONTAINERS {
        let plant = |kind, properties: &[Property], plant: &dyn Fn(&mut Plan)| {
            for &property in properties {
                check(kind, model, property, |plan| {
                    for _ in 0..plan.dice.below(3) {
                        let value = plan.fresh();
                        plan.op("", Client(2), &format!("{put} x {value}"));
                        plan.op("", Client(2), &format!("{take} x null -> {value}"));
                    }
                    plant(plan);
                });
            }
        };
        plant("phantom-message", &Property::all(), &|plan| {
            let never = plan.fresh() + 1000;
            plan.op("*", Client(1), &format!("{take} x null -> {never}"));
        });
        plant("read-of-future", REAL_TIME, &|plan| {
            let value = plan.fresh();
            plan.op("*", Client(1), &format!("{take} x null -> {value}"));
            plan.op("*", Client(0), &format!("{put} x {value}"));
        });
        plant("duplicate-delivery", &Property::all(), &|plan| {
            let value = plan.fresh();
            plan.op("*", Client(0), &format!("{put} x {value}"));
            plan.op("*", Client(1), &format!("{take} x null -> {value}"));
            plan.op("*", Client(2), &format!("{take} x null -> {value}"));
        });
        plant("lost-message", REAL_TIME, &|plan| {
            let value = plan.fresh();
            plan.op("*", Client(0), &format!("{put} x {value}"));
            plan.op("*", Client(1), &format!("{take} x null -> null"));
        });
        plant("false-empty", REAL_TIME, &|plan| {
            let value = plan.fresh();
            plan.op("*", Client(0), &format!("{put} x {value}"));
            plan.op("*", Client(1), &format!("{take} x null -> null"));
            plan.op("*", Client(2), &format!("{take} x null -> {value}"));
        });
        let Some(peek) = peek else { continue };
        plant("out-of-turn", REAL_TIME, &|plan| {
            let (small, large) = (plan.fresh(), plan.fresh());
            let (first, second) = if model == ModelName::Stack { (large, small) } else { (small, large) };
            // `small` is due: it is the smaller one, or came last.
            plan.op("*", Client(0), &format!("{put} x {first}"));
            plan.op("*", Client(1), &format!("{put} x {second}"));
            let look = plan.dice.below(2) == 0;
            plan.op("*", Client(2), &format!("{} x null -> {large}", if look { peek } else { take }));
            plan.op("*", Client(0), &format!("{take} x null -> {small}"));
            if look {
                plan.op("", Client(0), &format!("{take} x null -> {large}"));
            }
        });
        plant("set-resurrected", REAL_TIME, &|plan| {
            let value = plan.fresh();
            plan.op("*", Client(0), &format!("{put} x {value}"));
            plan.op("*", Client(1), &format!("{take} x null -> {value}"));
            plan.op("*", Client(2), &format!("{peek} x null -> {value}"));
        });
    }
}

#[test]
fn deliveries_are_called_by_what_is_wrong_with_them() {
    for property in Property::all() {
        check("phantom-message", ModelName::Delivery, property, |plan| {
            let (sent, never) = (plan.fresh(), plan.fresh() + 1000);
            plan.op("", Client(0), &format!("enqueue x {sent}"));
            plan.op("*", Client(1), &format!("dequeue x null -> {never}"));
            plan.op("", Client(1), &format!("dequeue x null -> {sent}"));
        });
    }
    check("read-of-future", ModelName::Delivery, Property::Linearizable, |plan| {
        let value = plan.fresh();
        plan.op("*", Client(1), &format!("dequeue x null -> {value}"));
        plan.op("*", Client(0), &format!("enqueue x {value}"));
    });
    check("lost-message", ModelName::Delivery, Property::Linearizable, |plan| {
        let (lost, other) = (plan.fresh(), plan.fresh());
        plan.op("*", Client(0), &format!("enqueue x {lost}"));
        plan.op("", Client(0), &format!("enqueue x {other}"));
        for _ in 0..plan.dice.below(3) {
            plan.op("", Client(1), &format!("dequeue x null -> {other}"));
        }
        plan.op("*", Client(2), &format!("drain x null -> [{other}]"));
    });
    check("false-empty", ModelName::Delivery, Property::Linearizable, |plan| {
        let late = plan.fresh();
        plan.op("*", Client(0), &format!("enqueue x {late}"));
        plan.op("*", Client(2), "drain x null -> []");
        plan.op("*", Client(1), &format!("dequeue x null -> {late}"));
    });
}

#[test]
fn sums_are_called_by_what_is_wrong_with_them() {
    for property in Property::all() {
        check("lost-update", ModelName::FetchAdd, property, |plan| {
            let mut sum = 0;
            for _ in 0..plan.dice.below(3) {
                let n = plan.fresh();
                plan.op("", Client(2), &format!("fetch-add x {n} -> {sum}"));
                sum += n;
            }
            for client in [Client(0), Client(1)] {
                let n = plan.fresh();
                plan.op("*", client, &format!("fetch-add x {n} -> {sum}"));
            }
        });
    }
    check("counter-out-of-range", ModelName::FetchAdd, Property::Linearizable, |plan| {
        let (one, two) = (plan.fresh(), plan.fresh());
        plan.op("*", Client(0), &format!("add-fetch x {one} -> {one}"));
        plan.op("*", Client(1), &format!("add x {two}"));
        let sum = if plan.dice.below(2) == 0 { one + two + 1 } else { one };
        plan.op("*", Client(2), &format!("read x null -> {sum}"));
    });
    for (kind, second) in [("non-monotonic", Client(1)), ("inversion", Client(2))] {
        check(kind, ModelName::FetchAdd, Property::Linearizable, |plan| {
            let (n, invoke) = (plan.fresh(), plan.pass());
            plan.op("*", Client(1), &format!("read x null -> {n}"));
            plan.op("*", second, "read x null -> 0");
            let ret = plan.pass();
            plan.write("*", Client(9), invoke, &format!("?{ret}"), &format!("fetch-add x {n}"));
        });
    }
}

#[test]
fn ids_and_permits_are_called_by_what_is_wrong_with_them() {
    let given = |plan: &mut Plan, mark: &str, client, id: u64| {
        plan.op(mark, client, &format!("generate x null -> {id}"));
    };
    for model in [ModelName::UniqueIds, ModelName::MonotonicIds] {
        for property in Property::all() {
            check("duplicate-id", model, property, |plan| {
                for _ in 0..plan.dice.below(4) {
                    let id = plan.fresh();
                    given(plan, "", Client(2), id);
                }
                let id = plan.fresh();
                given(plan, "*", Client(0), id);
                given(plan, "*", Client(1), id);
            });
        }
    }
    check("id-went-back", ModelName::MonotonicIds, Property::Linearizable, |plan| {
        let (small, large) = (plan.fresh(), plan.fresh());
        given(plan, "*", Client(0), large);
        given(plan, "*", Client(1), small);
    });
    check("permits-exceeded", ModelName::Semaphore, Property::Linearizable, |plan| {
        for _ in 0..plan.dice.below(3) {
            plan.op("", Client(2), "acquire x null");
            plan.op("", Client(2), "release x null");
        }
        plan.op("*", Client(0), "acquire x null");
        plan.op("*", Client(1), "acquire x null");
        for client in [Client(0), Client(1)] {
            plan.op("*", client, "release x null");
        }
    });
}
