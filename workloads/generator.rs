//! The question that a scheduler asks again and again: what shall a free worker do next?

use crate::draw::Rng;
use history::{Call, Completion};
use std::time::Duration;

/// A worker that could take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Number of the worker, from 0.
    pub worker: usize,
    /// The process that it is now.
    pub process: i64,
    /// The node that it talks to.
    pub node: usize,
}

/// What a generator may look at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Nanoseconds since the run began.
    pub time: i64,
    /// Workers without an open call.
    pub free: &'a [Slot],
    /// How many workers there are, free or not.
    pub workers: usize,
}

/// A call for one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The worker, one of the free ones.
    pub worker: usize,
    /// What it shall do.
    pub call: Call,
    /// How long it may wait for the answer, if not as long as every op.
    pub timeout: Option<Duration>,
    /// When it was meant to be made, in nanoseconds since the run began, where calls come at a rate.
    pub due: Option<i64>,
}

/// The answer of a generator.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this now.
    Call(Ask),
    /// Nothing now. Ask again at this time, in nanoseconds since the run began (never: `None`), and after each completion.
    Wait(Option<i64>),
    /// Nothing any more.
    Done,
}

/// A call with what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// When the completion was recorded.
    pub time: i64,
    /// The worker, with the process that made the call.
    pub slot: Slot,
    /// What was asked.
    pub call: &'a Call,
    /// What the worker was told. (An answer that comes after the deadline is not told again.)
    pub completion: &'a Completion,
}

/// Decides what clients do. Deterministic: the same questions and news get the same answers.
pub trait Generator: Send {
    /// What to do next. A call that is returned is taken: it will be made, and its completion told.
    fn next(&mut self, ctx: &Context<'_>) -> Next;

    /// The news that a call of this generator was completed.
    fn told(&mut self, told: &Told<'_>) {
        let _ = told;
    }
}

impl<G: Generator + ?Sized> Generator for Box<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        (**self).next(ctx)
    }

    fn told(&mut self, told: &Told<'_>) {
        (**self).told(told);
    }
}

/// The earlier of two times to ask again.
pub(crate) fn sooner(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}

/// Makes one call after another for any free worker, without end: see [`each`].
pub struct Each<F> {
    rng: Rng,
    make: F,
}

/// Whatever `make` says, for a free worker chosen at random, for ever.
pub fn each<F: FnMut(&mut Rng, Slot) -> Call + Send>(rng: Rng, make: F) -> Each<F> {
    Each { rng, make }
}

impl<F: FnMut(&mut Rng, Slot) -> Call + Send> Generator for Each<F> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if ctx.free.is_empty() {
            return Next::Wait(None);
        }
        let slot = ctx.free[self.rng.below(ctx.free.len())];
        let call = (self.make)(&mut self.rng, slot);
        Next::Call(Ask { worker: slot.worker, call, timeout: None, due: None })
    }
}
