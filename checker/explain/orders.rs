//! Every order that the property allows, and where it breaks: the proof that needs no theory.
//!
//! ```text
//!  A write 41 |---|
//!  B write 42       |-------- …  no reply          A C        breaks at C: it read 42, but k7 holds 41   (3 orders)
//!  C read 42           |---|                       A B C D    breaks at D: it read 41, but k7 holds 42   (1 order)
//!  D read 41                  |---|
//! ```

use super::world::{States, World};
use crate::model::Model;
use history::results::OrderRow;
use std::collections::{HashMap, HashSet};

/// Cores up to this size get the complete table.
pub(crate) const COMPLETE_OPS: usize = 8;
/// A longer table helps nobody: the longest prefixes are shown instead.
const ROWS_MAX: usize = 64;
/// Sets of operations looked at while counting orders or looking for the longest prefix.
const VISITS_MAX: usize = 200_000;

/// The table of [`history::results::Anomaly::orders`] with its total.
pub(crate) struct Orders {
    pub(crate) rows: Vec<OrderRow>,
    pub(crate) total: u64,
    /// Whether an order was found that breaks nowhere: then this is no counterexample.
    pub(crate) legal: bool,
}

/// The complete table where it has at most [`ROWS_MAX`] rows over at most [`COMPLETE_OPS`] operations, else the longest
/// legal prefixes. `earlier` says that the object had a past that the core leaves out. Exponential in the size of the core,
/// bounded by [`VISITS_MAX`].
pub(crate) fn orders<M: Model>(world: &World<'_, M>, labels: &[String], earlier: bool) -> Orders {
    let mut count = Counter { visits: HashMap::new(), full: false };
    let total = count.ways(world, 0);
    let mut rows = Vec::new();
    let mut legal = world.mandatory() == 0;
    let complete = world.steps.len() <= COMPLETE_OPS
        && breaks(world, labels, &mut Vec::new(), 0, &world.init(), &mut count, &mut rows);
    if complete {
        let broken: u64 = rows.iter().map(|row| row.count).sum();
        legal |= !count.full && broken < total;
    } else {
        (rows, legal) = frontier(world, labels, &mut count);
    }
    rows.sort_by_key(|row| row.prefix.len());
    // What the object held then is not known, only that nothing that came before explains the answer.
    for row in rows.iter_mut().filter(|row| earlier && row.prefix.is_empty()) {
        if let Some((answer, _)) = row.because.split_once(", but ") {
            row.because = format!("{answer}, which nothing before it explains");
        }
    }
    Orders { rows, total: if count.full { 0 } else { total }, legal }
}

/// Appends a row for every legal prefix that begins with `prefix` and every operation that breaks it. False if there
/// are too many.
fn breaks<M: Model>(
    world: &World<'_, M>,
    labels: &[String],
    prefix: &mut Vec<usize>,
    placed: u128,
    states: &[M::State],
    count: &mut Counter,
    rows: &mut Vec<OrderRow>,
) -> bool {
    for step in (0..world.steps.len()).filter(|&s| world.enabled(placed, s)) {
        let next = world.apply(states, step);
        if !next.is_empty() {
            prefix.push(step);
            let fits = breaks(world, labels, prefix, placed | 1 << step, &next, count, rows);
            prefix.pop();
            if !fits {
                return false;
            }
        } else if rows.len() == ROWS_MAX {
            return false;
        } else {
            rows.push(row(world, labels, prefix, step, states, count.ways(world, placed | 1 << step)));
        }
    }
    true
}

fn row<M: Model>(
    world: &World<'_, M>,
    labels: &[String],
    prefix: &[usize],
    step: usize,
    states: &[M::State],
    count: u64,
) -> OrderRow {
    let s = &world.steps[step];
    let (mut held, mut because) = (Vec::new(), Vec::new());
    for state in states {
        let text = world.describe(state);
        if !held.contains(&text) {
            held.push(text);
            because.push(world.model.describe_conflict(world.values, state, s.op, &world.object));
        }
    }
    because.dedup();
    OrderRow {
        prefix: prefix.iter().map(|&p| labels[world.steps[p].core].clone()).collect(),
        breaks_at: labels[s.core].clone(),
        state: held.join(" or "),
        because: because.join("; or "),
        count,
    }
}

/// The longest legal prefix (the first of them in the order of labels), and each operation that may come next by the
/// property but not by the model. Nothing if it would take more than [`VISITS_MAX`] configurations to find. Says, too,
/// whether a legal order was met.
fn frontier<M: Model>(world: &World<'_, M>, labels: &[String], count: &mut Counter) -> (Vec<OrderRow>, bool) {
    let mut best: Option<(Vec<usize>, u128, States<M::State>)> = None;
    let mut seen = HashSet::new();
    let mut stack = vec![(Vec::new(), 0u128, world.init())];
    while let Some((prefix, placed, states)) = stack.pop() {
        if world.mandatory() & !placed == 0 {
            return (Vec::new(), true);
        }
        if best.as_ref().is_none_or(|(longest, _, _)| longest.len() < prefix.len()) {
            best = Some((prefix.clone(), placed, states.clone()));
        }
        for step in (0..world.steps.len()).rev().filter(|&s| world.enabled(placed, s)) {
            let next = world.apply(&states, step);
            if !next.is_empty() && seen.insert((placed | 1 << step, next.clone())) {
                if seen.len() > VISITS_MAX {
                    return (Vec::new(), false);
                }
                let mut longer = prefix.clone();
                longer.push(step);
                stack.push((longer, placed | 1 << step, next));
            }
        }
    }
    let Some((prefix, placed, states)) = best else { return (Vec::new(), false) };
    let rows = (0..world.steps.len())
        .filter(|&s| world.enabled(placed, s))
        .map(|s| {
            let ways = count.ways(world, placed | 1 << s);
            row(world, labels, &prefix, s, &states, if count.full { 0 } else { ways })
        })
        .collect();
    (rows, false)
}

/// Counts the ways to complete an order, by the set of operations already placed.
struct Counter {
    visits: HashMap<u128, u64>,
    /// Whether there were too many to count.
    full: bool,
}

impl Counter {
    fn ways<M: Model>(&mut self, world: &World<'_, M>, placed: u128) -> u64 {
        if let Some(&known) = self.visits.get(&placed) {
            return known;
        }
        if self.visits.len() > VISITS_MAX {
            self.full = true;
            return 0;
        }
        let mut ways = u64::from(world.mandatory() & !placed == 0);
        for step in 0..world.steps.len() {
            if world.enabled(placed, step) {
                match ways.checked_add(self.ways(world, placed | 1 << step)) {
                    Some(sum) => ways = sum,
                    None => self.full = true,
                }
            }
        }
        self.visits.insert(placed, ways);
        ways
    }
}
