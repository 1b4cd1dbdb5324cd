//! Watches: revisions say in which order writes took effect ([`super::forced`]), and an answer is about a stretch of them.
//!
//! ```text
//!   places      0     1        2      3        4
//!               []    put @5   [5]    put @9   [5 9]
//!   up to 7: from 2 on, with 5 and nothing else            all up to 7: exactly 2
//! ```
//! A revision that somebody saw and no write was told was made by a write that nobody heard of: of those with the same
//! change whoever was invoked first made the first, which leaves later revisions most room.

use super::Exact;
use super::bisect::bisected;
use super::fatal::Decision;
use super::forced::{Place, answered, in_places, known};
use crate::problem::ObjOp;
use crate::watch::{Answer, Change};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// What an operation says about the changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watched<'a> {
    /// It made this change, at this revision if it was told.
    Wrote(Change, Option<i64>),
    /// It got this answer, and that it is all if so.
    Told { answer: &'a Answer, all: bool },
}

/// Decides the operations of a watched store, of which writes were told the revisions `told` in all. O(n log n), with every
/// answer's events counted.
pub(crate) fn watched<'a, O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    told: &FxHashSet<i64>,
    said: impl Fn(O) -> Watched<'a>,
) -> Option<Exact> {
    let said: Vec<Watched<'a>> = ops.iter().map(|op| said(op.op)).collect();
    let mut writers = Writers::default();
    for (i, said) in (0u32..).zip(&said) {
        match *said {
            Watched::Wrote(_, Some(revision)) => writers.told.entry(revision).or_default().push(i),
            Watched::Wrote(change, None) => writers.unheard.entry(change).or_default().push(i),
            Watched::Told { .. } => {}
        }
    }
    let watches = Watches { ops, said, writers, told };
    bisected("forced order", ops, stop, |end| watches.decide(end).unwrap_or_else(|decision| decision))
}

/// Who wrote what, by invocation.
#[derive(Default)]
struct Writers {
    told: FxHashMap<i64, Vec<u32>>,
    unheard: FxHashMap<Change, Vec<u32>>,
}

struct Watches<'a, 'b, O> {
    ops: &'b [ObjOp<O>],
    told: &'b FxHashSet<i64>,
    said: Vec<Watched<'a>>,
    writers: Writers,
}

/// A change that happened, as far as is known at some rank.
#[derive(Clone, Copy)]
struct Made {
    change: Change,
    /// Who made it; nobody yet, if it was only seen.
    by: Option<u32>,
    /// An answer that names it.
    seen: Option<u32>,
}

impl<'a, O: Copy> Watches<'a, '_, O> {
    fn decide(&self, end: u32) -> Result<Decision, Decision> {
        let mut made = self.made(end)?;
        self.find_unheard(&mut made, end)?;
        let revisions: Vec<i64> = made.keys().copied().collect();
        // How many changes there are up to a revision.
        let upto = |revision: i64| revisions.partition_point(|&made| made <= revision);
        let mut places: Vec<Place> = Vec::with_capacity(self.ops.len());
        places.extend(
            (0u32..).zip(made.values()).filter_map(|(at, made)| Some(Place::at(made.by?, 2 * at + 1))),
        );
        for (i, answer, all) in self.answers(end) {
            let first = upto(answer.from.saturating_sub(1));
            let last = upto(answer.upto);
            if last.saturating_sub(first) != answer.events.len() {
                return Err(Decision::Violated(self.missing(i, answer, &made)));
            }
            let place = 2 * last as u32;
            let first = if answer.claims() { place } else { 0 };
            places.push(Place { op: i, first, last: if all { place } else { u32::MAX }, not: None });
        }
        match in_places(self.ops, end, &mut places) {
            Ok(order) => Ok(Decision::Holds(order)),
            Err((before, after)) => {
                let mut core = Vec::new();
                for i in before.into_iter().chain([after]) {
                    self.explain(i, &made, &mut core);
                }
                Ok(Decision::Violated(core))
            }
        }
    }

    /// What was answered as of `end`.
    fn answers(&self, end: u32) -> impl Iterator<Item = (u32, &'a Answer, bool)> + '_ {
        (0u32..).zip(self.ops).zip(&self.said).filter_map(move |((i, op), said)| match *said {
            Watched::Told { answer, all } if answered(op, end) => Some((i, answer, all)),
            Watched::Told { .. } | Watched::Wrote(..) => None,
        })
    }

    fn change(&self, i: u32) -> Option<Change> {
        match self.said[i as usize] {
            Watched::Wrote(change, _) => Some(change),
            Watched::Told { .. } => None,
        }
    }

    /// The writes that were told this revision, as far as they are known.
    fn told_this(&self, revision: i64, end: u32) -> impl Iterator<Item = u32> + '_ {
        let all = self.writers.told.get(&revision).map_or(&[][..], Vec::as_slice);
        all.iter().copied().filter(move |&i| known(&self.ops[i as usize], end))
    }

    /// The writes of a change that nobody heard of, as far as they are known.
    fn unheard(&self, change: Change, end: u32) -> impl Iterator<Item = u32> + '_ {
        let all = self.writers.unheard.get(&change).map_or(&[][..], Vec::as_slice);
        all.iter().copied().filter(move |&i| known(&self.ops[i as usize], end))
    }

    /// The changes that surely happened: those of answered writes, and those that somebody was told of.
    fn made(&self, end: u32) -> Result<BTreeMap<i64, Made>, Decision> {
        let mut made: BTreeMap<i64, Made> = BTreeMap::new();
        for (i, _) in (0u32..).zip(self.ops).filter(|(_, op)| answered(op, end)) {
            let Watched::Wrote(change, Some(revision)) = self.said[i as usize] else { continue };
            if let Some(other) = made.insert(revision, Made { change, by: Some(i), seen: None }) {
                return Err(Decision::Violated(other.by.into_iter().chain([i]).collect()));
            }
        }
        for (i, answer, _) in self.answers(end) {
            if answer.impossible() {
                return Err(Decision::Violated(vec![i]));
            }
            for event in answer.events.iter() {
                let there = made.entry(event.revision).or_insert_with(|| Made {
                    change: event.change,
                    // One whose answer is not known yet, if it is this one.
                    by: self.told_this(event.revision, end).find(|&by| self.change(by) == Some(event.change)),
                    seen: None,
                });
                if there.change != event.change {
                    let others = [there.by, there.seen];
                    let mut core: Vec<u32> = others.into_iter().flatten().chain([i]).collect();
                    core.extend(self.told_this(event.revision, end));
                    if !self.told.contains(&event.revision) {
                        // Without those that nobody heard of, nothing is left of what was seen of them.
                        for change in [there.change, event.change] {
                            core.extend(self.unheard(change, end));
                        }
                    }
                    return Err(Decision::Violated(core));
                }
                there.seen.get_or_insert(i);
            }
        }
        Ok(made)
    }

    /// Finds who made what was seen and was told to nobody.
    fn find_unheard(&self, made: &mut BTreeMap<i64, Made>, end: u32) -> Result<(), Decision> {
        let mut used: FxHashMap<Change, usize> = FxHashMap::default();
        let mut wrong = None;
        for (&revision, made) in made.iter_mut().filter(|(_, made)| made.by.is_none()) {
            // Whoever was told that revision later made another change, or was invoked later.
            let somebody_else = self.told.contains(&revision);
            let all = self.writers.unheard.get(&made.change).map_or(&[][..], Vec::as_slice);
            let used = used.entry(made.change).or_default();
            let next = all.get(*used).copied().filter(|&i| known(&self.ops[i as usize], end));
            match next {
                Some(next) if !somebody_else => (*used, made.by) = (*used + 1, Some(next)),
                Some(_) | None => {
                    wrong = Some((revision, made.change));
                    break;
                }
            }
        }
        let Some((revision, change)) = wrong else { return Ok(()) };
        // It, and every other sight of what those made who could have made it.
        let mut core: Vec<u32> = self.told_this(revision, end).collect();
        if !self.told.contains(&revision) {
            core.extend(self.unheard(change, end));
            let seen = made.iter().filter(|&(&at, made)| made.change == change && at <= revision);
            core.extend(seen.filter_map(|(_, made)| made.seen));
        }
        core.extend(made[&revision].seen);
        Err(Decision::Violated(core))
    }

    /// An answer with a change that it does not have, though it says that it has all.
    fn missing(&self, i: u32, answer: &Answer, made: &BTreeMap<i64, Made>) -> Vec<u32> {
        let has =
            |revision: i64| answer.events.binary_search_by_key(&revision, |event| event.revision).is_ok();
        let mut core = vec![i];
        let missing = made.range(answer.from..=answer.upto).find(|(revision, _)| !has(**revision));
        if let Some((_, made)) = missing {
            self.name(made, &mut core);
        }
        core
    }

    /// Who made a change, and who saw it, which is how we know it of one who was never answered.
    fn name(&self, made: &Made, core: &mut Vec<u32>) {
        core.extend(made.by);
        core.extend(made.seen);
    }

    /// An operation with what says where it stands.
    fn explain(&self, i: u32, made: &BTreeMap<i64, Made>, core: &mut Vec<u32>) {
        core.push(i);
        match self.said[i as usize] {
            Watched::Wrote(change, told) => {
                if let Some(made) = told.and_then(|revision| made.get(&revision)) {
                    self.name(made, core);
                    return;
                }
                // One that nobody heard of: together with all that it may be taken for.
                core.extend(self.writers.unheard.get(&change).into_iter().flatten());
                core.extend(made.values().filter(|made| made.change == change).filter_map(|made| made.seen));
            }
            Watched::Told { answer, all } => {
                let before = made.range(..=answer.upto).next_back();
                let after = made.range(answer.upto.saturating_add(1)..).next().filter(|_| all);
                for (_, made) in before.into_iter().chain(after) {
                    self.name(made, core);
                }
            }
        }
    }
}
