//! Which write did each read see? What makes saturation and the frontier machine possible.
//!
//! Where every object is a cell and a value that is seen was written once (or is the initial one and never written),
//! reads name their writes. Unanswered writes that somebody saw did happen; those that nobody saw can be left out,
//! because no legal order gets worse without them.

use super::chains::Chains;
use crate::model::Model;
use crate::sources::Sees;
use rustc_hash::FxHashMap;

/// Where the value that an operation saw came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// It did not look.
    Blind,
    /// It saw the initial value.
    Initial,
    /// It saw what this operation wrote.
    Op(u32),
    /// It saw what several operations may have written, or only what it was not.
    Unsure,
    /// It saw a value that nobody can have written.
    Nowhere,
}

/// A history of cells: the operations that must have happened, and what they saw.
#[derive(Debug)]
pub(crate) struct Cells<O> {
    /// The operations that must have happened, in program order.
    pub chains: Chains<O>,
    /// For each, what it saw.
    pub from: Vec<From>,
    /// For each, whether it leaves a value behind.
    pub writes: Vec<bool>,
    /// Whether an order of these is all there is to find: no value that was seen is in doubt.
    pub exact: bool,
}

/// The cells in `chains`, or `None` if some object is not a cell. O(n) expected.
pub(crate) fn cells<M: Model>(models: &[M], chains: &Chains<M::Op>) -> Option<Cells<M::Op>> {
    let initial = models.iter().map(Model::initial_value).collect::<Option<Vec<_>>>()?;
    let n = chains.ops.len();
    let mut accesses = Vec::with_capacity(n);
    for op in &chains.ops {
        accesses.push(models[op.object as usize].access(op.op)?);
    }
    // Who may have written each value of each object: nobody, one, or several.
    let mut writers: FxHashMap<(u32, history::ValueId), Writer> = FxHashMap::default();
    for (i, (op, access)) in (0..).zip(chains.ops.iter().zip(&accesses)) {
        if let Some(value) = access.leaves {
            let first = if value == initial[op.object as usize] { Writer::Several } else { Writer::One(i) };
            writers.entry((op.object, value)).and_modify(|w| *w = Writer::Several).or_insert(first);
        }
    }
    let mut from = Vec::with_capacity(n);
    for (op, access) in chains.ops.iter().zip(&accesses) {
        from.push(match access.sees {
            None => From::Blind,
            Some(Sees::IsNot(_)) => From::Unsure,
            Some(Sees::Is(value)) => match writers.get(&(op.object, value)) {
                Some(Writer::Several) => From::Unsure,
                Some(Writer::One(w)) => From::Op(*w),
                None if value == initial[op.object as usize] => From::Initial,
                None => From::Nowhere,
            },
        });
    }
    // What was seen by somebody who must have happened must have happened.
    let mut must: Vec<bool> = chains.ops.iter().map(|op| !op.maybe).collect();
    let mut news: Vec<u32> = (0..n as u32).filter(|&i| must[i as usize]).collect();
    while let Some(i) = news.pop() {
        if let From::Op(w) = from[i as usize] {
            if !must[w as usize] {
                must[w as usize] = true;
                news.push(w);
            }
        }
    }
    let exact = (0..n).all(|i| !must[i] || from[i] != From::Unsure);
    let mut number = vec![u32::MAX; n];
    let mut next = 0;
    for i in 0..n {
        if must[i] {
            number[i] = next;
            next += 1;
        }
    }
    let of_must = |i: &usize| must[*i];
    Some(Cells {
        chains: chains.retain(|i| must[i as usize]),
        from: (0..n)
            .filter(of_must)
            .map(|i| match from[i] {
                From::Op(w) => From::Op(number[w as usize]),
                other @ (From::Blind | From::Initial | From::Unsure | From::Nowhere) => other,
            })
            .collect(),
        writes: (0..n).filter(of_must).map(|i| accesses[i].leaves.is_some()).collect(),
        exact,
    })
}

#[derive(Clone, Copy)]
enum Writer {
    One(u32),
    Several,
}
