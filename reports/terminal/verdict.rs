//! The last lines of every command that judges: the verdict, and where to read on.

use super::Look;
use super::style::Ink;
use crate::clean;
use crate::summary::{adjective, glyph, noun, part, sentence, tally};
use crate::text::{count, list, many, span};
use history::results::{Answer, Judgement, Ladder, Results, Verdict};

/// Where things were written; what was not written is absent.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// The history.
    pub history: Option<String>,
    /// The page.
    pub report: Option<String>,
    /// The core of each anomaly, in their order.
    pub cores: Vec<String>,
}

/// What was judged beside the properties that were asked for, and why a verdict is not plain or what it does not cover,
/// a line each.
/// Stands before the verdict, which is the last line but for the path.
pub fn beside(results: &Results, look: &Look) -> String {
    let results = &clean::results(results);
    let mut out = String::new();
    if let Some(ladder) = &results.ladder {
        for line in standing(results, ladder) {
            out.push_str(&format!("  {}\n", look.say(&line)));
        }
    }
    for judgement in
        results.judgements.iter().filter(|j| results.ladder.is_none() && !results.asked.contains(&j.property))
    {
        out.push_str(&format!("  {}\n", look.paint(Ink::Faint, &look.say(&also(judgement)))));
    }
    for line in results.delivery.iter().map(crate::delivery::sentence) {
        out.push_str(&format!("  {}\n", look.say(&line)));
    }
    for line in reasons(results) {
        out.push_str(&format!("  {}\n", look.say(&line)));
    }
    out
}

/// The verdict in one line, and last the path of the report. Ends with a line break.
pub fn verdict(results: &Results, paths: &Paths, look: &Look) -> String {
    let results = &clean::results(results);
    let (sign, ink) = sign(results.verdict, look);
    let mut out = String::new();
    let mut facts = Vec::new();
    if results.run.as_ref().is_some_and(|r| r.interrupted) {
        facts.push("interrupted".to_string());
    }
    facts.extend(extent(results));
    facts.push(operations(results));
    let bit = results.faults.iter().filter(|f| f.bit.is_some()).count() as u64;
    if !results.faults.is_empty() {
        facts.push(format!("{} of {} bit", count(bit), many(results.faults.len() as u64, "fault")));
    }
    let seconds: f64 = results.judgements.iter().map(|j| j.seconds).sum();
    facts.push(format!("checked in {}", span((seconds * 1e9) as i64)));
    if let Some(run) = &results.run {
        facts.push(format!("seed {}", run.seed));
    }
    let strong = look.paint(ink, &look.say(&format!("{sign} {}", short(results))));
    out.push_str(&format!("{strong}   {}\n", look.say(&facts.join("   "))));
    if let Some(path) = &paths.report {
        out.push_str(&format!("  {path}\n"));
    }
    out
}

fn sign(verdict: Verdict, look: &Look) -> (&'static str, Ink) {
    let ink = match verdict {
        Verdict::Valid => Ink::Good,
        Verdict::Invalid => Ink::Bad,
        Verdict::Undecided | Verdict::Vacuous => Ink::Unknown,
    };
    let ascii = match verdict {
        Verdict::Valid => "OK",
        Verdict::Invalid => "X",
        Verdict::Undecided => "?",
        Verdict::Vacuous => "!",
    };
    (if look.unicode { glyph(verdict) } else { ascii }, ink)
}

/// `not linearizable`, `undecided`.
fn short(results: &Results) -> String {
    match results.verdict {
        Verdict::Valid => list(&crate::summary::asked(results)),
        Verdict::Invalid => {
            let violated = results
                .judgements
                .iter()
                .filter(|j| j.answer == Answer::Violated && results.asked.contains(&j.property));
            let names: Vec<String> = violated.map(|j| format!("not {}", adjective(&j.property))).collect();
            if names.is_empty() { "not what was asked".to_string() } else { list(&names) }
        }
        Verdict::Undecided => "undecided".to_string(),
        Verdict::Vacuous => "vacuous: too little was tested".to_string(),
    }
}

fn asked(results: &Results) -> Option<&Judgement> {
    let mut asked = results.judgements.iter().filter(|j| results.asked.contains(&j.property));
    let worst = asked.clone().find(|j| j.answer != Answer::Holds);
    worst.or_else(|| asked.next())
}

/// How much of the history the verdict is about: `1 of 12 keys, 3 anomalies`.
fn extent(results: &Results) -> Option<String> {
    let judgement = asked(results)?;
    let (_, violated, open) = tally(judgement);
    let anomalies = results.anomalies.len() as u64 + u64::from(results.anomalies_more);
    match results.verdict {
        Verdict::Invalid if judgement.objects.len() > 1 => {
            Some(format!("{}, {}", part(judgement, violated), many(anomalies, "anomaly")))
        }
        Verdict::Invalid => (anomalies > 0).then(|| many(anomalies, "anomaly")),
        Verdict::Undecided if judgement.objects.len() > 1 => Some(part(judgement, open)),
        Verdict::Undecided => None,
        Verdict::Valid | Verdict::Vacuous => {
            (judgement.objects.len() > 1).then(|| many(judgement.objects.len() as u64, noun(judgement)))
        }
    }
}

fn operations(results: &Results) -> String {
    let ops = many(results.stats.ops, "operation");
    if results.stats.duration_ns > 0 { format!("{ops} in {}", span(results.stats.duration_ns)) } else { ops }
}

fn reasons(results: &Results) -> Vec<String> {
    match results.verdict {
        Verdict::Valid => results.not_tested.iter().map(|what| format!("not tested: {what}")).collect(),
        Verdict::Invalid => Vec::new(),
        Verdict::Undecided => vec![sentence(results).rest],
        Verdict::Vacuous => results.vacuous.clone(),
    }
}

/// Where the history stands among all properties, and how old what was read was.
fn standing(results: &Results, ladder: &Ladder) -> Vec<String> {
    let names = |rungs: &[String]| list(&rungs.iter().map(|rung| adjective(rung)).collect::<Vec<_>>());
    let mut lines = Vec::new();
    if !ladder.holds.is_empty() {
        lines.push(format!("the strongest that hold: {}", names(&ladder.holds)));
    }
    if !ladder.violated.is_empty() {
        lines.push(format!("the weakest that are violated: {}", names(&ladder.violated)));
    }
    for rung in &ladder.undecided {
        let judged = results.judgements.iter().find(|j| j.property == *rung);
        let reason = judged.and_then(|j| j.objects.iter().find(|o| !o.reason.is_empty()));
        let reason = reason.map_or(String::new(), |object| format!(": {}", object.reason));
        lines.push(format!("not decided: {}{reason}", adjective(rung)));
    }
    match &ladder.staleness {
        Some(stale) if stale.stale_reads > 0 => {
            let age = stale.age_ns.map_or(String::new(), |age| format!(", replaced {} before", span(age)));
            let versions = many(stale.versions, "version");
            lines.push(format!(
                "the oldest value read was {versions} old{age}; {} of {} saw a replaced value",
                count(stale.stale_reads),
                many(stale.reads, "read")
            ));
        }
        Some(stale) if stale.reads > 0 => {
            lines.push(format!("no stale read among {}", many(stale.reads, "read")));
        }
        Some(_) | None => {}
    }
    lines
}

/// A property that nobody asked for, in a line: `sequentially consistent: holds`.
fn also(judgement: &Judgement) -> String {
    let answer = match judgement.answer {
        Answer::Holds => "holds",
        Answer::Violated => "violated",
        Answer::Undecided => "undecided",
    };
    format!("{}: {answer} ({})", adjective(&judgement.property), judgement.scope)
}
