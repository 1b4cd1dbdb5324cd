//! Registers that tell versions: the versions are the order ([`super::forced`]).
//!
//! ```text
//!   places   0             1           2             3
//!            read [0, v0]  make 1      read [1, v1]  make 2 …
//! ```
//! A write that was not told its version is known by its value where somebody read that with its version, and may
//! otherwise have filled a hole. The general search has the rest: values written twice among such writes where it
//! matters, answered writes without a version that nobody read.

use super::Exact;
use super::bisect::bisected;
use super::fatal::Decision;
use super::forced::{Place, answered, fill, in_places, known};
use crate::problem::ObjOp;
use history::ValueId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::atomic::AtomicBool;

/// What an operation says about versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It read this version with this value.
    Saw(i64, ValueId),
    /// It made a version: which, out of which, with which value.
    Made(Option<i64>, Option<i64>, ValueId),
    /// It did not find this version.
    Missed(i64),
}

/// Decides the operations of a register whose first version is `initial`. O(n log n).
pub(crate) fn versions<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: (i64, ValueId),
    by_one: bool,
    said: impl Fn(O) -> Said + Copy,
) -> Option<Exact> {
    bisected("forced order", ops, stop, |end| Versions { ops, initial, by_one, said, end }.decide())
}

struct Versions<'a, O, S> {
    ops: &'a [ObjOp<O>],
    initial: (i64, ValueId),
    by_one: bool,
    said: S,
    end: u32,
}

/// What is known of one version.
#[derive(Clone, Debug, Default)]
struct Version {
    /// Who was told that he made it, and has returned.
    maker: Option<u32>,
    /// Those who were told so in the end, and are open.
    open: Vec<u32>,
    /// Its value as somebody read it, and who.
    read: Option<(ValueId, u32)>,
    /// Somebody who found it, to replace it.
    found_by: Option<u32>,
}

impl<O: Copy, S: Fn(O) -> Said> Versions<'_, O, S> {
    fn said(&self, i: u32) -> Said {
        (self.said)(self.ops[i as usize].op)
    }

    fn decide(&self) -> Decision {
        match self.order() {
            Ok(order) => Decision::Holds(order),
            Err(decision) => decision,
        }
    }

    fn order(&self) -> Result<Vec<u32>, Decision> {
        let violated = |core: &[u32]| Err(Decision::Violated(core.to_vec()));
        let mut all: FxHashMap<i64, Version> = FxHashMap::default();
        // Those that made a version and were not told which.
        let mut untold: Vec<u32> = Vec::new();
        for (i, op) in (0u32..).zip(self.ops).filter(|(_, op)| known(op, self.end)) {
            let has_answer = answered(op, self.end);
            match (self.said)(op.op) {
                Said::Saw(version, value) if has_answer => {
                    let seen = all.entry(version).or_default();
                    match seen.read {
                        Some((other, reader)) if other != value => return violated(&[reader, i]),
                        Some(_) => {}
                        None => seen.read = Some((value, i)),
                    }
                }
                Said::Made(Some(version), found, _) => {
                    let made = all.entry(version).or_default();
                    if !has_answer {
                        made.open.push(i);
                        continue;
                    }
                    if let Some(other) = made.maker {
                        return violated(&[other, i]);
                    }
                    made.maker = Some(i);
                    if let Some(found) = found {
                        all.entry(found).or_default().found_by = Some(i);
                    }
                }
                Said::Made(None, ..) => untold.push(i),
                Said::Saw(..) | Said::Missed(_) => {}
            }
        }
        self.order_of(all, &untold)
    }

    /// The versions that must be there, from the last to the first, each with its maker.
    fn order_of(&self, mut all: FxHashMap<i64, Version>, untold: &[u32]) -> Result<Vec<u32>, Decision> {
        let needed = |v: &Version| v.maker.is_some() || v.read.is_some() || v.found_by.is_some();
        let mut wanted: Vec<i64> = all.iter().filter(|(_, v)| needed(v)).map(|(&n, _)| n).collect();
        let (first, first_value) = self.initial;
        for &n in &wanted {
            let v = &all[&n];
            let wrong = n < first
                || (n == first && (v.maker.is_some() || v.read.is_some_and(|r| r.0 != first_value)));
            if wrong {
                let mut core = self.may_have_made(untold);
                core.extend([v.maker, v.read.map(|r| r.1), v.found_by].into_iter().flatten());
                return Err(Decision::Violated(core));
            }
        }
        wanted.retain(|&n| n > first);
        wanted.sort_unstable();
        let mut by_value: FxHashMap<ValueId, Vec<u32>> = FxHashMap::default();
        for &i in untold {
            if let Said::Made(_, _, value) = self.said(i) {
                by_value.entry(value).or_default().push(i);
            }
        }
        let mut taken: FxHashSet<u32> = FxHashSet::default();
        // Version and maker, from the last on; and the holes, of which nothing but the place is known.
        let (mut made, mut holes): (Vec<(i64, u32)>, Vec<i64>) = (Vec::new(), Vec::new());
        let mut next = wanted.pop();
        while let Some(n) = next {
            let v = all.get(&n).cloned().unwrap_or_default();
            let maker = match v.maker {
                Some(maker) => Some(maker),
                None => self.open_maker(&v, &by_value, &mut taken)?,
            };
            let found = maker.and_then(|maker| match self.said(maker) {
                Said::Made(_, found, _) => found,
                Said::Saw(..) | Said::Missed(_) => None,
            });
            if let (Some(maker), Said::Made(_, _, value)) =
                (maker, maker.map_or(Said::Missed(0), |m| self.said(m)))
            {
                if let Some((_, reader)) = v.read.filter(|r| r.0 != value) {
                    return Err(Decision::Violated(vec![maker, reader]));
                }
                made.push((n, maker));
            } else {
                holes.push(n);
                if holes.len() > self.ops.len() {
                    return Err(Decision::Open);
                }
            }
            // Who comes before: one less, or what is wanted or was found.
            let mut before = wanted.pop();
            if self.by_one && n - 1 > first && before != Some(n - 1) {
                wanted.extend(before);
                before = Some(n - 1);
            }
            if let Some(found) = found {
                // It was there right before, and nothing in between.
                let between = before.filter(|&b| b > found).or((found >= n).then_some(found));
                let skipped = self.by_one && found != n - 1;
                if between.is_some() || skipped || found < first {
                    let around = [n, between.unwrap_or(found), found];
                    return Err(match maker {
                        Some(maker) if answered(&self.ops[maker as usize], self.end) => {
                            self.at_odds(maker, &around, &all, untold)
                        }
                        Some(_) | None => Decision::Open,
                    });
                }
                if found > first && before != Some(found) {
                    wanted.extend(before);
                    before = Some(found);
                }
                all.entry(found).or_default();
            }
            next = before;
        }
        holes.reverse();
        self.lay_out(made, &holes, untold, &taken, &all)
    }

    /// Who made a version that nobody who returned was told to have made. `None` is a hole: anybody may have.
    fn open_maker(
        &self,
        v: &Version,
        by_value: &FxHashMap<ValueId, Vec<u32>>,
        taken: &mut FxHashSet<u32>,
    ) -> Result<Option<u32>, Decision> {
        let plain = |&i: &u32| matches!(self.said(i), Said::Made(_, None, _));
        let Some((value, reader)) = v.read else {
            // Of writes without a condition, the one that was invoked first.
            return match v.open[..] {
                [] => Ok(None),
                [only] => Ok(Some(only)),
                _ if v.open.iter().all(plain) => Ok(v.open.first().copied()),
                _ => Err(Decision::Open),
            };
        };
        let fits = |&i: &u32| matches!(self.said(i), Said::Made(_, _, made) if made == value);
        let open: Vec<u32> = v.open.iter().copied().filter(fits).collect();
        let candidates = by_value.get(&value).map_or(&[][..], |candidates| candidates);
        match (&open[..], candidates) {
            ([only], []) => Ok(Some(*only)),
            ([first, ..], []) if open.iter().all(plain) => Ok(Some(*first)),
            ([], [only]) if taken.insert(*only) => Ok(Some(*only)),
            ([], []) => Err(Decision::Violated(v.open.iter().copied().chain([reader]).collect())),
            _ => Err(Decision::Open),
        }
    }

    /// Those who may have made any version: who was not told, and who is open.
    fn may_have_made(&self, untold: &[u32]) -> Vec<u32> {
        let open = |(_, op): &(u32, &ObjOp<O>)| {
            known(op, self.end)
                && !answered(op, self.end)
                && matches!((self.said)(op.op), Said::Made(Some(_), ..))
        };
        (0u32..).zip(self.ops).filter(open).map(|(i, _)| i).chain(untold.iter().copied()).collect()
    }

    /// There are more holes than may have been filled: whoever may have filled one, and the first to return who stands
    /// beyond, or those who found them.
    fn too_few(&self, holes: &[i64], untold: &[u32], all: &FxHashMap<i64, Version>) -> Decision {
        // Those who must have been made by somebody who then filled no hole.
        let read = |v: &Version| v.read.filter(|_| v.maker.is_none()).map(|r| r.1);
        let taken = all.values().filter_map(read);
        if !self.by_one {
            // Each is there because somebody found it.
            let found: Option<Vec<u32>> = holes.iter().map(|n| all.get(n).and_then(|v| v.found_by)).collect();
            let Some(mut core) = found else { return Decision::Open };
            core.extend(self.may_have_made(untold));
            core.extend(taken);
            return Decision::Violated(core);
        }
        let hole = holes.last().copied().unwrap_or(self.initial.0);
        let mut beyond: Option<u32> = None;
        for (i, op) in (0u32..).zip(self.ops).filter(|(_, op)| answered(op, self.end)) {
            let version = match (self.said)(op.op) {
                Said::Saw(version, _) | Said::Made(Some(version), ..) => version,
                Said::Made(None, ..) | Said::Missed(_) => continue,
            };
            if version > hole && beyond.is_none_or(|b| self.ops[b as usize].ret > op.ret) {
                beyond = Some(i);
            }
        }
        let mut core: Vec<u32> = taken.chain(beyond).collect();
        let end = core.iter().map(|&i| self.ops[i as usize].ret).max().unwrap_or(self.end);
        let open = |(_, op): &(u32, &ObjOp<O>)| {
            known(op, end) && !answered(op, end) && matches!((self.said)(op.op), Said::Made(..))
        };
        core.extend((0u32..).zip(self.ops).filter(open).map(|(i, _)| i));
        core.extend(untold.iter().filter(|&&i| known(&self.ops[i as usize], end)));
        Decision::Violated(core)
    }

    /// A cas that replaced a version which cannot have been there.
    fn at_odds(&self, cas: u32, versions: &[i64], all: &FxHashMap<i64, Version>, untold: &[u32]) -> Decision {
        let mut core = self.may_have_made(untold);
        core.push(cas);
        for v in versions.iter().filter_map(|n| all.get(n)) {
            core.extend([v.maker, v.read.map(|r| r.1), v.found_by].into_iter().flatten());
            core.extend(&v.open);
        }
        if self.by_one { Decision::Open } else { Decision::Violated(core) }
    }

    fn lay_out(
        &self,
        mut made: Vec<(i64, u32)>,
        holes: &[i64],
        untold: &[u32],
        taken: &FxHashSet<u32>,
        all: &FxHashMap<i64, Version>,
    ) -> Result<Vec<u32>, Decision> {
        let left: Vec<u32> = untold.iter().copied().filter(|i| !taken.contains(i)).collect();
        // An answered write must be somewhere, and a cas fits one hole only.
        let somewhere = |&i: &u32| answered(&self.ops[i as usize], self.end);
        let cas = |&i: &u32| matches!(self.said(i), Said::Made(_, Some(_), _));
        if left.iter().any(somewhere) || (!holes.is_empty() && left.iter().any(cas)) {
            return Err(Decision::Open);
        }
        let Some(filled) = fill(holes, &left) else {
            return Err(self.too_few(&holes[..=left.len()], untold, all));
        };
        made.extend(&filled);
        made.sort_unstable();
        let place_of: FxHashMap<i64, u32> =
            made.iter().zip(0u32..).map(|(&(n, _), at)| (n, 2 * at + 1)).collect();
        let mut places: Vec<Place> =
            made.iter().zip(0u32..).map(|(&(_, maker), at)| Place::at(maker, 2 * at + 1)).collect();
        let last = 2 * made.len() as u32;
        let mut missed = false;
        for (i, op) in (0u32..).zip(self.ops).filter(|(_, op)| answered(op, self.end)) {
            let place = |n: i64| if n == self.initial.0 { Some(0) } else { place_of.get(&n).copied() };
            match (self.said)(op.op) {
                Said::Saw(n, _) => {
                    let place = place(n).map(|at| if at == 0 { 0 } else { at + 1 });
                    places.push(Place::at(i, place.ok_or(Decision::Open)?));
                }
                Said::Missed(n) => {
                    missed = true;
                    // Not while that was there, nor at the place of who made the next: it must come after him.
                    let not = place(n).map(|at| (at, if at == 0 { 1 } else { at + 2 }));
                    places.push(Place { op: i, first: 0, last, not });
                }
                Said::Made(..) => {}
            }
        }
        in_places(self.ops, self.end, &mut places).map_err(|(before, after)| {
            let unsure = |i: &u32| filled.iter().any(|(_, filler)| filler == i);
            // Who is open may not have made what he was told in the end, if somebody else can have.
            let open = |&i: &u32| !left.is_empty() && !answered(&self.ops[i as usize], self.end);
            let mut both = before.into_iter().chain([after]);
            let choice = both.any(|i| unsure(&i) || open(&i));
            if missed || choice {
                // Others may have been in between, or filled the hole.
                return Decision::Open;
            }
            let mut core: Vec<u32> = before.into_iter().chain([after]).collect();
            for &(n, _) in made.iter().filter(|&&(_, maker)| maker == after || Some(maker) == before) {
                // Who says that it made this version.
                core.extend(all.get(&n).and_then(|v| v.read).map(|r| r.1));
            }
            Decision::Violated(core)
        })
    }
}
