//! What at-least-once delivery counts, held against its definitions word for word, and against what the oracle judges.

mod explain_sketch;

use checker::{ModelName, Property, Spec, build, delivered, delivery, oracle};
use explain_sketch::{Dice, history};
use history::results::Delivery;
use history::{History, NEVER, Op, Outcome, Value};

/// A message as its number: every value of these histories is one.
fn number(history: &History, id: history::ValueId) -> i64 {
    history.values.get(id).as_int().expect("a number")
}

/// What an operation delivered.
fn came(history: &History, op: &Op) -> Vec<i64> {
    match (history.values.get(op.f).as_text(), history.values.get(op.output)) {
        _ if op.outcome != Outcome::Ok => Vec::new(),
        (Some("dequeue"), Value::Int(n)) => vec![*n],
        (Some("drain"), Value::List(list)) => list.iter().map(|v| v.as_int().expect("a number")).collect(),
        _ => Vec::new(),
    }
}

/// The counts of a history of one queue, each by its definition, in as many loops as it takes.
fn by_definition(history: &History) -> Delivery {
    let f = |op: &Op, name| history.values.get(op.f).as_text() == Some(name);
    let ops = || history.ops.iter().filter(|op| op.outcome != Outcome::Fail);
    let sends = |m: i64| ops().filter(move |op| f(op, "enqueue") && number(history, op.input) == m);
    let acknowledged = |m: i64| sends(m).filter(|op| op.outcome == Outcome::Ok).map(|op| op.ret).min();
    let deliveries = |m: i64| {
        ops().flat_map(move |op| came(history, op).into_iter().filter(move |v| *v == m).map(move |_| op))
    };
    let drains = || ops().filter(|op| f(op, "drain") && op.outcome == Outcome::Ok);
    let mut all: Vec<i64> = ops().filter(|op| f(op, "enqueue")).map(|op| number(history, op.input)).collect();
    all.sort_unstable();
    all.dedup();
    let mut told = Delivery { keys: 1, ..Delivery::default() };
    told.deliveries = ops().map(|op| came(history, op).len() as u64).sum();
    told.unsent = ops().flat_map(|op| came(history, op)).filter(|m| !all.contains(m)).count() as u64;
    told.unheard = ops().filter(|op| op.outcome == Outcome::Info && !f(op, "enqueue")).count() as u64;
    for &m in &all {
        let times = deliveries(m).count() as u64;
        let beyond = times.saturating_sub(sends(m).count() as u64);
        told.duplicates += beyond;
        told.repeated += u64::from(beyond > 0);
        let Some(confirmed) = acknowledged(m) else {
            told.unanswered += 1;
            continue;
        };
        told.confirmed += 1;
        if times == 0 {
            let drained = drains().any(|drain| drain.invoke > confirmed);
            *(if drained { &mut told.missing } else { &mut told.waiting }) += 1;
            continue;
        }
        let first = deliveries(m).next().expect("it came");
        told.reordered += u64::from(all.iter().any(|&other| {
            let sent = sends(other).map(|op| op.invoke).min().expect("it was sent");
            sent > confirmed && deliveries(other).next().is_some_and(|op| op.ret < first.invoke)
        }));
    }
    let busy = ops().filter(|op| {
        !came(history, op).is_empty() || (f(op, "enqueue") && op.outcome == Outcome::Ok && op.ret != NEVER)
    });
    let busy = busy.map(|op| op.ret).max();
    let mut last: Vec<&Op> = drains().collect();
    last.sort_by_key(|op| op.invoke);
    let quiet = |op: &&Op| came(history, op).is_empty() && busy.is_none_or(|busy| op.invoke > busy);
    told.emptied = u64::from(last.iter().rev().take(2).filter(|op| quiet(op)).count() == 2);
    told
}

/// A random history of up to nine operations by three clients.
fn random(dice: &mut Dice) -> String {
    let mut clocks = [0u64; 3];
    let mut lines = Vec::new();
    for i in 0..1 + dice.below(9) {
        let p = dice.below(3) as usize;
        let (invoke, value) = (clocks[p] + 1 + dice.below(9), 1 + dice.below(4));
        let ret = invoke + 1 + dice.below(9);
        clocks[p] = ret;
        let text = match dice.below(5) {
            0 | 1 => format!("enqueue - {value}"),
            2 => format!("dequeue - null -> {value}"),
            3 => "dequeue - null -> null".to_string(),
            _ => {
                let list: Vec<String> =
                    (1..=4).filter(|_| dice.below(3) == 0).map(|n| n.to_string()).collect();
                format!("drain - null -> [{}]", list.join(" "))
            }
        };
        let open = dice.below(7) == 0;
        // Whoever got no answer is another client from then on.
        let process = if open { 100 + i } else { p as u64 };
        lines.push((
            invoke,
            format!("{process} - {invoke} {} {text}", if open { format!("?{ret}") } else { ret.to_string() }),
        ));
    }
    if dice.below(3) == 0 {
        let end = clocks.into_iter().max().unwrap_or(0) + 20;
        lines.extend([end, end + 2].map(|at| (at, format!("0 - {at} {} drain - null -> []", at + 1))));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

#[test]
fn counts_are_what_their_definitions_say_and_agree_with_the_oracle() {
    let mut dice = Dice::new(5);
    let (mut legal, mut lost, mut repeated, mut reordered, mut emptied) = (0, 0, 0, 0, 0);
    for _ in 0..20_000 {
        let sketch = random(&mut dice);
        let mut history = history(&sketch);
        let told = delivered(&history);
        assert_eq!(told, by_definition(&history), "{sketch}");
        let spec = Spec::new(ModelName::Delivery, "jsonl");
        let built = build::<delivery::Delivery>(&mut history, &spec).expect("lawful operations");
        let holds = oracle::holds(&built.objects[0].problem, Property::Linearizable);
        // What nobody sent is a violation; so is what is missing, unless somebody unheard may have taken it.
        if told.unsent > 0 || (told.missing > 0 && told.unheard == 0) {
            assert!(!holds, "{sketch}");
        }
        legal += u64::from(holds);
        lost += told.missing;
        repeated += told.repeated;
        reordered += told.reordered;
        emptied += told.emptied;
    }
    println!("{legal} legal, {lost} missing, {repeated} repeated, {reordered} reordered, {emptied} emptied");
    assert!(legal > 1_000 && lost > 1_000 && repeated > 100 && reordered > 100 && emptied > 100);
}
