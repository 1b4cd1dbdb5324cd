//! The top of the page: what is decided, in one sentence, what happened, and what the history still guarantees.

use crate::plan::shown;
use crate::story::story;
use crate::summary::{adjective, glyph, kind_title, part, sentence, tally};
use crate::text::{count, list, many, title};
use crate::timeline::band_class;
use history::results::{Answer, Judgement, Results, Verdict};
use maud::{Markup, html};

/// The top of the page.
pub fn verdict(results: &Results) -> Markup {
    let sentence = sentence(results);
    html! {
        section.hero aria-labelledby="h-verdict" {
            div.verdict {
                div class={ "glyph " (tone(results.verdict)) } aria-hidden="true" { (glyph(results.verdict)) }
                div {
                    h1 #h-verdict { em class=(tone(results.verdict)) { (sentence.strong) } ": " (sentence.rest) "." }
                    (lede(results))
                    (chips(results))
                }
            }
            (guarantees(results))
        }
    }
}

/// The colour of a verdict. Red is a violation and nothing else.
pub fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "good",
        Verdict::Invalid => "bad",
        Verdict::Undecided | Verdict::Vacuous => "open",
    }
}

fn lede(results: &Results) -> Markup {
    html! {
        @match results.verdict {
            Verdict::Valid => p.lede {
                "One legal order explains everything that the clients saw. It was found by search, and replayed by separate code."
            },
            Verdict::Invalid => @match results.anomalies.first() {
                Some(anomaly) => p.lede { (story(anomaly)) },
                None => p.lede { "The search tried every order and found none. No small core was extracted, so there is no picture." },
            },
            Verdict::Undecided => p.lede {
                "This is neither a pass nor a violation: no legal order was found, and none was ruled out. More time or memory may decide it; see "
                a href="#again" { "how to run it again" } "."
            },
            Verdict::Vacuous => {
                p.lede { "Every check passed, but the run put too little to the test for that to mean anything." }
                @if results.vacuous.len() > 1 { ul.lede { @for reason in &results.vacuous { li { (reason) } } } }
            },
        }
    }
}

fn chips(results: &Results) -> Markup {
    let stats = &results.stats;
    let first = results.anomalies.first();
    let total = results.anomalies.len() as u64 + u64::from(results.anomalies_more);
    html! {
        ul.chips {
            @if results.run.as_ref().is_some_and(|r| r.interrupted) { li.chip.open { "Interrupted" } }
            @match first {
                Some(anomaly) if results.verdict == Verdict::Invalid => {
                    li.chip.bad { (kind_title(&anomaly.kind)) }
                    @if let Some(key) = &anomaly.key { li.chip { "key " (key)
                        @if let Some(j) = results.judgements.iter().find(|j| j.property == anomaly.property && j.objects.len() > 1) {
                            " · " (part(j, tally(j).1)) } } }
                    li.chip { (count(shown(anomaly).len() as u64)) " of " (many(stats.ops, "operation")) }
                    @for c in anomaly.coincides.iter().take(2) {
                        li class={ "chip " (band_class(&c.kind)) } { "during " (c.kind) " " (c.what) }
                    }
                    @if total > 1 { li.chip { "first of " (many(total, "anomaly")) } }
                },
                Some(_) | None => {
                    li.chip { (many(stats.ok, "ok answer")) }
                    @if stats.info > 0 { li.chip { (count(stats.info)) " never answered" } }
                    @if stats.processes > 0 { li.chip { (many(stats.processes, "process")) } }
                    @let bit = results.faults.iter().filter(|f| f.bit.is_some()).count() as u64;
                    @if !results.faults.is_empty() { li.chip { (count(bit)) " of " (many(results.faults.len() as u64, "fault")) " seen to bite" } }
                },
            }
        }
    }
}

struct Rung {
    name: String,
    scope: String,
    class: &'static str,
    tag: String,
}

fn guarantees(results: &Results) -> Markup {
    let rungs = rungs(results);
    let heading = if results.verdict == Verdict::Invalid {
        "What the history still guarantees"
    } else {
        "What the history guarantees"
    };
    html! {
        div.ladder role="group" aria-labelledby="h-ladder" {
            h2.sub #h-ladder { (heading) }
            dl {
                @for rung in rungs {
                    div { dt { (rung.name) @if !rung.scope.is_empty() { " " small { (rung.scope) } } }
                        dd { span class={ "tag " (rung.class) } { (rung.tag) } } }
                }
            }
        }
    }
}

/// Everything that was judged, then what follows from it, then what nobody looked at.
fn rungs(results: &Results) -> Vec<Rung> {
    let mut rungs: Vec<Rung> =
        results.judgements.iter().map(|j| rung(j, results.verdict, results.stats.keys)).collect();
    let judged = |p: &str| results.judgements.iter().find(|j| j.property == p);
    let holds = |p: &str| judged(p).is_some_and(|j| j.answer == Answer::Holds && whole(j));
    let vacuous = results.verdict == Verdict::Vacuous;
    let implied = |name: &str, yes: bool| Rung {
        name: name.to_string(),
        scope: if yes { "implied".to_string() } else { String::new() },
        class: if yes && !vacuous { "yes" } else { "none" },
        tag: if yes && !vacuous { "✓ holds".to_string() } else { "not checked".to_string() },
    };
    let linearizable = judged("linearizable").is_some_and(|j| j.answer == Answer::Holds);
    if judged("linearizable").is_none() {
        // Whatever is linearizable keeps all the others.
        let broken = results.judgements.iter().any(|j| j.answer == Answer::Violated);
        rungs.push(match broken {
            true => Rung {
                name: "Linearizable".to_string(),
                scope: "implied".to_string(),
                class: "no",
                tag: "✗ violated".to_string(),
            },
            false => implied("Linearizable", false),
        });
    }
    if judged("sequential").is_none() {
        rungs.push(implied("Sequentially consistent", linearizable));
    }
    if results.ladder.is_none() {
        rungs.push(implied("Causal, and within sessions", linearizable || holds("sequential")));
    }
    rungs
}

/// Sequential consistency of each key alone says nothing about all keys together.
fn whole(judgement: &Judgement) -> bool {
    judgement.property != "sequential" || !judgement.scope.contains("per key") || judgement.objects.len() < 2
}

/// `keys`: how many the history names.
fn rung(judgement: &Judgement, verdict: Verdict, keys: u64) -> Rung {
    let (class, tag) = match (judgement.answer, whole(judgement)) {
        (Answer::Holds, _) if verdict == Verdict::Vacuous => ("open", "held, barely tested".to_string()),
        (Answer::Holds, true) => ("yes", "✓ holds".to_string()),
        (Answer::Holds, false) => ("yes", "✓ coherent, per key only".to_string()),
        (Answer::Violated, _) => ("no", "✗ violated".to_string()),
        (Answer::Undecided, _) => {
            let (_, _, open) = tally(judgement);
            (
                "open",
                if judgement.objects.len() > 1 {
                    format!("? open for {}", count(open))
                } else {
                    "? undecided".to_string()
                },
            )
        }
    };
    let violated = tally(judgement).1;
    let scope = if judgement.answer == Answer::Violated && judgement.objects.len() > 1 {
        part(judgement, violated)
    } else {
        match &judgement.objects[..] {
            // Keys that operations share are one object.
            [one] if (2..=3).contains(&one.keys.len()) && (keys == 0 || one.keys.len() as u64 <= keys) => {
                format!("{} together", list(&one.keys))
            }
            [one] if one.keys.len() == 1 && judgement.scope.contains("key") => String::new(),
            _ => judgement.scope.clone(),
        }
    };
    Rung { name: title(&adjective(&judgement.property)), scope, class, tag }
}
