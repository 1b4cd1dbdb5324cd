//! Two to eight runs side by side: verdicts, what differs between them, latencies, recovery, violations by shape.

use super::overlay::{self, Spectrum, spectrum};
use super::run::Seen;
use super::runs::{RunRow, State, moment, seed};
use super::shell::{address, page};
use crate::clean::clean_to;
use crate::recovery::{DEFINITIONS, Recovery as After, Service};
use crate::text::{count, many, span};
use history::History;
use history::results::Results;
use maud::{Markup, PreEscaped, html};
use std::collections::BTreeSet;

/// A run to be compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// As the list shows it.
    pub row: RunRow,
    /// The headline of its verdict.
    pub headline: String,
    /// What was concluded.
    results: Results,
    spectrum: Spectrum,
    recovery: Vec<Recovery>,
    /// Why its latencies and recovery are not shown; empty if they are.
    pub without: String,
}

/// What the faults of one kind cost.
#[derive(Clone, Debug)]
struct Recovery {
    kind: String,
    faults: usize,
    bit: usize,
    outage: i64,
    /// Sorted.
    recovered: Vec<i64>,
    never: usize,
    unseen: usize,
}

impl Compared {
    /// Of a run's results and its history; `without` says why there is no history, if there is none.
    pub fn new(row: RunRow, results: Results, history: Result<&History, String>) -> Compared {
        let headline = crate::machine::headline(&results);
        let (spectrum, recovery, without) = match history {
            Ok(history) => (spectrum(history), recovery(&results, history), String::new()),
            Err(why) => (Vec::new(), Vec::new(), why),
        };
        Compared { row, headline, results, spectrum, recovery, without }
    }
}

fn recovery(results: &Results, history: &History) -> Vec<Recovery> {
    let service = Service::new(history, &results.faults);
    let mut kinds: Vec<Recovery> = Vec::new();
    for fault in &results.faults {
        let at = kinds.iter().position(|k| k.kind == fault.kind).unwrap_or_else(|| {
            kinds.push(Recovery {
                kind: fault.kind.clone(),
                faults: 0,
                bit: 0,
                outage: 0,
                recovered: Vec::new(),
                never: 0,
                unseen: 0,
            });
            kinds.len() - 1
        });
        let kind = &mut kinds[at];
        kind.faults += 1;
        kind.bit += usize::from(fault.bit.is_some());
        kind.outage = kind.outage.max(service.outage(fault).unwrap_or(0));
        match service.recovery(fault) {
            After::After(ns) => kind.recovered.push(ns),
            After::Never => kind.never += 1,
            // Another fault came before it could be seen, or there was nothing to compare with.
            After::Cut(_) | After::Unknown => kind.unseen += 1,
        }
    }
    kinds.iter_mut().for_each(|kind| kind.recovered.sort_unstable());
    kinds
}

/// The page. `seen` are the shapes of all these runs, with how often each was seen in all runs of their setups.
pub fn compare(runs: &[Compared], seen: &[Seen]) -> String {
    let body = html! {
        section.card aria-labelledby="h-verdicts" {
            h2 #h-verdicts { "Verdicts" small { (many(runs.len() as u64, "run")) } }
            div.scroll { table {
                thead { tr { th scope="col" { "run" } @for (n, run) in runs.iter().enumerate() { th scope="col" { (name(n, run)) } } } }
                tbody {
                    (line("verdict", runs, |run| html! { span class={ "state " (run.row.state.word()) } { (run.row.state.glyph()) } " " (clean_to(&run.headline, 200)) }))
                    (line("began", runs, |run| html! { (moment(&run.row)) }))
                    (line("seed", runs, |run| html! { (seed(&run.row)) }))
                    (line("operations", runs, |run| html! { (count(run.row.ops)) @if run.row.duration_ns > 0 { " in " (span(run.row.duration_ns)) } }))
                    (line("a second", runs, |run| html! { @if run.row.duration_ns > 0 { (count((run.row.ops as f64 / (run.row.duration_ns as f64 / 1e9)).round() as u64)) } }))
                    (line("answered", runs, |run| { let s = &run.results.stats; html! { (crate::text::percent(s.ok, s.ops)) " ok, " (crate::text::percent(s.fail, s.ops)) " failed, " (crate::text::percent(s.info, s.ops)) " unknown" } }))
                }
            } }
        }
        (differences(runs))
        (latencies(runs))
        (recoveries(runs))
        (violations(runs, seen))
    };
    page("compare", false, &body)
}

fn name(n: usize, run: &Compared) -> Markup {
    html! { span class={ "key k" (n) } {} a href=(address(&run.row.id)) { (run.row.id) } }
}

fn line(name: &str, runs: &[Compared], cell: impl Fn(&Compared) -> Markup) -> Markup {
    html! { tr { th scope="row" { (name) } @for run in runs { td { (cell(run)) } } } }
}

/// What a run was set up with, by name.
fn settings(run: &Compared) -> Vec<(String, String)> {
    let mut all = vec![
        ("system".to_string(), run.row.system.clone()),
        ("version".to_string(), run.row.version.clone()),
        ("workload".to_string(), run.row.workload.clone()),
        ("perjury".to_string(), run.results.checker.version.clone()),
    ];
    let told = run.results.run.as_ref();
    all.extend(told.into_iter().flat_map(|told| told.config.iter().cloned()).filter(|(name, _)| {
        // Told above.
        name != "seed" && name != "system" && name != "workload"
    }));
    all
}

fn differences(runs: &[Compared]) -> Markup {
    let all: Vec<Vec<(String, String)>> = runs.iter().map(settings).collect();
    let names: BTreeSet<&String> = all.iter().flatten().map(|(name, _)| name).collect();
    let value = |run: usize, name: &str| {
        all[run].iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    };
    let differ = |name: &&&String| (1..runs.len()).any(|run| value(run, name) != value(0, name));
    let differing: Vec<&String> = names.iter().filter(differ).copied().collect();
    let same = names.len() - differing.len();
    html! { section.card aria-labelledby="h-differences" {
        h2 #h-differences { "What differs" small { (many(same as u64, "setting")) @if same == 1 { " is" } @else { " are" } " the same" } }
        @if differing.is_empty() { p.note { "Nothing but the seed: these are repetitions of one experiment." } } @else { div.scroll { table {
            thead { tr { th scope="col" { "setting" } @for (n, run) in runs.iter().enumerate() { th scope="col" { (name(n, run)) } } } }
            tbody { @for setting in differing { tr { th scope="row" { (clean_to(setting, 60)) }
                @for n in 0..runs.len() { td { @match value(n, setting) { Some(value) => (clean_to(value, 200)), None => "–" } } } } } }
        } } }
    } }
}

fn latencies(runs: &[Compared]) -> Markup {
    let spectra: Vec<Spectrum> = runs.iter().map(|run| run.spectrum.clone()).collect();
    let functions: BTreeSet<&String> =
        runs.iter().flat_map(|run| run.results.stats.functions.keys()).collect();
    html! { section.card aria-labelledby="h-latencies" {
        h2 #h-latencies { "Latency" small { "of answered operations, from when they were due (sent, where a history does not say)" } }
        @if spectra.iter().any(|points| !points.is_empty()) {
            @match overlay::chart(&spectra) {
                // Plotters wrote this from numbers alone.
                Ok(svg) => div.plot role="img" aria-label="Latency by percentile, one line per run" { (PreEscaped(svg)) },
                Err(error) => p.note { "This chart could not be drawn: " (error) },
            }
            p.note { "Read it so: at 99 %, the height is what 99 of 100 answers stayed below. Clients wait for answers before they ask again, so a stall is counted once per client." }
        }
        @for run in runs.iter().filter(|run| !run.without.is_empty()) { p.note { (run.row.id) ": " (clean_to(&run.without, 200)) } }
        div.scroll { table {
            thead { tr { th scope="col" { "p50 / p99 / longest" } @for (n, run) in runs.iter().enumerate() { th scope="col" { (name(n, run)) } } } }
            tbody { @for function in functions { (line(&clean_to(function, 60), runs, |run| html! { @match run.results.stats.functions.get(function) {
                Some(f) => { (span(f.p50)) " / " (span(f.p99)) " / " (span(f.max)) },
                None => "–",
            } })) } }
        } }
    } }
}

fn recoveries(runs: &[Compared]) -> Markup {
    let kinds: BTreeSet<&String> = runs.iter().flat_map(|run| run.recovery.iter().map(|r| &r.kind)).collect();
    if kinds.is_empty() {
        return html! {};
    }
    html! { section.card aria-labelledby="h-recovery" {
        h2 #h-recovery { "Faults" small { "what they cost" } }
        div.scroll { table {
            thead { tr { th scope="col" { "fault" } @for (n, run) in runs.iter().enumerate() { th scope="col" { (name(n, run)) } } } }
            tbody { @for kind in kinds { (line(&clean_to(kind, 60), runs, |run| cost(run.recovery.iter().find(|r| r.kind == **kind)))) } }
        } }
        p.note { (DEFINITIONS) " Of the faults of a kind: the longest outage, and the median time to recover." }
    } }
}

fn cost(recovery: Option<&Recovery>) -> Markup {
    html! { @match recovery {
        None => "–",
        Some(r) => {
            (r.bit) " of " (r.faults) " bit"
            @if r.outage > 0 { " · outage " (span(r.outage)) }
            @if !r.recovered.is_empty() { " · recovered in " (span(r.recovered[r.recovered.len() / 2])) }
            @if r.never > 0 { " · " (r.never) " did not recover before the end" }
            @if r.unseen > 0 { " · " (r.unseen) " cannot be told" }
        }
    } }
}

fn violations(runs: &[Compared], seen: &[Seen]) -> Markup {
    html! { section.card aria-labelledby="h-violations" {
        h2 #h-violations { "Violations" small { "by shape: kind, reasons, model and fault, not keys, values or times" } }
        @if seen.is_empty() { p.note { "None of these runs has one." } } @else {
            div.scroll { table {
                thead { tr { th scope="col" { "shape" } @for (n, run) in runs.iter().enumerate() { th scope="col" { (name(n, run)) } } th scope="col" { "in all runs of these setups" } } }
                tbody { @for shape in seen { tr {
                    th scope="row" { (clean_to(&shape.kind, 60)) " " code { (clean_to(&shape.fingerprint, 16)) } }
                    @for run in runs { @let n = run.results.anomalies.iter().filter(|a| a.fingerprint == shape.fingerprint).count(); td.bad[n > 0] { @if n > 0 { (count(n as u64)) } @else if matches!(run.row.state, State::Done(_)) { "none" } } }
                    td { (shape.sentence()) }
                } } }
            } }
            p.note { "A shape that was explained counts; of one run, at most " (count(100)) " violations are explained." }
        }
    } }
}
