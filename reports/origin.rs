//! Where the history came from and how to make it again.

use crate::text::{list, span};
use history::results::{Results, RunInfo, Verdict};
use maud::{Markup, html};

/// Run again, environment, configuration, warnings.
pub fn origin(results: &Results) -> Markup {
    html! {
        (again(results))
        @if let Some(run) = &results.run {
            div.two-up {
                (pairs("environment", "Environment", &environment(results, run)))
                (pairs("config", "Configuration", &run.config))
            }
            @if !run.notes.is_empty() { (sentences("notes", "What the nemesis saw", &run.notes)) }
        }
        @if !results.warnings.is_empty() { (sentences("warnings", "Warnings", &results.warnings)) }
    }
}

fn again(results: &Results) -> Markup {
    let history = &results.checker.history;
    html! {
        section.card #again aria-labelledby="h-again" {
            h2 #h-again { "Run it again" @if let Some(run) = &results.run { small { "seed " (run.seed) } } }
            div.pad {
                @if let Some(run) = &results.run {
                    p.mut { "The same choices of ours (clients, faults, timing); the network's are its own:" }
                    pre tabindex="0" { (run.command) }
                }
                p.mut { "The same history, judged again:" }
                pre tabindex="0" { "perjury check " (shell(history))
                    @if let Some(j) = results.judgements.first() { " --model " (shell(&j.model)) }
                    @for p in &results.asked { " --property " (shell(p)) }
                    @if results.verdict == Verdict::Undecided { " --timeout " (more(results)) "s" } }
            }
        }
    }
}

/// Ten times what was not enough.
fn more(results: &Results) -> u64 {
    (results.checker.timeout_seconds.clamp(6.0, 1e6) * 10.0) as u64
}

/// A word as a shell takes it for itself.
pub fn shell(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | '@' | ','));
    if plain { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn environment(results: &Results, run: &RunInfo) -> Vec<(String, String)> {
    let line = |k: &str, v: &str| (k.to_string(), v.to_string());
    let mut lines = vec![
        line("system", &format!("{} {}", run.system, run.version)),
        line("claims", &run.claims),
        line("workload", &run.workload),
        line("nodes", &run.nodes.join(", ")),
        line("started", &run.started),
        line("perjury", &results.checker.version),
    ];
    lines.push(line("their clocks", &clocks(&run.ahead)));
    lines.extend(run.environment.iter().cloned());
    lines.retain(|(_, v)| !v.trim().is_empty());
    lines
}

/// How far the nodes' clocks were from the controller's, where they are clocks of their own.
fn clocks(ahead: &[(String, i64)]) -> String {
    let off: Vec<String> = ahead
        .iter()
        .filter(|(_, ns)| *ns != 0)
        .map(|(node, ns)| {
            let side = if *ns > 0 { "ahead of" } else { "behind" };
            format!("{node} {} {side} the controller's", span(ns.saturating_abs()))
        })
        .collect();
    match (ahead.is_empty(), off.is_empty()) {
        (true, _) => String::new(),
        (false, true) => "as the controller's, as far as could be told".to_string(),
        (false, false) => list(&off),
    }
}

fn pairs(id: &str, title: &str, lines: &[(String, String)]) -> Markup {
    if lines.is_empty() {
        return html! {};
    }
    html! {
        section.card id=(id) aria-labelledby={ "h-" (id) } {
            h2 id={ "h-" (id) } { (title) }
            div.scroll.pad { table.pairs { tbody { @for (k, v) in lines { tr { th scope="row" { (k) } td.mono { (v) } } } } } }
        }
    }
}

fn sentences(id: &str, title: &str, lines: &[String]) -> Markup {
    html! {
        section.card id=(id) aria-labelledby={ "h-" (id) } {
            h2 id={ "h-" (id) } { (title) }
            ul.pad { @for line in lines { li { (line) } } }
        }
    }
}
