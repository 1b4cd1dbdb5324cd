//! What can be done next, and what need not be tried.
//!
//! The search is that of Wing and Gong, as memoised by Lowe, over configurations of a window. What it leaves out, each
//! without losing a legal order (the argument is that a legal order can be rearranged into one that the search makes):
//!
//! * **Pure operations** are done as soon as they are legal: they change nothing wherever that is.
//! * **Blind writes are hidden.** A blind write that nobody saw, because another followed it, can stand right before any
//!   blind write that takes effect while it is open. So when one takes effect, all open ones are *done* for nothing, yet
//!   can still take effect openly until they return; nothing is branched on.
//! * **Blind writes wait.** One that takes effect openly can be put off until the operation that sees it, or until it
//!   returns: before that, it is taken only if something sees it at once (a [`Debt`]).
//! * **Of equal writes** that are open, the one with the earliest deadline is taken: the others can do more later.
//!   The same goes for any equal operations.
//! * **Indeterminate operations wait, too**, and are left out if what follows does not need them: what follows was
//!   illegal without them or came out differently, and could not as well come first. Equal ones are taken oldest first.
//! * **Dead values** (depth-first only, for it looks ahead): a state that a later operation still needs, and that nothing
//!   can make again, is not left.
//! * **Deadlines**: if the operation that must return next is legal only in a state that nothing open leads to, stop; or
//!   if the model says that no way leads there ([`crate::Model::may_reach`]). Depth first also stops if that is so for an
//!   operation that returns later.
//! * **Forced order** (depth-first only): what must come before something else by what was heard later
//!   ([`crate::Model::forced_order`]) does.

use super::bits::Bits;
use super::config::{Config, Counts, Debt};
use super::plan::{Done, Kind, Plan};
use super::steps::{Class, NOWHERE, StateId, Steps};
use super::window::Window;
use crate::model::Model;
use crate::problem::Problem;
use history::NEVER;

/// A step of the search.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    /// An operation takes effect and leads to this state.
    Take(u32, StateId),
    /// The oldest unused of a crashed class takes effect.
    Crash(u32, StateId),
    /// The hidden write whose return is waited for returns without having taken effect openly.
    Drop,
}

/// What both engines need to make moves.
pub(crate) struct Mover<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) steps: Steps<'p>,
    pub(crate) counts: Counts,
    /// Whether to look beyond the return that is waited for.
    pub(crate) ahead: bool,
    /// Marks states for which an equal write was already offered.
    offered: Vec<u32>,
    /// Marks classes that were already offered.
    classes: Vec<u32>,
    round: u32,
}

impl<'p> Mover<'p> {
    pub(crate) fn new(plan: &'p Plan, steps: Steps<'p>, ahead: bool) -> Mover<'p> {
        let offered = vec![0; plan.named_states];
        let classes = vec![0; plan.facts.len()];
        Mover { plan, steps, counts: Counts::new(), ahead, offered, classes, round: 0 }
    }

    /// For an engine that does not look ahead.
    pub(crate) fn plain<M: Model>(plan: &'p Plan, problem: &'p Problem<M>) -> Mover<'p> {
        Mover::new(plan, Steps::new(&problem.model, None, problem.ops.iter().map(|op| op.op)).0, false)
    }

    /// Gives its memory back; nothing can be asked any more.
    pub(crate) fn forget(&mut self) {
        self.steps.forget();
        self.counts = Counts::new();
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.bytes() + self.counts.bytes() + (self.offered.len() + self.classes.len()) * 4
    }

    /// Does every open pure operation that is legal; calls `took` for each.
    pub(crate) fn close<B: Bits>(
        &mut self,
        config: &mut Config<B>,
        window: &Window<'_, B>,
        mut took: impl FnMut(u32),
    ) {
        for id in window.open() {
            let op = &self.plan.done[id as usize];
            if op.kind == Kind::Pure && !config.done.has(op.slot) && self.steps.legal(config.state, op.class)
            {
                config.done.set(op.slot);
                config.debt = None;
                took(op.index);
            }
        }
    }

    /// Whether the operation that the layer waits for returns without further choice.
    pub(crate) fn returns<B: Bits>(&self, config: &Config<B>) -> bool {
        let op = &self.plan.done[config.layer as usize];
        config.debt.is_none()
            && config.done.has(op.slot)
            && (op.kind != Kind::Blind || config.used.has(op.slot))
    }

    /// Lets it return. The window must follow.
    pub(crate) fn advance<B: Bits>(&self, config: &mut Config<B>) {
        let slot = self.plan.done[config.layer as usize].slot;
        config.done.clear(slot);
        config.used.clear(slot);
        config.layer += 1;
    }

    /// Appends all moves from a configuration that is closed and whose operation does not simply return, the most
    /// promising last.
    pub(crate) fn moves<B: Bits>(&mut self, config: &Config<B>, window: &Window<'_, B>, out: &mut Vec<Move>) {
        let start = out.len();
        let awaited = self.plan.done[config.layer as usize];
        let wanted = self.plan.facts[awaited.class as usize];
        let hidden = awaited.kind == Kind::Blind && config.done.has(awaited.slot);
        let returns_anyway = config.done.has(awaited.slot);
        let needs = if returns_anyway { NOWHERE } else { wanted.before };
        if needs != NOWHERE && needs != config.state && !self.can_be(config, window, needs) {
            return;
        }
        if self.hopeless(config, window) {
            return;
        }
        let latest = if self.ahead { self.latest(config, window) } else { [NEVER; 2] };
        let stuck = if self.ahead { self.stuck(config, window) } else { 0 };
        if hidden && config.debt.is_none() && !(self.ahead && self.lost_if_dropped(config, window)) {
            out.push(Move::Drop);
        }
        self.completed(config, window, stuck, latest, out);
        self.crashed(config, window, stuck, latest, out);
        // The last is tried first: what the awaited operation needs, then by deadline.
        out[start..].reverse();
        let plan = self.plan;
        let promising = |m: &Move| match *m {
            Move::Drop => (true, true),
            Move::Take(id, to) => {
                (id == config.layer || (needs != NOWHERE && to == needs), !plan.place(id).late)
            }
            Move::Crash(number, to) => {
                (needs != NOWHERE && to == needs, !plan.crashed[number as usize].forced.late)
            }
        };
        out[start..].sort_by_key(promising);
    }

    fn completed<B: Bits>(
        &mut self,
        config: &Config<B>,
        window: &Window<'_, B>,
        stuck: u32,
        latest: [u32; 2],
        out: &mut Vec<Move>,
    ) {
        self.round += 1;
        let owing = !window.blind.within(&config.done);
        for id in window.open() {
            let op = self.plan.done[id as usize];
            let facts = self.plan.facts[op.class as usize];
            match op.kind {
                Kind::Pure => {}
                Kind::Other => {
                    if !config.done.has(op.slot) && self.offer_class(op.class) && self.in_turn(id, latest) {
                        let code = self.steps.code(config.state, op.class);
                        let last_need = stuck == 1 && facts.before == config.state;
                        if code != NOWHERE && (stuck == 0 || last_need || facts.after == config.state) {
                            self.take(config, code, op.class, |to| Move::Take(id, to), out);
                        }
                    }
                }
                Kind::Blind => {
                    if config.debt.is_some() || config.used.has(op.slot) || !self.offer(facts.after) {
                        continue;
                    }
                    let idle = facts.after == config.state && !owing;
                    if !idle && (stuck == 0 || facts.after == config.state) {
                        out.push(Move::Take(id, facts.after));
                    }
                }
            }
        }
    }

    fn crashed<B: Bits>(
        &mut self,
        config: &Config<B>,
        window: &Window<'_, B>,
        stuck: u32,
        latest: [u32; 2],
        out: &mut Vec<Move>,
    ) {
        let plan = self.plan;
        let owing = !window.blind.within(&config.done);
        let now = plan.done[config.layer as usize].ret;
        for number in 0..window.crash_open {
            let group = &plan.crashed[number];
            let used = self.counts.of(config.used_crashed, number as u32);
            if used >= window.available[number] || group.until < now {
                continue;
            }
            let facts = plan.facts[group.class as usize];
            if stuck > 0 && facts.after != config.state {
                continue;
            }
            if group.forced.earliest > latest[group.forced.group as usize] || !self.offer_class(group.class) {
                continue;
            }
            if group.blind {
                let idle = facts.after == config.state && !owing;
                if config.debt.is_none() && !idle && self.offer(facts.after) {
                    out.push(Move::Crash(number as u32, facts.after));
                }
                continue;
            }
            let code = self.steps.code(config.state, group.class);
            let first = out.len();
            if code != NOWHERE {
                self.take(config, code, group.class, |to| Move::Crash(number as u32, to), out);
            }
            // What changes nothing, or leads back to where the last one started, can be left out.
            let back = config.debt.filter(|debt| debt.idle).map(|debt| debt.from);
            retain(out, first, |m| match *m {
                Move::Crash(_, to) => to != config.state && Some(to) != back,
                Move::Take(..) | Move::Drop => true,
            });
        }
    }

    /// Whether no equal blind write was offered in this round.
    fn offer(&mut self, after: StateId) -> bool {
        let mark = &mut self.offered[after as usize];
        let new = *mark != self.round;
        *mark = self.round;
        new
    }

    /// Whether no equal operation was offered in this round.
    fn offer_class(&mut self, class: Class) -> bool {
        let mark = &mut self.classes[class as usize];
        let new = *mark != self.round;
        *mark = self.round;
        new
    }

    /// Whether something pure can no longer become legal, whatever is done until its deadline.
    fn hopeless<B: Bits>(&mut self, config: &Config<B>, window: &Window<'_, B>) -> bool {
        let plan = self.plan;
        for id in window.open() {
            let op = &plan.done[id as usize];
            let waits = op.kind == Kind::Pure
                && !config.done.has(op.slot)
                && plan.facts[op.class as usize].before != NOWHERE;
            if waits && !self.steps.may_reach(config.state, op.class) && !self.rescued(config, window, id) {
                return true;
            }
            if !self.ahead {
                return false;
            }
        }
        false
    }

    /// Whether a blind write may lead to where `id` can become legal before it returns.
    fn rescued<B: Bits>(&mut self, config: &Config<B>, window: &Window<'_, B>, id: u32) -> bool {
        let plan = self.plan;
        let Done { class, ret, .. } = plan.done[id as usize];
        let mut rescues = |write: Class| {
            let fact = plan.facts[write as usize];
            fact.blind && self.steps.may_reach(fact.after, class)
        };
        let later = plan.by_invoke[window.entered()..].iter().map(|&later| &plan.done[later as usize]);
        let open = window.open().map(|other| &plan.done[other as usize]);
        open.filter(|write| write.kind == Kind::Blind && !config.used.has(write.slot))
            .chain(later.take_while(|write| write.invoke < ret))
            .any(|write| rescues(write.class))
            || plan.crashed.iter().any(|group| rescues(group.class))
    }

    /// Whether nothing that is still to be taken is forced to come before.
    fn in_turn(&self, id: u32, latest: [u32; 2]) -> bool {
        let forced = self.plan.place(id);
        forced.earliest <= latest[forced.group as usize]
    }

    /// Per group, the first place in the forced order that is still to be taken.
    fn latest<B: Bits>(&self, config: &Config<B>, window: &Window<'_, B>) -> [u32; 2] {
        let mut latest = [NEVER; 2];
        if self.plan.latest_from[0].is_empty() {
            return latest;
        }
        for (group, latest) in latest.iter_mut().enumerate() {
            *latest = self.plan.latest_from[group][window.entered()];
        }
        for id in window.open() {
            let op = &self.plan.done[id as usize];
            if op.kind == Kind::Other && !config.done.has(op.slot) {
                let forced = self.plan.place(id);
                let first = &mut latest[forced.group as usize];
                *first = forced.latest.min(*first);
            }
        }
        for (number, crashed) in self.plan.crashed.iter().enumerate() {
            if crashed.forced.latest != NEVER && self.counts.of(config.used_crashed, number as u32) == 0 {
                let first = &mut latest[crashed.forced.group as usize];
                *first = crashed.forced.latest.min(*first);
            }
        }
        latest
    }

    /// Appends a move for each state behind `code` that pays the debt, if there is one.
    fn take<B: Bits>(
        &mut self,
        config: &Config<B>,
        code: u32,
        class: Class,
        make: impl Fn(StateId) -> Move,
        out: &mut Vec<Move>,
    ) {
        let first = out.len();
        out.extend(self.steps.each(code).map(&make));
        if let Some(debt) = config.debt {
            retain(out, first, |m| match *m {
                Move::Take(_, to) => self.pays(debt, class, to, true),
                // Of two indeterminate operations that commute, the smaller class goes first.
                Move::Crash(_, to) => self.pays(debt, class, to, class < debt.class),
                Move::Drop => true,
            });
        }
    }

    /// Whether `class`, leading to `to`, needed what made the debt; if `swap`, also whether it could not as well come
    /// before it.
    fn pays(&mut self, debt: Debt, class: Class, to: StateId, swap: bool) -> bool {
        if !debt.idle {
            return true;
        }
        let code = self.steps.code(debt.from, class);
        let without: Vec<StateId> = self.steps.each(code).collect();
        !without.iter().any(|&state| state == to || (swap && self.steps.leads(state, debt.class, to)))
    }

    /// The configuration after a move; the index in the problem of what took effect.
    pub(crate) fn apply<B: Bits>(
        &mut self,
        config: &Config<B>,
        window: &Window<'_, B>,
        chosen: Move,
    ) -> (Config<B>, Option<u32>) {
        let mut next = config.clone();
        let owing = !window.blind.within(&config.done);
        match chosen {
            Move::Drop => {
                self.advance(&mut next);
                (next, None)
            }
            Move::Take(id, to) => {
                let op = self.plan.done[id as usize];
                next.state = to;
                next.debt = None;
                next.done.set(op.slot);
                if op.kind == Kind::Blind {
                    next.used.set(op.slot);
                    next.done.add(&window.blind);
                    if id != config.layer {
                        next.debt = Some(Debt { from: config.state, class: op.class, idle: !owing });
                    }
                }
                (next, Some(op.index))
            }
            Move::Crash(number, to) => {
                let group = &self.plan.crashed[number as usize];
                let used = self.counts.of(config.used_crashed, number);
                let index = group.members[used as usize];
                next.state = to;
                next.used_crashed = self.counts.plus(config.used_crashed, number);
                let idle = !(group.blind && owing);
                if group.blind {
                    next.done.add(&window.blind);
                }
                next.debt = Some(Debt { from: config.state, class: group.class, idle });
                (next, Some(index))
            }
        }
    }

    /// Whether anything open leads to `state`.
    fn can_be<B: Bits>(&self, config: &Config<B>, window: &Window<'_, B>, state: StateId) -> bool {
        if !self.plan.posts_known {
            return true;
        }
        let left = |id: u32| {
            let op = &self.plan.done[id as usize];
            match op.kind {
                Kind::Pure => false,
                Kind::Blind => !config.used.has(op.slot),
                Kind::Other => !config.done.has(op.slot),
            }
        };
        let leads = |class: Class| self.plan.facts[class as usize].after == state;
        window.open().any(|id| id != config.layer && leads(self.plan.done[id as usize].class) && left(id))
            || (0..window.crash_open).any(|number| {
                leads(self.plan.crashed[number].class)
                    && self.counts.of(config.used_crashed, number as u32) < window.available[number]
            })
    }

    /// How many operations that did not take effect yet are legal only in this state, if nothing leads back to it: with
    /// one, only that one may leave the state, with more, nothing may.
    fn stuck<B: Bits>(&self, config: &Config<B>, window: &Window<'_, B>) -> u32 {
        let (needed, made) = self.needed_and_made(config, window, config.state);
        if made == 0 { needed } else { 0 }
    }

    /// Whether the awaited write, if it returns unseen, takes with it the last chance of a state that is needed.
    fn lost_if_dropped<B: Bits>(&self, config: &Config<B>, window: &Window<'_, B>) -> bool {
        let state = self.plan.facts_of(config.layer).after;
        if state == config.state {
            return false;
        }
        let (needed, made) = self.needed_and_made(config, window, state);
        needed > 0 && made <= 1
    }

    /// How many operations are still legal only in `state`, and how many can still lead there.
    fn needed_and_made<B: Bits>(
        &self,
        config: &Config<B>,
        window: &Window<'_, B>,
        state: StateId,
    ) -> (u32, u32) {
        if !self.plan.posts_known || state as usize >= self.plan.named_states {
            return (0, 0);
        }
        let mut needed = window.later_before[state as usize];
        let mut made = window.later_after[state as usize];
        for id in window.open() {
            let op = &self.plan.done[id as usize];
            let facts = self.plan.facts[op.class as usize];
            let left = match op.kind {
                Kind::Pure | Kind::Other => !config.done.has(op.slot),
                Kind::Blind => !config.used.has(op.slot),
            };
            needed += u32::from(left && facts.before == state);
            made += u32::from(left && facts.after == state && op.kind != Kind::Pure);
        }
        let crashed = self.plan.crashed.iter().enumerate();
        for (number, group) in crashed.filter(|(_, g)| self.plan.facts[g.class as usize].after == state) {
            made += group.members.len() as u32 - self.counts.of(config.used_crashed, number as u32);
        }
        (needed, made)
    }
}

/// Keeps those moves from `first` on that `keep` wants.
fn retain(moves: &mut Vec<Move>, first: usize, mut keep: impl FnMut(&Move) -> bool) {
    let mut at = first;
    for i in first..moves.len() {
        if keep(&moves[i]) {
            moves[at] = moves[i];
            at += 1;
        }
    }
    moves.truncate(at);
}
