//! Sequential consistency: one legal order of all operations that keeps every process in its own order (Lamport 1979).
//!
//! Real time does not matter, and objects cannot be judged one by one: two histories that are each sequential can be
//! impossible together. The problem is NP-complete, even when reads name their writes (Gibbons and Korach 1997), so
//! cheap proofs of either answer come first, and a search with a budget decides the rest:
//!
//! ```text
//!   linearizable per object? ──▶ merge the orders                                           valid
//!   values seen were written once?
//!     ├─ frontier machine that learns from conflicts, a few choices per operation           either
//!     ├─ saturation: what must come before what? ──▶ a circle                               invalid
//!     └─ frontier machine on what saturation and the conflicts left open                    either
//!   anything else: search over frontiers and states, each object alone first                either
//! ```

mod branches;
mod cells;
mod chains;
mod conflicts;
mod decide;
mod demand;
mod due;
mod frontier;
mod lists;
mod merge;
mod proof;
mod saturate;
mod search;
mod shrink;
mod steps;
mod stuck;
#[cfg(test)]
mod tests;
mod tree;
mod trips;

use crate::keyed::Keyed;
use crate::model::Model;
use crate::problem::{ObjOp, Problem};
use crate::search::{self as linearization, search_up_to};
use crate::verdict::{Budget, Reason, Verdict, Witness};
use chains::Chains;
pub use decide::Method;
use decide::{Answer, decide};
pub use proof::{Proof, Step};
pub use saturate::Rule;
use std::sync::atomic::Ordering;
pub(crate) use stuck::stuck;

/// The order of all operations that follows from a linearization of each object (its indices into `History::ops`, first
/// to last), or `None` if it breaks the order of a process. O(n log n).
///
/// # Panics
/// If an order names an operation that is not in the problem.
pub fn accept_from_linearizations<M: Model>(
    problem: &Problem<Keyed<M>>,
    orders: &[Vec<u32>],
) -> Option<Witness> {
    let chains = Chains::new(problem);
    let sources = chains.ops.iter().map(|op| op.source).max().map_or(0, |s| s as usize + 1);
    let mut number = vec![u32::MAX; sources];
    for (i, op) in (0..).zip(&chains.ops) {
        number[op.source as usize] = i;
    }
    let orders: Vec<Vec<u32>> =
        orders.iter().map(|order| order.iter().map(|&source| number[source as usize]).collect()).collect();
    let merged = merge::merge(&chains, &orders)?;
    Some(Witness { order: chains.sources(&merged) })
}

/// Whether `problem`, which is a whole history, is sequentially consistent.
///
/// A complete decision procedure: [`Verdict::Unknown`] only when the budget ends. Operations that were never answered
/// may be left out; those that are not stay where their process sent them.
/// Cost: near linear where the objects are linearizable, or saturation or the first descent decides, else up to O(n^k)
/// frontiers for k processes.
pub fn sequential<M: Model>(problem: &Problem<Keyed<M>>, budget: &Budget<'_>) -> (Verdict, Method) {
    let (verdict, method, _) = sequential_watched(problem, budget);
    (verdict, method)
}

/// The same, with the deepest order where the budget ended.
pub(crate) fn sequential_watched<M: Model>(
    problem: &Problem<Keyed<M>>,
    budget: &Budget<'_>,
) -> (Verdict, Method, Option<Vec<u32>>) {
    let mut perhaps_linearizable = true;
    let mut patience = FIRST_TURN;
    // Either question may be the easier one: they take turns, each longer than all before.
    loop {
        if perhaps_linearizable {
            match linearizations(problem, patience, budget) {
                Linearized::All(orders) => match accept_from_linearizations(problem, &orders) {
                    Some(witness) => return (Verdict::Valid(witness), Method::Linearizations, None),
                    None => perhaps_linearizable = false,
                },
                Linearized::NotAll => perhaps_linearizable = false,
                Linearized::GaveUp => {}
            }
        }
        let most = if perhaps_linearizable { patience } else { u64::MAX };
        let (answer, method) = decide(problem, most, budget);
        let verdict = match answer {
            Answer::Order(order) => Verdict::Valid(Witness { order }),
            Answer::Nothing(refutation) => Verdict::Invalid(shrink::shrink(problem, &refutation, budget)),
            Answer::GaveUp(Reason::Stopped, _)
                if perhaps_linearizable && !budget.stop.load(Ordering::Relaxed) =>
            {
                patience = patience.saturating_mul(8);
                continue;
            }
            Answer::GaveUp(reason, deepest) => return (Verdict::Unknown(reason), method, Some(deepest)),
        };
        return (verdict, method, None);
    }
}

/// Configurations that each object's linearization, and then each search for an order of all, may take at first.
const FIRST_TURN: u64 = 50_000;

/// Whether each object alone is linearizable.
enum Linearized {
    /// Each has this order, as indices into `History::ops`.
    All(Vec<Vec<u32>>),
    /// One is not.
    NotAll,
    /// That took too long.
    GaveUp,
}

fn linearizations<M: Model>(problem: &Problem<Keyed<M>>, most: u64, budget: &Budget<'_>) -> Linearized {
    let models = &problem.model.objects;
    let mut of_object: Vec<Vec<ObjOp<M::Op>>> = vec![Vec::new(); models.len()];
    for op in &problem.ops {
        of_object[op.op.object as usize].push(op.with(op.op.op));
    }
    let mut orders = Vec::with_capacity(models.len());
    for (model, ops) in models.iter().zip(of_object) {
        let alone = Problem { model: model.clone(), ops };
        match search_up_to(&alone, budget, most) {
            linearization::Found::Order(order) => {
                orders.push(order.into_iter().map(|i| alone.ops[i as usize].source).collect());
            }
            linearization::Found::Fatal(_) => return Linearized::NotAll,
            linearization::Found::GaveUp(_) => return Linearized::GaveUp,
        }
    }
    Linearized::All(orders)
}

/// The circle that proves that `problem` is not sequential, if saturation finds one: for explanations of a small core.
pub fn circle<M: Model>(problem: &Problem<Keyed<M>>, budget: &Budget<'_>) -> Option<Proof> {
    let chains = decide::relevant(problem);
    let cells = cells::cells(&problem.model.objects, &chains)?;
    let saturated = saturate::saturate(&cells, budget).ok()?;
    proof::prove(&cells, &saturated)
}
