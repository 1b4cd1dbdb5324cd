//! Runs the model once per distinct state and operation, and remembers where it led.

use crate::later::drop_later;
use crate::model::Model;
use crate::search::{table_bytes, vec_bytes};
use hashbrown::HashTable;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// States and operations as numbers, with the transitions between them.
pub(crate) struct Steps<'a, M: Model> {
    model: &'a M,
    states: Vec<M::State>,
    state_ids: HashTable<u32>,
    /// Distinct operations, and whether each is pure.
    classes: Vec<(M::Op, bool)>,
    class_ids: FxHashMap<M::Op, u32>,
    /// Where `(state, class)` leads: a slice of `outcomes`.
    table: FxHashMap<(u32, u32), (u32, u32)>,
    outcomes: Vec<u32>,
    scratch: Vec<M::State>,
    /// Bytes that the states occupy, as the model estimates them.
    state_bytes: usize,
}

impl<M: Model> Drop for Steps<'_, M> {
    fn drop(&mut self) {
        if self.states.len() > FEW {
            drop_later(std::mem::take(&mut self.states));
        }
    }
}

/// So many states take no time to be dropped.
const FEW: usize = 50_000;

impl<'a, M: Model> Steps<'a, M> {
    /// No transition is known yet. State 0 is the initial one.
    pub fn new(model: &'a M) -> Steps<'a, M> {
        let mut steps = Steps {
            model,
            states: Vec::new(),
            state_ids: HashTable::new(),
            classes: Vec::new(),
            class_ids: FxHashMap::default(),
            table: FxHashMap::default(),
            outcomes: Vec::new(),
            scratch: Vec::new(),
            state_bytes: 0,
        };
        steps.number(model.init());
        steps
    }

    /// The number of an operation; equal operations have equal numbers.
    pub fn class(&mut self, op: M::Op) -> u32 {
        let fresh = self.classes.len() as u32;
        let id = *self.class_ids.entry(op).or_insert(fresh);
        if id == fresh {
            self.classes.push((op, self.model.is_pure(op)));
        }
        id
    }

    /// Whether the operation, where legal, leaves every state as it is.
    pub fn pure(&self, class: u32) -> bool {
        self.classes[class as usize].1
    }

    /// How many states `class` may lead to from `state`: 0 if it is illegal there.
    pub fn count(&mut self, state: u32, class: u32) -> usize {
        self.find(state, class).1 as usize
    }

    /// The `n`th of them.
    pub fn outcome(&mut self, state: u32, class: u32, n: usize) -> u32 {
        let (from, len) = self.find(state, class);
        assert!(n < len as usize, "only outcomes that `count` counted");
        self.outcomes[from as usize + n]
    }

    /// Whether `class` may lead from `state` to `to`.
    pub fn leads(&mut self, state: u32, class: u32, to: u32) -> bool {
        let (from, len) = self.find(state, class);
        self.outcomes[from as usize..(from + len) as usize].contains(&to)
    }

    /// Bytes in use, about.
    pub fn bytes(&self) -> usize {
        self.state_bytes
            + vec_bytes(&self.states)
            + table_bytes(self.state_ids.len(), self.state_ids.capacity(), 4)
            + table_bytes(self.table.len(), self.table.capacity(), 16)
            + vec_bytes(&self.outcomes)
    }

    fn find(&mut self, state: u32, class: u32) -> (u32, u32) {
        if let Some(&known) = self.table.get(&(state, class)) {
            return known;
        }
        let mut reached = std::mem::take(&mut self.scratch);
        self.model
            .step(&self.states[state as usize], self.classes[class as usize].0, &mut |s| reached.push(s));
        let from = self.outcomes.len() as u32;
        for s in reached.drain(..) {
            let id = self.number(s);
            if !self.outcomes[from as usize..].contains(&id) {
                self.outcomes.push(id);
            }
        }
        self.scratch = reached;
        let len = self.outcomes.len() as u32 - from;
        self.table.insert((state, class), (from, len));
        (from, len)
    }

    /// The number of a state; equal states have equal numbers.
    pub fn number(&mut self, state: M::State) -> u32 {
        let hash = hash_of(&state);
        if let Some(&id) = self.state_ids.find(hash, |&id| self.states[id as usize] == state) {
            return id;
        }
        let id = self.states.len() as u32;
        self.state_bytes += self.model.state_bytes(&state);
        self.states.push(state);
        let states = &self.states;
        self.state_ids.insert_unique(hash, id, |&id| hash_of(&states[id as usize]));
        id
    }
}

fn hash_of<T: Hash>(value: &T) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
