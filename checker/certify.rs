//! The small verifier: no verdict is reported before this has accepted its evidence. Shares no code with the searches.

use crate::cells::CellOp;
use crate::model::{Advance, Model};
use crate::problem::{ObjOp, Problem};
use crate::verdict::{Counterexample, Property};
use history::NEVER;
use rustc_hash::FxHashSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether `order` (indices into `History::ops`) is a legal order: each operation at most once and each that returned
/// exactly once, the property's order kept, every step legal. O(operations).
///
/// # Errors
/// What is wrong, in words.
pub fn replay<M: Model>(problem: &Problem<M>, order: &[u32], property: Property) -> Result<(), String> {
    match replay_unless(problem, order, property, &AtomicBool::new(false)) {
        Ok(()) => Ok(()),
        Err(Refused::Wrong(what)) => Err(what),
        Err(Refused::TooLarge) => Err("nobody stops it, and it stopped".to_string()),
    }
}

/// [`replay`] that ends as [`Refused::TooLarge`] soon after `stop` is set.
///
/// # Errors
/// Why it is not accepted.
pub fn replay_unless<M: Model>(
    problem: &Problem<M>,
    order: &[u32],
    property: Property,
    stop: &AtomicBool,
) -> Result<(), Refused> {
    replay_places(problem, &places(problem, order)?, property, stop)
}

/// [`replay_unless`] of an order that names operations by their places in the problem.
///
/// # Errors
/// The same.
pub(crate) fn replay_places<M: Model>(
    problem: &Problem<M>,
    order: &[u32],
    property: Property,
    stop: &AtomicBool,
) -> Result<(), Refused> {
    let model = &problem.model;
    let mut kept = InOrder::new(problem.ops.len(), property);
    // Several states at once only where a model leaves open what happened.
    let (mut states, mut next) = (vec![model.init()], Vec::new());
    let mut asked = false;
    for (n, &place) in order.iter().enumerate() {
        if n % FREE == FREE - 1 && stop.load(Ordering::Relaxed) {
            return Err(Refused::TooLarge);
        }
        let op = problem.ops.get(place as usize).ok_or_else(|| not_there(place))?;
        kept.next(place, op).map_err(|why| Refused::Wrong(format!("operation {} {why}", op.source)))?;
        let illegal = || Refused::Wrong(format!("operation {} is illegal in its place", op.source));
        if let [state] = &mut states[..] {
            match model.advance(state, op.op) {
                Advance::Done => continue,
                Advance::Illegal => return Err(illegal()),
                Advance::Open if !std::mem::replace(&mut asked, true) => {
                    if legal_as_told(problem, order) {
                        // What is left of the order is looked at without the states.
                        for &place in &order[n + 1..] {
                            let op = problem.ops.get(place as usize).ok_or_else(|| not_there(place))?;
                            kept.next(place, op)
                                .map_err(|why| Refused::Wrong(format!("operation {} {why}", op.source)))?;
                        }
                        return kept.complete(&problem.ops).map_err(Refused::Wrong);
                    }
                }
                Advance::Open => {}
            }
        }
        for state in &states {
            model.step(state, op.op, &mut |s| {
                if !next.contains(&s) {
                    next.push(s);
                }
            });
            if next.len() > STATES_MAX {
                return Err(Refused::TooLarge);
            }
        }
        if next.is_empty() {
            return Err(illegal());
        }
        std::mem::swap(&mut states, &mut next);
        next.clear();
    }
    kept.complete(&problem.ops).map_err(Refused::Wrong)
}

fn not_there(place: u32) -> Refused {
    Refused::Wrong(format!("operation {place} is not there"))
}

/// Whether the operations in this order are legal with the answers that the model tells for those that nobody heard.
fn legal_as_told<M: Model>(problem: &Problem<M>, order: &[u32]) -> bool {
    let model = &problem.model;
    let ordered: Option<Vec<M::Op>> =
        order.iter().map(|&place| problem.ops.get(place as usize).map(|op| op.op)).collect();
    let Some(ordered) = ordered else { return false };
    let Some(told) = model.tell(&ordered) else { return false };
    let mut state = model.init();
    told.len() == ordered.len()
        && ordered.iter().zip(&told).all(|(&op, &told)| {
            (op == told || model.may_be(op, told)) && model.advance(&mut state, told) == Advance::Done
        })
}

/// Looks at an order one operation after the other: that none comes twice, each that returned is there, and the order of
/// the property is kept.
struct InOrder {
    /// One bit per operation.
    ordered: Vec<u64>,
    property: Property,
    /// The last invocation so far: nobody may come now who returned before it.
    last_invoke: u32,
    /// Per process, its last invocation so far, and one.
    last_of: Vec<u32>,
}

impl InOrder {
    fn new(ops: usize, property: Property) -> InOrder {
        InOrder { ordered: vec![0; ops.div_ceil(64)], property, last_invoke: 0, last_of: Vec::new() }
    }

    /// # Errors
    /// What is wrong with `op` as the next one.
    #[inline]
    fn next<O>(&mut self, place: u32, op: &ObjOp<O>) -> Result<(), &'static str> {
        let (word, bit) = (&mut self.ordered[place as usize / 64], 1 << (place % 64));
        if *word & bit != 0 {
            return Err("is ordered twice");
        }
        *word |= bit;
        match self.property {
            Property::Linearizable => {
                if op.ret < self.last_invoke {
                    return Err("returned before one that comes earlier was invoked");
                }
                self.last_invoke = self.last_invoke.max(op.invoke);
            }
            Property::Sequential => {
                let process = op.process as usize;
                if process >= self.last_of.len() {
                    self.last_of.resize(process + 1, 0);
                }
                let last = &mut self.last_of[process];
                if *last > op.invoke {
                    return Err("comes after a later one of its process");
                }
                *last = op.invoke.saturating_add(1);
            }
        }
        Ok(())
    }

    /// # Errors
    /// An operation that returned and is missing.
    fn complete<O>(&self, ops: &[ObjOp<O>]) -> Result<(), String> {
        for (part, &ordered) in ops.chunks(64).zip(&self.ordered) {
            if ordered.count_ones() as usize == part.len() {
                continue;
            }
            let missing = |(bit, op): &(usize, &ObjOp<O>)| ordered >> bit & 1 == 0 && !op.indeterminate();
            if let Some((_, op)) = part.iter().enumerate().find(missing) {
                let answered = ops.iter().filter(|op| !op.indeterminate()).count();
                let there = |(place, op): &(usize, &ObjOp<O>)| {
                    !op.indeterminate() && self.ordered[place / 64] >> (place % 64) & 1 == 1
                };
                let ordered = ops.iter().enumerate().filter(there).count();
                return Err(format!(
                    "operation {} returned, and the order lacks it: it has {ordered} of {answered} operations that \
                     returned",
                    op.source
                ));
            }
        }
        Ok(())
    }
}

/// Where the operations that `order` names stand in the problem. O(operations), where it is nearly the order of
/// invocations.
fn places<M: Model>(problem: &Problem<M>, order: &[u32]) -> Result<Vec<u32>, Refused> {
    let ops = &problem.ops;
    let mut last = 0;
    let missing = |source: u32| Refused::Wrong(format!("operation {source} is not there"));
    if ops.windows(2).all(|pair| pair[0].source < pair[1].source) {
        let find = |&source: &u32| {
            last = near(ops, last, source, |op| op.source).ok_or_else(|| missing(source))?;
            Ok(last as u32)
        };
        return order.iter().map(find).collect();
    }
    let mut by_source: Vec<(u32, u32)> = ops.iter().map(|op| op.source).zip(0..).collect();
    by_source.sort_unstable();
    let find = |&source: &u32| {
        last = near(&by_source, last, source, |&(source, _)| source).ok_or_else(|| missing(source))?;
        Ok(by_source[last].1)
    };
    order.iter().map(find).collect()
}

/// Where `source` stands, looked for around `last`: in steps that double, then halve.
fn near<T>(by_source: &[T], last: usize, source: u32, of: impl Fn(&T) -> u32) -> Option<usize> {
    let (mut low, mut high, mut step) = (last, last + 1, 1);
    while low > 0 && by_source.get(low).is_none_or(|first| of(first) > source) {
        (high, low) = (low + 1, low.saturating_sub(step));
        step *= 2;
    }
    while high < by_source.len() && of(&by_source[high - 1]) < source {
        (low, high) = (high - 1, (high + step).min(by_source.len()));
        step *= 2;
    }
    let part = by_source.get(low..high.min(by_source.len()))?;
    part.binary_search_by_key(&source, of).ok().map(|at| low + at)
}

/// Whether `order` (places in `ops`) is a legal order of a cell's operations that keeps real time, as [`replay`] would
/// say of the problem that they were made from: each operation at most once and each that returned exactly once, each
/// that saw a value where the cell holds it. O(operations).
///
/// Nothing is asked on the way, because nearly always everything is as it should be; what is wrong is added up.
pub(crate) fn replay_cell(ops: &[CellOp], initial: u32, order: &[u32]) -> bool {
    let mut ordered = vec![0_u64; ops.len().div_ceil(64)];
    let (mut holds, mut last_invoke, mut good) = (initial, 0, true);
    for &place in order {
        let Some(op) = ops.get(place as usize) else { return false };
        let (word, bit) = (&mut ordered[place as usize / 64], 1 << (place % 64));
        good &= *word & bit == 0;
        *word |= bit;
        good &= op.ret >= last_invoke;
        last_invoke = last_invoke.max(op.invoke);
        good &= (op.saw == 0) | (op.saw == holds);
        holds = if op.left == 0 { holds } else { op.left };
    }
    let complete = ops.chunks(64).zip(&ordered).all(|(part, &ordered)| {
        ordered.count_ones() as usize == part.len()
            || part.iter().enumerate().all(|(bit, op)| ordered >> bit & 1 == 1 || op.ret == NEVER)
    });
    good && complete
}

/// So many states an order may lead to at once.
const STATES_MAX: usize = 1_000;

/// Why evidence was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The evidence is wrong: a bug.
    Wrong(String),
    /// It takes too long to look at.
    TooLarge,
}

/// So many configurations a refutation may take.
pub const REFUTE_MAX: usize = 500_000;

/// So many operations a refutation may look at, over all its configurations: a few seconds.
const LOOKS_MAX: usize = 2_000_000_000;

/// So many configurations, or operations, are looked at without asking whether to stop.
const FREE: usize = 1_000;

/// Cores with more operations are not refuted again.
const CORE_MAX: usize = 5_000;

/// Checks a counterexample: what it leaves out may be left out, and what it keeps has no legal order.
///
/// Exponential in the size of the core, which is small.
///
/// # Errors
/// Why it is not accepted.
pub fn refute<M: Model>(
    problem: &Problem<M>,
    counterexample: &Counterexample,
    property: Property,
) -> Result<(), Refused> {
    refute_unless(problem, counterexample, property, &AtomicBool::new(false))
}

/// [`refute`] that ends as [`Refused::TooLarge`] soon after `stop` is set; what takes no time is refuted all the same.
///
/// # Errors
/// Why it is not accepted.
pub fn refute_unless<M: Model>(
    problem: &Problem<M>,
    counterexample: &Counterexample,
    property: Property,
    stop: &AtomicBool,
) -> Result<(), Refused> {
    let small = small(problem, counterexample, property).map_err(Refused::Wrong)?;
    match has_order(&small, property, stop) {
        None => Err(Refused::TooLarge),
        Some(false) => Ok(()),
        Some(true) => Err(Refused::Wrong("the core has a legal order".to_string())),
    }
}

/// The problem that a counterexample speaks of: cut at the fatal return, and projected by the model to the core.
///
/// # Errors
/// If the core names operations that are not there, or leaves out what the model does not allow to leave out.
pub fn small<M: Model>(
    problem: &Problem<M>,
    counterexample: &Counterexample,
    property: Property,
) -> Result<Problem<M>, String> {
    let core: FxHashSet<u32> = counterexample.core.iter().copied().collect();
    let mut ops = problem.ops.clone();
    if let (Property::Linearizable, Some(fatal)) = (property, counterexample.fatal) {
        let fatal = ops.iter().find(|op| op.source == fatal).ok_or("the fatal operation is not there")?;
        let end = fatal.ret;
        // Whoever was invoked later cannot have come before; whoever returned later may not have happened yet.
        ops.retain(|op| op.invoke < end);
        for op in ops.iter_mut().filter(|op| op.ret > end) {
            op.ret = NEVER;
        }
    }
    let wanted: Vec<bool> = ops.iter().map(|op| core.contains(&op.source)).collect();
    if wanted.iter().filter(|wanted| **wanted).count() != core.len() {
        return Err(
            "the core names operations that are not there, or come after the fatal return".to_string()
        );
    }
    let mut keep = wanted.clone();
    let small = problem.model.project(&ops, &mut keep, property);
    match (0..keep.len()).find(|&i| keep[i] != wanted[i]) {
        Some(at) if keep[at] => Err(format!("the core cannot do without operation {}", ops[at].source)),
        Some(at) => Err(format!("operation {} says nothing without what was left out", ops[at].source)),
        None => Ok(small),
    }
}

/// Whether there is a legal order: Wing and Gong's search with Lowe's memory of what was tried, on sets of operations.
/// `None` if it takes too many steps.
fn has_order<M: Model>(problem: &Problem<M>, property: Property, stop: &AtomicBool) -> Option<bool> {
    let ops = &problem.ops;
    let n = ops.len();
    if n > CORE_MAX {
        return None;
    }
    let words = n.div_ceil(64);
    let must = |i: usize| !ops[i].indeterminate();
    let earlier = |j: usize, i: usize| match property {
        Property::Linearizable => ops[j].ret < ops[i].invoke,
        Property::Sequential => ops[j].process == ops[i].process && ops[j].invoke < ops[i].invoke,
    };
    // Per operation, those that must be done before it.
    let before: Vec<Vec<u64>> = (0..n)
        .map(|i| {
            let mut set = vec![0u64; words];
            for j in (0..n).filter(|&j| j != i && must(j) && earlier(j, i)) {
                set[j / 64] |= 1 << (j % 64);
            }
            set
        })
        .collect();
    let mut all = vec![0u64; words];
    for i in (0..n).filter(|&i| must(i)) {
        all[i / 64] |= 1 << (i % 64);
    }
    let within = |a: &[u64], b: &[u64]| a.iter().zip(b).all(|(a, b)| a & !b == 0);
    let mut tried: FxHashSet<(Vec<u64>, M::State)> = FxHashSet::default();
    let mut stack = vec![(vec![0u64; words], problem.model.init())];
    while let Some((mut done, state)) = stack.pop() {
        if within(&all, &done) {
            return Some(true);
        }
        let free = |done: &[u64], i: usize| done[i / 64] >> (i % 64) & 1 == 0 && within(&before[i], done);
        // What changes nothing wherever it is legal can be done at once.
        while let Some(i) = (0..n).find(|&i| {
            let mut legal = false;
            must(i) && problem.model.is_pure(ops[i].op) && free(&done, i) && {
                problem.model.step(&state, ops[i].op, &mut |_| legal = true);
                legal
            }
        }) {
            done[i / 64] |= 1 << (i % 64);
        }
        if within(&all, &done) {
            return Some(true);
        }
        if !tried.insert((done.clone(), state.clone())) {
            continue;
        }
        let look = tried.len() * n * words % (1 << 22) < n * words;
        if look && tried.len() > FREE && stop.load(Ordering::Relaxed) {
            return None;
        }
        if tried.len() > REFUTE_MAX || tried.len() * n * words > LOOKS_MAX {
            return None;
        }
        for i in (0..n).filter(|&i| free(&done, i)) {
            problem.model.step(&state, ops[i].op, &mut |next| {
                let mut after = done.clone();
                after[i / 64] |= 1 << (i % 64);
                stack.push((after, next));
            });
        }
    }
    Some(false)
}
