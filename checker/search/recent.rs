//! A violation among the last few operations: found fast, where the whole history is hard.

use super::meter::Watched;
use super::race::{Raced, race};
use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::Property;
use history::NEVER;

/// Configurations that one attempt may take.
const ATTEMPT: u64 = 20_000;

/// The last few operations, at most about `most` of those that returned, if they are a violation by themselves: what the
/// model lets them say without the others ([`Model::project`]) has no legal order. One entry per operation.
///
/// Operations without an answer are all looked at, however old. O(log `most`) searches.
pub(crate) fn recent_violation<M: Model>(
    problem: &Problem<M>,
    most: usize,
    watched: &Watched<'_>,
) -> Option<Vec<bool>> {
    let mut returns: Vec<u32> =
        problem.ops.iter().filter(|op| !op.indeterminate()).map(|op| op.ret).collect();
    let most = most.min(returns.len());
    let mut last = 8;
    loop {
        if watched.stopped() {
            return None;
        }
        let oldest = match returns.len() - last.min(most) {
            all if all == returns.len() => NEVER,
            earlier => *returns.select_nth_unstable(earlier).1,
        };
        let mut keep: Vec<bool> = problem.ops.iter().map(|op| op.ret >= oldest).collect();
        let small = problem.model.project(&problem.ops, &mut keep, Property::Linearizable);
        match race(&small, watched, ATTEMPT, false) {
            Raced::Fatal(_) | Raced::None(_) => return Some(keep),
            Raced::Order(_) | Raced::GaveUp(..) => {}
        }
        if last >= most {
            return None;
        }
        last *= 2;
    }
}
