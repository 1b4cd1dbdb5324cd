//! An order of the versions of each key, from what must be older than what: the session guarantees of Terry et al. (PDIS
//! 1994, §3), as far as clients can see them.
//!
//! ```text
//!   P0  r x 1 ── r x 2      x 1 is no newer than x 2       monotonic reads
//!   P1  w x 2 ── w x 1      x 2 is older than x 1          monotonic writes: a circle with the line above
//! ```
//! The versions of each key must have one order that agrees with what all sessions did. No circle: there is one, which is
//! the evidence. O(n).
//!
//! Each thing that must be older is an edge. Where one must come after many (in real time, after all writes that had
//! returned), the many are a chain of *joints*:
//!
//! ```text
//!   returned     w1    w2    w3
//!                 \     \     \
//!   joints         ○ ──▶ ○ ──▶ ○ ──▶ the version that was read then
//! ```

use super::events::{Act, Events, From};
use super::proof::{Proof, Step, Why};
use super::rung::Rung;
use super::{Evidence, Limit, Outcome};
use crate::verdict::Reason;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// No event.
const NONE: u32 = u32::MAX;

/// An edge between versions and joints, with the events that it comes from.
#[derive(Clone, Copy, Debug)]
struct Edge {
    from: u32,
    to: u32,
    /// What was sent first: is or saw the older version. [`NONE`] if the edge leaves a joint.
    first: u32,
    /// What was sent second: is or saw the newer version. [`NONE`] if the edge enters a joint.
    second: u32,
}

/// What must be older than what. Writes are nodes under their own numbers; joints follow.
pub(super) struct Ages<'a> {
    events: &'a Events,
    edges: Vec<Edge>,
    nodes: u32,
}

impl<'a> Ages<'a> {
    pub fn new(events: &'a Events) -> Ages<'a> {
        Ages { events, edges: Vec::new(), nodes: events.list.len() as u32 }
    }

    /// Version `from`, which `first` is or saw, is no newer than `to`, which `second` is or saw.
    pub fn older(&mut self, from: u32, to: u32, first: u32, second: u32) {
        self.edges.push(Edge { from, to, first, second });
    }

    /// A joint: after the joint `last`, if there is one.
    pub fn joint(&mut self, last: Option<u32>) -> u32 {
        let joint = self.nodes;
        self.nodes += 1;
        if let Some(last) = last {
            self.through(last, joint);
        }
        joint
    }

    /// One joint comes before another.
    pub fn through(&mut self, joint: u32, next: u32) {
        self.edges.push(Edge { from: joint, to: next, first: NONE, second: NONE });
    }

    /// Version `from`, which `first` is or saw, comes before the joint.
    pub fn enters(&mut self, from: u32, joint: u32, first: u32) {
        self.edges.push(Edge { from, to: joint, first, second: NONE });
    }

    /// The joint comes before version `to`, which `second` is or saw.
    pub fn leaves(&mut self, joint: u32, to: u32, second: u32) {
        self.edges.push(Edge { from: joint, to, first: NONE, second });
    }

    /// The place of each write in an order of all, or a circle. O(edges).
    pub fn order(&self, limit: &Limit<'_>) -> Outcome {
        if self.edges.len().saturating_mul(24) + self.nodes as usize * 16 > limit.bytes {
            return Outcome::GaveUp(Reason::Memory);
        }
        let nodes = self.nodes as usize;
        let mut start = vec![0u32; nodes + 1];
        let mut missing = vec![0u32; nodes];
        for edge in &self.edges {
            start[edge.from as usize + 1] += 1;
            missing[edge.to as usize] += 1;
        }
        for node in 0..nodes {
            start[node + 1] += start[node];
        }
        let mut leaving = vec![0u32; self.edges.len()];
        let mut next = start.clone();
        for (e, edge) in (0..).zip(&self.edges) {
            leaving[next[edge.from as usize] as usize] = e;
            next[edge.from as usize] += 1;
        }
        let out = |node: u32| &leaving[start[node as usize] as usize..start[node as usize + 1] as usize];
        let mut place = vec![NONE; self.events.list.len()];
        let (mut placed, mut done) = (0, 0usize);
        let mut ready: Vec<u32> = (0..self.nodes).filter(|&node| missing[node as usize] == 0).collect();
        while let Some(node) = ready.pop() {
            if done % 8192 == 0 && limit.stop.load(Ordering::Relaxed) {
                return Outcome::GaveUp(Reason::Stopped);
            }
            done += 1;
            if self.is_write(node) {
                place[node as usize] = placed;
                placed += 1;
            }
            for &e in out(node) {
                let to = self.edges[e as usize].to;
                missing[to as usize] -= 1;
                if missing[to as usize] == 0 {
                    ready.push(to);
                }
            }
        }
        if done == nodes {
            return Outcome::Holds(Evidence::Versions(place));
        }
        Outcome::Violated(self.circle(&missing, &out))
    }

    fn is_write(&self, node: u32) -> bool {
        self.events.list.get(node as usize).is_some_and(|event| event.act == Act::Write)
    }

    /// The shortest circle among what is left, from some of its nodes.
    fn circle<'e>(&self, missing: &[u32], out: &impl Fn(u32) -> &'e [u32]) -> Proof {
        // How many starting points are tried.
        const STARTS: usize = 48;
        let tangled = |node: u32| missing[node as usize] > 0;
        let mut best: Option<Vec<u32>> = None;
        let mut came: Vec<u32> = vec![NONE; self.nodes as usize];
        let starts: Vec<u32> = (0..self.nodes).filter(|&node| tangled(node) && self.is_write(node)).collect();
        let stride = starts.len().div_ceil(STARTS).max(1);
        // A circle is sure to pass some tangled write, though not each one: what hangs below a circle is left over as well.
        let chosen = starts.iter().step_by(stride).chain(&starts);
        for (tries, &begin) in chosen.enumerate() {
            if best.is_some() && tries >= STARTS {
                break;
            }
            let mut touched: Vec<u32> = Vec::new();
            let mut queue = VecDeque::from([begin]);
            let mut closing = None;
            'search: while let Some(node) = queue.pop_front() {
                for &e in out(node) {
                    let to = self.edges[e as usize].to;
                    if to == begin {
                        closing = Some(e);
                        break 'search;
                    }
                    if tangled(to) && came[to as usize] == NONE {
                        came[to as usize] = e;
                        touched.push(to);
                        queue.push_back(to);
                    }
                }
            }
            if let Some(mut e) = closing {
                let mut around = vec![e];
                while self.edges[e as usize].from != begin {
                    e = came[self.edges[e as usize].from as usize];
                    around.push(e);
                }
                around.reverse();
                let writes = |around: &[u32]| {
                    around.iter().filter(|&&e| self.is_write(self.edges[e as usize].from)).count()
                };
                if best.as_ref().is_none_or(|best| writes(&around) < writes(best)) {
                    best = Some(around);
                }
            }
            touched.into_iter().for_each(|node| came[node as usize] = NONE);
        }
        self.proof(&best.expect("what is left over has a circle"))
    }

    /// The circle without its joints: each way from a write to the next is one step.
    fn proof(&self, around: &[u32]) -> Proof {
        let mut steps = Vec::new();
        let (mut from, mut first) = (NONE, NONE);
        for &e in around {
            let edge = self.edges[e as usize];
            if self.is_write(edge.from) {
                (from, first) = (edge.from, edge.first);
            }
            if self.is_write(edge.to) {
                let why = Why::Versions { first, second: edge.second };
                steps.push(Step { from, to: edge.to, why, uses: Vec::new() });
            }
        }
        Proof::circle(steps)
    }
}

/// The proof that `second`, which saw the initial value, had to see `version` or a newer one, which `first` is or saw.
pub(super) fn initial(version: u32, first: u32, second: u32) -> Proof {
    let why = Why::Versions { first, second };
    Proof::circle(vec![
        Step { from: version, to: second, why, uses: Vec::new() },
        Step { from: second, to: version, why: Why::Initial, uses: Vec::new() },
    ])
}

/// Two steps in a circle of two versions.
pub(super) fn pair(a: u32, b: u32, to_b: (u32, u32), to_a: (u32, u32)) -> Proof {
    let why = |(first, second)| Why::Versions { first, second };
    Proof::circle(vec![
        Step { from: a, to: b, why: why(to_b), uses: Vec::new() },
        Step { from: b, to: a, why: why(to_a), uses: Vec::new() },
    ])
}

/// What a session did to one key so far.
#[derive(Clone, Copy)]
struct Last {
    session: u32,
    read: u32,
    wrote: u32,
}

/// Decides a session guarantee. Reads that go back to the first version are found at once; the rest are edges.
pub(super) fn decide(events: &Events, rung: Rung, limit: &Limit<'_>) -> Outcome {
    if let Some(read) = events.read_from_nowhere() {
        return Outcome::Violated(Proof::nowhere(read));
    }
    let mut ages = Ages::new(events);
    let own = rung == Rung::ReadYourWrites;
    let fresh = |session| Last { session, read: NONE, wrote: NONE };
    let mut last = vec![fresh(NONE); events.keys as usize];
    for (number, event) in (0..).zip(&events.list) {
        let last = &mut last[event.key as usize];
        if last.session != event.session {
            *last = fresh(event.session);
        }
        match event.act {
            Act::Read(from) => {
                // What the session knew of the key before: what it wrote, or what it read.
                let known = if own { last.wrote } else { last.read };
                if known != NONE {
                    match (version(events, known), from) {
                        (Some(older), From::Write(w)) if older != w => ages.older(older, w, known, number),
                        (Some(older), From::Initial) => {
                            return Outcome::Violated(initial(older, known, number));
                        }
                        (Some(_) | None, From::Write(_) | From::Initial | From::Nowhere) => {}
                    }
                }
                last.read = number;
            }
            Act::Write => {
                if matches!(rung, Rung::MonotonicWrites | Rung::ReadYourWrites) && last.wrote != NONE {
                    ages.older(last.wrote, number, last.wrote, number);
                }
                if rung == Rung::WritesFollowReads && last.read != NONE {
                    if let Some(older) = version(events, last.read) {
                        // Also where `older` is this very write, which then is older than itself.
                        ages.older(older, number, last.read, number);
                    }
                }
                last.wrote = number;
            }
        }
    }
    ages.order(limit)
}

/// The write that an event is or saw.
fn version(events: &Events, event: u32) -> Option<u32> {
    match events.at(event).act {
        Act::Write => Some(event),
        Act::Read(From::Write(w)) => Some(w),
        Act::Read(From::Initial | From::Nowhere) => None,
    }
}
