//! What an object is: its states, and where each operation may lead.

use crate::exact::Exact;
use crate::problem::{ObjOp, Problem};
use crate::sources::Sees;
use crate::verdict::Property;
use history::{Interner, Op, ValueId};
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicBool;

/// Why an operation cannot belong to a model. Line and column are added by whoever holds the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IllFormed {
    /// What the model expects: `a list [expected, new] as the value of a cas`.
    pub expected: String,
    /// What stands there.
    pub found: String,
    /// Whether the completion is at fault (else the invocation).
    pub in_completion: bool,
}

/// A sequential specification (Herlihy and Wing 1990, §2): which results are legal in which state.
///
/// A model is typed inside: [`Model::decode`] turns the dynamic values of an operation into a small `Copy` value once,
/// so that [`Model::step`], which runs millions of times, only compares numbers.
pub trait Model: Clone + Send + Sync {
    /// What the object holds.
    type State: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static;
    /// An operation with its result, decoded.
    type Op: Copy + Eq + Hash + fmt::Debug + Send + Sync;

    /// The decoded operation; `None` if it constrains nothing and can be left out (a failed write, an unanswered read).
    /// An indeterminate operation is decoded with its result unknown.
    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<Self::Op>, IllFormed>;

    /// The state before the first operation.
    fn init(&self) -> Self::State;

    /// Calls `out` with every state that `op` may lead to from `state`: none if it is illegal there,
    /// several if its answer was never heard.
    fn step(&self, state: &Self::State, op: Self::Op, out: &mut impl FnMut(Self::State));

    /// [`Model::step`] in place, where it leads to one state: what replays a long order does not copy a large state with
    /// every operation. `state` is left as it was unless there is one. Models with states that grow have a better one
    /// than this.
    fn advance(&self, state: &mut Self::State, op: Self::Op) -> Advance {
        let (mut next, mut count) = (None, 0_usize);
        self.step(state, op, &mut |s| {
            count += 1;
            next = Some(s);
        });
        match (next, count) {
            (None, _) => Advance::Illegal,
            (Some(next), 1) => {
                *state = next;
                Advance::Done
            }
            (Some(_), _) => Advance::Open,
        }
    }

    /// The operations of a legal order, with those whose answer nobody heard told what it may have been, so that each
    /// leads to one state: an order with hundreds of them is then replayed without trying everything. It is a guess:
    /// whoever uses it asks [`Model::may_be`] of each, and looks whether the order is legal. `None`: nothing to tell.
    fn tell(&self, ordered: &[Self::Op]) -> Option<Vec<Self::Op>> {
        let _ = ordered;
        None
    }

    /// Whether `unheard` may have been `told`: wherever that is legal, it leads to states to which `unheard` leads, too.
    fn may_be(&self, unheard: Self::Op, told: Self::Op) -> bool {
        unheard == told
    }

    /// Whether `op`, where legal, leaves **every** state unchanged: a read, a cas that compared false.
    /// Saying no is always safe. (A write that happens to change nothing here is not pure.)
    fn is_pure(&self, op: Self::Op) -> bool {
        let _ = op;
        false
    }

    /// Whether `op` is a blind write: legal in every state, leading to one state that depends on `op` alone.
    fn is_blind(&self, op: Self::Op) -> bool {
        let _ = op;
        false
    }

    /// The one state in which `op` is legal, if there is exactly one: a read of a whole value, a cas that succeeded.
    /// Saying `None` is always safe.
    fn only_in(&self, op: Self::Op) -> Option<Self::State> {
        let _ = op;
        None
    }

    /// Whether operations other than blind writes can lead from `state` to one in which `op`, which is pure, is legal: no
    /// set loses an element. Saying yes is always safe.
    fn may_reach(&self, state: &Self::State, op: Self::Op) -> bool {
        let _ = (state, op);
        true
    }

    /// What results alone say about the order of operations, one entry per operation, or nothing: the elements of a queue
    /// come in the order in which they go. It must hold in every legal order that keeps real time.
    fn forced_order(&self, ops: &[ObjOp<Self::Op>]) -> Vec<Forced> {
        let _ = ops;
        Vec::new()
    }

    /// Whether an operation that was never answered can be left out of every legal order, because nothing that returned
    /// needs its effect. Saying no is always safe.
    fn superfluous(&self, ops: &[ObjOp<Self::Op>]) -> Vec<bool> {
        let _ = ops;
        Vec::new()
    }

    /// The same model, told what a history says in the end, so that it refuses steps that no legal order of all of `ops`
    /// takes; `None` if it learns nothing. Used where a search may look ahead, never to verify.
    fn informed(&self, ops: &[ObjOp<Self::Op>]) -> Option<Self> {
        let _ = ops;
        None
    }

    /// About how many bytes a state occupies, for budgets.
    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of_val(state)
    }

    /// The weaker problem of the operations that `keep` names, such that **if all of `ops` have a legal order, so has
    /// it**: what makes a small core a proof about the whole history (`docs/architecture.md`, invariant 7).
    ///
    /// `keep` has one entry per operation and is corrected: an operation that the rest cannot do without is set, one
    /// that says nothing without its missing explanation is cleared. Calling it again changes nothing more.
    /// Results of kept operations may be weakened (a cas whose source is left out becomes a write).
    ///
    /// The rule that holds for every model: what is pure can be left out, nothing else.
    fn project(&self, ops: &[ObjOp<Self::Op>], keep: &mut [bool], property: Property) -> Problem<Self> {
        let _ = property;
        for (kept, op) in keep.iter_mut().zip(ops) {
            *kept |= !self.is_pure(op.op);
        }
        Problem { model: self.clone(), ops: kept(ops, keep) }
    }

    /// The operation as an access to a cell, if every operation of this object is one: a cell holds one value, an
    /// access sees it or not, and then leaves another or not. Reads then name their writes, which makes sequential
    /// consistency quick where values are unique.
    fn access(&self, op: Self::Op) -> Option<Access> {
        let _ = op;
        None
    }

    /// What the cell of [`Model::access`] holds before the first operation.
    fn initial_value(&self) -> Option<ValueId> {
        None
    }

    /// Whether `ops` have a legal order that keeps real time, where a method decides that without a search; `None` if
    /// they are not of the kind that it decides, or soon after `stop` is set. O(n log n), O(n) to say `None`.
    fn exact(&self, ops: &[ObjOp<Self::Op>], stop: &AtomicBool) -> Option<Exact> {
        let _ = (ops, stop);
        None
    }

    /// A violation that can be seen although [`Model::exact`] does not decide operations of this kind: after the return of
    /// `fatal`, which need not be the first such return, `ops` have no legal order that keeps real time. O(n log n).
    fn refuted(&self, ops: &[ObjOp<Self::Op>], stop: &AtomicBool) -> Option<Exact> {
        let _ = (ops, stop);
        None
    }

    /// The operation as a person reads it: `write 41`, `read → 41`, `cas 1 → 2`.
    fn describe_op(&self, values: &Interner, op: Self::Op) -> String;

    /// The state as a person reads it: `41`.
    fn describe_state(&self, values: &Interner, state: &Self::State) -> String;

    /// Why `op` is illegal in `state`: `it read 42, but x holds 41`. `object` is how to call the object.
    fn describe_conflict(&self, values: &Interner, state: &Self::State, op: Self::Op, object: &str)
    -> String;
}

/// What became of a state in [`Model::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// It is the next one.
    Done,
    /// Nothing: the operation is illegal there.
    Illegal,
    /// Nothing: the operation may lead to several states, which [`Model::step`] tells.
    Open,
}

/// What an operation does to a cell: the values are compared, and mean nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What it tells about the value that it found.
    pub sees: Option<Sees>,
    /// The value that it leaves, if it replaces the one that it found.
    pub leaves: Option<ValueId>,
}

/// The place of an operation in an order that results force: of two operations of one group, the one whose `latest` is
/// before the other's `earliest` comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Below 2: only operations of one group are compared.
    pub group: u8,
    /// It is here or later.
    pub earliest: u32,
    /// It is here or earlier; [`history::NEVER`] if that is not known.
    pub latest: u32,
    /// Whether it is best tried after all others: a guess that costs nothing but time.
    pub late: bool,
}

impl Forced {
    /// Nothing is known.
    pub const FREE: Forced = Forced { group: 0, earliest: 0, latest: history::NEVER, late: false };
}

/// The operations that `keep` names.
pub fn kept<O: Copy>(ops: &[ObjOp<O>], keep: &[bool]) -> Vec<ObjOp<O>> {
    ops.iter().zip(keep).filter(|(_, kept)| **kept).map(|(op, _)| *op).collect()
}
