//! The elements of a queue: when each certainly was in it, and in which order they can have come and gone.
//!
//! Times are twice the ranks, so that between any two events there is room for an instant.

use super::clusters::NONE;
use crate::problem::ObjOp;
use crate::queue::QueueOp;
use history::ValueId;
use rustc_hash::FxHashMap;

/// When an element is gone that need not be gone before the end.
const GONE: u64 = u64::MAX - 2;

/// When an element is gone that stays: after all others.
const STAYS: u64 = u64::MAX - 1;

/// Nothing is later.
const END: u64 = u64::MAX;

/// The elements of a whole history, numbered.
#[derive(Debug)]
pub(crate) struct Elements {
    /// Per operation, which it names.
    of_op: Vec<u32>,
    count: usize,
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    enqueue: u32,
    /// Who took it, or may have; [`NONE`] if it stays.
    dequeue: u32,
    e_inv: u64,
    /// It was certainly enqueued by then.
    e_res: u64,
    d_inv: u64,
    d_res: u64,
    /// Somebody else would have taken it, too, if he had returned.
    contested: bool,
}

/// The elements as they were known at some rank.
#[derive(Debug)]
pub(crate) struct Found {
    all: Vec<Element>,
    /// Per element that nobody took for certain, a dequeue that will say that it took it, if it returns.
    open: Vec<(u32, u32)>,
    /// Dequeues that nobody heard of, by invocation.
    pub(crate) unheard: Vec<u32>,
    /// Those that found nothing, with the instant when there was nothing.
    empty: Vec<(u32, u64)>,
}

impl Elements {
    /// Numbers the elements; `None` if one is enqueued twice. O(n).
    pub(crate) fn new(ops: &[ObjOp<QueueOp>]) -> Option<Elements> {
        let mut numbers: FxHashMap<ValueId, (u32, bool)> = FxHashMap::default();
        let mut of_op = vec![NONE; ops.len()];
        for (i, op) in ops.iter().enumerate() {
            let (value, comes) = match op.op {
                QueueOp::Enqueue(v) => (v, true),
                QueueOp::Dequeue(v) => (v, false),
                QueueOp::Empty | QueueOp::DequeueUnheard => continue,
            };
            let next = numbers.len() as u32;
            let (number, came) = numbers.entry(value).or_insert((next, false));
            if comes && std::mem::replace(came, true) {
                return None;
            }
            of_op[i] = *number;
        }
        Some(Elements { of_op, count: numbers.len() })
    }

    /// What is known at `end`, or operations that cannot be: an element that goes twice, or before it comes. O(n).
    pub(crate) fn as_of(&self, ops: &[ObjOp<QueueOp>], end: u32) -> Result<Found, Vec<u32>> {
        let none = Element {
            enqueue: NONE,
            dequeue: NONE,
            e_inv: 0,
            e_res: END,
            d_inv: STAYS,
            d_res: END,
            contested: false,
        };
        let mut all = vec![none; self.count];
        let mut open = vec![NONE; self.count];
        let mut found = Found { all: Vec::new(), open: Vec::new(), unheard: Vec::new(), empty: Vec::new() };
        for (i, op) in ops.iter().enumerate() {
            let number = i as u32;
            let answered = op.ret <= end && !op.indeterminate();
            let (invoke, ret) = (2 * u64::from(op.invoke), 2 * u64::from(op.ret));
            match op.op {
                QueueOp::Enqueue(_) => {
                    let element = &mut all[self.of_op[i] as usize];
                    (element.enqueue, element.e_inv) = (number, invoke);
                    element.e_res = if answered { ret } else { END };
                }
                QueueOp::Dequeue(_) if answered => {
                    let element = &mut all[self.of_op[i] as usize];
                    if element.dequeue != NONE {
                        let core = [element.enqueue, element.dequeue, number];
                        return Err(core.into_iter().filter(|&i| i != NONE).collect());
                    }
                    (element.dequeue, element.d_inv, element.d_res) = (number, invoke, ret);
                }
                QueueOp::Dequeue(_) => {
                    let first = &mut open[self.of_op[i] as usize];
                    *first = (*first).min(number);
                }
                QueueOp::Empty if answered => found.empty.push((number, 0)),
                QueueOp::Empty => {}
                QueueOp::DequeueUnheard => found.unheard.push(number),
            }
        }
        for (element, open) in all.iter_mut().zip(open) {
            if element.dequeue != NONE {
                if element.enqueue == NONE || element.d_res < element.e_inv {
                    return Err(vec![element.dequeue]);
                }
                element.e_res = element.e_res.min(element.d_res);
                element.d_inv = element.d_inv.max(element.e_inv);
                element.contested = open != NONE;
            } else if element.e_res == END {
                // It need not have come.
                continue;
            } else if open != NONE {
                found.open.push((found.all.len() as u32, open));
            }
            found.all.push(*element);
        }
        Ok(found)
    }
}

impl Found {
    /// Gives a dequeue to each element that nobody took for certain, but which must be gone, or may as well be. O(n log n).
    ///
    /// # Errors
    /// Operations that show that there are too few such dequeues.
    pub(crate) fn go_where_they_must(&mut self, ops: &[ObjOp<QueueOp>]) -> Result<(), Vec<u32>> {
        // By when they came, who went; from the back, who of them went first.
        let mut went: Vec<u32> =
            (0..self.all.len() as u32).filter(|&e| self.all[e as usize].dequeue != NONE).collect();
        went.sort_unstable_by_key(|&e| self.all[e as usize].e_inv);
        let came: Vec<u64> = went.iter().map(|&e| self.all[e as usize].e_inv).collect();
        for at in (1..went.len()).rev() {
            let (this, next) = (went[at - 1], went[at]);
            if self.all[next as usize].d_res < self.all[this as usize].d_res {
                went[at - 1] = next;
            }
        }
        // Those that had to be gone, with the one that went before that could be.
        let mut must: Vec<(u64, u32, u32)> = Vec::new();
        for (e, element) in self.all.iter().enumerate().filter(|(_, element)| element.dequeue == NONE) {
            if let Some(&b) = went.get(came.partition_point(|&came| came <= element.e_res)) {
                must.push((self.all[b as usize].d_res, e as u32, b));
            }
        }
        must.sort_unstable();
        let time = |i: u32| 2 * u64::from(ops[i as usize].invoke);
        let own: FxHashMap<u32, u32> = self.open.iter().copied().collect();
        let mut unheard = self.unheard.clone().into_iter();
        let mut core = Vec::new();
        for (by, e, b) in must {
            let dequeue = match own.get(&e) {
                Some(&own) if time(own) < by => Some(own),
                Some(_) | None => {
                    core.extend([e, b]);
                    unheard.next().filter(|&u| time(u) < by)
                }
            };
            let Some(dequeue) = dequeue else {
                let taken = core.iter().filter_map(|&e| self.taker(e));
                let came = core.iter().flat_map(|&e| self.witnesses(ops, e));
                let mut core: Vec<u32> = taken.chain(came).collect();
                core.extend(&self.unheard);
                return Err(core);
            };
            self.take(e, dequeue, time(dequeue));
        }
        // The others may go, unless one that stays was certainly before them.
        let stays = |element: &&Element| element.dequeue == NONE;
        let free = |e: u32, all: &[Element]| all[e as usize].dequeue == NONE;
        let open = std::mem::take(&mut self.open);
        let mut may = vec![false; self.all.len()];
        open.iter().for_each(|&(e, _)| may[e as usize] = true);
        let first = self.all.iter().zip(may).filter(|(_, may)| !may).map(|(element, _)| element);
        let first = first.filter(stays).map(|element| element.e_res).min().unwrap_or(END);
        for (e, dequeue) in open {
            if free(e, &self.all) && self.all[e as usize].e_inv < first {
                self.take(e, dequeue, time(dequeue));
            }
        }
        Ok(())
    }

    fn take(&mut self, e: u32, dequeue: u32, invoke: u64) {
        let element = &mut self.all[e as usize];
        element.dequeue = dequeue;
        (element.d_inv, element.d_res) = (invoke.max(element.e_inv), GONE);
    }

    /// Finds an instant when nothing is in the queue for each dequeue that found nothing, and lets each element be before or
    /// after each such instant. O(n log n).
    ///
    /// # Errors
    /// Operations that show that there is none.
    pub(crate) fn find_instants(&mut self, ops: &[ObjOp<QueueOp>]) -> Result<(), Vec<u32>> {
        if self.empty.is_empty() {
            return Ok(());
        }
        let mut held: Vec<(u64, u64, u32)> = self
            .all
            .iter()
            .zip(0..)
            .filter(|(element, _)| element.e_res < element.d_inv)
            .map(|(element, e)| (element.e_res, element.d_inv, e))
            .collect();
        held.sort_unstable();
        // Where one follows another without an instant between, they are one stretch.
        let mut stretches: Vec<(u64, u64)> = Vec::new();
        for &(from, to, _) in &held {
            match stretches.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                Some(_) | None => stretches.push((from, to)),
            }
        }
        for (i, instant) in &mut self.empty {
            let op = &ops[*i as usize];
            *instant = 2 * u64::from(op.invoke) + 1;
            let after = stretches.partition_point(|&(from, _)| from < *instant);
            if let Some(&(_, to)) = after.checked_sub(1).map(|at| &stretches[at]).filter(|s| *instant < s.1) {
                *instant = to.saturating_add(1);
            }
            let until = 2 * u64::from(op.ret);
            if *instant > until {
                let i = *i;
                return Err(self.covered(ops, &held, i));
            }
        }
        self.empty.sort_unstable_by_key(|&(i, instant)| (instant, i));
        let mut instants: Vec<u64> = self.empty.iter().map(|&(_, instant)| instant).collect();
        instants.dedup();
        for element in &mut self.all {
            let passed = instants.partition_point(|&instant| instant < element.d_inv);
            if let Some(last) = passed.checked_sub(1) {
                element.e_inv = element.e_inv.max(instants[last]);
            }
            if let Some(&next) = instants.get(passed) {
                element.e_res = element.e_res.min(next);
                element.d_res = element.d_res.min(next);
            }
        }
        Ok(())
    }

    /// The dequeue that found nothing, and elements that were there all the while.
    fn covered(&self, ops: &[ObjOp<QueueOp>], held: &[(u64, u64, u32)], i: u32) -> Vec<u32> {
        let mut core = vec![i];
        let op = &ops[i as usize];
        let (mut now, mut at) = (2 * u64::from(op.invoke) + 1, 0);
        let mut longest: Option<(u64, u32)> = None;
        while now < 2 * u64::from(op.ret) {
            while let Some(&(_, to, e)) = held.get(at).filter(|(from, ..)| *from < now) {
                // Of those that stay, the first: behind it the others must stay, too.
                if longest.is_none_or(|(latest, _)| latest < to) {
                    longest = Some((to, e));
                }
                at += 1;
            }
            let Some((to, e)) = longest.filter(|&(to, _)| to > now) else { break };
            core.extend(self.witnesses(ops, e));
            now = to.saturating_add(1);
        }
        core
    }

    /// The elements in an order that both ends allow, or two that must each be before the other: the first by their
    /// enqueues, the second by their dequeues. O(n log n).
    ///
    /// # Errors
    /// Those two.
    pub(crate) fn order(&self) -> Result<Vec<u32>, Option<[u32; 2]>> {
        let sorted = |key: fn(&Element) -> u64| {
            let mut sorted: Vec<u32> = (0..self.all.len() as u32).collect();
            sorted.sort_by_key(|&e| key(&self.all[e as usize]));
            sorted
        };
        let mut ends = [
            End::new(sorted(|e| e.e_inv), sorted(|e| e.e_res)),
            End::new(sorted(|e| e.d_inv), sorted(|e| e.d_res)),
        ];
        let mut gone = vec![false; self.all.len()];
        // At how many ends nobody must come before it.
        let mut free = vec![0u8; self.all.len()];
        let mut ready = Vec::new();
        let mut order = Vec::with_capacity(self.all.len());
        loop {
            ends[0].release(&self.all, |e| (e.e_inv, e.e_res), &gone, &mut free, &mut ready);
            ends[1].release(&self.all, |e| (e.d_inv, e.d_res), &gone, &mut free, &mut ready);
            let Some(e) = ready.pop() else { break };
            gone[e as usize] = true;
            order.push(e);
        }
        if order.len() == self.all.len() { Ok(order) } else { Err(self.both_before()) }
    }

    fn both_before(&self) -> Option<[u32; 2]> {
        let mut by_e_inv: Vec<u32> = (0..self.all.len() as u32).collect();
        by_e_inv.sort_unstable_by_key(|&e| self.all[e as usize].e_inv);
        let mut by_e_res: Vec<u32> = (0..self.all.len() as u32).collect();
        by_e_res.sort_unstable_by_key(|&e| self.all[e as usize].e_res);
        let mut before = by_e_res.into_iter().peekable();
        let mut latest: Option<u32> = None;
        for b in by_e_inv {
            let element = &self.all[b as usize];
            while let Some(a) = before.next_if(|&a| self.all[a as usize].e_res < element.e_inv) {
                if latest.is_none_or(|l| self.all[l as usize].d_inv < self.all[a as usize].d_inv) {
                    latest = Some(a);
                }
            }
            if let Some(a) = latest.filter(|&a| element.d_res < self.all[a as usize].d_inv) {
                return Some([a, b]);
            }
        }
        None
    }

    /// What shows that an element came, and by when, and that nobody took it before.
    pub(crate) fn witnesses(&self, ops: &[ObjOp<QueueOp>], e: u32) -> Vec<u32> {
        let element = &self.all[e as usize];
        let by_enqueue = 2 * u64::from(ops[element.enqueue as usize].ret) == element.e_res;
        let by_dequeue = element.dequeue != NONE && (element.contested || !by_enqueue);
        [Some(element.enqueue), Some(element.dequeue).filter(|_| by_dequeue)].into_iter().flatten().collect()
    }

    /// Who took an element.
    pub(crate) fn taker(&self, e: u32) -> Option<u32> {
        Some(self.all[e as usize].dequeue).filter(|&d| d != NONE)
    }

    /// All operations in the order that the elements have, each as early as can be. O(n log n).
    pub(crate) fn lay_out(&self, order: &[u32]) -> Vec<u32> {
        let mut placed: Vec<(u64, u8, u32)> = Vec::with_capacity(2 * order.len() + self.empty.len());
        // At one instant first who finds nothing, then who enqueues, then who dequeues.
        placed.extend(self.empty.iter().map(|&(i, instant)| (instant, 0, i)));
        let (mut came, mut went) = (0, 0);
        for &e in order {
            let element = &self.all[e as usize];
            came = element.e_inv.max(came);
            placed.push((came, 1, element.enqueue));
        }
        came = 0;
        for &e in order {
            let element = &self.all[e as usize];
            came = element.e_inv.max(came);
            if element.dequeue != NONE {
                went = element.d_inv.max(came).max(went);
                placed.push((went, 2, element.dequeue));
            }
        }
        placed.sort_by_key(|&(at, kind, _)| (at, kind));
        placed.into_iter().map(|(_, _, i)| i).collect()
    }
}

/// One end of a queue: elements by when they began to come or go, and by when they were done.
struct End {
    by_start: Vec<u32>,
    by_done: Vec<u32>,
    started: usize,
    done: usize,
}

impl End {
    fn new(by_start: Vec<u32>, by_done: Vec<u32>) -> End {
        End { by_start, by_done, started: 0, done: 0 }
    }

    /// Counts this end for every element that began before any that is left was done.
    fn release(
        &mut self,
        all: &[Element],
        span: impl Fn(&Element) -> (u64, u64),
        gone: &[bool],
        free: &mut [u8],
        ready: &mut Vec<u32>,
    ) {
        while self.by_done.get(self.done).is_some_and(|&e| gone[e as usize]) {
            self.done += 1;
        }
        let first = self.by_done.get(self.done).map_or(END, |&e| span(&all[e as usize]).1);
        while let Some(&e) = self.by_start.get(self.started).filter(|&&e| span(&all[e as usize]).0 < first) {
            free[e as usize] += 1;
            if free[e as usize] == 2 {
                ready.push(e);
            }
            self.started += 1;
        }
    }
}
