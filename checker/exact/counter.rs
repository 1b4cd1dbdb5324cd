//! Counters to which one amount is added: earliest deadline first.
//!
//! A read says how many additions came before it. Reads in the order of what they say leave gaps, and each gap needs a
//! known number of additions. An addition may go into the gaps between the last read that returned before it was invoked
//! and the first that was invoked after it returned. Filling the gaps in order, each with those additions whose deadline
//! is the earliest (and of those the ones that returned first), fails only where nothing can do it (Jackson 1955).

use super::clusters::NONE;
use super::fatal::{Decision, decided};
use super::ranks::by_rank;
use super::{Exact, Finding};
use crate::counter::CounterOp;
use crate::problem::ObjOp;
use crate::ranges::Ranges;
use crate::verdict::Property;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicBool;

/// Decides a counter that starts at `initial` where every addition adds the same; `None` where they differ.
/// O(n log n), and O(n log² n) where it is violated.
pub(crate) fn counter(initial: i64, ops: &[ObjOp<CounterOp>], stop: &AtomicBool) -> Option<Exact> {
    let mut step = None;
    for op in ops {
        match op.op {
            CounterOp::Add(n) if n == 0 || *step.get_or_insert(n) != n => return None,
            // Not of the kind that histories are made of.
            CounterOp::ReadWithin { .. } => return None,
            CounterOp::Add(_) | CounterOp::Read(_) => {}
        }
    }
    let step = step.unwrap_or(1);
    let mut exact = decided("deadlines", ops, stop, |end| decide(initial, step, ops, end))?;
    if let Finding::Violated { fatal: first, .. } = exact.found {
        // One or two reads show most violations, and are all that is needed then.
        match ranges(initial, ops) {
            Some(Exact { found: Finding::Violated { fatal, core }, .. }) if fatal == first => {
                exact.found = Finding::Violated { fatal, core };
            }
            Some(_) | None => {
                // It takes the additions as well, and their number.
                let end = ops[first as usize].ret;
                let core = (0..).zip(ops).filter(|(_, op)| op.invoke < end).map(|(i, _)| i).collect();
                exact.found = Finding::Violated { fatal: first, core };
            }
        }
    }
    Some(exact)
}

/// The first read that no additions make possible, whatever their order: its sum is out of their range, or went back
/// although they all go one way. O(n log n).
pub(crate) fn ranges(initial: i64, ops: &[ObjOp<CounterOp>]) -> Option<Exact> {
    let amount = |op: CounterOp| match op {
        CounterOp::Add(n) => Some(n),
        CounterOp::Read(_) | CounterOp::ReadWithin { .. } => None,
    };
    let ranges = Ranges::new(ops, Property::Linearizable, |_, op| amount(op));
    let sign = |of: fn(i64) -> bool| ops.iter().filter_map(|op| amount(op.op)).all(of);
    let (grows, shrinks) = (sign(|n| n >= 0), sign(|n| n <= 0));
    let mut reads: Vec<(u32, &ObjOp<CounterOp>, i64)> = (0..)
        .zip(ops)
        .filter(|(_, op)| !op.indeterminate())
        .filter_map(|(i, op)| match op.op {
            CounterOp::Read(sum) => Some((i, op, sum)),
            CounterOp::Add(_) | CounterOp::ReadWithin { .. } => None,
        })
        .collect();
    let mut found: Option<(u32, Finding)> = None;
    let mut tell = |at: u32, op: &ObjOp<CounterOp>, core: Vec<u32>| {
        if found.as_ref().is_none_or(|(ret, _)| op.ret < *ret) {
            found = Some((op.ret, Finding::Violated { fatal: at, core }));
        }
    };
    for &(i, op, sum) in &reads {
        let (least, most) = ranges.before(op);
        if !(least..=most).contains(&(i128::from(sum) - i128::from(initial))) {
            tell(i, op, vec![i]);
        }
    }
    if grows || shrinks {
        let mut returned = reads.clone();
        returned.sort_unstable_by_key(|(_, op, _)| op.ret);
        reads.sort_unstable_by_key(|(_, op, _)| op.invoke);
        let further = |a: i64, b: i64| if grows { a > b } else { a < b };
        let (mut furthest, mut next): (Option<(u32, i64)>, usize) = (None, 0);
        for &(i, op, sum) in &reads {
            while next < returned.len() && returned[next].1.ret < op.invoke {
                let (j, _, there) = returned[next];
                if furthest.is_none_or(|(_, known)| further(there, known)) {
                    furthest = Some((j, there));
                }
                next += 1;
            }
            if let Some((j, _)) = furthest.filter(|&(_, known)| further(known, sum)) {
                tell(i, op, vec![j, i]);
            }
        }
    }
    found.map(|(_, found)| Exact { method: "ranges", found })
}

fn decide(initial: i64, step: i64, ops: &[ObjOp<CounterOp>], end: u32) -> Decision {
    let ops = &ops[..ops.partition_point(|op| op.invoke <= end)];
    let answered = |op: &ObjOp<CounterOp>| op.ret <= end && !op.indeterminate();
    let mut levels = Vec::new();
    // How many additions each read counted, then the place of that among all that were read.
    let mut level = vec![NONE; ops.len()];
    let mut reads = Vec::new();
    for (i, op) in ops.iter().enumerate().filter(|(_, op)| answered(op)) {
        if let CounterOp::Read(n) = op.op {
            let more = i128::from(n) - i128::from(initial);
            let count = u32::try_from(more / i128::from(step)).ok().filter(|_| more % i128::from(step) == 0);
            let Some(count) = count else { return Decision::Violated(vec![i as u32]) };
            level[i] = count;
            levels.push(count);
            reads.push(i as u32);
        }
    }
    levels.sort_unstable();
    levels.dedup();
    for &i in &reads {
        level[i as usize] = levels.partition_point(|&count| count < level[i as usize]) as u32;
    }
    // Some read among all is at fault; which one, the ranks will tell.
    let violated = || Decision::Violated(reads.clone());
    let gaps = levels.len() as u32;
    let returns = by_rank(ops.iter().zip(0u32..).filter(|(op, _)| answered(op)).map(|(op, i)| (op.ret, i)));
    // From the front: the gap after the highest read that returned before. From the back: the lowest read that began later.
    let mut lowest_gap = vec![0; ops.len()];
    let (mut highest, mut r) = (0, 0);
    for (i, op) in ops.iter().enumerate() {
        while r < returns.len() && ops[returns[r] as usize].ret < op.invoke {
            if level[returns[r] as usize] != NONE {
                highest = highest.max(level[returns[r] as usize] + 1);
            }
            r += 1;
        }
        // A read is not below any before it.
        if level[i] != NONE && level[i] + 1 < highest {
            return violated();
        }
        lowest_gap[i] = highest;
    }
    let mut deadline = vec![gaps; ops.len()];
    let (mut lowest, mut next) = (gaps, ops.len());
    for &i in returns.iter().rev() {
        while next > 0 && ops[next - 1].invoke > ops[i as usize].ret {
            next -= 1;
            lowest = lowest.min(level[next]);
        }
        deadline[i as usize] = lowest;
    }
    let mut by_gap: Vec<(u32, u32)> = (0..ops.len() as u32)
        .filter(|&i| matches!(ops[i as usize].op, CounterOp::Add(_)))
        .map(|i| (lowest_gap[i as usize], i))
        .collect();
    by_gap.sort_unstable();
    if by_gap.iter().any(|&(lowest, i)| deadline[i as usize] < lowest) {
        return violated();
    }
    let mut waiting = by_gap.into_iter().peekable();
    let mut free: BinaryHeap<Reverse<(u32, u32, u32)>> = BinaryHeap::new();
    // The gap of each addition.
    let mut gap = vec![NONE; ops.len()];
    let mut done = 0;
    for g in 0..gaps {
        while let Some((_, i)) = waiting.next_if(|&(lowest, _)| lowest <= g) {
            let ret = if answered(&ops[i as usize]) { ops[i as usize].ret } else { NONE };
            free.push(Reverse((deadline[i as usize], ret, i)));
        }
        while done < levels[g as usize] {
            match free.pop() {
                Some(Reverse((deadline, _, i))) if deadline >= g => gap[i as usize] = g,
                Some(_) | None => return violated(),
            }
            done += 1;
        }
        if free.peek().is_some_and(|Reverse((deadline, ..))| *deadline <= g) {
            return violated();
        }
    }
    // In each gap the additions, then the reads; what is left of the additions comes last.
    let place = |(i, op): (usize, &ObjOp<CounterOp>)| match (level[i], gap[i], answered(op)) {
        (NONE, NONE, false) => None,
        (NONE, NONE, true) => Some((2 * gaps, i as u32)),
        (NONE, gap, _) => Some((2 * gap, i as u32)),
        (level, _, _) => Some((2 * level + 1, i as u32)),
    };
    let mut order: Vec<(u32, u32)> = ops.iter().enumerate().filter_map(place).collect();
    order.sort_unstable();
    Decision::Holds(order.into_iter().map(|(_, i)| i).collect())
}
