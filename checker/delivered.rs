//! What at-least-once delivery allows, counted: messages that came again, or in another order than they were sent.

use history::results::Delivery;
use history::{Applied, History, NEVER, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;

/// What is known about one message of one key.
#[derive(Default)]
struct Message {
    /// Sendings that happened or may have.
    sent: u64,
    /// Rank of the first invocation and of the first return of an acknowledged one.
    invoke: u32,
    confirmed: Option<u32>,
    came: u64,
    /// Invocation and return of the first delivery.
    first: Option<(u32, u32)>,
}

/// What is known about one key.
#[derive(Default)]
struct Queue {
    messages: FxHashMap<ValueId, Message>,
    /// Completed drains: invocation, return and whether nothing came.
    drains: Vec<(u32, u32, bool)>,
    /// The last return of a sending or a delivery.
    busy: Option<u32>,
    /// Rank of the last invocation of a drain that returned.
    last_drain: Option<u32>,
}

/// Counts what came of the messages of a history under the model `delivery`. O(n log n).
///
/// ```text
///   P0  |--enqueue 1--| |--enqueue 2--|
///   P1                                   |--dequeue 2--| |--dequeue 1--| |--dequeue 1--|
///                                                          out of order    a duplicate
/// ```
/// A message is out of order if one came before it that was sent only after it had been confirmed.
pub fn delivered(history: &History) -> Delivery {
    let mut told = Delivery::default();
    let mut queues: FxHashMap<ValueId, Queue> = FxHashMap::default();
    // An element of a drain has a number only where something else names it: if it has none, nobody sent it.
    let mut lists: FxHashMap<ValueId, Vec<Option<ValueId>>> = FxHashMap::default();
    let words = ["enqueue", "dequeue", "drain"].map(|name| history.values.find(&Value::text(name)));
    for op in history.ops.iter().filter(|op| op.applied != Applied::No && op.outcome != Outcome::Fail) {
        let queue = queues.entry(op.key).or_default();
        let answered = op.outcome == Outcome::Ok;
        match words.iter().position(|word| *word == Some(op.f)) {
            Some(0) => queue.send(op),
            Some(_) if !answered => told.unheard += 1,
            Some(1) if op.output == ValueId::NULL => {}
            Some(1) => queue.deliver(op, Some(op.output), &mut told),
            Some(_) => {
                let list = lists.entry(op.output).or_insert_with(|| {
                    let listed = history.values.get(op.output).as_list().unwrap_or_default();
                    listed.iter().map(|message| history.values.find(message)).collect()
                });
                for &message in list.iter() {
                    queue.deliver(op, message, &mut told);
                }
                queue.drains.push((op.invoke, op.ret, list.is_empty()));
                queue.last_drain = queue.last_drain.max(Some(op.invoke));
            }
            None => {}
        }
    }
    told.keys = queues.len() as u64;
    for queue in queues.into_values() {
        queue.conclude(&mut told);
    }
    told
}

impl Queue {
    fn send(&mut self, op: &Op) {
        let message = self.messages.entry(op.input).or_default();
        if message.sent == 0 {
            message.invoke = op.invoke;
        }
        message.sent += 1;
        let ret = if op.outcome == Outcome::Ok { op.ret } else { NEVER };
        if ret != NEVER {
            message.confirmed = Some(message.confirmed.map_or(ret, |known| known.min(ret)));
            self.busy = self.busy.max(Some(ret));
        }
    }

    fn deliver(&mut self, op: &Op, message: Option<ValueId>, told: &mut Delivery) {
        told.deliveries += 1;
        self.busy = self.busy.max(Some(op.ret));
        match message {
            Some(message) => {
                let message = self.messages.entry(message).or_default();
                message.came += 1;
                message.first.get_or_insert((op.invoke, op.ret));
            }
            None => told.unsent += 1,
        }
    }

    fn conclude(mut self, told: &mut Delivery) {
        for message in self.messages.values().filter(|message| message.sent == 0) {
            told.unsent += message.came;
        }
        self.messages.retain(|_, message| message.sent > 0);
        for message in self.messages.values() {
            match message.confirmed {
                None => told.unanswered += 1,
                Some(confirmed) => {
                    told.confirmed += 1;
                    if message.came == 0 {
                        let drained = self.last_drain.is_some_and(|drain| confirmed < drain);
                        *(if drained { &mut told.missing } else { &mut told.waiting }) += 1;
                    }
                }
            }
            let again = message.came.saturating_sub(message.sent);
            told.duplicates += again;
            told.repeated += u64::from(again > 0);
        }
        told.reordered += self.reordered();
        self.drains.sort_unstable();
        let quiet =
            self.drains.iter().rev().take_while(|(invoke, _, empty)| *empty && Some(*invoke) > self.busy);
        told.emptied += u64::from(quiet.count() >= 2);
    }

    /// Messages of which one that was sent after their confirmation came first. O(n log n).
    fn reordered(&self) -> u64 {
        // By sending, and from the back the earliest return of a first delivery.
        let mut later: Vec<(u32, u32)> =
            self.messages.values().filter_map(|m| Some((m.invoke, m.first?.1))).collect();
        later.sort_unstable();
        let mut earliest = NEVER;
        for (_, came) in later.iter_mut().rev() {
            earliest = earliest.min(*came);
            *came = earliest;
        }
        let overtaken = |message: &&Message| {
            let (Some(confirmed), Some((invoke, _))) = (message.confirmed, message.first) else {
                return false;
            };
            let after = later.partition_point(|&(sent, _)| sent <= confirmed);
            later.get(after).is_some_and(|&(_, came)| came < invoke)
        };
        self.messages.values().filter(overtaken).count() as u64
    }
}
