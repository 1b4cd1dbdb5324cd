//! The judge of the judges: tries every order. Slow, short, and shares nothing with the searches.

use crate::model::Model;
use crate::problem::Problem;
use crate::verdict::Property;

/// Whether some legal order keeps `property`, by trying them all. Meant for at most about 12 operations: O(n!).
///
/// Every operation that returned must be in the order; one that did not may be, at any place that the property allows.
pub fn holds<M: Model>(problem: &Problem<M>, property: Property) -> bool {
    extend(problem, property, &mut vec![false; problem.ops.len()], &problem.model.init())
}

/// Whether a legal order that begins with the operations in `done` and stands in `state` can be completed.
fn extend<M: Model>(
    problem: &Problem<M>,
    property: Property,
    done: &mut Vec<bool>,
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
        if next.iter().any(|state| extend(problem, property, done, state)) {
            return true;
        }
        done[i] = false;
    }
    false
}

/// [`holds`] for [`Property::Linearizable`].
pub fn linearizable<M: Model>(problem: &Problem<M>) -> bool {
    holds(problem, Property::Linearizable)
}

/// [`holds`] for [`Property::Sequential`].
pub fn sequential<M: Model>(problem: &Problem<M>) -> bool {
    holds(problem, Property::Sequential)
}
