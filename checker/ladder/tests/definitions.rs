//! The definitions of `docs/properties.md`, word for word, by trying every order: what the ladder is held against.

use crate::ladder::rung::Rung;

/// A read or a write of a tiny history. Operations of a session are in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Op {
    pub session: u32,
    pub key: u32,
    pub does: Does,
    pub invoke: u32,
    pub ret: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Write,
    /// Of what the operation of that index wrote; `None`: of the initial value.
    Read(Option<usize>),
}

/// A tiny history.
pub(super) type Ops = [Op];

/// Whether it has the rung.
pub(super) fn has(ops: &Ops, rung: Rung) -> bool {
    match rung {
        Rung::Linearizable => one_order(ops, &all(ops), &|i, j| ops[i].ret < ops[j].invoke),
        Rung::Sequential => one_order(ops, &all(ops), &|i, j| session(ops, i, j)),
        Rung::Coherence => (0..2).all(|key| {
            let mine: Vec<usize> = all(ops).into_iter().filter(|&i| ops[i].key == key).collect();
            one_order(ops, &mine, &|i, j| session(ops, i, j))
        }),
        Rung::Regular => (0..2).all(|key| regular(ops, key)),
        Rung::Pram => (0..3).all(|p| one_order(ops, &view(ops, p), &|i, j| session(ops, i, j))),
        Rung::CausalMemory => causality(ops)
            .is_some_and(|before| (0..3).all(|p| one_order(ops, &view(ops, p), &|i, j| before[i][j]))),
        Rung::Causal => causality(ops).is_some_and(|before| {
            reads(ops).all(|(r, _)| {
                // The writes that it could know of, and the read.
                let past: Vec<usize> =
                    all(ops).into_iter().filter(|&i| i == r || (is_write(ops, i) && before[i][r])).collect();
                one_order(ops, &past, &|i, j| before[i][j])
            })
        }),
        Rung::CausalConvergence => causality(ops).is_some_and(|before| {
            let writes: Vec<usize> = all(ops).into_iter().filter(|&i| is_write(ops, i)).collect();
            some_order(&writes, &|i, j| before[i][j], &mut |order| {
                reads(ops).all(|(r, from)| {
                    let mut known = order.iter().filter(|&&w| ops[w].key == ops[r].key && before[w][r]);
                    known.next_back().copied() == from
                })
            })
        }),
        Rung::ReadYourWrites => versions(ops, &|place, i, j| match (ops[i].does, ops[j].does) {
            (Does::Write, Does::Read(_)) => place(i) <= place(j),
            (Does::Write, Does::Write) => place(i) < place(j),
            _ => true,
        }),
        Rung::MonotonicReads => versions(ops, &|place, i, j| match (ops[i].does, ops[j].does) {
            (Does::Read(_), Does::Read(_)) => place(i) <= place(j),
            _ => true,
        }),
        Rung::MonotonicWrites => versions(ops, &|place, i, j| match (ops[i].does, ops[j].does) {
            (Does::Read(_), Does::Read(_)) => place(i) <= place(j),
            (Does::Write, Does::Write) => place(i) < place(j),
            _ => true,
        }),
        Rung::WritesFollowReads => versions(ops, &|place, i, j| match (ops[i].does, ops[j].does) {
            (Does::Read(_), Does::Read(_)) => place(i) <= place(j),
            (Does::Read(_), Does::Write) => place(i) < place(j),
            _ => true,
        }),
    }
}

/// The rungs that it has.
pub(super) fn held(ops: &Ops) -> Vec<Rung> {
    Rung::all().into_iter().filter(|&rung| has(ops, rung)).collect()
}

fn all(ops: &Ops) -> Vec<usize> {
    (0..ops.len()).collect()
}

fn is_write(ops: &Ops, i: usize) -> bool {
    ops[i].does == Does::Write
}

fn reads(ops: &Ops) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
    ops.iter().enumerate().filter_map(|(i, op)| match op.does {
        Does::Read(from) => Some((i, from)),
        Does::Write => None,
    })
}

fn session(ops: &Ops, i: usize, j: usize) -> bool {
    ops[i].session == ops[j].session && i < j
}

/// All writes, and the reads of session `p`.
fn view(ops: &Ops, p: u32) -> Vec<usize> {
    all(ops).into_iter().filter(|&i| is_write(ops, i) || ops[i].session == p).collect()
}

/// Sessions and sources, closed; `None` if something causes itself.
fn causality(ops: &Ops) -> Option<Vec<Vec<bool>>> {
    let n = ops.len();
    let mut before = vec![vec![false; n]; n];
    for (i, row) in before.iter_mut().enumerate() {
        for (j, known) in row.iter_mut().enumerate() {
            *known = session(ops, i, j) || ops[j].does == Does::Read(Some(i));
        }
    }
    for k in 0..n {
        for i in 0..n {
            for j in 0..n {
                before[i][j] |= before[i][k] && before[k][j];
            }
        }
    }
    (0..n).all(|i| !before[i][i]).then_some(before)
}

/// Calls `accept` with every order of `of` that keeps `before`, until it says yes.
fn some_order(
    of: &[usize],
    before: &dyn Fn(usize, usize) -> bool,
    accept: &mut dyn FnMut(&[usize]) -> bool,
) -> bool {
    fn extend(
        of: &[usize],
        order: &mut Vec<usize>,
        before: &dyn Fn(usize, usize) -> bool,
        accept: &mut dyn FnMut(&[usize]) -> bool,
    ) -> bool {
        if order.len() == of.len() {
            return accept(order);
        }
        for &i in of {
            let missing = |&&j: &&usize| j != i && before(j, i) && !order.contains(&j);
            if order.contains(&i) || of.iter().any(|j| missing(&j)) {
                continue;
            }
            order.push(i);
            if extend(of, order, before, accept) {
                return true;
            }
            order.pop();
        }
        false
    }
    extend(of, &mut Vec::new(), before, accept)
}

/// Whether `of` have an order that keeps `before`, in which each read saw the last write to its key.
fn one_order(ops: &Ops, of: &[usize], before: &dyn Fn(usize, usize) -> bool) -> bool {
    some_order(of, before, &mut |order| {
        order.iter().enumerate().all(|(at, &i)| match ops[i].does {
            Does::Write => true,
            Does::Read(from) => {
                let last = order[..at].iter().rev().find(|&&j| is_write(ops, j) && ops[j].key == ops[i].key);
                last.copied() == from
            }
        })
    })
}

/// Whether the writes to a key have an order that keeps real time, into which each read alone fits.
fn regular(ops: &Ops, key: u32) -> bool {
    let real_time = |i: usize, j: usize| ops[i].ret < ops[j].invoke;
    let mine = |i: &usize| ops[*i].key == key && is_write(ops, *i);
    let writes: Vec<usize> = all(ops).into_iter().filter(mine).collect();
    some_order(&writes, &real_time, &mut |order| {
        reads(ops).filter(|(r, _)| ops[*r].key == key).all(|(r, from)| {
            (0..=order.len()).any(|at| {
                let (earlier, later) = order.split_at(at);
                earlier.last().copied() == from
                    && earlier.iter().all(|&w| !real_time(r, w))
                    && later.iter().all(|&w| !real_time(w, r))
            })
        })
    })
}

/// Whether each key has an order of its versions (the initial one first) in which all pairs of one session are as `fine`
/// says; it is told the place of the version that an operation wrote or saw.
fn versions(ops: &Ops, fine: &dyn Fn(&dyn Fn(usize) -> usize, usize, usize) -> bool) -> bool {
    (0..2).all(|key| {
        let mine: Vec<usize> = all(ops).into_iter().filter(|&i| ops[i].key == key).collect();
        let writes: Vec<usize> = mine.iter().copied().filter(|&i| is_write(ops, i)).collect();
        some_order(&writes, &|_, _| false, &mut |order| {
            let place = |i: usize| {
                let version = match ops[i].does {
                    Does::Write => Some(i),
                    Does::Read(from) => from,
                };
                version.map_or(0, |w| 1 + order.iter().position(|&o| o == w).expect("a write of this key"))
            };
            mine.iter().all(|&i| mine.iter().all(|&j| !session(ops, i, j) || fine(&place, i, j)))
        })
    })
}
