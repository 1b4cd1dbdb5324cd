//! The page: one file, no request. A Content-Security-Policy forbids everything but its own style sheet and script, both
//! named by their hash. Everything above the timeline, and a timeline that stands still, is there without the script.

use crate::base64::base64;
use crate::buckets::{Axis, buckets};
use crate::chosen::OPS_MAX;
use crate::downloads::GZIP;
use crate::logged::Logs;
use crate::script::script;
use crate::summary::{glyph, sentence};
use crate::{
    anomaly, charts, checked, clean, downloads, embed, faults, figures, origin, tables, timeline, verdict,
};
use history::History;
use history::results::Results;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");

/// A run, or a history that was checked, as one self-contained page.
///
/// `logs` is what the nodes wrote into their logs, as far as anybody knows: none of a history without a run.
/// The page works from disk and makes no request, whatever the history holds. `results` and `history`
/// should be of the same run; where they are not, the charts show `history` and everything else `results`.
/// O(n log n) in the operations. A page takes 5 to 15 bytes per operation, up to [`OPS_MAX`] of them;
/// beyond that it holds those that matter most, and says so.
pub fn html(results: &Results, history: &History, logs: &Logs) -> String {
    html_of(results, history, logs, OPS_MAX)
}

/// The same with at most `most` operations to be browsed: `usize::MAX` puts in all, whatever that makes of its size.
pub fn html_of(results: &Results, history: &History, logs: &Logs, most: usize) -> String {
    let raw = results;
    let results = &clean::results(results);
    let axis = Axis::of(history, &results.faults);
    let slices = axis.map(|axis| buckets(axis, &results.faults, history.ops.iter())).unwrap_or_default();
    let packed = axis.map(|axis| embed::pack(results, history, logs, axis, most));
    let charts = axis.map(|axis| charts::charts(axis, results, history, &slices));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(results))
            body {
                a.skip href="#main" { "Skip to the verdict" }
                (header(results))
                main #main.wrap {
                    (verdict::verdict(results))
                    (checked::not_tested(results))
                    (anomaly::cards(results, history, logs))
                    (figures::figures(results, history))
                    (timeline::timeline(results, history, logs, axis, &slices))
                    (anomaly::table(results))
                    @if let Some(charts) = charts { (charts) }
                    @if let Some(axis) = axis { (timeline::availability(results, history, axis)) }
                    (faults::faults(results, history, axis))
                    (tables::tables(results))
                    (checked::checked(results))
                    (origin::origin(results))
                    (downloads::downloads(raw, results, history, logs))
                }
                footer.wrap { "Made by perjury " (results.checker.version) " from results.json and the history alone" @if !logs.lines.is_empty() { ", and the logs of the nodes" } ". Results: " code { (results.schema) } "." }
                // Base64 holds no character that could end the element.
                @if let Some(packed) = &packed { script #ops type="application/octet-stream" { (PreEscaped(packed)) } }
                script { (PreEscaped(script())) }
            }
        }
    };
    page.into_string()
}

/// What a page says and shows: without what all pages share, which is the script, the style sheet and the policy that
/// names both, and without what is packed in it, of which nobody promises how well.
pub fn shown(page: &str) -> String {
    let without = |text: String, from: &str, to: &str| {
        let Some((before, rest)) = text.split_once(from) else { return text };
        let after = rest.split_once(to).map_or("", |(_, after)| after);
        format!("{before}{after}")
    };
    let text = without(page.to_string(), "<meta http-equiv=\"Content-Security-Policy\"", ">");
    let text = without(text, "<style>", "</style>");
    let text = without(text, "<script id=\"ops\"", "</script>");
    let text = without(text, &format!("href=\"data:{GZIP}"), "</small>");
    without(text, "<script>", "</script>")
}

fn head(results: &Results) -> Markup {
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(script()),
        hash(STYLE)
    );
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width,initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            title { (glyph(results.verdict)) " " (sentence(results).strong) " · " (subject(results)) }
            // Browsers ask a server for an icon unless the page has one.
            link rel="icon" href="data:,";
            style { (PreEscaped(STYLE)) }
        }
    }
}

fn subject(results: &Results) -> String {
    match &results.run {
        Some(run) => format!("{} {}", run.system, run.workload),
        None => results.checker.history.clone(),
    }
}

fn header(results: &Results) -> Markup {
    let has_faults = !results.faults.is_empty();
    html! {
        header.top { div.wrap {
            span.brand {
                svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true" { path d="M3 4h5M6 9h9M10 14h5" {} }
                "perjury"
            }
            span.about { @match &results.run {
                Some(run) => { (run.workload) " · " (run.system) " " (run.version) @if !run.nodes.is_empty() { " ×" (run.nodes.len()) } " · " (run.started) " · seed " (run.seed) },
                None => (results.checker.history),
            } }
            nav aria-label="Sections" {
                @if let Some(first) = results.anomalies.first() { a href={ "#a" (first.id) } { "Anomaly" } }
                a href="#timeline" { "Timeline" }
                @if results.stats.duration_ns > 0 { a href="#latency" { "Performance" } }
                @if has_faults { a href="#faults" { "Faults" } }
                a href="#checked" { "Checker" }
                a href="#again" { "Run again" }
                a href="#data" { "Data" }
            }
        } }
    }
}

/// SHA-256 in base64, as a Content-Security-Policy names a style sheet.
fn hash(text: &str) -> String {
    base64(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_shows_is_all_but_what_pages_share() {
        let page = |script: &str, ops: &str, text: &str| {
            format!(
                "<head><meta http-equiv=\"Content-Security-Policy\" content=\"x {script}\"><style>{script}</style></head><body>{text}<script id=\"ops\" type=\"x\">{ops}</script><script>{script}</script></body>"
            )
        };
        assert_eq!(shown(&page("a", "b", "c")), "<head></head><body>c</body>");
        assert_ne!(shown(&page("a", "b", "c")), shown(&page("a", "b", "d")));
    }

    #[test]
    fn the_hash_is_the_one_that_browsers_compute() {
        // The well-known digest of the empty text.
        assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
