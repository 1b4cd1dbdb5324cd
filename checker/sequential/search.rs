//! The search for a sequential order of any objects: complete, and not naive.
//!
//! A configuration says how far each process has come, in which state each object is, and how many of the crashed
//! operations at the ends of processes were used. Equal configurations have equal futures, so each is entered once.
//!
//! Five reductions keep the rest small (four are known from linearizability, with program order for real time):
//! - a completed operation that is legal now and changes no state whatever is taken at once;
//! - operations that lead a process's object back to where it was, unnoticed by others, are taken at once ([`Trips`]);
//! - crashed operations at the ends of processes are taken only where the next operation needs them;
//! - equal ones are exchangeable, so only their number counts;
//! - whoever got as far with fewer of them can do everything that others can.
//!
//! Cost: at most the number of frontiers times the number of states, O(n^k) for k processes; the budget ends it.

mod exposed;

use super::branches::{Branch, Branches, Move};
use super::chains::Chains;
use super::demand::Demand;
use super::due::First;
use super::lists::Lists;
use super::steps::Steps;
use super::stuck::Deepest;
use super::tree::Tree;
use super::trips::Trips;
use crate::model::Model;
use crate::search::{table_bytes, vec_bytes};
use crate::verdict::{Budget, Reason};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::sync::atomic::Ordering;

/// What an exhaustive search found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A legal order, as numbers of operations in the chains.
    Order(Vec<u32>),
    /// There is none.
    Nothing,
    /// The budget ended first; the deepest order.
    GaveUp(Reason, Vec<u32>),
}

/// Searches for a legal order of `chains`, where `models` has one model per object and every legal order is known to keep
/// the pairs of `earlier`. Gives up with [`Reason::Stopped`] after `most` configurations. `first` says what to try first.
///
/// Indeterminate operations that change nothing can as well be left out before.
pub(crate) fn search<M: Model>(
    models: &[M],
    chains: &Chains<M::Op>,
    earlier: &[(u32, u32)],
    first: &First,
    most: u64,
    budget: &Budget<'_>,
) -> Found {
    let mut search = Search::new(models, chains, earlier, first, most);
    let found = search.descend(budget);
    let found = found.unwrap_or_else(|reason| Found::GaveUp(reason, search.deepest.take()));
    budget.states.fetch_add(search.visited % 1024, Ordering::Relaxed);
    found
}

/// A crashed operation that ends its process: all that are equal are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tail {
    object: u32,
    class: u32,
}

/// One thing done, with what undoes it.
enum Done {
    Op { op: u32, was_at: u32, was_state: u32 },
    Crashed { tail: u32, was_state: u32 },
}

struct Search<'a, M: Model> {
    chains: &'a Chains<M::Op>,
    first: &'a First,
    /// Of each object.
    steps: Vec<Steps<'a, M>>,
    class_of: Vec<u32>,
    /// End of each process without its tail.
    body_end: Vec<u32>,
    tail_of: Vec<Option<u32>>,
    tails: Vec<Tail>,
    /// One operation of each kind of tail.
    example: Vec<u32>,
    tails_on: Vec<Vec<u32>>,
    // The configuration.
    at: Vec<u32>,
    state: Vec<u32>,
    reached: Vec<u32>,
    used: Vec<u32>,
    remaining: usize,
    done: Vec<Done>,
    // What it implies.
    /// Per object, the operations that may come next: of each process those up to its next completed one.
    exposed: Vec<Vec<u32>>,
    slot: Vec<u32>,
    tree: Tree,
    /// Roots of configurations that were entered, with the tails used there.
    entered: FxHashSet<u32>,
    entered_with: FxHashMap<u32, Vec<Box<[(u32, u32)]>>>,
    entered_bytes: usize,
    touched: Vec<u32>,
    /// What must come before each operation.
    before: Lists,
    trips: Trips,
    demand: Demand,
    /// Whether a value is gone that somebody has yet to see.
    lost: bool,
    visited: u64,
    most: u64,
    deepest: Deepest,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(
        models: &'a [M],
        chains: &'a Chains<M::Op>,
        earlier: &[(u32, u32)],
        first: &'a First,
        most: u64,
    ) -> Search<'a, M> {
        let mut steps: Vec<Steps<'a, M>> = models.iter().map(Steps::new).collect();
        let class_of: Vec<u32> = chains.ops.iter().map(|op| steps[op.object as usize].class(op.op)).collect();
        let trips = Trips::new(models, chains, &class_of, &mut steps);
        let processes = chains.processes() as usize;
        let objects = chains.objects as usize;
        let mut search = Search {
            chains,
            first,
            trips,
            steps,
            class_of,
            body_end: Vec::with_capacity(processes),
            tail_of: Vec::with_capacity(processes),
            tails: Vec::new(),
            example: Vec::new(),
            tails_on: vec![Vec::new(); objects],
            at: chains.start[..processes].to_vec(),
            state: vec![0; objects],
            reached: Vec::new(),
            used: Vec::new(),
            remaining: chains.ops.iter().filter(|op| !op.maybe).count(),
            done: Vec::new(),
            exposed: vec![Vec::new(); objects],
            slot: vec![0; chains.ops.len()],
            tree: Tree::new(processes + objects),
            entered: FxHashSet::default(),
            entered_with: FxHashMap::default(),
            entered_bytes: 0,
            touched: (0..chains.objects).collect(),
            // Which crashed operation of its kind is used is left open, so nothing can wait for one.
            before: Lists::new(
                chains.ops.len(),
                earlier
                    .iter()
                    .filter(|(a, b)| !chains.ops[*a as usize].maybe && !chains.ops[*b as usize].maybe)
                    .map(|&(a, b)| (b, a)),
            ),
            demand: Demand::new(models, chains),
            lost: false,
            visited: 0,
            most,
            deepest: Deepest::of(chains.ops.len()),
        };
        search.find_tails();
        for p in 0..processes {
            search.tree.set(p, search.at[p]);
            search.expose(p as u32);
            search.reach_tail(p as u32, true);
        }
        search
    }

    /// A tail is the last operation of a process, if it is indeterminate and no other indeterminate one is before it.
    fn find_tails(&mut self) {
        let mut numbers: FxHashMap<Tail, u32> = FxHashMap::default();
        for p in 0..self.chains.processes() {
            let chain = self.chains.chain(p);
            let maybe = |i: u32| self.chains.ops[i as usize].maybe;
            let last = chain.end.wrapping_sub(1);
            let ends_so = !chain.is_empty() && maybe(last) && (chain.len() == 1 || !maybe(last - 1));
            self.body_end.push(if ends_so { last } else { chain.end });
            self.tail_of.push(if ends_so {
                let tail = Tail {
                    object: self.chains.ops[last as usize].object,
                    class: self.class_of[last as usize],
                };
                let fresh = self.tails.len() as u32;
                let number = *numbers.entry(tail).or_insert(fresh);
                if number == fresh {
                    self.tails.push(tail);
                    self.example.push(last);
                    self.tails_on[tail.object as usize].push(number);
                    self.reached.push(0);
                    self.used.push(0);
                }
                Some(number)
            } else {
                None
            });
        }
    }

    fn descend(&mut self, budget: &Budget<'_>) -> Result<Found, Reason> {
        let mut branches = Branches::default();
        loop {
            self.take_eager();
            if self.remaining == 0 {
                return Ok(Found::Order(self.order()));
            }
            if !self.lost && self.enter() {
                let moves = self.moves(budget, branches.bytes())?;
                branches.push(Branch { done: self.done.len(), moves });
                self.afford(budget, &mut branches)?;
            }
            let mut deepest = std::mem::replace(&mut self.deepest, Deepest::of(0));
            deepest.see(self.done.len(), || self.order());
            self.deepest = deepest;
            let Some((depth, next)) = branches.next() else { return Ok(Found::Nothing) };
            self.undo_to(depth);
            for (tail, to) in next.crashed {
                self.crash(tail, to);
            }
            self.take(next.op, next.to);
        }
    }

    /// Looks at the budget every thousand configurations, and at the memory sooner where that is spent sooner.
    fn afford(&mut self, budget: &Budget<'_>, branches: &mut Branches) -> Result<(), Reason> {
        self.visited += 1;
        if self.visited > self.most {
            return Err(Reason::Stopped);
        }
        let look = self.visited % 1024 == 0;
        if look {
            budget.states.fetch_add(1024, Ordering::Relaxed);
            if budget.stop.load(Ordering::Relaxed) {
                return Err(Reason::Stopped);
            }
        }
        if (branches.grew() || look) && self.bytes() + branches.bytes() > budget.bytes {
            return Err(Reason::Memory);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.steps.iter().map(Steps::bytes).sum::<usize>()
            + self.tree.bytes()
            + table_bytes(self.entered.len(), self.entered.capacity(), 4)
            + table_bytes(self.entered_with.len(), self.entered_with.capacity(), 32)
            + self.entered_bytes
            + vec_bytes(&self.done)
    }

    /// Takes everything that no legal order can be worse for.
    fn take_eager(&mut self) {
        loop {
            self.take_pure();
            if self.trips.none() {
                return;
            }
            let trip = (0..self.at.len()).find_map(|p| {
                let op = self.at[p];
                let state = self.state[self.chains.ops.get(op as usize)?.object as usize];
                let stops = self.trips.from(op, state).filter(|_| op < self.body_end[p])?;
                (op..op + stops).all(|i| self.may_come(i)).then_some((op, stops))
            });
            let Some((op, stops)) = trip else { return };
            for i in op..op + stops {
                let object = self.chains.ops[i as usize].object as usize;
                let to = self.steps[object].outcome(self.state[object], self.class_of[i as usize], 0);
                self.take(i, to);
            }
        }
    }

    /// Takes every completed operation that is legal and pure. It can only be in the way later, never needed later.
    fn take_pure(&mut self) {
        while let Some(object) = self.touched.pop() {
            let mut i = 0;
            while i < self.exposed[object as usize].len() {
                let op = self.exposed[object as usize][i];
                let it = &self.chains.ops[op as usize];
                let class = self.class_of[op as usize];
                let state = self.state[object as usize];
                // Behind an operation that may still happen it is a choice: taking it means that the other never happened.
                let eager = !it.maybe
                    && self.at[it.process as usize] == op
                    && self.may_come(op)
                    && self.steps[object as usize].pure(class)
                    && self.steps[object as usize].count(state, class) > 0;
                if eager {
                    self.take(op, state);
                } else {
                    i += 1;
                }
            }
        }
    }

    /// Whether this configuration is new, and no better one was entered before.
    fn enter(&mut self) -> bool {
        let root = self.tree.root();
        if self.tails.is_empty() {
            return self.entered.insert(root);
        }
        let used: Box<[(u32, u32)]> =
            (0..).zip(&self.used).filter(|(_, n)| **n > 0).map(|(t, n)| (t, *n)).collect();
        let known = self.entered_with.entry(root).or_default();
        let as_good = |a: &[(u32, u32)], b: &[(u32, u32)]| {
            a.iter().all(|(tail, n)| b.binary_search_by_key(tail, |e| e.0).is_ok_and(|i| b[i].1 >= *n))
        };
        if known.iter().any(|other| as_good(other, &used)) {
            return false;
        }
        known.retain(|other| !as_good(&used, other));
        self.entered_bytes += 40 + used.len() * 8;
        known.push(used);
        true
    }

    /// What can come next, best last: what returned first is tried first, crashed operations after all that.
    /// `held` are bytes that the search has elsewhere.
    fn moves(&mut self, budget: &Budget<'_>, held: usize) -> Result<Vec<Move>, Reason> {
        let mut moves = Vec::new();
        for object in 0..self.exposed.len() {
            self.moves_with_crashed(object as u32, &mut moves, budget, held)?;
        }
        moves.sort_by_key(|m| Reverse((m.crashed.len(), self.first.due[m.op as usize], m.op)));
        let plain = moves.len();
        for object in 0..self.exposed.len() {
            let state = self.state[object];
            for i in 0..self.exposed[object].len() {
                let op = self.exposed[object][i];
                if !self.may_come(op) {
                    continue;
                }
                let class = self.class_of[op as usize];
                for n in 0..self.steps[object].count(state, class) {
                    let to = self.steps[object].outcome(state, class, n);
                    moves.push(Move { crashed: Vec::new(), op, to });
                }
            }
        }
        if self.first.bonus == 0 {
            moves[plain..].sort_by_key(|m| Reverse((self.first.due[m.op as usize], m.op, m.to)));
        } else {
            moves[plain..].sort_by_cached_key(|m| {
                let bonus = self.first.bonus.saturating_mul(self.waiting_for(m));
                Reverse((self.first.due[m.op as usize].saturating_sub(bonus), m.op, m.to))
            });
        }
        Ok(moves)
    }

    /// How many operations that change nothing could come after a move, and not now.
    fn waiting_for(&mut self, m: &Move) -> u32 {
        let object = self.chains.ops[m.op as usize].object as usize;
        let (now, steps) = (self.state[object], &mut self.steps[object]);
        let mut waiting = 0;
        for &op in &self.exposed[object] {
            let class = self.class_of[op as usize];
            let waits = steps.pure(class) && steps.count(now, class) == 0 && steps.count(m.to, class) > 0;
            waiting += u32::from(waits);
        }
        waiting
    }

    /// Crashed operations on `object`, each changing its state, and then an operation that would not do so without them.
    ///
    /// In a legal order with the fewest crashed operations, as late as they can be, every run of them is like that:
    /// else some could be left out, or the last one could come later.
    fn moves_with_crashed(
        &mut self,
        object: u32,
        moves: &mut Vec<Move>,
        budget: &Budget<'_>,
        held: usize,
    ) -> Result<(), Reason> {
        let ready = |s: &Self, tail: u32| s.used[tail as usize] < s.reached[tail as usize];
        let tails: Vec<u32> =
            self.tails_on[object as usize].iter().copied().filter(|&t| ready(self, t)).collect();
        if tails.is_empty() || self.exposed[object as usize].is_empty() {
            return Ok(());
        }
        let first = self.state[object as usize];
        let mut seen: FxHashSet<(u32, Vec<u32>)> = FxHashSet::default();
        let mut runs: Vec<Vec<(u32, u32)>> = vec![Vec::new()];
        let (mut tried, mut heap) = (0u32, 0);
        while let Some(run) = runs.pop() {
            let state = run.last().map_or(first, |r| r.1);
            if let Some(&(last, _)) = run.last() {
                let before = run.len().checked_sub(2).map_or(first, |i| run[i].1);
                self.moves_after(object, first, before, last, &run, moves);
            }
            for &tail in &tails {
                let times = run.iter().filter(|r| r.0 == tail).count() as u32;
                if self.used[tail as usize] + times >= self.reached[tail as usize] {
                    continue;
                }
                let class = self.tails[tail as usize].class;
                for n in 0..self.steps[object as usize].count(state, class) {
                    tried += 1;
                    if tried % 256 == 0 {
                        if budget.stop.load(Ordering::Relaxed) {
                            return Err(Reason::Stopped);
                        }
                        // Each run stands in both, and in its moves.
                        let runs = table_bytes(seen.len(), seen.capacity(), 32) + vec_bytes(&runs) + heap;
                        let found = moves.len() * (size_of::<Move>() + 8 * run.len() + 16);
                        if self.bytes() + held + runs + found > budget.bytes {
                            return Err(Reason::Memory);
                        }
                    }
                    let to = self.steps[object as usize].outcome(state, class, n);
                    let pointless = to == state
                        || (!run.is_empty() && self.steps[object as usize].leads(first, class, to));
                    if pointless {
                        continue;
                    }
                    let mut tails_used: Vec<u32> = run.iter().map(|r| r.0).chain([tail]).collect();
                    tails_used.sort_unstable();
                    let length = tails_used.len();
                    if seen.insert((to, tails_used)) {
                        heap += 12 * length + 32;
                        let mut longer = run.clone();
                        longer.push((tail, to));
                        runs.push(longer);
                    }
                }
            }
        }
        Ok(())
    }

    /// The operations that a run of crashed ones was needed for.
    fn moves_after(
        &mut self,
        object: u32,
        first: u32,
        before: u32,
        last: u32,
        run: &[(u32, u32)],
        moves: &mut Vec<Move>,
    ) {
        let state = run[run.len() - 1].1;
        let crashed = self.tails[last as usize].class;
        for i in 0..self.exposed[object as usize].len() {
            let op = self.exposed[object as usize][i];
            if !self.may_come(op) {
                continue;
            }
            let class = self.class_of[op as usize];
            for n in 0..self.steps[object as usize].count(state, class) {
                let to = self.steps[object as usize].outcome(state, class, n);
                let without_run = self.steps[object as usize].leads(first, class, to);
                let crashed_later = (0..self.steps[object as usize].count(before, class)).any(|n| {
                    let between = self.steps[object as usize].outcome(before, class, n);
                    self.steps[object as usize].leads(between, crashed, to)
                });
                if !without_run && !crashed_later {
                    moves.push(Move { crashed: run.to_vec(), op, to });
                }
            }
        }
    }

    /// Whether everything that must come before `op` has come.
    fn may_come(&self, op: u32) -> bool {
        self.before.of(op).iter().all(|&b| self.at[self.chains.ops[b as usize].process as usize] > b)
    }

    fn take(&mut self, op: u32, to: u32) {
        let it = &self.chains.ops[op as usize];
        let (process, object) = (it.process, it.object);
        let was_at = self.at[process as usize];
        self.hide(process);
        self.set_at(process, op + 1);
        self.expose(process);
        self.reach_tail(process, true);
        self.remaining -= usize::from(!it.maybe);
        self.lost |= self.demand.take(op, object);
        self.done.push(Done::Op { op, was_at, was_state: self.state[object as usize] });
        self.set_state(object, to);
        self.touched.push(object);
        for i in self.front(process) {
            self.touched.push(self.chains.ops[i as usize].object);
        }
    }

    fn crash(&mut self, tail: u32, to: u32) {
        let object = self.tails[tail as usize].object;
        self.used[tail as usize] += 1;
        self.lost |= self.demand.take(self.example[tail as usize], object);
        self.done.push(Done::Crashed { tail, was_state: self.state[object as usize] });
        self.set_state(object, to);
        self.touched.push(object);
    }

    fn undo_to(&mut self, depth: usize) {
        while self.done.len() > depth {
            match self.done.pop().expect("longer than depth") {
                Done::Op { op, was_at, was_state } => {
                    let it = &self.chains.ops[op as usize];
                    self.demand.undo(op, it.object);
                    self.remaining += usize::from(!it.maybe);
                    self.reach_tail(it.process, false);
                    self.hide(it.process);
                    self.set_at(it.process, was_at);
                    self.expose(it.process);
                    self.set_state(it.object, was_state);
                }
                Done::Crashed { tail, was_state } => {
                    let object = self.tails[tail as usize].object;
                    self.used[tail as usize] -= 1;
                    self.demand.undo(self.example[tail as usize], object);
                    self.set_state(object, was_state);
                }
            }
        }
        self.touched.clear();
        self.lost = false;
    }

    fn set_at(&mut self, process: u32, at: u32) {
        self.at[process as usize] = at;
        self.tree.set(process as usize, at);
    }

    fn set_state(&mut self, object: u32, state: u32) {
        if self.state[object as usize] != state {
            self.state[object as usize] = state;
            self.tree.set(self.at.len() + object as usize, state);
        }
    }

    /// Counts the tail of a process whose body is done, or no longer.
    fn reach_tail(&mut self, process: u32, now: bool) {
        let p = process as usize;
        if self.at[p] == self.body_end[p] {
            if let Some(tail) = self.tail_of[p] {
                let reached = &mut self.reached[tail as usize];
                *reached = if now { *reached + 1 } else { *reached - 1 };
            }
        }
    }

    /// The operations done, first to last. A crashed one is any of its kind whose process had come that far.
    fn order(&self) -> Vec<u32> {
        let mut ready: Vec<Vec<u32>> = vec![Vec::new(); self.tails.len()];
        for p in 0..self.chains.processes() as usize {
            if self.chains.start[p] == self.body_end[p] {
                if let Some(tail) = self.tail_of[p] {
                    ready[tail as usize].push(self.body_end[p]);
                }
            }
        }
        let mut order = Vec::with_capacity(self.done.len());
        for done in &self.done {
            match *done {
                Done::Op { op, .. } => {
                    order.push(op);
                    let p = self.chains.ops[op as usize].process as usize;
                    if op + 1 == self.body_end[p] {
                        if let Some(tail) = self.tail_of[p] {
                            ready[tail as usize].push(op + 1);
                        }
                    }
                }
                Done::Crashed { tail, .. } => {
                    order.push(ready[tail as usize].pop().expect("used at most as often as reached"));
                }
            }
        }
        order
    }
}
