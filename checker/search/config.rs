//! Where a search stands: the layer, who is done, the state, and the indeterminate operations used up.

use super::bits::Bits;
use super::meter::{table_bytes, vec_bytes};
use super::plan::Plan;
use super::steps::{Class, START, StateId};
use crate::later::drop_later;
use rustc_hash::FxHashMap;

/// A configuration. Two that are equal have the same future.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Config<B> {
    /// The return that is waited for.
    pub(crate) layer: u32,
    /// The state.
    pub(crate) state: StateId,
    /// Used indeterminate operations, in [`Counts`].
    pub(crate) used_crashed: u32,
    /// Slots whose operations may return: they took effect, or can be hidden under a blind write that did.
    pub(crate) done: B,
    /// Slots whose blind writes took effect openly. One that is done but not used may still be.
    pub(crate) used: B,
    /// A write whose effect must be seen next.
    pub(crate) debt: Option<Debt>,
}

/// A blind write before its deadline, or an indeterminate operation, is taken only for the sake of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Debt {
    /// The state before it.
    pub(crate) from: StateId,
    /// What it is.
    pub(crate) class: Class,
    /// Whether nothing else was gained by it: no other write was hidden under it.
    pub(crate) idle: bool,
}

impl<B: Bits> Config<B> {
    /// Nothing is done.
    pub(crate) fn start(plan: &Plan) -> Config<B> {
        let none = B::new(plan.slots);
        Config { layer: 0, state: START, used_crashed: 0, done: none.clone(), used: none, debt: None }
    }
}

/// How many of each class of indeterminate operations were used, numbered. Number 0 is none of any.
pub(crate) struct Counts {
    all: Vec<Box<[(u32, u32)]>>,
    numbers: FxHashMap<Box<[(u32, u32)]>, u32>,
    plus: FxHashMap<(u32, u32), u32>,
    bytes: usize,
}

impl Counts {
    pub(crate) fn new() -> Counts {
        let mut counts =
            Counts { all: Vec::new(), numbers: FxHashMap::default(), plus: FxHashMap::default(), bytes: 0 };
        counts.number(Box::from([]));
        counts
    }

    fn number(&mut self, used: Box<[(u32, u32)]>) -> u32 {
        if let Some(&number) = self.numbers.get(&used) {
            return number;
        }
        let number = self.all.len() as u32;
        // Twice, each an allocation of its own.
        self.bytes += used.len() * 16 + 32;
        self.all.push(used.clone());
        self.numbers.insert(used, number);
        number
    }

    /// How many of `class` are used.
    pub(crate) fn of(&self, used: u32, class: u32) -> u32 {
        let used = &self.all[used as usize];
        used.binary_search_by_key(&class, |&(c, _)| c).map_or(0, |i| used[i].1)
    }

    /// One more of `class`.
    pub(crate) fn plus(&mut self, used: u32, class: u32) -> u32 {
        if let Some(&number) = self.plus.get(&(used, class)) {
            return number;
        }
        let mut more = self.all[used as usize].to_vec();
        match more.binary_search_by_key(&class, |&(c, _)| c) {
            Ok(i) => more[i].1 += 1,
            Err(i) => more.insert(i, (class, 1)),
        }
        let number = self.number(more.into());
        self.plus.insert((used, class), number);
        number
    }

    /// Whether `a` uses at most what `b` uses.
    pub(crate) fn within(&self, a: u32, b: u32) -> bool {
        a == b || a == 0 || {
            let (a, b) = (&self.all[a as usize], &self.all[b as usize]);
            a.len() <= b.len()
                && a.iter()
                    .all(|&(class, n)| b.binary_search_by_key(&class, |&(c, _)| c).is_ok_and(|i| b[i].1 >= n))
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
            + vec_bytes(&self.all)
            + table_bytes(self.numbers.len(), self.numbers.capacity(), 24)
            + table_bytes(self.plus.len(), self.plus.capacity(), 12)
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        if self.all.len() > FEW {
            drop_later((std::mem::take(&mut self.all), std::mem::take(&mut self.numbers)));
        }
    }
}

/// So many of them take no time to be dropped.
const FEW: usize = 50_000;

/// The configurations that were visited, without those that others make superfluous.
///
/// One *covers* another of the same layer and state, with the same operations that are neither pure nor blind done, if it
/// has done at least as much for nothing, used at most as many blind writes openly, and used at most as many
/// indeterminate operations: whatever the other can do, it can do.
pub(crate) struct Visited<B> {
    heads: FxHashMap<(u32, StateId, B), u32>,
    entries: Vec<Entry<B>>,
    free: Vec<u32>,
}

struct Entry<B> {
    done: B,
    used: B,
    used_crashed: u32,
    next: u32,
}

const NO_ENTRY: u32 = u32::MAX;

/// So many alternatives are compared with a new one; beyond, only work is repeated.
const COMPARED: usize = 256;

impl<B: Bits> Visited<B> {
    pub(crate) fn new() -> Visited<B> {
        Visited { heads: FxHashMap::default(), entries: Vec::new(), free: Vec::new() }
    }

    /// Forgets everything, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.entries.clear();
        self.free.clear();
    }

    /// Notes a configuration; whether it was new, and not covered by another. `other` are the slots of open operations
    /// that are neither pure nor blind.
    pub(crate) fn insert(&mut self, config: &Config<B>, other: &B, counts: &Counts) -> bool {
        let head = self.heads.entry((config.layer, config.state, config.done.and(other))).or_insert(NO_ENTRY);
        let (mut at, mut previous) = (*head, NO_ENTRY);
        for _ in 0..COMPARED {
            if at == NO_ENTRY {
                break;
            }
            let entry = &self.entries[at as usize];
            let next = entry.next;
            if config.done.within(&entry.done)
                && entry.used.within(&config.used)
                && counts.within(entry.used_crashed, config.used_crashed)
            {
                return false;
            }
            let covered = entry.done.within(&config.done)
                && config.used.within(&entry.used)
                && counts.within(config.used_crashed, entry.used_crashed);
            if covered {
                self.free.push(at);
                match previous {
                    NO_ENTRY => *head = next,
                    previous => self.entries[previous as usize].next = next,
                }
            } else {
                previous = at;
            }
            at = next;
        }
        let entry = Entry {
            done: config.done.clone(),
            used: config.used.clone(),
            used_crashed: config.used_crashed,
            next: *head,
        };
        *head = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        true
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        let heap = self.entries.first().map_or(0, |entry| entry.done.heap_bytes());
        table_bytes(self.heads.len(), self.heads.capacity(), size_of::<((u32, StateId, B), u32)>())
            + vec_bytes(&self.entries)
            + vec_bytes(&self.free)
            + (self.heads.len() + 2 * self.entries.len()) * heap
    }
}

/// What a search did, one operation after the other: index in the problem, and the layer at which it took effect.
pub(crate) type Taken = (u32, u32);

/// The order that `taken` stands for: with the blind writes that never took effect openly put where they are hidden, right
/// before the first blind write after their invocation. O(operations).
pub(crate) fn order(plan: &Plan, taken: &[Taken], blind: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut open = vec![false; plan.done.iter().map(|op| op.index as usize + 1).max().unwrap_or(0)];
    for &(index, _) in taken {
        if let Some(open) = open.get_mut(index as usize) {
            *open = true;
        }
    }
    let hidden: Vec<_> = plan
        .by_invoke
        .iter()
        .map(|&id| &plan.done[id as usize])
        .filter(|op| !open[op.index as usize])
        .collect();
    let mut hidden = hidden.into_iter().peekable();
    let mut order = Vec::with_capacity(plan.done.len());
    for &(index, layer) in taken {
        if blind(index) {
            let deadline = plan.done[layer as usize].ret;
            while let Some(op) = hidden.next_if(|op| op.invoke < deadline) {
                order.push(op.index);
            }
        }
        order.push(index);
    }
    assert!(hidden.next().is_none(), "every hidden write is hidden under a write that took effect");
    order
}
