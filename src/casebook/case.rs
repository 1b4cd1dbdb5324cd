//! A case: a system, what is done to it, and the verdict that this must give.

use super::scene::Scene;
use history::results::{Answer, Results};

/// One entry of the casebook.
pub struct Case {
    /// `quorum-w1-r1`
    pub name: &'static str,
    /// One sentence: what is set up, and what must come of it.
    pub about: &'static str,
    /// `demo-quorum`
    pub system: &'static str,
    /// Its options.
    pub with: &'static [(&'static str, &'static str)],
    /// How many nodes.
    pub nodes: usize,
    /// What clients do, which names the model too.
    pub workload: &'static str,
    /// Kinds of fault: each of them must be seen to bite.
    pub faults: &'static [&'static str],
    /// The verdict.
    pub expected: Expected,
    /// What is done.
    pub script: Script,
}

/// What is done in a case.
pub enum Script {
    /// A lie: the round is repeated until the history shows what is expected, at most so often.
    Rounds {
        /// The case fails after so many rounds.
        bound: u32,
        /// One try, driven by what it observes. Each leaves the cluster whole.
        round: fn(&mut Scene) -> Result<(), String>,
    },
    /// The truth, under faults chosen for it: done once, and again only if that tested too little.
    Once(fn(&mut Scene) -> Result<(), String>),
    /// The truth, under random faults of the case's kinds: exactly what `perjury test` does, and again only if that tested
    /// too little.
    Test {
        /// How long clients and faults go on.
        seconds: u64,
    },
}

impl Case {
    /// Whether it is about a system that people run, on nodes of its own, and not about a specimen.
    pub fn real(&self) -> bool {
        crate::systems::find(self.system).is_some_and(|system| system.needs_nodes())
    }

    /// What `results`, and the script, gave, and what of it is not what the case must give.
    pub fn compare(&self, results: &Results, seen: &[&'static str]) -> Got {
        let mut got = self.expected.compare(results, seen);
        let bit =
            |kind: &&&str| results.faults.iter().any(|fault| fault.kind == ***kind && fault.bit.is_some());
        let idle = self.faults.iter().filter(|kind| !bit(kind));
        got.wrong.extend(idle.map(|kind| format!("no fault of the kind {kind} was seen to bite")));
        got
    }

    /// The options of its system, as they are typed.
    pub fn options(&self) -> Vec<(String, String)> {
        self.with.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }
}

impl Script {
    /// Rounds, or whole runs, that are allowed.
    pub fn bound(&self) -> u32 {
        match self {
            Script::Rounds { bound, .. } => *bound,
            Script::Once(_) | Script::Test { .. } => RUNS_MAX,
        }
    }
}

/// Runs of an honest case until one is not vacuous. On a machine that stands still for a second, a fault may pass
/// unnoticed; then there is nothing to judge. A violation in any of them is final.
const RUNS_MAX: u32 = 3;

/// What a case must give.
pub struct Expected {
    /// The answer for linearizability.
    pub linearizable: Answer,
    /// The answer for sequential consistency, where the set-up entails one.
    pub sequential: Option<Answer>,
    /// The kinds of anomaly that show it: at least one of them must be named. Empty where nothing is violated.
    pub kinds: &'static [&'static str],
    /// What the script itself must have seen beside the verdict.
    pub seen: &'static [&'static str],
}

impl Expected {
    /// Everything is linearizable, and nothing else is asked.
    pub const HONEST: Expected =
        Expected { linearizable: Answer::Holds, sequential: None, kinds: &[], seen: &[] };

    /// Not linearizable, shown by one of these kinds.
    pub const fn lie(kinds: &'static [&'static str]) -> Expected {
        Expected { linearizable: Answer::Violated, sequential: None, kinds, seen: &[] }
    }

    /// `not linearizable, sequential; stale-read`
    pub fn text(&self) -> String {
        let mut text = said("linearizable", self.linearizable);
        if let Some(answer) = self.sequential {
            text.push_str(", ");
            text.push_str(&said("sequential", answer));
        }
        join(&text, self.kinds.join("/"), self.seen.join(", "))
    }

    /// What `results`, and the script, gave in the same words, and what disagrees: nothing, if the case agrees.
    fn compare(&self, results: &Results, seen: &[&'static str]) -> Got {
        let answer = |property: &str| {
            results
                .judgements
                .iter()
                .find(|judgement| judgement.property == property)
                .map(|judgement| judgement.answer)
        };
        let mut wrong = Vec::new();
        let mut verdicts = Vec::new();
        let asked = [("linearizable", Some(self.linearizable)), ("sequential", self.sequential)];
        for (property, expected) in asked {
            let Some(expected) = expected else { continue };
            let got = answer(property);
            verdicts.push(got.map_or_else(|| format!("{property}: not judged"), |got| said(property, got)));
            if got != Some(expected) {
                wrong.push(format!("expected {}", said(property, expected)));
            }
        }
        let mut kinds: Vec<&str> = results.anomalies.iter().map(|anomaly| anomaly.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !self.kinds.is_empty() && !self.kinds.iter().any(|kind| kinds.contains(kind)) {
            wrong.push(format!("expected the kind {}", self.kinds.join(" or ")));
        }
        for must in self.seen {
            if !seen.contains(must) {
                wrong.push(format!("not seen: {must}"));
            }
        }
        wrong.extend(results.vacuous.iter().map(|why| format!("vacuous: {why}")));
        Got { text: join(&verdicts.join(", "), kinds.join("/"), seen.join(", ")), wrong }
    }
}

/// What a case gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// In the words of [`Expected::text`].
    pub text: String,
    /// What disagrees, one phrase each.
    pub wrong: Vec<String>,
}

fn said(property: &str, answer: Answer) -> String {
    match answer {
        Answer::Holds => property.to_string(),
        Answer::Violated => format!("not {property}"),
        Answer::Undecided => format!("{property}: undecided"),
    }
}

fn join(verdicts: &str, kinds: String, seen: String) -> String {
    let parts: Vec<&str> = [verdicts, &kinds, &seen].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}
