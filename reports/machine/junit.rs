//! JUnit's XML, which every build server reads: a suite per history, a test case per property and key.
//!
//! There are two schemas: that of Ant (`JUnit.xsd`), which wants much, and that of Jenkins (`junit-10.xsd`), which is strict about
//! what else there is. What is written fits both, except that only a run has the time at which it began.

use super::{PLAIN, headline, of_object, subject};
use crate::clean;
use crate::terminal::{Paths, anomaly, around};
use history::results::{Answer, Judgement, ObjectJudgement, Results, Verdict};
use std::fmt::Write;

/// One document for all `results`, each with where its files are.
///
/// Violated is a failure, undecided an error, and what holds in a vacuous run is skipped: none of them is a pass. Only
/// the properties that were asked for are test cases, because the others do not decide.
pub fn junit(results: &[(&Results, &Paths)]) -> String {
    let mut suites = String::new();
    for (id, (results, paths)) in results.iter().enumerate() {
        suite(&clean::results(results), paths, id, &mut suites);
    }
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

#[derive(Default)]
struct Count {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    seconds: f64,
}

impl Count {
    fn attributes(&self) -> String {
        let Count { tests, failures, errors, seconds, .. } = self;
        format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\"")
    }
}

fn suite(results: &Results, paths: &Paths, id: usize, out: &mut String) {
    let mut count = Count::default();
    let mut cases = String::new();
    for judgement in results.judgements.iter().filter(|j| results.asked.contains(&j.property)) {
        count.seconds += judgement.seconds;
        for object in &judgement.objects {
            count.tests += 1;
            case(results, paths, judgement, object, &mut count, &mut cases);
        }
    }
    let run = results.run.as_ref();
    let name = run.map_or_else(|| results.checker.history.clone(), |run| run.workload.clone());
    let _ = write!(
        out,
        "  <testsuite id=\"{id}\" name=\"{}\" package=\"perjury\" hostname=\"localhost\"{} skipped=\"{}\"",
        escaped(&name),
        count.attributes(),
        count.skipped
    );
    if let Some(run) = run.filter(|run| chrono_like(&run.started)) {
        // Without the zone: the old schema knows none, and our times are UTC.
        let _ = write!(out, " timestamp=\"{}\"", escaped(run.started.trim_end_matches('Z')));
    }
    out.push_str(">\n    <properties>\n");
    let mut property = |name: &str, value: &str| {
        let _ = writeln!(out, "      <property name=\"{}\" value=\"{}\"/>", escaped(name), escaped(value));
    };
    property("verdict", &headline(results));
    property("history", &results.checker.history);
    property("perjury", &results.checker.version);
    if let Some(run) = run {
        property("system", &run.system);
        property("version", &run.version);
        property("seed", &run.seed.to_string());
        property("command", &run.command);
    }
    out.push_str("    </properties>\n");
    out.push_str(&cases);
    let _ = writeln!(out, "    <system-out>{}</system-out>", escaped(&headline(results)));
    let _ = writeln!(out, "    <system-err>{}</system-err>", escaped_lines(&results.warnings));
    out.push_str("  </testsuite>\n");
}

fn case(
    results: &Results,
    paths: &Paths,
    judgement: &Judgement,
    object: &ObjectJudgement,
    count: &mut Count,
    out: &mut String,
) {
    let of = if object.keys.is_empty() { "whole history".to_string() } else { object.keys.join(" ") };
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escaped(&subject(results).replace(' ', ".")),
        escaped(&format!("{}/{of}", judgement.property)),
        share(judgement, object)
    );
    let told = match object.answer {
        Answer::Violated => {
            count.failures += 1;
            Some(failure(results, paths, judgement, object))
        }
        Answer::Undecided => {
            count.errors += 1;
            Some(format!("<error type=\"undecided\" message=\"{}\"/>", escaped(&object.reason)))
        }
        Answer::Holds if results.verdict == Verdict::Vacuous => {
            count.skipped += 1;
            Some(format!("<skipped message=\"{}\"/>", escaped(&results.vacuous.join(" "))))
        }
        Answer::Holds => None,
    };
    match told {
        Some(told) => {
            let _ = writeln!(out, ">\n      {told}\n    </testcase>");
        }
        None => out.push_str("/>\n"),
    }
}

fn failure(results: &Results, paths: &Paths, judgement: &Judgement, object: &ObjectJudgement) -> String {
    let found: Vec<_> = of_object(results, &judgement.property, object).collect();
    let Some((_, first)) = found.first() else {
        return format!(
            "<failure type=\"{}\" message=\"no legal order explains these {} operations\"/>",
            escaped(&judgement.property),
            object.ops
        );
    };
    let texts: Vec<String> =
        found.iter().map(|(index, found)| anomaly(found, &around(results, paths, *index), &PLAIN)).collect();
    format!(
        "<failure type=\"{}\" message=\"{}\">{}</failure>",
        escaped(&first.kind),
        escaped(&first.sentence),
        escaped(&texts.join("\n"))
    )
}

/// Seconds of a case: those of its property, shared out by operations, because nobody takes the time of each key.
fn share(judgement: &Judgement, object: &ObjectJudgement) -> f64 {
    let all: f64 = judgement.objects.iter().map(|object| f64::from(object.ops)).sum();
    if all > 0.0 { judgement.seconds * f64::from(object.ops) / all } else { 0.0 }
}

/// Whether it is a time as the attribute must have it: what somebody else wrote there is left out.
fn chrono_like(time: &str) -> bool {
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00Z"
}

fn escaped_lines(lines: &[String]) -> String {
    escaped(&lines.join("\n"))
}

/// For attributes and for text. What no XML document may contain is replaced; line breaks are ours and stay.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push('\n'),
            '\u{a0}' | '\u{202f}' => out.push(' '),
            '\0'..='\x1f' | '\x7f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_written_elsewhere_becomes_markup() {
        assert_eq!(escaped("a<b & \"c\" 'd' ]]>"), "a&lt;b &amp; &quot;c&quot; &apos;d&apos; ]]&gt;");
        assert_eq!(escaped("\0\x1b\u{ffff}\n"), "\u{fffd}\u{fffd}\u{fffd}\n");
    }

    #[test]
    fn a_time_is_a_time() {
        assert!(chrono_like("2026-11-20T09:14:07Z"));
        assert!(!chrono_like("yesterday"));
    }
}
