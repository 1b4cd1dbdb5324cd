//! Cells whose every reader can be matched with its write: registers and keys, with cas, with unanswered operations.
//!
//! Which write a read saw is known where its value was written once, or where real time leaves one candidate alone
//! ([`sources`]). Then clusters and zones decide ([`clusters`]), exactly, with cas that succeeded and with operations
//! that were never answered: one that nobody saw can be left out, one that somebody saw must have happened.
//!
//! A comparison that failed without saying what it found is a negative reading, which zones cannot decide. An order of
//! everything else is made first, and each such comparison put into the first gap that allows it: an order if all fit.

use super::Exact;
use super::clusters::{Broken, Cluster, Clusters, INITIAL, NONE};
use super::evidence::Evidence;
use super::fatal::{Decision, decided};
use super::numbers::Numbers;
use super::refusals::put_in_gaps;
use super::sources::{self, FIRST, Sources};
use crate::model::Access;
use crate::problem::ObjOp;
use crate::sources::Sees;
use history::ValueId;
use std::sync::atomic::AtomicBool;

/// Decides the operations of a cell that starts with `initial`. `None` if a read has several candidates, or `access` says
/// of an operation that it is no access to a cell. O(n), and O(n log n) where it is violated.
pub(crate) fn cell<O: Copy>(
    ops: &[ObjOp<O>],
    stop: &AtomicBool,
    initial: Option<ValueId>,
    access: impl Fn(O) -> Option<Access> + Copy,
) -> Option<Exact> {
    matched(ops, initial, access, |method, decide| decided(method, ops, stop, decide))?
}

/// What [`cell`] says about all that is known, without the first fatal return. O(n).
pub(crate) fn whole_cell<O: Copy>(
    ops: &[ObjOp<O>],
    initial: Option<ValueId>,
    access: impl Fn(O) -> Option<Access> + Copy,
) -> Option<Decision> {
    matched(ops, initial, access, |_, decide| decide(u32::MAX))
}

/// Matches every read with its write, if there is one way only, and hands on what decides the history as of a rank.
fn matched<O: Copy, T>(
    ops: &[ObjOp<O>],
    initial: Option<ValueId>,
    access: impl Fn(O) -> Option<Access> + Copy,
    then: impl FnOnce(&'static str, &dyn Fn(u32) -> Decision) -> T,
) -> Option<T> {
    let numbers = Numbers::new(ops, access)?;
    let number = |_: usize, value: ValueId| numbers.of(value);
    let initial_cluster = initial.and_then(|value| numbers.find(value));
    let by_value = Cell {
        ops,
        access,
        seen: number,
        written: number,
        clusters: numbers.count,
        initial,
        initial_cluster,
    };
    if by_value.written_once() {
        return Some(then("zones", &|end| by_value.decide(end, |_| None)));
    }
    let Sources { seen, screens } = Sources::new(ops, initial, access)?;
    let by_write = Cell {
        ops,
        access,
        seen: |i: usize, _| seen[i],
        written: |i: usize, _| i as u32 + FIRST,
        clusters: ops.len() + FIRST as usize,
        initial,
        initial_cluster: Some(sources::INITIAL),
    };
    Some(then("zones, single candidates", &|end| by_write.decide(end, |i| screens.of(i))))
}

/// A history whose readings are matched with writes. Clusters are numbered by value or by write.
pub(crate) struct Cell<'a, O, A, S, W> {
    /// By invocation.
    pub(crate) ops: &'a [ObjOp<O>],
    /// What an operation does.
    pub(crate) access: A,
    /// The cluster that this operation saw, which saw this value.
    pub(crate) seen: S,
    /// The cluster that this operation made, which left this value.
    pub(crate) written: W,
    /// How many clusters there may be.
    pub(crate) clusters: usize,
    /// The value before the first operation.
    pub(crate) initial: Option<ValueId>,
    /// Its cluster.
    pub(crate) initial_cluster: Option<u32>,
}

impl<O, A, S, W> Cell<'_, O, A, S, W>
where
    O: Copy,
    A: Fn(O) -> Option<Access> + Copy,
    S: Fn(usize, ValueId) -> u32,
    W: Fn(usize, ValueId) -> u32,
{
    /// Whether no cluster is made twice.
    fn written_once(&self) -> bool {
        let mut made = vec![false; self.clusters];
        if let Some(c) = self.initial_cluster {
            made[c as usize] = true;
        }
        self.ops.iter().enumerate().all(|(i, op)| {
            let left = (self.access)(op.op).and_then(|access| access.leaves);
            left.is_none_or(|value| !std::mem::replace(&mut made[(self.written)(i, value) as usize], true))
        })
    }

    /// Decides what is known at `end`. `screen` names the write that hides from an operation all that came before it,
    /// where the match depends on it.
    pub(crate) fn decide(&self, end: u32, screen: impl Fn(u32) -> Option<u32>) -> Decision {
        let known = self.ops.partition_point(|op| op.invoke <= end);
        let ops = &self.ops[..known];
        let mut clusters = Clusters { all: vec![Cluster::NEW; self.clusters], initial: self.initial_cluster };
        let (order, refused) = match self.gather(ops, end, &mut clusters) {
            Ok(refused) => (clusters.order(), refused),
            Err(broken) => (Err(broken), Vec::new()),
        };
        match order {
            Ok(chains) => {
                let order = clusters.lay_out(&chains, ops, |i, op| self.place(i, op, end));
                if refused.is_empty() {
                    return Decision::Holds(order);
                }
                let left = |i: u32| (self.access)(ops[i as usize].op).and_then(|access| access.leaves);
                put_in_gaps(ops, &order, &refused, self.initial, left).map_or(Decision::Open, Decision::Holds)
            }
            Err(Broken::Unsure) => Decision::Open,
            Err(broken) => {
                let members = |i: usize| self.place(i, &ops[i], end);
                let evidence = Evidence { ops, end, clusters: &clusters, members, screen };
                Decision::Violated(evidence.core(broken))
            }
        }
    }

    /// The clusters, and the comparisons that failed without saying what they found, each with what it did not find.
    fn gather(
        &self,
        ops: &[ObjOp<O>],
        end: u32,
        clusters: &mut Clusters,
    ) -> Result<Vec<(u32, ValueId)>, Broken> {
        if let Some(initial) = self.initial_cluster {
            clusters.all[initial as usize].write = INITIAL;
        }
        let mut refused = Vec::new();
        // The writes are all needed, to show what is wrong.
        let mut linked = Ok(());
        // Never answered: what it made, and what it saw.
        let mut open: Vec<(u32, u32)> = Vec::new();
        for (i, op) in ops.iter().enumerate() {
            let answered = op.ret <= end && !op.indeterminate();
            let Some(access) = (self.access)(op.op) else { continue };
            let saw = match access.sees {
                Some(Sees::Is(value)) if answered || access.leaves.is_some() => (self.seen)(i, value),
                Some(Sees::IsNot(value)) if answered => {
                    refused.push((i as u32, value));
                    continue;
                }
                Some(Sees::Is(_) | Sees::IsNot(_)) => continue,
                None => NONE,
            };
            let Some(left) = access.leaves else {
                if saw != NONE {
                    let cluster = &mut clusters.all[saw as usize];
                    cluster.first_return = cluster.first_return.min(op.ret);
                    cluster.last_invoke = op.invoke;
                    cluster.size += 1;
                }
                continue;
            };
            let made = (self.written)(i, left);
            let cluster = &mut clusters.all[made as usize];
            cluster.write = i as u32;
            cluster.write_invoke = op.invoke;
            cluster.last_invoke = op.invoke;
            if !answered {
                open.push((made, saw));
                continue;
            }
            cluster.first_return = cluster.first_return.min(op.ret);
            cluster.size += 1;
            if saw != NONE {
                linked = linked.and(clusters.link(saw, made));
            }
        }
        linked?;
        clusters.take_open(&open)?;
        Ok(refused)
    }

    /// The cluster that an operation stands in, and whether it made it.
    fn place(&self, i: usize, op: &ObjOp<O>, end: u32) -> Option<(u32, bool)> {
        let access = (self.access)(op.op)?;
        match (access.leaves, access.sees) {
            (Some(left), _) => Some(((self.written)(i, left), true)),
            (None, Some(Sees::Is(value))) if op.ret <= end && !op.indeterminate() => {
                Some(((self.seen)(i, value), false))
            }
            (None, Some(Sees::Is(_) | Sees::IsNot(_)) | None) => None,
        }
    }
}
