//! What the frontier machine learns from getting stuck: which writes cannot all come before which others.
//!
//! ```text
//!   P0  … w x 1 ✓ │ r y 4 …      stuck: P0 waits for P1 to write y=4,
//!   P1  … w x 2   │ … w y 4      P1 for P2 to read x=1 before it writes x again,
//!   P2  … r z 3   │ … r x 1      P2 for P1 …: because w x 1 was taken before w x 2.
//! ```
//! **Why a circle is a proof.** Take some processes, the next operation of each, and for each of these a condition: one
//! of certain operations must come before it, all of which are next operations of these processes or behind them. In a
//! legal order one of the next operations is first. One that its condition names comes before it, and so does the next
//! operation of that one's process: a contradiction. So no legal order has all the conditions, and what the
//! conditions assume (that one write comes before another) cannot be all true.

use super::cells::From;
use super::frontier::{Machine, NEVER, Refutation};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What was learned.
#[derive(Debug, Default)]
pub(crate) struct Conflicts {
    learned: Vec<Learned>,
    /// What speaks about each write as the one that comes first.
    by_write: FxHashMap<u32, Vec<u32>>,
    /// For each operation, the writes that may have to wait for it.
    waiting: FxHashMap<u32, Vec<u32>>,
    bytes: usize,
}

/// In no legal order do all these pairs have this order.
#[derive(Debug)]
struct Learned {
    pairs: Box<[(u32, u32)]>,
    /// How it was concluded.
    why: Grounds,
}

/// What a conclusion rests on.
#[derive(Clone, Debug, Default)]
struct Grounds {
    ops: Vec<u32>,
    earlier: Vec<u32>,
    learned: Vec<u32>,
}

/// What follows from being stuck.
#[derive(Debug)]
pub(crate) enum Conflict {
    /// This write was taken too early.
    Blames(u32),
    /// There is no legal order.
    Always(Refutation),
}

/// Something that must come before the next operation of a process.
#[derive(Clone, Debug)]
struct Condition {
    /// One of these operations has to come first.
    one_of: Vec<u32>,
    /// As long as these pairs are in this order.
    given: Vec<(u32, u32)>,
    why: Grounds,
}

impl Conflicts {
    /// Whether `op` must not come yet, where `when` says what happened when.
    pub fn forbid(&self, op: u32, when: &[u32]) -> bool {
        !self.learned.is_empty()
            && self
                .by_write
                .get(&op)
                .is_some_and(|about| about.iter().any(|&c| self.learned[c as usize].forbids(op, when)))
    }

    /// The writes that may have waited for `op`.
    pub fn waiting_for(&self, op: u32) -> &[u32] {
        if self.learned.is_empty() { &[] } else { self.waiting.get(&op).map_or(&[], |list| list) }
    }

    /// Bytes in use, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Concludes what it can from the fact that no process of `machine` can go on.
    pub fn learn<O: Copy>(&mut self, machine: &Machine<'_, O>) -> Conflict {
        let circle = Waiting::new(machine, self).circle();
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut why = Grounds::default();
        for condition in circle {
            pairs.extend(condition.given);
            why.ops.extend(condition.why.ops);
            why.earlier.extend(condition.why.earlier);
            why.learned.extend(condition.why.learned);
        }
        // What a process says itself needs no blame.
        pairs.retain(|&(a, b)| machine.process(a) != machine.process(b) || a > b);
        pairs.sort_unstable();
        pairs.dedup();
        let Some(&(blamed, _)) = pairs.iter().max_by_key(|pair| machine.when[pair.0 as usize]) else {
            return Conflict::Always(self.refutation(why));
        };
        self.add(Learned { pairs: pairs.into(), why });
        Conflict::Blames(blamed)
    }

    fn add(&mut self, learned: Learned) {
        let number = self.learned.len() as u32;
        for &(write, other) in &learned.pairs {
            let about = self.by_write.entry(write).or_default();
            if about.last() != Some(&number) {
                about.push(number);
            }
            self.waiting.entry(other).or_default().push(write);
        }
        let grounds = learned.why.ops.len() + learned.why.earlier.len() + learned.why.learned.len();
        self.bytes += 120 + 40 * learned.pairs.len() + 4 * grounds;
        self.learned.push(learned);
    }

    /// Everything that `why` rests on.
    fn refutation(&self, why: Grounds) -> Refutation {
        let mut all = Refutation::default();
        let mut seen: FxHashSet<u32> = FxHashSet::default();
        let mut open = vec![&why];
        while let Some(why) = open.pop() {
            all.ops.extend(&why.ops);
            all.earlier.extend(&why.earlier);
            open.extend(
                why.learned.iter().filter(|&&c| seen.insert(c)).map(|&c| &self.learned[c as usize].why),
            );
        }
        for list in [&mut all.ops, &mut all.earlier] {
            list.sort_unstable();
            list.dedup();
        }
        all
    }
}

impl Learned {
    /// Whether taking `op` now would put the last of the pairs in its forbidden order.
    fn forbids(&self, op: u32, when: &[u32]) -> bool {
        self.pairs.iter().all(|&(write, other)| {
            let (write_at, other_at) = (when[write as usize], when[other as usize]);
            if write == op { other_at == NEVER } else { write_at < other_at }
        })
    }
}

/// Who waits for whom, where nobody can go on.
struct Waiting {
    /// For the next operation of each process, what must come before it.
    conditions: Vec<Vec<Condition>>,
    /// The process of each operation that conditions name, in the same places.
    processes: Vec<Vec<Vec<u32>>>,
}

/// From so many processes a short circle is looked for.
const STARTS_MAX: usize = 64;

impl Waiting {
    fn new<O: Copy>(machine: &Machine<'_, O>, conflicts: &Conflicts) -> Waiting {
        let heads = (0..machine.at.len() as u32).map(|p| machine.head(p));
        let conditions: Vec<Vec<Condition>> =
            heads.map(|head| head.map_or(Vec::new(), |op| conditions(machine, conflicts, op))).collect();
        let processes = conditions
            .iter()
            .map(|of_head| {
                let process = |op: &u32| machine.process(*op);
                of_head.iter().map(|c| c.one_of.iter().map(process).collect()).collect()
            })
            .collect();
        Waiting { conditions, processes }
    }

    /// Conditions that together are a circle, with few assumptions.
    fn circle(mut self) -> Vec<Condition> {
        let stuck: Vec<u32> =
            (0..self.conditions.len() as u32).filter(|&p| !self.conditions[p as usize].is_empty()).collect();
        let mut best: Option<(u32, Vec<(u32, usize)>)> = None;
        for &p in stuck.iter().take(STARTS_MAX) {
            let limit = best.as_ref().map_or(u32::MAX, |b| b.0);
            if let Some(found) = self.round_trip(p, limit) {
                best = Some(found);
            }
        }
        let chosen = best.map_or_else(|| self.knot(&stuck), |b| b.1);
        chosen.into_iter().map(|(p, c)| self.conditions[p as usize].swap_remove(c)).collect()
    }

    /// The way from `p` to itself along conditions without alternatives that assumes least, if it assumes less than
    /// `limit`.
    fn round_trip(&self, p: u32, limit: u32) -> Option<(u32, Vec<(u32, usize)>)> {
        let mut from: FxHashMap<u32, (u32, usize)> = FxHashMap::default();
        let mut best: FxHashMap<u32, u32> = FxHashMap::default();
        let mut queue = BinaryHeap::from([Reverse((0, p))]);
        let mut first = true;
        while let Some(Reverse((cost, q))) = queue.pop() {
            if cost >= limit {
                return None;
            }
            if q == p && !first {
                let mut way = Vec::new();
                let mut at = p;
                loop {
                    let (before, c) = from[&at];
                    way.push((before, c));
                    at = before;
                    if at == p {
                        return Some((cost, way));
                    }
                }
            }
            first = false;
            if best.get(&q).is_some_and(|&known| known < cost) {
                continue;
            }
            for (c, condition) in self.conditions[q as usize].iter().enumerate() {
                let [to] = self.processes[q as usize][c][..] else { continue };
                // Assumptions are dear, and then length.
                let next = cost + 64 * condition.given.len() as u32 + 1;
                if best.get(&to).is_none_or(|&known| next < known) {
                    best.insert(to, next);
                    from.insert(to, (q, c));
                    queue.push(Reverse((next, to)));
                }
            }
        }
        None
    }

    /// Processes with a condition each that lead to nobody else, where some conditions have alternatives.
    fn knot(&self, stuck: &[u32]) -> Vec<(u32, usize)> {
        let mut best: Vec<(u32, usize)> = Vec::new();
        for &p in stuck.iter().take(STARTS_MAX) {
            let mut chosen: Vec<(u32, usize)> = Vec::new();
            let mut inside: FxHashSet<u32> = FxHashSet::from_iter([p]);
            let mut open = vec![p];
            while let Some(q) = open.pop() {
                let cost = |c: &usize| {
                    let new = self.processes[q as usize][*c].iter().filter(|to| !inside.contains(to)).count();
                    (new, self.conditions[q as usize][*c].given.len())
                };
                let c = (0..self.conditions[q as usize].len()).min_by_key(cost).expect("it is stuck");
                for &to in &self.processes[q as usize][c] {
                    if inside.insert(to) {
                        open.push(to);
                    }
                }
                chosen.push((q, c));
            }
            if best.is_empty() || chosen.len() < best.len() {
                best = chosen;
            }
        }
        best
    }
}

/// What must come before `op`, which cannot come now.
fn conditions<O: Copy>(machine: &Machine<'_, O>, conflicts: &Conflicts, op: u32) -> Vec<Condition> {
    let cells = machine.cells;
    let i = op as usize;
    let x = cells.chains.ops[i].object as usize;
    let mut all = Vec::new();
    let simply = |first: u32, given: Vec<(u32, u32)>, ops: Vec<u32>| Condition {
        one_of: vec![first],
        given,
        why: Grounds { ops, ..Grounds::default() },
    };
    match cells.from[i] {
        From::Op(source) if machine.when[source as usize] == NEVER => {
            all.push(simply(source, Vec::new(), vec![op, source]));
        }
        From::Op(source) if cells.writes[i] => {
            for reader in left(machine, machine.readers.of(source), op) {
                all.push(simply(reader, Vec::new(), vec![op, source, reader]));
            }
        }
        From::Initial if cells.writes[i] => {
            for reader in left(machine, &machine.initial_readers[x], op) {
                all.push(simply(reader, Vec::new(), vec![op, reader]));
            }
        }
        From::Blind if cells.writes[i] => match machine.held[x] {
            (From::Op(held), 1..) => {
                for reader in left(machine, machine.readers.of(held), op) {
                    all.push(simply(reader, vec![(held, op)], vec![op, held, reader]));
                }
            }
            (_, 1..) => {
                for reader in left(machine, &machine.initial_readers[x], op) {
                    all.push(simply(reader, Vec::new(), vec![op, reader]));
                }
            }
            (_, 0) => {}
        },
        From::Op(_) | From::Initial | From::Blind | From::Unsure | From::Nowhere => {}
    }
    for &e in machine.before.of(op) {
        let first = machine.earlier[e as usize].0;
        if machine.when[first as usize] == NEVER {
            let why = Grounds { ops: vec![op, first], earlier: vec![e], ..Grounds::default() };
            all.push(Condition { one_of: vec![first], given: Vec::new(), why });
        }
    }
    for &c in conflicts.by_write.get(&op).map_or(&[][..], |about| about) {
        let learned = &conflicts.learned[c as usize];
        if learned.forbids(op, &machine.when) {
            let (mine, given): (Vec<_>, Vec<_>) = learned.pairs.iter().partition(|pair| pair.0 == op);
            let one_of: Vec<u32> = mine.into_iter().map(|pair: (u32, u32)| pair.1).collect();
            let why = Grounds { ops: vec![op], learned: vec![c], ..Grounds::default() };
            all.push(Condition { one_of, given, why });
        }
    }
    all
}

/// Of `readers` without `op`, the first of each process that has not happened.
fn left<'m, O: Copy>(
    machine: &'m Machine<'_, O>,
    readers: &'m [u32],
    op: u32,
) -> impl Iterator<Item = u32> + 'm {
    let mut last = NEVER;
    readers.iter().copied().filter(move |&reader| {
        let fresh = machine.when[reader as usize] == NEVER && reader != op && machine.process(reader) != last;
        if fresh {
            last = machine.process(reader);
        }
        fresh
    })
}
