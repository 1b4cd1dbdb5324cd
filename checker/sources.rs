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
use rustc_hash::FxHashMap;

/// What an observer tells about the value that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// It was this.
    Is(ValueId),
    /// It was not this.
    IsNot(ValueId),
}

impl Sees {
    /// Whether `value` is such a value.
    pub(crate) fn satisfied_by(self, value: ValueId) -> bool {
        match self {
            Sees::Is(v) => v == value,
            Sees::IsNot(v) => v != value,
        }
    }
}

/// Clears `keep` for pure operations that have lost a possible source, and says which kept operations have all of
/// theirs. O(n log n), and for each observer the lost writes that could be its source.
pub(crate) fn close<O: Copy>(
    ops: &[ObjOp<O>],
    keep: &mut [bool],
    property: Property,
    pure: impl Fn(O) -> bool,
    sees: impl Fn(O) -> Option<Sees>,
    leaves: impl Fn(O) -> Option<ValueId>,
) -> Vec<bool> {
    // What is cleared here are pure operations, which are nobody's source: one pass is enough.
    let writes = |kept: bool| {
        let wanted: Vec<usize> = (0..ops.len()).filter(|&i| keep[i] == kept).collect();
        wanted.into_iter().filter_map(|i| leaves(ops[i].op).map(|value| (i, value)))
    };
    let screens = Screens::new(ops, writes(true).map(|(i, _)| i), property);
    // The latest first: what is older than a screen need not be looked at.
    let mut lost: Vec<(usize, ValueId)> = writes(false).collect();
    lost.sort_by_key(|&(i, _)| std::cmp::Reverse((ops[i].ret, ops[i].invoke)));
    let mut lost_by_value: FxHashMap<ValueId, Vec<(usize, ValueId)>> = FxHashMap::default();
    for &(i, value) in &lost {
        lost_by_value.entry(value).or_default().push((i, value));
    }
    let mut explained = vec![true; ops.len()];
    for i in 0..ops.len() {
        let Some(seen) = sees(ops[i].op).filter(|_| keep[i]) else { continue };
        let possible = match seen {
            Sees::Is(value) => lost_by_value.get(&value).map_or(&[][..], |lost| lost),
            Sees::IsNot(_) => &lost,
        };
        let screen = screens.before(&ops[i]);
        let old = |p: &ObjOp<O>| match property {
            Property::Linearizable => screen.is_some_and(|w| p.ret < w),
            Property::Sequential => p.process == ops[i].process && screen.is_some_and(|w| p.invoke < w),
        };
        let later = |p: &ObjOp<O>| match property {
            Property::Linearizable => p.invoke > ops[i].ret,
            Property::Sequential => p.process == ops[i].process && p.invoke > ops[i].invoke,
        };
        let lost = possible
            .iter()
            .take_while(|(p, _)| property == Property::Sequential || !old(&ops[*p]))
            .any(|&(p, value)| seen.satisfied_by(value) && !later(&ops[p]) && !old(&ops[p]));
        if lost {
            explained[i] = false;
            keep[i] &= !pure(ops[i].op);
        }
    }
    explained
}

/// For each operation, the latest kept write that certainly came before it.
struct Screens {
    /// Real time: return and latest invocation so far, by return.
    by_return: Vec<(u32, u32)>,
    /// Program order: invocations of each process.
    by_process: FxHashMap<u32, Vec<u32>>,
    property: Property,
}

impl Screens {
    fn new<O>(ops: &[ObjOp<O>], kept_writes: impl Iterator<Item = usize>, property: Property) -> Screens {
        let mut screens = Screens { by_return: Vec::new(), by_process: FxHashMap::default(), property };
        for w in kept_writes.map(|i| &ops[i]).filter(|w| !w.indeterminate()) {
            match property {
                Property::Linearizable => screens.by_return.push((w.ret, w.invoke)),
                Property::Sequential => screens.by_process.entry(w.process).or_default().push(w.invoke),
            }
        }
        screens.by_return.sort_unstable();
        let mut latest = 0;
        for (_, invoke) in &mut screens.by_return {
            latest = latest.max(*invoke);
            *invoke = latest;
        }
        for invokes in screens.by_process.values_mut() {
            invokes.sort_unstable();
        }
        screens
    }

    /// The invocation of the write that screens `r` off from what was before it.
    fn before<O>(&self, r: &ObjOp<O>) -> Option<u32> {
        match self.property {
            Property::Linearizable => {
                let before = self.by_return.partition_point(|&(ret, _)| ret < r.invoke);
                before.checked_sub(1).map(|last| self.by_return[last].1)
            }
            Property::Sequential => {
                let invokes = self.by_process.get(&r.process)?;
                let before = invokes.partition_point(|&invoke| invoke < r.invoke);
                before.checked_sub(1).map(|last| invokes[last])
            }
        }
    }
}
