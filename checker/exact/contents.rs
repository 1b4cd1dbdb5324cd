//! What is put into a bag, a stack or a priority queue, each thing once, and who takes it out.
//!
//! A taking that nobody heard of may have taken any element that nobody else took. Which one is guessed, so that each is
//! gone as early as can be: at once, if such a taking was invoked before the element certainly was in, and else when the
//! next one is invoked.
//!
//! ```text
//!   put a |----|                           p: a is in for certain
//!   put b        |----|                    took b: invoked before b was in, it may have passed through
//!   taking    |- …                         (had it been invoked before p, it would have taken a)
//!   taking                 |- …            takes a from here on, at the earliest
//! ```
//! How many are in that nobody takes is then at each instant as small as it can be, which is all that matters to a bag.

use super::forced::{answered, known};
use super::held::Held;
use crate::problem::ObjOp;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// An element with its operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Element {
    /// How many are in before it at first, if it is there at first.
    pub(crate) initial: Option<u32>,
    /// Who put it in.
    pub(crate) put: Option<u32>,
    /// Who took it, or may have.
    pub(crate) takes: Vec<u32>,
}

/// The elements of one object, and its operations.
pub(crate) struct Contents<'a, O, H> {
    pub(crate) ops: &'a [ObjOp<O>],
    pub(crate) held: H,
    /// By element, ascending.
    pub(crate) all: Vec<(i64, Element)>,
}

impl<'a, O: Copy, H: Fn(O) -> Held> Contents<'a, O, H> {
    /// Finds out who put in and took what; `None` if something was put in twice, or somebody peeked. O(n log n).
    ///
    /// `next` says which of several elements an unheard taking takes, that of the smallest number, by the element and by
    /// when it was in.
    pub(crate) fn new(
        ops: &'a [ObjOp<O>],
        initial: &[i64],
        held: H,
        next: impl Fn(i64, u32) -> i64,
    ) -> Option<Contents<'a, O, H>> {
        let mut all: FxHashMap<i64, Element> = FxHashMap::default();
        for (at, &element) in (0u32..).zip(initial) {
            if all.insert(element, Element { initial: Some(at), ..Element::default() }).is_some() {
                return None;
            }
        }
        let mut unheard: Vec<u32> = Vec::new();
        for (i, op) in (0u32..).zip(ops) {
            match held(op.op) {
                Held::Put(element) => {
                    let entry = all.entry(element).or_default();
                    if entry.initial.is_some() || entry.put.replace(i).is_some() {
                        return None;
                    }
                }
                Held::Take(element) => all.entry(element).or_default().takes.push(i),
                Held::Peek => return None,
                Held::TakeUnheard => unheard.push(i),
                Held::Empty => {}
            }
        }
        let mut all: Vec<(i64, Element)> = all.into_iter().collect();
        all.sort_unstable_by_key(|&(element, _)| element);
        let mut contents = Contents { ops, held, all };
        if !unheard.is_empty() {
            contents.tell(&unheard, next);
        }
        Some(contents)
    }

    /// Gives unheard takings to elements that are in for certain and that nobody took.
    fn tell(&mut self, unheard: &[u32], next: impl Fn(i64, u32) -> i64) {
        // Since when each is in for certain.
        let mut lost: Vec<(u32, usize)> = Vec::new();
        for (n, (_, element)) in self.all.iter().enumerate().filter(|(_, (_, e))| e.takes.is_empty()) {
            match element.put.map(|put| &self.ops[put as usize]) {
                Some(put) if put.indeterminate() => {}
                Some(put) => lost.push((put.ret, n)),
                None => lost.push((0, n)),
            }
        }
        lost.sort_unstable();
        let mut lost = lost.into_iter().peekable();
        let (mut waiting, mut idle) = (BTreeSet::new(), Vec::new());
        for &taking in unheard.iter().chain([&u32::MAX]) {
            let invoke = self.ops.get(taking as usize).map_or(u32::MAX, |op| op.invoke);
            while let Some((since, n)) = lost.next_if(|&(since, _)| since < invoke) {
                match idle.pop() {
                    Some(taking) => self.all[n].1.takes.push(taking),
                    None => _ = waiting.insert((next(self.all[n].0, since), n)),
                }
            }
            if taking != u32::MAX {
                match waiting.pop_first() {
                    Some((_, n)) => self.all[n].1.takes.push(taking),
                    None => idle.push(taking),
                }
            }
        }
    }

    /// Whether a taking that nobody heard of was invoked by `end`.
    pub(crate) fn unheard(&self, end: u32) -> bool {
        self.ops.iter().any(|op| known(op, end) && (self.held)(op.op) == Held::TakeUnheard)
    }

    /// Whether somebody was told by `end` that he took this element, so that no unheard taking did.
    pub(crate) fn is_heard_of(&self, element: &Element, end: u32) -> bool {
        element.takes.iter().any(|&take| answered(&self.ops[take as usize], end))
    }
}
