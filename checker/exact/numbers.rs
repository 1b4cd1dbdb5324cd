//! Small numbers for the values that one object's operations speak of.

use crate::model::Access;
use crate::problem::ObjOp;
use crate::sources::Sees;
use history::ValueId;
use rustc_hash::FxHashMap;

/// Between how many numbers for each operation a table of all numbers is still the fastest.
const SPARSE: usize = 4;

/// Numbers from 0 on.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// How many there are at most.
    pub(crate) count: usize,
    how: How,
}

#[derive(Debug)]
enum How {
    /// The interner's numbers, less this.
    From(u32),
    /// A table, where the interner's numbers are spread over the values of many objects.
    Table(FxHashMap<ValueId, u32>),
}

impl Numbers {
    /// Numbers the values of `ops`; `None` if one of them is no access to a cell. O(n).
    pub(crate) fn new<O: Copy>(ops: &[ObjOp<O>], access: impl Fn(O) -> Option<Access>) -> Option<Numbers> {
        let (mut lowest, mut highest) = (u32::MAX, 0);
        for op in ops {
            for value in mentioned(access(op.op)?) {
                lowest = lowest.min(value.0);
                highest = highest.max(value.0);
            }
        }
        let range = (highest.saturating_sub(lowest)) as usize + 1;
        if range <= SPARSE * ops.len() + 64 {
            return Some(Numbers { count: range, how: How::From(lowest) });
        }
        let mut table = FxHashMap::default();
        for op in ops {
            for value in mentioned(access(op.op)?) {
                let next = table.len() as u32;
                table.entry(value).or_insert(next);
            }
        }
        Some(Numbers { count: table.len(), how: How::Table(table) })
    }

    /// The number of a value that an operation mentions.
    #[inline]
    pub(crate) fn of(&self, value: ValueId) -> u32 {
        match &self.how {
            How::From(lowest) => value.0 - lowest,
            How::Table(table) => table[&value],
        }
    }

    /// The number of a value, if it has one. (It may have one although nobody mentions it.)
    pub(crate) fn find(&self, value: ValueId) -> Option<u32> {
        match &self.how {
            How::From(lowest) => {
                value.0.checked_sub(*lowest).filter(|&number| (number as usize) < self.count)
            }
            How::Table(table) => table.get(&value).copied(),
        }
    }
}

fn mentioned(access: Access) -> impl Iterator<Item = ValueId> {
    let seen = match access.sees {
        Some(Sees::Is(value)) => Some(value),
        Some(Sees::IsNot(_)) | None => None,
    };
    seen.into_iter().chain(access.leaves)
}
