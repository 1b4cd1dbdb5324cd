//! A lock that one process at a time holds, and only its holder gives back.
//!
//! A process is one session, so a lock that its session lost is not given back by the next process of the same worker:
//! it stays held until an unanswered release took effect. A refused acquire says that some process holds the lock, a
//! refused release that the asking process does not.

use crate::decode::{function, unknown};
use crate::exact::{self, Exact};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Applied, Interner, Op, Outcome, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A lock, with the names of the processes for messages.
#[derive(Clone, Debug)]
pub struct Mutex {
    names: Arc<[i64]>,
}

/// What a process did with the lock. The numbers are dense process numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// It got the lock.
    Acquire(u32),
    /// It gave the lock back.
    Release(u32),
    /// It was told that the lock is held.
    AcquireRefused(u32),
    /// It was told that it does not hold the lock.
    ReleaseRefused(u32),
}

impl Mutex {
    /// A free lock; `names` are the file's numbers of the processes.
    pub fn new(names: Arc<[i64]>) -> Mutex {
        Mutex { names }
    }

    fn name(&self, process: u32) -> String {
        match self.names.get(process as usize) {
            Some(name) => format!("client {name}"),
            None => format!("client {process}"),
        }
    }
}

/// When acquires were refused that are kept.
struct Refused {
    /// Whether that says something where somebody is left out.
    in_time: bool,
    /// By invocation; with the latest return of those up to there.
    spans: Vec<(u32, u32)>,
}

impl Refused {
    fn new(ops: &[ObjOp<MutexOp>], keep: &[bool], property: Property) -> Refused {
        let in_time = property == Property::Linearizable;
        let mut spans: Vec<(u32, u32)> = Vec::new();
        let mut latest = 0;
        for (op, _) in ops.iter().zip(keep).filter(|(op, kept)| **kept && in_time && !op.indeterminate()) {
            if let MutexOp::AcquireRefused(_) = op.op {
                latest = op.ret.max(latest);
                spans.push((op.invoke, latest));
            }
        }
        Refused { in_time, spans }
    }

    /// Keeps the acquires of a process, with their releases, that may have had the lock then.
    fn keep_holders(&self, ops: &[ObjOp<MutexOp>], mine: &[usize], keep: &mut [bool]) {
        for (at, &first) in mine.iter().enumerate() {
            if !matches!(ops[first].op, MutexOp::Acquire(_)) {
                continue;
            }
            let release = mine.get(at + 1).copied().filter(|&i| matches!(ops[i].op, MutexOp::Release(_)));
            let until = release.map_or(history::NEVER, |i| ops[i].ret);
            let before = self.spans.partition_point(|&(invoke, _)| invoke < until);
            if before.checked_sub(1).is_some_and(|at| ops[first].invoke < self.spans[at].1) {
                keep[first] = true;
                if let Some(release) = release {
                    keep[release] = true;
                }
            }
        }
    }
}

impl Specified for Mutex {
    fn setup(setup: &mut Setup<'_>) -> Result<Mutex, String> {
        match &setup.spec.initial {
            None | Some(Value::Null) => Ok(Mutex::new(setup.processes.clone())),
            Some(other) => Err(format!("--initial: a mutex starts free (null), found {other}")),
        }
    }
}

impl Model for Mutex {
    type State = Option<u32>;
    type Op = MutexOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<MutexOp>, IllFormed> {
        let (done, refused): (fn(u32) -> MutexOp, fn(u32) -> MutexOp) = match function(values, op)? {
            "acquire" => (MutexOp::Acquire, MutexOp::AcquireRefused),
            "release" => (MutexOp::Release, MutexOp::ReleaseRefused),
            f => return Err(unknown("acquire or release", f)),
        };
        Ok(match (op.outcome, op.applied) {
            (Outcome::Fail, _) => None,
            (Outcome::Ok, Applied::No) => Some(refused(op.process)),
            (Outcome::Ok, Applied::Unsaid | Applied::Yes) | (Outcome::Info, _) => Some(done(op.process)),
        })
    }

    fn exact(&self, ops: &[ObjOp<MutexOp>], stop: &AtomicBool) -> Option<Exact> {
        exact::mutex(ops, stop)
    }

    fn init(&self) -> Option<u32> {
        None
    }

    fn step(&self, state: &Option<u32>, op: MutexOp, out: &mut impl FnMut(Option<u32>)) {
        match op {
            MutexOp::Acquire(p) if state.is_none() => out(Some(p)),
            MutexOp::Release(p) if *state == Some(p) => out(None),
            MutexOp::AcquireRefused(_) if state.is_some() => out(*state),
            MutexOp::ReleaseRefused(p) if *state != Some(p) => out(*state),
            MutexOp::Acquire(_)
            | MutexOp::Release(_)
            | MutexOp::AcquireRefused(_)
            | MutexOp::ReleaseRefused(_) => {}
        }
    }

    fn is_pure(&self, op: MutexOp) -> bool {
        match op {
            MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => true,
            MutexOp::Acquire(_) | MutexOp::Release(_) => false,
        }
    }

    fn only_in(&self, op: MutexOp) -> Option<Option<u32>> {
        match op {
            MutexOp::Acquire(_) => Some(None),
            MutexOp::Release(p) => Some(Some(p)),
            MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => None,
        }
    }

    /// An acquire and the release that follows it in the same process can be left out together, and so can the last
    /// acquire of a process, and everything that a process did: the others then find the lock free where they found
    /// it free before. But not where that may have been who held the lock when a kept acquire was refused: between the
    /// invocation of an acquire and the return of its release. Where real time says nothing, a refused acquire no longer
    /// says anything once somebody is left out.
    fn project(&self, ops: &[ObjOp<MutexOp>], keep: &mut [bool], property: Property) -> Problem<Mutex> {
        let mut of_process: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
        for (i, op) in ops.iter().enumerate().filter(|(_, op)| !self.is_pure(op.op)) {
            of_process.entry(op.process).or_default().push(i);
        }
        let refused = Refused::new(ops, keep, property);
        // Processes do not meet here: their order is of no consequence.
        for mine in of_process.values() {
            refused.keep_holders(ops, mine, keep);
            if !mine.iter().any(|&i| keep[i]) {
                continue;
            }
            let mut rest = &mine[..];
            while let [first, after @ ..] = rest {
                let acquires = matches!(ops[*first].op, MutexOp::Acquire(_));
                match after {
                    [second, after @ ..] if acquires && matches!(ops[*second].op, MutexOp::Release(_)) => {
                        let either = keep[*first] || keep[*second];
                        (keep[*first], keep[*second]) = (either, either);
                        rest = after;
                    }
                    _ => {
                        keep[*first] |= !(acquires && after.is_empty());
                        rest = after;
                    }
                }
            }
        }
        let someone_left_out = ops.iter().zip(keep.iter()).any(|(op, kept)| !kept && !self.is_pure(op.op));
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                MutexOp::AcquireRefused(_) => *kept &= refused.in_time || !someone_left_out,
                MutexOp::ReleaseRefused(_) | MutexOp::Acquire(_) | MutexOp::Release(_) => {}
            }
        }
        Problem { model: self.clone(), ops: crate::model::kept(ops, keep) }
    }

    fn describe_op(&self, _: &Interner, op: MutexOp) -> String {
        match op {
            MutexOp::Acquire(_) => "acquire",
            MutexOp::Release(_) => "release",
            MutexOp::AcquireRefused(_) => "acquire refused",
            MutexOp::ReleaseRefused(_) => "release refused",
        }
        .to_string()
    }

    fn describe_state(&self, _: &Interner, state: &Option<u32>) -> String {
        match state {
            Some(p) => format!("held by {}", self.name(*p)),
            None => "free".to_string(),
        }
    }

    fn describe_conflict(&self, values: &Interner, state: &Option<u32>, op: MutexOp, object: &str) -> String {
        let state = self.describe_state(values, state);
        match op {
            MutexOp::Acquire(_) => format!("it got the lock, but {object} is {state}"),
            MutexOp::Release(_) => format!("it gave the lock back, but {object} is {state}"),
            MutexOp::AcquireRefused(_) => {
                format!("it was told that the lock is held, but {object} is {state}")
            }
            MutexOp::ReleaseRefused(_) => {
                format!("it was told that it does not hold the lock, but {object} is {state}")
            }
        }
    }
}
