//! How it was checked: what was asked, of what, by which method, at what cost; and what that does not cover.

use crate::summary::{adjective, tally};
use crate::text::{bytes, count, list, many, short, span, title, title_sentence};
use history::results::{Answer, Judgement, ObjectJudgement, Results};
use maud::{Markup, html};

/// Objects that a table lists; the most interesting come first.
const OBJECTS_MAX: usize = 25;

/// The section about checking.
pub fn checked(results: &Results) -> Markup {
    let checker = &results.checker;
    html! {
        section.card #checked aria-labelledby="h-checked" {
            h2 #h-checked { "How it was checked" small { (checker.history) @if !checker.format.is_empty() { " (" (checker.format) ")" } } }
            @for judgement in &results.judgements { (one(results, judgement)) }
            @if let Some(delivery) = &results.delivery {
                p.pad { (title_sentence(&crate::delivery::sentence(delivery))) "." }
            }
            p.note { (budget(results)) " Real time is the order of the lines of the history, and those come from one clock: a node's clock cannot distort a verdict. "
                "A pass is an order that separate code replayed; a violation is a core that separate code refuted." }
            @if !checker.assumptions.is_empty() {
                div.pad { h3.sub { "Assumed" } ul { @for a in &checker.assumptions { li { (a) } } } }
            }
        }
    }
}

/// What a pass does not cover: it stands right below the verdict, so that nobody takes it for more than it is.
pub fn not_tested(results: &Results) -> Markup {
    html! {
        @if !results.not_tested.is_empty() {
            section.card #not-tested aria-labelledby="h-not" {
                h2 #h-not { "What this did not test" }
                ul.pad { @for s in &results.not_tested { li { (s) } } }
            }
        }
    }
}

fn budget(results: &Results) -> String {
    let c = &results.checker;
    let mut parts = Vec::new();
    if c.timeout_seconds > 0.0 {
        parts.push(format!("{} s for each property", short(c.timeout_seconds)));
    }
    if c.memory_bytes > 0 {
        parts.push(bytes(c.memory_bytes));
    }
    if c.threads > 0 {
        parts.push(many(u64::from(c.threads), "thread"));
    }
    if parts.is_empty() { String::new() } else { format!("Budget: {}.", list(&parts)) }
}

fn answer(answer: Answer) -> Markup {
    html! {
        @match answer {
            Answer::Holds => span.tag.yes { "✓ holds" },
            Answer::Violated => span.tag.no { "✗ violated" },
            Answer::Undecided => span.tag.open { "? undecided" },
        }
    }
}

fn one(results: &Results, j: &Judgement) -> Markup {
    let (held, violated, open) = tally(j);
    let mut order: Vec<&ObjectJudgement> = j.objects.iter().collect();
    // Violated, then undecided, then the hardest: what somebody would look for.
    order.sort_by_key(|o| {
        let rank = match o.answer {
            Answer::Violated => 0,
            Answer::Undecided => 1,
            Answer::Holds => 2,
        };
        (rank, std::cmp::Reverse(o.states))
    });
    let rest = &order[order.len().min(OBJECTS_MAX)..];
    html! {
        div.pad {
            h3 { (title(&adjective(&j.property))) " " (answer(j.answer))
                @if !results.asked.contains(&j.property) { " " small { "beside what was asked" } } }
            p.mut { "Model " b { (j.model) } ", " (j.scope) ": " (many(j.objects.len() as u64, "object")) " ("
                (list(&counts(held, violated, open))) "), " (many(j.states, "state")) " visited in " (span((j.seconds * 1e9) as i64)) "." }
            @if !order.is_empty() {
                div.scroll { table {
                    thead { tr { th { "object" } th { "answer" } th.num { "operations" } th.num { "unknown" } th { "method" } th.num { "states" } @if open > 0 { th { "why undecided" } } } }
                    tbody { @for o in order.iter().take(OBJECTS_MAX) {
                        tr { td.mono { (keys(o)) } td { (answer(o.answer)) } td.num { (count(u64::from(o.ops))) } td.num { (count(u64::from(o.unknown))) }
                            td { (o.method) } td.num { (count(o.states)) } @if open > 0 { td { (o.reason) } } }
                    } }
                } }
            }
            @if !rest.is_empty() { p.mut { (remaining(rest)) } }
        }
    }
}

fn counts(held: u64, violated: u64, open: u64) -> Vec<String> {
    let named = [(held, "held"), (violated, "violated"), (open, "undecided")];
    named.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", count(*n))).collect()
}

fn keys(object: &ObjectJudgement) -> String {
    match object.keys.len() {
        0 => "the whole history".to_string(),
        1..=6 => object.keys.join(", "),
        n => format!("{} and {} more keys", object.keys[..5].join(", "), count(n as u64 - 5)),
    }
}

fn remaining(rest: &[&ObjectJudgement]) -> String {
    let of = |answer| rest.iter().filter(|o| o.answer == answer).count() as u64;
    let states: u64 = rest.iter().map(|o| o.states).sum();
    let counts = counts(of(Answer::Holds), of(Answer::Violated), of(Answer::Undecided));
    format!(
        "{} more in results.json: {}, {} together.",
        count(rest.len() as u64),
        list(&counts),
        many(states, "state")
    )
}
