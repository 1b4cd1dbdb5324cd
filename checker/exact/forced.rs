//! Operations of which each has its place in a forced order, or a range of places.
//!
//! Offsets, versions, tickets and growing ids say in which order the operations that tell them took effect. What is left
//! to ask is whether real time agrees. Number the places that the specification forces; give each operation the first
//! and the last place that it may stand at, and maybe a range between where it may not.
//!
//! ```text
//!   places   0        1         2        3         4
//!            nothing  append a  [a]      append b  [a b]        a read of [a] stands at 2, one that saw a at 2 or later
//! ```
//! **Lemma.** There is an order iff no operation has its last place before the first place that those allow which
//! returned before it was invoked. (Put each at the first place that is left to it, and sort by places, then by
//! invocations: whoever returned before stands at the same place or an earlier one.) O(n).

use crate::problem::ObjOp;

/// Where an operation may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index in the problem.
    pub(crate) op: u32,
    /// The first place.
    pub(crate) first: u32,
    /// The last place.
    pub(crate) last: u32,
    /// Places between, from and to, where it may not.
    pub(crate) not: Option<(u32, u32)>,
}

impl Place {
    /// Exactly here.
    pub(crate) fn at(op: u32, place: u32) -> Place {
        Place { op, first: place, last: place, not: None }
    }
}

/// An order of the operations in `places`, or one of them with the operation that returned before it and stands later.
/// What returned after `end` is open. O(n log n) for the sorting of what is not sorted.
pub(crate) fn in_places<O>(
    ops: &[ObjOp<O>],
    end: u32,
    places: &mut [Place],
) -> Result<Vec<u32>, (Option<u32>, u32)> {
    places.sort_unstable_by_key(|place| place.op);
    let mut returns: Vec<(u32, usize)> = places
        .iter()
        .enumerate()
        .map(|(n, place)| (ops[place.op as usize].ret, n))
        .filter(|&(ret, _)| ret <= end && ret != history::NEVER)
        .collect();
    returns.sort_unstable();
    let mut returns = returns.into_iter().peekable();
    let mut stands: Vec<u32> = Vec::with_capacity(places.len());
    let (mut floor, mut raised_by) = (0, None);
    for place in places.iter() {
        let op = &ops[place.op as usize];
        while let Some((_, earlier)) = returns.next_if(|&(ret, _)| ret < op.invoke) {
            if stands[earlier] > floor {
                (floor, raised_by) = (stands[earlier], Some(places[earlier].op));
            }
        }
        let mut stand = place.first.max(floor);
        if let Some((_, to)) = place.not.filter(|&(from, to)| from <= stand && stand <= to) {
            stand = to + 1;
        }
        if stand > place.last {
            return Err((raised_by, place.op));
        }
        stands.push(stand);
    }
    // Stable: at one place by invocation.
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&n| stands[n]);
    Ok(order.into_iter().map(|n| places[n].op).collect())
}

/// Whether `op` is known as of `end`.
pub(crate) fn known<O>(op: &ObjOp<O>, end: u32) -> bool {
    op.invoke < end
}

/// Whether `op` has returned as of `end`.
pub(crate) fn answered<O>(op: &ObjOp<O>, end: u32) -> bool {
    op.ret <= end && !op.indeterminate()
}

/// Who may fill holes in a forced order without having been told where he stands: each one at most one hole.
///
/// Whoever was invoked first fills the first hole. That is the best: a hole must be filled by somebody who was invoked
/// before everyone beyond it returned, so later holes leave more room.
pub(crate) fn fill(holes: &[i64], fillers: &[u32]) -> Option<Vec<(i64, u32)>> {
    (holes.len() <= fillers.len()).then(|| holes.iter().copied().zip(fillers.iter().copied()).collect())
}
