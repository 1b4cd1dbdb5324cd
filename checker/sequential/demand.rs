//! Who has yet to read a value, and who can still write it: a cell must not lose a value that is needed and cannot return.

use super::chains::Chains;
use crate::model::Model;
use crate::sources::Sees;
use history::ValueId;
use rustc_hash::FxHashMap;

const NONE: u32 = u32::MAX;

/// Counts per value of each cell. Operations on objects that are no cells ask for nothing.
#[derive(Debug)]
pub(crate) struct Demand {
    /// For each operation, the numbers of the values that it sees and leaves in its cell.
    sees: Vec<u32>,
    leaves: Vec<u32>,
    /// For each value, how many completed operations have yet to see it, and how many may still leave it.
    counts: Vec<(u32, u32)>,
    completed: Vec<bool>,
    /// What each cell holds, and what each taken write replaced.
    held: Vec<u32>,
    replaced: Vec<u32>,
}

impl Demand {
    /// Nothing has happened yet. O(n) expected.
    pub fn new<M: Model>(models: &[M], chains: &Chains<M::Op>) -> Demand {
        let n = chains.ops.len();
        let mut numbers: FxHashMap<(u32, ValueId), u32> = FxHashMap::default();
        let mut demand = Demand {
            sees: vec![NONE; n],
            leaves: vec![NONE; n],
            counts: Vec::new(),
            completed: chains.ops.iter().map(|op| !op.maybe).collect(),
            held: Vec::new(),
            replaced: Vec::new(),
        };
        let mut cell = vec![true; models.len()];
        for op in &chains.ops {
            cell[op.object as usize] &= models[op.object as usize].access(op.op).is_some();
        }
        for (i, op) in chains.ops.iter().enumerate() {
            let Some(access) = models[op.object as usize].access(op.op).filter(|_| cell[op.object as usize])
            else {
                continue;
            };
            let mut number = |value| {
                let fresh = numbers.len() as u32;
                *numbers.entry((op.object, value)).or_insert(fresh)
            };
            if let Some(Sees::Is(value)) = access.sees {
                demand.sees[i] = number(value);
            }
            if let Some(value) = access.leaves {
                demand.leaves[i] = number(value);
            }
        }
        demand.held = (0..)
            .zip(models)
            .map(|(object, model)| {
                model.initial_value().and_then(|v| numbers.get(&(object, v)).copied()).unwrap_or(NONE)
            })
            .collect();
        demand.counts = vec![(0, 0); numbers.len()];
        for i in 0..n {
            if demand.completed[i] && demand.sees[i] != NONE {
                demand.counts[demand.sees[i] as usize].0 += 1;
            }
            if demand.leaves[i] != NONE {
                demand.counts[demand.leaves[i] as usize].1 += 1;
            }
        }
        demand
    }

    /// `op` happened on `object`. Says whether a value was lost that somebody has yet to see and nobody can write again.
    pub fn take(&mut self, op: u32, object: u32) -> bool {
        let i = op as usize;
        if self.completed[i] && self.sees[i] != NONE {
            self.counts[self.sees[i] as usize].0 -= 1;
        }
        let new = self.leaves[i];
        if new == NONE {
            return false;
        }
        self.counts[new as usize].1 -= 1;
        let old = std::mem::replace(&mut self.held[object as usize], new);
        self.replaced.push(old);
        old != NONE && old != new && self.counts[old as usize].0 > 0 && self.counts[old as usize].1 == 0
    }

    /// The last operation that was taken, `op` on `object`, has not happened.
    pub fn undo(&mut self, op: u32, object: u32) {
        let i = op as usize;
        if self.completed[i] && self.sees[i] != NONE {
            self.counts[self.sees[i] as usize].0 += 1;
        }
        if self.leaves[i] != NONE {
            self.counts[self.leaves[i] as usize].1 += 1;
            self.held[object as usize] = self.replaced.pop().expect("as many as were taken");
        }
    }
}
