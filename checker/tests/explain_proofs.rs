//! Every explanation of a random impossible history is a proof: the table of orders is complete, and each reason holds in
//! every legal order that keeps the reasons it builds on. Checked by enumeration that shares no code with the checker: it
//! reads the texts and ranks of the anomaly alone.

mod explain_sketch;

use checker::explain::explain;
use checker::{Counterexample, ModelName, Property};
use explain_sketch::{Dice, history, spec};
use history::results::{Anomaly, CoreOp, Edge, Why};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What all objects hold, by key: registers as one item, locks as their holder, queues front first, sets sorted.
type State = BTreeMap<String, VecDeque<String>>;

/// The state after `op`, or nothing where its answer is impossible. Understands the text that a person reads.
fn step(state: &State, op: &CoreOp, model: ModelName) -> Option<State> {
    let mut next = state.clone();
    let object = next.entry(op.key.clone().unwrap_or_default()).or_default();
    let (asked, answer) = op.text.split_once(" → ").unwrap_or((&op.text, ""));
    let words: Vec<&str> = asked.split(' ').collect();
    let single = |object: &VecDeque<String>| object.front().cloned().unwrap_or("null".to_string());
    let legal = match (model, words[0]) {
        (ModelName::Set, "read") => {
            let inside = answer.trim_matches(|c| c == '[' || c == ']');
            let mut members: Vec<&str> = inside.split_whitespace().collect();
            members.sort_unstable();
            members == object.iter().collect::<Vec<_>>()
        }
        (ModelName::Set, "add") => {
            let mut members: BTreeSet<String> = object.drain(..).collect();
            members.insert(words[1].to_string());
            object.extend(members);
            true
        }
        (ModelName::Queue, "enqueue") => {
            object.push_back(words[1].to_string());
            true
        }
        (ModelName::Queue, "dequeue") if answer == "empty" => object.is_empty(),
        (ModelName::Queue, "dequeue") => object.pop_front().as_deref() == Some(answer),
        (ModelName::ListAppend, "append") => {
            object.push_back(words[1].to_string());
            true
        }
        (ModelName::ListAppend, "read") => {
            let inside = answer.trim_matches(|c| c == '[' || c == ']');
            inside.split_whitespace().eq(object.iter().map(String::as_str))
        }
        (ModelName::Bag, "enqueue") | (ModelName::Stack, "push") => {
            object.push_back(words[1].to_string());
            true
        }
        (ModelName::Bag, "dequeue") | (ModelName::Stack, "pop") if answer == "empty" => object.is_empty(),
        (ModelName::Stack, "pop") => object.pop_back().as_deref() == Some(answer),
        (ModelName::Stack, "peek") => object.back().map(String::as_str) == Some(answer),
        (ModelName::Bag, "dequeue") => {
            let at = object.iter().position(|held| held == answer);
            at.and_then(|at| object.remove(at)).is_some()
        }
        (ModelName::MonotonicIds, "generate") => {
            let number = |id: &str| id.parse::<i64>().expect("a number");
            let grown = object.back().is_none_or(|last| number(last) < number(answer));
            object.push_back(answer.to_string());
            grown
        }
        (ModelName::RevisionRegister, "write") => {
            // The version, where it was told, and the value.
            let number = |version: &str| version.parse::<i64>().expect("a number");
            let told = answer.strip_prefix("version ");
            let last = object.front().map_or(0, |version| number(version));
            *object = VecDeque::from([told.unwrap_or("?").to_string(), words[1].to_string()]);
            told.is_some_and(|version| last < number(version))
        }
        (ModelName::RevisionRegister, "read") => {
            let (value, version) = answer.split_once(" at version ").expect("value and version");
            match (object.front(), object.back()) {
                (Some(held), Some(last)) => held == version && last == value,
                (_, _) => version == "0" && value == "null",
            }
        }
        (ModelName::Mutex, "acquire") => {
            let free = object.is_empty();
            object.push_back(op.process.to_string());
            free
        }
        (ModelName::Mutex, "release") => object.pop_front() == Some(op.process.to_string()),
        (_, "read") => single(object) == answer,
        (_, "write") => {
            *object = VecDeque::from([words[1].to_string()]);
            true
        }
        (_, "cas") => {
            let found = single(object) == words[1];
            *object = VecDeque::from([answer.to_string()]);
            found
        }
        (_, other) => panic!("the test does not know {other}"),
    };
    legal.then_some(next)
}

fn before(a: &CoreOp, b: &CoreOp, property: Property) -> bool {
    match property {
        Property::Linearizable => a.ret.is_some_and(|ret| ret < b.invoke),
        Property::Sequential => a.process == b.process && a.invoke < b.invoke,
    }
}

/// Calls `out` with every order of `ops` that keeps `keeps`: unanswered operations may be absent.
fn every_order(
    ops: &[CoreOp],
    keeps: &dyn Fn(&CoreOp, &CoreOp) -> bool,
    order: &mut Vec<usize>,
    out: &mut dyn FnMut(&[usize]),
) {
    if (0..ops.len()).all(|i| order.contains(&i) || ops[i].ret.is_none()) {
        out(order);
    }
    for next in 0..ops.len() {
        let early =
            (0..ops.len()).any(|i| !order.contains(&i) && ops[i].ret.is_some() && keeps(&ops[i], &ops[next]));
        let late = order.iter().any(|&i| keeps(&ops[next], &ops[i]));
        if !order.contains(&next) && !early && !late {
            order.push(next);
            every_order(ops, keeps, order, out);
            order.pop();
        }
    }
}

/// How many operations of an order are legal.
fn legal(ops: &[CoreOp], order: &[usize], model: ModelName) -> usize {
    let mut state = State::new();
    for (at, &i) in order.iter().enumerate() {
        match step(&state, &ops[i], model) {
            Some(next) => state = next,
            None => return at,
        }
    }
    order.len()
}

/// Every order that the property allows, grouped by where it breaks; and how many break nowhere.
fn breaks(
    ops: &[CoreOp],
    property: Property,
    model: ModelName,
) -> (BTreeMap<(Vec<String>, String), u64>, u64) {
    let (mut groups, mut whole) = (BTreeMap::new(), 0);
    every_order(ops, &|a, b| before(a, b, property), &mut Vec::new(), &mut |order| {
        let at = legal(ops, order, model);
        if at == order.len() {
            whole += 1;
        } else {
            let label = |&i: &usize| ops[i].label.clone();
            *groups.entry((order[..at].iter().map(label).collect(), label(&order[at]))).or_insert(0) += 1;
        }
    });
    (groups, whole)
}

fn holds(order: &[&str], edge: &Edge) -> bool {
    let place = |label: &str| order.iter().position(|l| *l == label);
    match (place(&edge.from), place(&edge.to)) {
        (Some(from), Some(to)) => from < to,
        (_, _) => false,
    }
}

fn check_reasons(anomaly: &Anomaly, property: Property, model: ModelName) {
    let find = |label: &str| anomaly.ops.iter().find(|op| op.label == label).expect("a label of the core");
    for edge in &anomaly.edges {
        assert!(edge.uses.iter().all(|&used| used < edge.n), "{edge:?} builds on what comes after it");
        let base = match edge.why {
            Why::RealTime => Some(Property::Linearizable),
            Why::SameClient => Some(Property::Sequential),
            Why::Read | Why::Overwritten | Why::Version | Why::Initial => None,
        };
        if let Some(base) = base {
            assert_eq!(base, property);
            assert!(before(find(&edge.from), find(&edge.to), property), "{edge:?}");
            continue;
        }
        let used: Vec<&Edge> = anomaly.edges.iter().filter(|e| edge.uses.contains(&e.n)).collect();
        // Whose acquire a release ends is a matter of the process: only locks need its order.
        let keeps = |a: &CoreOp, b: &CoreOp| model == ModelName::Mutex && before(a, b, Property::Sequential);
        every_order(&anomaly.ops, &keeps, &mut Vec::new(), &mut |order| {
            let labels: Vec<&str> = order.iter().map(|&i| anomaly.ops[i].label.as_str()).collect();
            let lawful = legal(&anomaly.ops, order, model) == order.len();
            if lawful && used.iter().all(|edge| holds(&labels, edge)) {
                assert!(holds(&labels, edge), "{edge:?} does not hold in {labels:?} of {:#?}", anomaly.ops);
            }
        });
    }
    for pair in anomaly.circle.windows(2) {
        assert!(anomaly.edges.iter().any(|e| e.from == pair[0] && e.to == pair[1]), "{:?}", anomaly.circle);
    }
    assert_eq!(anomaly.circle.first(), anomaly.circle.last());
}

/// Explains `count` random impossible histories of at most `most` operations; returns how many had a circle.
fn check(model: ModelName, property: Property, unique: bool, count: usize, most: usize) -> usize {
    let mut dice = Dice::new(model as u64 * 7 + property as u64 * 3 + u64::from(unique));
    let (mut explained, mut circles) = (0, 0);
    while explained < count {
        let sketch = random(model, property, unique, most, &mut dice);
        let history = history(&sketch);
        let all =
            Counterexample { core: (0..history.ops.len() as u32).collect(), minimal: false, fatal: None };
        let anomaly = explain(&history, &spec(model, &history), property, &all, 1);
        let (groups, whole) = breaks(&anomaly.ops, property, model);
        if whole > 0 || anomaly.ops.is_empty() {
            continue;
        }
        explained += 1;
        circles += usize::from(!anomaly.circle.is_empty());
        let total: u64 = groups.values().sum();
        assert_eq!(anomaly.orders_total, total, "{sketch}");
        let told: BTreeMap<(Vec<String>, String), u64> =
            anomaly.orders.iter().map(|r| ((r.prefix.clone(), r.breaks_at.clone()), r.count)).collect();
        if groups.len() <= 64 {
            assert_eq!(told, groups, "{sketch}");
        } else {
            let longest = groups.keys().map(|(prefix, _)| prefix.len()).max();
            assert!(told.iter().all(|(row, count)| groups.get(row) == Some(count)), "{sketch}");
            assert!(told.keys().all(|(prefix, _)| Some(prefix.len()) == longest), "{sketch}");
        }
        check_reasons(&anomaly, property, model);
        check_states(&anomaly, property, &sketch);
    }
    println!("{} {}: {circles} circles in {explained}", model.name(), property.name());
    circles
}

/// The strip covers the time from the first invocation to the return that fits nowhere, without gaps.
fn check_states(anomaly: &Anomaly, property: Property, sketch: &str) {
    match property {
        Property::Sequential => assert!(anomaly.states.is_empty()),
        Property::Linearizable => {
            let first = anomaly.ops.iter().map(|op| op.invoke).min();
            assert_eq!(anomaly.states.first().map(|s| s.from), first, "{sketch}");
            assert!(anomaly.states.windows(2).all(|two| two[0].to == two[1].from), "{sketch}");
            let (last, rest) = anomaly.states.split_last().expect("a span");
            assert!(last.conflict, "{sketch}");
            assert!(anomaly.ops.iter().any(|op| op.ret == Some(last.to)), "{sketch}");
            assert!(rest.iter().all(|span| !span.possible.is_empty()), "{sketch}");
        }
    }
}

/// A random sketch of 2 to `most` operations by up to 3 clients, many of them impossible.
fn random(model: ModelName, property: Property, unique: bool, most: usize, dice: &mut Dice) -> String {
    let (mut names, mut clocks) = ([0, 1, 2], [0; 3]);
    let mut lines: Vec<(u64, String)> = Vec::new();
    let mut written = BTreeMap::from([("x", vec!["null".to_string()]), ("y", vec!["null".to_string()])]);
    for number in 1..=2 + dice.below(most as u64 - 1) {
        let p = dice.below(3) as usize;
        let key = match property {
            Property::Sequential => ["x", "y"][dice.below(2) as usize],
            Property::Linearizable => "x",
        };
        let invoke = clocks[p] + 1 + dice.below(12);
        let ret = invoke + 1 + dice.below(12);
        let value = if unique { number } else { 1 + dice.below(2) };
        let written = written.get_mut(key).expect("a key");
        let known = written[dice.below(written.len() as u64) as usize].clone();
        let unanswered = dice.below(6) == 0;
        let (text, changes) = match (model, dice.below(5)) {
            (ModelName::ListAppend, 0..=2) => (format!("append {key} {value}"), true),
            (ModelName::ListAppend, _) => {
                let mut chosen: Vec<String> = written[1..].to_vec();
                chosen.truncate(dice.below(written.len() as u64 + 1) as usize);
                if dice.below(4) == 0 {
                    chosen.reverse();
                }
                (format!("read {key} null -> [{}]", chosen.join(" ")), false)
            }
            (ModelName::Bag, 0..=1) => (format!("enqueue {key} {value}"), true),
            (ModelName::Bag, _) => (format!("dequeue {key} null -> {known}"), false),
            (ModelName::Stack, 0..=1) => (format!("push {key} {value}"), true),
            (ModelName::Stack, 2..=3) => (format!("pop {key} null -> {known}"), false),
            (ModelName::Stack, _) => (format!("peek {key} null -> {known}"), false),
            (ModelName::MonotonicIds, _) => (format!("generate {key} null -> {}", 1 + dice.below(6)), false),
            (ModelName::RevisionRegister, 0..=2) => {
                let version = 1 + dice.below(5);
                (format!("write {key} {value} -> [{version} {value}]"), false)
            }
            (ModelName::RevisionRegister, _) if known == "null" => {
                (format!("read {key} null -> null"), false)
            }
            (ModelName::RevisionRegister, _) => (format!("read {key} null -> {known}"), false),
            (ModelName::Mutex, 0..=2) => (format!("acquire {key} null"), true),
            (ModelName::Mutex, _) => (format!("release {key} null"), true),
            (ModelName::Queue, 0..=1) => (format!("enqueue {key} {value}"), true),
            (ModelName::Queue, _) => (format!("dequeue {key} null -> {known}"), false),
            (ModelName::Set, 0..=2) => (format!("add {key} {value}"), true),
            (ModelName::Set, _) => {
                let chosen = written[1..].iter().filter(|_| dice.below(2) == 0).cloned();
                let members: BTreeSet<String> = chosen.collect();
                let members: Vec<String> = members.into_iter().collect();
                (format!("read {key} null -> [{}]", members.join(" ")), false)
            }
            (ModelName::CasRegister, 0) => (format!("cas {key} [{known} {value}]"), true),
            (_, 0..=1) => (format!("write {key} {value}"), true),
            (_, _) => (format!("read {key} null -> {known}"), false),
        };
        if let (ModelName::RevisionRegister, Some((_, pair))) = (model, text.split_once(" -> [")) {
            written.push(format!("[{pair}"));
        }
        if changes && model != ModelName::Mutex {
            written.push(value.to_string());
        }
        let reply = if unanswered && changes { "?".to_string() } else { ret.to_string() };
        lines.push((invoke, format!("{} n{p} {invoke} {reply} {text}", names[p])));
        clocks[p] = ret;
        if reply == "?" {
            names[p] += 10;
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

#[test]
fn explanations_of_registers_are_proofs() {
    for property in Property::all() {
        assert_eq!(check(ModelName::Register, property, true, 200, 6), 200);
        check(ModelName::Register, property, false, 100, 6);
    }
}

#[test]
fn explanations_of_cas_registers_are_proofs() {
    for property in Property::all() {
        assert_eq!(check(ModelName::CasRegister, property, true, 150, 6), 150);
        check(ModelName::CasRegister, property, false, 200, 6);
    }
}

#[test]
fn explanations_of_sets_are_proofs() {
    for property in Property::all() {
        assert!(check(ModelName::Set, property, true, 200, 6) > 190);
        check(ModelName::Set, property, false, 100, 6);
    }
}

#[test]
fn explanations_of_queues_are_proofs() {
    for property in Property::all() {
        check(ModelName::Queue, property, true, 200, 6);
        check(ModelName::Queue, property, false, 100, 6);
    }
}

#[test]
fn explanations_of_locks_are_proofs() {
    assert!(check(ModelName::Mutex, Property::Linearizable, false, 200, 6) > 10);
    check(ModelName::Mutex, Property::Sequential, false, 100, 6);
}

#[test]
fn explanations_of_lists_are_proofs() {
    for property in Property::all() {
        assert!(check(ModelName::ListAppend, property, true, 200, 6) > 50);
        check(ModelName::ListAppend, property, false, 100, 6);
    }
}

#[test]
fn explanations_of_bags_and_stacks_are_proofs() {
    for model in [ModelName::Bag, ModelName::Stack] {
        for property in Property::all() {
            check(model, property, true, 150, 6);
            check(model, property, false, 100, 6);
        }
    }
}

#[test]
fn explanations_of_numbers_are_proofs() {
    for model in [ModelName::MonotonicIds, ModelName::RevisionRegister] {
        for property in Property::all() {
            assert!(check(model, property, true, 200, 6) > 50);
        }
    }
}

#[test]
fn a_table_that_would_be_too_long_shows_the_longest_prefixes() {
    check(ModelName::Register, Property::Sequential, true, 20, 8);
}
