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

    /// The objects that some operation is on, ascending.
    pub fn objects_touched(&self) -> Vec<u32> {
        let mut touched: Vec<u32> = self.ops.iter().map(|op| op.object).collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Splits into chains that share neither processes nor objects. O(n α(n)).
    pub fn parts(self) -> Vec<Chains<O>> {
        let processes = self.processes();
        let mut parent: Vec<u32> = (0..processes + self.objects).collect();
        for op in &self.ops {
            let (a, b) = (root(&mut parent, op.process), root(&mut parent, processes + op.object));
            parent[a.max(b) as usize] = a.min(b);
        }
        // The root is the smallest process of a part, as each part has a process.
        let part_of: Vec<u32> = (0..processes).map(|p| root(&mut parent, p)).collect();
        if part_of.iter().all(|&part| part == 0) {
            return vec![self];
        }
        let mut parts: Vec<Chains<O>> = Vec::new();
        let mut number = vec![u32::MAX; processes as usize];
        for p in 0..processes {
            let part = &mut number[part_of[p as usize] as usize];
            if *part == u32::MAX {
                *part = parts.len() as u32;
                parts.push(Chains { ops: Vec::new(), start: vec![0], objects: self.objects });
            }
            let part = &mut parts[*part as usize];
            let process = part.processes();
            part.ops.extend(self.chain(p).map(|i| ChainOp { process, ..self.ops[i as usize] }));
            part.start.push(part.ops.len() as u32);
        }
        parts
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

fn root(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        parent[i as usize] = parent[parent[i as usize] as usize];
        i = parent[i as usize];
    }
    i
}
