//! GitHub Actions: annotations as workflow commands, and the summary of a job in Markdown.

use super::{PLAIN, first_of_shape, headline, others_of_shape, subject};
use crate::clean;
use crate::summary::{glyph, orders_heading};
use crate::terminal::{Paths, anomaly, around};
use crate::text::many;
use history::results::{Anomaly, Results, Verdict};
use std::fmt::Write;

/// Violations that the summary of a job shows in full.
const FULL_MAX: usize = 3;

/// One line per shape of violation, or one for the verdict: what the runner shows beside the job.
pub fn annotations(results: &Results, paths: &Paths) -> String {
    let results = &clean::results(results);
    let mut out = String::new();
    let mut command = |level: &str, title: &str, place: &str, message: &str| {
        let _ = writeln!(out, "::{level} title={}{place}::{}", property(title), data(message));
    };
    let head = headline(results);
    match results.verdict {
        Verdict::Invalid if !results.anomalies.is_empty() => {
            for (index, found) in results.anomalies.iter().enumerate() {
                if first_of_shape(results, index) {
                    let title =
                        found.key.as_ref().map_or(found.kind.clone(), |k| format!("{} ({k})", found.kind));
                    command("error", &title, &place(found, paths), &told(results, index));
                }
            }
        }
        Verdict::Invalid => command("error", "violated", "", &head),
        Verdict::Undecided => command("warning", "undecided", "", &head),
        Verdict::Vacuous => {
            command("warning", "vacuous", "", &format!("{head} {}", results.vacuous.join(" ")))
        }
        Verdict::Valid => command("notice", "valid", "", &format!("{}: {head}", subject(results))),
    }
    out
}

/// Only a file of the repository can be shown: one below the directory of the job.
fn place(anomaly: &Anomaly, paths: &Paths) -> String {
    let file = paths
        .history
        .as_deref()
        .filter(|path| !path.starts_with('/') && !path.starts_with("..") && *path != "-");
    let line = anomaly.ops.iter().find(|op| op.fatal).or(anomaly.ops.last()).map_or(0, |op| op.invoke_line);
    match file {
        Some(file) if line > 0 => format!(",file={},line={line}", property(file)),
        Some(_) | None => String::new(),
    }
}

fn told(results: &Results, index: usize) -> String {
    let found = &results.anomalies[index];
    let mut text = format!("{}: {}.", subject(results), found.sentence.trim_end_matches('.'));
    if !found.story.is_empty() {
        let _ = write!(text, " {}", found.story);
    }
    let others = others_of_shape(results, index);
    if others > 0 {
        let _ = write!(text, " {others} more of the same shape.");
    }
    text.replace(['\u{a0}', '\u{202f}'], " ")
}

/// The message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The summary of a job, in Markdown: the verdict, the first violations with their orders, and how to see them again.
pub fn summary(results: &Results, paths: &Paths) -> String {
    let results = &clean::results(results);
    let mut out = format!("### {} {}\n\n", glyph(results.verdict), text(&headline(results)));
    out.push_str("| what | value |\n");
    out.push_str("| --- | --- |\n");
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "| {name} | {} |", text(value));
        }
    };
    row("subject", &subject(results));
    row("operations", &many(results.stats.ops, "operation").replace('\u{a0}', " "));
    if let Some(run) = &results.run {
        row("version", &run.version);
        row("seed", &run.seed.to_string());
        let bit = results.faults.iter().filter(|fault| fault.bit.is_some()).count();
        row("faults", &format!("{bit} of {} bit", results.faults.len()));
    }
    out.push('\n');
    let shapes: Vec<usize> = (0..results.anomalies.len()).filter(|&i| first_of_shape(results, i)).collect();
    for &index in shapes.iter().take(FULL_MAX) {
        full(results, paths, index, &mut out);
    }
    if shapes.len() > FULL_MAX {
        let _ = writeln!(out, "and {}\n", many((shapes.len() - FULL_MAX) as u64, "more shape"));
    }
    for reason in results.vacuous.iter().chain(&results.not_tested) {
        let _ = writeln!(out, "- {}", text(reason));
    }
    if let Some(run) = results.run.as_ref().filter(|run| !run.command.is_empty()) {
        let _ = writeln!(out, "\nRun it again:\n{}", block(&run.command));
    }
    out
}

fn full(results: &Results, paths: &Paths, index: usize, out: &mut String) {
    let found = &results.anomalies[index];
    let _ = writeln!(out, "**{}** {}\n", text(&found.kind), text(&told(results, index)));
    if !found.orders.is_empty() {
        let _ = writeln!(
            out,
            "{}:\n\n| order | breaks at | because | orders |\n| --- | --- | --- | --- |",
            orders_heading(found)
        );
        for row in &found.orders {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                text(&row.prefix.join(" ")),
                text(&row.breaks_at),
                text(&row.because),
                row.count
            );
        }
        out.push('\n');
    }
    let drawn = anomaly(found, &around(results, paths, index), &PLAIN);
    let _ = writeln!(
        out,
        "<details><summary>The operations over time</summary>\n\n{}\n</details>\n",
        block(&drawn)
    );
}

/// As text: nothing in it is taken for Markdown or HTML.
fn text(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '\u{a0}' | '\u{202f}' | '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A name after an at sign would be told that it was spoken of, a number after # would become a link.
            '@' | '#' => {
                out.push(c);
                out.push('\u{200b}');
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// As a block of code, behind a fence that nothing in it can close.
fn block(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}", code.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_speak_to_the_runner() {
        assert_eq!(data("50%\n::error::no"), "50%25%0A::error::no");
        assert_eq!(property("a:b,c"), "a%3Ab%2Cc");
    }

    #[test]
    fn a_value_cannot_leave_its_cell_or_its_block() {
        assert_eq!(text("a|b\n<img>"), "a\\|b &lt;img&gt;");
        assert_eq!(block("x\n````\ny"), "`````text\nx\n````\ny\n`````");
    }
}
