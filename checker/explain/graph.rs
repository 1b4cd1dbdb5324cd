//! Must-come-before as a graph: reasons are added until they run in a circle.
//!
//! Every edge holds in **every** legal order of the whole history, given the edges that it uses. A circle therefore
//! proves that there is none.

use super::world::Base;
use history::results::{Edge, Why};
use std::collections::VecDeque;

/// One reason why `from` comes before `to`. Both are positions in the core.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) why: Why,
    /// Reasons (by position in [`Graph::reasons`]) that this one builds on.
    pub(crate) uses: Vec<usize>,
    /// In words, with `{}` where the numbers of `uses` go.
    pub(crate) text: String,
}

/// The reasons found so far over `nodes` operations.
pub(crate) struct Graph {
    nodes: usize,
    pub(crate) reasons: Vec<Reason>,
    /// For each pair, the first reason found.
    direct: Vec<Option<usize>>,
}

/// A circle of reasons, the impossible one last.
#[derive(Clone, Debug)]
pub(crate) struct Circle {
    /// Positions in [`Graph::reasons`], each ending where the next begins.
    pub(crate) around: Vec<usize>,
}

impl Graph {
    pub(crate) fn new(nodes: usize) -> Graph {
        Graph { nodes, reasons: Vec::new(), direct: vec![None; nodes * nodes] }
    }

    /// Adds a reason unless one for this pair is known. Says whether it was new.
    pub(crate) fn add(&mut self, from: usize, to: usize, why: Why, uses: Vec<usize>, text: String) -> bool {
        let cell = &mut self.direct[from * self.nodes + to];
        if from == to || cell.is_some() {
            return false;
        }
        *cell = Some(self.reasons.len());
        self.reasons.push(Reason { from, to, why, uses, text });
        true
    }

    /// The shortest chain of reasons why `from` comes before `to`, if there is one. O(nodes²).
    pub(crate) fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut reached: Vec<Option<usize>> = vec![None; self.nodes];
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for next in 0..self.nodes {
                let Some(reason) = self.direct[at * self.nodes + next] else { continue };
                if next == to {
                    let mut path = vec![reason];
                    let mut at = at;
                    while at != from {
                        let reason = reached[at].expect("every node but the first was reached by a reason");
                        path.push(reason);
                        at = self.reasons[reason].from;
                    }
                    path.reverse();
                    return Some(path);
                }
                if next != from && reached[next].is_none() {
                    reached[next] = Some(reason);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// The circle that needs the fewest reasons and the shortest time, if there is one. `invoke` orders the nodes in time. O(reasons · nodes²).
    pub(crate) fn circle(&self, invoke: &[u32]) -> Option<Circle> {
        let mut best: Option<((usize, usize, u32), Circle)> = None;
        for (last, reason) in self.reasons.iter().enumerate() {
            let Some(mut around) = self.path(reason.to, reason.from) else { continue };
            around.push(last);
            let needed = self.needed(&around);
            let roundabout = needed.iter().filter(|&&r| self.roundabout(r)).count();
            let sent = || around.iter().map(|&r| invoke[self.reasons[r].from]);
            let span = sent().max().unwrap_or(0) - sent().min().unwrap_or(0);
            let size = (needed.len(), roundabout, span);
            if best.as_ref().is_none_or(|(smallest, _)| size < *smallest) {
                best = Some((size, Circle { around }));
            }
        }
        let mut circle = best?.1;
        let last = self.impossible(&circle, invoke);
        circle.around.rotate_left(last + 1);
        Some(circle)
    }

    /// Whether a reason leads elsewhere than the reasons that it builds on: that is harder to follow.
    fn roundabout(&self, reason: usize) -> bool {
        let Reason { to, uses, .. } = &self.reasons[reason];
        uses.last().is_some_and(|&last| self.reasons[last].to != *to)
    }

    /// Which reason of the circle to end with: one that no other needs, derived rather than observed, and pointing
    /// back in time.
    fn impossible(&self, circle: &Circle, invoke: &[u32]) -> usize {
        let used: Vec<usize> =
            self.needed(&circle.around).iter().flat_map(|&r| self.reasons[r].uses.clone()).collect();
        let rank = |&at: &usize| {
            let reason = &self.reasons[circle.around[at]];
            let derived = match reason.why {
                Why::RealTime | Why::SameClient => 0,
                Why::Read => 1,
                Why::Overwritten | Why::Version | Why::Initial => 2,
            };
            let back = invoke[reason.from] > invoke[reason.to];
            (!used.contains(&circle.around[at]), derived, back, invoke[reason.from])
        };
        (0..circle.around.len()).max_by_key(rank).unwrap_or(0)
    }

    /// `reasons` and everything that they build on.
    pub(crate) fn needed(&self, reasons: &[usize]) -> Vec<usize> {
        let mut needed = Vec::new();
        let mut work = reasons.to_vec();
        while let Some(reason) = work.pop() {
            if !needed.contains(&reason) {
                needed.push(reason);
                work.extend(&self.reasons[reason].uses);
            }
        }
        needed
    }

    /// The circle as numbered edges, in the order of time as far as they do not build on each other, the last one of
    /// the circle last; and the labels around it. `gap` is the time between two operations in nanoseconds.
    pub(crate) fn number(
        &self,
        circle: &Circle,
        labels: &[String],
        invoke: &[u32],
        gap: impl Fn(usize, usize) -> Option<i64>,
    ) -> (Vec<Edge>, Vec<String>) {
        let last = circle.around[circle.around.len() - 1];
        let mut left = self.needed(&circle.around);
        left.sort_by_key(|&r| {
            let reason = &self.reasons[r];
            (r == last, !reason.uses.is_empty(), invoke[reason.from], invoke[reason.to])
        });
        let mut placed: Vec<usize> = Vec::new();
        while !left.is_empty() {
            // Reasons were added after those that they use, so one of them is always ready.
            let ready = left
                .iter()
                .position(|&r| self.reasons[r].uses.iter().all(|used| placed.contains(used)))
                .expect("reasons build on earlier ones");
            placed.push(left.remove(ready));
        }
        let number = |r: usize| placed.iter().position(|&p| p == r).map_or(0, |at| at as u32 + 1);
        let edges = placed
            .iter()
            .map(|&r| {
                let reason = &self.reasons[r];
                let mut uses: Vec<u32> = reason.uses.iter().map(|&u| number(u)).collect();
                uses.sort_unstable();
                let cited = uses.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
                let cited = format!("reason{} {cited}", if uses.len() == 1 { "" } else { "s" });
                Edge {
                    n: number(r),
                    from: labels[reason.from].clone(),
                    to: labels[reason.to].clone(),
                    why: reason.why,
                    gap_ns: if reason.why == Why::RealTime { gap(reason.from, reason.to) } else { None },
                    uses,
                    text: reason.text.replace("{}", &cited),
                }
            })
            .collect();
        let mut around: Vec<String> =
            circle.around.iter().map(|&r| labels[self.reasons[r].from].clone()).collect();
        around.push(around[0].clone());
        (edges, around)
    }
}

/// What the base reason is called.
pub(crate) fn why(base: Base) -> Why {
    match base {
        Base::RealTime => Why::RealTime,
        Base::Program => Why::SameClient,
    }
}
