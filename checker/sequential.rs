//! Sequential consistency: one legal order of all operations that keeps every process in its own order (Lamport 1979).
//!
//! Real time does not matter, and objects cannot be judged one by one: two histories that are each sequential can be
//! impossible together. The problem is NP-complete, even when reads name their writes (Gibbons and Korach 1997), so
//! cheap proofs of either answer come first, and a search with a budget decides the rest:
//!
//! ```text
//!   linearizable per object? ──▶ merge the orders                                           valid
//!   values seen were written once?
//!     ├─ frontier machine, a few choices per operation ──▶ order                            valid
//!     ├─ saturation: what must come before what? ──▶ a circle                               invalid
//!     └─ frontier machine, exhaustive                                                       either
//!   anything else: search over frontiers and states                                         either
//! ```

mod cells;
mod chains;
mod frontier;
mod merge;
mod search;
mod steps;
#[cfg(test)]
mod tests;
mod tree;

use crate::keyed::Keyed;
use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::{Budget, Counterexample, Verdict, Witness};
use chains::Chains;
use rustc_hash::FxHashMap;
use search::Found;

/// How an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
/// Cost: linear where saturation or the first descent decides, else up to O(n^k) frontiers for k processes.
pub fn sequential<M: Model>(problem: &Problem<Keyed<M>>, budget: &Budget<'_>) -> (Verdict, Method) {
    let chains = Chains::new(problem);
    let models = &problem.model.objects;
    let (found, method) = match cells::cells(models, &chains) {
        Some(cells) if cells.exact => match frontier::construct(&cells, &[], u64::MAX, budget) {
            Found::Order(order) => {
                (Found::Order(number_in(&cells.chains, &chains, &order)), Method::Frontiers)
            }
            other => (other, Method::Frontiers),
        },
        Some(_) | None => (search::search(models, &chains, budget), Method::Search),
    };
    let verdict = match found {
        Found::Order(order) => Verdict::Valid(Witness { order: chains.sources(&order) }),
        Found::Nothing => Verdict::Invalid(Counterexample {
            core: problem.ops.iter().map(|op| op.source).collect(),
            minimal: false,
            fatal: None,
        }),
        Found::GaveUp(reason) => Verdict::Unknown(reason),
    };
    (verdict, method)
}

/// Numbers in `of` as numbers in `whole`, which has more operations.
fn number_in<O: Copy>(of: &Chains<O>, whole: &Chains<O>, order: &[u32]) -> Vec<u32> {
    let mut number: FxHashMap<u32, u32> = FxHashMap::default();
    number.extend((0..).zip(&whole.ops).map(|(i, op)| (op.source, i)));
    order.iter().map(|&i| number[&of.ops[i as usize].source]).collect()
}
