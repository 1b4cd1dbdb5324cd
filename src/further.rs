//! All violations of one object, not only the first: takes back the answer that made the last one certain, and looks again.
//! Where no return is the one that made it certain, it is the last read of the core.
//!
//! ```text
//!   P0   |-w1-| |-w2-|
//!   P1                 |-r→1-|             the first violation: this read is stale
//!   P2                         |-r→1-|     the second, once the first read counts as never answered
//! ```
//! An operation whose answer is forgotten may have happened, or not, at any later time; what it really did is among that.
//! So whatever has no order now had none before (`docs/correctness.md`). The properties that need no search are
//! asked about reads alone: without one, each demands less (`docs/properties.md`). What is found is held against the history as it
//! was before it is told, with every answer in place.

use crate::exit::Failure;
use crate::judging::{Question, judge_one, unjudged};
use checker::{Claim, Counterexample, Judged, Ladder, Property, Rung, Says, Violation, confirm};
use history::results::{Anomaly, Answer};
use history::{Applied, History, NEVER, Op, Outcome, ValueId};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Answers of one object that are taken back at most; who has lost more than this is not helped by more.
const FURTHER_MAX: usize = 50;

/// What is wrong with an object beside its first violation.
#[derive(Debug, Default)]
pub struct Further {
    /// What was found, in the order of the history.
    pub anomalies: Vec<Anomaly>,
    /// Why there may be more, if there may.
    pub more: Option<String>,
}

/// Looks on after `first`, a violation of `property`, for so long.
///
/// # Errors
/// As judging does.
pub fn further(
    history: &History,
    question: &Question,
    property: Rung,
    first: &Violation,
    timeout: Duration,
    interrupt: &AtomicBool,
) -> Result<Further, Failure> {
    let mut found = Further::default();
    let end = Instant::now() + timeout;
    // The object alone, where each is judged alone; lines, ranks and processes stay those of the history.
    let mine = |key: ValueId| !property.is_local() || first.keys.is_empty() || first.keys.contains(&key);
    let kept: Vec<usize> = (0..history.ops.len()).filter(|&at| mine(history.ops[at].key)).collect();
    let place = |source: u32| kept.binary_search(&(source as usize)).ok();
    let part = || History {
        ops: kept.iter().map(|&at| history.ops[at]).collect(),
        values: history.values.clone(),
        processes: history.processes.clone(),
        ranks: history.ranks,
        source: history.source.clone(),
        ..History::default()
    };
    let (mut whole, mut weaker) = (part(), part());
    let reads: Vec<bool> = whole.ops.iter().map(|op| is_read(&whole, op)).collect();
    let mut core: Vec<usize> = first.counterexample.core.iter().filter_map(|&source| place(source)).collect();
    let mut fatal = first.counterexample.fatal.and_then(place);
    for _ in 0..FURTHER_MAX {
        let answered = |at: &usize| weaker.ops[*at].outcome == Outcome::Ok;
        let last = |only_reads: bool| {
            core.iter().copied().filter(|at| answered(at) && (reads[*at] || !only_reads)).max()
        };
        let at = match property {
            Rung::Linearizable => fatal.filter(answered).or_else(|| last(false)),
            // An order has no last return here: whoever only looked is the least that can be taken back.
            Rung::Sequential | Rung::Coherence => last(true).or_else(|| last(false)),
            _ => last(true),
        };
        let Some(at) = at else {
            if !property.is_searched() {
                found.more = Some("there may be more: no read of the last one can be taken back".to_string());
            }
            return Ok(found);
        };
        take_back(&mut weaker.ops[at]);
        let left = end.saturating_duration_since(Instant::now());
        let judged = judged(&mut weaker, question, property, left, interrupt)?;
        let Some(next) = judged.violations.first() else {
            if judged.judgement.answer == Answer::Undecided || left.is_zero() {
                found.more = Some("there may be more: the search for them ended undecided".to_string());
            }
            return Ok(found);
        };
        core = next.counterexample.core.iter().map(|&source| source as usize).collect();
        fatal = next.counterexample.fatal.map(|source| source as usize);
        let keys = &judged.keys[next.object];
        if as_it_was(&mut whole, question, property, next, keys, &reads, left, interrupt)? {
            let core = &next.counterexample;
            found.anomalies.push(checker::explain::explain(&whole, &question.spec, property, core, 1));
        }
    }
    found.more = Some(format!("there may be more: the answers of {FURTHER_MAX} operations were taken back"));
    Ok(found)
}

/// Whether the operation only looked.
fn is_read(history: &History, op: &Op) -> bool {
    matches!(history.values.get(op.f).as_text(), Some("read" | "get" | "peek" | "contains"))
}

/// As if nobody had heard what became of it.
fn take_back(op: &mut Op) {
    (op.outcome, op.ret, op.applied) = (Outcome::Info, NEVER, Applied::Unsaid);
    (op.output, op.observed) = (ValueId::NULL, None);
}

fn judged(
    history: &mut History,
    question: &Question,
    property: Rung,
    left: Duration,
    interrupt: &AtomicBool,
) -> Result<Judged, Failure> {
    if property.is_searched() {
        return judge_one(history, question, property, left, interrupt, true, None);
    }
    let ladder = Ladder::of(history, &question.spec).map_err(|error| unjudged(history, error))?;
    judge_one(history, question, property, left, interrupt, true, Some(&ladder))
}

/// Whether the history shows the violation with every answer in place, too. Where the answers that were taken back demand a
/// larger core there, it does not.
fn as_it_was(
    whole: &mut History,
    question: &Question,
    property: Rung,
    violation: &Violation,
    keys: &[ValueId],
    reads: &[bool],
    left: Duration,
    interrupt: &AtomicBool,
) -> Result<bool, Failure> {
    let core: &Counterexample = &violation.counterexample;
    let order = match property {
        Rung::Linearizable => Property::Linearizable,
        Rung::Sequential | Rung::Coherence => Property::Sequential,
        _ => {
            // Every write as it was, and no read but those of the core: a read less never violates more.
            let mut few =
                History { ops: whole.ops.clone(), values: whole.values.clone(), ..History::default() };
            (few.processes, few.ranks, few.source) =
                (whole.processes.clone(), whole.ranks, whole.source.clone());
            let beside = (0u32..).zip(&mut few.ops).zip(reads).filter(|(_, read)| **read);
            for ((_, op), _) in beside.filter(|((at, _), _)| !core.core.contains(at)) {
                take_back(op);
            }
            let judged = judged(&mut few, question, property, left, interrupt)?;
            return Ok(judged.judgement.answer == Answer::Violated);
        }
    };
    let claim = Claim { keys: keys.to_vec(), says: Says::Violated(core.clone()) };
    Ok(confirm(whole, &question.spec, order, &[claim]).is_ok())
}
