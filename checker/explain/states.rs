//! What the object could be between consecutive events of a core, for real time.
//!
//! At an invocation its operation becomes open, and every open operation may take effect; at a return only the
//! configurations in which it has taken effect are left.

use super::world::World;
use crate::model::Model;
use history::NEVER;
use history::results::StateSpan;
use std::collections::HashSet;

/// Configurations kept at once; a core that needs more is told without the strip.
const CONFIGURATIONS_MAX: usize = 20_000;
/// States named in one span.
const NAMED_MAX: usize = 4;

/// One span between each two events, ending with the return that leaves no configuration. `earlier` says that the object
/// had a past that the core leaves out, so that its initial state is only "something".
pub(crate) fn states<M: Model>(world: &World<'_, M>, earlier: bool) -> Vec<StateSpan> {
    let mut events: Vec<(u32, usize, bool)> = Vec::new();
    for (i, step) in world.steps.iter().enumerate() {
        events.push((step.invoke, i, false));
        if step.ret != NEVER {
            events.push((step.ret, i, true));
        }
    }
    events.sort_unstable();
    let init = world.init();
    let mut configurations: HashSet<(u128, M::State)> = init.iter().map(|state| (0, state.clone())).collect();
    let mut open = 0u128;
    let mut spans: Vec<StateSpan> = Vec::new();
    // For each span, the open operations that have taken effect in no configuration of it.
    let mut stuck: Vec<u128> = Vec::new();
    for (at, &(rank, step, returns)) in events.iter().enumerate() {
        if returns {
            configurations.retain(|(done, _)| done & (1 << step) != 0);
            if configurations.is_empty() {
                mark(&mut spans, &stuck, step, world.steps[step].invoke);
                return spans;
            }
            open &= !(1 << step);
        } else {
            open |= 1 << step;
        }
        if !close(world, &mut configurations, open) {
            return Vec::new();
        }
        let Some(&(to, _, _)) = events.get(at + 1) else { break };
        let done = configurations.iter().fold(0, |all, (done, _)| all | done);
        stuck.push(open & !done);
        spans.push(StateSpan {
            from: rank,
            to,
            possible: possible(world, &configurations, &init, earlier),
            conflict: false,
        });
    }
    // Every return left something: the search knows more than this simulation (which a legal core rules out).
    Vec::new()
}

/// Lets every open operation take effect wherever it can. False if there are too many configurations.
fn close<M: Model>(world: &World<'_, M>, configurations: &mut HashSet<(u128, M::State)>, open: u128) -> bool {
    let mut work: Vec<_> = configurations.iter().cloned().collect();
    while let Some((done, state)) = work.pop() {
        let from = [state];
        for step in (0..world.steps.len()).filter(|&s| open & !done & (1 << s) != 0) {
            for next in world.apply(&from, step) {
                if configurations.insert((done | 1 << step, next.clone())) {
                    work.push((done | 1 << step, next));
                }
            }
        }
        if configurations.len() > CONFIGURATIONS_MAX {
            return false;
        }
    }
    true
}

/// Marks the spans in which the operation that broke everything was open and could not take effect.
fn mark(spans: &mut [StateSpan], stuck: &[u128], step: usize, invoke: u32) {
    for (span, stuck) in spans.iter_mut().zip(stuck) {
        span.conflict = span.from >= invoke && stuck & (1 << step) != 0;
    }
}

fn possible<M: Model>(
    world: &World<'_, M>,
    configurations: &HashSet<(u128, M::State)>,
    init: &[M::State],
    earlier: bool,
) -> Vec<String> {
    // What needs the fewest operations comes first.
    let mut named: Vec<(u32, String)> = Vec::new();
    for (done, state) in configurations {
        let untouched = *done == 0 && earlier && init.contains(state);
        let text = if untouched { "…".to_string() } else { world.describe(state) };
        match named.iter_mut().find(|(_, known)| *known == text) {
            Some((least, _)) => *least = (*least).min(done.count_ones()),
            None => named.push((done.count_ones(), text)),
        }
    }
    named.sort_unstable();
    let more = named.len().saturating_sub(NAMED_MAX);
    let mut possible: Vec<String> = named.into_iter().take(NAMED_MAX).map(|(_, text)| text).collect();
    if more > 0 {
        possible.push(format!("{more} more"));
    }
    possible
}
