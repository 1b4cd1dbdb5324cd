//! Which writes could a read have seen? What makes a small core of register operations a proof.
//!
//! **Lemma.** Let H have a legal order σ. Keep a subset C of H such that each kept observer keeps every operation that
//! may be its *source*: the last write before it, in some order that the property allows, with a value that satisfies
//! it. Then σ restricted to C is legal: the last write before a kept observer in σ is one of its possible sources,
//! hence kept, and no write has come between them.
//!
//! A write p is no possible source of r under real time if it was invoked after r returned, or if a completed write w
//! lies between them: p returned before w was invoked, and w returned before r was invoked. Such a w is demanded to be
//! kept as well, so that the core shows why p is missing. In program order the same holds within one process.
//!
//! ```text
//!   P0 |--write 1--|
//!   P1               |--write 2--|                      write 2 lies between: with it, write 1 may be left out,
//!   P2                             |--read → 1--|       and the read cannot be explained
//! ```

use crate::problem::ObjOp;
use crate::verdict::Property;
use history::ValueId;

/// What an observer tells about the value that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// It was this.
    Is(ValueId),
    /// It was not this.
    IsNot(ValueId),
}

impl Sees {
    fn satisfied_by(self, value: ValueId) -> bool {
        match self {
            Sees::Is(v) => v == value,
            Sees::IsNot(v) => v != value,
        }
    }
}

/// Clears `keep` for pure operations that have lost a possible source, and says which kept operations have all of
/// theirs. O(observers × operations).
pub(crate) fn close<O: Copy>(
    ops: &[ObjOp<O>],
    keep: &mut [bool],
    property: Property,
    pure: impl Fn(O) -> bool,
    sees: impl Fn(O) -> Option<Sees>,
    leaves: impl Fn(O) -> Option<ValueId>,
) -> Vec<bool> {
    // Observers never are sources of others unless they are kept as writes anyway: one pass is enough.
    let kept_writes: Vec<usize> =
        (0..ops.len()).filter(|&i| keep[i] && leaves(ops[i].op).is_some()).collect();
    let lost_writes: Vec<usize> =
        (0..ops.len()).filter(|&i| !keep[i] && leaves(ops[i].op).is_some()).collect();
    let mut explained = vec![true; ops.len()];
    for i in (0..ops.len()).filter(|&i| keep[i]).collect::<Vec<_>>() {
        let Some(seen) = sees(ops[i].op) else { continue };
        let lost = lost_writes.iter().any(|&p| {
            leaves(ops[p].op).is_some_and(|value| seen.satisfied_by(value))
                && may_precede(&ops[p], &ops[i], property)
                && !kept_writes.iter().any(|&w| w != i && between(&ops[p], &ops[w], &ops[i], property))
        });
        if lost {
            explained[i] = false;
            if pure(ops[i].op) {
                keep[i] = false;
            }
        }
    }
    explained
}

fn may_precede<O>(p: &ObjOp<O>, r: &ObjOp<O>, property: Property) -> bool {
    match property {
        Property::Linearizable => p.invoke < r.ret,
        Property::Sequential => p.process != r.process || p.invoke < r.invoke,
    }
}

fn between<O>(p: &ObjOp<O>, w: &ObjOp<O>, r: &ObjOp<O>, property: Property) -> bool {
    !w.indeterminate()
        && match property {
            Property::Linearizable => p.ret < w.invoke && w.ret < r.invoke,
            Property::Sequential => {
                p.process == w.process && w.process == r.process && p.invoke < w.invoke && w.invoke < r.invoke
            }
        }
}
