//! From a history to the judgement of a rung.

use super::events::Events;
use super::rung::Rung;
use super::{Limit, Outcome, decide, shrink};
use crate::judge::{JudgeError, Judged, Limits, Violation};
use crate::model::Model;
use crate::objects::{Built, build};
use crate::spec::Spec;
use crate::verdict::{Counterexample, Reason};
use crate::with_model;
use history::results::{Answer, Judgement, ObjectJudgement, Staleness};
use history::{History, ValueId, results};
use std::sync::atomic::Ordering;

/// A history, ready to be asked for the rungs that are not decided by searches.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// `None` if operations are not reads and writes.
    events: Option<Events>,
    model: String,
    /// Per key of the events, its names, how many operations it has and how many of those were never answered.
    keys: Vec<(Vec<ValueId>, u32, u32)>,
    /// Of the first read that names no write: its line.
    unsure_line: u32,
}

/// What was concluded about a part of the history.
struct Part {
    keys: Vec<ValueId>,
    ops: u32,
    unknown: u32,
    found: Found,
}

enum Found {
    Holds,
    Violated(Counterexample),
    Undecided(String),
}

impl Ladder {
    /// Reads and writes of `built`, which was built from `history`. O(n log n).
    pub fn new<M: Model>(history: &History, built: &Built<M>, model: &str) -> Ladder {
        let events = Events::new(history, built);
        let sizes = |object: &crate::objects::Object<M>| {
            let unknown = object.problem.ops.iter().filter(|op| op.indeterminate()).count();
            (object.keys.clone(), object.problem.ops.len() as u32, unknown as u32)
        };
        let unsure = events.as_ref().and_then(|events| events.unsure.as_ref());
        let unsure_line = unsure.map_or(0, |unsure| history.ops[unsure.first as usize].invoke_line);
        Ladder {
            events,
            model: model.to_string(),
            keys: built.objects.iter().map(sizes).collect(),
            unsure_line,
        }
    }

    /// The same from a history alone. New values may be numbered on the way; nothing else of it changes.
    ///
    /// # Errors
    /// An operation or a specification that does not fit the model.
    pub fn of(history: &mut History, spec: &Spec) -> Result<Ladder, JudgeError> {
        with_model!(spec.model, M => {
            let built = build::<M>(history, spec)?;
            Ok(Ladder::new(history, &built, spec.model.name()))
        })
    }

    /// How old the values were that were read; `None` if operations are not reads and writes. O(n log n).
    pub fn staleness(&self, history: &History) -> Option<Staleness> {
        self.events.as_ref().map(|events| super::staleness::staleness(history, events))
    }

    /// Judges one rung. What an operation that the rung does not speak of leaves open is undecided, never silent.
    ///
    /// # Errors
    /// If the verifier refuses the evidence: a bug of this crate.
    ///
    /// # Panics
    /// For linearizability, sequential consistency and coherence, which [`crate::judge()`] decides.
    pub fn judge(&self, history: &History, rung: Rung, limits: &Limits<'_>) -> Result<Judged, JudgeError> {
        let parts = match &self.events {
            None => vec![self.whole(Found::Undecided(format!(
                "it is defined for reads and writes of single values, and the model {} has other operations",
                self.model
            )))],
            Some(events) => self.parts(events, rung, limits)?,
        };
        let split = self.events.as_ref().is_some_and(|events| events.split);
        let named = self.keys.iter().any(|(names, _, _)| !names.is_empty());
        let scope = if rung.is_local() && named { "per key" } else { "whole history" };
        let mut judged = Judged {
            judgement: Judgement {
                property: rung.name().to_string(),
                model: self.model.to_string(),
                answer: Answer::Holds,
                scope: if split {
                    format!("{scope}, overlapping sessions by process")
                } else {
                    scope.to_string()
                },
                objects: Vec::with_capacity(parts.len()),
                states: 0,
                seconds: 0.0,
            },
            keys: Vec::with_capacity(parts.len()),
            violations: Vec::new(),
            witnesses: vec![None; parts.len()],
            stuck: vec![None; parts.len()],
            disagreements: Vec::new(),
        };
        for (object, part) in parts.into_iter().enumerate() {
            let (answer, reason) = match part.found {
                Found::Holds => (Answer::Holds, String::new()),
                Found::Undecided(reason) => (Answer::Undecided, reason),
                Found::Violated(counterexample) => {
                    let mut keys: Vec<ValueId> =
                        counterexample.core.iter().map(|&op| history.ops[op as usize].key).collect();
                    keys.sort_unstable();
                    keys.dedup();
                    keys.retain(|&key| key != ValueId::NULL);
                    judged.violations.push(Violation { object, keys, counterexample });
                    (Answer::Violated, String::new())
                }
            };
            judged.judgement.answer = crate::judge::worse(judged.judgement.answer, answer);
            judged.judgement.objects.push(ObjectJudgement {
                keys: part.keys.iter().map(|&key| history.values.get(key).to_string()).collect(),
                ops: part.ops,
                unknown: part.unknown,
                answer,
                method: method(rung).to_string(),
                states: 0,
                reason,
            });
            judged.keys.push(part.keys);
        }
        Ok(judged)
    }

    /// Whether `stronger` implies `weaker` in this history.
    pub fn implies(&self, stronger: Rung, weaker: Rung) -> bool {
        match &self.events {
            Some(events) if events.by_process => stronger.reaches(weaker),
            Some(_) | None => stronger.reaches_across(weaker),
        }
    }

    /// The strongest rungs that hold, the weakest that are violated, and those of which nothing is known, from the answers
    /// that were found. A rung without an answer of its own may have one from others.
    pub fn place(&self, history: &History, answers: &[(Rung, Answer)]) -> results::Ladder {
        let found = |answer| answers.iter().filter(move |(_, a)| *a == answer).map(|(rung, _)| *rung);
        let all = Rung::all();
        let holds: Vec<Rung> =
            all.into_iter().filter(|&r| found(Answer::Holds).any(|s| self.implies(s, r))).collect();
        let violated: Vec<Rung> =
            all.into_iter().filter(|&r| found(Answer::Violated).any(|w| self.implies(r, w))).collect();
        let names = |rungs: Vec<Rung>| rungs.iter().map(|rung| rung.name().to_string()).collect();
        let above = |r: Rung| holds.iter().any(|&s| s != r && self.implies(s, r));
        let below = |r: Rung| violated.iter().any(|&w| w != r && self.implies(r, w));
        results::Ladder {
            holds: names(holds.iter().copied().filter(|&r| !above(r)).collect()),
            violated: names(violated.iter().copied().filter(|&r| !below(r)).collect()),
            undecided: names(
                all.into_iter().filter(|r| !holds.contains(r) && !violated.contains(r)).collect(),
            ),
            staleness: self.staleness(history),
        }
    }

    fn whole(&self, found: Found) -> Part {
        Part {
            keys: self.keys.iter().flat_map(|(names, _, _)| names).copied().collect(),
            ops: self.keys.iter().map(|(_, ops, _)| ops).sum(),
            unknown: self.keys.iter().map(|(_, _, unknown)| unknown).sum(),
            found,
        }
    }

    fn parts(&self, events: &Events, rung: Rung, limits: &Limits<'_>) -> Result<Vec<Part>, JudgeError> {
        let limit = Limit { stop: limits.stop, bytes: limits.bytes };
        let outcome = decide(events, rung, &limit).map_err(JudgeError::Disagreement)?;
        limits.states.fetch_add(events.list.len() as u64, Ordering::Relaxed);
        let of_key = |key: usize, found| {
            let (names, ops, unknown) = &self.keys[key];
            Part { keys: names.clone(), ops: *ops, unknown: *unknown, found }
        };
        if !rung.is_local() {
            let found = self.found(events, rung, outcome).map_err(JudgeError::Disagreement)?;
            return Ok(vec![self.whole(found)]);
        }
        let proof = match outcome {
            Outcome::GaveUp(_) => {
                let found = self.found(events, rung, outcome).map_err(JudgeError::Disagreement)?;
                return Ok(vec![self.whole(found)]);
            }
            Outcome::Holds(_) => {
                return Ok((0..self.keys.len()).map(|key| of_key(key, self.open(events, key))).collect());
            }
            Outcome::Violated(proof) => proof,
        };
        if self.keys.len() == 1 {
            let found =
                self.found(events, rung, Outcome::Violated(proof)).map_err(JudgeError::Disagreement)?;
            return Ok(vec![of_key(0, found)]);
        }
        // Some key is at fault: which, each must say for itself.
        let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); self.keys.len()];
        for (number, event) in (0..).zip(&events.list) {
            numbers[event.key as usize].push(number);
        }
        let mut parts = Vec::with_capacity(self.keys.len());
        for (key, numbers) in numbers.iter().enumerate() {
            let (alone, _) = events.only(numbers);
            let outcome = decide(&alone, rung, &limit).map_err(JudgeError::Disagreement)?;
            let found = match outcome {
                Outcome::Holds(_) => self.open(events, key),
                Outcome::Violated(_) | Outcome::GaveUp(_) => {
                    self.found(&alone, rung, outcome).map_err(JudgeError::Disagreement)?
                }
            };
            parts.push(of_key(key, found));
        }
        Ok(parts)
    }

    fn found(&self, events: &Events, rung: Rung, outcome: Outcome) -> Result<Found, String> {
        Ok(match outcome {
            Outcome::Holds(_) => match self.unsure() {
                Some(why) => Found::Undecided(why),
                None => Found::Holds,
            },
            Outcome::GaveUp(Reason::Stopped) => Found::Undecided("stopped".to_string()),
            Outcome::GaveUp(Reason::Memory | Reason::Unverified) => Found::Undecided(format!(
                "memory limit reached: {} sessions of {} reads and writes",
                events.sessions(),
                events.list.len()
            )),
            Outcome::Violated(proof) => {
                let small = shrink(events, rung, proof)?;
                let mut core: Vec<u32> = small.events.list.iter().map(|event| event.source).collect();
                core.sort_unstable();
                core.dedup();
                Found::Violated(Counterexample { core, minimal: small.minimal, fatal: None })
            }
        })
    }

    /// What is known of a key that has nothing against it: reads that name no write leave it open.
    fn open(&self, events: &Events, key: usize) -> Found {
        match &events.unsure {
            Some(unsure) if unsure.keys.contains(&(key as u32)) => {
                self.unsure().map_or(Found::Holds, Found::Undecided)
            }
            Some(_) | None => Found::Holds,
        }
    }

    fn unsure(&self) -> Option<String> {
        let unsure = self.events.as_ref()?.unsure.as_ref()?;
        let reads = if unsure.reads == 1 { "1 read names" } else { &format!("{} reads name", unsure.reads) };
        let first = if unsure.negative {
            "says only what was not there"
        } else {
            "saw a value that was written more than once"
        };
        Some(format!("{reads} no write (the first, on line {}, {first})", self.unsure_line))
    }
}

fn method(rung: Rung) -> &'static str {
    match rung {
        Rung::Regular
        | Rung::WritesFollowReads
        | Rung::MonotonicWrites
        | Rung::MonotonicReads
        | Rung::ReadYourWrites => "order of versions",
        Rung::CausalConvergence => "arbitration",
        Rung::Causal => "causality",
        Rung::CausalMemory | Rung::Pram => "views",
        Rung::Linearizable | Rung::Sequential | Rung::Coherence => "search",
    }
}
