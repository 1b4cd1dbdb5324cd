//! What the page says about faults: outages, recoveries, and which of consistency and availability a partition cost.

mod fixtures;

use fixtures::*;
use history::results::{FaultRecord, Verdict};
use history::{Outcome, Value};

/// A client on each of `nodes` that asks every 10 ms; `answer` says what becomes of a request to a node at a millisecond:
/// the outcome and how many milliseconds it took.
fn run(nodes: &[&str], seconds: i64, answer: impl Fn(&str, i64) -> (Outcome, i64)) -> Vec<Raw> {
    let mut raws = Vec::new();
    for (client, node) in nodes.iter().enumerate() {
        let (mut now, mut process) = (client as i64, client as i64);
        while now < seconds * 1000 {
            let (outcome, took) = answer(node, now);
            raws.push(Raw {
                process,
                node: Some(node.to_string()),
                f: "write",
                key: Some("x".to_string()),
                input: Value::Int(1),
                output: Value::Int(1),
                outcome,
                from: now * MS,
                to: (now + took) * MS,
                error: (outcome != Outcome::Ok).then_some("refused"),
            });
            if outcome == Outcome::Info {
                process += nodes.len() as i64;
            }
            now += took.max(10);
        }
    }
    raws
}

/// The section on faults, as text.
fn faults(raws: &[Raw], faults: Vec<FaultRecord>) -> String {
    let history = history(raws, true);
    let results = results(&history, Verdict::Valid, faults);
    let page = reports::html(&results, &history, &reports::Logs::default());
    let section =
        page.split("id=\"faults\"").nth(1).and_then(|rest| rest.split("</section>").next()).expect("faults");
    let mut text = String::new();
    let mut inside = true;
    for c in section.chars() {
        match c {
            '<' => inside = true,
            '>' => (inside, text) = (false, text + "|"),
            _ if !inside => text.push(if c == '\u{a0}' { ' ' } else { c }),
            _ => {}
        }
    }
    text
}

#[test]
fn an_outage_and_the_way_back_are_measured() {
    let kill = || vec![fault(1, "kill", "n1", &["n1"], 5000, 7000, "gone")];
    // Nothing from 5 s to 6.5 s, then four times as slow as before, until 8 s.
    let slow_return = |_: &str, at: i64| match at {
        5000..6500 => (Outcome::Info, 100),
        6500..8000 => (Outcome::Ok, 8),
        _ => (Outcome::Ok, 2),
    };
    let text = faults(&run(&["n1", "n2"], 12, slow_return), kill());
    assert!(["|1.49 s|", "|1.5 s|", "|1.51 s|"].iter().any(|t| text.contains(t)), "the outage: {text}");
    assert!(["|950 ms|", "|1 s|", "|1.05 s|"].iter().any(|t| text.contains(t)), "the recovery: {text}");
    let at_once =
        |_: &str, at: i64| if (5000..7000).contains(&at) { (Outcome::Fail, 1) } else { (Outcome::Ok, 2) };
    assert!(faults(&run(&["n1", "n2"], 12, at_once), kill()).contains("|at once|"));
    let never = |_: &str, at: i64| if at >= 5000 { (Outcome::Fail, 1) } else { (Outcome::Ok, 2) };
    assert!(faults(&run(&["n1", "n2"], 12, never), kill()).contains("|not recovered|"));
    let again = || {
        vec![
            fault(1, "kill", "n1", &["n1"], 5000, 7000, "gone"),
            fault(2, "kill", "n2", &["n2"], 7200, 9000, "gone"),
        ]
    };
    assert!(faults(&run(&["n1", "n2"], 12, slow_return), again()).contains("|not before fault 2|"));
}

#[test]
fn a_partition_is_told_in_one_sentence() {
    let cut = || vec![fault(1, "partition", "n1 n2 | n3", &["n3"], 3000, 6000, "n3 could not reach n1")];
    let during = |at: i64| (3000..6000).contains(&at);
    let told =
        |answer: &dyn Fn(&str, i64) -> (Outcome, i64)| faults(&run(&["n1", "n2", "n3"], 9, answer), cut());
    let refused =
        told(&|node, at| if node == "n3" && during(at) { (Outcome::Fail, 1) } else { (Outcome::Ok, 2) });
    assert!(refused.contains("the minority (n3) answered 0 % of"), "{refused}");
    assert!(refused.contains("the majority (n1 n2) answered 100 % of"), "{refused}");
    assert!(refused.contains("consistency kept, availability given up there"), "{refused}");
    let both = told(&|_, _| (Outcome::Ok, 2));
    assert!(both.contains("both sides answered, and no conflict was observed"), "{both}");
    let neither = told(&|_, at| if during(at) { (Outcome::Fail, 1) } else { (Outcome::Ok, 2) });
    assert!(neither.contains("neither side answered"), "{neither}");
    let unasked = faults(&run(&["n1", "n2"], 9, |_, _| (Outcome::Ok, 2)), cut());
    assert!(unasked.contains("nobody asked the minority"), "{unasked}");
}

#[test]
fn why_a_side_was_chosen_is_no_node_of_it() {
    let cut =
        vec![fault(1, "partition", "n1 | n2 n3 (the primary alone)", &["n1"], 3000, 6000, "n1 is cut off")];
    let raws = run(&["n1", "n2", "n3"], 9, |node, now| match (node, now) {
        ("n1", 3000..6000) => (Outcome::Fail, 1),
        _ => (Outcome::Ok, 1),
    });
    let told = faults(&raws, cut);
    assert!(
        told.contains("the minority (n1) answered 0 % of") && told.contains("the majority (n2 n3) answered"),
        "{told}"
    );
}
