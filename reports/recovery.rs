//! What a fault did to the service: for how long nothing was answered, how soon all was as before, and which of
//! consistency and availability a partition cost.

use crate::text::{count, many, percent};
use history::results::{FaultRecord, Results, Verdict};
use history::{Applied, History, NO_TIME, Op, Outcome};
use std::collections::BTreeMap;

/// A window of one second is as before if it has this share of the answers,
const RATE: f64 = 0.95;
/// and a p99 of at most this much more.
const SLOWER: i64 = 2;
const SECOND: i64 = 1_000_000_000;
/// What was usual is taken from at most this long before a fault.
const BEFORE: i64 = 5 * SECOND;
/// Windows that are looked at.
const STEPS: i64 = 2000;
const STEP: i64 = 50_000_000;

/// The definitions, as the page prints them.
pub const DEFINITIONS: &str = "Answered: ok, or refused for a reason that is a result, such as a cas that compared false. Longest outage: the longest time during the fault in which nothing was answered although something had been asked. Recovered: from the end of the fault to the first whole second that has at least 95 % of the answers per second of the time before (up to 5 s without any fault) and at most twice its p99.";

/// How it went on after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// After so many nanoseconds.
    After(i64),
    /// Not before the run ended.
    Never,
    /// Another fault came before that could be seen.
    Cut(u32),
    /// There was no second without a fault before, or the fault was not healed: nothing to compare with.
    Unknown,
}

/// The answered operations of a history, sorted for windows.
pub struct Service<'a> {
    faults: &'a [FaultRecord],
    /// When they were answered, and how long they took.
    answers: Vec<(i64, i64)>,
    asked: Vec<i64>,
    end: i64,
}

/// Whether it counts as an answer: the service was there, whatever it said.
fn answered(op: &Op) -> bool {
    op.outcome == Outcome::Ok
        || op.applied == Applied::No
        || (op.outcome == Outcome::Fail && op.error == history::ValueId::NULL)
}

impl<'a> Service<'a> {
    /// Sorts once. O(n log n).
    pub fn new(history: &'a History, faults: &'a [FaultRecord]) -> Service<'a> {
        let timed = || history.ops.iter().filter(|op| op.invoke_time != NO_TIME);
        let mut answers: Vec<(i64, i64)> = timed()
            .filter(|op| answered(op) && op.ret_time != NO_TIME)
            .map(|op| (op.ret_time, op.ret_time.saturating_sub(op.invoke_time).max(0)))
            .collect();
        answers.sort_unstable();
        let mut asked: Vec<i64> = timed().map(|op| op.invoke_time).collect();
        asked.sort_unstable();
        let end = asked.last().copied().unwrap_or(0).max(answers.last().map_or(0, |a| a.0));
        Service { faults, answers, asked, end }
    }

    fn within(&self, from: i64, to: i64) -> &[(i64, i64)] {
        let low = self.answers.partition_point(|a| a.0 < from);
        let high = self.answers.partition_point(|a| a.0 < to);
        &self.answers[low..high.max(low)]
    }

    /// The longest time during a fault in which nothing was answered although something had been asked.
    pub fn outage(&self, fault: &FaultRecord) -> Option<i64> {
        let (from, to) = (fault.injected, fault.healed.unwrap_or(self.end).max(fault.injected));
        let mut last = from;
        let mut longest = None;
        for at in self.within(from, to).iter().map(|a| a.0).chain([to]) {
            // Asked: sent after the last answer and before this one.
            let asked =
                self.asked.get(self.asked.partition_point(|t| *t < last)).copied().filter(|t| *t < at);
            if let Some(asked) = asked {
                longest = longest.max(Some(at.saturating_sub(asked)));
            }
            last = at;
        }
        longest
    }

    /// How soon after a fault all was as before. O(windows · answers in a second).
    pub fn recovery(&self, fault: &FaultRecord) -> Recovery {
        let Some(healed) = fault.healed else { return Recovery::Unknown };
        let Some((from, to)) = self.quiet(fault.injected) else { return Recovery::Unknown };
        let before = self.within(from, to);
        let Some(usual) = p99(before) else { return Recovery::Unknown };
        let needed = before.len() as f64 * SECOND as f64 / to.saturating_sub(from).max(1) as f64 * RATE;
        let next = self
            .faults
            .iter()
            .filter(|f| f.id != fault.id && f.healed.unwrap_or(i64::MAX) > healed)
            .min_by_key(|f| f.injected.max(healed));
        let until = next.map_or(self.end, |f| f.injected.max(healed));
        let step = STEP.max(until.saturating_sub(healed) / STEPS);
        let mut at = healed;
        while at.saturating_add(SECOND) <= until {
            let window = self.within(at, at + SECOND);
            if window.len() as f64 >= needed && p99(window).is_some_and(|p| p <= usual.saturating_mul(SLOWER))
            {
                return Recovery::After(at - healed);
            }
            at = at.saturating_add(step);
        }
        next.map_or(Recovery::Never, |f| Recovery::Cut(f.id))
    }

    /// The last second or more without any fault before `at`, at most [`BEFORE`] of it.
    fn quiet(&self, at: i64) -> Option<(i64, i64)> {
        let first = self.asked.first().copied()?;
        let mut ends: Vec<i64> = vec![at];
        ends.extend(self.faults.iter().map(|f| f.injected).filter(|t| *t < at));
        ends.sort_unstable();
        ends.into_iter().rev().find_map(|to| {
            let open = self.faults.iter().any(|f| f.injected < to && f.healed.unwrap_or(i64::MAX) > to);
            let ended = self.faults.iter().filter(|f| f.injected < to).filter_map(|f| f.healed).max();
            let from = ended.unwrap_or(first).max(first).max(to.saturating_sub(BEFORE));
            (!open && to.saturating_sub(from) >= SECOND * 9 / 10).then_some((from, to))
        })
    }
}

fn p99(window: &[(i64, i64)]) -> Option<i64> {
    let mut latencies: Vec<i64> = window.iter().map(|a| a.1).collect();
    let last = latencies.len().checked_sub(1)?;
    let rank = (latencies.len() * 99).div_ceil(100).saturating_sub(1).min(last);
    Some(*latencies.select_nth_unstable(rank).1)
}

/// One sentence on a partition: what each side answered, and what that cost. `None` for any other fault, and for
/// partitions without two sides.
pub fn sides(results: &Results, history: &History, fault: &FaultRecord) -> Option<String> {
    // What stands in brackets behind the sides says why they were chosen.
    let sides = fault.what.split_once(" (").map_or(fault.what.as_str(), |(sides, _)| sides);
    let groups: Vec<Vec<&str>> = sides.split('|').map(|side| side.split_whitespace().collect()).collect();
    let nodes: usize = groups.iter().map(Vec::len).sum();
    if fault.kind != "partition" || groups.len() < 2 || groups.iter().any(Vec::is_empty) {
        return None;
    }
    let majority = groups.iter().find(|side| side.len() * 2 > nodes);
    let minority: Vec<&str> =
        groups.iter().filter(|side| side.len() * 2 <= nodes).flatten().copied().collect();
    let tally = tally(history, fault);
    let of = |side: &[&str]| {
        side.iter().filter_map(|n| tally.get(*n)).fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1))
    };
    let (small, small_asked) = of(&minority);
    let (large, large_asked) = majority.map_or((0, 0), |side| of(side));
    let anomalies =
        results.anomalies.iter().filter(|a| a.coincides.iter().any(|c| c.fault == fault.id)).count() as u64;
    let who = |word: &str, side: &[&str], ok: u64, asked: u64| {
        format!(
            "the {word} ({}) answered {} of {}",
            side.join(" "),
            percent(ok, asked),
            many(asked, "request")
        )
    };
    let told = match majority {
        Some(side) => format!(
            "{}, {}",
            who("minority", &minority, small, small_asked),
            who("majority", side, large, large_asked)
        ),
        None => format!(
            "no side had a majority: {} of {} were answered",
            count(small),
            many(small_asked, "request")
        ),
    };
    let refused = small * 20 <= small_asked;
    let conclusion = match (small_asked, refused, anomalies) {
        (0, _, _) => "nobody asked the minority, so this tells nothing about it".to_string(),
        (_, true, 0) if majority.is_some() && large == 0 => {
            "neither side answered, and nothing contradicts itself".to_string()
        }
        (_, true, 0) => format!(
            "{}: consistency kept, availability given up there",
            if results.verdict == Verdict::Undecided {
                "no conflict was found"
            } else {
                "the minority refused"
            }
        ),
        (_, true, n) => format!("the minority refused, and yet {} this time", coincide(n)),
        (_, false, 0) => "both sides answered, and no conflict was observed".to_string(),
        (_, false, n) => {
            format!("both sides answered, and {} this time: availability kept, consistency lost", coincide(n))
        }
    };
    Some(format!("{told}; {conclusion}."))
}

fn coincide(n: u64) -> String {
    format!("{} {} with", many(n, "anomaly"), if n == 1 { "coincides" } else { "coincide" })
}

/// Answered and asked by node, from when the fault was seen to bite.
fn tally(history: &History, fault: &FaultRecord) -> BTreeMap<String, (u64, u64)> {
    let (from, to) = (fault.bit.unwrap_or(fault.injected), fault.healed.unwrap_or(i64::MAX));
    let mut tally: BTreeMap<history::ValueId, (u64, u64)> = BTreeMap::new();
    for op in history.ops.iter().filter(|op| op.invoke_time >= from && op.invoke_time < to) {
        let node = tally.entry(op.node).or_default();
        node.0 += u64::from(answered(op));
        node.1 += 1;
    }
    tally
        .into_iter()
        .map(|(node, counts)| {
            let value = history.values.get(node);
            (value.as_text().map_or_else(|| value.to_string(), str::to_string), counts)
        })
        .collect()
}
