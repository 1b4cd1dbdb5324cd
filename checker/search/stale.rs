//! A read of what was certainly overwritten: seen in one pass, where the search that it hides from is long.

use crate::model::Model;
use crate::problem::Problem;
use crate::sources::Sees;
use history::{NEVER, ValueId};
use rustc_hash::FxHashMap;

/// The first operation, by its return, that saw a value in a cell which no operation can have left there; `None` if there
/// is none, or if this is no cell.
///
/// ```text
///   [ write 1 ]                                  returned before 2 was invoked, like all who left 1 or may have
///                [ write 2 ]                     returned before the read was invoked
///                              [ read → 1 ]
/// ```
/// Whatever order there is, whoever left 1 comes before `write 2`, and that before the read. An operation without an
/// answer may take effect at any later time, so that it is never overwritten for certain. O(operations).
pub fn stale_read<M: Model>(problem: &Problem<M>) -> Option<u32> {
    let mut events: Vec<(u32, u32)> = Vec::with_capacity(2 * problem.ops.len());
    for (op, i) in problem.ops.iter().zip(0u32..) {
        problem.model.access(op.op)?;
        events.push((op.invoke, i));
        if !op.indeterminate() {
            events.push((op.ret, i));
        }
    }
    events.sort_unstable();
    // When the last of those returns who have left a value by now, or may have.
    let mut last_return: FxHashMap<ValueId, u32> = FxHashMap::default();
    last_return.insert(problem.model.initial_value()?, 0);
    // When the latest of those was invoked who left something and have returned.
    let mut overwritten = 0;
    // The same when each operation was invoked: what was left before that is gone for it.
    let mut gone = vec![0; problem.ops.len()];
    for (rank, i) in events {
        let op = &problem.ops[i as usize];
        let access = problem.model.access(op.op)?;
        if rank == op.invoke {
            gone[i as usize] = overwritten;
            if let Some(left) = access.leaves {
                let returns = if op.indeterminate() { NEVER } else { op.ret };
                let last = last_return.entry(left).or_default();
                *last = (*last).max(returns);
            }
            continue;
        }
        if let Some(Sees::Is(seen)) = access.sees {
            if last_return.get(&seen).is_none_or(|&last| last < gone[i as usize]) {
                return Some(i);
            }
        }
        if access.leaves.is_some() {
            overwritten = overwritten.max(op.invoke);
        }
    }
    None
}
