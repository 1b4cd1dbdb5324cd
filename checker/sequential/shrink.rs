//! Makes a refuted history small enough to be followed, and keeps it a proof.
//!
//! Operations are left out in ever smaller groups, and after each the rest is decided anew (Zeller and Hildebrandt 2002).
//! What may be left out is up to [`Model::project`]: whatever the rest of it cannot do without comes back, so that at any
//! time a legal order of the whole history would give one of the core.

use super::decide::{Answer, decide};
use crate::keyed::Keyed;
use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::{Budget, Counterexample, Property};
use std::sync::atomic::Ordering;

/// How many configurations a trial may visit before the operations that it left out stay in.
const TRIAL_CONFIGURATIONS: u64 = 20_000;

/// A small core of `problem`, which has no sequential order. `refuted` names operations (by index into `History::ops`)
/// that are believed to be enough.
pub(crate) fn shrink<M: Model>(
    problem: &Problem<Keyed<M>>,
    refuted: &[u32],
    budget: &Budget<'_>,
) -> Counterexample {
    let mut shrinking = Shrinking { problem, budget, keep: vec![true; problem.ops.len()] };
    let named = shrinking.naming(refuted);
    if shrinking.attempt(named) != Trial::Impossible {
        // The refutation leans on more than the projection can show: all there is on its objects, or simply all there is.
        let mut objects = vec![false; problem.model.objects.len()];
        for (op, _) in problem.ops.iter().zip(shrinking.naming(refuted)).filter(|(_, named)| *named) {
            objects[op.op.object as usize] = true;
        }
        shrinking.attempt(problem.ops.iter().map(|op| objects[op.op.object as usize]).collect());
    }
    if let Some(core) = shrinking.among_the_kept() {
        return core;
    }
    shrinking.leave_out()
}

/// What became of an attempt to leave something out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// The rest has no legal order either, and is kept from now on.
    Impossible,
    /// The rest has a legal order.
    Possible,
    /// The projection put it back.
    Unchanged,
    /// The budget ended first.
    Open,
}

struct Shrinking<'a, M: Model> {
    problem: &'a Problem<Keyed<M>>,
    budget: &'a Budget<'a>,
    keep: Vec<bool>,
}

impl<M: Model> Shrinking<'_, M> {
    fn naming(&self, sources: &[u32]) -> Vec<bool> {
        let mut sources = sources.to_vec();
        sources.sort_unstable();
        self.problem.ops.iter().map(|op| sources.binary_search(&op.source).is_ok()).collect()
    }

    fn kept(&self) -> Vec<usize> {
        (0..self.keep.len()).filter(|&i| self.keep[i]).collect()
    }

    /// Tries to keep only `keep`, and what it needs.
    fn attempt(&mut self, mut keep: Vec<bool>) -> Trial {
        let size = |keep: &[bool]| keep.iter().filter(|k| **k).count();
        let rest = self.problem.model.project(&self.problem.ops, &mut keep, Property::Sequential);
        if size(&keep) >= size(&self.keep) {
            return Trial::Unchanged;
        }
        match decide(&rest, TRIAL_CONFIGURATIONS, self.budget).0 {
            Answer::Nothing(core) => {
                self.keep = keep;
                if core.len() < rest.ops.len() {
                    self.attempt(self.naming(&core));
                }
                Trial::Impossible
            }
            Answer::Order(_) => Trial::Possible,
            Answer::GaveUp(..) => Trial::Open,
        }
    }

    fn without(&self, left_out: &[usize]) -> Vec<bool> {
        let mut keep = self.keep.clone();
        for &i in left_out {
            keep[i] = false;
        }
        keep
    }

    /// The same core, found without looking at what was left out already; `None` if that would matter.
    fn among_the_kept(&self) -> Option<Counterexample> {
        let mut keep = self.keep.clone();
        let rest = self.problem.model.project(&self.problem.ops, &mut keep, Property::Sequential);
        if rest.ops.len() * 2 > self.problem.ops.len() {
            return None;
        }
        let core =
            Shrinking { problem: &rest, budget: self.budget, keep: vec![true; rest.ops.len()] }.leave_out();
        // What is gone may have explained something that became explicable only now.
        let named = self.naming(&core.core);
        let mut keep = named.clone();
        let left = self.problem.model.project(&self.problem.ops, &mut keep, Property::Sequential);
        let refuted = || matches!(decide(&left, TRIAL_CONFIGURATIONS, self.budget).0, Answer::Nothing(_));
        (keep == named && refuted()).then_some(core)
    }

    /// Leaves out what can be left out.
    fn leave_out(&mut self) -> Counterexample {
        self.leave_out_objects();
        let minimal = self.leave_out_operations();
        let kept = self.problem.ops.iter().zip(&self.keep).filter(|(_, kept)| **kept);
        Counterexample { core: kept.map(|(op, _)| op.source).collect(), minimal, fatal: None }
    }

    fn leave_out_objects(&mut self) {
        let mut touched: Vec<usize> =
            self.kept().iter().map(|&i| self.problem.ops[i].op.object as usize).collect();
        touched.sort_unstable();
        touched.dedup();
        for object in touched {
            let on_it = |i: &usize| self.problem.ops[*i].op.object as usize == object;
            let group: Vec<usize> = self.kept().into_iter().filter(on_it).collect();
            if !group.is_empty() && !self.stopped() {
                self.attempt(self.without(&group));
            }
        }
    }

    /// Leaves out what can be left out. Whether it was shown that no single operation more can.
    fn leave_out_operations(&mut self) -> bool {
        let mut size = self.kept().len().div_ceil(2);
        loop {
            let mut shrunk = false;
            let mut sure = true;
            let mut groups: Vec<Vec<usize>> = self.kept().chunks(size).map(<[usize]>::to_vec).collect();
            while let Some(mut group) = groups.pop() {
                if self.stopped() {
                    return false;
                }
                group.retain(|&i| self.keep[i]);
                if group.is_empty() {
                    continue;
                }
                match self.attempt(self.without(&group)) {
                    Trial::Impossible => shrunk = true,
                    Trial::Possible | Trial::Unchanged => {}
                    Trial::Open => sure = false,
                }
            }
            if size == 1 && !shrunk {
                return sure;
            }
            size = size.div_ceil(2);
        }
    }

    fn stopped(&self) -> bool {
        self.budget.stop.load(Ordering::Relaxed)
    }
}
