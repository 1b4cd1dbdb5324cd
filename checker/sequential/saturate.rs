//! Saturation: which operations must come before which in every sequential order? A circle among them proves there is none.
//!
//! Two rules are applied until nothing new follows (Zennou et al., ATVA 2019; *w* is the write that *r* saw, *v* another
//! write of the same cell):
//!
//! ```text
//!   v before r   ⇒   v before w          else r would have seen v
//!   w before v   ⇒   r before v          else r would have seen v
//!   r saw the initial value   ⇒   r before every write
//! ```
//! What comes before an operation is a prefix of every process, so it is one number per process. Each round computes
//! these for all operations and looks at the last write of each process before a read and the first one after its source.
//! O(rounds · n · k · log n) time and O(n · k) space for k processes. Every edge remembers why it holds.

use super::cells::{Cells, From};
use super::chains::Chains;
use crate::verdict::{Budget, Reason};
use rustc_hash::FxHashSet;
use std::sync::atomic::Ordering;

/// Why one operation comes before another in every sequential order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The same process sent them one after the other.
    Program,
    /// `to` saw what `from` wrote.
    ReadsFrom,
    /// `from` wrote before this reader, which saw what `to` wrote. (An index into `History::ops` in a [`super::Proof`].)
    Overwritten(u32),
    /// `from` saw the value of this write, which comes before `to`, which replaces it.
    SawBefore(u32),
    /// `from` saw the initial value, and `to` replaces it.
    Initial,
}

/// An edge of the saturated order. Edges of a later round may build on those of earlier ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub from: u32,
    pub to: u32,
    pub rule: Rule,
    pub round: u32,
}

/// What saturation found.
pub(crate) struct Saturated {
    /// Everything beside program order.
    pub edges: Vec<Edge>,
    /// Operations that are on a circle or behind one; empty if there is none.
    pub tangled: Vec<bool>,
    k: usize,
    /// The order that was known before the round that closed a circle.
    clocks: Vec<u32>,
}

impl Saturated {
    /// Whether `a` was known to come before `b` before the round that closed a circle.
    pub fn before<O: Copy>(&self, chains: &Chains<O>, a: u32, b: u32) -> bool {
        let process = chains.ops[a as usize].process as usize;
        self.clocks[b as usize * self.k + process] > a - chains.start[process]
    }
}

/// Saturates the order of `cells`.
///
/// # Errors
/// If the budget ends first.
pub(crate) fn saturate<O: Copy>(cells: &Cells<O>, budget: &Budget<'_>) -> Result<Saturated, Reason> {
    let n = cells.chains.ops.len();
    let k = cells.chains.processes() as usize;
    let size = n.saturating_mul(k).saturating_mul(4);
    if size > budget.bytes {
        return Err(Reason::Memory);
    }
    let mut order = Order::new(cells);
    for (op, from) in (0..).zip(&cells.from) {
        if let From::Op(w) = *from {
            order.add(Edge { from: w, to: op, rule: Rule::ReadsFrom, round: 0 });
        }
    }
    for round in 1.. {
        if budget.stop.load(Ordering::Relaxed) {
            return Err(Reason::Stopped);
        }
        if let Some(tangled) = order.run_clocks(u32::MAX) {
            order.run_clocks(round - 1);
            return Ok(Saturated { edges: order.edges, tangled, k, clocks: order.clocks });
        }
        if size + order.edges.capacity() * (size_of::<Edge>() + 14) > budget.bytes {
            return Err(Reason::Memory);
        }
        let known = order.edges.len();
        for op in 0..n as u32 {
            if op % 4096 == 0 && budget.stop.load(Ordering::Relaxed) {
                return Err(Reason::Stopped);
            }
            order.derive(op, round);
        }
        if order.edges.len() == known {
            break;
        }
    }
    Ok(Saturated { edges: order.edges, tangled: Vec::new(), k, clocks: order.clocks })
}

/// The order known so far.
struct Order<'a, O> {
    cells: &'a Cells<O>,
    k: usize,
    edges: Vec<Edge>,
    /// Pairs that have an edge.
    joined: FxHashSet<(u32, u32)>,
    /// Edges that leave an operation, as a linked list through `next`.
    head: Vec<u32>,
    next: Vec<u32>,
    /// `clocks[op · k + p]`: how many operations of process p are known to come before `op`, or are `op`.
    clocks: Vec<u32>,
    /// Per object, the writes of each process that writes it, in program order.
    writes: Vec<Vec<(u32, Vec<u32>)>>,
}

const NONE: u32 = u32::MAX;

impl<'a, O: Copy> Order<'a, O> {
    fn new(cells: &'a Cells<O>) -> Order<'a, O> {
        let n = cells.chains.ops.len();
        let mut writes: Vec<Vec<(u32, Vec<u32>)>> = vec![Vec::new(); cells.chains.objects as usize];
        for (i, op) in (0..).zip(&cells.chains.ops) {
            if cells.writes[i as usize] {
                let of_object = &mut writes[op.object as usize];
                match of_object.last_mut() {
                    Some((process, list)) if *process == op.process => list.push(i),
                    Some(_) | None => of_object.push((op.process, vec![i])),
                }
            }
        }
        let k = cells.chains.processes() as usize;
        Order {
            cells,
            k,
            edges: Vec::new(),
            joined: FxHashSet::default(),
            head: vec![NONE; n],
            next: Vec::new(),
            clocks: vec![0; n * k],
            writes,
        }
    }

    fn add(&mut self, edge: Edge) {
        if !self.joined.insert((edge.from, edge.to)) {
            return;
        }
        self.next.push(self.head[edge.from as usize]);
        self.head[edge.from as usize] = self.edges.len() as u32;
        self.edges.push(edge);
    }

    /// Where `op` stands in its process.
    fn position(&self, op: u32) -> u32 {
        op - self.cells.chains.start[self.process(op)]
    }

    fn process(&self, op: u32) -> usize {
        self.cells.chains.ops[op as usize].process as usize
    }

    /// Whether `a` is known to come before `b`, or is `b`.
    fn before(&self, a: u32, b: u32) -> bool {
        self.clocks[b as usize * self.k + self.process(a)] > self.position(a)
    }

    /// Computes the clocks in topological order from the edges of rounds before `round`, or says which operations have
    /// no place in one.
    fn run_clocks(&mut self, round: u32) -> Option<Vec<bool>> {
        let chains = &self.cells.chains;
        let n = chains.ops.len();
        let mut waits_for = vec![0u32; n];
        for (i, op) in (0..).zip(&chains.ops) {
            waits_for[i as usize] = u32::from(chains.start[op.process as usize] != i);
        }
        for edge in self.edges.iter().filter(|e| e.round < round) {
            waits_for[edge.to as usize] += 1;
        }
        let mut ready: Vec<u32> = (0..n as u32).filter(|&i| waits_for[i as usize] == 0).collect();
        self.clocks.fill(0);
        let mut placed = 0;
        while let Some(op) = ready.pop() {
            placed += 1;
            let (i, p) = (op as usize, self.process(op));
            self.clocks[i * self.k + p] = self.position(op) + 1;
            let mut edge = self.head[i];
            while edge != NONE {
                let Edge { to, round: of, .. } = self.edges[edge as usize];
                if of < round {
                    self.follow(op, to, &mut waits_for, &mut ready);
                }
                edge = self.next[edge as usize];
            }
            if op + 1 < self.cells.chains.start[p + 1] {
                self.follow(op, op + 1, &mut waits_for, &mut ready);
            }
        }
        (placed < n).then(|| waits_for.iter().map(|&waits| waits > 0).collect())
    }

    fn follow(&mut self, op: u32, to: u32, waits_for: &mut [u32], ready: &mut Vec<u32>) {
        let (from, to_at) = (op as usize * self.k, to as usize * self.k);
        if from < to_at {
            let (a, b) = self.clocks.split_at_mut(to_at);
            join(&mut b[..self.k], &a[from..from + self.k]);
        } else {
            let (a, b) = self.clocks.split_at_mut(from);
            join(&mut a[to_at..to_at + self.k], &b[..self.k]);
        }
        waits_for[to as usize] -= 1;
        if waits_for[to as usize] == 0 {
            ready.push(to);
        }
    }

    /// What follows from what `op` saw.
    fn derive(&mut self, op: u32, round: u32) {
        let object = self.cells.chains.ops[op as usize].object as usize;
        match self.cells.from[op as usize] {
            From::Op(source) => {
                for i in 0..self.writes[object].len() {
                    if let Some(v) = self.last_before(object, i, op) {
                        if v != source && !self.before(v, source) {
                            self.add(Edge { from: v, to: source, rule: Rule::Overwritten(op), round });
                        }
                    }
                    if let Some(v) = self.first_after(object, i, source, op) {
                        if !self.before(op, v) {
                            self.add(Edge { from: op, to: v, rule: Rule::SawBefore(source), round });
                        }
                    }
                }
            }
            From::Initial => {
                for i in 0..self.writes[object].len() {
                    let first = self.writes[object][i].1.iter().find(|v| **v != op);
                    if let Some(&v) = first.filter(|v| !self.before(op, **v)) {
                        self.add(Edge { from: op, to: v, rule: Rule::Initial, round });
                    }
                }
            }
            From::Blind | From::Unsure | From::Nowhere => {}
        }
    }

    /// The last write of `object` by its `i`th writing process that is known to come before `op`.
    fn last_before(&self, object: usize, i: usize, op: u32) -> Option<u32> {
        let (process, list) = &self.writes[object][i];
        let end = self.cells.chains.start[*process as usize]
            + self.clocks[op as usize * self.k + *process as usize];
        let known = list.partition_point(|&v| v < end);
        // A cas does not come before itself.
        list[..known].iter().rev().copied().find(|&v| v != op)
    }

    /// The first write of `object` by its `i`th writing process that is known to come after `source`, and is not `op`.
    fn first_after(&self, object: usize, i: usize, source: u32, op: u32) -> Option<u32> {
        let list = &self.writes[object][i].1;
        let from = list.partition_point(|&v| v == source || !self.before(source, v));
        list[from..].iter().copied().find(|&v| v != op && v != source)
    }
}

fn join(into: &mut [u32], other: &[u32]) {
    for (a, b) in into.iter_mut().zip(other) {
        *a = (*a).max(*b);
    }
}
