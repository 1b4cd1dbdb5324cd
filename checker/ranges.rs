//! How much can have been added when somebody read a sum? What makes one read a proof about all additions.
//!
//! **Lemma.** Let H have a legal order σ. The additions that σ has before a read r include every one that certainly came
//! before it (answered, and ordered before r by the property), and none that certainly came after it. Of the others any
//! may be among them. So what they add up to lies between two sums that need no order at all:
//!
//! ```text
//!   P0  |--add 3--|                                  certainly before
//!   P1                 |------add 2------|           either
//!   P2                       |--read--|              the sum is 3 to 5
//!   P3                                     |--add 4--|     certainly after
//! ```
//! The sums are made anew by whoever verifies a core, from the history.

use crate::problem::ObjOp;
use crate::verdict::Property;
use rustc_hash::FxHashMap;
use std::ops::{AddAssign, Sub};

/// What some additions add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    all: i128,
    negative: i128,
    positive: i128,
}

impl Total {
    fn of(amount: i64) -> Total {
        let all = i128::from(amount);
        Total { all, negative: all.min(0), positive: all.max(0) }
    }
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Total) {
        self.all += other.all;
        self.negative += other.negative;
        self.positive += other.positive;
    }
}

impl Sub for Total {
    type Output = Total;

    fn sub(self, other: Total) -> Total {
        Total {
            all: self.all - other.all,
            negative: self.negative - other.negative,
            positive: self.positive - other.positive,
        }
    }
}

/// Additions by rank, each with what it and all before it add up to.
#[derive(Default)]
struct ByRank(Vec<(u32, Total)>);

impl ByRank {
    fn new(mut additions: Vec<(u32, Total)>) -> ByRank {
        additions.sort_unstable_by_key(|&(rank, _)| rank);
        let mut so_far = Total::default();
        for (_, total) in &mut additions {
            so_far += *total;
            *total = so_far;
        }
        ByRank(additions)
    }

    /// Those of smaller rank.
    fn before(&self, rank: u32) -> Total {
        let at = self.0.partition_point(|&(known, _)| known < rank);
        at.checked_sub(1).map_or(Total::default(), |last| self.0[last].1)
    }

    fn total(&self) -> Total {
        self.0.last().map_or(Total::default(), |&(_, total)| total)
    }
}

/// Additions, ready to be asked about.
pub(crate) struct Ranges {
    property: Property,
    /// Those that were answered, by return, and all, by invocation.
    answered: ByRank,
    invoked: ByRank,
    /// In program order: the same of each process, both by invocation.
    of_process: FxHashMap<u32, (ByRank, ByRank)>,
}

impl Ranges {
    /// Of the operations for which `amount` gives one. O(n log n).
    pub(crate) fn new<O: Copy>(
        ops: &[ObjOp<O>],
        property: Property,
        amount: impl Fn(usize, O) -> Option<i64>,
    ) -> Ranges {
        let (mut answered, mut invoked) = (Vec::new(), Vec::new());
        let mut of_process: FxHashMap<u32, (Vec<_>, Vec<_>)> = FxHashMap::default();
        for (i, op) in ops.iter().enumerate() {
            let Some(amount) = amount(i, op.op) else { continue };
            let total = Total::of(amount);
            invoked.push((op.invoke, total));
            let own = match property {
                Property::Linearizable => None,
                Property::Sequential => Some(of_process.entry(op.process).or_default()),
            };
            if !op.indeterminate() {
                answered.push((op.ret, total));
            }
            if let Some((own_answered, own)) = own {
                own.push((op.invoke, total));
                if !op.indeterminate() {
                    own_answered.push((op.invoke, total));
                }
            }
        }
        let ready = |(process, (answered, all))| (process, (ByRank::new(answered), ByRank::new(all)));
        Ranges {
            property,
            answered: ByRank::new(answered),
            invoked: ByRank::new(invoked),
            of_process: of_process.into_iter().map(ready).collect(),
        }
    }

    /// The least and the most that they can have added before `read`, or by it, if it is one of them. O(log n).
    pub(crate) fn before<O>(&self, read: &ObjOp<O>) -> (i128, i128) {
        let (sure, possible) = match self.property {
            Property::Linearizable => (self.answered.before(read.invoke), self.invoked.before(read.ret)),
            Property::Sequential => match self.of_process.get(&read.process) {
                None => (Total::default(), self.invoked.total()),
                Some((answered, all)) => {
                    let later = all.total() - all.before(read.invoke.saturating_add(1));
                    (answered.before(read.invoke), self.invoked.total() - later)
                }
            },
        };
        let either = possible - sure;
        (sure.all + either.negative, sure.all + either.positive)
    }
}
