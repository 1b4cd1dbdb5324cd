//! The steps of the decision, cheap proofs first.

use super::cells::{Cells, From, cells};
use super::chains::Chains;
use super::conflicts::Conflicts;
use super::due::{First, due, shifted};
use super::frontier::{Built, construct};
use super::proof::{behind, prove};
use super::saturate::saturate;
use super::search::{Found, search};
use crate::keyed::Keyed;
use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::{Budget, Reason};
use rustc_hash::FxHashMap;
use std::sync::atomic::Ordering;

/// How an answer was found, the strongest means that any part of the history needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// The legal orders of the single objects were joined.
    Linearizations,
    /// What must come before what was derived until it closed a circle.
    Saturation,
    /// Frontiers were enumerated; reads name their writes.
    Frontiers,
    /// Frontiers and states were enumerated.
    Search,
}

impl Method {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Method::Linearizations => "linearizations",
            Method::Saturation => "saturation",
            Method::Frontiers => "frontiers",
            Method::Search => "search",
        }
    }
}

/// What was decided. Operations are indices into `History::ops`.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A legal order.
    Order(Vec<u32>),
    /// None exists, and these operations are already too many.
    Nothing(Vec<u32>),
    /// The budget ended first; the deepest order.
    GaveUp(Reason, Vec<u32>),
}

/// The operations of a history that matter: an indeterminate one that changes nothing can as well never have happened.
pub(crate) fn relevant<M: Model>(problem: &Problem<Keyed<M>>) -> Chains<M::Op> {
    let chains = Chains::new(problem);
    chains.retain(|i| {
        let op = &chains.ops[i as usize];
        !(op.maybe && problem.model.objects[op.object as usize].is_pure(op.op))
    })
}

/// Decides `problem`, with at most `most` configurations in each search.
pub(crate) fn decide<M: Model>(
    problem: &Problem<Keyed<M>>,
    most: u64,
    budget: &Budget<'_>,
) -> (Answer, Method) {
    let models = &problem.model.objects;
    let mut order = Vec::new();
    let mut method = Method::Linearizations;
    let mut gave_up = None;
    // Parts that share neither a process nor an object know nothing of each other.
    for part in relevant(problem).parts() {
        let (answer, how) = decide_part(models, &part, most, budget);
        match answer {
            Answer::Order(more) => order.extend(more),
            Answer::Nothing(core) => return (Answer::Nothing(core), how),
            Answer::GaveUp(reason, deepest) => {
                gave_up = gave_up.or(Some(reason));
                order.extend(deepest);
            }
        }
        method = method.max(how);
    }
    match gave_up {
        None => (Answer::Order(order), method),
        Some(reason) => (Answer::GaveUp(reason, order), method),
    }
}

fn decide_part<M: Model>(
    models: &[M],
    chains: &Chains<M::Op>,
    most: u64,
    budget: &Budget<'_>,
) -> (Answer, Method) {
    let all = || chains.ops.iter().map(|op| op.source).collect();
    let (mut earlier, mut deepest) = (Vec::new(), Vec::new());
    if let Some(cells) = cells(models, chains) {
        if let Some(i) = cells.from.iter().position(|from| *from == From::Nowhere) {
            return (Answer::Nothing(vec![cells.chains.ops[i].source]), Method::Saturation);
        }
        let mut conflicts = Conflicts::default();
        if cells.exact {
            // Most histories of working systems need about one choice for each write, and most violations are found
            // after few conflicts: try that before anything dear.
            let patience = most.min(4 * chains.ops.len() as u64 + 1000);
            match construct(&cells, &[], &mut conflicts, patience, budget) {
                Built::Order(order) => {
                    return (Answer::Order(cells.chains.sources(&order)), Method::Frontiers);
                }
                Built::Nothing(refutation) => {
                    let core = with_sources(&cells, refutation.ops);
                    return (Answer::Nothing(cells.chains.sources(&core)), Method::Frontiers);
                }
                Built::GaveUp(_, order) => deepest = cells.chains.sources(&order),
            }
        }
        let saturated = match saturate(&cells, budget) {
            Ok(saturated) => Some(saturated),
            Err(Reason::Stopped) => return (Answer::GaveUp(Reason::Stopped, deepest), Method::Saturation),
            // Too large for that, but perhaps not for a search.
            Err(Reason::Memory | Reason::Unverified) => None,
        };
        if let Some(proof) = saturated.as_ref().and_then(|saturated| prove(&cells, saturated)) {
            return (Answer::Nothing(proof.operations()), Method::Saturation);
        }
        earlier.extend(saturated.iter().flat_map(|s| s.edges.iter().map(|e| (e.from, e.to))));
        if cells.exact {
            let found = match construct(&cells, &earlier, &mut conflicts, most, budget) {
                Built::Order(order) => Answer::Order(cells.chains.sources(&order)),
                Built::Nothing(mut refutation) => {
                    if let Some(saturated) = &saturated {
                        refutation.ops.extend(behind(&cells, saturated, &refutation.earlier));
                    }
                    Answer::Nothing(cells.chains.sources(&with_sources(&cells, refutation.ops)))
                }
                Built::GaveUp(reason, order) => {
                    Answer::GaveUp(reason, longer(cells.chains.sources(&order), deepest))
                }
            };
            return (found, Method::Frontiers);
        }
        earlier = renumber(&cells, chains, &earlier);
    }
    let objects = chains.objects_touched();
    if objects.len() > 1 {
        // One object alone may be impossible already: far fewer frontiers, and a better explanation.
        let patience = most.min(20 * chains.ops.len() as u64 + 10_000);
        for object in objects {
            let alone = chains.retain(|i| chains.ops[i as usize].object == object);
            if let Found::Nothing = search(models, &alone, &[], &due(&alone, &[]).into(), patience, budget) {
                let core = alone.ops.iter().map(|op| op.source).collect();
                return (Answer::Nothing(core), Method::Search);
            }
        }
    }
    (answer(by_turns(models, chains, &earlier, most, budget), chains, all), Method::Search)
}

/// The search, each time from the beginning with another idea of what to try first, and each time longer: a search that
/// began badly can take for ever to come back to where it went wrong.
fn by_turns<M: Model>(
    models: &[M],
    chains: &Chains<M::Op>,
    earlier: &[(u32, u32)],
    most: u64,
    budget: &Budget<'_>,
) -> Found {
    let n = chains.ops.len() as u64;
    let soonest = due(chains, earlier);
    let mut patience = 4 * n + 1000;
    let (mut turn, mut deepest) = (0, Vec::new());
    loop {
        let first = match turn {
            0 => soonest.clone().into(),
            1 => First::from(due(chains, &[])),
            _ => {
                let most = (2 * n).min(4 << (turn / 4).min(32)) as u32;
                First {
                    due: shifted(chains, &soonest, most, turn),
                    bonus: [0, 8, 32, 128][(turn % 4) as usize],
                }
            }
        };
        let reason = match search(models, chains, earlier, &first, patience.min(most), budget) {
            Found::GaveUp(reason, order) => {
                deepest = longer(order, deepest);
                reason
            }
            found @ (Found::Order(_) | Found::Nothing) => return found,
        };
        let again = reason == Reason::Stopped && patience < most;
        if !again || budget.stop.load(Ordering::Relaxed) {
            return Found::GaveUp(reason, deepest);
        }
        // Slowly at first, because each turn may be lucky; at last so much that all can be seen.
        patience = if turn < 32 { patience + patience / 16 } else { patience.saturating_mul(2) };
        turn += 1;
    }
}

fn answer<O: Copy>(found: Found, chains: &Chains<O>, all: impl Fn() -> Vec<u32>) -> Answer {
    match found {
        Found::Order(order) => Answer::Order(chains.sources(&order)),
        Found::Nothing => Answer::Nothing(all()),
        Found::GaveUp(reason, order) => Answer::GaveUp(reason, chains.sources(&order)),
    }
}

fn longer(a: Vec<u32>, b: Vec<u32>) -> Vec<u32> {
    if a.len() >= b.len() { a } else { b }
}

/// The same operations, and what those of them that only look have seen. Ascending.
fn with_sources<O>(cells: &Cells<O>, mut ops: Vec<u32>) -> Vec<u32> {
    let source = |&i: &u32| match cells.from[i as usize] {
        From::Op(w) if !cells.writes[i as usize] => Some(w),
        From::Op(_) | From::Blind | From::Initial | From::Unsure | From::Nowhere => None,
    };
    let sources: Vec<u32> = ops.iter().filter_map(source).collect();
    ops.extend(sources);
    ops.sort_unstable();
    ops.dedup();
    ops
}

/// Pairs of operations of `cells` as pairs of operations of `whole`.
fn renumber<O: Copy>(cells: &Cells<O>, whole: &Chains<O>, pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut number: FxHashMap<u32, u32> = FxHashMap::default();
    number.extend((0..).zip(&whole.ops).map(|(i, op)| (op.source, i)));
    let renumbered = |i: u32| number[&cells.chains.ops[i as usize].source];
    pairs.iter().map(|&(a, b)| (renumbered(a), renumbered(b))).collect()
}
