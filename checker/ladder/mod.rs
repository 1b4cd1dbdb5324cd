//! The ladder of consistency: what a history still has where it is not linearizable, for reads and writes.
//!
//! ```text
//!   History ──▶ Events (sessions; reads name their writes) ──▶ one file a rung ──▶ Evidence or Proof ──▶ verify
//! ```
//! | rung | file | cost for n events of k sessions | evidence that it holds |
//! |---|---|---|---|
//! | session guarantees | `versions.rs` | O(n) | an order of the versions of each key |
//! | regular | `regular.rs` | O(n log n) | the same |
//! | causal, causal convergence | `causal.rs` | O(n k log n) | an order of all events, looked through again |
//! | PRAM, causal memory | `views.rs` | O(n k) for each round of each session | an order of all writes for each session |
//!
//! Definitions, and what they mean where values are not unique or answers are missing: `docs/properties.md`.

mod causal;
mod events;
mod judged;
mod paths;
mod proof;
mod regular;
mod rung;
mod staleness;
mod tell;
#[cfg(test)]
mod tests;
mod verify;
mod versions;
mod views;

use crate::verdict::Reason;
use events::{Act, Events, From};
pub use judged::Ladder;
use proof::Proof;
pub use rung::Rung;
use std::sync::atomic::AtomicBool;
pub(crate) use tell::retell;

/// What deciding may spend.
pub(crate) struct Limit<'a> {
    stop: &'a AtomicBool,
    bytes: usize,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Outcome {
    Holds(Evidence),
    Violated(Proof),
    GaveUp(Reason),
}

/// Why a rung holds.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// The place of each write in an order of all versions.
    Versions(Vec<u32>),
    /// An order that keeps causality.
    Causality(Vec<u32>),
    /// An order that keeps causality and is the order in which everybody sees the writes.
    Arbitration(Vec<u32>),
    /// A view for each session, verified and dropped.
    Verified,
}

/// Decides a rung that is not decided by searches, and has the evidence verified.
///
/// # Errors
/// Why the verifier refuses the evidence: a bug.
///
/// # Panics
/// For linearizability, sequential consistency and coherence.
fn decide(events: &Events, rung: Rung, limit: &Limit<'_>) -> Result<Outcome, String> {
    let outcome = match rung {
        Rung::Regular => regular::decide(events, limit),
        Rung::CausalConvergence => causal::decide(events, true, limit),
        Rung::Causal => causal::decide(events, false, limit),
        Rung::CausalMemory => views::decide(events, true, limit)?,
        Rung::Pram => views::decide(events, false, limit)?,
        Rung::WritesFollowReads | Rung::MonotonicWrites | Rung::MonotonicReads | Rung::ReadYourWrites => {
            versions::decide(events, rung, limit)
        }
        Rung::Linearizable | Rung::Sequential | Rung::Coherence => {
            panic!("{} is decided by searches", rung.name())
        }
    };
    match &outcome {
        Outcome::GaveUp(_) | Outcome::Holds(Evidence::Verified) => {}
        Outcome::Holds(Evidence::Versions(place)) if rung == Rung::Regular => {
            verify::regular(events, place)?;
        }
        Outcome::Holds(Evidence::Versions(place)) => verify::versions(events, rung, place)?,
        Outcome::Holds(Evidence::Causality(order)) => verify::causality(events, false, order)?,
        Outcome::Holds(Evidence::Arbitration(order)) => verify::causality(events, true, order)?,
        Outcome::Violated(proof) => verify::proof(events, rung, proof)?,
    }
    Ok(outcome)
}

/// Proofs of more events are not made smaller.
const SHRINK_MAX: usize = 400;

/// A few events that violate a rung by themselves.
struct Small {
    events: Events,
    /// What each was before.
    old: Vec<u32>,
    proof: Proof,
    /// Whether without any one of the reads the rest has the rung.
    minimal: bool,
}

/// The events of a proof, without reads that they can do without. What is left out makes no history worse: orders and
/// views of a whole history serve for a part of it as well, as long as reads keep their sources.
///
/// # Errors
/// If the proof does not stand by itself, or the verifier refuses one: a bug.
fn shrink(events: &Events, rung: Rung, proof: Proof) -> Result<Small, String> {
    let never = AtomicBool::new(false);
    let limit = Limit { stop: &never, bytes: usize::MAX };
    let small = |numbers: &[u32]| -> Result<Option<Small>, String> {
        let (events, old) = events.only(numbers);
        Ok(match decide(&events, rung, &limit)? {
            Outcome::Violated(proof) => Some(Small { events, old, proof, minimal: false }),
            Outcome::Holds(_) | Outcome::GaveUp(_) => None,
        })
    };
    let mut best = small(&closed(events, proof.events()))?.ok_or("a proof that does not stand by itself")?;
    if best.old.len() > SHRINK_MAX {
        return Ok(best);
    }
    loop {
        let named = named(&best);
        if named.len() < best.old.len() {
            best = small(&named)?.ok_or("a proof that does not stand by itself")?;
            continue;
        }
        let reads: Vec<u32> =
            best.old.iter().copied().filter(|&event| events.at(event).act != Act::Write).collect();
        let mut smaller = None;
        for read in reads {
            let without: Vec<u32> = best.old.iter().copied().filter(|&event| event != read).collect();
            smaller = small(&without)?;
            if smaller.is_some() {
                break;
            }
        }
        match smaller {
            Some(smaller) => best = smaller,
            None => return Ok(Small { minimal: true, ..best }),
        }
    }
}

/// The events, as they were, that the small proof names.
fn named(small: &Small) -> Vec<u32> {
    closed(&small.events, small.proof.events()).into_iter().map(|event| small.old[event as usize]).collect()
}

/// Events with the sources of their reads, ascending.
fn closed(events: &Events, mut numbers: Vec<u32>) -> Vec<u32> {
    for i in 0..numbers.len() {
        if let Act::Read(From::Write(w)) = events.at(numbers[i]).act {
            numbers.push(w);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
