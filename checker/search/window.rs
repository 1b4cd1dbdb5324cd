//! Which operations are open while the search waits for a given return.

use super::bits::Bits;
use super::plan::{Kind, Plan};
use super::steps::NOWHERE;

/// The operations that are open at one layer. Moves by one layer at a time, both ways.
///
/// The open operations form a list by deadline. Moving on only ever inserts into it, and it starts at the operation that
/// the layer waits for: so the links can be made once, by deleting all operations in the reverse order of their
/// invocations, and an insertion is the exact undoing of a deletion.
pub(crate) struct Window<'p, B> {
    plan: &'p Plan,
    layer: usize,
    next: Vec<u32>,
    before: Vec<u32>,
    entered: usize,
    crash_entered: usize,
    /// Slots of open blind writes.
    pub(crate) blind: B,
    /// Slots of open operations that are neither pure nor blind.
    pub(crate) other: B,
    /// How many members of each crashed class were invoked.
    pub(crate) available: Vec<u32>,
    /// How many crashed classes have members that were invoked: the first ones.
    pub(crate) crash_open: usize,
    /// Per state: operations, not yet invoked, that are legal only there.
    pub(crate) later_before: Vec<u32>,
    /// Per state: operations that change something, not yet invoked, that lead there.
    pub(crate) later_after: Vec<u32>,
}

impl<'p, B: Bits> Window<'p, B> {
    /// The window at the first layer.
    pub(crate) fn new(plan: &'p Plan) -> Window<'p, B> {
        let n = plan.done.len();
        let end = n as u32;
        // One list of all, then deletions from the youngest to the oldest.
        let mut next: Vec<u32> = (1..=end).chain([0]).collect();
        let mut before: Vec<u32> = [end].into_iter().chain(0..end).collect();
        for &id in plan.by_invoke.iter().rev() {
            let (b, a) = (before[id as usize], next[id as usize]);
            next[b as usize] = a;
            before[a as usize] = b;
        }
        let mut window = Window {
            plan,
            layer: 0,
            next,
            before,
            entered: 0,
            crash_entered: 0,
            blind: B::new(plan.slots),
            other: B::new(plan.slots),
            available: vec![0; plan.crashed.len()],
            crash_open: 0,
            later_before: vec![0; plan.named_states],
            later_after: vec![0; plan.named_states],
        };
        for id in 0..end {
            window.count_later(id, 1);
        }
        window.enter();
        window
    }

    /// Goes to `layer`.
    pub(crate) fn go(&mut self, layer: u32) {
        while self.layer < layer as usize {
            self.forward();
        }
        while self.layer > layer as usize {
            self.back();
        }
    }

    /// The operations that are open, earliest deadline first; the first is the one that the layer waits for.
    #[inline]
    pub(crate) fn open(&self) -> Open<'_> {
        Open { next: &self.next, at: self.layer as u32 }
    }

    /// How many operations were invoked, in the order of invocations.
    pub(crate) fn entered(&self) -> usize {
        self.entered
    }

    fn forward(&mut self) {
        let returned = self.plan.done[self.layer];
        match returned.kind {
            Kind::Blind => self.blind.clear(returned.slot),
            Kind::Other => self.other.clear(returned.slot),
            Kind::Pure => {}
        }
        self.layer += 1;
        self.enter();
    }

    fn enter(&mut self) {
        let Some(deadline) = self.plan.done.get(self.layer).map(|op| op.ret) else { return };
        while let Some(&id) = self.plan.by_invoke.get(self.entered) {
            let op = self.plan.done[id as usize];
            if op.invoke > deadline {
                break;
            }
            let (b, a) = (self.before[id as usize], self.next[id as usize]);
            self.next[b as usize] = id;
            self.before[a as usize] = id;
            match op.kind {
                Kind::Blind => self.blind.set(op.slot),
                Kind::Other => self.other.set(op.slot),
                Kind::Pure => {}
            }
            self.count_later(id, u32::MAX);
            self.entered += 1;
        }
        while let Some(&(invoke, class)) = self.plan.crash_events.get(self.crash_entered) {
            if invoke > deadline {
                break;
            }
            self.available[class as usize] += 1;
            self.crash_open = self.crash_open.max(class as usize + 1);
            self.crash_entered += 1;
        }
    }

    fn back(&mut self) {
        self.layer -= 1;
        let deadline = self.plan.done[self.layer].ret;
        while self.entered > 0 {
            let id = self.plan.by_invoke[self.entered - 1];
            let op = self.plan.done[id as usize];
            if op.invoke < deadline {
                break;
            }
            let (b, a) = (self.before[id as usize], self.next[id as usize]);
            self.next[b as usize] = a;
            self.before[a as usize] = b;
            match op.kind {
                Kind::Blind => self.blind.clear(op.slot),
                Kind::Other => self.other.clear(op.slot),
                Kind::Pure => {}
            }
            self.count_later(id, 1);
            self.entered -= 1;
        }
        while self.crash_entered > 0 {
            let (invoke, class) = self.plan.crash_events[self.crash_entered - 1];
            if invoke < deadline {
                break;
            }
            self.available[class as usize] -= 1;
            if self.available[class as usize] == 0 {
                self.crash_open = class as usize;
            }
            self.crash_entered -= 1;
        }
        let waited = self.plan.done[self.layer];
        match waited.kind {
            Kind::Blind => self.blind.set(waited.slot),
            Kind::Other => self.other.set(waited.slot),
            Kind::Pure => {}
        }
    }

    /// Adds `by` (1, or `u32::MAX` for minus 1) to the counts of what is still to be invoked.
    fn count_later(&mut self, id: u32, by: u32) {
        let fact = self.plan.facts_of(id);
        if fact.before != NOWHERE {
            let count = &mut self.later_before[fact.before as usize];
            *count = count.wrapping_add(by);
        }
        if fact.after != NOWHERE && !fact.pure {
            let count = &mut self.later_after[fact.after as usize];
            *count = count.wrapping_add(by);
        }
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.next.len() * 8 + self.later_after.len() * 8 + self.available.len() * 4
    }
}

/// Iterates over the open operations.
pub(crate) struct Open<'a> {
    next: &'a [u32],
    at: u32,
}

impl Iterator for Open<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let at = self.at;
        if at as usize == self.next.len() - 1 {
            return None;
        }
        self.at = self.next[at as usize];
        Some(at)
    }
}
