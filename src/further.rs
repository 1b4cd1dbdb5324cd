//! All violations of one object, not only the first: takes back the answer that made the last one certain, and looks again.
//!
//! ```text
//!   P0   |-w1-| |-w2-|
//!   P1                 |-r→1-|             the first violation: this read is stale
//!   P2                         |-r→1-|     the second, once the first read counts as never answered
//! ```
//! An operation whose answer is forgotten may have happened, or not, at any later time; what it really did is among that.
//! So whatever has no order now had none before (`docs/correctness.md`). What is found is held against the history as it
//! was before it is told, with every answer in place.

use crate::exit::Failure;
use crate::judging::{Question, judge_one};
use checker::{Claim, Counterexample, Rung, Says, Violation, confirm};
use history::results::Anomaly;
use history::{Applied, History, NEVER, Outcome, ValueId};
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

/// Looks on after `first`, a violation of linearizability, for so long.
///
/// # Errors
/// As judging does.
pub fn further(
    history: &History,
    question: &Question,
    first: &Violation,
    timeout: Duration,
    interrupt: &AtomicBool,
) -> Result<Further, Failure> {
    let mut found = Further::default();
    let end = Instant::now() + timeout;
    // The object alone; lines, ranks and processes stay those of the history.
    let mine = |key: ValueId| first.keys.is_empty() || first.keys.contains(&key);
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
    let mut core: Vec<usize> = first.counterexample.core.iter().filter_map(|&source| place(source)).collect();
    let mut fatal = first.counterexample.fatal.and_then(place);
    for _ in 0..FURTHER_MAX {
        let answered = |at: &usize| weaker.ops[*at].outcome == Outcome::Ok;
        let Some(at) = fatal.filter(answered).or_else(|| core.iter().copied().filter(answered).max()) else {
            return Ok(found);
        };
        let op = &mut weaker.ops[at];
        (op.outcome, op.ret, op.applied) = (Outcome::Info, NEVER, Applied::Unsaid);
        (op.output, op.observed) = (ValueId::NULL, None);
        let left = end.saturating_duration_since(Instant::now());
        let judged = judge_one(&mut weaker, question, Rung::Linearizable, left, interrupt, true, None)?;
        let Some(next) = judged.violations.first() else {
            if judged.stuck.iter().any(Option::is_some) || left.is_zero() {
                found.more = Some("there may be more: the search for them ended undecided".to_string());
            }
            return Ok(found);
        };
        core = next.counterexample.core.iter().map(|&source| source as usize).collect();
        fatal = next.counterexample.fatal.map(|source| source as usize);
        if let Some(anomaly) = as_it_was(&mut whole, question, next) {
            found.anomalies.push(anomaly);
        }
    }
    found.more = Some(format!("there may be more: the answers of {FURTHER_MAX} operations were taken back"));
    Ok(found)
}

/// The explanation of a violation that the history shows with every answer in place, too. Where the answers that were
/// taken back demand a larger core there, it is none.
fn as_it_was(whole: &mut History, question: &Question, violation: &Violation) -> Option<Anomaly> {
    let core: &Counterexample = &violation.counterexample;
    let claim = Claim { keys: violation.keys.clone(), says: Says::Violated(core.clone()) };
    confirm(whole, &question.spec, checker::Property::Linearizable, &[claim]).ok()?;
    Some(checker::explain::explain(whole, &question.spec, Rung::Linearizable, core, 1))
}
