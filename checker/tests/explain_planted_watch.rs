//! As `explain_planted.rs`, for watches: each way in which a watch can lie is planted, found, and called by its name.

mod explain_sketch;

use checker::{ModelName, Property};
use explain_sketch::plan::{Client, Plan, check};

/// Writes what happens to a store, and knows it.
struct Store<'a> {
    plan: &'a mut Plan,
    revision: u64,
    /// Revision, name and value, as an answer lists them.
    events: Vec<(u64, String)>,
}

impl Store<'_> {
    /// What the next write makes, and what it writes.
    fn next(&mut self) -> (u64, String) {
        self.revision += 1 + self.plan.dice.below(2);
        let name = ["a", "b"][self.plan.dice.below(2) as usize];
        let value = self.plan.fresh();
        (self.revision, format!("{name} {value}"))
    }

    fn put(&mut self, mark: &str, client: Client) -> u64 {
        let (revision, change) = self.next();
        self.plan.op(mark, client, &format!("put w [{change}] -> {revision}"));
        self.events.push((revision, format!("[{revision} {change}]")));
        revision
    }

    /// All changes from one revision to another, but for what `change` does to them.
    fn answer(&self, from: u64, upto: u64, change: impl FnOnce(&mut Vec<String>)) -> String {
        let between = self.events.iter().filter(|(revision, _)| (from..=upto).contains(revision));
        let mut events: Vec<String> = between.map(|(_, event)| event.clone()).collect();
        change(&mut events);
        format!("[{upto} [{}]]", events.join(" "))
    }

    fn watch(
        &mut self,
        mark: &str,
        client: Client,
        from: u64,
        upto: u64,
        change: impl FnOnce(&mut Vec<String>),
    ) {
        let answer = self.answer(from, upto, change);
        self.plan.op(mark, client, &format!("watch w {from} -> {answer}"));
    }
}

fn planted(kind: &str, properties: &[Property], plant: impl Fn(&mut Store<'_>, [Client; 3])) {
    for &property in properties {
        check(kind, ModelName::Watch, property, |plan| {
            let clients = plan.clients();
            let mut store = Store { plan, revision: 10, events: Vec::new() };
            for _ in 0..store.plan.dice.below(3) {
                store.put("", clients[2]);
            }
            let upto = store.revision;
            store.watch("", clients[1], 1, upto, |_| {});
            plant(&mut store, clients);
        });
    }
}

const BOTH: [Property; 2] = [Property::Linearizable, Property::Sequential];
const REAL_TIME: [Property; 1] = [Property::Linearizable];

#[test]
fn an_event_that_is_missing_is_called_lost() {
    planted("lost-event", &BOTH, |store, [a, b, _]| {
        let first = store.put("", a);
        store.put("*", a);
        let last = store.put("", a);
        store.watch("*", b, first, last, |events| _ = events.remove(1));
    });
    // Its writer never heard of it, and somebody else did.
    planted("lost-event", &BOTH, |store, [a, b, c]| {
        let (invoke, ret) = (store.plan.pass(), store.plan.pass());
        let (revision, change) = store.next();
        store.plan.write("*", Client(9), invoke, &format!("?{ret}"), &format!("put w [{change}]"));
        store.events.push((revision, format!("[{revision} {change}]")));
        store.put("", a);
        let upto = store.revision;
        store.watch("*", b, revision, upto, |_| {});
        store.watch("*", c, revision, upto, |events| _ = events.remove(0));
    });
    // It is told that there is no more.
    planted("lost-event", &REAL_TIME, |store, [a, b, _]| {
        let first = store.put("", a);
        store.put("*", a);
        let answer = store.answer(first, first, |_| {});
        store.plan.op("*", b, &format!("catch-up w {first} -> {answer}"));
    });
}

#[test]
fn a_watch_that_goes_back_is_called_so() {
    planted("rewound-watch", &BOTH, |store, [a, b, _]| {
        store.put("", a);
        let from = store.put("", a);
        let last = store.put("", a);
        let old = store.events[store.events.len() - 3].1.clone();
        store.watch("*", b, from, last, |events| events.insert(0, old));
    });
    planted("reordered-event", &BOTH, |store, [a, b, _]| {
        let first = store.put("", a);
        store.put("", a);
        let last = store.put("", a);
        store.watch("*", b, first, last, |events| events.swap(0, 1));
    });
}

#[test]
fn an_event_that_comes_twice_is_called_so() {
    planted("repeated-event", &BOTH, |store, [a, b, _]| {
        let first = store.put("", a);
        let last = store.put("", a);
        store.watch("*", b, first, last, |events| events.insert(1, events[0].clone()));
    });
    // One write that nobody heard of, at two revisions.
    planted("repeated-event", &BOTH, |store, [_, b, c]| {
        let (invoke, ret) = (store.plan.pass(), store.plan.pass());
        let (first, change) = store.next();
        store.plan.write("*", Client(9), invoke, &format!("?{ret}"), &format!("put w [{change}]"));
        let second = first + 1;
        store.plan.op("*", b, &format!("watch w {first} -> [{first} [[{first} {change}]]]"));
        store.plan.op("*", c, &format!("watch w {second} -> [{second} [[{second} {change}]]]"));
    });
}

#[test]
fn an_event_that_is_another_is_called_so() {
    planted("changed-event", &BOTH, |store, [a, b, _]| {
        let revision = store.put("*", a);
        let other = store.plan.fresh();
        store.watch("*", b, revision, revision, |events| events[0] = format!("[{revision} a {other}]"));
    });
    // It stands at a revision that its write was not told.
    planted("changed-event", &BOTH, |store, [a, b, _]| {
        let revision = store.put("*", a);
        let event = store.events[store.events.len() - 1].1.clone();
        let (_, change) = event.split_once(' ').expect("a revision and the rest");
        let later = revision + 1;
        let answer = format!("[{later} [{event} [{later} {change}]]");
        store.plan.op("*", b, &format!("watch w {revision} -> {answer}"));
    });
    planted("phantom-value", &BOTH, |store, [a, b, _]| {
        let revision = store.put("", a);
        let (other, upto) = (store.plan.fresh() + 1000, revision + 1);
        store.watch("*", b, revision, upto, |events| events.push(format!("[{upto} a {other}]")));
    });
    planted("read-of-failed-write", &BOTH, |store, [a, b, _]| {
        let (invoke, ret) = (store.plan.pass(), store.plan.pass());
        let (revision, change) = store.next();
        store.plan.write("", a, invoke, &format!("!{ret}"), &format!("put w [{change}]"));
        store.watch("*", b, revision, revision, |events| events.push(format!("[{revision} {change}]")));
    });
    planted("read-of-future", &REAL_TIME, |store, [a, b, _]| {
        let (revision, change) = store.next();
        store.watch("*", b, revision, revision, |events| events.push(format!("[{revision} {change}]")));
        store.plan.op("*", a, &format!("put w [{change}] -> {revision}"));
    });
}

#[test]
fn revisions_that_do_not_grow_are_called_so() {
    planted("duplicate-id", &BOTH, |store, [a, b, _]| {
        let revision = store.put("*", a);
        let value = store.plan.fresh();
        store.plan.op("*", b, &format!("put w [a {value}] -> {revision}"));
    });
    planted("id-went-back", &REAL_TIME, |store, [a, b, _]| {
        store.revision += 3;
        let revision = store.put("*", a);
        let value = store.plan.fresh();
        store.plan.op("*", b, &format!("put w [a {value}] -> {}", revision - 1));
    });
    // A watch had been told of everything up to there.
    planted("id-went-back", &REAL_TIME, |store, [a, b, _]| {
        let (revision, change) = store.next();
        store.plan.op("*", b, &format!("watch w {} -> [{} []]", revision + 1, revision + 2));
        store.plan.op("*", a, &format!("put w [{change}] -> {revision}"));
    });
}
