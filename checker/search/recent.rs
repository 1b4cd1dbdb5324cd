//! A violation among the last few operations: found fast, where the whole history is hard.

use super::race::{Raced, race};
use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::{Budget, Property};

/// Configurations that one attempt may take.
const ATTEMPT: u64 = 20_000;

/// The last few operations, at most about `most` of those that returned, if they are a violation by themselves: what the
/// model lets them say without the others ([`Model::project`]) has no legal order. One entry per operation.
///
/// Operations without an answer are all looked at, however old. O(log `most`) searches.
pub(crate) fn recent_violation<M: Model>(
    problem: &Problem<M>,
    most: usize,
    budget: &Budget<'_>,
) -> Option<Vec<bool>> {
    let mut latest_first: Vec<usize> = (0..problem.ops.len()).collect();
    latest_first.sort_by_key(|&i| std::cmp::Reverse(problem.ops[i].ret));
    let open = latest_first.iter().take_while(|&&i| problem.ops[i].indeterminate()).count();
    let most = most.min(problem.ops.len() - open);
    let mut last = 8;
    loop {
        let mut keep = vec![false; problem.ops.len()];
        for &i in latest_first.iter().take(open + last.min(most)) {
            keep[i] = true;
        }
        let small = problem.model.project(&problem.ops, &mut keep, Property::Linearizable);
        match race(&small, budget, ATTEMPT, false) {
            Raced::Fatal(_) | Raced::None(_) => return Some(keep),
            Raced::Order(_) | Raced::GaveUp(_) => {}
        }
        if last >= most {
            return None;
        }
        last *= 2;
    }
}
