//! One violation, complete: the picture, the reasons, every order, what it coincides with, and whether it is alone.

use crate::logged::{self, Logs};
use crate::picture::{caption, edge_class, op_class, outcome, picture};
use crate::plan::{op_at, op_text, shown};
use crate::roles;
use crate::story::story;
use crate::summary::{kind_title, orders_heading, rule};
use crate::terminal::{self, Look};
use crate::text::{count, list, many, moment, number_word, title};
use crate::timeline::band_class;
use history::results::{Anomaly, OrderRow, Results};
use history::{History, Op, ValueId};
use maud::{Markup, html};

/// Cards for at most this many; one for each pattern comes first.
const CARDS_MAX: usize = 5;
/// Lines of the table of all.
const LINES_MAX: usize = 50;
/// Rows of a table of orders.
const ORDERS_MAX: usize = 64;

/// A card for each pattern.
pub fn cards(results: &Results, history: &History, logs: &Logs) -> Markup {
    html! { @for anomaly in explained(results) { (card(results, history, logs, anomaly)) } }
}

/// The first anomaly of each pattern.
pub fn explained(results: &Results) -> Vec<&Anomaly> {
    let mut shown: Vec<&Anomaly> = Vec::new();
    for anomaly in &results.anomalies {
        if shown.len() < CARDS_MAX && !shown.iter().any(|s| same_pattern(s, anomaly)) {
            shown.push(anomaly);
        }
    }
    shown
}

fn same_pattern(a: &Anomaly, b: &Anomaly) -> bool {
    a.fingerprint == b.fingerprint && a.property == b.property
}

fn card(results: &Results, history: &History, logs: &Logs, anomaly: &Anomaly) -> Markup {
    let id = format!("a{}", anomaly.id);
    let drawn = picture(anomaly, &id);
    let total = results.anomalies.len() as u64 + u64::from(results.anomalies_more);
    html! {
        section.card.proof id=(id) aria-labelledby={ (id) "-h" } {
            h2 id={ (id) "-h" } {
                "Anomaly " (anomaly.id) @if total > 1 { " of " (count(total)) }
                small { (kind_title(&anomaly.kind)) ": " (set_words(anomaly))
                    @if anomaly.property != "linearizable" { " (" (anomaly.property) ")" } }
                span.buttons { a.button href="#timeline" data-anomaly=(anomaly.id) hidden { "show in the timeline" } }
            }
            @if results.anomalies.first().is_some_and(|first| first.id != anomaly.id) { p.story { (story(anomaly)) } }
            div class={ "pair" @if drawn.wide { " wide" } } {
                figure.pic { div.scroll tabindex="0" { (drawn.svg) } figcaption { (caption(&drawn)) } }
                div.why { (why(anomaly, history)) }
            }
            div class={ "context" @if anomaly.edges.is_empty() { " two" } } {
                // Without a chain of reasons the orders are the proof, and stand in its place.
                @if !anomaly.edges.is_empty() { div.orders { h3.sub { (orders_heading(anomaly)) } (orders(anomaly)) } }
                (coincides(results, history, logs, anomaly))
                (alone(results, anomaly))
            }
            (logged::excerpt(logs, anomaly))
            (as_text(anomaly))
        }
    }
}

/// Whether it was proved that nothing can be left out.
fn set_words(anomaly: &Anomaly) -> String {
    let n = anomaly.ops.len();
    let operations = format!("{} operations", number_word(n));
    match (n, anomaly.minimal) {
        (1, _) => "one operation that no order explains".to_string(),
        (_, true) => format!("the smallest proof, {operations} that cannot be put in order"),
        (_, false) => format!("a small proof, {operations} that cannot be put in order"),
    }
}

/// The label of an operation, in its colour.
fn badge(anomaly: &Anomaly, label: &str) -> Markup {
    let class = shown(anomaly).into_iter().find(|op| op.label == label).map_or("k", op_class);
    html! { span class={ "op " (class) } { (label) } }
}

fn why(anomaly: &Anomaly, history: &History) -> Markup {
    html! {
        h3.sub { "Why no order works" }
        @if anomaly.edges.is_empty() {
            (operations(anomaly))
            @if !anomaly.orders.is_empty() {
                p { (cases(anomaly)) }
                div.orders { (orders(anomaly)) }
            } @else { (orders(anomaly)) }
        } @else {
            ol.steps {
                @for edge in &anomaly.edges {
                    li class={ "s" (edge.n) } {
                        span class={ "n " (edge_class(anomaly, edge)) } { (edge.n) }
                        div {
                            b { (badge(anomaly, &edge.from)) " before " (badge(anomaly, &edge.to)) }
                            span.k { (edge.text) }
                        }
                    }
                }
            }
        }
        p.conclusion { (conclusion(anomaly)) }
        @if let Some(words) = others(anomaly, history) { p.others { (words) } }
    }
}

/// What is not in the core, of what touches its keys: whoever reads the proof asks whether something else explains it.
fn others(anomaly: &Anomaly, history: &History) -> Option<String> {
    let inside: Vec<u32> = shown(anomaly).iter().map(|op| op.invoke).collect();
    let keys: Vec<ValueId> = inside.iter().filter_map(|&rank| Some(op_at(history, rank)?.key)).collect();
    let fatal = anomaly.ops.iter().find(|op| op.fatal)?;
    let (last, fatal) = (fatal.ret?, &fatal.label);
    let others: Vec<&Op> =
        history.ops.iter().filter(|op| keys.contains(&op.key) && !inside.contains(&op.invoke)).collect();
    let real_time = anomaly.property == "linearizable";
    let later = others.iter().filter(|op| real_time && op.invoke > last).count();
    let (all, rest) = (others.len() as u64, (others.len() - later) as u64);
    let on = anomaly.key.as_deref().map_or(String::new(), |key| format!(" on {key}"));
    let (these, were) = match all {
        1 => (format!("The one other operation{on}"), "was"),
        _ => (format!("The {} other operations{on}", count(all)), "were"),
    };
    let differ = |n: u64| if n == 1 { "makes no difference" } else { "make no difference" };
    Some(match (later, rest) {
        (0, 0) => format!("There was no other operation{on}."),
        (_, 0) => format!("{these} {were} sent only after the answer to {fatal}."),
        (0, _) => format!("{these} {} to this.", differ(rest)),
        (_, _) => format!(
            "Of {}, {} {} sent only after the answer to {fatal}; {} {} to this.",
            these.replacen("The", "the", 1),
            number_word(later),
            if later == 1 { "was" } else { "were" },
            number_word(rest as usize),
            differ(rest)
        ),
    })
}

/// What the table of orders shows, where it is the whole proof.
fn cases(anomaly: &Anomaly) -> String {
    let who = rule(anomaly);
    let counted: u64 = anomaly.orders.iter().map(|row| row.count).sum();
    match (anomaly.ops.len(), anomaly.orders_total) {
        (1, _) => "No order gives it this answer:".to_string(),
        (_, 1) => format!("There is only one order that {who}, and it breaks:"),
        (_, total) if total == counted => format!("Each of the {} orders that {who} breaks:", count(total)),
        (_, _) => format!("Every order that {who} breaks; the longest beginnings that are still legal:"),
    }
}

fn operations(anomaly: &Anomaly) -> Markup {
    html! {
        ul.ops { @for op in shown(anomaly) {
            li { (badge(anomaly, &op.label)) " " (op_text(anomaly, op)) span.k { " client " (op.process)
                @if let Some(node) = &op.node { " via " (node) } ", " (outcome(anomaly, op)) } }
        } }
    }
}

fn conclusion(anomaly: &Anomaly) -> Markup {
    let n = anomaly.ops.len();
    let without: Vec<String> = anomaly.without.iter().map(|label| format!("without {label}")).collect();
    html! {
        @if anomaly.circle.len() > 1 {
            b { (anomaly.circle.join(" → ")) } " is a circle, so no order of these " (number_word(n)) " operations obeys every rule."
        } @else if n == 1 {
            b { "No order" } " explains the answer of this one operation."
        } @else {
            b { "No order of these " (number_word(n)) " operations" } " that " (rule(anomaly)) " gives them these answers."
        }
        @if n > 1 && (1..=6).contains(&without.len()) {
            " " (title(&without.join(", or "))) ", the rest could be ordered."
        }
    }
}

fn orders(anomaly: &Anomaly) -> Markup {
    let rows = &anomaly.orders;
    html! {
        @if rows.is_empty() {
            p { "There are too many orders to list. " @if !anomaly.edges.is_empty() { "The numbered reasons rule out all of them." } }
        } @else {
            table { tbody {
                @for row in rows.iter().take(ORDERS_MAX) { (order(anomaly, row)) }
            } }
            @if anomaly.orders_total > 1 && anomaly.ops.iter().any(|op| op.outcome == "info") { p.faint { "What got no reply may be missing from an order." } }
            @if rows.len() > ORDERS_MAX { p { (count((rows.len() - ORDERS_MAX) as u64)) " more rows are in results.json." } }
        }
    }
}

fn order(anomaly: &Anomaly, row: &OrderRow) -> Markup {
    html! {
        tr {
            td.prefix { @for label in &row.prefix { (badge(anomaly, label)) " " }
                @if row.prefix.last() != Some(&row.breaks_at) { span class="op dead" { (row.breaks_at) } } }
            td { "breaks at " (row.breaks_at) ": " (row.because) @if anomaly.orders_total != 1 { " " span.faint { "(in " (many(row.count, "order")) ")" } } }
        }
    }
}

fn coincides(results: &Results, history: &History, logs: &Logs, anomaly: &Anomaly) -> Markup {
    let faults = &results.faults;
    let mut nodes: Vec<(&str, Vec<&str>)> = Vec::new();
    for op in &anomaly.ops {
        if let Some(node) = &op.node {
            match nodes.iter_mut().find(|(name, _)| name == node) {
                Some((_, labels)) => labels.push(&op.label),
                None => nodes.push((node, vec![&op.label])),
            }
        }
    }
    html! {
        div {
            h3.sub { "What it coincides with" }
            @if anomaly.coincides.is_empty() {
                p { @match (faults.is_empty(), results.run.is_some()) {
                    (true, true) => "No fault was injected.",
                    (true, false) => "The history records no fault.",
                    (false, _) => "No fault was in force.",
                } }
            }
            @for c in &anomaly.coincides {
                p { span class={ "chip " (band_class(&c.kind)) } { (c.kind) } " " b { (c.what) }
                    @if let Some(fault) = faults.iter().find(|f| f.id == c.fault) {
                        ", " (moment(fault.injected)) " to " @match fault.healed { Some(t) => (moment(t)), None => "the end" } }
                    @if !c.ops.is_empty() { "; overlaps " (list(&c.ops)) } "." }
            }
            @if !nodes.is_empty() {
                p { @for (i, (node, labels)) in nodes.iter().enumerate() {
                    @if i > 0 { "; " } (list(labels)) " went to " (node) } "." }
            }
            @if let Some(words) = roles::beside(history, anomaly) { p { (words) } }
            @if let Some(words) = logged::beside(logs, anomaly) { p { (words) } }
        }
    }
}

fn alone(results: &Results, anomaly: &Anomaly) -> Markup {
    let all = &results.anomalies;
    let same: Vec<&Anomaly> = all.iter().filter(|a| same_pattern(a, anomaly) && a.id != anomaly.id).collect();
    let others = all.len() - same.len() - 1;
    html! {
        div {
            h3.sub { "Is it alone?" }
            @if all.len() == 1 && results.anomalies_more == 0 {
                p { b { "It is the only one found." } " The search ends at the first violation of an object: what else is wrong with the same one is not counted." }
            } @else {
                p { b { (many(all.len() as u64, "anomaly")) @if same.len() + 1 == all.len() && all.len() > 1 { ", one pattern" } "." }
                    @if !same.is_empty() { " The same pattern: " (list(&same.iter().take(6).map(|a| place(a)).collect::<Vec<_>>()))
                        @if same.len() > 6 { " and " (count(same.len() as u64 - 6)) " more" } "." }
                    @if others > 0 { " " (title(&number_word(others))) " of another pattern." }
                    @if results.anomalies_more > 0 { " " (many(u64::from(results.anomalies_more), "more object")) @if results.anomalies_more == 1 { " is" } @else { " are" } " violated and not explained." } }
            }
        }
    }
}

/// Where an anomaly is: `x at 38.102 s`.
pub fn place(anomaly: &Anomaly) -> String {
    let key = anomaly.key.as_deref().unwrap_or("the object");
    let op = anomaly.ops.iter().find(|op| op.fatal).or(anomaly.ops.last());
    match op.and_then(|op| op.invoke_time.or(op.ret_time)) {
        Some(time) => format!("{key} at {}", moment(time)),
        None => match op {
            Some(op) => format!("{key} at line {}", op.invoke_line),
            None => key.to_string(),
        },
    }
}

/// All anomalies in a table, where the cards do not show all.
pub fn table(results: &Results) -> Markup {
    let shown = explained(results);
    if shown.len() == results.anomalies.len() && (results.anomalies_more == 0 || shown.is_empty()) {
        return html! {};
    }
    html! {
        section.card #all-anomalies aria-labelledby="h-all" {
            h2 #h-all { "All anomalies" small { "one of each pattern is explained above" } }
            div.scroll.pad { table {
                thead { tr { th { "no." } th { "kind" } th { "property" } th { "where" } th { "operations" } th { "during" } } }
                tbody { @for a in results.anomalies.iter().take(LINES_MAX) {
                    tr {
                        td { @if shown.iter().any(|s| s.id == a.id) { a href={ "#a" (a.id) } { (a.id) } } @else { (a.id) } }
                        td { (kind_title(&a.kind)) } td { (a.property) } td { (place(a)) } td { (a.ops.len()) }
                        td { @if a.coincides.is_empty() { "no fault" } @for c in &a.coincides { span class={ "chip " (band_class(&c.kind)) } { (c.kind) " " (c.what) } " " } }
                    }
                } }
            } }
            @if results.anomalies.len() > LINES_MAX { p.note { (count((results.anomalies.len() - LINES_MAX) as u64)) " more are in results.json." } }
            @if results.anomalies_more > 0 { p.note { (many(u64::from(results.anomalies_more), "violated object")) " beyond these were found and not explained." } }
        }
    }
}

/// The terminal's form, to be copied into a bug report.
fn as_text(anomaly: &Anomaly) -> Markup {
    let look = Look { width: 110, color: false, unicode: false };
    html! {
        details { summary { "The same as text" }
            pre tabindex="0" { (terminal::explained(anomaly, &terminal::Around::default(), &look)) } }
    }
}
