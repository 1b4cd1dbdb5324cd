//! Puts comparisons that failed, and did not say what they found, into an order of everything else.

use crate::problem::ObjOp;
use history::ValueId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// `order` with each of `refused` (by invocation, with the value that it did not find) in the first gap that real time
/// and the held value allow; `None` if one fits nowhere. For this order of the others, the first gap is the best: it
/// leaves later ones the most room. `left` is the value that an operation leaves. O(n log n).
pub(crate) fn put_in_gaps<O>(
    ops: &[ObjOp<O>],
    order: &[u32],
    refused: &[(u32, ValueId)],
    initial: Option<ValueId>,
    left: impl Fn(u32) -> Option<ValueId>,
) -> Option<Vec<u32>> {
    let count = order.len();
    // Gap g is after g operations. What it holds, and the next gap that holds something else.
    let mut held = Vec::with_capacity(count + 1);
    held.push(initial);
    for &i in order {
        held.push(left(i).or(held[held.len() - 1]));
    }
    let mut changes = vec![count + 1; count + 1];
    for g in (0..count).rev() {
        changes[g] = if held[g] == held[g + 1] { changes[g + 1] } else { g + 1 };
    }
    // The latest invocation among the first operations, and the earliest return among the last.
    let mut invoked = Vec::with_capacity(count);
    let mut latest = 0;
    for &i in order {
        latest = latest.max(ops[i as usize].invoke);
        invoked.push(latest);
    }
    let mut returned: Vec<u32> = order.iter().map(|&i| ops[i as usize].ret).collect();
    for g in (1..count).rev() {
        returned[g - 1] = returned[g - 1].min(returned[g]);
    }
    let mut placed: Vec<(usize, u32)> = Vec::with_capacity(refused.len());
    // Those placed whose return is still to come, and the last gap of those that returned: nobody later goes before it.
    let mut open: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
    let mut floor = 0;
    for &(i, not) in refused {
        let op = &ops[i as usize];
        while let Some(&Reverse((_, gap))) = open.peek().filter(|Reverse((ret, _))| *ret < op.invoke) {
            floor = floor.max(gap);
            open.pop();
        }
        let first = returned.partition_point(|&ret| ret < op.invoke).max(floor);
        let last = invoked.partition_point(|&invoke| invoke < op.ret);
        let gap = if held[first] == Some(not) { changes[first] } else { first };
        if gap > last {
            return None;
        }
        placed.push((gap, i));
        open.push(Reverse((op.ret, gap)));
    }
    placed.sort_by_key(|&(gap, _)| gap);
    let mut all = Vec::with_capacity(count + placed.len());
    let mut placed = placed.into_iter().peekable();
    for gap in 0..=count {
        while let Some((_, i)) = placed.next_if(|&(at, _)| at == gap) {
            all.push(i);
        }
        all.extend(order.get(gap));
    }
    Some(all)
}
