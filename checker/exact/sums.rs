//! Sums that tell where they stood: each addition takes a stretch of the numbers, and the stretches are the order.
//!
//! ```text
//!   places   0      1         2      3         4       5
//!            [0]    add 0→1   [1]    a hole    [2]     add 2→4 …
//! ```
//! Numbers between stretches are holes, which unanswered additions must have filled. That is decided where those all add
//! the same. Where something is taken away, or holes can be filled in several ways, the general search decides.

use super::Exact;
use super::bisect::bisected;
use super::fatal::Decision;
use super::forced::{Place, answered, fill, in_places, known};
use crate::problem::ObjOp;
use crate::ranges::Ranges;
use crate::verdict::Property;
use std::sync::atomic::AtomicBool;

/// What an operation says about the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summed {
    /// It saw this.
    Saw(i64),
    /// It added this amount, to this sum if it was told.
    Added(Option<i64>, i64),
}

/// Decides the operations of a sum that stands at `initial`. O(n log n).
pub(crate) fn sums<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: i64,
    summed: impl Fn(O) -> Summed + Copy,
) -> Option<Exact> {
    bisected("forced order", ops, stop, |end| {
        decide(ops, initial, end, summed).unwrap_or_else(|decision| decision)
    })
}

/// A stretch: where it begins and ends, and whose it is; `None` is a hole that an unanswered addition must fill.
type Stretch = (i64, i64, Option<u32>);

fn decide<O: Copy>(
    ops: &[ObjOp<O>],
    initial: i64,
    end: u32,
    summed: impl Fn(O) -> Summed,
) -> Result<Decision, Decision> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut seen: Vec<(i64, u32)> = Vec::new();
    // Additions of nothing, which nobody can tell from others.
    let mut nothing: Vec<u32> = Vec::new();
    // Additions that are open, with where they began if that was told in the end.
    let mut open: Vec<(Option<i64>, i64, u32)> = Vec::new();
    for (i, op) in (0u32..).zip(ops).filter(|(_, op)| known(op, end)) {
        match (summed)(op.op) {
            Summed::Saw(sum) | Summed::Added(Some(sum), 0) if answered(op, end) => seen.push((sum, i)),
            Summed::Added(None, 0) if answered(op, end) => nothing.push(i),
            Summed::Saw(_) | Summed::Added(_, 0) => {}
            Summed::Added(_, amount) if amount < 0 => return Err(Decision::Open),
            Summed::Added(Some(before), amount) if answered(op, end) => {
                let after = before.checked_add(amount).ok_or(Decision::Open)?;
                stretches.push((before, after, Some(i)));
            }
            // It must have happened, and nobody knows where.
            Summed::Added(None, _) if answered(op, end) => return Err(Decision::Open),
            Summed::Added(before, amount) => open.push((before, amount, i)),
        }
    }
    stretches.sort_unstable();
    seen.sort_unstable();
    let least = [stretches.first().map(|s| (s.0, s.2)), seen.first().map(|s| (s.0, Some(s.1)))];
    if let Some((_, Some(i))) = least.into_iter().flatten().find(|(sum, _)| *sum < initial) {
        return Err(Decision::Violated(vec![i]));
    }
    if let Some(two) = stretches.windows(2).find(|two| two[0].1 > two[1].0) {
        return Err(Decision::Violated(two.iter().filter_map(|s| s.2).collect()));
    }
    let inside = |sum: i64| {
        let at = stretches.partition_point(|s| s.0 < sum);
        at.checked_sub(1).map(|at| stretches[at]).filter(|s| s.1 > sum)
    };
    if let Some((across, i)) = seen.iter().find_map(|&(sum, i)| inside(sum).map(|s| (s, i))) {
        return Err(Decision::Violated(across.2.into_iter().chain([i]).collect()));
    }
    // Holes: from one known sum to the next.
    let mut all: Vec<Stretch> = Vec::new();
    let mut ends: Vec<(i64, Option<Stretch>)> = seen.iter().map(|&(sum, _)| (sum, None)).collect();
    ends.extend(stretches.iter().map(|&s| (s.0, Some(s))));
    ends.sort_unstable_by_key(|&(sum, stretch)| (sum, stretch.is_some()));
    let mut at = initial;
    for (sum, stretch) in ends {
        fill_hole(at, sum, &open, &mut all)?;
        at = sum;
        if let Some(stretch) = stretch {
            at = stretch.1;
            all.push(stretch);
        }
    }
    let holes: Vec<i64> = all.iter().filter(|s| s.2.is_none()).map(|s| s.0).collect();
    let untold: Vec<u32> = open.iter().filter(|o| o.0.is_none()).map(|o| o.2).collect();
    let Some(filled) = fill(&holes, &untold) else {
        // Somebody was told more than all of them together make, or else every number up to there speaks against it.
        let amount = |i: usize, op: O| match summed(op) {
            Summed::Added(_, amount) if known(&ops[i], end) => Some(amount),
            Summed::Added(..) | Summed::Saw(_) => None,
        };
        let ranges = Ranges::new(ops, Property::Linearizable, amount);
        let jumps = |i: u32| {
            let op = &ops[i as usize];
            let (told, own) = match summed(op.op) {
                Summed::Saw(sum) => (sum, 0),
                Summed::Added(Some(before), amount) => (before, amount),
                Summed::Added(None, _) => return false,
            };
            let most = i128::from(initial) + ranges.before(op).1 - i128::from(own);
            answered(op, end) && i128::from(told) > most
        };
        let first = (0u32..ops.len() as u32).filter(|&i| jumps(i)).min_by_key(|&i| ops[i as usize].ret);
        if let Some(first) = first {
            return Err(Decision::Violated(vec![first]));
        }
        let core = (0u32..).zip(ops).filter(|(_, op)| known(op, end)).map(|(i, _)| i).collect();
        return Err(Decision::Violated(core));
    };
    let mut filled = filled.into_iter();
    let mut places = Vec::with_capacity(ops.len());
    places.extend(nothing.into_iter().map(|i| Place { op: i, first: 0, last: u32::MAX, not: None }));
    let mut place_of: Vec<(i64, u32)> = vec![(initial, 0)];
    let mut chosen = Vec::new();
    for (n, &(_, after, whose)) in (0u32..).zip(&all) {
        let whose = whose.or_else(|| {
            let filler = filled.next().map(|(_, filler)| filler);
            chosen.extend(filler);
            filler
        });
        // Who is open may not have added what he was told in the end, if somebody else can have.
        chosen.extend(whose.filter(|&i| !untold.is_empty() && !answered(&ops[i as usize], end)));
        places.extend(whose.map(|i| Place::at(i, 2 * n + 1)));
        place_of.push((after, 2 * n + 2));
    }
    for &(sum, i) in &seen {
        let at = place_of.partition_point(|&(known, _)| known < sum);
        places.push(Place::at(i, place_of[at].1));
    }
    match in_places(ops, end, &mut places) {
        Ok(order) => Ok(Decision::Holds(order)),
        Err((before, after)) if chosen.contains(&after) || before.is_some_and(|i| chosen.contains(&i)) => {
            Ok(Decision::Open)
        }
        Err((before, after)) => Ok(Decision::Violated(before.into_iter().chain([after]).collect())),
    }
}

/// The stretches by which the sum came from `from` to `to`, if there is one way only.
fn fill_hole(
    from: i64,
    to: i64,
    open: &[(Option<i64>, i64, u32)],
    all: &mut Vec<Stretch>,
) -> Result<(), Decision> {
    if from >= to {
        return Ok(());
    }
    let Some(&(_, step, _)) = open.first() else {
        // Nobody can have filled it: one hole that stays.
        all.push((from, to, None));
        return Ok(());
    };
    let gap = i128::from(to) - i128::from(from);
    if open.iter().any(|o| o.1 != step) || gap % i128::from(step) != 0 {
        return Err(Decision::Open);
    }
    if gap / i128::from(step) > open.len() as i128 {
        // More than all of them can fill.
        all.extend(std::iter::repeat_n((from, to, None), open.len() + 1));
        return Ok(());
    }
    let mut at = from;
    while at < to {
        let mut told = open.iter().filter(|o| o.0 == Some(at)).map(|o| o.2);
        match (told.next(), told.next()) {
            (whose, None) => all.push((at, at + step, whose)),
            (_, Some(_)) => return Err(Decision::Open),
        }
        at += step;
    }
    Ok(())
}
