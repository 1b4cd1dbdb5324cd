//! Who had a lock after whom: tokens grow, so those that were told are the order of the holders.
//!
//! Without refusals nothing else is asked. A refused acquire needs an instant at which somebody has the lock, so each
//! acquire goes as early as the order of tokens lets it, and each release as late as it may be:
//!
//! ```text
//!   instants     |-- acquire 1 --|   |- release 1 -|        |-- acquire 2 --|
//!                ├═══════════ held ═══════════════┤ free   ├═══ held …
//! ```
//! That leaves the least that must be free. Somebody refused who fits only there needs an acquire that was never heard to
//! stand in that gap before he returned: one for each gap. One whose token is told later stands in the gap that its token
//! has; of the others the first to be invoked goes to the gap that has to be filled first, which fails only if nothing
//! fills all (gaps by deadline, unheard acquires by invocation: Hall).
//!
//! Instant `r` comes right before the event of rank `r`; an operation can be at the instants after its invocation up to
//! its return.

use super::fatal::Decision;
use super::forced::{answered, known};
use crate::lock::LockOp;
use crate::problem::ObjOp;
use rustc_hash::FxHashMap;

/// An operation with the instant at which it takes effect.
pub(crate) type Timed = (u32, u32);

/// What happens at one instant, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Acquire,
    Refused,
    Release,
    /// An acquire that nobody heard of, in a gap.
    Unheard,
    /// Somebody refused who needs that.
    RefusedInGap,
}

/// The known operations on the lock alone.
#[derive(Debug, Default)]
struct Holders {
    /// By token.
    acquires: Vec<(i64, u32)>,
    /// Open, with the token that they will have.
    told_later: Vec<(i64, u32)>,
    /// By invocation.
    unheard: Vec<u32>,
    /// Answered ones, by invocation.
    releases: Vec<(i64, u32)>,
    refused: Vec<u32>,
    /// Some token was given back before it was told: then a late release is not always the best.
    given_back_early: bool,
    /// Those that say nothing.
    free: Vec<u32>,
}

/// Instants at which the lock must be free: after `from`, before `to`.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The acquire that it lies before, by number.
    before: usize,
    from: Option<u32>,
    to: u32,
    /// The release that it begins with.
    release: Option<u32>,
    /// Who was refused inside and returned first.
    first: Option<u32>,
}

/// The operations on the lock as of `end`, each at an instant, in order. O(n log n).
///
/// # Errors
/// What speaks against it.
pub(crate) fn holders(ops: &[ObjOp<LockOp>], end: u32) -> Result<Vec<Timed>, Decision> {
    let mut all = Holders::known(ops, end);
    all.acquires.sort_unstable();
    if let Some(two) = all.acquires.windows(2).find(|two| two[0].0 == two[1].0) {
        return Err(Decision::Violated(vec![two[0].1, two[1].1]));
    }
    // Each as early as its token allows.
    let mut at: Vec<u32> = Vec::with_capacity(all.acquires.len());
    let mut latest: Option<u32> = None;
    for &(_, i) in &all.acquires {
        if latest.is_none_or(|l| ops[l as usize].invoke < ops[i as usize].invoke) {
            latest = Some(i);
        }
        let invoke = latest.map_or(0, |l| ops[l as usize].invoke);
        if ops[i as usize].ret < invoke {
            return Err(Decision::Violated(latest.into_iter().chain([i]).collect()));
        }
        at.push(invoke + 1);
    }
    let mut effects: Vec<(u32, At, usize, u32)> = Vec::new();
    effects.extend(all.acquires.iter().zip(&at).enumerate().map(|(n, (a, &at))| (at, At::Acquire, n, a.1)));
    effects.extend(all.releases.iter().map(|&(_, i)| (ops[i as usize].ret, At::Release, 0, i)));
    effects.extend(all.free.iter().map(|&i| (ops[i as usize].invoke + 1, At::Refused, 0, i)));
    if !all.refused.is_empty() {
        if all.given_back_early {
            return Err(Decision::Open);
        }
        all.find_instants(ops, &at, &mut effects)?;
    }
    effects.sort_unstable();
    Ok(effects.into_iter().map(|(at, _, _, i)| (at, i)).collect())
}

impl Holders {
    fn known(ops: &[ObjOp<LockOp>], end: u32) -> Holders {
        let mut all = Holders::default();
        let mut given_back: FxHashMap<i64, u32> = FxHashMap::default();
        for (i, op) in (0u32..).zip(ops).filter(|(_, op)| known(op, end)) {
            let answered = answered(op, end);
            match op.op {
                LockOp::Acquire(t) if answered => all.acquires.push((t, i)),
                LockOp::Acquire(t) => all.told_later.push((t, i)),
                LockOp::AcquireUnheard => all.unheard.push(i),
                LockOp::Release(t) => {
                    given_back.entry(t).or_insert(op.invoke);
                    if answered {
                        all.releases.push((t, i));
                    }
                }
                LockOp::AcquireRefused if answered => all.refused.push(i),
                LockOp::ReleaseRefused(_) if answered => all.free.push(i),
                LockOp::AcquireRefused
                | LockOp::ReleaseRefused(_)
                | LockOp::Read(..)
                | LockOp::ReadUnheard(_)
                | LockOp::Write(..)
                | LockOp::GuardRefused(_) => {}
            }
        }
        let early = |&(t, i): &(i64, u32)| given_back.get(&t).is_some_and(|&at| at < ops[i as usize].ret);
        all.given_back_early = all.acquires.iter().any(early) || all.told_later.iter().any(early);
        all
    }

    /// The instants at which the lock must be free, in order.
    fn gaps(&self, ops: &[ObjOp<LockOp>], at: &[u32]) -> Vec<Gap> {
        let mut first: FxHashMap<i64, u32> = FxHashMap::default();
        for &(t, i) in &self.releases {
            let known = first.entry(t).or_insert(i);
            if ops[i as usize].ret < ops[*known as usize].ret {
                *known = i;
            }
        }
        let mut gaps = Vec::new();
        for before in 0..=at.len() {
            let release = match before.checked_sub(1) {
                None => None,
                // It is held until somebody else has it.
                Some(last) => match first.get(&self.acquires[last].0) {
                    None => continue,
                    release => release.copied(),
                },
            };
            let from = release.map(|i| ops[i as usize].ret);
            let to = at.get(before).copied().unwrap_or(u32::MAX);
            if from.is_none_or(|from| from < to) {
                gaps.push(Gap { before, from, to, release, first: None });
            }
        }
        gaps
    }

    /// Finds an instant for everyone who was refused.
    fn find_instants(
        &mut self,
        ops: &[ObjOp<LockOp>],
        at: &[u32],
        effects: &mut Vec<(u32, At, usize, u32)>,
    ) -> Result<(), Decision> {
        let ret = |i: u32| ops[i as usize].ret;
        let mut gaps = self.gaps(ops, at);
        for &f in &self.refused {
            let invoke = ops[f as usize].invoke;
            let gap = gaps.partition_point(|gap| gap.from.is_none_or(|from| from <= invoke));
            let gap = gap.checked_sub(1).map(|gap| &mut gaps[gap]).filter(|gap| invoke + 1 < gap.to);
            match gap {
                None => effects.push((invoke + 1, At::Refused, 0, f)),
                Some(gap) if gap.to <= ret(f) => effects.push((gap.to, At::Refused, 0, f)),
                Some(gap) => {
                    if gap.first.is_none_or(|first| ret(f) < ret(first)) {
                        gap.first = Some(f);
                    }
                    effects.push((ret(f), At::RefusedInGap, 0, f));
                }
            }
        }
        let mut needed: Vec<(u32, Gap)> =
            gaps.into_iter().filter_map(|gap| gap.first.map(|f| (ret(f), gap))).collect();
        needed.sort_unstable_by_key(|&(by, _)| by);
        self.told_later.sort_unstable();
        let mut unheard = self.unheard.iter().copied();
        let mut core = Vec::new();
        for (by, gap) in needed {
            let in_time = |&i: &u32| ops[i as usize].invoke < by;
            let own = self.told_in(&gap).filter(in_time);
            let own = own.min_by_key(|&i| ops[i as usize].invoke);
            if own.is_none() {
                core.extend([gap.first, gap.release].into_iter().flatten());
                core.extend(gap.before.checked_sub(1).map(|last| self.acquires[last].1));
                core.extend(self.acquires.get(gap.before).map(|next| next.1));
            }
            let Some(helper) = own.or_else(|| unheard.next().filter(in_time)) else {
                core.extend(&self.unheard);
                return Err(Decision::Violated(core));
            };
            let instant = (ops[helper as usize].invoke + 1).max(gap.from.unwrap_or(0));
            effects.push((instant, At::Unheard, 0, helper));
        }
        Ok(())
    }

    /// Open acquires whose token stands in this gap.
    fn told_in(&self, gap: &Gap) -> impl Iterator<Item = u32> + '_ {
        let after = gap.before.checked_sub(1).map(|last| self.acquires[last].0);
        let before = self.acquires.get(gap.before).map(|next| next.0);
        let from = self.told_later.partition_point(|told| after.is_some_and(|after| told.0 <= after));
        let to = self.told_later.partition_point(|told| before.is_none_or(|before| told.0 < before));
        self.told_later[from..to.max(from)].iter().map(|told| told.1)
    }
}
