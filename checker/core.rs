//! Makes a violation small: keeps as little of a history as still has no legal order, and is still a proof.
//!
//! What may be left out is for the model to say ([`Model::project`]); the search says whether what is left still has no
//! order. The work is that of delta debugging (Zeller and Hildebrandt 2002), begun with what happened shortly before the
//! fatal return, because that is usually enough.

use crate::certify::small;
use crate::model::Model;
use crate::problem::{ObjOp, Problem};
use crate::search::{recent_violation, until, violated};
use crate::sources::Sees;
use crate::verdict::{Budget, Counterexample, Property};

/// Configurations that one attempt may take.
const ATTEMPT: u64 = 50_000;

/// Makes the violation of linearizability at the return of `fatal` (an index in the problem) small.
///
/// The same core for the same problem, unless the budget is stopped. Then what was reached is returned; it is not minimal.
pub fn shrink<M: Model>(problem: &Problem<M>, fatal: u32, budget: &Budget<'_>) -> Counterexample {
    let fatal = &problem.ops[fatal as usize];
    let cut = until(problem, fatal.ret);
    let mut shrinking = Shrinking { problem: &cut, budget, sure: true };
    let mut keep = shrinking.recent();
    shrinking.in_chunks(&mut keep);
    let minimal = shrinking.one_by_one(&mut keep);
    let core = cut.ops.iter().zip(&keep).filter(|(_, kept)| **kept).map(|(op, _)| op.source).collect();
    Counterexample { core, minimal, fatal: Some(fatal.source) }
}

/// [`shrink`], begun with `start`: indices in the problem of operations that show the violation. In time that does not grow
/// with the history but for a few passes over it, where the model lets few operations speak for themselves.
///
/// `None` if the start does not show it.
pub fn shrink_from<M: Model>(
    problem: &Problem<M>,
    fatal: u32,
    start: &[u32],
    budget: &Budget<'_>,
) -> Option<Counterexample> {
    let few = universe(problem, start).and_then(|few| shrink_within(problem, few, fatal, start, budget));
    // What a model says may be left out can depend on operations that were not looked at.
    few.filter(|few| small(problem, few, Property::Linearizable).is_ok())
        .or_else(|| shrink_within(problem, problem.ops.clone(), fatal, start, budget))
}

fn shrink_within<M: Model>(
    problem: &Problem<M>,
    ops: Vec<ObjOp<M::Op>>,
    fatal: u32,
    start: &[u32],
    budget: &Budget<'_>,
) -> Option<Counterexample> {
    let fatal = &problem.ops[fatal as usize];
    let cut = until(&Problem { model: problem.model.clone(), ops }, fatal.ret);
    let mut first: Vec<u32> = start.iter().map(|&i| problem.ops[i as usize].source).collect();
    first.sort_unstable();
    let mut keep: Vec<bool> = cut.ops.iter().map(|op| first.binary_search(&op.source).is_ok()).collect();
    let mut shrinking = Shrinking { problem: &cut, budget, sure: true };
    if !shrinking.illegal(&mut keep) {
        return None;
    }
    shrinking.in_chunks(&mut keep);
    let minimal = shrinking.one_by_one(&mut keep);
    let core = cut.ops.iter().zip(&keep).filter(|(_, kept)| **kept).map(|(op, _)| op.source).collect();
    Some(Counterexample { core, minimal, fatal: Some(fatal.source) })
}

/// `start`, with everything that the model asks about when it says what may be left out: for a cell, whoever may have
/// written what `start` saw; `None` for other objects.
fn universe<M: Model>(problem: &Problem<M>, start: &[u32]) -> Option<Vec<ObjOp<M::Op>>> {
    let accesses: Vec<_> = problem.ops.iter().map(|op| problem.model.access(op.op)).collect::<Option<_>>()?;
    let seen: Vec<Sees> = start.iter().filter_map(|&i| accesses[i as usize].sees).collect();
    let told = |value| seen.iter().any(|sees| sees.satisfied_by(value));
    let mut wanted: Vec<bool> = accesses.iter().map(|access| access.leaves.is_some_and(told)).collect();
    for &i in start {
        wanted[i as usize] = true;
    }
    Some(crate::model::kept(&problem.ops, &wanted))
}

struct Shrinking<'a, M: Model> {
    problem: &'a Problem<M>,
    budget: &'a Budget<'a>,
    /// Whether every attempt since this was last set had an answer.
    sure: bool,
}

impl<M: Model> Shrinking<'_, M> {
    /// Whether what is left of `keep`, corrected by the model, still has no legal order.
    fn illegal(&mut self, keep: &mut [bool]) -> bool {
        let small = self.problem.model.project(&self.problem.ops, keep, Property::Linearizable);
        let violated = violated(&small, self.budget, ATTEMPT);
        self.sure &= violated.is_some();
        violated == Some(true)
    }

    /// The last few operations that are still a violation, or all.
    fn recent(&mut self) -> Vec<bool> {
        recent_violation(self.problem, usize::MAX, &self.budget.into()).unwrap_or_else(|| {
            let mut all = vec![true; self.problem.ops.len()];
            let _ = self.problem.model.project(&self.problem.ops, &mut all, Property::Linearizable);
            all
        })
    }

    /// Leaves out chunks, each time half as long, oldest first.
    fn in_chunks(&mut self, keep: &mut Vec<bool>) {
        let mut chunk = count(keep) / 2;
        while chunk > 1 {
            let kept: Vec<usize> = (0..keep.len()).filter(|&i| keep[i]).collect();
            for part in kept.chunks(chunk) {
                if !self.without(part, keep) && self.stopped() {
                    return;
                }
            }
            chunk = chunk.min(count(keep)) / 2;
        }
    }

    /// Leaves out single operations until none can be. Whether that was certain.
    fn one_by_one(&mut self, keep: &mut Vec<bool>) -> bool {
        loop {
            self.sure = true;
            let mut changed = false;
            for i in 0..keep.len() {
                if keep[i] {
                    changed |= self.without(&[i], keep);
                }
                if self.stopped() {
                    return false;
                }
            }
            if !changed {
                return self.sure;
            }
        }
    }

    /// Leaves out `part`, if what remains is smaller and still has no legal order.
    fn without(&mut self, part: &[usize], keep: &mut Vec<bool>) -> bool {
        let mut fewer = keep.clone();
        for &i in part {
            fewer[i] = false;
        }
        let _ = self.problem.model.project(&self.problem.ops, &mut fewer, Property::Linearizable);
        // What the model puts back is no progress; what it takes out in addition is.
        let smaller = count(&fewer) < count(keep) && fewer.iter().zip(keep.iter()).all(|(f, k)| *k || !*f);
        if smaller && self.illegal(&mut fewer) {
            *keep = fewer;
            return true;
        }
        false
    }

    fn stopped(&self) -> bool {
        self.budget.stop.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn count(keep: &[bool]) -> usize {
    keep.iter().filter(|kept| **kept).count()
}
