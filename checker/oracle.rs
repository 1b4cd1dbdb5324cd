//! The judge of the judges: tries every order. Slow, short, and shares nothing with the searches.

use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::Property;
use rustc_hash::FxHashSet;

/// Whether some legal order keeps `property`, by trying them all; only what was tried before from the same state with the
/// same operations done is not tried again. Meant for at most about 14 operations: O(2ⁿ · states · n).
///
/// Every operation that returned must be in the order; one that did not may be, at any place that the property allows.
///
/// # Panics
/// With more than 128 operations.
pub fn holds<M: Model>(problem: &Problem<M>, property: Property) -> bool {
    let ops = &problem.ops;
    assert!(ops.len() <= 128, "the oracle is asked about small histories");
    let must = (0..ops.len()).filter(|&i| !ops[i].indeterminate()).fold(0, |set, i| set | 1 << i);
    let earlier = |j: usize, i: usize| match property {
        Property::Linearizable => ops[j].ret < ops[i].invoke,
        Property::Sequential => ops[j].process == ops[i].process && ops[j].invoke < ops[i].invoke,
    };
    let before =
        |i: usize| (0..ops.len()).filter(|&j| j != i && earlier(j, i)).fold(0, |set, j| set | 1 << j);
    // An operation without answer need not be there, so nobody waits for it.
    let before = (0..ops.len()).map(|i| before(i) & must).collect();
    Orders { problem, must, before, tried: FxHashSet::default() }.extend(0, &problem.model.init())
}

struct Orders<'a, M: Model> {
    problem: &'a Problem<M>,
    /// What has to be in the order.
    must: u128,
    /// Per operation, what has to come before it.
    before: Vec<u128>,
    tried: FxHashSet<(u128, M::State)>,
}

impl<M: Model> Orders<'_, M> {
    /// Whether a legal order that begins with the operations in `done` and stands in `state` can be completed.
    fn extend(&mut self, done: u128, state: &M::State) -> bool {
        if self.must & !done == 0 {
            return true;
        }
        if !self.tried.insert((done, state.clone())) {
            return false;
        }
        let problem = self.problem;
        for (i, op) in problem.ops.iter().enumerate() {
            if done >> i & 1 == 1 || self.before[i] & !done != 0 {
                continue;
            }
            let mut next = Vec::new();
            problem.model.step(state, op.op, &mut |s| next.push(s));
            if next.iter().any(|state| self.extend(done | 1 << i, state)) {
                return true;
            }
        }
        false
    }
}

/// [`holds`] for [`Property::Linearizable`].
pub fn linearizable<M: Model>(problem: &Problem<M>) -> bool {
    holds(problem, Property::Linearizable)
}

/// [`holds`] for [`Property::Sequential`].
pub fn sequential<M: Model>(problem: &Problem<M>) -> bool {
    holds(problem, Property::Sequential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ModelName;
    use crate::testing::{Letters, Rng};
    use crate::with_model;

    /// All orders, one after the other.
    fn every_order<M: Model>(
        problem: &Problem<M>,
        property: Property,
        done: &mut [bool],
        state: &M::State,
    ) -> bool {
        let ops = &problem.ops;
        if (0..ops.len()).all(|i| done[i] || ops[i].indeterminate()) {
            return true;
        }
        for i in 0..ops.len() {
            let earlier = |j: usize| match property {
                Property::Linearizable => ops[j].ret < ops[i].invoke,
                Property::Sequential => ops[j].process == ops[i].process && ops[j].invoke < ops[i].invoke,
            };
            let out_of_turn = (0..ops.len()).any(|j| !done[j] && !ops[j].indeterminate() && earlier(j));
            if done[i] || out_of_turn {
                continue;
            }
            done[i] = true;
            let mut next = Vec::new();
            problem.model.step(state, ops[i].op, &mut |s| next.push(s));
            if next.iter().any(|state| every_order(problem, property, done, state)) {
                return true;
            }
            done[i] = false;
        }
        false
    }

    #[test]
    fn remembering_what_was_tried_changes_no_answer() {
        for model in [ModelName::CasRegister, ModelName::Queue, ModelName::Lock] {
            with_model!(model, M => {
                let letters = Letters::<M>::new(model);
                let mut rng = Rng(5);
                for _ in 0..2_000 {
                    let problem = letters.random(&mut rng, 8);
                    for property in [Property::Linearizable, Property::Sequential] {
                        let mut done = vec![false; problem.ops.len()];
                        let plain = every_order(&problem, property, &mut done, &problem.model.init());
                        assert_eq!(holds(&problem, property), plain, "{property:?}: {:#?}", problem.ops);
                    }
                }
            });
        }
    }
}
