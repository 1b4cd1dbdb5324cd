//! A number of permits: each acquire takes one if one is left, each release gives one back.
//!
//! Whoever releases need not be who acquired. `--initial` is the number of permits.

use crate::decode::{function, unknown};
use crate::exact::{Exact, permits};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Applied, Interner, Op, Outcome, Value};
use rustc_hash::FxHashMap;
use std::sync::atomic::AtomicBool;

/// The permits.
#[derive(Clone, Copy, Debug)]
pub struct Semaphore {
    /// How many there are.
    pub permits: i64,
    /// Whether operations are left out, so that there may seem to be more.
    at_least: bool,
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SemaphoreOp {
    /// It got a permit.
    Acquire,
    /// It gave a permit back.
    Release,
    /// It was told that none is left.
    AcquireRefused,
    /// It was told that none is out.
    ReleaseRefused,
}

impl Semaphore {
    /// A semaphore with so many permits, all of them left.
    pub fn new(permits: i64) -> Semaphore {
        Semaphore { permits, at_least: false }
    }
}

impl Specified for Semaphore {
    fn setup(setup: &mut Setup<'_>) -> Result<Semaphore, String> {
        match &setup.spec.initial {
            None | Some(Value::Null) => Ok(Semaphore::new(1)),
            Some(Value::Int(permits)) if *permits >= 0 => Ok(Semaphore::new(*permits)),
            Some(other) => Err(format!("--initial: expected a number of permits, found {other}")),
        }
    }
}

impl Model for Semaphore {
    /// How many permits are left.
    type State = i64;
    type Op = SemaphoreOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<SemaphoreOp>, IllFormed> {
        let (done, refused) = match function(values, op)? {
            "acquire" => (SemaphoreOp::Acquire, SemaphoreOp::AcquireRefused),
            "release" => (SemaphoreOp::Release, SemaphoreOp::ReleaseRefused),
            f => return Err(unknown("acquire or release", f)),
        };
        Ok(match (op.outcome, op.applied) {
            (Outcome::Fail, _) => None,
            (Outcome::Ok, Applied::No) => Some(refused),
            (Outcome::Ok, Applied::Unsaid | Applied::Yes) | (Outcome::Info, _) => Some(done),
        })
    }

    fn init(&self) -> i64 {
        self.permits
    }

    fn step(&self, &state: &i64, op: SemaphoreOp, out: &mut impl FnMut(i64)) {
        match op {
            SemaphoreOp::Acquire if state > 0 => out(state - 1),
            SemaphoreOp::Release if state < self.permits || self.at_least => out(state + 1),
            SemaphoreOp::AcquireRefused if state == 0 => out(state),
            SemaphoreOp::ReleaseRefused if state >= self.permits => out(state),
            SemaphoreOp::Acquire
            | SemaphoreOp::Release
            | SemaphoreOp::AcquireRefused
            | SemaphoreOp::ReleaseRefused => {}
        }
    }

    fn is_pure(&self, op: SemaphoreOp) -> bool {
        match op {
            SemaphoreOp::AcquireRefused | SemaphoreOp::ReleaseRefused => true,
            SemaphoreOp::Acquire | SemaphoreOp::Release => false,
        }
    }

    fn only_in(&self, op: SemaphoreOp) -> Option<i64> {
        match op {
            SemaphoreOp::AcquireRefused => Some(0),
            SemaphoreOp::ReleaseRefused if !self.at_least => Some(self.permits),
            SemaphoreOp::ReleaseRefused | SemaphoreOp::Acquire | SemaphoreOp::Release => None,
        }
    }

    /// An acquire can be left out, alone or with the release by which its process gave the permit back: never fewer permits
    /// are left then, maybe more than there are. A refusal no longer says anything once somebody is left out.
    fn project(&self, ops: &[ObjOp<SemaphoreOp>], keep: &mut [bool], _: Property) -> Problem<Semaphore> {
        // The acquires of each process that it has not given back yet.
        let mut held: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
        for (i, op) in ops.iter().enumerate() {
            match op.op {
                SemaphoreOp::Acquire => held.entry(op.process).or_default().push(i),
                SemaphoreOp::Release => match held.get_mut(&op.process).and_then(Vec::pop) {
                    Some(acquire) => {
                        let either = keep[acquire] || keep[i];
                        (keep[acquire], keep[i]) = (either, either);
                    }
                    None => keep[i] = true,
                },
                SemaphoreOp::AcquireRefused | SemaphoreOp::ReleaseRefused => {}
            }
        }
        let at_least = ops.iter().zip(keep.iter()).any(|(op, kept)| !kept && !self.is_pure(op.op));
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                SemaphoreOp::AcquireRefused | SemaphoreOp::ReleaseRefused => *kept &= !at_least,
                SemaphoreOp::Acquire | SemaphoreOp::Release => {}
            }
        }
        Problem { model: Semaphore { at_least, ..*self }, ops: crate::model::kept(ops, keep) }
    }

    fn exact(&self, ops: &[ObjOp<SemaphoreOp>], stop: &AtomicBool) -> Option<Exact> {
        if self.at_least { None } else { permits(ops, stop, self.permits) }
    }

    fn describe_op(&self, _: &Interner, op: SemaphoreOp) -> String {
        match op {
            SemaphoreOp::Acquire => "acquire",
            SemaphoreOp::Release => "release",
            SemaphoreOp::AcquireRefused => "acquire refused",
            SemaphoreOp::ReleaseRefused => "release refused",
        }
        .to_string()
    }

    fn describe_state(&self, _: &Interner, state: &i64) -> String {
        match state {
            1 => "1 permit left".to_string(),
            left => format!("{left} permits left"),
        }
    }

    fn describe_conflict(&self, values: &Interner, state: &i64, op: SemaphoreOp, object: &str) -> String {
        let left = format!("{object} has {}", self.describe_state(values, state));
        match op {
            SemaphoreOp::Acquire => format!("it got a permit, but {left}"),
            SemaphoreOp::Release => format!("it gave a permit back, but {left}"),
            SemaphoreOp::AcquireRefused => format!("it was told that no permit is left, but {left}"),
            SemaphoreOp::ReleaseRefused => format!("it was told that no permit is out, but {left}"),
        }
    }
}
