//! What a search has spent, when it must pause, and where it is.

use crate::verdict::{Budget, Reason};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a search is, for whoever waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The returns that its deepest order reached.
    pub depth: u32,
    /// The returns that there are.
    pub of: u32,
    /// Operations that are open where it looks now.
    pub open: u32,
    /// Bytes that the engine at work holds.
    pub bytes: u64,
    /// Configurations visited by this search.
    pub states: u64,
}

/// A budget, and somebody who wants to know.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// What may be spent.
    pub budget: &'a Budget<'a>,
    /// Told every few thousand configurations, from any thread.
    pub tell: Option<&'a (dyn Fn(At) + Sync)>,
}

impl fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("budget", self.budget).finish_non_exhaustive()
    }
}

impl<'a> From<&'a Budget<'a>> for Watched<'a> {
    fn from(budget: &'a Budget<'a>) -> Watched<'a> {
        Watched { budget, tell: None }
    }
}

impl Watched<'_> {
    /// Whether somebody wants it to end.
    pub(crate) fn stopped(&self) -> bool {
        self.budget.stop.load(Ordering::Relaxed)
    }
}

/// Counts configurations, and says when to pause.
pub(crate) struct Meter<'a> {
    watched: &'a Watched<'a>,
    over: &'a AtomicBool,
    bytes: usize,
    left: u64,
    counted: u64,
    ticks: u32,
    /// Why the search cannot go on, if it cannot.
    pub(crate) out_of: Option<Reason>,
}

/// So many steps pass between two looks at the budget.
const LOOK_EVERY: u32 = 1024;

impl<'a> Meter<'a> {
    /// For a turn of `left` configurations within `bytes`; also ends when `over` is set.
    pub(crate) fn new(watched: &'a Watched<'a>, over: &'a AtomicBool, bytes: usize, left: u64) -> Meter<'a> {
        Meter { watched, over, bytes, left, counted: 0, ticks: LOOK_EVERY - 1, out_of: None }
    }

    /// One more configuration.
    #[inline]
    pub(crate) fn count(&mut self) {
        self.counted += 1;
    }

    /// So many moves were made at once: where there are many, less passes until the next look.
    #[inline]
    pub(crate) fn weigh(&mut self, moves: usize) {
        self.ticks += (moves / 4) as u32;
    }

    /// Whether to pause, now that the search is there and holds so many bytes.
    #[inline]
    pub(crate) fn pause(&mut self, at: impl FnOnce() -> At) -> bool {
        self.ticks += 1;
        if self.ticks < LOOK_EVERY {
            return false;
        }
        self.ticks = 0;
        self.look(at())
    }

    #[cold]
    fn look(&mut self, at: At) -> bool {
        let states = self.flush();
        if self.watched.stopped() {
            self.out_of = Some(Reason::Stopped);
        } else if at.bytes > self.bytes as u64 {
            self.out_of = Some(Reason::Memory);
        }
        if let Some(tell) = self.watched.tell {
            tell(At { states, ..at });
        }
        self.out_of.is_some() || self.left == 0 || self.over.load(Ordering::Relaxed)
    }

    /// The configurations visited in all.
    fn flush(&mut self) -> u64 {
        self.left = self.left.saturating_sub(self.counted);
        let before = self.watched.budget.states.fetch_add(self.counted, Ordering::Relaxed);
        before + std::mem::take(&mut self.counted)
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Bytes that a vector holds, with what it takes to grow when it soon must: the old ones and twice as many new ones.
pub(crate) fn vec_bytes<T>(vec: &Vec<T>) -> usize {
    grown(vec.len(), vec.capacity(), size_of::<T>())
}

/// The same for a hash table with this many entries of this size, and a byte of its own for each place.
pub(crate) fn table_bytes(entries: usize, capacity: usize, size: usize) -> usize {
    grown(entries, capacity, (size + 1) * 8 / 7 + 1)
}

fn grown(len: usize, capacity: usize, size: usize) -> usize {
    let soon = len + 2 * LOOK_EVERY as usize > capacity;
    capacity * size * if soon { 3 } else { 1 }
}
