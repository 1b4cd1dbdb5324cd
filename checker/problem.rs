//! One object and the operations on it, decoded: what every search, oracle and verifier works on.

use crate::model::Model;

/// A decoded operation with its place in real time and in its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjOp<O> {
    /// Rank of the invocation.
    pub invoke: u32,
    /// Rank of the return; [`history::NEVER`] if it is indeterminate and may be left out.
    pub ret: u32,
    /// Dense process number; operations of one process are in program order by `invoke`.
    pub process: u32,
    /// Index in [`history::History::ops`].
    pub source: u32,
    /// What it did.
    pub op: O,
}

impl<O> ObjOp<O> {
    /// Whether nobody knows if it happened.
    pub fn indeterminate(&self) -> bool {
        self.ret == history::NEVER
    }

    /// The same place in the history, with another operation.
    pub fn with<P>(&self, op: P) -> ObjOp<P> {
        ObjOp { invoke: self.invoke, ret: self.ret, process: self.process, source: self.source, op }
    }
}

/// A model and the operations to order, by invocation.
#[derive(Clone, Debug)]
pub struct Problem<M: Model> {
    /// The specification.
    pub model: M,
    /// The operations in the order of their invocations.
    pub ops: Vec<ObjOp<M::Op>>,
}
