//! A run's page: its verdict, its report, how often its violations were seen in repetitions of it, and its files.

use super::runs::{RunRow, State, moment, what};
use super::shell::{address, encoded, page, query};
use crate::clean::clean_to;
use crate::text::{bytes, count, many, span};
use maud::{Markup, html};

/// A file of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Below the run's directory: `n1/node.log`.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// How often a shape was seen in the runs of one setup.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its kind.
    pub kind: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Runs with it.
    pub with: u64,
    /// Runs that were judged.
    pub of: u64,
}

impl Seen {
    /// `seen in 3 of 40 runs (7.5 %, 95 % interval 1.6 to 20 %); 39 clean runs in a row are needed to be 95 % sure …`
    pub fn sentence(&self) -> String {
        let Seen { with, of, .. } = *self;
        let (low, high) = interval(with, of);
        let share = with as f64 / of.max(1) as f64;
        let seen = format!(
            "seen in {with} of {} ({} %, 95 % interval {} to {} %)",
            many(of, "run").replace('\u{a0}', " "),
            short(share),
            short(low),
            short(high)
        );
        // Where every run had it, the share says nothing of how rare it might be; its interval does.
        match clean_runs(if with == of { low } else { share }) {
            Some(needed) => format!(
                "{seen}; {} in a row {} needed to be 95 % sure that it is gone",
                many(needed, "clean run").replace('\u{a0}', " "),
                if needed == 1 { "is" } else { "are" }
            ),
            None => seen,
        }
    }
}

fn short(share: f64) -> String {
    crate::text::short(share * 100.0)
}

/// How many runs without it there must be in a row until it would have been seen with 95 %, if it still happened in
/// that share of runs. Nothing if it never did.
pub(super) fn clean_runs(share: f64) -> Option<u64> {
    if share <= 0.0 {
        return None;
    }
    Some(if share >= 1.0 { 1 } else { (0.05f64.ln() / (-share).ln_1p()).ceil() as u64 })
}

/// The interval of Clopper and Pearson that holds the true share with 95 %: those under which neither so few nor so many
/// would be a surprise of 2.5 %. By bisection, O(n · 50).
pub(super) fn interval(with: u64, of: u64) -> (f64, f64) {
    let at_least = |p: f64| 1.0 - at_most(with.saturating_sub(1), of, p);
    let low = if with == 0 { 0.0 } else { bisect(|p| at_least(p) >= 0.025) };
    let high = if with >= of { 1.0 } else { bisect(|p| at_most(with, of, p) <= 0.025) };
    (low, high)
}

/// The smallest share that is enough, where enough stays enough.
fn bisect(enough: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if enough(middle) { high = middle } else { low = middle }
    }
    (low + high) / 2.0
}

/// The probability of at most `k` of `n`, each with `p`. By logarithms, so that thousands of runs do not underflow.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if p <= 0.0 || k >= n {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let (yes, no) = (p.ln(), (-p).ln_1p());
    let mut term = n as f64 * no;
    let mut sum = term.exp();
    for i in 0..k {
        term += ((n - i) as f64 / (i + 1) as f64).ln() + yes - no;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// The page. `headline` is the verdict in a sentence, `before` the run of the same setup before this one.
pub fn run(
    row: &RunRow,
    headline: &str,
    seen: &[Seen],
    before: Option<&str>,
    files: &[Kept],
    more: u64,
    command: &str,
) -> String {
    let here = address(&row.id);
    let has = |name: &str| files.iter().any(|file| file.path == name);
    let bad = row.state == State::Done(history::results::Verdict::Invalid);
    let body = html! {
        section.card.run-head {
            h1 { span class={ "state " (row.state.word()) } { (row.state.glyph()) } " " @if bad { em.bad { (clean_to(headline, 400)) } } @else { (clean_to(headline, 400)) } }
            p.lede {
                (clean_to(&row.system, 60)) " " (clean_to(&row.version, 40)) " · " (clean_to(&row.workload, 60)) " · began " (moment(row)) " UTC"
                @if row.ops > 0 { " · " (count(row.ops)) " operations" }
                @if row.duration_ns > 0 { " in " (span(row.duration_ns)) }
                @if let Some(seed) = row.seed { " · seed " (seed) }
            }
            @if matches!(row.state, State::Done(_)) && !row.shapes.is_empty() { p.lede { (what(row)) } }
            p.links {
                @if has("report.html") { a.button href={ (here) "files/report.html" } { "Open the report alone" } }
                @if let Some(before) = before { a.button href=(query("/compare", &[("run", &row.id)]) + "&run=" + &encoded(before)) { "Compare with the run before" } }
                a.button href="#files" { "Files" }
            }
            @if !seen.is_empty() {
                ul.seen { @for seen in seen { li { strong { (clean_to(&seen.kind, 60)) } " " code { (clean_to(&seen.fingerprint, 16)) } " " (seen.sentence()) "." } } }
            }
            @if !command.is_empty() { pre tabindex="0" { (clean_to(command, 2000)) } }
        }
        @if has("report.html") {
            iframe.report src={ (here) "files/report.html" } title="The report of this run" {}
        } @else {
            section.card { p.note { (missing(row)) } }
        }
        (kept(&here, files, more))
    };
    page(&row.id, false, &body)
}

fn missing(row: &RunRow) -> Markup {
    html! { @match row.state {
        State::CutOff => { "The controller of this run did not come to its end, so there is no verdict. What was recorded can be judged: " code { "perjury check" } " with its directory." },
        State::Live | State::Done(_) | State::Unreadable => { "There is no report here. " code { "perjury report" } " with the directory of the run makes it." },
    } }
}

fn kept(here: &str, files: &[Kept], more: u64) -> Markup {
    html! { section.card #files aria-labelledby="h-files" {
        h2 #h-files { "Files" small { (many(files.len() as u64, "file")) @if more > 0 { ", and " (count(more)) " more that are not listed" } } }
        div.scroll { table {
            thead { tr { th scope="col" { "file" } th.num scope="col" { "size" } th scope="col" { span.away { "save" } } } }
            tbody { @for file in files {
                @let href = format!("{here}files/{}", file.path.split('/').map(encoded).collect::<Vec<_>>().join("/"));
                tr { td { a href=(href) { (clean_to(&file.path, 200)) } } td.num { (bytes(file.size)) } td { a href=(href) download { "save" } } }
            } }
        } }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_clopper_and_pearson() {
        // The known figures for 3 of 40, and the rule of three for none at all.
        let (low, high) = interval(3, 40);
        assert!((low - 0.0157).abs() < 5e-4 && (high - 0.2039).abs() < 5e-4, "{low} {high}");
        let (low, high) = interval(0, 100);
        assert!(low == 0.0 && (high - 0.0362).abs() < 5e-4, "{low} {high}");
        assert_eq!(interval(5, 5).1, 1.0);
        let (low, high) = interval(5000, 10_000);
        assert!((low - 0.4901).abs() < 1e-3 && (high - 0.5099).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn clean_runs_are_counted_as_the_formula_says() {
        assert_eq!(clean_runs(3.0 / 40.0), Some(39));
        assert_eq!(clean_runs(1.0), Some(1));
        assert_eq!(clean_runs(0.5), Some(5));
        assert_eq!(clean_runs(0.0), None);
        let seen = Seen { kind: "stale-read".into(), fingerprint: "9f".into(), with: 3, of: 40 };
        assert_eq!(
            seen.sentence(),
            "seen in 3 of 40 runs (7.5 %, 95 % interval 1.57 to 20.4 %); 39 clean runs in a row are needed to be 95 % sure that it is gone"
        );
    }
}
