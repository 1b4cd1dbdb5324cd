//! What a lock guards: a register that lets in whoever shows the largest token that it has seen, or a larger one.
//!
//! So tokens never go down in a legal order, and operations of one token stand together, in an order that is left open.
//! If real time agrees with the tokens ([`groups`](super::groups)), what is left is a register in a time of its own, in
//! which everything of one token is over before anything of the next begins:
//!
//! ```text
//!   token 1    |-- write a --|            real time    own time    |-- write a --|
//!   token 2          |-- write b --|                                               |-- write b --|
//! ```
//! There [`cell`](super::cell) decides. A write that was never answered must have happened if somebody read it, and can
//! be left out otherwise.
//!
//! Whoever was refused came after somebody with a larger token. He is put behind the first of them; if that is too late,
//! behind an operation that was not answered, if one fits. He proves a violation where nobody can have been first.

use super::cell::whole_cell;
use super::fatal::Decision;
use super::forced::{answered, known};
use super::holders::Timed;
use crate::lock::LockOp;
use crate::model::Access;
use crate::problem::ObjOp;
use crate::sources::Sees;
use history::{NEVER, ValueId};
use rustc_hash::FxHashMap;

/// An operation that must have happened, with its token.
#[derive(Clone, Copy, Debug)]
struct Member {
    token: i64,
    op: u32,
    /// Who read it, where that is why it must.
    because: Option<u32>,
}

/// What a member did with the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Read(ValueId),
    Write(ValueId),
}

/// What happens at one instant, in this order; operations of the resource in theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    LetIn(usize),
    /// One that was not answered and is needed for its token, by tokens.
    Shown(i64),
    Refused,
}

/// The operations on the resource as of `end`, each at an instant, in order. O(n log n).
///
/// # Errors
/// What speaks against it; that it cannot tell.
pub(crate) fn guarded(ops: &[ObjOp<LockOp>], initial: ValueId, end: u32) -> Result<Vec<Timed>, Decision> {
    let resource = Guarded::new(ops, initial, end)?;
    resource.tokens_keep_real_time()?;
    resource.refusals_are_possible()?;
    let order = resource.register()?;
    resource.with_refusals(&order)
}

#[derive(Debug)]
struct Guarded<'a> {
    ops: &'a [ObjOp<LockOp>],
    initial: ValueId,
    end: u32,
    /// By token, then by invocation.
    members: Vec<Member>,
    /// Not answered, and not needed for what was read: by token.
    open: Vec<(i64, u32)>,
    /// By token, the largest first.
    refused: Vec<(i64, u32)>,
}

/// The token that an operation shows and is let in with.
fn token(op: LockOp) -> Option<i64> {
    match op {
        LockOp::Read(t, _) | LockOp::ReadUnheard(t) | LockOp::Write(t, _) => Some(t),
        LockOp::Acquire(_)
        | LockOp::AcquireUnheard
        | LockOp::AcquireRefused
        | LockOp::Release(_)
        | LockOp::ReleaseRefused(_)
        | LockOp::GuardRefused(_) => None,
    }
}

impl<'a> Guarded<'a> {
    fn new(ops: &'a [ObjOp<LockOp>], initial: ValueId, end: u32) -> Result<Guarded<'a>, Decision> {
        let mut made =
            Guarded { ops, initial, end, members: Vec::new(), open: Vec::new(), refused: Vec::new() };
        let mut read: FxHashMap<ValueId, u32> = FxHashMap::default();
        let mut written: FxHashMap<ValueId, u32> = FxHashMap::default();
        for (i, op) in (0u32..).zip(ops).filter(|(_, op)| known(op, end)) {
            match op.op {
                LockOp::Read(_, v) if answered(op, end) => _ = read.entry(v).or_insert(i),
                LockOp::Write(_, v) => *written.entry(v).or_default() += 1,
                LockOp::GuardRefused(t) if answered(op, end) => made.refused.push((t, i)),
                _ => {}
            }
        }
        for (i, op) in (0u32..).zip(ops).filter(|(_, op)| known(op, end)) {
            let Some(token) = token(op.op) else { continue };
            let because = match op.op {
                _ if answered(op, end) => None,
                LockOp::Write(_, v) => read.get(&v).copied(),
                _ => None,
            };
            match (op.op, because) {
                _ if answered(op, end) => made.members.push(Member { token, op: i, because: None }),
                // Somebody else may have written what was read.
                (LockOp::Write(_, v), Some(_)) if v == initial || written[&v] > 1 => {
                    return Err(Decision::Open);
                }
                (_, Some(_)) => made.members.push(Member { token, op: i, because }),
                (_, None) => made.open.push((token, i)),
            }
        }
        made.members.sort_by_key(|member| member.token);
        made.open.sort_by_key(|&(token, _)| token);
        made.refused.sort_by_key(|&(token, _)| std::cmp::Reverse(token));
        Ok(made)
    }

    fn invoke(&self, i: u32) -> u32 {
        self.ops[i as usize].invoke
    }

    /// When it returned, as far as that is known.
    fn ret(&self, i: u32) -> u32 {
        let op = &self.ops[i as usize];
        if answered(op, self.end) { op.ret } else { NEVER }
    }

    fn violated(&self, members: &[Member], others: &[u32]) -> Decision {
        let mut core = others.to_vec();
        core.extend(members.iter().flat_map(|member| member.because.into_iter().chain([member.op])));
        Decision::Violated(core)
    }

    /// Whether nobody returned before somebody with a smaller token was invoked.
    fn tokens_keep_real_time(&self) -> Result<(), Decision> {
        // From the back: who returned first, in this group and in later ones.
        let (mut earliest, mut later): (Option<Member>, Option<Member>) = (None, None);
        let mut at = None;
        for member in self.members.iter().rev() {
            if at != Some(member.token) {
                (at, later) = (Some(member.token), earliest);
            }
            if let Some(later) = later.filter(|later| self.ret(later.op) < self.invoke(member.op)) {
                return Err(self.violated(&[*member, later], &[]));
            }
            if earliest.is_none_or(|earliest| self.ret(member.op) < self.ret(earliest.op)) {
                earliest = Some(*member);
            }
        }
        Ok(())
    }

    /// Whether everyone who was refused can have come after a larger token, as far as tokens and real time say.
    fn refusals_are_possible(&self) -> Result<(), Decision> {
        // Up to each member, who was invoked last.
        let mut last: Vec<Member> = Vec::with_capacity(self.members.len());
        for &member in &self.members {
            let before = last.last().copied();
            last.push(before.filter(|b| self.invoke(b.op) > self.invoke(member.op)).unwrap_or(member));
        }
        // Of each token, who was invoked first.
        let mut open = self.open.iter().rev().peekable();
        let (mut next_group, mut first_open) = (None, NEVER);
        for &(t, refused) in &self.refused {
            let returned = self.ret(refused);
            let next = self.members.partition_point(|member| member.token <= t);
            if let Some(late) = next.checked_sub(1).map(|at| last[at]) {
                if self.invoke(late.op) > returned {
                    return Err(self.violated(&[late], &[refused]));
                }
            }
            let group = self.members.get(next);
            if next_group != Some(next) {
                (next_group, first_open) = (Some(next), NEVER);
            }
            while let Some((token, i)) = open.next_if(|(token, _)| *token > t) {
                if group.is_none_or(|group| *token <= group.token) {
                    first_open = first_open.min(self.invoke(*i));
                }
            }
            // Sorted by invocation within a token.
            let first = group.map_or(NEVER, |group| self.invoke(group.op));
            if returned < first && returned < first_open {
                return Err(self.violated(group.map(std::slice::from_ref).unwrap_or(&[]), &[refused]));
            }
        }
        Ok(())
    }

    /// The members in the order of the register that they are in a time of their own.
    fn register(&self) -> Result<Vec<Member>, Decision> {
        // An event: the token, its rank, whether it is a return, and whose.
        let mut events: Vec<(i64, u32, bool, usize)> = Vec::with_capacity(2 * self.members.len());
        for (n, member) in self.members.iter().enumerate() {
            events.push((member.token, self.invoke(member.op), false, n));
            events.push((member.token, self.ret(member.op), true, n));
        }
        events.sort_unstable();
        let mut number = vec![0; self.members.len()];
        let mut own: Vec<ObjOp<Resource>> = Vec::with_capacity(self.members.len());
        for (rank, &(_, _, returns, n)) in (0u32..).zip(&events) {
            if returns {
                own[number[n] as usize].ret = rank;
                continue;
            }
            let op = &self.ops[self.members[n].op as usize];
            number[n] = own.len() as u32;
            let does = match op.op {
                LockOp::Read(_, v) => Resource::Read(v),
                LockOp::Write(_, v) => Resource::Write(v),
                _ => return Err(Decision::Open),
            };
            own.push(ObjOp { invoke: rank, ret: NEVER, source: n as u32, ..op.with(does) });
        }
        let access = |does| {
            Some(match does {
                Resource::Read(v) => Access { sees: Some(Sees::Is(v)), leaves: None },
                Resource::Write(v) => Access { sees: None, leaves: Some(v) },
            })
        };
        let member = |i: u32| self.members[own[i as usize].source as usize];
        match whole_cell(&own, Some(self.initial), access) {
            None | Some(Decision::Open) => Err(Decision::Open),
            Some(Decision::Holds(order)) => Ok(order.into_iter().map(member).collect()),
            Some(Decision::Violated(core)) => {
                let core: Vec<Member> = core.into_iter().map(member).collect();
                Err(self.violated(&core, &[]))
            }
        }
    }

    /// The order with those who were refused, and what is not answered where they need it.
    fn with_refusals(&self, order: &[Member]) -> Result<Vec<Timed>, Decision> {
        // Per member, the instant, and what the resource holds before it.
        let mut at: Vec<u32> = Vec::with_capacity(order.len());
        let mut holds = Vec::with_capacity(order.len() + 1);
        let (mut instant, mut value) = (0, self.initial);
        for member in order {
            instant = instant.max(self.invoke(member.op) + 1);
            at.push(instant);
            holds.push(value);
            if let LockOp::Write(_, v) = self.ops[member.op as usize].op {
                value = v;
            }
        }
        holds.push(value);
        let mut effects: Vec<(u32, At, u32)> =
            order.iter().zip(&at).enumerate().map(|(n, (m, &at))| (at, At::LetIn(n), m.op)).collect();
        for &(t, refused) in &self.refused {
            let (invoke, returned) = (self.invoke(refused), self.ret(refused));
            let next = order.partition_point(|member| member.token <= t);
            if let Some(&at) = at.get(next).filter(|at| **at <= returned) {
                effects.push((at.max(invoke + 1), At::Refused, refused));
                continue;
            }
            let from = self.open.partition_point(|&(token, _)| token <= t);
            let until = |token| order.get(next).is_none_or(|next| token <= next.token);
            let written = order.get(next).is_none_or(|next| self.writes(next.op));
            let fits = |i: u32| match self.ops[i as usize].op {
                LockOp::Read(_, v) => v == holds[next],
                LockOp::Write(..) => written,
                _ => true,
            };
            let candidates = self.open[from..].iter().take_while(|&&(token, _)| until(token));
            let shown = candidates.filter(|&&(_, i)| fits(i)).min_by_key(|&&(_, i)| self.invoke(i));
            let Some(&(token, shown)) = shown else { return Err(Decision::Open) };
            let after = next.checked_sub(1).map_or(0, |before| at[before]);
            let instant = after.max(self.invoke(shown) + 1);
            if instant > returned {
                return Err(Decision::Open);
            }
            effects.push((instant, At::Shown(token), shown));
            effects.push((instant.max(invoke + 1), At::Refused, refused));
        }
        effects.sort_unstable();
        effects.dedup();
        let effects: Vec<Timed> = effects.into_iter().map(|(at, _, i)| (at, i)).collect();
        if self.is_legal(&effects) { Ok(effects) } else { Err(Decision::Open) }
    }

    fn writes(&self, i: u32) -> bool {
        matches!(self.ops[i as usize].op, LockOp::Write(..))
    }

    /// Whether what was not answered stands where it can.
    fn is_legal(&self, effects: &[Timed]) -> bool {
        let (mut seen, mut value) = (None, self.initial);
        effects.iter().all(|&(_, i)| {
            let op = self.ops[i as usize].op;
            if let LockOp::GuardRefused(t) = op {
                return seen > Some(t);
            }
            let legal = token(op) >= seen && !matches!(op, LockOp::Read(_, v) if v != value);
            if let LockOp::Write(_, v) = op {
                value = v;
            }
            seen = token(op);
            legal
        })
    }
}
