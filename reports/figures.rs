//! The key figures of a run, in one line.

use crate::buckets::longest_outage;
use crate::text::{count, many, moment, percent, short, span};
use history::results::{Results, Stats};
use history::{History, NO_TIME, Outcome};
use maud::{Markup, html};

struct Figure {
    name: &'static str,
    value: String,
    beside: String,
    meaning: &'static str,
}

/// The line of figures.
pub fn figures(results: &Results, history: &History) -> Markup {
    html! {
        section.card.figures aria-label="Key figures" {
            dl { @for f in all(results, history) {
                div title=(f.meaning) { dt { (f.name) } dd { b { (f.value) } " " small { (f.beside) } } }
            } }
        }
    }
}

fn all(results: &Results, history: &History) -> Vec<Figure> {
    let stats = &results.stats;
    let mut figures = vec![
        Figure {
            name: "Operations",
            value: count(stats.ops),
            beside: rate(stats),
            meaning: "Invocations with what became of them",
        },
        Figure {
            name: "Answered ok",
            value: percent(stats.ok, stats.ops),
            beside: if stats.ok_reads > 0 { many(stats.ok_reads, "read") } else { String::new() },
            meaning: "Share of all operations",
        },
        Figure {
            name: "Failed · never answered",
            value: count(stats.fail),
            beside: format!("· {}", count(stats.info)),
            meaning: "Failed: did not happen, ever. Never answered: may have happened, at any later time",
        },
    ];
    if let Some((p50, p99)) = latencies(history) {
        figures.push(Figure {
            name: "Latency p50 · p99",
            value: span(p50),
            beside: format!("· {}", span(p99)),
            meaning: "Over the answered operations, from sending to answer, at the client; the percentiles below count from when they were due",
        });
        let outage = longest_outage(history);
        figures.push(Figure {
            name: "Longest without an ok",
            value: outage.map_or("none".to_string(), |(length, _)| span(length)),
            beside: outage.map_or(String::new(), |(_, from)| format!("from {}", moment(from))),
            meaning: "The longest time from a request until anything was answered ok",
        });
    }
    let bit = results.faults.iter().filter(|f| f.bit.is_some()).count();
    figures.push(Figure {
        name: "Faults",
        value: count(results.faults.len() as u64),
        beside: if results.faults.is_empty() {
            if results.run.is_some() { "injected" } else { "recorded" }.to_string()
        } else {
            format!("{bit} seen to bite")
        },
        meaning: "A fault counts when it was seen to have an effect",
    });
    let seconds: f64 = results.judgements.iter().map(|j| j.seconds).sum();
    let states: u64 = results.judgements.iter().map(|j| j.states).sum();
    figures.push(Figure {
        name: "Checked in",
        value: span((seconds * 1e9) as i64),
        beside: if states > 0 { many(states, "state") } else { "without a search".to_string() },
        meaning: "Wall time of all judgements, and the configurations that their searches visited",
    });
    figures
}

fn rate(stats: &Stats) -> String {
    if stats.duration_ns <= 0 {
        return String::new();
    }
    let rate = stats.ops as f64 * 1e9 / stats.duration_ns as f64;
    if rate < 1000.0 { format!("{}/s", short(rate)) } else { format!("{}/s", count(rate.round() as u64)) }
}

fn latencies(history: &History) -> Option<(i64, i64)> {
    let mut all: Vec<i64> = history
        .ops
        .iter()
        .filter(|op| op.outcome != Outcome::Info && op.invoke_time != NO_TIME && op.ret_time != NO_TIME)
        .map(|op| op.ret_time.saturating_sub(op.invoke_time).max(0))
        .collect();
    all.sort_unstable();
    let at = |share: f64| all.get(((share * all.len() as f64).ceil() as usize).saturating_sub(1)).copied();
    at(0.5).zip(at(0.99))
}
