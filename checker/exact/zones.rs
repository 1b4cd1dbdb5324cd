//! Zones on columns: whether the operations of a cell whose values are all different have an order.
//!
//! The same as [`super::cell`] decides with `zones`, on [`crate::cells`]. It says yes, with an order, or nothing: evidence
//! against a history is made by the slower way. Every operation is treated alike, whatever it does: what it does not
//! touch is the cluster 0, which nobody looks at.

use super::clusters::{Cluster, Clusters, INITIAL, NONE};
use crate::cells::CellOp;
use history::NEVER;
use std::sync::atomic::{AtomicBool, Ordering};

/// Between how many values for each operation a table of all values is still the fastest.
const SPARSE: usize = 4;

/// So many clusters are made at once.
const MORE: usize = 512;

/// What is used again for the next cell.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    clusters: Clusters,
    /// Per value: the number of the cell that it was last seen in, and its number there.
    numbers: Vec<(u32, u32)>,
    /// How many cells were numbered by the table.
    cells: u32,
    /// The operations of such a cell.
    numbered: Vec<CellOp>,
}

impl Zones {
    /// An order of `ops`, by their places, if zones find one, and nobody stops it. `initial` is the value at first; `dense`
    /// says how many values there are, if they are numbered without gaps. O(n).
    pub(crate) fn order(
        &mut self,
        ops: &[CellOp],
        initial: u32,
        dense: Option<u32>,
        stop: &AtomicBool,
    ) -> Option<Vec<u32>> {
        if let Some(values) = dense.filter(|&values| values > 0) {
            let initial = if initial <= values { initial } else { 0 };
            return self.decide(ops, 0, values as usize + 1, initial, stop);
        }
        let (mut lowest, mut highest) = (u32::MAX, 0);
        for op in ops {
            // Nothing, which is 0, becomes the largest.
            lowest = lowest.min(op.saw.wrapping_sub(1)).min(op.left.wrapping_sub(1));
            highest = highest.max(op.saw).max(op.left);
        }
        if highest == 0 {
            return Some((0..ops.len() as u32).collect());
        }
        let range = (highest - lowest) as usize;
        if range <= SPARSE * ops.len() + 64 {
            let initial = if initial > lowest && initial <= highest { initial - lowest } else { 0 };
            return self.decide(ops, lowest, range + 1, initial, stop);
        }
        let mut numbered = std::mem::take(&mut self.numbered);
        numbered.clear();
        numbered.extend_from_slice(ops);
        let (count, initial) = self.renumber(&mut numbered, initial, highest);
        let order = self.decide(&numbered, 0, count + 1, initial, stop);
        self.numbered = numbered;
        order
    }

    /// Numbers the values of a cell from 1 on. How many there are, and the number of the first.
    fn renumber(&mut self, ops: &mut [CellOp], initial: u32, highest: u32) -> (usize, u32) {
        if self.numbers.len() <= highest as usize {
            self.numbers.resize(highest as usize + 1, (0, 0));
        }
        self.cells += 1;
        let (cell, mut count) = (self.cells, 0);
        let mut number = |value: &mut u32| {
            if *value == 0 {
                return;
            }
            let known = &mut self.numbers[*value as usize];
            if known.0 != cell {
                count += 1;
                *known = (cell, count);
            }
            *value = known.1;
        };
        for op in ops {
            number(&mut op.saw);
            number(&mut op.left);
        }
        let at_first = self.numbers.get(initial as usize).filter(|known| known.0 == cell && initial != 0);
        (count as usize, at_first.map_or(0, |known| known.1))
    }

    /// Values are numbered from `base` on, 0 apart; `count` of them, with 0.
    fn decide(
        &mut self,
        ops: &[CellOp],
        base: u32,
        count: usize,
        initial: u32,
        stop: &AtomicBool,
    ) -> Option<Vec<u32>> {
        let at = |value: u32| value.saturating_sub(base) as usize;
        let Clusters { all, initial: first } = &mut self.clusters;
        all.clear();
        all.reserve_exact(count);
        all.resize(count.min(initial as usize + 1).max(1), Cluster::NEW);
        *first = None;
        if initial != 0 {
            all[initial as usize].write = INITIAL;
            *first = Some(initial);
        }
        let mut open: Vec<(u32, u32)> = Vec::new();
        // Something is written twice, or does nothing at all.
        let mut other = false;
        for (op, i) in ops.iter().zip(0u32..) {
            let (saw, left) = (at(op.saw), at(op.left));
            if saw.max(left) >= all.len() {
                // They are named nearly in the order of their numbers: what is made is looked at soon.
                let more = (saw.max(left) + MORE).min(count);
                all.resize(more, Cluster::NEW);
            }
            let all = &mut all[..];
            if op.ret == NEVER {
                if left == 0 {
                    // Whatever it saw, nobody heard of it.
                    continue;
                }
                let cluster = &mut all[left];
                other |= cluster.write != NONE;
                (cluster.write, cluster.write_invoke, cluster.last_invoke) = (i, op.invoke, op.invoke);
                open.push((left as u32, if saw == 0 { NONE } else { saw as u32 }));
                continue;
            }
            // Who wrote a value belongs to it; so does who saw it and wrote none.
            let writes = left != 0;
            let own = &mut all[if writes { left } else { saw }];
            own.first_return = own.first_return.min(op.ret);
            own.last_invoke = op.invoke;
            own.size += 1;
            other |= writes & (own.write != NONE) | ((saw | left) == 0);
            own.write = if writes { i } else { own.write };
            own.write_invoke = if writes { op.invoke } else { own.write_invoke };
            // A cas makes one of another.
            let links = writes & (saw != 0);
            let (from, to) = if links { (saw, left) } else { (0, 0) };
            all[to].from = from as u32;
            other |= links & (all[from].next != NONE);
            all[from].next = to as u32;
        }
        if other || stop.load(Ordering::Relaxed) {
            return None;
        }
        all[0] = Cluster::NEW;
        self.clusters.take_open(&open).ok()?;
        let chains = self.clusters.order().ok()?;
        if stop.load(Ordering::Relaxed) { None } else { Some(self.lay_out(&chains, ops, at)) }
    }

    /// The operations in the order of their chains.
    fn lay_out(&mut self, chains: &[u32], ops: &[CellOp], at: impl Fn(u32) -> usize) -> Vec<u32> {
        let end = self.clusters.places(chains);
        let all = &mut self.clusters.all[..];
        let mut order = vec![NONE; end as usize];
        for (op, i) in ops.iter().zip(0u32..) {
            let (saw, left) = (at(op.saw), at(op.left));
            let writes = left != 0;
            let own = &mut all[if writes { left } else { saw }];
            // Whoever was answered is in the order.
            if op.ret == NEVER && (own.size == 0 || !writes) {
                continue;
            }
            let place = if writes { own.first_return } else { own.last_invoke };
            own.last_invoke += u32::from(!writes);
            order[place as usize] = i;
        }
        order
    }
}
