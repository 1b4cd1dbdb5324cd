//! The few operations that show why clusters have no order.

use super::clusters::{Broken, Clusters, INITIAL, NONE};
use crate::problem::ObjOp;

/// What the evidence is taken from.
pub(crate) struct Evidence<'a, O, P, S> {
    /// What is known.
    pub(crate) ops: &'a [ObjOp<O>],
    /// As of when: what returned later is open.
    pub(crate) end: u32,
    /// The clusters, as [`Clusters::order`] left them.
    pub(crate) clusters: &'a Clusters,
    /// Per operation, the cluster that it stands in and whether it made it.
    pub(crate) members: P,
    /// The write that hides from an operation what was before.
    pub(crate) screen: S,
}

/// Two operations of one chain, each with its cluster.
type Ends = [(u32, u32); 2];

impl<O, P, S> Evidence<'_, O, P, S>
where
    P: Fn(usize) -> Option<(u32, bool)>,
    S: Fn(u32) -> Option<u32>,
{
    /// The operations that show it. O(operations).
    pub(crate) fn core(&self, broken: Broken) -> Vec<u32> {
        let first_answered = self.first_answered();
        let all = &self.clusters.all;
        let mut core = Vec::new();
        // Clusters whose writes are needed.
        let mut needed = Vec::new();
        match broken {
            Broken::Unwritten(c) => needed.push(c),
            // Nothing shows what is not known.
            Broken::Unsure => {}
            Broken::Twice(a, b) => needed.extend([all[a as usize].from, a, b]),
            Broken::TurnedRound(c) => {
                let early = first_answered[c as usize];
                let returned = self.ops[early as usize].ret;
                core.push(early);
                // Back to the cluster of somebody who was invoked later.
                let mut at = c;
                while at != NONE {
                    needed.push(at);
                    let cluster = &all[at as usize];
                    if cluster.write_invoke > returned {
                        break;
                    }
                    if at != c && cluster.last_invoke > returned {
                        core.extend(self.invoked(cluster.last_invoke));
                        break;
                    }
                    at = cluster.from;
                }
            }
            Broken::Circle(c) => {
                let mut at = c;
                while at != NONE && !needed.contains(&at) {
                    needed.push(at);
                    at = all[at as usize].from;
                }
            }
            Broken::Interleaved(a, b) => {
                for first in [a, b] {
                    let ends = self.ends(first, &first_answered);
                    core.extend(ends.iter().map(|&(op, _)| op).filter(|&op| op != NONE));
                    needed.extend(self.between(first, ends));
                }
            }
        }
        for c in needed {
            self.explain(c, &first_answered, &mut core);
        }
        for i in 0..core.len() {
            core.extend((self.screen)(core[i]));
        }
        core.sort_unstable();
        core.dedup();
        core
    }

    /// Per cluster, its member that returned first, among those whose return is known.
    fn first_answered(&self) -> Vec<u32> {
        let mut first = vec![NONE; self.clusters.all.len()];
        for i in 0..self.ops.len() {
            let Some((c, _)) = (self.members)(i).filter(|_| self.answered(i)) else { continue };
            let known = &mut first[c as usize];
            if *known == NONE || self.ops[i].ret < self.ops[*known as usize].ret {
                *known = i as u32;
            }
        }
        first
    }

    fn answered(&self, i: usize) -> bool {
        self.ops[i].ret <= self.end && !self.ops[i].indeterminate()
    }

    /// The operation of this invocation.
    fn invoked(&self, rank: u32) -> Option<u32> {
        self.ops.binary_search_by_key(&rank, |op| op.invoke).ok().map(|i| i as u32)
    }

    /// In the chain from `first` on, the operation that returned first and the one that was invoked last.
    fn ends(&self, first: u32, first_answered: &[u32]) -> Ends {
        let mut ends = [(NONE, first); 2];
        let mut earliest = NONE;
        let mut at = first;
        while at != NONE {
            let op = first_answered[at as usize];
            if op != NONE && self.ops[op as usize].ret < earliest {
                earliest = self.ops[op as usize].ret;
                ends[0] = (op, at);
            }
            at = self.clusters.all[at as usize].next;
        }
        if let Some(last) = self.invoked(self.clusters.all[first as usize].last_invoke) {
            let cluster = (self.members)(last as usize).map_or(first, |(c, _)| c);
            ends[1] = (last, cluster);
        }
        ends
    }

    /// The clusters of the chain that lie between the two, both included. What was there before anything happened begins
    /// before all: then everything up to the one that was invoked last.
    fn between(&self, first: u32, ends: Ends) -> Vec<u32> {
        let mut marks = [ends[0].1, ends[1].1];
        if self.clusters.all[first as usize].write == INITIAL {
            marks[0] = first;
        }
        let (mut between, mut inside, mut at) = (Vec::new(), false, first);
        while at != NONE {
            let mark = marks.contains(&at);
            if mark || inside {
                between.push(at);
            }
            if mark && (inside || marks[0] == marks[1]) {
                break;
            }
            inside |= mark;
            at = self.clusters.all[at as usize].next;
        }
        between
    }

    /// Adds who made a cluster, and, where that was never answered, why it must have happened: somebody who saw it, or
    /// what was made of it.
    fn explain(&self, c: u32, first_answered: &[u32], core: &mut Vec<u32>) {
        let mut at = c;
        while at != NONE {
            let cluster = &self.clusters.all[at as usize];
            let written = cluster.write != NONE && cluster.write != INITIAL;
            if written {
                core.push(cluster.write);
                if self.answered(cluster.write as usize) {
                    return;
                }
            }
            if first_answered[at as usize] != NONE {
                core.push(first_answered[at as usize]);
                return;
            }
            if cluster.write == INITIAL {
                return;
            }
            at = cluster.next;
        }
    }
}
