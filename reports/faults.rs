//! What was done to the cluster, to whom, whether it bit, and whether it was mended.

use crate::buckets::Axis;
use crate::recovery::{self, Recovery, Service};
use crate::text::{count, moment, percent, span};
use crate::timeline::band_class;
use history::results::{Anomaly, FaultRecord, Results};
use history::{History, Op, Outcome};
use maud::{Markup, html};

const LINES_MAX: usize = 200;
/// Sentences on partitions.
const SIDES_MAX: usize = 20;

/// The table of faults; nothing for a history in which there were none and nobody asked for any.
pub fn faults(results: &Results, history: &History, axis: Option<Axis>) -> Markup {
    let all = &results.faults;
    if all.is_empty() {
        return html! {};
    }
    let bit = all.iter().filter(|f| f.bit.is_some()).count();
    let service = axis.filter(|axis| axis.timed).map(|_| Service::new(history, all));
    let sides: Vec<(u32, String)> = all
        .iter()
        .filter_map(|f| Some((f.id, recovery::sides(results, history, f)?)))
        .take(SIDES_MAX)
        .collect();
    html! {
        section.card #faults aria-labelledby="h-faults" {
            h2 #h-faults { "Faults" small { (count(all.len() as u64)) " injected, " (count(bit as u64)) " seen to bite" } }
            div.scroll.pad { table {
                thead { tr { th { "no." } th { "fault" } th { "what, to whom" } th { "from – to" } th.num { "lasted" }
                    th { "how it was seen to bite" } th.num { "answered ok meanwhile" } th.num { "longest outage" } th.num { "recovered after" } th { "anomalies" } } }
                tbody { @for fault in all.iter().take(LINES_MAX) { (row(results, history, axis, service.as_ref(), fault)) } }
            } }
            @if all.len() > LINES_MAX { p.note { (count((all.len() - LINES_MAX) as u64)) " more are in results.json." } }
            @if !sides.is_empty() && axis.is_some_and(|axis| axis.timed) {
                div.pad { h3.sub { "Consistency or availability" }
                    ul { @for (id, sentence) in &sides { li { "Fault " (id) ": " (sentence) } } } }
            }
            p.note { (recovery::DEFINITIONS) }
            p.note { "A fault that was not seen to bite proves nothing. Anomalies are those whose operations it overlaps: that is a coincidence, not a cause." }
        }
    }
}

fn row(
    results: &Results,
    history: &History,
    axis: Option<Axis>,
    service: Option<&Service>,
    fault: &FaultRecord,
) -> Markup {
    let inside: Vec<&Anomaly> =
        results.anomalies.iter().filter(|a| a.coincides.iter().any(|c| c.fault == fault.id)).collect();
    html! {
        tr {
            td { (fault.id) }
            td { span class={ "chip " (band_class(&fault.kind)) } { (fault.kind) } }
            td { (fault.what) }
            td.nowrap { (moment(fault.injected)) " – " @match fault.healed { Some(t) => (moment(t)), None => span.warn { "not healed" } } }
            td.num { @if let Some(healed) = fault.healed { (span(healed.saturating_sub(fault.injected))) } }
            td { @match (&fault.bit, &fault.evidence) {
                    (Some(bit), evidence) => { (evidence.as_deref().unwrap_or("seen")) " " span.faint { "after " (span(bit.saturating_sub(fault.injected))) } },
                    (None, _) => span.warn { "not seen to bite" },
                }
                @if let Some(error) = &fault.error { " " span.warn { "error: " (error) } } }
            td.num { (meanwhile(history, axis, fault)) }
            td.num { @match service.map(|s| s.outage(fault)) { Some(Some(outage)) => (span(outage)), Some(None) => "none", None => "–" } }
            td.num { (recovered(service.map(|s| s.recovery(fault)))) }
            td { @if inside.is_empty() { "none" } @else { span.tag.no { (crate::text::many(inside.len() as u64, "anomaly")) } } }
        }
    }
}

fn recovered(recovery: Option<Recovery>) -> Markup {
    html! {
        @match recovery {
            Some(Recovery::After(0)) => "at once",
            Some(Recovery::After(time)) => (span(time)),
            Some(Recovery::Never) => span.warn { "not recovered" },
            Some(Recovery::Cut(next)) => span.faint { "not before fault " (next) },
            Some(Recovery::Unknown) | None => "–",
        }
    }
}

/// The share of operations sent during a fault that were answered ok.
fn meanwhile(history: &History, axis: Option<Axis>, fault: &FaultRecord) -> String {
    let Some(axis) = axis.filter(|a| a.timed) else { return "–".to_string() };
    let until = fault.healed.unwrap_or(axis.to);
    let sent = |op: &&Op| op.invoke_time >= fault.injected && op.invoke_time <= until;
    let (mut ok, mut all) = (0, 0);
    for op in history.ops.iter().filter(sent) {
        all += 1;
        ok += u64::from(op.outcome == Outcome::Ok);
    }
    percent(ok, all)
}
