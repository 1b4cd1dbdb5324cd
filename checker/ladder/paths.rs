//! Orders of events that keep sessions and given edges, what each event then knows of every session, and short paths.
//!
//! ```text
//!   session 0   a ─── b ─── c          clock of f: [2, 3], the first two of session 0 and the first three of its own
//!                      \
//!   session 1   d ─── e ─── f          an edge from b to f
//! ```

use super::events::{Act, Events, From};
use super::proof::{Proof, Step, Why};
use crate::verdict::Reason;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose reads come after the writes that they saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sources {
    /// Everybody's.
    All,
    /// Those of this session.
    Of(u32),
}

/// An edge that was derived: `from` comes before `to`, which `reader` saw although `from` came before `reader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub from: u32,
    pub to: u32,
    pub reader: u32,
}

/// Events with what must come before what.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub events: &'a Events,
    pub sources: Sources,
    /// In the order in which they were found.
    pub derived: Vec<Derived>,
    /// Per event, where its list of incoming derived edges begins: the number of the edge plus one, or 0.
    head: Vec<u32>,
    /// Per derived edge, the next one into the same event.
    link: Vec<u32>,
}

/// An edge between sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Edge {
    Source,
    Derived(u32),
}

/// A piece of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    from: u32,
    to: u32,
    /// `None`: along a session.
    edge: Option<Edge>,
}

/// No order, because the heads of some sessions wait for each other: each edge, from the awaited to the one that waits.
#[derive(Clone, Debug)]
pub(crate) struct Knot(Vec<(u32, u32)>);

impl<'a> Graph<'a> {
    pub fn new(events: &'a Events, sources: Sources) -> Graph<'a> {
        Graph { events, sources, derived: Vec::new(), head: Vec::new(), link: Vec::new() }
    }

    /// Adds a derived edge.
    pub fn add(&mut self, edge: Derived) {
        if self.head.is_empty() {
            self.head = vec![0; self.events.list.len()];
        }
        self.link.push(self.head[edge.to as usize]);
        self.derived.push(edge);
        self.head[edge.to as usize] = self.derived.len() as u32;
    }

    /// The write that `event` must come after because it saw it.
    fn source(&self, event: u32) -> Option<u32> {
        let event = self.events.at(event);
        match (event.act, self.sources) {
            (Act::Read(From::Write(w)), Sources::All) => Some(w),
            (Act::Read(From::Write(w)), Sources::Of(session)) => (event.session == session).then_some(w),
            (Act::Read(From::Initial | From::Nowhere) | Act::Write, _) => None,
        }
    }

    /// The derived edges into `event`, the latest first.
    fn derived_into(&self, event: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.head.get(event as usize).copied().unwrap_or(0);
        std::iter::successors(first.checked_sub(1), |&edge| self.link[edge as usize].checked_sub(1))
    }

    fn edges_into(&self, event: u32) -> impl Iterator<Item = (u32, Edge)> + '_ {
        let derived = self.derived_into(event).map(|e| (self.derived[e as usize].from, Edge::Derived(e)));
        self.source(event).map(|w| (w, Edge::Source)).into_iter().chain(derived)
    }

    /// An order of all events that keeps sessions and edges. O(events + edges).
    ///
    /// # Errors
    /// A knot, if there is none.
    pub fn order(&self) -> Result<Vec<u32>, Knot> {
        let events = self.events;
        let sessions = events.sessions();
        let mut next: Vec<u32> = events.start[..sessions].to_vec();
        // Per session, who waits for which of its events, and the first event that somebody waits for.
        let mut waiting: Vec<Vec<(u32, u32)>> = vec![Vec::new(); sessions];
        let mut awaited = vec![u32::MAX; sessions];
        let mut ready: Vec<u32> = (0..sessions as u32).rev().collect();
        let mut order = Vec::with_capacity(events.list.len());
        while let Some(session) = ready.pop() {
            let s = session as usize;
            while next[s] < events.start[s + 1] {
                let event = next[s];
                let missing = self
                    .edges_into(event)
                    .map(|(from, _)| from)
                    .find(|&from| from >= next[events.at(from).session as usize]);
                if let Some(from) = missing {
                    let of = events.at(from).session as usize;
                    waiting[of].push((from, session));
                    awaited[of] = awaited[of].min(from);
                    break;
                }
                order.push(event);
                next[s] += 1;
                if event >= awaited[s] {
                    awaited[s] = u32::MAX;
                    for (from, who) in std::mem::take(&mut waiting[s]) {
                        if from < next[s] {
                            ready.push(who);
                        } else {
                            waiting[s].push((from, who));
                            awaited[s] = awaited[s].min(from);
                        }
                    }
                }
            }
        }
        if order.len() == events.list.len() { Ok(order) } else { Err(self.knot(&next)) }
    }

    /// Sessions whose heads wait for each other.
    fn knot(&self, next: &[u32]) -> Knot {
        let events = self.events;
        let waits = |session: usize| {
            let head = next[session];
            let missing = |&(from, _): &(u32, Edge)| from >= next[events.at(from).session as usize];
            self.edges_into(head).find(missing).map(|(from, _)| (from, head))
        };
        let stuck = (0..events.sessions()).find(|&s| next[s] < events.start[s + 1]).unwrap_or(0);
        let mut seen: Vec<Option<usize>> = vec![None; events.sessions()];
        let mut edges: Vec<(u32, u32)> = Vec::new();
        let mut at = stuck;
        while seen[at].is_none() {
            seen[at] = Some(edges.len());
            let edge = waits(at).expect("a session that is stuck waits for something");
            edges.push(edge);
            at = events.at(edge.0).session as usize;
        }
        edges.drain(..seen[at].unwrap_or(0));
        Knot(edges)
    }

    /// What each event knows: of each session, how many events come before it or are it, a row for each event.
    /// O(events · sessions).
    ///
    /// # Errors
    /// If that would take more than `bytes`, or `stop` was set.
    pub fn clocks(&self, order: &[u32], bytes: usize, stop: &AtomicBool) -> Result<Clocks, Reason> {
        let events = self.events;
        let width = events.sessions();
        let size = events.list.len().saturating_mul(width);
        if size.saturating_mul(size_of::<u32>()) > bytes {
            return Err(Reason::Memory);
        }
        let mut rows = vec![0u32; size];
        for (i, &event) in order.iter().enumerate() {
            if i % 8192 == 0 && stop.load(Ordering::Relaxed) {
                return Err(Reason::Stopped);
            }
            let session = events.at(event).session as usize;
            let at = event as usize * width;
            if event > events.start[session] {
                rows.copy_within(at - width..at, at);
            }
            for (from, _) in self.edges_into(event) {
                let from = from as usize * width;
                // Rows are disjoint: nothing comes before itself.
                let (a, b) = rows.split_at_mut(at.max(from));
                let (mine, other) = if at < from {
                    (&mut a[at..at + width], &b[..width])
                } else {
                    (&mut b[..width], &a[from..from + width])
                };
                for (mine, other) in mine.iter_mut().zip(other) {
                    *mine = (*mine).max(*other);
                }
            }
            rows[at + session] = events.place(event) + 1;
        }
        Ok(Clocks { rows, width })
    }

    /// The way from `a` to `b` over the fewest edges, of the derived ones only those below `limit`. O(events + edges).
    fn path(&self, a: u32, b: u32, limit: u32) -> Option<Vec<Hop>> {
        let events = self.events;
        // Backwards: per session, up to where its events are known to come before `b`, and over which edge, as that grew.
        let mut reached: Vec<Vec<(u32, u32, Edge)>> = vec![Vec::new(); events.sessions()];
        let goal = events.at(a).session as usize;
        let first = events.at(b).session as usize;
        if goal == first && a <= b {
            return Some(if a == b { Vec::new() } else { vec![Hop { from: a, to: b, edge: None }] });
        }
        let mut bound: Vec<Option<u32>> = vec![None; events.sessions()];
        bound[first] = Some(b);
        let mut fresh = vec![(events.start[first], b)];
        while !fresh.is_empty() && bound[goal].is_none_or(|bound| bound < a) {
            let mut found: Vec<(u32, u32, Edge)> = Vec::new();
            for &(from, to) in &fresh {
                for event in from..=to {
                    let usable = |edge: Edge| match edge {
                        Edge::Source => true,
                        Edge::Derived(e) => e < limit,
                    };
                    found.extend(
                        self.edges_into(event).filter(|&(_, e)| usable(e)).map(|(w, e)| (w, event, e)),
                    );
                }
            }
            fresh.clear();
            // The furthest first, so that each session grows once.
            found.sort_unstable_by_key(|&(w, event, edge)| (std::cmp::Reverse(w), event, edge));
            for (w, event, edge) in found {
                let session = events.at(w).session as usize;
                if bound[session].is_none_or(|bound| bound < w) {
                    let from = bound[session].map_or(events.start[session], |bound| bound + 1);
                    bound[session] = Some(w);
                    reached[session].push((w, event, edge));
                    fresh.push((from, w));
                }
            }
        }
        let mut hops = Vec::new();
        let mut at = a;
        loop {
            let session = events.at(at).session as usize;
            if session == first && at <= b {
                if at != b {
                    hops.push(Hop { from: at, to: b, edge: None });
                }
                return Some(hops);
            }
            let &(w, event, edge) = reached[session].iter().find(|(w, _, _)| *w >= at)?;
            if at != w {
                hops.push(Hop { from: at, to: w, edge: None });
            }
            hops.push(Hop { from: w, to: event, edge: Some(edge) });
            at = event;
        }
    }

    /// A small circle through a knot, with everything that its derived edges build on. `premises` gives for a derived
    /// edge the number of derived edges that may be used to show that it was derived.
    pub fn untie(&self, knot: &Knot, premises: impl Fn(u32) -> u32) -> Proof {
        let all = self.derived.len() as u32;
        let edge_of = |&(from, to): &(u32, u32)| {
            self.edges_into(to).find(|(w, _)| *w == from).map(|(_, edge)| Hop { from, to, edge: Some(edge) })
        };
        let circles = knot.0.iter().filter_map(edge_of).filter_map(|hop| {
            let mut circle = vec![hop];
            circle.extend(self.path(hop.to, hop.from, all)?);
            Some(circle)
        });
        let dear = |circle: &Vec<Hop>| {
            circle
                .iter()
                .map(|hop| match hop.edge {
                    Some(Edge::Derived(_)) => 3,
                    Some(Edge::Source) | None => 1,
                })
                .sum::<u32>()
        };
        let circle = circles.min_by_key(dear).expect("a knot is a circle");
        self.write(&circle, premises)
    }

    /// The proof that `reader` saw something although what comes after it came before `reader`: `w` before `newer` before
    /// `reader`, which read `w`.
    pub fn overwritten(
        &self,
        w: u32,
        newer: u32,
        reader: u32,
        premises: impl Fn(u32) -> u32,
    ) -> Option<Proof> {
        let all = self.derived.len() as u32;
        let mut steps = Writer { graph: self, steps: Vec::new() };
        let uses = self.path(newer, reader, all)?;
        let way = self.path(w, newer, all)?;
        steps.derive(uses.iter().chain(&way), &premises);
        let uses = uses.into_iter().map(|hop| steps.hop(hop)).collect();
        let last = steps.put(Step { from: newer, to: w, why: Why::Overwritten { reader }, uses });
        let mut circle: Vec<usize> = way.into_iter().map(|hop| steps.hop(hop)).collect();
        circle.push(last);
        Some(Proof { steps: steps.steps, circle, nowhere: None })
    }

    /// The proof that `reader` saw the initial value although `w` came before it.
    pub fn not_initial(&self, w: u32, reader: u32, premises: impl Fn(u32) -> u32) -> Option<Proof> {
        let mut steps = Writer { graph: self, steps: Vec::new() };
        let way = self.path(w, reader, self.derived.len() as u32)?;
        steps.derive(way.iter(), &premises);
        let mut circle: Vec<usize> = way.into_iter().map(|hop| steps.hop(hop)).collect();
        circle.push(steps.put(Step { from: reader, to: w, why: Why::Initial, uses: Vec::new() }));
        Some(Proof { steps: steps.steps, circle, nowhere: None })
    }

    fn write(&self, circle: &[Hop], premises: impl Fn(u32) -> u32) -> Proof {
        let mut steps = Writer { graph: self, steps: Vec::new() };
        steps.derive(circle.iter(), &premises);
        let circle = circle.iter().map(|&hop| steps.hop(hop)).collect();
        Proof { steps: steps.steps, circle, nowhere: None }
    }
}

/// Writes steps down, each once.
struct Writer<'g, 'a> {
    graph: &'g Graph<'a>,
    steps: Vec<Step>,
}

impl Writer<'_, '_> {
    fn put(&mut self, step: Step) -> usize {
        let same = |s: &Step| (s.from, s.to, s.why) == (step.from, step.to, step.why);
        self.steps.iter().position(same).unwrap_or_else(|| {
            self.steps.push(step);
            self.steps.len() - 1
        })
    }

    /// The step of a hop; that of a derived edge is there already.
    fn hop(&mut self, hop: Hop) -> usize {
        let why = match hop.edge {
            None => Why::Session,
            Some(Edge::Source) => Why::Source,
            Some(Edge::Derived(e)) => Why::Overwritten { reader: self.graph.derived[e as usize].reader },
        };
        self.put(Step { from: hop.from, to: hop.to, why, uses: Vec::new() })
    }

    /// Writes down the derived edges among `hops`, each after those that it builds on.
    fn derive<'h>(&mut self, hops: impl Iterator<Item = &'h Hop>, premises: &impl Fn(u32) -> u32) {
        let derived = |hop: &Hop| match hop.edge {
            Some(Edge::Derived(e)) => Some(e),
            Some(Edge::Source) | None => None,
        };
        let mut open: Vec<u32> = hops.filter_map(derived).collect();
        let mut wanted: BTreeSet<u32> = BTreeSet::new();
        let mut paths: Vec<(u32, Vec<Hop>)> = Vec::new();
        while let Some(e) = open.pop() {
            if !wanted.insert(e) {
                continue;
            }
            let edge = self.graph.derived[e as usize];
            let path =
                self.graph.path(edge.from, edge.reader, premises(e)).expect("it was derived from a path");
            open.extend(path.iter().filter_map(derived));
            paths.push((e, path));
        }
        paths.sort_unstable_by_key(|(e, _)| *e);
        for (e, path) in paths {
            let edge = self.graph.derived[e as usize];
            let uses = path.into_iter().map(|hop| self.hop(hop)).collect();
            let why = Why::Overwritten { reader: edge.reader };
            self.put(Step { from: edge.from, to: edge.to, why, uses });
        }
    }
}

/// What each event knows of every session.
#[derive(Debug)]
pub(crate) struct Clocks {
    rows: Vec<u32>,
    width: usize,
}

impl Clocks {
    /// How many events of each session come before `event` or are it.
    pub fn of(&self, event: u32) -> &[u32] {
        &self.rows[event as usize * self.width..(event as usize + 1) * self.width]
    }

    /// Whether `a` comes before `b`, or is it.
    pub fn knows(&self, events: &Events, b: u32, a: u32) -> bool {
        self.of(b)[events.at(a).session as usize] > events.place(a)
    }
}
