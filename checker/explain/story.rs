//! One paragraph per anomaly: who, what, when, which node.

use super::classify::Finding;
use super::facts::{Act, Family};
use super::scene::Scene;
use super::words::{duration, moment, number};
use crate::spec::ModelName;
use history::{NEVER, NO_TIME, Op, Outcome, Value, ValueId};

/// The story of a core. `minimal` is what was proved about its size.
/// `blamed` is the operation that fits nowhere, where no kind names another.
pub(crate) fn story(
    scene: &Scene<'_>,
    finding: &Finding,
    texts: &[String],
    minimal: bool,
    blamed: Option<usize>,
) -> String {
    let mut sentences = vec![match finding.victim {
        Some(victim) => first(scene, finding, victim, texts),
        None => generic(scene, blamed, texts),
    }];
    if !finding.detail.is_empty() {
        sentences.push(finding.detail.clone());
    }
    sentences.extend(unanswered(scene));
    let n = scene.core.len();
    sentences.push(match (n, minimal) {
        (1, _) => "This one operation is enough to prove it.".to_string(),
        (n, true) => format!("{} operations are enough to prove it.", number(n, true)),
        (n, false) => format!("These {} operations prove it.", number(n, false)),
    });
    sentences.join(" ")
}

/// When an operation was sent: `at 37.463 s`, or by its line.
pub(crate) fn when(op: &Op, opening: bool) -> String {
    match (op.invoke_time, opening) {
        (NO_TIME, true) => format!("On line {} of the history", op.invoke_line),
        (t, false) => moment_of(t, op.invoke_line),
        (t, true) => format!("{} into the run", moment(t)),
    }
}

/// When something was sent or answered: `at 37.463 s`, or on which line of the history.
pub(crate) fn moment_of(time: i64, line: u32) -> String {
    if time == NO_TIME { format!("on line {line}") } else { format!("at {}", moment(time)) }
}

fn first(scene: &Scene<'_>, finding: &Finding, victim: usize, texts: &[String]) -> String {
    let opening = when(scene.op(victim), true);
    let who = scene.client(victim);
    let did = past(scene, victim, texts, false);
    let Some(witness) = finding.witness else {
        return match finding.kind {
            "phantom-value" if scene.reading.family != Family::Watch => {
                format!("{opening}, {who} {did}. Nobody ever wrote that.")
            }
            "phantom-message" => format!("{opening}, {who} {did}. Nobody ever put that in."),
            "read-of-future" => format!("{opening}, {who} {did}. Nobody had sent that yet."),
            _ => format!("{opening}, {who} {did}."),
        };
    };
    let same = scene.op(victim).session == scene.op(witness).session;
    let other = if same { "the same client".to_string() } else { scene.client(witness) };
    let done = past(scene, witness, texts, true);
    let gap = earlier(scene, witness, victim);
    match finding.kind {
        "stale-read"
        | "set-stale"
        | "not-read-your-writes"
        | "set-resurrected"
        | "false-empty"
        | "out-of-turn"
        | "reordered-message"
        | "lost-event"
        | "changed-event"
        | "repeated-event" => {
            let it = if same { "it had itself".to_string() } else { format!("{other} had") };
            format!("{opening}, {who} {did}, although {it} {done}{}.", acknowledged(scene, witness, &gap))
        }
        "inversion" | "non-monotonic" => {
            let it = if same { "it had itself already".to_string() } else { format!("{other} had already") };
            let newer = done.replacen("read ", "read the newer ", 1);
            format!("{opening}, {who} {did}, although {it} {newer}{}.", finished(&gap))
        }
        "lost-write" | "set-lost" | "lost-message" => {
            let reader = if same { "the same client".to_string() } else { scene.client(witness) };
            let after = match scene.gap(victim, witness) {
                Some(gap) => format!("{} after that answer", duration(gap)),
                None => "After that".to_string(),
            };
            let seen = past(scene, witness, texts, false);
            format!(
                "{opening}, {who} {did}, and was told that it had succeeded. {}, {reader} {seen}.",
                capital(&after)
            )
        }
        "double-cas" | "lost-update" => {
            let when = when(scene.op(witness), false);
            format!(
                "{opening}, {who} {did}, although {other} replaced the same value, too ({when}: {}).",
                texts[witness]
            )
        }
        "read-of-future" => {
            let sent = when(scene.op(witness), false);
            format!("{opening}, {who} {did}, but {} sent that only later, {sent}.", scene.client(witness))
        }
        "lock-shared" => {
            let held = gap.map_or(String::new(), |gap| format!(" {gap}"));
            format!(
                "{opening}, {who} asked for {} and got it{}, although {other} had got it{}{held} and had not given it back.",
                lock(scene, victim),
                via(scene, victim, "from"),
                via(scene, witness, "from")
            )
        }
        "stale-write-accepted" => {
            format!(
                "{opening}, {who} {did}, although {other} {}{}, with a newer token.",
                if same { "itself had already" } else { "had already" },
                format_args!(" {done}")
            )
        }
        "store-buffer" | "opposite-orders" => {
            let (a, b) = (scene.client(witness), scene.client(victim));
            let (first, second) = (past(scene, witness, texts, false), past(scene, victim, texts, false));
            let what = if finding.kind == "store-buffer" {
                "each had written before it read, and neither saw the other's write"
            } else {
                "each had seen the write that the other was still missing"
            };
            format!(
                "{}, {a} {first}, and {} {b} {second}: {what}.",
                when(scene.op(witness), true),
                when(scene.op(victim), false)
            )
        }
        "intermediate-read" => {
            format!(
                "{opening}, {who} {did}, which {other} wrote and replaced in one transaction ({}).",
                texts[witness]
            )
        }
        "interleaved-writes" => format!("{opening}, {who} {did}, a mixture of two transactions."),
        "read-skew" => format!(
            "{opening}, {who} {did}, and so saw a part of what {other} did in one transaction ({}), and missed the rest.",
            texts[witness]
        ),
        "write-skew" | "circular-flow" => {
            let (witness, victim) = match scene.invoke[witness] < scene.invoke[victim] {
                true => (witness, victim),
                false => (victim, witness),
            };
            let (a, b) = (scene.client(witness), scene.client(victim));
            let (first, second) = (past(scene, witness, texts, false), past(scene, victim, texts, false));
            let what = if finding.kind == "write-skew" {
                "each replaced what the other had read, and neither saw the other's write"
            } else {
                "each saw what the other wrote"
            };
            format!(
                "{}, {a} {first}, and {} {b} {second}: {what}.",
                when(scene.op(witness), true),
                when(scene.op(victim), false)
            )
        }
        "duplicate-id" => match gap {
            Some(_) => {
                format!("{opening}, {who} {did}, although {other} had already {done}{}.", finished(&gap))
            }
            None => format!("{opening}, {who} {did}, although {other} had {done}, too."),
        },
        "id-went-back" => {
            let it = if same { "it had itself already" } else { "had already" };
            let it = if same { it.to_string() } else { format!("{other} {it}") };
            format!("{opening}, {who} {did}, although {it} {done}{}.", finished(&gap))
        }
        "permits-exceeded" => {
            let gave_back = |i: usize| scene.history.values.get(scene.op(i).f).as_text() == Some("release");
            let kept = if (0..scene.core.len()).any(gave_back) { "" } else { ", and had not given it back" };
            format!(
                "{opening}, {who} {did}, although {other} had {done}{}{kept}.",
                acknowledged(scene, witness, &gap)
            )
        }
        "incompatible-order" => {
            let first = past(scene, witness, texts, false);
            format!(
                "{}, {other} {first}, and {} {who} {did}.",
                when(scene.op(witness), true),
                when(scene.op(victim), false)
            )
        }
        "duplicate-append" => format!(
            "{opening}, {who} {did}, although {} was appended only once, by {other}{}.",
            scene.value(scene.op(witness).input),
            via(scene, witness, "through")
        ),
        "duplicate-delivery" => format!(
            "{opening}, {who} {did}, although {other} had already taken it{}{}.",
            via(scene, witness, "through"),
            finished(&gap)
        ),
        _ => format!("{opening}, {who} {did}, and {other} {done}."),
    }
}

fn generic(scene: &Scene<'_>, blamed: Option<usize>, texts: &[String]) -> String {
    let clients: std::collections::BTreeSet<u32> =
        (0..scene.core.len()).map(|i| scene.op(i).process).collect();
    if let (Some(blamed), true) = (blamed, scene.core.len() > 1) {
        return format!(
            "{}, {} {}. In no order that {} do this and {} get the answers that they got.",
            when(scene.op(blamed), true),
            scene.client(blamed),
            past(scene, blamed, texts, false),
            if scene.base == super::world::Base::RealTime {
                "real time allows"
            } else {
                "the sessions allow"
            },
            count(scene.core.len() - 1, "other operation")
        );
    }
    let opening = scene.core.first().map_or(String::new(), |&i| when(&scene.history.ops[i as usize], true));
    format!(
        "{opening}, {} by {} began, and no order of them gives every client the answer that it got.",
        count(scene.core.len(), "operation"),
        count(clients.len(), "client")
    )
}

fn count(n: usize, what: &str) -> String {
    format!("{} {what}{}", number(n, false), if n == 1 { "" } else { "s" })
}

/// What an operation did, in the past tense, with its key and node: `read k7 = 41 from node n5`.
fn past(scene: &Scene<'_>, position: usize, texts: &[String], perfect: bool) -> String {
    let op = scene.op(position);
    let object = if op.key == ValueId::NULL { String::new() } else { format!("{} = ", scene.object(op.key)) };
    let node = |word: &str| via(scene, position, word);
    let f = scene.history.values.get(op.f).as_text().unwrap_or("");
    let family = scene.reading.family;
    let in_key = if op.key == ValueId::NULL && family != Family::Queue {
        String::new()
    } else {
        format!(" {} {}", preposition(f), scene.object(op.key))
    };
    match (family, f) {
        (Family::Register | Family::Counter, "read" | "get") => {
            format!("read {object}{}{}", scene.value(op.output), node("from"))
        }
        (Family::Register, "write" | "put") => {
            let wrote = if perfect { "written" } else { "wrote" };
            let made = match scene.history.values.get(op.output).as_list() {
                Some([version, _]) if scene.reading.versions() => format!(" as version {version}"),
                _ => String::new(),
            };
            format!("{wrote} {object}{}{made}{}", scene.value(op.input), node("through"))
        }
        (Family::Set | Family::Log, "read") => {
            format!("read {object}{}{}", texts[position].trim_start_matches("read → "), node("from"))
        }
        (Family::Set, "contains") => {
            let told = if perfect { "been told" } else { "was told" };
            let is = if scene.value(op.output) == "true" { "is" } else { "is not" };
            format!("{told}{} that {} {is} in {}", node("by"), scene.value(op.input), scene.object(op.key))
        }
        (Family::Set, "remove") => {
            format!("removed {} from {}{}", scene.value(op.input), scene.object(op.key), node("through"))
        }
        (Family::Set | Family::Counter, "add") => {
            format!("added {}{in_key}{}", scene.value(op.input), node("through"))
        }
        (Family::Log, "append") => {
            let place = match scene.history.values.get(op.output) {
                Value::Int(offset) if op.outcome == Outcome::Ok && op.output != op.input => {
                    let what = if scene.reading.model == ModelName::AppendLog { "offset" } else { "length" };
                    format!(" and was told {what} {offset}")
                }
                _ => String::new(),
            };
            format!("appended {}{in_key}{}{place}", scene.value(op.input), node("through"))
        }
        (Family::Watch, "put" | "delete") => {
            let (did, made) = texts[position].split_once(" → ").unwrap_or((&texts[position], ""));
            let did = did.replacen("delete ", "deleted ", 1);
            let made = if made.is_empty() { String::new() } else { format!(" as {made}") };
            format!("{did}{made}{in_key}{}", node("through"))
        }
        (Family::Watch, "watch" | "catch-up") => {
            let (_, which) = texts[position].split_once(' ').unwrap_or(("", ""));
            let (range, list) = which.split_once(" → ").unwrap_or((which, ""));
            let (from, upto) = range.split_once(" up to ").unwrap_or((range, ""));
            let from = from.replacen("from ", "from revision ", 1);
            let all = if f == "catch-up" { "as all that there is " } else { "" };
            let whom = via(scene, position, "asked").replacen(" asked ", "asked ", 1);
            let whom = if whom.is_empty() { "asked" } else { &whom };
            format!("{whom} for the changes{in_key} {from} on and got {list} {all}up to revision {upto}")
        }
        (Family::Ids, "generate") => {
            let given = if perfect { "been given" } else { "was given" };
            format!("{given} {}{}", scene.value(op.output), node("by"))
        }
        (Family::Permits, "acquire") => {
            format!("got a permit{}{}", in_key.replacen(" on ", " of ", 1), node("through"))
        }
        (Family::Queue, "peek") if op.output == ValueId::NULL => {
            format!("found {} empty{}", scene.object(op.key), node("through"))
        }
        (Family::Queue, "peek") => {
            let saw = if perfect { "seen" } else { "saw" };
            format!("{saw} {}{in_key}{}", scene.value(op.output), node("through"))
        }
        (Family::Queue, "drain") => {
            let all = texts[position].trim_start_matches("drain → ");
            format!("drained {}{} and got {all}", scene.object(op.key), node("through"))
        }
        (Family::Queue, "push" | "insert") => {
            format!("put {}{in_key}{}", scene.value(op.input), node("through"))
        }
        (Family::Queue, "enqueue") => format!("put {}{in_key}{}", scene.value(op.input), node("through")),
        (Family::Queue, "dequeue" | "pop" | "delete-min") if op.output == ValueId::NULL => {
            format!("found {} empty{}", scene.object(op.key), node("through"))
        }
        (Family::Queue, "dequeue" | "pop" | "delete-min") => {
            let took = if perfect { "taken" } else { "took" };
            format!("{took} {}{in_key}{}", scene.value(op.output), node("through"))
        }
        _ => {
            let did = if perfect { "done" } else { "did" };
            format!("{did} \"{}\"{in_key}{}", texts[position], node("through"))
        }
    }
}

/// The node that was asked, if it is known: ` through node n2`.
fn via(scene: &Scene<'_>, position: usize, word: &str) -> String {
    match scene.op(position).node {
        ValueId::NULL => String::new(),
        node => format!(" {word} node {}", scene.history.values.get(node)),
    }
}

fn preposition(f: &str) -> &'static str {
    match f {
        "enqueue" | "insert" => "into",
        "put" | "delete" => "in",
        "watch" | "catch-up" => "of",
        "dequeue" | "pop" | "delete-min" | "read" => "from",
        "peek" => "in",
        "add" | "append" => "to",
        _ => "on",
    }
}

fn lock(scene: &Scene<'_>, position: usize) -> String {
    match scene.op(position).key {
        ValueId::NULL => "the lock".to_string(),
        key => format!("the lock {}", scene.object(key)),
    }
}

/// How long before `b` was sent `a` had returned.
fn earlier(scene: &Scene<'_>, a: usize, b: usize) -> Option<String> {
    let (first, second) = (scene.op(a), scene.op(b));
    if first.ret == NEVER || first.ret > second.invoke {
        return None;
    }
    Some(match scene.gap(a, b) {
        Some(gap) => format!("{} earlier", duration(gap)),
        None => format!("earlier, on line {}", first.ret_line),
    })
}

fn acknowledged(scene: &Scene<'_>, position: usize, gap: &Option<String>) -> String {
    match (gap, scene.op(position).outcome) {
        (Some(gap), Outcome::Ok) => format!(", acknowledged {gap}"),
        (_, _) => String::new(),
    }
}

fn finished(gap: &Option<String>) -> String {
    gap.as_ref().map_or(String::new(), |gap| format!(" and finished {gap}"))
}

/// What is known of the operations that nobody heard of again: a sentence for each that did happen, and one for the rest.
fn unanswered(scene: &Scene<'_>) -> Vec<String> {
    let (happened, open): (Vec<usize>, Vec<usize>) = (0..scene.core.len())
        .filter(|&i| scene.op(i).outcome == Outcome::Info)
        .partition(|&i| scene.definite(i));
    let saw = |i: usize| {
        let seen = (0..scene.core.len()).filter(|&reader| scene.saw_effect(reader, i));
        match seen.map(|reader| scene.label(reader)).collect::<Vec<_>>()[..] {
            [] => "it did happen".to_string(),
            [one] => format!("it did happen, as {one} saw"),
            ref several => format!("it did happen, as {} saw", several.join(" and ")),
        }
    };
    let mut sentences: Vec<String> = happened.into_iter().map(|i| no_reply(scene, i, &saw(i))).collect();
    match &open[..] {
        [] => {}
        [one] => sentences.push(no_reply(scene, *one, "it may or may not have happened")),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(|&i| scene.label(i)).collect();
            sentences.push(format!(
                "{} and {} got no reply: each may or may not have happened.",
                first.join(", "),
                scene.label(*last)
            ));
        }
    }
    sentences
}

fn no_reply(scene: &Scene<'_>, i: usize, fate: &str) -> String {
    let op = scene.op(i);
    let waited = match (op.invoke_time, op.ret_time) {
        (NO_TIME, _) | (_, NO_TIME) => "no reply".to_string(),
        (sent, gave_up) => format!("no reply within {}", duration(gave_up - sent)),
    };
    let what = scene.core_facts().find_map(|(at, f)| match f.act {
        Act::Put(value) if at == i => Some(format!(" of {}", scene.value(value))),
        Act::Added(amount) if at == i => Some(format!(" of {amount}")),
        _ => None,
    });
    let f = scene.history.values.get(op.f);
    let what = what.unwrap_or_default();
    format!("{}'s {f}{what} ({}) got {waited}: {fate}.", capital(&scene.client(i)), scene.label(i))
}

pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().collect::<String>() + chars.as_str())
}
