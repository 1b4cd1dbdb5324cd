//! The frontier machine: sequential consistency of cells whose reads name their writes.
//!
//! How far each process has come says which operations happened, and that is all there is to say about the future: a
//! cell's value matters only while somebody has yet to read it, and then it is the one written value with readers
//! outstanding. So most moves are forced: reads, writes that nobody reads, and a cas that all other readers of its value
//! are done with. Only a write with readers is a choice, as it locks its cell until they are done.
//!
//! Where nobody can go on, processes wait for each other in a circle, and some of them only because one write was taken
//! before another. Not all of these pairs can be in this order: that is learned, the latest of the writes is taken back,
//! and the machine never gets into that corner again (as in clause learning: Marques-Silva and Sakallah 1999). Where the
//! circle blames nothing that was chosen, there is no order at all.

use super::cells::{Cells, From};
use super::conflicts::{Conflict, Conflicts};
use super::lists::Lists;
use super::stuck::Deepest;
use crate::verdict::{Budget, Reason};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

/// What the machine found. Operations are numbers in the chains.
#[derive(Debug)]
pub(crate) enum Built {
    /// A legal order.
    Order(Vec<u32>),
    /// There is none, and what refutes it.
    Nothing(Refutation),
    /// The budget ended first; the deepest order.
    GaveUp(Reason, Vec<u32>),
}

/// What already has no legal order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refutation {
    /// These operations …
    pub ops: Vec<u32>,
    /// … given these of the pairs that every legal order is known to keep (indices).
    pub earlier: Vec<u32>,
}

/// Searches for a legal order of exact `cells` whose operations also keep the order of `earlier` (pairs that every
/// legal order keeps). Gives up with [`Reason::Stopped`] after `most` choices. What it learns is left in `conflicts`,
/// which is for these cells alone.
pub(crate) fn construct<O: Copy>(
    cells: &Cells<O>,
    earlier: &[(u32, u32)],
    conflicts: &mut Conflicts,
    most: u64,
    budget: &Budget<'_>,
) -> Built {
    assert!(cells.exact, "the machine believes what reads name");
    if let Some(i) = cells.from.iter().position(|from| *from == From::Nowhere) {
        return Built::Nothing(Refutation { ops: vec![i as u32], earlier: Vec::new() });
    }
    let mut machine = Machine::new(cells, earlier);
    let built = machine.descend(conflicts, most, budget);
    let built = built.unwrap_or_else(|reason| Built::GaveUp(reason, machine.deepest.take()));
    budget.states.fetch_add(machine.choices % 1024, Ordering::Relaxed);
    built
}

/// No operation, and the time of what has not happened.
pub(super) const NEVER: u32 = u32::MAX;

/// A configuration, with what undoes it.
pub(super) struct Machine<'a, O> {
    pub cells: &'a Cells<O>,
    /// Who reads what each operation wrote, process by process.
    pub readers: Lists,
    /// Who reads the initial value of each object, process by process.
    pub initial_readers: Vec<Vec<u32>>,
    pub earlier: &'a [(u32, u32)],
    /// Indices into `earlier` by their later and by their earlier operation.
    pub before: Lists,
    after: Lists,
    /// The next operation of each process.
    pub at: Vec<u32>,
    /// How much was done before each operation, or [`NEVER`].
    pub when: Vec<u32>,
    /// Per object, what it holds and how many have yet to read that.
    pub held: Vec<(From, u32)>,
    /// Operations with what their object held before.
    done: Vec<(u32, (From, u32))>,
    /// Per object, the processes whose next operation writes it blindly.
    writers: Vec<Vec<u32>>,
    /// Where each process stands there.
    slot: Vec<u32>,
    /// Of what each operation wrote, the first that replaces it if it is still there; and of the initial values.
    replacer: Vec<u32>,
    initial_replacer: Vec<u32>,
    /// Processes that may have a forced move.
    touched: Vec<u32>,
    /// Writes that may be choices, the earliest answer first.
    choosable: BinaryHeap<Reverse<(u32, u32)>>,
    choices: u64,
    deepest: Deepest,
}

impl<'a, O: Copy> Machine<'a, O> {
    fn new(cells: &'a Cells<O>, earlier: &'a [(u32, u32)]) -> Machine<'a, O> {
        let chains = &cells.chains;
        let n = chains.ops.len();
        let objects = chains.objects as usize;
        let source = |i: u32| match cells.from[i as usize] {
            From::Op(w) => Some((w, i)),
            From::Blind | From::Initial | From::Unsure | From::Nowhere => None,
        };
        let mut machine = Machine {
            cells,
            readers: Lists::new(n, (0..n as u32).filter_map(source)),
            initial_readers: vec![Vec::new(); objects],
            earlier,
            before: Lists::new(n, (0..).zip(earlier).map(|(e, pair)| (pair.1, e))),
            after: Lists::new(n, (0..).zip(earlier).map(|(e, pair)| (pair.0, e))),
            at: chains.start[..chains.processes() as usize].to_vec(),
            when: vec![NEVER; n],
            held: vec![(From::Initial, 0); objects],
            done: Vec::with_capacity(n),
            writers: vec![Vec::new(); objects],
            slot: vec![0; chains.processes() as usize],
            replacer: vec![NEVER; n],
            initial_replacer: vec![NEVER; objects],
            touched: (0..chains.processes()).collect(),
            choosable: BinaryHeap::new(),
            choices: 0,
            deepest: Deepest::of(n),
        };
        for (i, op) in (0..).zip(&chains.ops) {
            let x = op.object as usize;
            let replacer = match cells.from[i as usize] {
                From::Initial => {
                    machine.initial_readers[x].push(i);
                    machine.held[x].1 += 1;
                    &mut machine.initial_replacer[x]
                }
                From::Op(w) => &mut machine.replacer[w as usize],
                From::Blind | From::Unsure | From::Nowhere => continue,
            };
            if cells.writes[i as usize] && *replacer == NEVER {
                *replacer = i;
            }
        }
        for p in 0..chains.processes() {
            machine.show(p);
        }
        machine
    }

    fn descend(
        &mut self,
        conflicts: &mut Conflicts,
        most: u64,
        budget: &Budget<'_>,
    ) -> Result<Built, Reason> {
        loop {
            self.take_forced(conflicts);
            if self.done.len() == self.cells.chains.ops.len() {
                return Ok(Built::Order(self.done.iter().map(|d| d.0).collect()));
            }
            if let Some(op) = self.choose(conflicts) {
                self.choices += 1;
                self.afford(conflicts, most, budget)?;
                self.take(op, conflicts);
                continue;
            }
            match conflicts.learn(self) {
                Conflict::Blames(write) => {
                    self.choices += 1;
                    self.afford(conflicts, most, budget)?;
                    self.undo_to(self.when[write as usize] as usize);
                }
                Conflict::Always(refutation) => return Ok(Built::Nothing(refutation)),
            }
        }
    }

    fn afford(&mut self, conflicts: &Conflicts, most: u64, budget: &Budget<'_>) -> Result<(), Reason> {
        self.deepest.see(self.done.len(), || self.done.iter().map(|d| d.0).collect());
        if self.choices >= most {
            return Err(Reason::Stopped);
        }
        if self.choices % 1024 == 0 {
            budget.states.fetch_add(1024, Ordering::Relaxed);
            if budget.stop.load(Ordering::Relaxed) {
                return Err(Reason::Stopped);
            }
            if self.bytes() + conflicts.bytes() > budget.bytes {
                return Err(Reason::Memory);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.cells.chains.ops.len() * 48 + self.choosable.capacity() * 8
    }

    /// Takes everything that no legal order can be worse for. Looks only at processes for which something changed.
    fn take_forced(&mut self, conflicts: &Conflicts) {
        while let Some(p) = self.touched.pop() {
            while let Some(op) = self.head(p) {
                let enabled = self.enabled(op, conflicts);
                if enabled && self.is_choice(op) {
                    self.choosable.push(Reverse((self.cells.chains.ops[op as usize].hint, op)));
                }
                if !enabled || self.is_choice(op) {
                    break;
                }
                self.take(op, conflicts);
            }
        }
    }

    /// The write to try next, if any can come next.
    fn choose(&mut self, conflicts: &Conflicts) -> Option<u32> {
        while let Some(Reverse((_, op))) = self.choosable.pop() {
            if self.is_head(op) && self.enabled(op, conflicts) {
                return Some(op);
            }
        }
        // The heap only says where to look first: what it forgot is found here.
        for p in 0..self.at.len() as u32 {
            if let Some(op) = self.head(p).filter(|&op| self.enabled(op, conflicts)) {
                self.choosable.push(Reverse((self.cells.chains.ops[op as usize].hint, op)));
            }
        }
        self.choosable.pop().map(|Reverse((_, op))| op)
    }

    /// The next operation of process `p`.
    pub fn head(&self, p: u32) -> Option<u32> {
        let at = self.at[p as usize];
        (at < self.cells.chains.start[p as usize + 1]).then_some(at)
    }

    /// The process of an operation.
    pub fn process(&self, op: u32) -> u32 {
        self.cells.chains.ops[op as usize].process
    }

    fn is_head(&self, op: u32) -> bool {
        self.at[self.process(op) as usize] == op
    }

    fn is_choice(&self, op: u32) -> bool {
        self.cells.from[op as usize] == From::Blind && !self.readers.of(op).is_empty()
    }

    fn enabled(&self, op: u32, conflicts: &Conflicts) -> bool {
        let i = op as usize;
        let (held, waiting) = self.held[self.cells.chains.ops[i].object as usize];
        let sees = match self.cells.from[i] {
            From::Blind => waiting == 0 || !self.cells.writes[i],
            // A cas ends the value that it saw, so it is the last to see it.
            from => held == from && (!self.cells.writes[i] || waiting == 1),
        };
        let happened = |e: &u32| self.when[self.earlier[*e as usize].0 as usize] != NEVER;
        sees && self.before.of(op).iter().all(happened) && !conflicts.forbid(op, &self.when)
    }

    fn take(&mut self, op: u32, conflicts: &Conflicts) {
        let it = &self.cells.chains.ops[op as usize];
        let (p, x) = (it.process, it.object as usize);
        self.hide(p);
        self.when[op as usize] = self.done.len() as u32;
        self.done.push((op, self.held[x]));
        self.at[p as usize] = op + 1;
        self.show(p);
        self.touched.push(p);
        if self.cells.writes[op as usize] {
            let readers = self.readers.of(op);
            self.held[x] = (From::Op(op), readers.len() as u32);
            for &reader in readers {
                let q = self.process(reader);
                if self.at[q as usize] == reader {
                    self.touched.push(q);
                }
            }
            if readers.is_empty() {
                self.touched.extend_from_slice(&self.writers[x]);
            }
        } else if self.cells.from[op as usize] != From::Blind {
            self.held[x].1 -= 1;
            match self.held[x] {
                (_, 0) => self.touched.extend_from_slice(&self.writers[x]),
                (from, 1) => {
                    let replacer = match from {
                        From::Op(w) => self.replacer[w as usize],
                        From::Initial | From::Blind | From::Unsure | From::Nowhere => {
                            self.initial_replacer[x]
                        }
                    };
                    if replacer != NEVER {
                        self.touched.push(self.process(replacer));
                    }
                }
                _ => {}
            }
        }
        for &e in self.after.of(op) {
            self.touched.push(self.process(self.earlier[e as usize].1));
        }
        for &later in conflicts.waiting_for(op) {
            self.touched.push(self.process(later));
        }
    }

    fn undo_to(&mut self, depth: usize) {
        while self.done.len() > depth {
            let (op, held) = self.done.pop().expect("longer than depth");
            let it = &self.cells.chains.ops[op as usize];
            let (p, x) = (it.process, it.object as usize);
            self.hide(p);
            self.held[x] = held;
            self.when[op as usize] = NEVER;
            self.at[p as usize] = op;
            self.show(p);
        }
        self.choosable.clear();
        self.touched.clear();
        self.touched.extend(0..self.at.len() as u32);
    }

    /// Enters the next operation of `p` where those are that wait for an object to be free.
    fn show(&mut self, p: u32) {
        if let Some(op) = self.head(p).filter(|&op| self.cells.from[op as usize] == From::Blind) {
            let list = &mut self.writers[self.cells.chains.ops[op as usize].object as usize];
            self.slot[p as usize] = list.len() as u32;
            list.push(p);
        }
    }

    fn hide(&mut self, p: u32) {
        if let Some(op) = self.head(p).filter(|&op| self.cells.from[op as usize] == From::Blind) {
            let list = &mut self.writers[self.cells.chains.ops[op as usize].object as usize];
            let slot = self.slot[p as usize] as usize;
            list.swap_remove(slot);
            if let Some(&moved) = list.get(slot) {
                self.slot[moved as usize] = slot as u32;
            }
        }
    }
}
