//! Counts a history: how many operations became what, and how long they took.

use crate::history::History;
use crate::interner::ValueId;
use crate::op::{NO_TIME, Op, Outcome};
use crate::raw::text_of;
use crate::results::{FunctionStats, Stats};
use rustc_hash::{FxHashMap, FxHashSet};

/// Counts per function and per node, with exact percentiles of the recorded times. O(n log n).
///
/// A latency is the time from an invocation to its `ok` or `fail`; operations without both times have none.
pub fn stats(history: &History) -> Stats {
    let mut stats = Stats { processes: history.processes.len() as u64, ..Stats::default() };
    let mut functions: FxHashMap<ValueId, Group> = FxHashMap::default();
    let mut nodes: FxHashMap<ValueId, Group> = FxHashMap::default();
    let mut keys: FxHashSet<ValueId> = FxHashSet::default();
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for op in &history.ops {
        for time in [op.invoke_time, op.ret_time] {
            if time != NO_TIME {
                first = first.min(time);
                last = last.max(time);
            }
        }
        functions.entry(op.f).or_default().count(op);
        if op.node != ValueId::NULL {
            nodes.entry(op.node).or_default().count(op);
        }
        if op.key != ValueId::NULL {
            keys.insert(op.key);
        }
    }
    let named = |groups: FxHashMap<ValueId, Group>| -> Vec<(String, FunctionStats)> {
        groups.into_iter().map(|(name, group)| (text_of(history.values.get(name)), group.finish())).collect()
    };
    stats.functions = named(functions).into_iter().collect();
    stats.nodes = named(nodes).into_iter().collect();
    stats.ops = history.ops.len() as u64;
    for (name, function) in &stats.functions {
        stats.ok += function.ok;
        stats.fail += function.fail;
        stats.info += function.info;
        if matches!(name.as_str(), "read" | "get") {
            stats.ok_reads += function.ok;
        }
    }
    stats.keys = keys.len() as u64;
    stats.duration_ns = if first <= last { last.saturating_sub(first) } else { 0 };
    stats
}

#[derive(Default)]
struct Group {
    counts: FunctionStats,
    latencies: Vec<i64>,
}

impl Group {
    fn count(&mut self, op: &Op) {
        match op.outcome {
            Outcome::Ok => self.counts.ok += 1,
            Outcome::Fail => self.counts.fail += 1,
            Outcome::Info => {
                self.counts.info += 1;
                return;
            }
        }
        if op.invoke_time != NO_TIME && op.ret_time != NO_TIME {
            self.latencies.push(op.ret_time.saturating_sub(op.invoke_time));
        }
    }

    fn finish(mut self) -> FunctionStats {
        self.latencies.sort_unstable();
        // The smallest latency that is at least as long as this share of them.
        let percentile = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100);
            rank.checked_sub(1).map_or(0, |i| self.latencies[i])
        };
        FunctionStats {
            p50: percentile(50),
            p95: percentile(95),
            p99: percentile(99),
            max: percentile(100),
            ..self.counts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Kind, pair};

    #[test]
    fn percentiles_are_exact_and_unanswered_operations_have_none() {
        let mut events = Vec::new();
        for i in 0..200 {
            let start = i * 1000;
            events.push(Event::client(start, 0, Kind::Invoke, "read", Some("x".into()), ().into()));
            events.push(Event::client(start + i + 1, 0, Kind::Ok, "read", None, 7.into()));
        }
        events.push(Event::client(300_000, 1, Kind::Invoke, "write", Some("y".into()), 1.into()));
        events.push(Event::client(300_500, 1, Kind::Fail, "write", None, 1.into()));
        events.push(Event::client(301_000, 2, Kind::Invoke, "write", Some("y".into()), 2.into()));
        events[0].node = Some("n1".to_string());
        let stats = stats(&pair(events).expect("a history"));
        let read = &stats.functions["read"];
        assert_eq!((read.ok, read.p50, read.p95, read.p99, read.max), (200, 100, 190, 198, 200));
        let write = &stats.functions["write"];
        assert_eq!((write.ok, write.fail, write.info, write.p50), (0, 1, 1, 500));
        assert_eq!((stats.ops, stats.ok, stats.fail, stats.info, stats.ok_reads), (202, 200, 1, 1, 200));
        assert_eq!((stats.keys, stats.processes, stats.duration_ns), (2, 3, 301_000));
        assert_eq!(stats.nodes["n1"].ok, 1);
    }
}
