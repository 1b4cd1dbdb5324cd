//! Delivery at least once: each message by itself, and drains, which must find every message gone or take it.
//!
//! A message is certainly waiting from when its sending (or its first delivery) returned until its first delivery was
//! invoked, or a drain took it. A drain needs an instant at which nothing waits that it did not return:
//!
//! ```text
//!   P0 |--enqueue a--|                                          a waits for certain
//!   P1                             |--dequeue → a--|                     ├───────────┤
//!   P2                |---- drain → [] ----|                                no instant: a is missing
//! ```
//! Later sendings and earlier deliveries only leave a drain more room, and which drain took a message first is known where
//! one drain is over before the next begins; so each drain is asked by itself. Dequeues that nobody heard of may have
//! taken one message each, and are counted.

use super::Exact;
use super::bisect::bisected;
use super::covers::Covers;
use super::fatal::Decision;
use super::forced::{answered, known};
use crate::delivery::DeliveryOp;
use crate::problem::ObjOp;
use history::ValueId;
use rustc_hash::FxHashMap;
use std::sync::atomic::AtomicBool;

/// Decides the operations of a queue that delivers at least once. `None` where there are drains: if a message is sent
/// twice, drains overlap, or one misses a message that another unanswered drain may have taken. O(n log n), with every
/// drain's messages counted; where a dequeue that nobody heard of is needed, O(n) for each drain.
pub(crate) fn delivered<'a>(
    ops: &[ObjOp<DeliveryOp>],
    stop: &AtomicBool,
    initial: &[ValueId],
    list: impl Fn(u32) -> &'a [ValueId],
) -> Option<Exact> {
    let messages = Messages::new(ops, initial, list)?;
    bisected("elements", ops, stop, |end| messages.decide(end).unwrap_or_else(|decision| decision))
}

/// A message with its operations.
#[derive(Clone, Debug, Default)]
struct Message {
    initial: bool,
    puts: Vec<u32>,
    takes: Vec<u32>,
    drains: Vec<u32>,
}

struct Messages<'b> {
    ops: &'b [ObjOp<DeliveryOp>],
    all: Vec<Message>,
    /// By invocation.
    drains: Vec<u32>,
    /// Dequeues and drains that nobody heard of.
    unheard: Vec<u32>,
    drains_unheard: Vec<u32>,
}

/// Where an operation stands: the instant, the drain that it comes right before, and its place there.
type Place = (u32, u32, u8);

/// After all drains of that instant.
const BEHIND: u32 = u32::MAX;

const PUT: u8 = 0;
const TAKE: u8 = 1;
const UNHEARD: u8 = 2;
const DRAIN: u8 = 3;

/// A drain as it is asked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    op: u32,
    /// From when on everything that it returned can have been sent, and what says so.
    from: u32,
    because: Option<u32>,
    /// The instant that it stands at.
    at: u32,
}

/// A message as it was known at some rank.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    message: u32,
    /// It was sent by then; at no instant, if it was there at first.
    sent: u32,
    /// When it can be gone.
    gone: u32,
    /// The first drain that returned it, by number.
    drained: usize,
}

impl Waiting {
    /// The instants at which it certainly waits, if no drain takes it.
    fn stretch(&self, initial: bool) -> (u32, u32) {
        (if initial { 0 } else { self.sent.saturating_add(1) }, self.gone - 1)
    }
}

impl<'b> Messages<'b> {
    fn new<'a>(
        ops: &'b [ObjOp<DeliveryOp>],
        initial: &[ValueId],
        list: impl Fn(u32) -> &'a [ValueId],
    ) -> Option<Messages<'b>> {
        let mut numbers: FxHashMap<ValueId, usize> = FxHashMap::default();
        let mut made = Messages {
            ops,
            all: Vec::new(),
            drains: Vec::new(),
            unheard: Vec::new(),
            drains_unheard: Vec::new(),
        };
        let mut number = |value: ValueId, all: &mut Vec<Message>| {
            *numbers.entry(value).or_insert_with(|| {
                all.push(Message::default());
                all.len() - 1
            })
        };
        for &value in initial {
            let at = number(value, &mut made.all);
            made.all[at].initial = true;
        }
        for (i, op) in (0u32..).zip(ops) {
            match op.op {
                DeliveryOp::Enqueue(value) => {
                    let at = number(value, &mut made.all);
                    made.all[at].puts.push(i);
                }
                DeliveryOp::Dequeue(value) => {
                    let at = number(value, &mut made.all);
                    made.all[at].takes.push(i);
                }
                DeliveryOp::Drain(returned) => {
                    made.drains.push(i);
                    for &value in list(returned) {
                        let at = number(value, &mut made.all);
                        made.all[at].drains.push(i);
                    }
                }
                DeliveryOp::DequeueUnheard => made.unheard.push(i),
                DeliveryOp::DrainUnheard => made.drains_unheard.push(i),
            }
        }
        let again = |m: &Message| m.puts.len() + usize::from(m.initial) > 1;
        let overlap = |two: &[u32]| ops[two[1] as usize].invoke < ops[two[0] as usize].ret;
        let coupled = made.all.iter().any(again) || made.drains.windows(2).any(overlap);
        (made.drains.is_empty() || !coupled).then_some(made)
    }

    fn op(&self, i: u32) -> &ObjOp<DeliveryOp> {
        &self.ops[i as usize]
    }

    fn decide(&self, end: u32) -> Result<Decision, Decision> {
        let is_answered = |&&i: &&u32| answered(self.op(i), end);
        let mut drains: Vec<Asked> = self
            .drains
            .iter()
            .filter(is_answered)
            .map(|&op| Asked { op, from: self.op(op).invoke + 1, because: None, at: 0 })
            .collect();
        if drains.is_empty() {
            return self.without_drains(end);
        }
        let numbers: FxHashMap<u32, usize> = drains.iter().zip(0..).map(|(drain, k)| (drain.op, k)).collect();
        let mut waiting = Vec::with_capacity(self.all.len());
        for (n, message) in (0u32..).zip(&self.all) {
            self.check_sent(message, end)?;
            let put = message.puts.first().copied().filter(|&i| known(self.op(i), end));
            let returned = message.drains.iter().filter_map(|drain| numbers.get(drain).copied());
            let drained = returned.clone().min().unwrap_or(drains.len());
            for (k, put) in returned.zip(std::iter::repeat(put)) {
                if let Some(put) = put.filter(|&put| self.op(put).invoke >= drains[k].from) {
                    (drains[k].from, drains[k].because) = (self.op(put).invoke + 1, Some(put));
                }
            }
            let taken = message.takes.iter().filter(is_answered).map(|&i| self.op(i).ret).min();
            let needed = taken.is_some() || drained < drains.len();
            if !message.initial && put.is_none_or(|put| !needed && !answered(self.op(put), end)) {
                continue;
            }
            let answer = put.filter(|&put| answered(self.op(put), end)).map(|put| self.op(put).ret);
            let sent =
                if message.initial { 0 } else { answer.into_iter().chain(taken).min().unwrap_or(u32::MAX) };
            let came = put.map_or(0, |put| self.op(put).invoke + 1);
            let takes = message.takes.iter().map(|&i| self.op(i).invoke).filter(|&invoke| invoke < end);
            let gone = takes.min().map_or(u32::MAX, |invoke| came.max(invoke + 1));
            waiting.push(Waiting { message: n, sent, gone, drained });
        }
        let mut helped: FxHashMap<u32, (usize, u32)> = FxHashMap::default();
        if let Err((k, covers)) = self.each_alone(&mut drains, &waiting) {
            let drain = drains[k];
            let by = |i: &&u32| self.op(**i).invoke < self.op(drain.op).ret;
            let open_drain = |i: &&u32| by(i) && !answered(self.op(**i), end);
            if self.drains_unheard.iter().chain(&self.drains).any(|i| open_drain(&i)) {
                return Err(Decision::Open);
            }
            if !self.unheard.iter().any(|i| by(&i)) {
                let missing = covers.owners(drain.from, self.op(drain.op).ret, u32::MAX);
                return Err(self.core(drain, missing.into_iter().map(|n| waiting[n as usize]), end));
            }
            helped = self.with_unheard(&mut drains, &waiting, end)?;
        }
        Ok(Decision::Holds(self.lay_out(&drains, &waiting, &helped, end)))
    }

    /// Who sent a message or took it alone, as far as is known.
    fn of<'m>(&self, message: &'m Message, end: u32) -> impl Iterator<Item = u32> + use<'m, '_, 'b> {
        message.puts.iter().chain(&message.takes).copied().filter(move |&i| known(self.op(i), end))
    }

    /// Whether whatever came had been sent.
    fn check_sent(&self, message: &Message, end: u32) -> Result<(), Decision> {
        if message.initial {
            return Ok(());
        }
        let put = message.puts.first().copied().filter(|&put| known(self.op(put), end));
        let came = message.takes.iter().chain(&message.drains).filter(|&&i| answered(self.op(i), end));
        for &i in came {
            if put.is_none_or(|put| self.op(i).ret < self.op(put).invoke) {
                return Err(Decision::Violated(self.of(message, end).chain([i]).collect()));
            }
        }
        Ok(())
    }

    fn without_drains(&self, end: u32) -> Result<Decision, Decision> {
        let mut placed: Vec<(u32, u8, u32)> = Vec::with_capacity(self.ops.len());
        for message in &self.all {
            self.check_sent(message, end)?;
            let puts = message.puts.iter().filter(|&&i| known(self.op(i), end));
            placed.extend(puts.map(|&i| (self.op(i).invoke + 1, PUT, i)));
            let takes = message.takes.iter().filter(|&&i| answered(self.op(i), end));
            placed.extend(takes.map(|&i| (self.op(i).ret, TAKE, i)));
        }
        placed.sort_unstable();
        Ok(Decision::Holds(placed.into_iter().map(|(.., i)| i).collect()))
    }

    /// An instant for each drain, if no unheard dequeue helps; or the last one that finds none, with what waits.
    fn each_alone(&self, drains: &mut [Asked], waiting: &[Waiting]) -> Result<(), (usize, Covers)> {
        let mut by_drain: Vec<Vec<u32>> = vec![Vec::new(); drains.len() + 1];
        for (n, waits) in (0u32..).zip(waiting) {
            by_drain[waits.drained].push(n);
        }
        // From the last one on: what a drain took waited for those before it.
        let mut covers = Covers::default();
        for k in (0..drains.len()).rev() {
            for &n in &by_drain[k + 1] {
                let waits = &waiting[n as usize];
                let (from, to) = waits.stretch(self.all[waits.message as usize].initial);
                covers.add(from, to, n);
            }
            match covers.free(drains[k].from).filter(|&free| free <= self.op(drains[k].op).ret) {
                Some(free) => drains[k].at = free,
                None => return Err((k, covers)),
            }
        }
        Ok(())
    }

    /// The same, where dequeues that nobody heard of take what is missing: per message, the drain that it is taken before,
    /// and by whom.
    fn with_unheard(
        &self,
        drains: &mut [Asked],
        waiting: &[Waiting],
        end: u32,
    ) -> Result<FxHashMap<u32, (usize, u32)>, Decision> {
        let mut helped: FxHashMap<u32, (usize, u32)> = FxHashMap::default();
        let unheard: Vec<u32> = self.unheard.iter().copied().filter(|&i| known(self.op(i), end)).collect();
        for (k, drain) in drains.iter_mut().enumerate() {
            let (from, ret) = (drain.from, self.op(drain.op).ret);
            let all: Vec<(u32, u32, Waiting)> = waiting
                .iter()
                .filter(|waits| waits.drained > k)
                .map(|&waits| (waits.stretch(self.all[waits.message as usize].initial), waits))
                .map(|((start, stop), waits)| (start, stop, waits))
                .filter(|&(start, stop, _)| start <= stop && start <= ret && stop >= from)
                .collect();
            let left = |&&(.., waits): &&(u32, u32, Waiting)| !helped.contains_key(&waits.message);
            let rest: Vec<_> = all.iter().filter(left).copied().collect();
            let before = |at: u32| unheard.partition_point(|&i| self.op(i).invoke < at);
            match best(&rest, from, ret, |at| before(at).saturating_sub(helped.len())) {
                Some(at) => {
                    drain.at = at;
                    let missing = rest.iter().filter(|&&(start, stop, _)| start <= at && at <= stop);
                    for &(.., waits) in missing {
                        // By invocation: those used are the first.
                        helped.insert(waits.message, (k, unheard[helped.len()]));
                    }
                }
                // Even if nobody before needed any.
                None if best(&all, from, ret, before).is_none() => {
                    return Err(self.core(*drain, all.into_iter().map(|(.., waits)| waits), end));
                }
                None => return Err(Decision::Open),
            }
        }
        Ok(helped)
    }

    fn core(&self, drain: Asked, missing: impl Iterator<Item = Waiting>, end: u32) -> Decision {
        let mut core = vec![drain.op];
        core.extend(drain.because);
        for waits in missing {
            core.extend(self.of(&self.all[waits.message as usize], end));
        }
        core.extend(self.unheard.iter().filter(|&&i| known(self.op(i), end)));
        Decision::Violated(core)
    }

    fn lay_out(
        &self,
        drains: &[Asked],
        waiting: &[Waiting],
        helped: &FxHashMap<u32, (usize, u32)>,
        end: u32,
    ) -> Vec<u32> {
        let mut placed: Vec<(Place, u32)> = Vec::with_capacity(self.ops.len());
        placed.extend(drains.iter().zip(0u32..).map(|(drain, k)| ((drain.at, k, DRAIN), drain.op)));
        for waits in waiting {
            let message = &self.all[waits.message as usize];
            let put = message.puts.first().copied();
            let at: Place = match drains.get(waits.drained) {
                _ if message.initial => (0, 0, PUT),
                Some(drain) if drain.at <= waits.sent => (drain.at, waits.drained as u32, PUT),
                Some(_) | None => (waits.sent, BEHIND, PUT),
            };
            placed.extend(put.map(|put| (at, put)));
            let first = message.takes.first().copied();
            let took = |&&i: &&u32| known(self.op(i), end) && (answered(self.op(i), end) || first == Some(i));
            for &i in message.takes.iter().filter(took) {
                let earliest = self.op(i).invoke + 1;
                let place = if earliest > at.0 { (earliest, 0, TAKE) } else { (at.0, at.1, TAKE) };
                placed.push((place, i));
            }
        }
        placed.extend(helped.values().map(|&(k, i)| ((drains[k].at, k as u32, UNHEARD), i)));
        placed.sort_unstable();
        placed.into_iter().map(|(_, i)| i).collect()
    }
}

/// An instant in `from..=to` at which no more wait than `most` says. Fewest wait right before one more does, or at the end.
fn best(all: &[(u32, u32, Waiting)], from: u32, to: u32, most: impl Fn(u32) -> usize) -> Option<u32> {
    let mut starts: Vec<u32> = all.iter().map(|waits| waits.0).collect();
    let mut stops: Vec<u32> = all.iter().map(|waits| waits.1).collect();
    starts.sort_unstable();
    stops.sort_unstable();
    let before = starts.iter().filter_map(|start| start.checked_sub(1)).filter(|&at| from <= at && at <= to);
    before.chain((from <= to).then_some(to)).find(|&at| {
        let began = starts.partition_point(|&start| start <= at);
        let ended = stops.partition_point(|&stop| stop < at);
        began - ended <= most(at)
    })
}
