//! The page of a run that goes on. What it shows comes as events (`live.js`); without the script it says so.

use super::runs::{RunRow, moment, seed};
use super::shell::page;
use crate::clean::clean_to;
use maud::html;

/// The page. It turns into the page of the run's report when the run has ended.
pub fn live(row: &RunRow) -> String {
    let body = html! {
        p #lost.banner hidden role="status" { "The connection is lost: what stands here is old. Trying again." }
        section.card.run-head {
            h1 { span.state.live { "●" } " " (clean_to(&row.system, 60)) " " (clean_to(&row.workload, 60)) small #phase { "running" } }
            p.lede { "began " (moment(row)) " UTC · seed " (seed(row)) }
            noscript { p.lede { "This page shows what happens by a script. Without it, load it again now and then; when the run has ended, its report is here." } }
        }
        section.card.figures aria-label="Figures" { dl {
            @for (id, name) in [("time", "time"), ("ops", "operations"), ("rate", "now"), ("ok", "ok"), ("fail", "failed"), ("info", "unknown"), ("p50", "p50 now"), ("p99", "p99 now")] {
                div { dt { (name) } dd id=(id) { "–" } }
            }
        } }
        section.card #violations hidden aria-live="polite" { h2 { "Violations" small { "told as soon as they are proven" } } ul.pad #found {} }
        div.two-up {
            section.card aria-labelledby="h-rate" { h2 #h-rate { "Rate" small { "answers per second, stacked by what became of them" } }
                p.legend { span.aok { "ok" } span.afail { "failed" } span.ainfo { "unknown" } span.lband { "fault" } }
                svg #rate-chart.chart viewBox="0 0 640 220" role="img" aria-label="Answers per second over time" {} }
            section.card aria-labelledby="h-latency" { h2 #h-latency { "Latency" small { "of answered operations, on a logarithmic axis" } }
                p.legend { span.l50 { "p50" } span.l99 { "p99" } span.lmax { "longest" } span.lband { "fault" } }
                svg #latency-chart.chart viewBox="0 0 640 220" role="img" aria-label="Latency over time" {} }
        }
        div.two-up {
            section.card aria-labelledby="h-faults" { h2 #h-faults { "Faults" } div.scroll { table {
                thead { tr { th scope="col" { "fault" } th scope="col" { "began" } th scope="col" { "bit" } th scope="col" { "ended" } } } tbody #faults {} } } }
            section.card aria-labelledby="h-nodes" { h2 #h-nodes { "Nodes" small { "answers so far" } } div.scroll { table {
                thead { tr { th scope="col" { "node" } th.num scope="col" { "ok" } th.num scope="col" { "failed" } th.num scope="col" { "unknown" } } } tbody #nodes {} } } }
        }
        p.note #checked {}
    };
    page(&row.id, true, &body)
}
