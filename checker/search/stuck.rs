//! Where a search that gave up was stuck, and what makes it hard there: for whoever must decide whether to go on.

use crate::model::Model;
use crate::problem::Problem;
use rustc_hash::FxHashSet;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

/// Where a search stood when its budget ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Operations that the deepest order places: all that returned before `awaited`, and perhaps a few more.
    pub placed: u32,
    /// Operations that returned.
    pub of: u32,
    /// The operation whose return no order was seen to reach, as an index into [`history::History::ops`]; `None` if all
    /// were reached, or none was looked at.
    pub awaited: Option<u32>,
    /// The stuck frontier: operations that are open at that return, itself first, by their returns. The same indices.
    pub open: Vec<u32>,
    /// Operations that were never answered and were invoked before it: each may have taken effect at any time since.
    pub unanswered: u32,
    /// Operations that are open at once where there are most of them.
    pub width: u32,
    /// Operations that differ in what they did.
    pub distinct: u32,
    /// Configurations that were visited.
    pub states: u64,
    /// Where processes are put in order and not returns: what is next of each that is not done, what cannot come first.
    pub waiting: Vec<Waiting>,
}

/// A process that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its next operation, as an index into [`history::History::ops`].
    pub op: u32,
    /// Operations of it that returned and stand in the order.
    pub done: u32,
    /// Operations of it that returned.
    pub of: u32,
    /// Why that cannot come next, in words.
    pub why: String,
}

/// Open operations that a sentence names.
const NAMED: usize = 8;

/// Processes of which a sentence says what they wait for.
const PROCESSES_NAMED: usize = 4;

impl Stuck {
    /// In one sentence, where `name` says how to call an operation.
    pub fn describe(&self, name: impl Fn(u32) -> String) -> String {
        if !self.waiting.is_empty() {
            return self.of_processes(name);
        }
        let mut text = format!("{} of {} operations have an order", self.placed, self.of);
        if let Some(awaited) = self.awaited {
            text += &format!("; none was found for {}", name(awaited));
            let beside: Vec<String> = self.open.iter().skip(1).take(NAMED).map(|&op| name(op)).collect();
            match self.open.len() - 1 - beside.len() {
                0 if beside.is_empty() => {}
                0 => text += &format!(", with {} open beside it", beside.join(", ")),
                more => text += &format!(", with {} and {more} more open beside it", beside.join(", ")),
            }
        }
        text += &format!("; up to {} operations are open at once", self.width);
        if self.unanswered > 0 {
            text += &format!(", {} before it were never answered", self.unanswered);
        }
        text + &format!(", and {} of them differ", self.distinct)
    }
}

impl Stuck {
    /// How far each process came, and what it waits for.
    fn of_processes(&self, name: impl Fn(u32) -> String) -> String {
        let mut text = format!(
            "{} of {} operations have an order; no way on was found from there",
            self.placed, self.of
        );
        for waiting in self.waiting.iter().take(PROCESSES_NAMED) {
            let Waiting { op, done, of, why } = waiting;
            text += &format!("; next is {}, after {done} of {of}: {why}", name(*op));
        }
        match self.waiting.len().saturating_sub(PROCESSES_NAMED) {
            0 => {}
            1 => text += "; and 1 more process is not done",
            more => text += &format!("; and {more} more processes are not done"),
        }
        if self.unanswered > 0 {
            text += &format!("; {} operations were never answered", self.unanswered);
        }
        text
    }
}

impl fmt::Display for Stuck {
    /// Operations are called by their number in the history.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|op| format!("#{op}")))
    }
}

/// Where a search of `problem` stands whose orders reach all returns before the one with this number, after so many
/// configurations. O(n log width).
pub(crate) fn stuck_at<M: Model>(problem: &Problem<M>, layer: u32, states: u64) -> Stuck {
    let returned = || problem.ops.iter().filter(|op| !op.indeterminate());
    let mut open = BinaryHeap::new();
    let mut width = 0;
    for op in returned() {
        while open.peek().is_some_and(|&Reverse(ret)| ret < op.invoke) {
            open.pop();
        }
        open.push(Reverse(op.ret));
        width = width.max(open.len() as u32);
    }
    let mut returns: Vec<u32> = returned().map(|op| op.ret).collect();
    let of = returns.len() as u32;
    let reached = layer as usize;
    let end = (reached < returns.len()).then(|| *returns.select_nth_unstable(reached).1);
    let mut frontier: Vec<(u32, u32)> = returned()
        .filter(|op| end.is_some_and(|end| op.invoke <= end && end <= op.ret))
        .map(|op| (op.ret, op.source))
        .collect();
    frontier.sort_unstable();
    let before = |invoke: u32| end.is_none_or(|end| invoke < end);
    let unanswered = problem.ops.iter().filter(|op| op.indeterminate() && before(op.invoke)).count();
    Stuck {
        placed: layer.min(of),
        of,
        awaited: frontier.first().map(|&(_, source)| source),
        open: frontier.into_iter().map(|(_, source)| source).collect(),
        unanswered: unanswered as u32,
        width,
        distinct: problem.ops.iter().map(|op| op.op).collect::<FxHashSet<M::Op>>().len() as u32,
        states,
        waiting: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ObjOp;
    use crate::register::{Register, RegisterOp};
    use crate::spec::{FailedCas, NilRead};
    use history::{NEVER, ValueId};

    #[test]
    fn a_search_says_where_it_is_stuck_and_what_is_open_there() {
        //   #10 |--|
        //   #11   |------|
        //   #12     |?
        //   #13       |------|
        let op = |source, invoke, ret, value| {
            let op = RegisterOp::Write(ValueId(value));
            ObjOp { invoke, ret, process: source, source, op }
        };
        let ops = vec![op(10, 0, 2, 1), op(11, 1, 5, 1), op(12, 3, NEVER, 2), op(13, 4, 6, 1)];
        let model = Register::new(ValueId::NULL, false, FailedCas::Drop, NilRead::Observe);
        let stuck = stuck_at(&Problem { model, ops }, 1, 99);
        let expected = Stuck {
            placed: 1,
            of: 3,
            awaited: Some(11),
            open: vec![11, 13],
            unanswered: 1,
            width: 2,
            distinct: 2,
            states: 99,
            waiting: Vec::new(),
        };
        assert_eq!(stuck, expected);
        assert_eq!(
            stuck.to_string(),
            "1 of 3 operations have an order; none was found for #11, with #13 open beside it; up to 2 operations are \
             open at once, 1 before it were never answered, and 2 of them differ"
        );
    }
}
