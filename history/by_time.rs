//! Orders events by their times.

use crate::event::Kind;
use crate::format::Format;
use crate::interner::Interner;
use crate::op::NO_TIME;
use crate::op::Op;
use crate::raw::{Raw, RawProcess, Wrong};
use crate::read::Sink;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Collects events, then gives them in the order of their times.
#[derive(Default)]
pub(crate) struct ByTime {
    events: Vec<Raw>,
    /// Instants at which several processes returned and called again.
    crowded: u64,
}

impl Sink for ByTime {
    /// With the operations that they will become, while they are there themselves.
    fn bytes(&self) -> u64 {
        (self.events.len() * (size_of::<Raw>() + size_of::<Op>() / 2)) as u64
    }

    fn event(&mut self, raw: &Raw, _: &Interner, _: Format) -> Result<ControlFlow<()>, Wrong> {
        self.push(raw).map(ControlFlow::Continue)
    }
}

impl ByTime {
    fn push(&mut self, raw: &Raw) -> Result<(), Wrong> {
        let mut raw = *raw;
        if raw.time == NO_TIME {
            if raw.is_client() {
                return Err(Wrong::new("an event with the field `time` (--order time)", "one without"));
            }
            // A nemesis event without a time stays where it stands.
            raw.time = self.events.last().map_or(NO_TIME, |last| last.time);
        }
        self.events.push(raw);
        Ok(())
    }

    /// The events, and what had to be assumed.
    pub(crate) fn finish(mut self) -> (Vec<Raw>, Option<String>) {
        self.events.sort_by_key(|raw| raw.time);
        let mut rest = &mut self.events[..];
        while let Some(first) = rest.first() {
            let time = first.time;
            let ties = rest.iter().take_while(|raw| raw.time == time).count();
            let (tied, later) = rest.split_at_mut(ties);
            if ties > 1 && calls_first(tied) > 1 {
                self.crowded += 1;
            }
            rest = later;
        }
        let warning = (self.crowded > 0).then(|| {
            format!(
                "{} times several processes return and call again at the very same time: \
                 their operations count as one after the other",
                self.crowded
            )
        });
        (self.events, warning)
    }
}

/// Orders events of one instant: calls before returns, because operations that touch may overlap, but an operation
/// stays after the earlier ones of its own process.
///
/// ```text
///   P0  |-------|          P1 is called before P0 returns: they may take effect in either order
///   P1          |------|
///   P0          |------|   P0's next call has to wait for its return
/// ```
/// Gives back how many processes had to wait so. With two of them, no sequence says all that is concurrent.
fn calls_first(tied: &mut [Raw]) -> usize {
    let mut queues: Vec<VecDeque<Raw>> = Vec::new();
    let mut queue_of: FxHashMap<i64, usize> = FxHashMap::default();
    let mut ordered = Vec::with_capacity(tied.len());
    for raw in tied.iter() {
        match raw.process {
            RawProcess::Other(_) => ordered.push(*raw),
            RawProcess::Client(process) => {
                let queue = *queue_of.entry(process).or_insert_with(|| {
                    queues.push(VecDeque::new());
                    queues.len() - 1
                });
                queues[queue].push_back(*raw);
            }
        }
    }
    let is_call = |raw: &Raw| raw.kind == Kind::Invoke;
    for queue in &mut queues {
        while queue.front().is_some_and(is_call) {
            ordered.extend(queue.pop_front());
        }
    }
    // Whoever calls again within this instant has to return first; the others return last of all.
    let waiting = queues.iter().filter(|queue| queue.iter().any(is_call)).count();
    for queue in &mut queues {
        while queue.iter().any(is_call) {
            ordered.extend(queue.pop_front());
        }
    }
    ordered.extend(queues.into_iter().flatten());
    tied.copy_from_slice(&ordered);
    waiting
}
