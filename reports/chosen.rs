//! Which operations a page holds, where it cannot hold all.

use crate::buckets::Axis;
use crate::embed::text;
use crate::plan::shown;
use crate::text::{count, list, many, number_word};
use history::results::{Answer, Results};
use history::{History, Op, ValueId};
use std::collections::{HashMap, HashSet};

/// Above this many operations a page holds those that matter most and says so.
pub const OPS_MAX: usize = 1_500_000;
/// A reduced page holds what is this near (1 s) to an end of a fault or to an anomaly.
const NEAR_NS: i64 = 1_000_000_000;
/// Where little else matters, a reduced page is filled up to this share of what it can hold (a sixth: 250 000).
const FILL: usize = 6;

/// The operations of a page.
pub struct Chosen {
    /// Their places in the history, in order.
    pub ops: Vec<u32>,
    /// Which they are, and where the others are, in words. Empty if they are all.
    pub held: String,
}

/// All operations, if there are at most `most`. Else those of the keys in question and those near what happened; and as
/// there is more to see in a page with something in it, whole keys besides, or the beginning of a run without keys.
pub fn choose(results: &Results, history: &History, axis: Axis, most: usize) -> Chosen {
    let all = 0..history.ops.len() as u32;
    if history.ops.len() <= most {
        return Chosen { ops: all.collect(), held: String::new() };
    }
    let matters = Matters::of(results, axis);
    let mut named: HashMap<ValueId, bool> = HashMap::new();
    let mut questioned = |op: &Op| {
        *named.entry(op.key).or_insert_with(|| op.key != ValueId::NULL && matters.names(history, op.key))
    };
    let mut which = Vec::new();
    let mut ops: Vec<u32> = all
        .clone()
        .filter(|&i| {
            let op = &history.ops[i as usize];
            questioned(op) || matters.near(op) || matters.core.contains(&op.invoke)
        })
        .collect();
    if named.values().any(|in_question| *in_question) {
        which.push("those of the keys in question".to_string());
    }
    if !matters.moments.is_empty() {
        which.push("those within a second of a fault or an anomaly".to_string());
    }
    if ops.len() > most {
        let every = ops.len().div_ceil(most);
        let core = |i: u32| matters.core.contains(&history.ops[i as usize].invoke);
        ops =
            ops.iter().enumerate().filter(|(at, i)| at % every == 0 || core(**i)).map(|(_, i)| *i).collect();
        which = vec![format!("every {}th of {}", count(every as u64), list(&which))];
    } else {
        let more = if which.is_empty() { "" } else { "more " };
        which.extend(fill(history, &mut ops, most / FILL, more));
    }
    let held = format!(
        "{} of {} are in this page: {}. The others are summed up in the strip on top; perjury report --all makes a page with all of them.",
        count(ops.len() as u64),
        many(history.ops.len() as u64, "operation"),
        list(&which)
    );
    Chosen { ops, held }
}

/// What a run is looked at for.
struct Matters<'a> {
    keys: HashSet<&'a str>,
    /// Sorted; nanoseconds since the run began. Empty without times.
    moments: Vec<i64>,
    /// Ranks of the invocations of cores.
    core: HashSet<u32>,
}

impl<'a> Matters<'a> {
    fn of(results: &'a Results, axis: Axis) -> Matters<'a> {
        let objects = results.judgements.iter().flat_map(|j| &j.objects);
        let keys = objects
            .filter(|o| o.answer != Answer::Holds)
            .flat_map(|o| o.keys.iter().map(String::as_str))
            .chain(results.anomalies.iter().filter_map(|a| a.key.as_deref()))
            .collect();
        let mut moments: Vec<i64> =
            results.faults.iter().flat_map(|f| [Some(f.injected), f.healed]).flatten().collect();
        moments.extend(results.anomalies.iter().flat_map(|a| &a.ops).filter_map(|op| op.invoke_time));
        moments.retain(|_| axis.timed);
        moments.sort_unstable();
        let core = results.anomalies.iter().flat_map(shown).map(|op| op.invoke).collect();
        Matters { keys, moments, core }
    }

    fn names(&self, history: &History, key: ValueId) -> bool {
        self.keys.contains(text(history.values.get(key), 600).as_str())
    }

    fn near(&self, op: &Op) -> bool {
        let at = self.moments.partition_point(|m| *m < op.invoke_time);
        [at.checked_sub(1), Some(at)]
            .into_iter()
            .flatten()
            .any(|i| self.moments.get(i).is_some_and(|m| m.abs_diff(op.invoke_time) <= NEAR_NS as u64))
    }
}

/// Adds whole keys in order of first appearance, or without keys what came first, up to `most` in all. Says what.
fn fill(history: &History, ops: &mut Vec<u32>, most: usize, more: &str) -> Option<String> {
    let room = most.saturating_sub(ops.len());
    let held: HashSet<u32> = ops.iter().copied().collect();
    let others = || (0..history.ops.len() as u32).filter(|i| !held.contains(i));
    let key = |i: u32| history.ops[i as usize].key;
    let mut sizes: HashMap<ValueId, usize> = HashMap::new();
    let mut keys = Vec::new();
    for i in others() {
        let size = sizes.entry(key(i)).or_insert(0);
        if *size == 0 {
            keys.push(key(i));
        }
        *size += 1;
    }
    let mut left = room;
    let mut whole: HashSet<ValueId> = HashSet::new();
    for key in keys.into_iter().filter(|key| *key != ValueId::NULL) {
        if let Some(rest) = left.checked_sub(sizes[&key]) {
            left = rest;
            whole.insert(key);
        }
    }
    let (added, what): (Vec<u32>, String) = match whole.len() {
        0 => (others().take(room).collect(), "those at the beginning".to_string()),
        1 => (others().filter(|i| whole.contains(&key(*i))).collect(), format!("those of one {more}key")),
        n => (
            others().filter(|i| whole.contains(&key(*i))).collect(),
            format!("those of {} {more}keys", number_word(n)),
        ),
    };
    if added.is_empty() {
        return None;
    }
    ops.extend(added);
    ops.sort_unstable();
    Some(what)
}
