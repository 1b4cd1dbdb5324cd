//! The frontier machine: sequential consistency of cells whose reads name their writes.
//!
//! How far each process has come says which operations happened, and that is all there is to say: a cell's value
//! matters only while somebody has yet to read it, and then it is the one written value with readers outstanding. So
//! frontiers alone are remembered, and most moves are forced: reads, writes that nobody reads, and a cas that all
//! other readers of its value are done with. Only a write with readers is a choice, as it locks its cell until they
//! are done (Gibbons and Korach 1997 bound the frontiers by n^k for k processes).

use super::cells::{Cells, From};
use super::lists::Lists;
use super::search::Found;
use super::tree::Tree;
use crate::verdict::{Budget, Reason};
use rustc_hash::FxHashSet;
use std::sync::atomic::Ordering;

/// Searches for a legal order of exact `cells` whose operations also keep the order of `earlier` (pairs that every
/// legal order keeps). Gives up with [`Reason::Stopped`] after `most` choices.
pub(crate) fn construct<O: Copy>(
    cells: &Cells<O>,
    earlier: &[(u32, u32)],
    most: u64,
    budget: &Budget<'_>,
) -> Found {
    assert!(cells.exact, "the machine believes what reads name");
    if cells.from.contains(&From::Nowhere) {
        return Found::Nothing;
    }
    let mut machine = Machine::new(cells, earlier);
    let found = machine.descend(most, budget).unwrap_or_else(Found::GaveUp);
    budget.states.fetch_add(machine.choices % 1024, Ordering::Relaxed);
    found
}

struct Machine<'a, O> {
    cells: &'a Cells<O>,
    /// How many read what each operation wrote.
    readers: Vec<u32>,
    before: Lists,
    after: Lists,
    at: Vec<u32>,
    /// Per object, what it holds and how many have yet to read that.
    held: Vec<(From, u32)>,
    /// Per object, the processes whose next operation is on it.
    heads: Vec<Vec<u32>>,
    slot: Vec<u32>,
    done: Vec<(u32, From, u32)>,
    tree: Tree,
    entered: FxHashSet<u32>,
    touched: Vec<u32>,
    choices: u64,
}

impl<'a, O: Copy> Machine<'a, O> {
    fn new(cells: &'a Cells<O>, earlier: &[(u32, u32)]) -> Machine<'a, O> {
        let chains = &cells.chains;
        let n = chains.ops.len();
        let processes = chains.processes();
        let mut readers = vec![0; n];
        let mut held = vec![(From::Initial, 0); chains.objects as usize];
        for (op, from) in chains.ops.iter().zip(&cells.from) {
            match *from {
                From::Op(w) => readers[w as usize] += 1,
                From::Initial => held[op.object as usize].1 += 1,
                From::Blind | From::Unsure | From::Nowhere => {}
            }
        }
        let mut machine = Machine {
            cells,
            readers,
            before: Lists::new(n, earlier.iter().map(|&(from, to)| (to, from))),
            after: Lists::new(n, earlier.iter().copied()),
            at: chains.start[..processes as usize].to_vec(),
            held,
            heads: vec![Vec::new(); chains.objects as usize],
            slot: vec![0; processes as usize],
            done: Vec::with_capacity(n),
            tree: Tree::new(processes as usize),
            entered: FxHashSet::default(),
            touched: (0..processes).collect(),
            choices: 0,
        };
        for p in 0..processes {
            machine.tree.set(p as usize, machine.at[p as usize]);
            machine.show(p);
        }
        machine
    }

    fn descend(&mut self, most: u64, budget: &Budget<'_>) -> Result<Found, Reason> {
        // Each entry: how much was done, and the choices not yet tried there, best last.
        let mut branches: Vec<(usize, Vec<u32>)> = Vec::new();
        loop {
            self.take_forced();
            if self.done.len() == self.cells.chains.ops.len() {
                return Ok(Found::Order(self.done.iter().map(|d| d.0).collect()));
            }
            if self.entered.insert(self.tree.root()) {
                self.choices += 1;
                self.afford(most, budget)?;
                let mut choices: Vec<u32> = (0..self.at.len() as u32)
                    .filter_map(|p| self.head(p))
                    .filter(|&op| self.enabled(op))
                    .collect();
                choices.sort_by_key(|&op| std::cmp::Reverse((self.cells.chains.ops[op as usize].hint, op)));
                branches.push((self.done.len(), choices));
            }
            let next = loop {
                let Some((depth, choices)) = branches.last_mut() else { return Ok(Found::Nothing) };
                let depth = *depth;
                if let Some(next) = choices.pop() {
                    self.undo_to(depth);
                    break next;
                }
                branches.pop();
            };
            self.take(next);
        }
    }

    fn afford(&mut self, most: u64, budget: &Budget<'_>) -> Result<(), Reason> {
        if self.choices >= most {
            return Err(Reason::Stopped);
        }
        if self.choices % 1024 == 0 {
            budget.states.fetch_add(1024, Ordering::Relaxed);
            if budget.stop.load(Ordering::Relaxed) {
                return Err(Reason::Stopped);
            }
            if self.tree.bytes() + self.entered.capacity() * 6 + self.done.capacity() * 16 > budget.bytes {
                return Err(Reason::Memory);
            }
        }
        Ok(())
    }

    /// Takes everything that no legal order can be worse for. Looks only at processes whose cell changed.
    fn take_forced(&mut self) {
        while let Some(p) = self.touched.pop() {
            while let Some(op) = self.head(p) {
                let choice = self.cells.from[op as usize] == From::Blind && self.readers[op as usize] > 0;
                if choice || !self.enabled(op) {
                    break;
                }
                self.take(op);
            }
        }
    }

    fn head(&self, p: u32) -> Option<u32> {
        let at = self.at[p as usize];
        (at < self.cells.chains.start[p as usize + 1]).then_some(at)
    }

    fn enabled(&self, op: u32) -> bool {
        let i = op as usize;
        let (held, waiting) = self.held[self.cells.chains.ops[i].object as usize];
        let sees = match self.cells.from[i] {
            From::Blind => waiting == 0 || !self.cells.writes[i],
            // A cas ends the value that it saw, so it is the last to see it.
            from => held == from && (!self.cells.writes[i] || waiting == 1),
        };
        let happened = |b: &u32| self.at[self.cells.chains.ops[*b as usize].process as usize] > *b;
        sees && self.before.of(op).iter().all(happened)
    }

    fn take(&mut self, op: u32) {
        let it = &self.cells.chains.ops[op as usize];
        let (p, x) = (it.process, it.object as usize);
        self.hide(p);
        let (held, waiting) = self.held[x];
        self.done.push((op, held, waiting));
        if self.cells.writes[op as usize] {
            self.held[x] = (From::Op(op), self.readers[op as usize]);
        } else if self.cells.from[op as usize] != From::Blind {
            self.held[x].1 -= 1;
        }
        self.touched.extend_from_slice(&self.heads[x]);
        self.set_at(p, op + 1);
        self.show(p);
        self.touched.push(p);
        for later in self.after.of(op) {
            self.touched.push(self.cells.chains.ops[*later as usize].process);
        }
    }

    fn undo_to(&mut self, depth: usize) {
        while self.done.len() > depth {
            let (op, held, waiting) = self.done.pop().expect("longer than depth");
            let it = &self.cells.chains.ops[op as usize];
            let (p, x) = (it.process, it.object as usize);
            self.hide(p);
            self.held[x] = (held, waiting);
            self.set_at(p, op);
            self.show(p);
        }
        self.touched.clear();
    }

    fn set_at(&mut self, p: u32, at: u32) {
        self.at[p as usize] = at;
        self.tree.set(p as usize, at);
    }

    fn show(&mut self, p: u32) {
        if let Some(op) = self.head(p) {
            let list = &mut self.heads[self.cells.chains.ops[op as usize].object as usize];
            self.slot[p as usize] = list.len() as u32;
            list.push(p);
        }
    }

    fn hide(&mut self, p: u32) {
        if let Some(op) = self.head(p) {
            let list = &mut self.heads[self.cells.chains.ops[op as usize].object as usize];
            let slot = self.slot[p as usize] as usize;
            list.swap_remove(slot);
            if let Some(&moved) = list.get(slot) {
                self.slot[moved as usize] = slot as u32;
            }
        }
    }
}
