//! What a search has spent, and when it must pause.

use crate::verdict::{Budget, Reason};
use std::sync::atomic::{AtomicBool, Ordering};

/// Counts configurations, and says when to pause.
pub(crate) struct Meter<'a> {
    budget: &'a Budget<'a>,
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
    pub(crate) fn new(budget: &'a Budget<'a>, over: &'a AtomicBool, bytes: usize, left: u64) -> Meter<'a> {
        Meter { budget, over, bytes, left, counted: 0, ticks: LOOK_EVERY - 1, out_of: None }
    }

    /// One more configuration.
    #[inline]
    pub(crate) fn count(&mut self) {
        self.counted += 1;
    }

    /// Whether to pause, now that the search uses so many bytes.
    #[inline]
    pub(crate) fn pause(&mut self, bytes: impl FnOnce() -> usize) -> bool {
        self.ticks += 1;
        if self.ticks < LOOK_EVERY {
            return false;
        }
        self.ticks = 0;
        self.flush();
        if self.budget.stop.load(Ordering::Relaxed) {
            self.out_of = Some(Reason::Stopped);
        } else if bytes() > self.bytes {
            self.out_of = Some(Reason::Memory);
        }
        self.out_of.is_some() || self.left == 0 || self.over.load(Ordering::Relaxed)
    }

    fn flush(&mut self) {
        self.left = self.left.saturating_sub(self.counted);
        self.budget.states.fetch_add(self.counted, Ordering::Relaxed);
        self.counted = 0;
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
