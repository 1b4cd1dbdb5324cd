//! Locks and what they guard: made along a legal order, a few answers then damaged.

use super::models::{along, damage};
use super::{Skeleton, acted, damaged, filled, histories};
use checker::lock::{Holder, Lock, LockOp};
use checker::mutex::{Mutex, MutexOp};
use checker::semaphore::{Semaphore, SemaphoreOp};
use checker::testing::Rng;
use checker::{Model, Problem};
use history::{NEVER, ValueId};

/// Which operations a history is made of.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Lock,
    Resource,
    Both,
}

/// The state after `op`, if it took effect.
fn after<M: Model>(rng: &mut Rng, model: &M, state: &mut M::State, op: M::Op) {
    let mut all = Vec::new();
    model.step(state, op, &mut |next| all.push(next));
    if !all.is_empty() {
        *state = all.swap_remove(rng.below(all.len()));
    }
}

fn lock(rng: &mut Rng, skeleton: Skeleton, part: Part) -> Problem<Lock> {
    let model = Lock::new(ValueId(0));
    let mut state = model.init();
    let (step, few, zombies, unheard) = (1 + rng.below(2), rng.once_in(3), 2 + rng.below(4), rng.once_in(2));
    let mut fresh = 0;
    let mut tokens: Vec<i64> = vec![1];
    let ops = skeleton.ops.clone();
    // When the last token was told.
    let mut told = 0;
    let problem = along(skeleton, model, |i, info, happens| {
        let guarded = match part {
            Part::Lock => false,
            Part::Resource => true,
            Part::Both => rng.once_in(2),
        };
        let last = tokens[tokens.len() - 1];
        let shown = if rng.once_in(zombies) { rng.pick(&tokens) } else { last };
        let refuses = state.seen > Some(shown);
        let op = if !guarded {
            let held = state.holder != Holder::Nobody;
            match rng.below(if held { 4 } else { 6 }) {
                0 | 4 | 5 if info && rng.once_in(2) && unheard => LockOp::AcquireUnheard,
                0 | 4 | 5 if info => return None,
                0 | 4 | 5 => LockOp::Acquire(state.granted.unwrap_or(0) + 1 + rng.below(step) as i64),
                1 if held && !info => LockOp::AcquireRefused,
                2 if !info && rng.once_in(4) => LockOp::ReleaseRefused(shown),
                // Nobody gives back what he was not given, or hardly.
                _ if ops[i].invoke < told && !rng.once_in(8) => return None,
                _ => LockOp::Release(shown),
            }
        } else {
            if part == Part::Resource && rng.once_in(3) {
                tokens.push(last + 1 + rng.below(step) as i64);
            }
            fresh += 1;
            match (rng.below(3), info) {
                (_, false) if refuses => LockOp::GuardRefused(shown),
                (0, false) => LockOp::Read(shown, state.value),
                (0, true) => LockOp::ReadUnheard(shown),
                _ => LockOp::Write(shown, ValueId(if few { rng.below(3) as u32 } else { fresh })),
            }
        };
        if happens {
            after(rng, &model, &mut state, op);
            if let LockOp::Acquire(t) = op {
                tokens.push(t);
                told = ops[i].ret;
            }
        }
        Some(op)
    });
    damage(problem, rng, |rng, op| {
        let near = |rng: &mut Rng, t: i64| t + rng.pick(&[-2, -1, 1, 2]);
        match op {
            LockOp::Acquire(_) if rng.once_in(3) => LockOp::AcquireRefused,
            LockOp::Acquire(t) => LockOp::Acquire(near(rng, t)),
            LockOp::Release(t) if rng.once_in(2) => LockOp::Release(near(rng, t)),
            LockOp::AcquireRefused | LockOp::Release(_) | LockOp::ReleaseRefused(_) => LockOp::AcquireRefused,
            LockOp::Read(t, _) if rng.once_in(2) => LockOp::Read(t, ValueId(rng.below(5) as u32)),
            LockOp::Read(t, v) if rng.once_in(2) => LockOp::Read(near(rng, t), v),
            LockOp::Write(t, v) if rng.once_in(2) => LockOp::Write(near(rng, t), v),
            LockOp::Read(t, _) | LockOp::Write(t, _) => LockOp::GuardRefused(t),
            LockOp::GuardRefused(t) if rng.once_in(2) => LockOp::GuardRefused(near(rng, t)),
            LockOp::GuardRefused(t) => LockOp::Write(t, ValueId(9)),
            LockOp::AcquireUnheard | LockOp::ReadUnheard(_) => op,
        }
    })
}

/// What is damaged may be what nobody was told: then nothing is.
fn unanswered_stays<M: Model>(problem: Problem<M>, is_refusal: impl Fn(M::Op) -> bool) -> Problem<M> {
    let Problem { model, mut ops } = problem;
    ops.retain(|op| !op.indeterminate() || !is_refusal(op.op));
    Problem { model, ops }
}

/// A lock, its resource, or both.
pub(super) fn any(rng: &mut Rng, skeleton: Skeleton) -> Problem<Lock> {
    let part = rng.pick(&[Part::Lock, Part::Resource, Part::Both]);
    lock(rng, skeleton, part)
}

fn locks(kind: &str, ops: usize, part: Part, most: u64) {
    let tally = histories(kind, 2000, ops, |rng, skeleton| {
        unanswered_stays(lock(rng, skeleton, part), |op| {
            matches!(
                op,
                LockOp::AcquireRefused
                    | LockOp::ReleaseRefused(_)
                    | LockOp::GuardRefused(_)
                    | LockOp::Acquire(_)
                    | LockOp::Read(..)
            )
        })
    });
    tally.was_decided_by("forced order", most);
}

#[test]
fn tokens_are_the_order_of_the_holders() {
    locks("lock alone", 11, Part::Lock, 14);
}

#[test]
fn what_a_lock_guards_is_a_register_in_a_time_of_its_own() {
    locks("guarded resource", 10, Part::Resource, 10);
}

#[test]
fn a_lock_and_what_it_guards_are_two_objects() {
    locks("lock and resource", 11, Part::Both, 10);
}

/// One in so many refusals is a lie; where that is 0, nobody is refused.
pub(super) fn mutex(rng: &mut Rng, skeleton: &Skeleton, lies: usize) -> Problem<Mutex> {
    let mut holder = None;
    let mut contents = acted(skeleton, |op, effect| {
        let p = op.process;
        let refusal = lies > 0 && !op.indeterminate() && rng.once_in(2);
        match holder {
            None if refusal && rng.once_in(lies) => Some(MutexOp::AcquireRefused(p)),
            Some(h) if refusal && h == p && rng.once_in(lies) => Some(MutexOp::ReleaseRefused(p)),
            None if refusal && rng.once_in(4) => Some(MutexOp::ReleaseRefused(p)),
            Some(h) if refusal && h != p && rng.once_in(6) => Some(MutexOp::ReleaseRefused(p)),
            Some(_) if refusal => Some(MutexOp::AcquireRefused(p)),
            None => {
                if effect {
                    holder = Some(p);
                }
                Some(MutexOp::Acquire(p))
            }
            Some(h) if h == p => {
                if effect {
                    holder = None;
                }
                Some(MutexOp::Release(p))
            }
            // It would have to wait.
            Some(_) if op.indeterminate() && !effect => Some(MutexOp::Acquire(p)),
            Some(_) => None,
        }
    });
    damaged(rng, &mut contents, |_, op| {
        *op = match *op {
            MutexOp::Acquire(p) => MutexOp::Release(p),
            MutexOp::Release(p) => MutexOp::Acquire(p),
            MutexOp::AcquireRefused(_) | MutexOp::ReleaseRefused(_) => *op,
        }
    });
    let mut ops = filled(&skeleton.ops, &contents);
    // Somebody's clock runs early: he was let in before the other was out.
    if rng.once_in(2) && ops.len() > 1 {
        let (i, j) = (rng.below(ops.len()), rng.below(ops.len()));
        if ops[i].process != ops[j].process {
            let (p, q) = (ops[i].process, ops[j].process);
            for op in &mut ops {
                op.process = if op.process == p {
                    q
                } else if op.process == q {
                    p
                } else {
                    op.process
                };
                op.op = match op.op {
                    MutexOp::Acquire(_) => MutexOp::Acquire(op.process),
                    MutexOp::Release(_) => MutexOp::Release(op.process),
                    MutexOp::AcquireRefused(_) => MutexOp::AcquireRefused(op.process),
                    MutexOp::ReleaseRefused(_) => MutexOp::ReleaseRefused(op.process),
                };
            }
        }
    }
    if rng.once_in(2) && ops.len() > 2 {
        // Two neighbouring events of different operations change places.
        let mut ranks: Vec<u32> =
            ops.iter().flat_map(|op| [op.invoke, op.ret]).filter(|&r| r != NEVER).collect();
        ranks.sort_unstable();
        let at = rng.below(ranks.len() - 1);
        let (a, b) = (ranks[at], ranks[at + 1]);
        // Not of one process, which has one open operation at a time.
        let whose =
            |rank: u32| ops.iter().find(|op| [op.invoke, op.ret].contains(&rank)).map(|op| op.process);
        if whose(a) != whose(b) {
            let other = |rank: u32| {
                if rank == a {
                    b
                } else if rank == b {
                    a
                } else {
                    rank
                }
            };
            for op in &mut ops {
                (op.invoke, op.ret) = (other(op.invoke), other(op.ret));
            }
            ops.sort_by_key(|op| op.invoke);
        }
    }
    Problem { model: Mutex::new((0..40).collect()), ops }
}

#[test]
fn a_mutex_is_decided_by_disjoint_intervals() {
    let tally = histories("mutex", 4_000, 14, |rng, skeleton| mutex(rng, &skeleton, 0));
    tally.was_decided_by("disjoint intervals", 20);
}

#[test]
fn who_was_refused_a_mutex_was_so_while_somebody_had_it() {
    let tally = histories("mutex, refused", 4_000, 12, |rng, skeleton| mutex(rng, &skeleton, 6));
    tally.was_decided_by("disjoint intervals", 10);
}

/// Up to three permits; one in so many answers is a lie, and one in so many that could be a refusal is one.
pub(super) fn semaphore(
    rng: &mut Rng,
    skeleton: &Skeleton,
    lies: usize,
    refusals: usize,
) -> Problem<Semaphore> {
    let permits = 1 + rng.below(3) as i64;
    let (mut out, ups) = (0, 4 + rng.below(3));
    let contents = acted(skeleton, |op, effect| {
        let up = rng.below(10) < ups;
        let lie = !op.indeterminate() && rng.once_in(lies);
        let refused = refusals > 0 && !op.indeterminate() && (lie || rng.once_in(refusals));
        let full = if up { out == permits } else { out == 0 };
        let (done, no) = match up {
            true => (SemaphoreOp::Acquire, SemaphoreOp::AcquireRefused),
            false => (SemaphoreOp::Release, SemaphoreOp::ReleaseRefused),
        };
        if full != lie {
            return (refused && (full || lie)).then_some(no);
        }
        if effect && !full {
            out += if up { 1 } else { -1 };
        }
        Some(done)
    });
    Problem { model: Semaphore::new(permits), ops: filled(&skeleton.ops, &contents) }
}

#[test]
fn permits_are_taken_and_given_back_as_late_as_can_be() {
    let tally = histories("semaphore", 3_000, 12, |rng, skeleton| semaphore(rng, &skeleton, 12, 0));
    tally.was_decided_by("lazy order", 20);
    let tally = histories("semaphore, refused", 3_000, 11, |rng, skeleton| semaphore(rng, &skeleton, 15, 2));
    tally.was_decided_by("lazy order", 40);
}
