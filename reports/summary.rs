//! The verdict in one sentence, the same on the page and in the terminal.

use crate::text::{count, list, many, plural, title};
use history::results::{Anomaly, Answer, Judgement, Results, Verdict};

/// A sentence in two parts: what is decided, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// `Not linearizable`.
    pub strong: String,
    /// `a client read a value after it had been overwritten`.
    pub rest: String,
}

/// The one sentence of the whole report.
pub fn sentence(results: &Results) -> Sentence {
    let (strong, rest) = match results.verdict {
        Verdict::Valid => (title(&list(&asked(results))), about(results)),
        Verdict::Invalid => invalid(results),
        Verdict::Undecided => undecided(results),
        Verdict::Vacuous => {
            let reason =
                results.vacuous.first().map_or("the run tested too little", |r| r.trim_end_matches('.'));
            ("Nothing was proved".to_string(), lower_first(reason))
        }
    };
    Sentence { strong, rest }
}

/// What a kind of anomaly is called in a word or two.
pub fn kind_title(kind: &str) -> String {
    match kind {
        "not-read-your-writes" => "Own write not seen".to_string(),
        "non-monotonic" => "Non-monotonic reads".to_string(),
        "set-lost" => "Lost element".to_string(),
        "set-stale" => "Stale element".to_string(),
        "set-resurrected" => "Element came back".to_string(),
        "store-buffer" => "Both writes missed".to_string(),
        "lock-shared" => "Lock held twice".to_string(),
        "generic" => "No legal order".to_string(),
        _ => title(kind),
    }
}

/// The properties that were asked for, as adjectives.
pub fn asked(results: &Results) -> Vec<String> {
    results.asked.iter().map(|p| adjective(p)).collect()
}

/// A property as what a history is: `linearizable`, `sequentially consistent`.
pub fn adjective(property: &str) -> String {
    match property {
        "sequential" => "sequentially consistent".to_string(),
        "causal" => "causally consistent".to_string(),
        "causal-convergence" => "causally convergent".to_string(),
        "coherence" => "coherent".to_string(),
        "pram" => "PRAM consistent".to_string(),
        "causal-memory"
        | "read-your-writes"
        | "monotonic-reads"
        | "monotonic-writes"
        | "writes-follow-reads" => {
            format!("{property} consistent")
        }
        _ => property.replace('-', " "),
    }
}

/// The sign of a verdict.
pub fn glyph(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "✓",
        Verdict::Invalid => "✗",
        Verdict::Undecided => "?",
        Verdict::Vacuous => "!",
    }
}

/// How many objects of a judgement have each answer: held, violated, undecided.
pub fn tally(judgement: &Judgement) -> (u64, u64, u64) {
    let of = |answer| judgement.objects.iter().filter(|o| o.answer == answer).count() as u64;
    (of(Answer::Holds), of(Answer::Violated), of(Answer::Undecided))
}

/// What the objects of a judgement are: keys, or the history as a whole.
pub fn noun(judgement: &Judgement) -> &'static str {
    let by_key = judgement.objects.iter().any(|o| !o.keys.is_empty()) && judgement.objects.len() > 1;
    match (by_key, judgement.objects.iter().all(|o| o.keys.len() == 1)) {
        (true, true) => "key",
        (true, false) => "group of keys",
        (false, _) => "object",
    }
}

/// `1 of 12 keys`.
pub fn part(judgement: &Judgement, n: u64) -> String {
    let all = judgement.objects.len() as u64;
    let noun = noun(judgement);
    let nouns = if all == 1 { noun.to_string() } else { plural(noun) };
    format!("{} of {} {nouns}", count(n), count(all))
}

fn about(results: &Results) -> String {
    let mut text = many(results.stats.ops, "operation");
    if results.stats.keys > 0 {
        text.push_str(&format!(" on {}", many(results.stats.keys, "key")));
    }
    let bit = results.faults.iter().filter(|f| f.bit.is_some()).count() as u64;
    if bit > 0 {
        text.push_str(&format!(", through {}", many(bit, "fault")));
    }
    text
}

fn judged(results: &Results, answer: Answer) -> Option<&Judgement> {
    let asked = results.judgements.iter().filter(|j| results.asked.contains(&j.property));
    asked.into_iter().find(|j| j.answer == answer)
}

fn invalid(results: &Results) -> (String, String) {
    let judgement = judged(results, Answer::Violated);
    let property =
        judgement.map(|j| j.property.clone()).or_else(|| results.asked.first().cloned()).unwrap_or_default();
    let strong = format!("Not {}", adjective(&property));
    let of_it = results.anomalies.iter().find(|a| a.property == property);
    let rest = match of_it.or(results.anomalies.first()) {
        Some(anomaly) => anomaly.sentence.trim_end_matches('.').to_string(),
        None => match judgement {
            Some(j) => format!("no legal order explains {}", part(j, tally(j).1)),
            None => "no legal order explains the history".to_string(),
        },
    };
    (strong, rest)
}

fn undecided(results: &Results) -> (String, String) {
    let Some(judgement) = judged(results, Answer::Undecided) else {
        return ("Undecided".to_string(), "a budget ended first".to_string());
    };
    let (held, _, open) = tally(judgement);
    let reason = judgement
        .objects
        .iter()
        .find(|o| o.answer == Answer::Undecided)
        .map(|o| o.reason.trim_end_matches('.'));
    let reason = reason.filter(|r| !r.is_empty()).unwrap_or("a budget ended first");
    let property = adjective(&judgement.property);
    if judgement.objects.len() < 2 {
        return (format!("Undecided whether {property}"), reason.to_string());
    }
    let others = match held {
        0 => String::new(),
        1 => format!(". The other one is {property}"),
        n => format!(". The other {} are {property}", count(n)),
    };
    (format!("Undecided for {}", part(judgement, open)), format!("{reason}{others}"))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), text.chars().nth(1));
    match first {
        // `I/O` and `CAS` keep their capitals.
        Some(c) if !second.is_some_and(|s| s.is_uppercase()) => c.to_lowercase().chain(chars).collect(),
        Some(_) | None => text.to_string(),
    }
}

/// What orders have to respect, with its verb.
pub fn rule(anomaly: &Anomaly) -> &'static str {
    if anomaly.property == "sequential" || anomaly.property == "coherence" {
        "the sessions allow"
    } else {
        "real time allows"
    }
}

/// What a table of orders is: all of them, or only those that get furthest.
pub fn orders_heading(anomaly: &Anomaly) -> String {
    let rule = rule(anomaly);
    let listed: u64 = anomaly.orders.iter().map(|row| row.count).fold(0, u64::saturating_add);
    if listed == anomaly.orders_total {
        return format!("every order that {rule}, and where it breaks");
    }
    let total = if anomaly.orders_total == 0 {
        "more than were counted".to_string()
    } else {
        many(anomaly.orders_total, "order")
    };
    format!("how far the orders that {rule} get ({total} in all)")
}
