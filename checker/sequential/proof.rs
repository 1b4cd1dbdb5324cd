//! A circle of operations each of which must come before the next: why no sequential order exists, step by step.

use super::cells::Cells;
use super::lists::Lists;
use super::saturate::{Rule, Saturated};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A proof that a history is not sequential. Operations are indices into `History::ops`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Reasons; each builds only on earlier ones.
    pub steps: Vec<Step>,
    /// Indices into `steps`: each ends where the next begins, the last where the first begins.
    pub circle: Vec<usize>,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// This operation …
    pub from: u32,
    /// … comes before this one …
    pub to: u32,
    /// … because of this.
    pub rule: Rule,
    /// Steps that together lead from the one operation to the other that the rule speaks of.
    pub uses: Vec<usize>,
}

impl Proof {
    /// The operations that the proof speaks of, in ascending order.
    pub fn operations(&self) -> Vec<u32> {
        let mut all: Vec<u32> =
            self.steps.iter().flat_map(|s| [Some(s.from), Some(s.to), s.rule.cites()]).flatten().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Rule {
    /// The third operation that the rule speaks of.
    pub fn cites(self) -> Option<u32> {
        match self {
            Rule::Overwritten(op) | Rule::SawBefore(op) => Some(op),
            Rule::Program | Rule::ReadsFrom | Rule::Initial => None,
        }
    }
}

/// How many edges are tried as the one that closes the circle.
const CLOSING_EDGES: usize = 24;

/// A short circle of `saturated`, with everything that it builds on; `None` if there is no circle.
pub(crate) fn prove<O: Copy>(cells: &Cells<O>, saturated: &Saturated) -> Option<Proof> {
    if saturated.tangled.is_empty() {
        return None;
    }
    let mut writer = Writer::new(cells, saturated);
    // Before the last round there was no circle, so each has an edge of that round.
    let last = saturated.edges.last().map_or(0, |e| e.round);
    let tangled = |op: u32| saturated.tangled[op as usize];
    let closing = (0..saturated.edges.len() as u32).filter(|&e| {
        let edge = &saturated.edges[e as usize];
        edge.round == last && tangled(edge.from) && tangled(edge.to)
    });
    let mut best: Option<(u32, u32, Vec<Hop>)> = None;
    for e in closing.take(CLOSING_EDGES) {
        let edge = saturated.edges[e as usize];
        if let Some((cost, path)) = writer.path(edge.to, edge.from, u32::MAX, &tangled) {
            if best.as_ref().is_none_or(|b| cost < b.0) {
                best = Some((cost, e, path));
            }
        }
    }
    let (_, e, path) = best?;
    let mut circle = vec![Hop::Over(e)];
    circle.extend(path);
    writer.explain(&circle);
    let circle = circle.into_iter().map(|hop| writer.write(hop, Vec::new())).collect();
    writer.proof.circle = circle;
    Some(writer.into_proof())
}

/// The operations from which `edges` (indices) were derived.
pub(crate) fn behind<O: Copy>(cells: &Cells<O>, saturated: &Saturated, edges: &[u32]) -> Vec<u32> {
    let mut writer = Writer::new(cells, saturated);
    let hops: Vec<Hop> = edges.iter().map(|&e| Hop::Over(e)).collect();
    writer.explain(&hops);
    writer.proof.operations()
}

/// One piece of a path.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Hop {
    /// Along a process, from one operation to another.
    Along(u32, u32),
    /// Over an edge.
    Over(u32),
}

struct Writer<'a, O> {
    cells: &'a Cells<O>,
    saturated: &'a Saturated,
    /// Edges by where they begin.
    leaving: Lists,
    proof: Proof,
    written: FxHashMap<Hop, usize>,
}

impl<'a, O: Copy> Writer<'a, O> {
    fn new(cells: &'a Cells<O>, saturated: &'a Saturated) -> Writer<'a, O> {
        let leaving = (0..).zip(&saturated.edges).map(|(e, edge)| (edge.from, e));
        Writer {
            cells,
            saturated,
            leaving: Lists::new(cells.chains.ops.len(), leaving),
            proof: Proof { steps: Vec::new(), circle: Vec::new() },
            written: FxHashMap::default(),
        }
    }

    /// The cheapest path from `a` to `b` over edges of earlier rounds than `round`: derived edges have to be explained,
    /// so they cost most, and program order nothing.
    fn path(&self, a: u32, b: u32, round: u32, within: &impl Fn(u32) -> bool) -> Option<(u32, Vec<Hop>)> {
        let mut reached: FxHashMap<u32, (u32, u32, Option<u32>)> = FxHashMap::default();
        let mut queue = BinaryHeap::from([Reverse((0u32, a, a, None))]);
        while let Some(Reverse((cost, op, parent, over))) = queue.pop() {
            if reached.contains_key(&op) {
                continue;
            }
            reached.insert(op, (cost, parent, over));
            if op == b {
                return Some((cost, self.hops(a, b, &reached)));
            }
            let next = op + 1;
            if next < self.cells.chains.start[self.cells.chains.ops[op as usize].process as usize + 1]
                && within(next)
            {
                queue.push(Reverse((cost, next, op, None)));
            }
            for &e in self.leaving.of(op) {
                let edge = &self.saturated.edges[e as usize];
                if edge.round < round && within(edge.to) {
                    let dear = if edge.rule.cites().is_some() { 3 } else { 1 };
                    queue.push(Reverse((cost + dear, edge.to, op, Some(e))));
                }
            }
        }
        None
    }

    fn hops(&self, a: u32, b: u32, reached: &FxHashMap<u32, (u32, u32, Option<u32>)>) -> Vec<Hop> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut at = b;
        while at != a {
            let (_, parent, over) = reached[&at];
            match (over, hops.last_mut()) {
                (Some(e), _) => hops.push(Hop::Over(e)),
                (None, Some(Hop::Along(from, _))) if *from == at => *from = parent,
                (None, Some(Hop::Along(..) | Hop::Over(_)) | None) => hops.push(Hop::Along(parent, at)),
            }
            at = parent;
        }
        hops.reverse();
        hops
    }

    /// Writes down every derived edge among `hops` after everything that it builds on.
    fn explain(&mut self, hops: &[Hop]) {
        let mut premises: FxHashMap<u32, Vec<Hop>> = FxHashMap::default();
        let over = |hop: &Hop| match *hop {
            Hop::Over(e) => Some(e),
            Hop::Along(..) => None,
        };
        let mut open: Vec<u32> = hops.iter().filter_map(over).collect();
        while let Some(e) = open.pop() {
            if premises.contains_key(&e) {
                continue;
            }
            let edge = self.saturated.edges[e as usize];
            let premise = match edge.rule {
                Rule::Overwritten(reader) => Some((edge.from, reader)),
                Rule::SawBefore(source) => Some((source, edge.to)),
                Rule::Program | Rule::ReadsFrom | Rule::Initial => None,
            };
            let path = premise.map_or(Vec::new(), |(a, b)| {
                let between = |op| {
                    let chains = &self.cells.chains;
                    self.saturated.before(chains, a, op) && self.saturated.before(chains, op, b)
                };
                self.path(a, b, edge.round, &between).expect("the edge was derived from a path").1
            });
            open.extend(path.iter().filter_map(over));
            premises.insert(e, path);
        }
        let mut edges: Vec<(u32, Vec<Hop>)> = premises.into_iter().collect();
        edges.sort_unstable_by_key(|(e, _)| (self.saturated.edges[*e as usize].round, *e));
        for (e, path) in edges {
            let uses = path.into_iter().map(|hop| self.write(hop, Vec::new())).collect();
            self.write(Hop::Over(e), uses);
        }
    }

    /// Writes a hop down, unless it is there already.
    fn write(&mut self, hop: Hop, uses: Vec<usize>) -> usize {
        let (from, to, rule) = match hop {
            Hop::Along(from, to) => (from, to, Rule::Program),
            Hop::Over(e) => {
                let edge = self.saturated.edges[e as usize];
                (edge.from, edge.to, edge.rule)
            }
        };
        *self.written.entry(hop).or_insert_with(|| {
            self.proof.steps.push(Step { from, to, rule, uses });
            self.proof.steps.len() - 1
        })
    }

    /// The proof in the numbers of the history.
    fn into_proof(self) -> Proof {
        let source = |op: u32| self.cells.chains.ops[op as usize].source;
        let mut proof = self.proof;
        for step in &mut proof.steps {
            step.from = source(step.from);
            step.to = source(step.to);
            step.rule = match step.rule {
                Rule::Overwritten(op) => Rule::Overwritten(source(op)),
                Rule::SawBefore(op) => Rule::SawBefore(source(op)),
                rule @ (Rule::Program | Rule::ReadsFrom | Rule::Initial) => rule,
            };
        }
        proof
    }
}
