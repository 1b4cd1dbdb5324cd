//! Every exact method against the oracle, on random small histories that aim at its traps: reads before their write,
//! unanswered writes that are read or not, the initial value, refusals, and one damage in two histories.
//!
//! Verdict and fatal return must be the oracle's, the order must be an order, and the core must show the violation by
//! itself. By default a few thousand histories for each kind; with `PERJURY_LONG=1` a million and more (`PERJURY_FUZZ`
//! says how many, `PERJURY_SEED` from where; `docs/methods.md` has the command).

use checker::certify::{refute, replay};
use checker::core::shrink_from;
use checker::counter::{Counter, CounterOp};
use checker::exact::{Exact, Finding};
use checker::kv::Kv;
use checker::register::{Register, RegisterOp};
use checker::set::GrowSet;
use checker::testing::Rng;
use checker::{Budget, Columns, FailedCas, Model, NilRead, ObjOp, Problem, Property, oracle, search};
use history::{Applied, Interner, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

#[path = "exact_agrees/locks.rs"]
mod locks;
#[path = "exact_agrees/messages.rs"]
mod messages;
#[path = "exact_agrees/models.rs"]
mod models;
#[path = "exact_agrees/queues.rs"]
mod queues;
#[path = "exact_agrees/watches.rs"]
mod watches;

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
        self.compare_columns(problem, truth);
        self.compare_stale(problem);
        let stop = AtomicBool::new(false);
        let Some(exact) = problem.model.exact(&problem.ops, &stop) else {
            let Some(exact) = problem.model.refuted(&problem.ops, &stop) else {
                *self.seen.entry(("search", truth)).or_default() += 1;
                return;
            };
            *self.seen.entry(("refuted", truth)).or_default() += 1;
            let Finding::Violated { fatal, core } = exact.found else { panic!("{exact:?} refutes nothing") };
            assert!(!truth, "{}: no order was found: {:?}", exact.method, problem.ops);
            assert_refuted(problem, exact.method, fatal, &core);
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
                assert!(known(rank - 1), "{}: {fatal} is not the first: {:?}", exact.method, problem.ops);
                assert_refuted(problem, exact.method, fatal, &core);
            }
        }
    }

    /// Up to a read of what was certainly overwritten there is no order.
    fn compare_stale<M: Model>(&mut self, problem: &Problem<M>) {
        if let Some(stale) = search::stale_read(problem) {
            let cut = search::until(problem, problem.ops[stale as usize].ret);
            assert!(!oracle::linearizable(&cut), "{stale} is not stale: {:?}", problem.ops);
            *self.seen.entry(("stale", false)).or_default() += 1;
        }
    }

    /// In columns zones say the same, and the verifier says the same of any order.
    fn compare_columns<M: Model>(&mut self, problem: &Problem<M>, truth: bool) {
        let Some(columns) = Columns::of(problem) else { return };
        self.compare_columns_as(problem, truth, &columns);
        if let Some(dense) = columns.dense() {
            self.compare_columns_as(problem, truth, &dense);
        }
    }

    fn compare_columns_as<M: Model>(&mut self, problem: &Problem<M>, truth: bool, columns: &Columns) {
        let order = columns.order();
        *self.seen.entry(("in columns", order.is_some())).or_default() += 1;
        match order {
            Some(order) => {
                assert!(truth, "in columns: an order where there is none: {:?}", problem.ops);
                assert_order(problem, &order);
                self.replay_alike(problem, columns, order);
            }
            None => {
                let exact = problem.model.exact(&problem.ops, &AtomicBool::new(false));
                let holds =
                    |exact: &Exact| matches!(exact.found, Finding::Order(_)) && exact.method == "zones";
                assert!(!exact.as_ref().is_some_and(holds), "in columns: no order: {:?}", problem.ops);
                // Any order at all.
                let order = (0..problem.ops.len() as u32).collect();
                self.replay_alike(problem, columns, order);
            }
        }
    }

    /// An order, and what becomes of it when it is changed.
    fn replay_alike<M: Model>(&mut self, problem: &Problem<M>, columns: &Columns, mut order: Vec<u32>) {
        let mut rng = Rng(problem.ops.iter().map(|op| u64::from(op.ret)).sum());
        for _ in 0..6 {
            let sources: Vec<u32> = order.iter().map(|&i| problem.ops[i as usize].source).collect();
            let accepted = replay(problem, &sources, Property::Linearizable);
            let alike = columns.replay(&order) == accepted.is_ok();
            assert!(alike, "{order:?}: {accepted:?}, and not so in columns: {:?}", problem.ops);
            *self.seen.entry(("replayed", accepted.is_ok())).or_default() += 1;
            if order.is_empty() {
                return;
            }
            let (a, b) = (rng.below(order.len()), rng.below(order.len()));
            match rng.below(5) {
                0 => _ = order.remove(a),
                1 => order.push(order[a]),
                2 => order[a] = order[b],
                _ => order.swap(a, b.min(a + 1)),
            }
        }
    }

    /// At least one in `most` histories was decided by `method`, with either verdict.
    fn was_decided_by(&self, method: &'static str, most: u64) {
        let others = ["in columns", "replayed", "stale"];
        let all: u64 = self.seen.iter().filter(|((by, _), _)| !others.contains(by)).map(|(_, n)| n).sum();
        for verdict in [true, false] {
            let seen = self.seen.get(&(method, verdict)).copied().unwrap_or(0);
            assert!(seen * most >= all, "{method} said {verdict} of {seen} of {all}: {:?}", self.seen);
        }
    }
}

/// What is known at the return of `fatal` has no order, and the core shows that by itself.
fn assert_refuted<M: Model>(problem: &Problem<M>, method: &str, fatal: u32, core: &[u32]) {
    let rank = problem.ops[fatal as usize].ret;
    assert!(
        !oracle::linearizable(&search::until(problem, rank)),
        "{method}: {fatal} is not fatal: {:?}",
        problem.ops
    );
    let budget = Budget { stop: &AtomicBool::new(false), bytes: 1 << 30, states: &AtomicU64::new(0) };
    let Some(small) = shrink_from(problem, fatal, core, &budget) else {
        panic!("{method}: {core:?} does not show it: {:?}", problem.ops);
    };
    let refuted = refute(problem, &small, Property::Linearizable);
    assert_eq!(refuted, Ok(()), "{method}: {core:?} {small:?}: {:?}", problem.ops);
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

/// Contents for a skeleton, along the order in which its operations take effect; those that never do come last, with
/// what they asked. `act` is told whether an operation is answered and whether it takes effect.
fn acted<O: Copy>(
    Skeleton { ops, effects }: &Skeleton,
    mut act: impl FnMut(&ObjOp<()>, bool) -> Option<O>,
) -> Vec<Option<O>> {
    let mut contents = vec![None; ops.len()];
    for &i in effects {
        contents[i] = act(&ops[i], true);
    }
    for i in (0..ops.len()).filter(|i| !effects.contains(i)) {
        contents[i] = act(&ops[i], false);
    }
    contents
}

/// One history in two is damaged in one place.
fn damaged<O>(rng: &mut Rng, contents: &mut [Option<O>], damage: impl FnOnce(&mut Rng, &mut O)) {
    if rng.once_in(2) {
        let at = rng.below(contents.len());
        if let Some(content) = &mut contents[at] {
            damage(rng, content);
        }
    }
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
        assert!(tally.seen[&("stale", false)] > 100, "{:?}", tally.seen);
    }
    let mix = Mix { writes: 1, cas: 6, values: Some(4), silent: false };
    let tally = histories("cas, 4 values", 1_500, 11, |rng, skeleton| register(rng, skeleton, &mix));
    tally.was_decided_by("zones, single candidates", 60);
}

fn counter(rng: &mut Rng, skeleton: &Skeleton, step: i64) -> Problem<Counter> {
    let reads = 3 + rng.below(5);
    let mut sum = 0;
    let mut contents = acted(skeleton, |op, effect| {
        let read = rng.below(10) < reads && !op.indeterminate();
        sum += if effect && !read { step } else { 0 };
        Some(if read { CounterOp::Read(sum) } else { CounterOp::Add(step) })
    });
    damaged(rng, &mut contents, |rng, op| {
        if let CounterOp::Read(n) = op {
            *n += rng.pick(&[-step, step, 2 * step, 1]);
        }
    });
    Problem { model: Counter::new(0, NilRead::Observe), ops: filled(&skeleton.ops, &contents) }
}

#[test]
fn a_counter_of_one_amount_is_decided_by_deadlines() {
    for step in [1, -2] {
        let kind = format!("counter, steps of {step}");
        let tally = histories(&kind, 2_000, 12, |rng, skeleton| counter(rng, &skeleton, step));
        tally.was_decided_by("deadlines", 10);
    }
}

/// An operation as the file has it.
fn recorded(values: &mut Interner, f: &str, input: &Value, output: &Value, info: bool) -> Op {
    Op {
        invoke: 0,
        ret: if info { NEVER } else { 1 },
        process: 0,
        f: values.intern(&Value::text(f)),
        key: ValueId::NULL,
        input: values.intern(input),
        output: values.intern(output),
        outcome: if info { Outcome::Info } else { Outcome::Ok },
        applied: Applied::Unsaid,
        observed: None,
        error: ValueId::NULL,
        node: ValueId::NULL,
        session: 0,
        invoke_time: NO_TIME,
        ret_time: NO_TIME,
        invoke_line: 1,
        ret_line: 2,
    }
}

/// Decodes what was asked and answered.
fn decoded<M: Model>(
    mut model: M,
    values: &mut Interner,
    ops: &[ObjOp<()>],
    asked: Vec<Option<(&str, Value, Value)>>,
) -> Problem<M> {
    let contents: Vec<Option<M::Op>> = ops
        .iter()
        .zip(asked)
        .map(|(op, asked)| {
            let (f, input, output) = asked?;
            let op = recorded(values, f, &input, &output, op.indeterminate());
            model.decode(values, &op).expect("it fits the model")
        })
        .collect();
    Problem { model, ops: filled(ops, &contents) }
}

fn grow_set(rng: &mut Rng, skeleton: &Skeleton) -> Problem<GrowSet> {
    let reads = 2 + rng.below(6);
    // What is added, or how much of it was there.
    let (mut held, mut fresh): (Vec<i64>, i64) = (Vec::new(), 0);
    let mut lists: Vec<Vec<i64>> = Vec::new();
    let contents = acted(skeleton, |op, effect| {
        if rng.below(10) < reads && !op.indeterminate() {
            // In any order.
            let from = rng.below(held.len() + 1);
            lists.push([&held[from..], &held[..from]].concat());
            return Some(-(lists.len() as i64));
        }
        fresh += 1;
        if effect {
            held.push(fresh);
        }
        Some(fresh)
    });
    if !lists.is_empty() && rng.once_in(2) {
        let list = rng.below(lists.len());
        let list = &mut lists[list];
        let at = rng.below(list.len() + 1);
        if rng.once_in(3) {
            list.insert(at, 1 + rng.below(fresh as usize + 1) as i64);
        } else if at < list.len() {
            list.remove(at);
        }
    }
    let asked = contents.into_iter().map(|content| {
        let n = content?;
        if n > 0 {
            return Some(("add", Value::Int(n), Value::Null));
        }
        let list = lists[(-n - 1) as usize].iter().map(|&i| Value::Int(i));
        Some(("read", Value::Null, Value::list(list)))
    });
    let asked = asked.collect();
    decoded(GrowSet::new(&[], NilRead::Observe), &mut Interner::default(), &skeleton.ops, asked)
}

#[test]
fn a_growing_set_is_decided_by_its_forced_order() {
    let tally = histories("set", 3_000, 12, |rng, skeleton| grow_set(rng, &skeleton));
    tally.was_decided_by("forced order", 10);
}

fn strings(rng: &mut Rng, skeleton: &Skeleton) -> Problem<Kv> {
    let (reads, puts) = (3 + rng.below(4), rng.below(3));
    let mut held: Vec<i64> = Vec::new();
    let mut fresh = 0;
    let mut lists: Vec<Vec<i64>> = Vec::new();
    // Appends are positive, puts are below -1000, reads count down.
    let contents = acted(skeleton, |op, effect| {
        let kind = rng.below(10);
        if kind < reads && !op.indeterminate() {
            lists.push(held.clone());
            return Some(-(lists.len() as i64));
        }
        fresh += 1;
        let put = kind < reads + puts;
        if effect {
            if put {
                held.clear();
            }
            held.push(fresh);
        }
        Some(if put { -1000 - fresh } else { fresh })
    });
    if !lists.is_empty() && rng.once_in(2) {
        let list = rng.below(lists.len());
        let list = &mut lists[list];
        let at = rng.below(list.len() + 1);
        match rng.below(4) {
            0 => list.insert(at, 1 + rng.below(fresh as usize + 1) as i64),
            1 if at > 1 => list.swap(at - 1, at - 2),
            _ if at < list.len() => drop(list.remove(at)),
            _ => {}
        }
    }
    let text = |i: i64| format!("{i};");
    let asked = contents.into_iter().map(|content| match content? {
        n if n > 0 => Some(("append", Value::text(&text(n)), Value::Null)),
        n if n < -1000 => Some(("put", Value::text(&text(-1000 - n)), Value::Null)),
        n => {
            let got: String = lists[(-n - 1) as usize].iter().map(|&i| text(i)).collect();
            Some(("get", Value::Null, Value::text(&got)))
        }
    });
    let asked = asked.collect();
    decoded(Kv::new("", NilRead::Observe), &mut Interner::default(), &skeleton.ops, asked)
}

#[test]
fn strings_of_unique_pieces_are_decided_by_chains_of_appends() {
    let tally = histories("kv with appends", 3_000, 12, |rng, skeleton| strings(rng, &skeleton));
    tally.was_decided_by("chains of appends", 20);
}
