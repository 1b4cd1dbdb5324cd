//! Round trips: operations of one process on one object that leave it as they found it, while nobody else could do
//! anything that would notice.
//!
//! ```text
//!   P0   acquire ── release        From a free lock, others can do nothing in between that they could not do before:
//!   P1   acquire ── release        whoever can make the trip may as well make it now, all of it.
//! ```
//! **Why it loses nothing.** Let the first operation be legal in one state only, and the object be in it now. In any
//! legal order from here the trip begins in this state. What others do on the object during the trip changes nothing
//! there and is legal in this state as well: that was looked up for every operation of the others. So the trip can be
//! cut out of the order and put first.

use super::chains::Chains;
use super::steps::Steps;
use crate::model::Model;
use rustc_hash::FxHashMap;

/// How many operations a trip may have.
const STOPS_MAX: u32 = 4;

/// Objects with more kinds of operations have no trips: looking them all up would be dear, and one is in the way.
const KINDS_MAX: usize = 1024;

/// The trips that begin with each operation.
#[derive(Debug)]
pub(crate) struct Trips {
    /// The first operations of trips, with the state where they begin and how many operations they have.
    begin: FxHashMap<u32, (u32, u32)>,
}

/// A kind of operation on an object, and the process that alone has it, if one does.
type Kind = (u32, Option<u32>);

impl Trips {
    /// Finds all trips. O(n · kinds), less where equal trips repeat.
    pub fn new<M: Model>(
        models: &[M],
        chains: &Chains<M::Op>,
        class_of: &[u32],
        steps: &mut [Steps<'_, M>],
    ) -> Trips {
        let mut kinds: FxHashMap<(u32, u32), Option<u32>> = FxHashMap::default();
        for (op, &class) in chains.ops.iter().zip(class_of) {
            kinds
                .entry((op.object, class))
                .and_modify(|owner| *owner = owner.filter(|&p| p == op.process))
                .or_insert(Some(op.process));
        }
        let mut kinds_on: Vec<Vec<Kind>> = vec![Vec::new(); models.len()];
        for (&(object, class), &owner) in &kinds {
            kinds_on[object as usize].push((class, owner));
        }
        let mut known: FxHashMap<(u32, u32, Vec<u32>), bool> = FxHashMap::default();
        let mut begin = FxHashMap::default();
        for i in 0..chains.ops.len() as u32 {
            let op = &chains.ops[i as usize];
            let x = op.object as usize;
            if op.maybe || kinds_on[x].len() > KINDS_MAX {
                continue;
            }
            let Some(state) = models[x].only_in(op.op) else { continue };
            let from = steps[x].number(state);
            let Some(stops) = way_back(chains, class_of, &mut steps[x], i, from) else { continue };
            let classes = (i..=i + stops.len() as u32).map(|j| class_of[j as usize]).collect();
            let unnoticed = known.entry((op.object, op.process, classes)).or_insert_with(|| {
                kinds_on[x].iter().all(|&(class, owner)| {
                    owner == Some(op.process) || notices_nothing(&mut steps[x], class, from, &stops)
                })
            });
            if *unnoticed {
                begin.insert(i, (from, stops.len() as u32 + 1));
            }
        }
        Trips { begin }
    }

    /// Whether there are none.
    pub fn none(&self) -> bool {
        self.begin.is_empty()
    }

    /// How many operations to take at once where `op` comes next and its object is in `state`.
    pub fn from(&self, op: u32, state: u32) -> Option<u32> {
        self.begin.get(&op).filter(|trip| trip.0 == state).map(|trip| trip.1)
    }
}

/// The states between `from` and `from` again, if the operations of the process from `first` on lead back soon.
fn way_back<M: Model>(
    chains: &Chains<M::Op>,
    class_of: &[u32],
    steps: &mut Steps<'_, M>,
    first: u32,
    from: u32,
) -> Option<Vec<u32>> {
    let it = &chains.ops[first as usize];
    let end = chains.start[it.process as usize + 1].min(first + STOPS_MAX);
    let mut stops = Vec::new();
    let mut state = from;
    for i in first..end {
        let op = &chains.ops[i as usize];
        if op.maybe || op.object != it.object || steps.count(state, class_of[i as usize]) != 1 {
            return None;
        }
        state = steps.outcome(state, class_of[i as usize], 0);
        if state == from {
            return (!stops.is_empty()).then_some(stops);
        }
        stops.push(state);
    }
    None
}

/// Whether an operation of `class` does at each of `stops` nothing that it could not do in `from`.
fn notices_nothing<M: Model>(steps: &mut Steps<'_, M>, class: u32, from: u32, stops: &[u32]) -> bool {
    let mut stays = |state: u32| steps.count(state, class) == 1 && steps.outcome(state, class, 0) == state;
    let stays_home = stays(from);
    let stays: Vec<bool> = stops.iter().map(|&stop| stays(stop)).collect();
    stops.iter().zip(stays).all(|(&stop, stays)| steps.count(stop, class) == 0 || (stays && stays_home))
}
