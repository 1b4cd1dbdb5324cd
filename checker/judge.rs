//! From a history to verdicts: builds the problems, searches, and lets nothing pass that the verifier does not accept.

mod by_zones;

use crate::certify::{Refused, refute_unless, replay_places, replay_unless};
use crate::core::{shrink, shrink_from};
use crate::exact::Finding;
use crate::ladder::{Ladder, Rung};
use crate::model::Model;
use crate::objects::{BuildError, Built, Object, build_model_until, build_until};
use crate::problem::{ObjOp, Problem};
use crate::search::{At, Found, Stuck, Watched, search_watched};
use crate::sequential::{sequential_watched, stuck};
use crate::spec::{Spec, Specified};
use crate::verdict::{Budget, Counterexample, Property, Reason, Verdict, Witness};
use crate::with_model;
use by_zones::by_zones;
use history::results::{Answer, Judgement, ObjectJudgement};
use history::{History, Interner, Malformed, Outcome, ValueId};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What judging may spend, and whom it tells how far it is.
pub struct Limits<'a> {
    /// Set from outside to stop.
    pub stop: &'a AtomicBool,
    /// Bytes for the searches together.
    pub bytes: usize,
    /// Threads, at least 1.
    pub threads: usize,
    /// Counts configurations while they are visited.
    pub states: &'a AtomicU64,
    /// Told whenever an object has been judged, and every few thousand configurations of a search, from any thread.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("bytes", &self.bytes)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// How far judging is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Objects that were judged.
    pub done: usize,
    /// Objects in all.
    pub objects: usize,
    /// Where the search is that tells; `None` when an object has been judged.
    pub at: Option<At>,
}

/// Why there is no judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JudgeError {
    /// An operation does not fit the model.
    Malformed(Malformed),
    /// The specification does not fit the model: one sentence.
    Spec(String),
    /// The verifier refuses the evidence of the search: a bug of this crate, and no verdict.
    Disagreement(String),
}

impl fmt::Display for JudgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JudgeError::Malformed(malformed) => malformed.fmt(f),
            JudgeError::Spec(what) => f.write_str(what),
            JudgeError::Disagreement(what) => write!(f, "the verifier refuses the evidence: {what}"),
        }
    }
}

impl std::error::Error for JudgeError {}

impl From<BuildError> for JudgeError {
    fn from(error: BuildError) -> JudgeError {
        match error {
            BuildError::Malformed(malformed) => JudgeError::Malformed(malformed),
            BuildError::Spec(what) => JudgeError::Spec(what),
        }
    }
}

/// What was concluded about one property.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict per object and over all. `seconds` is 0: this crate has no clock.
    pub judgement: Judgement,
    /// The keys of each object, in the same order as in the judgement; none where the history names none.
    pub keys: Vec<Vec<ValueId>>,
    /// The violated objects, in order of first appearance.
    pub violations: Vec<Violation>,
    /// Per object, in the same order as in the judgement, the order that was found.
    pub witnesses: Vec<Option<Witness>>,
    /// Per object, in the same order, where the search was stuck, if it gave up there.
    pub stuck: Vec<Option<Stuck>>,
    /// Where the evidence of an exact method was refused and the search decided instead: one sentence for each object,
    /// for the warnings of the results. Each is a bug of this crate.
    pub disagreements: Vec<String>,
}

/// An object without a legal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which object of the judgement.
    pub object: usize,
    /// The keys that it is about; empty if the history names none.
    pub keys: Vec<ValueId>,
    /// The evidence.
    pub counterexample: Counterexample,
}

/// Judges one property of a history, by its [`Rung`] or its [`Property`]. New values may be numbered on the way; nothing
/// else of it changes.
///
/// # Errors
/// An operation or a specification that does not fit the model, or evidence that the verifier refuses.
pub fn judge(
    history: &mut History,
    spec: &Spec,
    property: impl Into<Rung>,
    limits: &Limits<'_>,
) -> Result<Judged, JudgeError> {
    judge_rung(history, spec, property.into(), limits)
}

/// Not generic, so that the engines are compiled here, and not again in every crate that judges.
fn judge_rung(
    history: &mut History,
    spec: &Spec,
    property: Rung,
    limits: &Limits<'_>,
) -> Result<Judged, JudgeError> {
    with_model!(spec.model, M => judge_as::<M>(history, spec, property, limits))
}

fn judge_as<M: Specified>(
    history: &mut History,
    spec: &Spec,
    property: Rung,
    limits: &Limits<'_>,
) -> Result<Judged, JudgeError> {
    if let (Rung::Linearizable, Some(parts)) = (property, by_zones::<M>(history, spec, limits)) {
        return Ok(judged(history, spec.model.name(), property, parts));
    }
    let build = |history: &mut History| build_until::<M>(history, spec, limits.stop);
    judge_decoded(history, build, spec.model.name(), property, limits)
}

/// Decodes and judges, if there is time and memory for the first of these.
fn judge_decoded<M: Model>(
    history: &mut History,
    build: impl FnOnce(&mut History) -> Result<Option<Built<M>>, BuildError>,
    model: &str,
    property: Rung,
    limits: &Limits<'_>,
) -> Result<Judged, JudgeError> {
    let built = match room::<M>(history, limits) {
        Ok(()) => build(history)?.ok_or(Reason::Stopped),
        Err(reason) => Err(reason),
    };
    match built {
        Ok(built) => judge_built(history, built, model, property, limits),
        Err(reason) => Ok(judged(history, model, property, vec![untouched(history, reason)])),
    }
}

/// So many operations are decoded in a few milliseconds.
const SOON: usize = 1 << 16;

/// Whether there is time and memory left to decode the operations of `history`.
fn room<M: Model>(history: &History, limits: &Limits<'_>) -> Result<(), Reason> {
    // What is soon decoded is, so that somebody is told where it is stuck.
    if history.ops.len() > SOON && limits.stop.load(Ordering::Relaxed) {
        return Err(Reason::Stopped);
    }
    // Which object an operation belongs to is one more number.
    let each = size_of::<ObjOp<M::Op>>() + size_of::<u32>();
    if history.ops.len().saturating_mul(each) > limits.bytes { Err(Reason::Memory) } else { Ok(()) }
}

/// A history of which nothing was looked at.
fn untouched(history: &History, reason: Reason) -> Part {
    Part {
        keys: Vec::new(),
        violated: Vec::new(),
        ops: history.ops.len() as u32,
        unknown: history.ops.iter().filter(|op| op.outcome == Outcome::Info).count() as u32,
        verdict: Verdict::Unknown(reason),
        method: "none",
        states: 0,
        stuck: None,
        disagreement: None,
    }
}

/// [`judge`] with a model of your own, which `name` names in the judgement: one object per key of the history, each a
/// clone of `model`. (`docs/library.md` has a complete example.)
///
/// # Errors
/// The same.
pub fn judge_model<M: Model>(
    history: &mut History,
    model: M,
    name: &str,
    property: impl Into<Rung>,
    limits: &Limits<'_>,
) -> Result<Judged, JudgeError> {
    let build = |history: &mut History| build_model_until(history, model, limits.stop);
    judge_decoded(history, build, name, property.into(), limits)
}

fn judge_built<M: Model>(
    history: &History,
    built: Built<M>,
    model: &str,
    property: Rung,
    limits: &Limits<'_>,
) -> Result<Judged, JudgeError> {
    let parts = match property {
        Rung::Linearizable => per_object(&built, limits, linearizable)?,
        Rung::Coherence => {
            let coherent = |object: &Object<M>, limits: &Limits<'_>, bytes, _: &(dyn Fn(At) + Sync)| {
                coherent(&history.values, object, limits, bytes)
            };
            per_object(&built, limits, coherent)?
        }
        Rung::Sequential => vec![together(history, built, limits)?],
        Rung::Regular
        | Rung::CausalConvergence
        | Rung::CausalMemory
        | Rung::Causal
        | Rung::Pram
        | Rung::WritesFollowReads
        | Rung::MonotonicWrites
        | Rung::MonotonicReads
        | Rung::ReadYourWrites => {
            return Ladder::new(history, &built, model).judge(history, property, limits);
        }
    };
    Ok(judged(history, model, property, parts))
}

/// What was found about the objects, put together.
fn judged(history: &History, model: &str, property: Rung, parts: Vec<Part>) -> Judged {
    let keyed = property != Rung::Sequential && parts.iter().any(|part| !part.keys.is_empty());
    let scope = if keyed { "per key" } else { "whole history" };
    let mut judged = Judged {
        judgement: Judgement {
            property: property.name().to_string(),
            model: model.to_string(),
            answer: Answer::Holds,
            scope: scope.to_string(),
            objects: Vec::with_capacity(parts.len()),
            states: 0,
            seconds: 0.0,
        },
        keys: Vec::with_capacity(parts.len()),
        violations: Vec::new(),
        witnesses: Vec::with_capacity(parts.len()),
        stuck: Vec::with_capacity(parts.len()),
        disagreements: Vec::new(),
    };
    for part in parts {
        if let Some(what) = part.disagreement {
            let names: Vec<String> =
                part.keys.iter().map(|&key| history.values.get(key).to_string()).collect();
            let of = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
            judged.disagreements.push(format!("{what}{of}: the general search decided instead"));
        }
        let judgement = &mut judged.judgement;
        let (answer, reason, witness) = match part.verdict {
            Verdict::Valid(witness) => (Answer::Holds, String::new(), Some(witness)),
            Verdict::Invalid(counterexample) => {
                let object = judged.keys.len();
                judged.violations.push(Violation { object, keys: part.violated, counterexample });
                (Answer::Violated, String::new(), None)
            }
            Verdict::Unknown(reason) => (Answer::Undecided, because(reason, part.states), None),
        };
        judgement.answer = worse(judgement.answer, answer);
        judgement.states += part.states;
        judgement.objects.push(ObjectJudgement {
            keys: part.keys.iter().map(|&key| history.values.get(key).to_string()).collect(),
            ops: part.ops,
            unknown: part.unknown,
            answer,
            method: part.method.to_string(),
            states: part.states,
            reason,
        });
        judged.witnesses.push(witness);
        judged.keys.push(part.keys);
        judged.stuck.push(part.stuck);
    }
    judged
}

pub(crate) fn worse(a: Answer, b: Answer) -> Answer {
    match (a, b) {
        (Answer::Violated, _) | (_, Answer::Violated) => Answer::Violated,
        (Answer::Undecided, _) | (_, Answer::Undecided) => Answer::Undecided,
        (Answer::Holds, Answer::Holds) => Answer::Holds,
    }
}

fn because(reason: Reason, states: u64) -> String {
    match reason {
        Reason::Stopped => format!("stopped after {states} states"),
        Reason::Memory => format!("memory limit reached after {states} states"),
        Reason::Unverified => {
            format!("no order was found, but what shows that is too much to be verified; {states} states")
        }
    }
}

/// What was found about one object, or about all together.
struct Part {
    keys: Vec<ValueId>,
    /// The keys that a violation is about.
    violated: Vec<ValueId>,
    ops: u32,
    unknown: u32,
    verdict: Verdict,
    method: &'static str,
    states: u64,
    stuck: Option<Stuck>,
    /// Which exact method said something that the verifier did not accept.
    disagreement: Option<String>,
}

/// Each object on its own, the longest first, on all threads; the result is in the order of the objects.
fn per_object<M: Model>(
    built: &Built<M>,
    limits: &Limits<'_>,
    decide: impl Fn(&Object<M>, &Limits<'_>, usize, &(dyn Fn(At) + Sync)) -> Result<Part, JudgeError> + Sync,
) -> Result<Vec<Part>, JudgeError> {
    let objects = &built.objects;
    let mut longest_first: Vec<usize> = (0..objects.len()).collect();
    longest_first.sort_by_key(|&i| std::cmp::Reverse(objects[i].problem.ops.len()));
    let decoded = objects.iter().map(|object| object.problem.ops.capacity()).sum::<usize>();
    let decoded = decoded * size_of::<ObjOp<M::Op>>();
    let done = AtomicUsize::new(0);
    let one = |&i: &usize| {
        let tell = |at| {
            if let Some(progress) = limits.progress {
                let done = done.load(Ordering::Relaxed);
                progress(Progress { done, objects: objects.len(), at: Some(at) });
            }
        };
        // The decoded operations are in memory, too.
        let bytes = limits.bytes.saturating_sub(decoded) / limits.threads.clamp(1, objects.len().max(1));
        let part = decide(&objects[i], limits, bytes, &tell);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(progress) = limits.progress {
            progress(Progress { done, objects: objects.len(), at: None });
        }
        part.map(|part| (i, part))
    };
    let parts = on_all_threads(&longest_first, limits.threads, one);
    let mut parts: Vec<(usize, Part)> = parts.into_iter().collect::<Result<_, _>>()?;
    parts.sort_by_key(|&(i, _)| i);
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

#[cfg(feature = "parallel")]
fn on_all_threads<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    use rayon::prelude::*;
    if threads <= 1 || items.len() <= 1 {
        return items.iter().map(work).collect();
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        // One by one: the first are the longest, and a chunk of them would keep one thread busy after all others.
        Ok(pool) => pool.install(|| items.par_iter().with_max_len(1).map(&work).collect()),
        // The machine gives no threads: slower, and the same.
        Err(_) => items.iter().map(work).collect(),
    }
}

#[cfg(not(feature = "parallel"))]
fn on_all_threads<T: Sync, R: Send>(items: &[T], _threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    items.iter().map(work).collect()
}

/// What an exact method takes for an operation, about: tables of what is in, orders, trees of stretches.
const BYTES_BY_METHOD: usize = 160;

fn linearizable<M: Model>(
    object: &Object<M>,
    limits: &Limits<'_>,
    bytes: usize,
    tell: &(dyn Fn(At) + Sync),
) -> Result<Part, JudgeError> {
    let states = AtomicU64::new(0);
    let budget = Budget { stop: limits.stop, bytes, states: &states };
    let problem = &object.problem;
    let mut disagreement = None;
    let mut decided = None;
    let most = bytes / BYTES_BY_METHOD;
    let stopped = limits.stop.load(Ordering::Relaxed) || problem.ops.len() > most;
    let by_method = || {
        problem
            .model
            .exact(&problem.ops, limits.stop)
            .or_else(|| problem.model.refuted(&problem.ops, limits.stop))
    };
    if let Some(exact) = if stopped { None } else { by_method() } {
        let method = exact.method;
        match believe(problem, exact.found, &budget) {
            Ok(verdict) => decided = verdict.map(|verdict| (verdict, method)),
            Err(what) => disagreement = Some(format!("method \"{method}\": {what}")),
        }
    }
    let (verdict, method, stuck) = match decided {
        Some((verdict, method)) => (verdict, method, None),
        None => {
            let (verdict, stuck) = by_search(problem, &Watched { budget: &budget, tell: Some(tell) })?;
            (verdict, "search", stuck)
        }
    };
    let states = states.into_inner();
    limits.states.fetch_add(states, Ordering::Relaxed);
    let (ops, unknown) = sizes(problem);
    let (keys, violated) = (object.keys.clone(), object.keys.clone());
    Ok(Part { keys, violated, ops, unknown, verdict, method, states, stuck, disagreement })
}

/// Whether one object is sequentially consistent by itself.
fn coherent<M: Model>(
    values: &Interner,
    object: &Object<M>,
    limits: &Limits<'_>,
    bytes: usize,
) -> Result<Part, JudgeError> {
    let states = AtomicU64::new(0);
    let budget = Budget { stop: limits.stop, bytes, states: &states };
    let alone = Object { keys: object.keys.clone(), problem: object.problem.clone() };
    let problem = Built { objects: vec![alone] }.joined(|_| String::new());
    let (verdict, method, deepest) = sequential_watched(&problem, &budget);
    let verdict = accept(&problem, verdict, Property::Sequential, &budget)?;
    let states = states.into_inner();
    limits.states.fetch_add(states, Ordering::Relaxed);
    let (ops, unknown) = sizes(&problem);
    let (keys, violated) = (object.keys.clone(), object.keys.clone());
    let method = method.name();
    let stuck = deepest.map(|deepest| stuck(&problem, &deepest, values, states));
    Ok(Part { keys, violated, ops, unknown, verdict, method, states, stuck, disagreement: None })
}

/// The verdict of an exact method, once the verifier has accepted its evidence; `None` if that is too large to be verified.
///
/// # Errors
/// Why it was not accepted.
fn believe<M: Model>(
    problem: &Problem<M>,
    found: Finding,
    budget: &Budget<'_>,
) -> Result<Option<Verdict>, String> {
    match found {
        Finding::Order(mut order) => {
            match replay_places(problem, &order, Property::Linearizable, budget.stop) {
                Ok(()) => {
                    order.iter_mut().for_each(|i| *i = problem.ops[*i as usize].source);
                    Ok(Some(Verdict::Valid(Witness { order })))
                }
                Err(Refused::TooLarge) => Ok(Some(Verdict::Unknown(Reason::Stopped))),
                Err(Refused::Wrong(what)) => Err(what),
            }
        }
        Finding::Violated { fatal, core } => {
            let refuted = |counterexample: &Counterexample| match refute_unless(
                problem,
                counterexample,
                Property::Linearizable,
                budget.stop,
            ) {
                Ok(()) => Ok(true),
                Err(Refused::TooLarge) => Ok(false),
                Err(Refused::Wrong(what)) => Err(what),
            };
            let small = shrink_from(problem, fatal, &core, budget);
            if let Some(small) = small.filter(|small| refuted(small) == Ok(true)) {
                return Ok(Some(Verdict::Invalid(small)));
            }
            // The start may be too little where the model asks for more than the method looked at.
            let counterexample = shrink(problem, fatal, budget);
            Ok(refuted(&counterexample)?.then_some(Verdict::Invalid(counterexample)))
        }
    }
}

/// The verdict of the general search, and where it was stuck if it gave up.
fn by_search<M: Model>(
    problem: &Problem<M>,
    watched: &Watched<'_>,
) -> Result<(Verdict, Option<Stuck>), JudgeError> {
    let (found, stuck) = search_watched(problem, watched);
    let verdict = match found {
        Found::GaveUp(reason) => Verdict::Unknown(reason),
        Found::Order(mut order) => {
            match replay_places(problem, &order, Property::Linearizable, watched.budget.stop) {
                Ok(()) => {
                    order.iter_mut().for_each(|i| *i = problem.ops[*i as usize].source);
                    Verdict::Valid(Witness { order })
                }
                Err(Refused::TooLarge) => Verdict::Unknown(Reason::Stopped),
                Err(Refused::Wrong(what)) => return Err(JudgeError::Disagreement(what)),
            }
        }
        Found::Fatal(fatal) => {
            let verdict = Verdict::Invalid(shrink(problem, fatal, watched.budget));
            accept(problem, verdict, Property::Linearizable, watched.budget)?
        }
    };
    Ok((verdict, stuck))
}

/// All objects together.
fn together<M: Model>(history: &History, built: Built<M>, limits: &Limits<'_>) -> Result<Part, JudgeError> {
    let states = AtomicU64::new(0);
    let budget = Budget { stop: limits.stop, bytes: limits.bytes, states: &states };
    let keys_of: Vec<Vec<ValueId>> = built.objects.iter().map(|object| object.keys.clone()).collect();
    let name = |keys: &[ValueId]| {
        let names: Vec<String> = keys.iter().map(|&key| history.values.get(key).to_string()).collect();
        names.join(", ")
    };
    let problem = built.joined(name);
    let (verdict, method, deepest) = sequential_watched(&problem, &budget);
    let verdict = accept(&problem, verdict, Property::Sequential, &budget)?;
    let mut violated: Vec<ValueId> = Vec::new();
    if let Verdict::Invalid(counterexample) = &verdict {
        let in_core = |source: &u32| counterexample.core.contains(source);
        let mut objects: Vec<u32> =
            problem.ops.iter().filter(|op| in_core(&op.source)).map(|op| op.op.object).collect();
        objects.sort_unstable();
        objects.dedup();
        violated.extend(objects.iter().flat_map(|&object| &keys_of[object as usize]));
    }
    if let Some(progress) = limits.progress {
        progress(Progress { done: 1, objects: 1, at: None });
    }
    let states = states.into_inner();
    limits.states.fetch_add(states, Ordering::Relaxed);
    let (ops, unknown) = sizes(&problem);
    let keys = keys_of.into_iter().flatten().collect();
    Ok(Part {
        keys,
        violated,
        ops,
        unknown,
        verdict,
        method: method.name(),
        states,
        stuck: deepest.map(|deepest| stuck(&problem, &deepest, &history.values, states)),
        disagreement: None,
    })
}

fn sizes<M: Model>(problem: &Problem<M>) -> (u32, u32) {
    let unknown = problem.ops.iter().filter(|op| op.indeterminate()).count();
    (problem.ops.len() as u32, unknown as u32)
}

/// The verdict, if the verifier accepts its evidence. Evidence that is too large to be verified is none.
fn accept<M: Model>(
    problem: &Problem<M>,
    verdict: Verdict,
    property: Property,
    budget: &Budget<'_>,
) -> Result<Verdict, JudgeError> {
    match &verdict {
        Verdict::Unknown(_) => {}
        Verdict::Valid(witness) => match replay_unless(problem, &witness.order, property, budget.stop) {
            Ok(()) => {}
            Err(Refused::TooLarge) => return Ok(Verdict::Unknown(Reason::Stopped)),
            Err(Refused::Wrong(what)) => return Err(JudgeError::Disagreement(what)),
        },
        Verdict::Invalid(counterexample) => {
            match refute_unless(problem, counterexample, property, budget.stop) {
                Ok(()) => {}
                Err(Refused::TooLarge) => return Ok(Verdict::Unknown(Reason::Unverified)),
                Err(Refused::Wrong(what)) => return Err(JudgeError::Disagreement(what)),
            }
        }
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests;
