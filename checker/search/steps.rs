//! The model as a table: states and operations are small numbers, and each transition is computed once.

use super::meter::{table_bytes, vec_bytes};
use crate::later::drop_later;
use crate::model::Model;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::hash::Hash;

/// The number of a distinct operation.
pub(crate) type Class = u32;

/// The number of a state.
pub(crate) type StateId = u32;

/// No state.
pub(crate) const NOWHERE: StateId = u32::MAX;

const NOT_YET: u32 = u32::MAX - 1;
const SEVERAL: u32 = 1 << 31;
const DENSE_CLASSES: usize = 64;

/// So many states take no time to be dropped.
const FEW: usize = 50_000;

/// Transitions, computed when they are first asked for. Equal states have equal numbers.
pub(crate) struct Steps<'a> {
    source: Box<dyn Source + Send + 'a>,
    classes: usize,
    /// One row per state where there are few classes, else a hash table.
    rows: Vec<u32>,
    table: FxHashMap<u64, u32>,
    several: Vec<Box<[StateId]>>,
    reached: FxHashMap<u64, bool>,
    found: Vec<StateId>,
}

/// What knows the model: behind a pointer, so that the search is compiled once for all models.
trait Source {
    fn step(&mut self, state: StateId, class: Class, out: &mut Vec<StateId>);
    fn may_reach(&self, state: StateId, class: Class) -> bool;
    fn states(&self) -> usize;
    fn forget(&mut self);
    fn bytes(&self) -> usize;
}

struct Numbered<'a, M: Model> {
    model: Cow<'a, M>,
    ops: Vec<M::Op>,
    states: Vec<M::State>,
    numbers: FxHashMap<M::State, StateId>,
    bytes: usize,
}

/// What is known of a distinct operation without looking at states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassFacts {
    pub(crate) pure: bool,
    pub(crate) blind: bool,
    /// The one state in which it is legal, if there is one such; [`NOWHERE`] if there may be several.
    pub(crate) before: StateId,
    /// The one state that it leads to, whatever it was before; [`NOWHERE`] if that depends.
    pub(crate) after: StateId,
}

/// State 0 is the initial one.
pub(crate) const START: StateId = 0;

impl<'a> Steps<'a> {
    /// Numbers the distinct operations of `ops`. The numbers and the facts are those of `model`, whether or not steps are
    /// asked of an `informed` one. O(operations).
    pub(crate) fn new<M: Model>(
        model: &'a M,
        informed: Option<M>,
        ops: impl Iterator<Item = M::Op>,
    ) -> (Steps<'a>, Vec<Class>, Vec<ClassFacts>) {
        let mut source = Numbered {
            model: Cow::Borrowed(model),
            ops: Vec::new(),
            states: Vec::new(),
            numbers: FxHashMap::default(),
            bytes: 0,
        };
        source.number(model.init());
        let mut classes: FxHashMap<M::Op, Class> = FxHashMap::default();
        let mut of_op = Vec::with_capacity(ops.size_hint().0);
        let mut facts = Vec::new();
        for op in ops {
            let next = source.ops.len() as Class;
            let class = *classes.entry(op).or_insert(next);
            if class == next {
                source.ops.push(op);
                facts.push(source.facts(op));
            }
            of_op.push(class);
        }
        if let Some(informed) = informed {
            source.model = Cow::Owned(informed);
        }
        let steps = Steps {
            classes: source.ops.len(),
            source: Box::new(source),
            rows: Vec::new(),
            table: FxHashMap::default(),
            several: Vec::new(),
            reached: FxHashMap::default(),
            found: Vec::new(),
        };
        (steps, of_op, facts)
    }

    /// Where `class` leads from `state`, as a code for [`Steps::each`]; [`NOWHERE`] if it is illegal.
    #[inline]
    pub(crate) fn code(&mut self, state: StateId, class: Class) -> u32 {
        let known = if self.classes <= DENSE_CLASSES {
            self.rows.get(state as usize * self.classes + class as usize).copied()
        } else {
            self.table.get(&(u64::from(state) << 32 | u64::from(class))).copied()
        };
        match known {
            Some(code) if code != NOT_YET => code,
            Some(_) | None => self.compute(state, class),
        }
    }

    #[cold]
    fn compute(&mut self, state: StateId, class: Class) -> u32 {
        self.found.clear();
        self.source.step(state, class, &mut self.found);
        self.found.sort_unstable();
        self.found.dedup();
        let code = match self.found[..] {
            [] => NOWHERE,
            [one] => one,
            [..] => {
                self.several.push(self.found.clone().into());
                SEVERAL | (self.several.len() as u32 - 1)
            }
        };
        if self.classes <= DENSE_CLASSES {
            self.rows.resize(self.source.states() * self.classes, NOT_YET);
            self.rows[state as usize * self.classes + class as usize] = code;
        } else {
            self.table.insert(u64::from(state) << 32 | u64::from(class), code);
        }
        code
    }

    /// The states behind a code.
    pub(crate) fn each(&self, code: u32) -> impl Iterator<Item = StateId> + '_ {
        let several: &[StateId] = if code != NOWHERE && code & SEVERAL != 0 {
            &self.several[(code & !SEVERAL) as usize]
        } else {
            &[]
        };
        let one = (code & SEVERAL == 0).then_some(code);
        one.into_iter().chain(several.iter().copied())
    }

    /// Whether `class` is legal in `state`.
    #[inline]
    pub(crate) fn legal(&mut self, state: StateId, class: Class) -> bool {
        self.code(state, class) != NOWHERE
    }

    /// Whether `class` may lead from `state` to `to`.
    pub(crate) fn leads(&mut self, state: StateId, class: Class, to: StateId) -> bool {
        let code = self.code(state, class);
        self.each(code).any(|next| next == to)
    }

    /// Whether operations other than blind writes may lead from `state` to one in which `class` is legal.
    pub(crate) fn may_reach(&mut self, state: StateId, class: Class) -> bool {
        let source = &self.source;
        *self
            .reached
            .entry(u64::from(state) << 32 | u64::from(class))
            .or_insert_with(|| source.may_reach(state, class))
    }

    /// Gives its memory back; nothing can be asked any more.
    pub(crate) fn forget(&mut self) {
        self.source.forget();
        (self.rows, self.several) = (Vec::new(), Vec::new());
        (self.table, self.reached) = (FxHashMap::default(), FxHashMap::default());
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.source.bytes()
            + vec_bytes(&self.rows)
            + table_bytes(self.table.len(), self.table.capacity(), 16)
            + table_bytes(self.reached.len(), self.reached.capacity(), 16)
            + vec_bytes(&self.several)
            + self.several.len() * 32
    }
}

impl<M: Model> Numbered<'_, M> {
    fn number(&mut self, state: M::State) -> StateId {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        let number = self.states.len() as StateId;
        assert!(number < SEVERAL, "fewer than 2^31 states fit into memory");
        // What a state holds on the heap is in the list and in the table, if a clone does not share it.
        self.bytes += 2 * self.model.state_bytes(&state);
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        number
    }

    fn facts(&mut self, op: M::Op) -> ClassFacts {
        let (pure, blind) = (self.model.is_pure(op), self.model.is_blind(op));
        let before = self.model.only_in(op);
        let from = match (&before, blind) {
            (Some(state), _) => Some(state.clone()),
            (None, true) => Some(self.model.init()),
            (None, false) => None,
        };
        let mut led = Vec::new();
        if let Some(from) = from {
            self.model.step(&from, op, &mut |next| led.push(next));
        }
        let after = match <[M::State; 1]>::try_from(led) {
            Ok([one]) => self.number(one),
            Err(_) => NOWHERE,
        };
        let before = before.map_or(NOWHERE, |state| self.number(state));
        ClassFacts { pure, blind, before, after }
    }
}

impl<M: Model> Drop for Numbered<'_, M> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl<M: Model> Source for Numbered<'_, M>
where
    M::State: Hash,
{
    fn step(&mut self, state: StateId, class: Class, out: &mut Vec<StateId>) {
        let mut next = Vec::new();
        self.model.step(&self.states[state as usize], self.ops[class as usize], &mut |s| next.push(s));
        out.extend(next.into_iter().map(|state| self.number(state)));
    }

    fn may_reach(&self, state: StateId, class: Class) -> bool {
        self.model.may_reach(&self.states[state as usize], self.ops[class as usize])
    }

    fn states(&self) -> usize {
        self.states.len()
    }

    fn forget(&mut self) {
        let (states, numbers) = (std::mem::take(&mut self.states), std::mem::take(&mut self.numbers));
        if states.len() > FEW {
            drop_later((states, numbers));
        }
        self.bytes = 0;
    }

    fn bytes(&self) -> usize {
        let numbered = size_of::<(M::State, StateId)>();
        self.bytes
            + vec_bytes(&self.states)
            + table_bytes(self.numbers.len(), self.numbers.capacity(), numbered)
    }
}
