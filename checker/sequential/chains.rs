//! A whole history as the program orders of its processes, all objects together.
//!
//! ```text
//!   P0  w x 1 ── r y 0 ── w x 2?        a chain; `?` = nobody knows whether it happened: it stays here, or never happens
//!   P1  w y 1 ── r x 0
//! ```
//! Real time is gone: the ranks that are left only say what to try first.

use crate::keyed::Keyed;
use crate::model::Model;
use crate::problem::Problem;
use std::ops::Range;

/// An operation in its chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainOp<O> {
    /// What it did.
    pub op: O,
    /// Dense number of the object that it did it to.
    pub object: u32,
    /// Dense number of its process.
    pub process: u32,
    /// Whether nobody knows if it happened.
    pub maybe: bool,
    /// Rank of the return, or of the invocation if it never returned: what to try first.
    pub hint: u32,
    /// Rank of the invocation.
    pub invoke: u32,
    /// Index in `History::ops`.
    pub source: u32,
}

/// Program orders. Operations are numbered process by process, so that the next one of a process is the next number.
#[derive(Clone, Debug)]
pub(crate) struct Chains<O> {
    /// The operations of process 0 in program order, then those of process 1 …
    pub ops: Vec<ChainOp<O>>,
    /// Where each process begins in `ops`, and the end.
    pub start: Vec<u32>,
    /// How many objects there are.
    pub objects: u32,
}

impl<O: Copy> Chains<O> {
    /// Groups the operations of a history by process. O(n + processes).
    pub fn new<M: Model<Op = O>>(problem: &Problem<Keyed<M>>) -> Chains<O> {
        assert!(
            problem.ops.is_sorted_by_key(|op| op.invoke),
            "operations come in the order of their invocations"
        );
        let mut dense: Vec<u32> = Vec::new();
        let mut sizes: Vec<u32> = Vec::new();
        for op in &problem.ops {
            let process = op.process as usize;
            if dense.len() <= process {
                dense.resize(process + 1, u32::MAX);
            }
            if dense[process] == u32::MAX {
                dense[process] = sizes.len() as u32;
                sizes.push(0);
            }
            sizes[dense[process] as usize] += 1;
        }
        let mut start = vec![0];
        let mut total = 0;
        for size in &sizes {
            total += size;
            start.push(total);
        }
        let mut next = start.clone();
        let mut placed: Vec<Option<ChainOp<O>>> = vec![None; total as usize];
        for op in &problem.ops {
            let process = dense[op.process as usize];
            let at = &mut next[process as usize];
            placed[*at as usize] = Some(ChainOp {
                op: op.op.op,
                object: op.op.object,
                process,
                maybe: op.indeterminate(),
                hint: if op.indeterminate() { op.invoke } else { op.ret },
                invoke: op.invoke,
                source: op.source,
            });
            *at += 1;
        }
        let objects = problem.model.objects.len() as u32;
        Chains { ops: placed.into_iter().flatten().collect(), start, objects }
    }

    /// The same chains without the operations for which `keep` says no.
    pub fn retain(&self, keep: impl Fn(u32) -> bool) -> Chains<O> {
        let mut ops = Vec::with_capacity(self.ops.len());
        let mut start = vec![0];
        for p in 0..self.processes() {
            ops.extend(self.chain(p).filter(|&i| keep(i)).map(|i| self.ops[i as usize]));
            start.push(ops.len() as u32);
        }
        Chains { ops, start, objects: self.objects }
    }

    /// How many processes there are.
    pub fn processes(&self) -> u32 {
        self.start.len() as u32 - 1
    }

    /// The numbers of the operations of process `p`, in program order.
    pub fn chain(&self, p: u32) -> Range<u32> {
        self.start[p as usize]..self.start[p as usize + 1]
    }

    /// Sources of the numbered operations.
    pub fn sources(&self, order: &[u32]) -> Vec<u32> {
        order.iter().map(|&i| self.ops[i as usize].source).collect()
    }
}
