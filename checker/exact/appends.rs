//! Strings that are put and appended to: what was read tells which piece stands behind which.
//!
//! An append whose piece somebody read is a cas from the piece before it to its own, a put is a write, and a read sees the
//! last piece of what it got. So this is a cell with chains ([`cell`](super::cell())), each begun by a put or by the empty
//! string. An append whose piece nobody read stands wherever nobody reads before the next put: between two chains, where
//! a write that nobody saw may stand.

use super::Exact;
use super::cell::Cell;
use super::clusters::NONE;
use super::fatal::{Decision, decided};
use crate::kv::KvOp;
use crate::model::Access;
use crate::problem::ObjOp;
use crate::sources::Sees;
use history::ValueId;
use std::sync::atomic::AtomicBool;

/// What the strings of a key are made of. Strings have numbers, and so have the pieces among them.
#[derive(Debug)]
pub(crate) struct Text {
    /// Per string that was read, its pieces; `None` stands for one that nobody wrote.
    pub(crate) read: Vec<Vec<Option<u32>>>,
    /// How many strings there are.
    pub(crate) strings: u32,
}

/// Decides a string that is empty at first, where each piece is written by one operation. O(n and the length of what was
/// read), and O(log n) times that where it is violated.
pub(crate) fn appends(text: &Text, ops: &[ObjOp<KvOp>], stop: &AtomicBool) -> Option<Exact> {
    let mut writer = vec![NONE; text.strings as usize];
    for (i, op) in ops.iter().enumerate() {
        if let KvOp::Put(p) | KvOp::Append(p) = op.op {
            writer[p as usize] = i as u32;
        }
    }
    decided("chains of appends", ops, stop, |end| decide(text, ops, &writer, end))
}

/// What is known about a piece.
#[derive(Clone, Copy)]
struct Behind {
    /// The piece that it stands behind.
    what: u32,
    /// Who read that first.
    told: u32,
}

fn decide(text: &Text, ops: &[ObjOp<KvOp>], writer: &[u32], end: u32) -> Decision {
    let ops = &ops[..ops.partition_point(|op| op.invoke <= end)];
    let answered = |op: &ObjOp<KvOp>| op.ret <= end && !op.indeterminate();
    let mut first_reader = vec![NONE; text.strings as usize];
    for (i, op) in ops.iter().enumerate().filter(|(_, op)| answered(op)) {
        if let KvOp::Get(s) = op.op {
            let first = &mut first_reader[s as usize];
            if *first == NONE || op.ret < ops[*first as usize].ret {
                *first = i as u32;
            }
        }
    }
    let empty = text.strings;
    let mut behind = vec![Behind { what: NONE, told: NONE }; text.strings as usize];
    for (s, &reader) in first_reader.iter().enumerate().filter(|(_, reader)| **reader != NONE) {
        let mut before = empty;
        for &piece in &text.read[s] {
            // Written by nobody, or not yet.
            let known = piece.filter(|&p| (writer[p as usize] as usize) < ops.len());
            let Some(p) = known else { return Decision::Violated(vec![reader]) };
            let by = writer[p as usize];
            match ops[by as usize].op {
                KvOp::Put(_) if before == empty => {}
                // Nothing stands before what was put.
                KvOp::Put(_) => return Decision::Violated(vec![reader, writer[before as usize], by]),
                KvOp::Append(_) | KvOp::Get(_) => {
                    let known = &mut behind[p as usize];
                    if known.what == NONE {
                        *known = Behind { what: before, told: reader };
                    } else if known.what != before {
                        let mut core = vec![reader, known.told, by];
                        let others = [before, known.what].into_iter().filter(|&b| b != empty);
                        core.extend(others.map(|b| writer[b as usize]));
                        return Decision::Violated(core);
                    } else if ops[reader as usize].ret < ops[known.told as usize].ret {
                        known.told = reader;
                    }
                }
            }
            before = p;
        }
    }
    let access = |op: KvOp| match op {
        KvOp::Get(s) => {
            let last = text.read[s as usize].last().map_or(Some(empty), |&last| last);
            Access { sees: last.map(|last| Sees::Is(ValueId(last))), leaves: None }
        }
        KvOp::Put(p) => Access { sees: None, leaves: Some(ValueId(p)) },
        KvOp::Append(p) => {
            let what = Some(behind[p as usize].what).filter(|&what| what != NONE);
            Access { sees: what.map(|what| Sees::Is(ValueId(what))), leaves: Some(ValueId(p)) }
        }
    };
    let number = |_: usize, value: ValueId| value.0;
    let cell = Cell {
        ops,
        access: |op| Some(access(op)),
        seen: number,
        written: number,
        clusters: text.strings as usize + 1,
        initial: Some(ValueId(empty)),
        initial_cluster: Some(empty),
    };
    cell.decide(end, |i| match ops[i as usize].op {
        KvOp::Append(p) => Some(behind[p as usize].told).filter(|&told| told != NONE),
        KvOp::Get(_) | KvOp::Put(_) => None,
    })
}
