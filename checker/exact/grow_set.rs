//! Sets that only grow, with reads of the whole: forced order.
//!
//! What was read must form a chain of sets, each within the next. Then the order is forced: what the smallest read holds
//! is added first, then comes that read, then what the next one holds in addition, and so on; what nobody read comes last,
//! or need not have happened.

use super::Exact;
use super::clusters::NONE;
use super::fatal::{Decision, decided};
use super::groups::in_groups;
use crate::problem::ObjOp;
use crate::set::{GrowSet, SetOp, has, members};
use std::sync::atomic::AtomicBool;

/// Decides a set where each element is added once. O(n), and for each different read the size of the set in words; where it
/// is violated, O(log n) times that.
pub(crate) fn grow_set(set: &GrowSet, ops: &[ObjOp<SetOp>], stop: &AtomicBool) -> Option<Exact> {
    let mut adder = vec![NONE; set.element_count()];
    for (i, op) in ops.iter().enumerate() {
        if let SetOp::Add(e) = op.op {
            let before = std::mem::replace(&mut adder[e as usize], i as u32);
            if before != NONE || has(set.initial(), e) {
                return None;
            }
        }
    }
    decided("forced order", ops, stop, |end| decide(set, ops, &adder, end))
}

fn decide(set: &GrowSet, ops: &[ObjOp<SetOp>], adder: &[u32], end: u32) -> Decision {
    let ops = &ops[..ops.partition_point(|op| op.invoke <= end)];
    let answered = |op: &ObjOp<SetOp>| op.ret <= end && !op.indeterminate();
    // Each different read, with who read it first.
    let mut first_reader = vec![NONE; set.snapshot_count()];
    for (i, op) in ops.iter().enumerate() {
        if let (SetOp::Read(s), true) = (op.op, answered(op)) {
            let first = &mut first_reader[s as usize];
            if *first == NONE || op.ret < ops[*first as usize].ret {
                *first = i as u32;
            }
        }
    }
    let size = |s: u32| set.holds(s).0.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
    let mut chain: Vec<(u64, u32)> = (0..first_reader.len() as u32)
        .filter(|&s| first_reader[s as usize] != NONE)
        .map(|s| (size(s), s))
        .collect();
    chain.sort_unstable();
    // Which read first holds an element, by place in the chain; equal reads in different order share a place.
    let mut level = vec![NONE; adder.len()];
    let mut place = vec![NONE; first_reader.len()];
    let mut places: Vec<u32> = Vec::new();
    let mut before = set.initial();
    for &(_, s) in &chain {
        let reader = first_reader[s as usize];
        let (holds, twice) = set.holds(s);
        if twice {
            return Decision::Violated(vec![reader]);
        }
        if let Some(missing) = members(before).find(|&e| !has(holds, e)) {
            // The read before holds it, and misses something that this one holds.
            let mut core = vec![reader];
            core.extend(Some(adder[missing as usize]).filter(|&a| a != NONE));
            if let Some(&last) = places.last() {
                core.push(first_reader[last as usize]);
                let extra = members(holds).find(|&e| !has(before, e));
                core.extend(extra.map(|e| adder[e as usize]).filter(|&a| a != NONE));
            }
            core.retain(|&i| (i as usize) < ops.len());
            return Decision::Violated(core);
        }
        if places.is_empty() || holds != before {
            for e in members(holds).filter(|&e| !has(before, e)) {
                let adder = adder[e as usize];
                if adder == NONE || adder as usize >= ops.len() {
                    return Decision::Violated(vec![reader]);
                }
                level[e as usize] = places.len() as u32;
            }
            places.push(s);
        }
        place[s as usize] = places.len() as u32 - 1;
        before = holds;
    }
    // Adds of a level, its reads, adds of the next …, and at last what nobody read.
    let last = 2 * places.len() as u32;
    let group: Vec<u32> = ops
        .iter()
        .map(|op| match op.op {
            SetOp::Add(e) => match (level[e as usize], answered(op)) {
                (NONE, false) => NONE,
                (NONE, true) => last,
                (level, _) => 2 * level,
            },
            SetOp::Read(s) if answered(op) => 2 * place[s as usize] + 1,
            SetOp::Read(_) => NONE,
        })
        .collect();
    match in_groups(ops, end, &group, last as usize + 1) {
        Ok(order) => Decision::Holds(order),
        Err((early, late)) => {
            // With the read that saw the one without the other, and what it saw more than that.
            let of = group[late as usize] / 2;
            let mut core = vec![early, late];
            core.extend(places.get(of as usize).map(|&s| first_reader[s as usize]));
            let (holds, _) = places.get(of as usize).map_or((set.initial(), false), |&s| set.holds(s));
            if let SetOp::Read(s) = ops[early as usize].op {
                let more = members(set.holds(s).0).find(|&e| !has(holds, e));
                core.extend(more.map(|e| adder[e as usize]).filter(|&a| a != NONE));
            }
            core.sort_unstable();
            core.dedup();
            Decision::Violated(core)
        }
    }
}
