//! Logs: offsets, and lists that were read, say where each entry stands ([`super::forced`]).
//!
//! ```text
//!   places   0      1           2       3           4
//!            []     append a    [a]     append b    [a b]
//!   a list of n entries: 2n     offset k read: from 2k+2 on     nothing at offset k: up to 2k
//! ```
//! Positions that nobody told are holes, which unanswered appends must have filled. An answered append that no list shows
//! stands behind all that was read. Entries that were appended twice are left to the general search.

use super::Exact;
use super::bisect::bisected;
use super::fatal::Decision;
use super::forced::{Place, answered, fill, in_places, known};
use crate::problem::ObjOp;
use history::ValueId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::atomic::AtomicBool;

/// What an operation says about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged<'a, E> {
    /// It appended this, at this position if it was told.
    Appended(ValueId, Option<u32>),
    /// It read these entries.
    List(&'a [E]),
    /// It read this at this position.
    At(u32, ValueId),
    /// It found nothing at this position.
    End(u32),
}

/// Decides the operations of a log that starts with `initial`. `None` if an entry was appended twice. O(n log n), with
/// every list's entries counted.
pub(crate) fn logs<'a, O: Copy, E: 'a + Copy + Into<ValueId>>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: &[E],
    logged: impl Fn(O) -> Logged<'a, E> + Copy,
) -> Option<Exact> {
    let mut appended: FxHashMap<ValueId, u32> = FxHashMap::default();
    for (i, op) in (0u32..).zip(ops) {
        if let Logged::Appended(value, _) = logged(op.op) {
            if appended.insert(value, i).is_some() || initial.iter().any(|&e| e.into() == value) {
                return None;
            }
        }
    }
    let logs = Logs { ops, initial, logged, appended };
    bisected("forced order", ops, stop, |end| logs.decide(end).unwrap_or_else(|decision| decision))
}

struct Logs<'b, O, E, L> {
    ops: &'b [ObjOp<O>],
    initial: &'b [E],
    logged: L,
    /// Who appended each entry.
    appended: FxHashMap<ValueId, u32>,
}

/// An entry, and who told its position.
type Told = Option<(ValueId, u32)>;

impl<'a, 'b, O, E, L> Logs<'b, O, E, L>
where
    O: Copy,
    E: 'a + Copy + Into<ValueId>,
    L: Fn(O) -> Logged<'a, E>,
{
    fn decide(&self, end: u32) -> Result<Decision, Decision> {
        let told = self.told(end)?;
        let (start, len) = (self.initial.len(), told.len());
        // Who appended what stands at each position, and the positions that nobody told.
        let mut who: Vec<Option<u32>> = vec![None; len];
        let mut used: FxHashSet<u32> = FxHashSet::default();
        let mut holes = Vec::new();
        for at in start..len {
            let Some((value, teller)) = told[at] else {
                holes.push(at as i64);
                continue;
            };
            let appender = self.appended.get(&value).copied().filter(|&i| known(&self.ops[i as usize], end));
            let Some(appender) = appender else { return Err(Decision::Violated(vec![teller])) };
            let elsewhere = match (self.logged)(self.ops[appender as usize].op) {
                Logged::Appended(_, Some(offset)) => offset as usize != at,
                Logged::Appended(_, None) | Logged::List(_) | Logged::At(..) | Logged::End(_) => false,
            };
            if elsewhere || !used.insert(appender) {
                let other = (start..at).filter_map(|at| told[at]).find(|other| other.0 == value);
                let core = [Some(appender), Some(teller), other.map(|other| other.1)];
                return Err(Decision::Violated(core.into_iter().flatten().collect()));
            }
            who[at] = Some(appender);
        }
        let left = |(i, op): &(u32, &ObjOp<O>)| {
            known(op, end) && matches!((self.logged)(op.op), Logged::Appended(..)) && !used.contains(i)
        };
        let (late, open): (Vec<_>, Vec<_>) =
            (0u32..).zip(self.ops).filter(left).partition(|(_, op)| answered(op, end));
        if !holes.is_empty() && (!late.is_empty() || open.iter().any(|(_, op)| self.offset(op.op).is_some()))
        {
            return Err(Decision::Open);
        }
        let open: Vec<u32> = open.into_iter().map(|(i, _)| i).collect();
        let Some(filled) = fill(&holes, &open) else {
            let core = (0u32..).zip(self.ops).filter(|(_, op)| known(op, end)).map(|(i, _)| i).collect();
            return Err(Decision::Violated(core));
        };
        for &(at, filler) in &filled {
            who[at as usize] = Some(filler);
        }
        let behind = 2 * len as u32 + 1;
        let mut places: Vec<Place> = Vec::with_capacity(self.ops.len());
        places.extend((0u32..).zip(&who).filter_map(|(at, who)| who.map(|i| Place::at(i, 2 * at + 1))));
        places.extend(late.iter().map(|&(i, _)| Place { op: i, first: behind, last: behind, not: None }));
        for (i, op) in (0u32..).zip(self.ops).filter(|(_, op)| answered(op, end)) {
            let (first, last) = match (self.logged)(op.op) {
                Logged::Appended(..) => continue,
                Logged::List(list) => (2 * list.len() as u32, 2 * list.len() as u32),
                Logged::At(at, _) if (at as usize) < start => (0, u32::MAX),
                Logged::At(at, _) => (2 * at + 2, u32::MAX),
                Logged::End(at) if (at as usize) < start => return Err(Decision::Violated(vec![i])),
                Logged::End(at) if (at as usize) < len => (0, 2 * at),
                // It may tell how many of those are there that no list shows.
                Logged::End(at) if (at as usize) < len + late.len() => return Err(Decision::Open),
                Logged::End(_) => (0, u32::MAX),
            };
            places.push(Place { op: i, first, last, not: None });
        }
        match in_places(self.ops, end, &mut places) {
            Ok(order) => Ok(Decision::Holds(order)),
            Err(_) if !filled.is_empty() => Ok(Decision::Open),
            Err((Some(before), after)) if self.crowded_out(before, after, &used) => {
                if let Some(list) = self.list_with(after, &told, &who) {
                    return Ok(Decision::Violated(vec![before, after, list]));
                }
                // It is somewhere before, and everything else there says that it is not.
                let all = (0u32..).zip(self.ops).filter(|(_, op)| known(op, end)).map(|(i, _)| i);
                Ok(Decision::Violated(all.collect()))
            }
            Err((before, after)) => Ok(Decision::Violated(self.core(before, after, &told, &who))),
        }
    }

    /// Whether no list shows `before`, and `after` is no list that could.
    fn crowded_out(&self, before: u32, after: u32, used: &FxHashSet<u32>) -> bool {
        let appended = matches!((self.logged)(self.ops[before as usize].op), Logged::Appended(..));
        let list = matches!((self.logged)(self.ops[after as usize].op), Logged::List(_));
        appended && !list && !used.contains(&before)
    }

    /// The list that shows the entry which `i` appended.
    fn list_with(&self, i: u32, told: &[Told], who: &[Option<u32>]) -> Option<u32> {
        let at = who.iter().position(|&who| who == Some(i))?;
        let (_, teller) = told[at].filter(|&(_, teller)| teller != u32::MAX)?;
        matches!((self.logged)(self.ops[teller as usize].op), Logged::List(_)).then_some(teller)
    }

    fn offset(&self, op: O) -> Option<u32> {
        match (self.logged)(op) {
            Logged::Appended(_, offset) => offset,
            Logged::List(_) | Logged::At(..) | Logged::End(_) => None,
        }
    }

    /// What stands at each position as far as somebody told, up to the last one that somebody did.
    fn told(&self, end: u32) -> Result<Vec<Told>, Decision> {
        let mut told: Vec<Told> = self.initial.iter().map(|&e| Some((e.into(), u32::MAX))).collect();
        let differ = |i: u32, known: Told| {
            let other = known.map(|(_, teller)| teller).filter(|&teller| teller != u32::MAX);
            Decision::Violated([Some(i), other].into_iter().flatten().collect())
        };
        // The longest list first: the others agree with it, or not.
        let mut longest: Option<(u32, &[E])> = None;
        for (i, op) in (0u32..).zip(self.ops).filter(|(_, op)| answered(op, end)) {
            if let Logged::List(list) = (self.logged)(op.op) {
                if longest.is_none_or(|(_, known)| known.len() < list.len()) {
                    longest = Some((i, list));
                }
            }
        }
        let lists = (0u32..).zip(self.ops).filter(|(_, op)| answered(op, end));
        let lists = lists.filter_map(|(i, op)| match (self.logged)(op.op) {
            Logged::List(list) => Some((i, list)),
            Logged::Appended(..) | Logged::At(..) | Logged::End(_) => None,
        });
        for (i, list) in longest.into_iter().chain(lists) {
            if list.len() < self.initial.len() {
                return Err(Decision::Violated(vec![i]));
            }
            for (at, &entry) in list.iter().enumerate() {
                let entry: ValueId = entry.into();
                match told.get(at).copied() {
                    None => told.push(Some((entry, i))),
                    Some(known) if known.is_some_and(|(value, _)| value != entry) => {
                        return Err(self.with_appenders(differ(i, known), known, entry));
                    }
                    Some(_) => {}
                }
            }
        }
        for (i, op) in (0u32..).zip(self.ops).filter(|(_, op)| answered(op, end)) {
            let (at, value) = match (self.logged)(op.op) {
                Logged::Appended(value, Some(at)) | Logged::At(at, value) => (at as usize, value),
                Logged::Appended(_, None) | Logged::List(_) | Logged::End(_) => continue,
            };
            if at > self.initial.len() + self.ops.len() {
                // More than everyone could have appended.
                return Err(Decision::Open);
            }
            if told.len() <= at {
                told.resize(at + 1, None);
            }
            match told[at] {
                None => told[at] = Some((value, i)),
                Some((known, _)) if known != value => {
                    return Err(self.with_appenders(differ(i, told[at]), told[at], value));
                }
                Some(_) => {}
            }
        }
        Ok(told)
    }

    /// The same, with those who appended what two told of one position.
    fn with_appenders(&self, decision: Decision, one: Told, other: ValueId) -> Decision {
        match decision {
            Decision::Violated(mut core) => {
                core.extend(one.and_then(|(value, _)| self.appended.get(&value)));
                core.extend(self.appended.get(&other));
                Decision::Violated(core)
            }
            Decision::Holds(_) | Decision::Open => decision,
        }
    }

    /// Two operations that stand the wrong way round, with who says so.
    fn core(&self, before: Option<u32>, after: u32, told: &[Told], who: &[Option<u32>]) -> Vec<u32> {
        let mut core: Vec<u32> = before.into_iter().chain([after]).collect();
        for i in before.into_iter().chain([after]) {
            let at = match (self.logged)(self.ops[i as usize].op) {
                Logged::Appended(..) => who.iter().position(|&w| w == Some(i)),
                Logged::List(list) => Some(list.len()),
                Logged::At(at, _) | Logged::End(at) => Some(at as usize),
            };
            for at in at.into_iter().flat_map(|at| [at.checked_sub(1), Some(at)]).flatten() {
                core.extend(told.get(at).copied().flatten().map(|(_, teller)| teller));
                core.extend(who.get(at).copied().flatten());
            }
        }
        core.retain(|&i| i != u32::MAX);
        core
    }
}
