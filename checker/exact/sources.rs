//! Which write did each read see, where values are written more than once?
//!
//! The last write before a read in a legal order is one that wrote the value, was invoked before the read returned, and
//! is not hidden: no answered write lies between the two in real time. Where every read has at most one such write, the
//! match is forced, whatever the order; where one has two, this method says nothing.
//!
//! ```text
//!   P0 |--write 1--|                |--write 1--|
//!   P1               |--write 2--|                             hides the first write 1
//!   P2                                 |--read → 1--|          saw the second, if anybody's
//! ```

use super::clusters::NONE;
use super::numbers::Numbers;
use super::ranks::by_rank;
use crate::model::Access;
use crate::problem::ObjOp;
use crate::sources::Sees;
use history::ValueId;

/// The cluster of what nobody can have written.
pub(crate) const UNWRITTEN: u32 = 0;

/// The cluster of the initial value. That of a write is the index of the write, from [`FIRST`] on.
pub(crate) const INITIAL: u32 = 1;

/// The cluster of the first operation.
pub(crate) const FIRST: u32 = 2;

/// An unanswered cas that may have seen several: it must not turn out to be needed.
pub(crate) const UNSURE: u32 = u32::MAX - 2;

/// Who saw whom.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Per operation, the cluster that it saw.
    pub(crate) seen: Vec<u32>,
    /// What hides earlier writes.
    pub(crate) screens: Screens,
}

/// Per operation, the latest write that was answered before it began.
#[derive(Debug)]
pub(crate) struct Screens(Vec<u32>);

impl Screens {
    /// Of this operation.
    pub(crate) fn of(&self, i: u32) -> Option<u32> {
        Some(self.0[i as usize]).filter(|&screen| screen != NONE)
    }
}

/// One value, while time passes.
#[derive(Clone, Copy)]
struct Written {
    /// The last of those writes of it that may not be hidden yet; the others follow by `link`.
    newest: u32,
    /// How many writes of it were invoked.
    invoked: u32,
    /// The last that was.
    last: u32,
}

impl Sources {
    /// Matches readings with writes; `None` as soon as one has several candidates. O(n).
    pub(crate) fn new<O: Copy>(
        ops: &[ObjOp<O>],
        initial: Option<ValueId>,
        access: impl Fn(O) -> Option<Access>,
    ) -> Option<Sources> {
        let numbers = Numbers::new(ops, &access)?;
        let answered = ops.iter().zip(0u32..).filter(|(op, _)| !op.indeterminate());
        let returns = by_rank(answered.map(|(op, i)| (op.ret, i)));
        let mut returns = returns.into_iter().peekable();
        let mut written = vec![Written { newest: NONE, invoked: 0, last: NONE }; numbers.count];
        // An older write that may not be hidden yet, of the same value.
        let mut link = vec![NONE; ops.len()];
        let initial_at = initial.and_then(|value| numbers.find(value));
        let mut sources = Sources { seen: vec![NONE; ops.len()], screens: Screens(vec![NONE; ops.len()]) };
        // How many writes of what it saw had been invoked when an operation was.
        let mut invoked = vec![0; ops.len()];
        let mut screen = NONE;
        let saw = |op: &ObjOp<O>| match access(op.op)?.sees {
            Some(Sees::Is(value)) => Some(value),
            Some(Sees::IsNot(_)) | None => None,
        };
        let leaves = |op: &ObjOp<O>| access(op.op).and_then(|access| access.leaves);
        let mut i = 0;
        while i < ops.len() || returns.peek().is_some() {
            let returned = returns.next_if(|&r| i == ops.len() || ops[r as usize].ret < ops[i].invoke);
            if let Some(r) = returned {
                let op = &ops[r as usize];
                if let Some(value) = saw(op) {
                    let late = written[numbers.of(value) as usize];
                    let found = sources.seen[r as usize];
                    sources.seen[r as usize] =
                        settle(found, late, invoked[r as usize], r, leaves(op) == Some(value))?;
                }
                if leaves(op).is_some() && (screen == NONE || ops[screen as usize].invoke < op.invoke) {
                    screen = r;
                }
                continue;
            }
            let op = &ops[i];
            sources.screens.0[i] = screen;
            if let Some(value) = saw(op) {
                let number = numbers.of(value);
                let of_value = &mut written[number as usize];
                invoked[i] = of_value.invoked;
                let mut alive = None;
                if screen == NONE && initial_at == Some(number) {
                    alive = Some(INITIAL);
                }
                let hidden = |w: u32| screen != NONE && ops[w as usize].ret < ops[screen as usize].invoke;
                let mut several = false;
                // Takes the hidden ones out of the list.
                let (mut before, mut at) = (NONE, of_value.newest);
                while at != NONE && !several {
                    let older = link[at as usize];
                    if hidden(at) {
                        if before == NONE {
                            of_value.newest = older;
                        } else {
                            link[before as usize] = older;
                        }
                    } else {
                        several = alive.replace(at + FIRST).is_some();
                        before = at;
                    }
                    at = older;
                }
                if several && !op.indeterminate() {
                    return None;
                }
                sources.seen[i] = if several { UNSURE } else { alive.unwrap_or(UNWRITTEN) };
            }
            if let Some(value) = leaves(op) {
                let of_value = &mut written[numbers.of(value) as usize];
                link[i] = of_value.newest;
                of_value.newest = i as u32;
                of_value.last = i as u32;
                of_value.invoked += 1;
            }
            i += 1;
        }
        for (i, op) in ops.iter().enumerate().filter(|(_, op)| op.indeterminate()) {
            if let (Some(value), true) = (saw(op), sources.seen[i] != UNSURE) {
                let late = written[numbers.of(value) as usize];
                let own = leaves(op) == Some(value);
                sources.seen[i] = settle(sources.seen[i], late, invoked[i], i as u32, own).unwrap_or(UNSURE);
            }
        }
        Some(sources)
    }
}

/// The one candidate of operation `i`, once it is over: `found` when it began, and whatever was invoked since.
fn settle(found: u32, late: Written, before: u32, i: u32, own: bool) -> Option<u32> {
    match (found, late.invoked - before - u32::from(own)) {
        (found, 0) => Some(found),
        (UNWRITTEN, 1) if late.last != i => Some(late.last + FIRST),
        (_, _) => None,
    }
}
