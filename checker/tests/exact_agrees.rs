//! Every exact method against the oracle, on random small histories that aim at its traps: reads before their write,
//! unanswered writes that are read or not, the initial value, refusals, and one damage in two histories.
//!
//! Verdict and fatal return must be the oracle's, the order must be an order, and the core must show the violation by
//! itself. By default a few thousand histories for each kind; with `PERJURY_LONG=1` a million and more (`PERJURY_FUZZ`
//! says how many, `PERJURY_SEED` from where): `PERJURY_LONG=1 cargo test --release -p perjury-checker --test
//! exact_agrees -- --nocapture`.

use checker::certify::refute;
use checker::core::shrink_from;
use checker::exact::Finding;
use checker::register::{Register, RegisterOp};
use checker::testing::Rng;
use checker::{Budget, FailedCas, Model, NilRead, ObjOp, Problem, Property, oracle, search};
use history::{NEVER, ValueId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// When operations began and ended, and in which order they took effect.
struct Skeleton {
    /// Without contents.
    ops: Vec<ObjOp<()>>,
    /// Those that took effect, first to last. An unanswered one may be missing.
    effects: Vec<usize>,
}

/// At most `n` operations on a few workers; one that is never answered takes effect later, or never.
fn skeleton(rng: &mut Rng, n: usize) -> Skeleton {
    let n = 2 + rng.below(n - 1);
    let crash = rng.pick(&[0, 0, 3, 6]);
    let workers = 2 + rng.below(4);
    let mut made = Skeleton { ops: Vec::new(), effects: Vec::new() };
    let (mut rank, mut processes) = (0, workers as u32);
    // Worker: its process, its open operation, and whether that took effect.
    let mut open: Vec<(u32, Option<(usize, bool)>)> = (0..processes).map(|p| (p, None)).collect();
    let mut pending: Vec<usize> = Vec::new();
    while made.ops.len() < n || open.iter().any(|(_, op)| op.is_some()) {
        let at = rng.below(workers);
        let (process, op) = open[at];
        match op {
            None if made.ops.len() < n => {
                let source = made.ops.len() as u32;
                made.ops.push(ObjOp { invoke: rank, ret: NEVER, process, source, op: () });
                open[at].1 = Some((source as usize, false));
                rank += 1;
            }
            None => {}
            Some((op, false)) if crash > 0 && rng.once_in(crash) => {
                pending.push(op);
                open[at] = (processes, None);
                processes += 1;
            }
            Some((op, false)) => {
                made.effects.push(op);
                open[at].1 = Some((op, true));
            }
            Some((op, true)) => {
                made.ops[op].ret = rank;
                rank += 1;
                open[at].1 = None;
            }
        }
        if !pending.is_empty() && rng.once_in(4) {
            made.effects.push(pending.swap_remove(rng.below(pending.len())));
        }
    }
    made
}

/// What one kind of history showed.
#[derive(Default)]
struct Tally {
    /// Histories by method (`None`: left to the search) and verdict.
    seen: BTreeMap<(&'static str, bool), u64>,
}

impl Tally {
    /// Asks the exact method, and holds its answer against the oracle.
    fn compare<M: Model>(&mut self, problem: &Problem<M>) {
        let truth = oracle::linearizable(problem);
        let Some(exact) = problem.model.exact(&problem.ops) else {
            *self.seen.entry(("search", truth)).or_default() += 1;
            return;
        };
        *self.seen.entry((exact.method, truth)).or_default() += 1;
        match exact.found {
            Finding::Order(order) => {
                assert!(truth, "{}: an order where there is none: {:?}", exact.method, problem.ops);
                assert_order(problem, &order);
            }
            Finding::Violated { fatal, core } => {
                assert!(!truth, "{}: no order was found: {:?}", exact.method, problem.ops);
                let rank = problem.ops[fatal as usize].ret;
                let known = |rank| oracle::linearizable(&search::until(problem, rank));
                assert!(!known(rank), "{}: {fatal} is not fatal: {:?}", exact.method, problem.ops);
                assert!(known(rank - 1), "{}: {fatal} is not the first: {:?}", exact.method, problem.ops);
                let budget =
                    Budget { stop: &AtomicBool::new(false), bytes: 1 << 30, states: &AtomicU64::new(0) };
                let Some(small) = shrink_from(problem, fatal, &core, &budget) else {
                    panic!("{}: {core:?} does not show it: {:?}", exact.method, problem.ops);
                };
                let refuted = refute(problem, &small, Property::Linearizable);
                assert_eq!(refuted, Ok(()), "{}: {core:?} {small:?}: {:?}", exact.method, problem.ops);
            }
        }
    }

    /// At least one in `most` histories was decided by `method`, with either verdict.
    fn was_decided_by(&self, method: &'static str, most: u64) {
        let all: u64 = self.seen.values().sum();
        for verdict in [true, false] {
            let seen = self.seen.get(&(method, verdict)).copied().unwrap_or(0);
            assert!(seen * most >= all, "{method} said {verdict} of {seen} of {all}: {:?}", self.seen);
        }
    }
}

/// The order is legal, keeps real time and has every operation that returned.
fn assert_order<M: Model>(problem: &Problem<M>, order: &[u32]) {
    let mut states = vec![problem.model.init()];
    for (i, &at) in order.iter().enumerate() {
        let op = &problem.ops[at as usize];
        let mut next = Vec::new();
        for state in &states {
            problem.model.step(state, op.op, &mut |s| next.push(s));
        }
        assert!(!next.is_empty(), "{order:?} is illegal at {at}: {:?}", problem.ops);
        states = next;
        for &later in &order[i + 1..] {
            let kept = problem.ops[later as usize].ret > op.invoke && later != at;
            assert!(kept, "{order:?} breaks real time: {:?}", problem.ops);
        }
    }
    for (i, op) in problem.ops.iter().enumerate() {
        assert!(op.indeterminate() || order.contains(&(i as u32)), "{order:?} lacks {i}: {:?}", problem.ops);
    }
}

/// `count` histories by default, a million where `PERJURY_LONG` is set; at most `ops` operations each.
fn histories<M: Model>(
    kind: &str,
    count: u64,
    ops: usize,
    mut make: impl FnMut(&mut Rng, Skeleton) -> Problem<M>,
) -> Tally {
    let long = std::env::var_os("PERJURY_LONG").is_some();
    let count = if long { number("PERJURY_FUZZ").unwrap_or(1_000_000) } else { count };
    let seed = number("PERJURY_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    let mut rng = Rng(seed);
    for _ in 0..count {
        let skeleton = skeleton(&mut rng, ops);
        tally.compare(&make(&mut rng, skeleton));
    }
    println!("{kind}: {count} histories, seed {seed}: {:?}", tally.seen);
    tally
}

/// The operations with their contents; those without are gone.
fn filled<O: Copy>(ops: &[ObjOp<()>], contents: &[Option<O>]) -> Vec<ObjOp<O>> {
    ops.iter().zip(contents).filter_map(|(op, content)| content.map(|content| op.with(content))).collect()
}

/// What a register history is made of.
struct Mix {
    /// Of ten operations, so many are writes, and so many cas.
    writes: usize,
    cas: usize,
    /// Values are new, or one of so many.
    values: Option<usize>,
    /// A failed cas does not say what it found.
    silent: bool,
}

fn register(rng: &mut Rng, Skeleton { ops, effects }: Skeleton, mix: &Mix) -> Problem<Register> {
    let initial = ValueId(0);
    let (mut state, mut fresh) = (initial, 1);
    let mut contents: Vec<Option<RegisterOp>> = vec![None; ops.len()];
    let never: Vec<usize> = (0..ops.len()).filter(|i| !effects.contains(i)).collect();
    for i in effects.into_iter().chain(never) {
        let new = match mix.values {
            None => fresh,
            Some(values) => rng.below(values) as u32,
        };
        let info = ops[i].indeterminate();
        let kind = rng.below(10);
        contents[i] = if kind < mix.writes {
            fresh += 1;
            state = ValueId(new);
            Some(RegisterOp::Write(ValueId(new)))
        } else if kind < mix.writes + mix.cas {
            fresh += 1;
            let expected = if rng.once_in(3) { ValueId(rng.below(fresh as usize) as u32) } else { state };
            let new = ValueId(new);
            if info || expected == state {
                if expected == state {
                    state = new;
                }
                Some(RegisterOp::Cas { expected, new })
            } else if mix.silent {
                Some(RegisterOp::CasRefused { expected, new })
            } else {
                Some(RegisterOp::CasSaw { expected, new, observed: state })
            }
        } else {
            (!info).then_some(RegisterOp::Read(state))
        };
    }
    // One damage: somebody saw something else, perhaps what nobody wrote, or was written before, or after.
    if rng.once_in(2) {
        let at = rng.below(ops.len());
        let other = ValueId(rng.below(fresh as usize + 1) as u32);
        match &mut contents[at] {
            Some(RegisterOp::Read(value)) => *value = other,
            Some(RegisterOp::Cas { expected, .. } | RegisterOp::CasRefused { expected, .. }) => {
                *expected = other
            }
            Some(RegisterOp::CasSaw { observed, .. }) => *observed = other,
            Some(RegisterOp::Write(_) | RegisterOp::CasUnchecked { .. }) | None => {}
        }
    }
    let model = Register::new(initial, true, FailedCas::Observe, NilRead::Observe);
    Problem { model, ops: filled(&ops, &contents) }
}

#[test]
fn a_register_of_unique_values_is_decided_by_zones() {
    let mix = Mix { writes: 4, cas: 0, values: None, silent: false };
    let tally = histories("register, unique", 2_000, 12, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones", 10);
}

#[test]
fn chains_of_cas_are_decided_by_zones() {
    let mix = Mix { writes: 2, cas: 4, values: None, silent: false };
    let tally = histories("cas, unique", 2_000, 12, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones", 10);
    let mix = Mix { writes: 0, cas: 7, values: None, silent: false };
    let tally = histories("cas alone", 2_000, 12, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones", 10);
}

#[test]
fn a_refused_cas_that_does_not_say_why_is_put_in_a_gap() {
    let mix = Mix { writes: 3, cas: 4, values: None, silent: true };
    let tally = histories("refused cas, unique", 2_000, 11, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones", 10);
    let mix = Mix { writes: 2, cas: 4, values: Some(4), silent: true };
    let tally = histories("refused cas, reused", 2_000, 11, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones, single candidates", 60);
}

#[test]
fn reused_values_are_decided_where_every_read_has_one_candidate() {
    for values in [3, 5, 8] {
        let mix = Mix { writes: 4, cas: 1, values: Some(values), silent: false };
        let kind = format!("register, {values} values");
        let tally = histories(&kind, 1_500, 11, |rng, skeleton| register(rng, skeleton, &mix));
        tally.was_decided_by("zones, single candidates", 60);
    }
    let mix = Mix { writes: 1, cas: 6, values: Some(4), silent: false };
    let tally = histories("cas, 4 values", 1_500, 11, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones, single candidates", 60);
}
