//! Per function and per node: how many, how they ended, how long they took.

use crate::text::{count, percent, span};
use history::results::{FunctionStats, Results};
use maud::{Markup, html};
use std::collections::BTreeMap;

const LINES_MAX: usize = 100;

/// Both tables, side by side.
pub fn tables(results: &Results) -> Markup {
    let stats = &results.stats;
    html! {
        div.two-up {
            (table("functions", "Functions", "function", &stats.functions))
            (table("nodes", "Nodes", "node", &stats.nodes))
        }
    }
}

fn table(id: &str, title: &str, noun: &str, rows: &BTreeMap<String, FunctionStats>) -> Markup {
    if rows.is_empty() {
        return html! {};
    }
    let timed = rows.values().any(|r| r.max > 0);
    let mut sorted: Vec<(&String, &FunctionStats)> = rows.iter().collect();
    sorted.sort_by_key(|(name, _)| (name.len(), *name));
    html! {
        section.card id=(id) aria-labelledby={ "h-" (id) } {
            h2 id={ "h-" (id) } { (title) }
            div.scroll.pad { table {
                thead { tr { th { (noun) } th.num { "ok" } th.num { "failed" } th.num { "never answered" } th.num { "ok share" }
                    @if timed { th.num { "p50" } th.num { "p95" } th.num { "p99" } th.num { "longest" } } } }
                tbody { @for (name, r) in sorted.iter().take(LINES_MAX) {
                    tr { td.mono { (name) } td.num { (count(r.ok)) } td.num { (count(r.fail)) } td.num { (count(r.info)) }
                        td.num { (percent(r.ok, r.ok + r.fail + r.info)) }
                        @if timed { td.num { (span(r.p50)) } td.num { (span(r.p95)) } td.num { (span(r.p99)) } td.num { (span(r.max)) } } }
                } }
            } }
            @if sorted.len() > LINES_MAX { p.note { (count((sorted.len() - LINES_MAX) as u64)) " more are in results.json." } }
        }
    }
}
