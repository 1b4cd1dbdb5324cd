//! The run cut into slices of time, so that a chart of a million operations is as small as one of a thousand.
//!
//! Slices end where a fault begins or ends: none of them mixes a healthy second with a broken one.

use history::results::FaultRecord;
use history::{History, NO_TIME, Op, Outcome};

/// Most slices that a chart gets.
const SLICES_MAX: usize = 600;
/// Slices of a run without faults, if it is long enough.
const SLICES: i64 = 240;
/// A slice holds about this many operations, or its quantiles would all be the same.
const SLICE_OPS: i64 = 15;
/// A slice is not shorter than this (0.1 s) unless the run is.
const SLICE_MIN_NS: i64 = 100_000_000;
/// Without times, a slice has at least this many events.
const SLICE_MIN_EVENTS: i64 = 8;
/// A chart of a short run still has this many.
const SLICES_MIN: i64 = 8;

/// What the horizontal axis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Where it begins.
    pub from: i64,
    /// Where it ends, after `from`.
    pub to: i64,
    /// Whether it is nanoseconds; else it counts events.
    pub timed: bool,
}

impl Axis {
    /// Time from the start of the run if every operation has one, else the sequence of events. `None` without ops.
    pub fn of(history: &History, faults: &[FaultRecord]) -> Option<Axis> {
        let first = history.ops.first()?;
        if history.ops.iter().any(|op| op.invoke_time == NO_TIME) {
            return Some(Axis { from: 0, to: i64::from(history.ranks.max(1)), timed: false });
        }
        let ends = history.ops.iter().map(|op| op.invoke_time.max(op.ret_time));
        let faults = faults.iter().map(|f| f.healed.unwrap_or(f.injected).max(f.injected));
        let from = history
            .ops
            .iter()
            .map(|op| op.invoke_time)
            .fold(first.invoke_time.min(0), i64::min)
            .min(i64::MAX - 1);
        let to = ends.chain(faults).fold(from.saturating_add(1), i64::max);
        Some(Axis { from, to, timed: true })
    }

    /// Where an operation was sent.
    pub fn sent(&self, op: &Op) -> i64 {
        if self.timed { op.invoke_time } else { i64::from(op.invoke) }
    }

    /// Its length.
    pub fn length(&self) -> i64 {
        self.to.saturating_sub(self.from).max(1)
    }
}

/// One slice: the operations that were sent in it.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    /// Where it begins.
    pub from: i64,
    /// Where it ends.
    pub to: i64,
    /// Answered ok.
    pub ok: u64,
    /// Answered with a failure.
    pub fail: u64,
    /// Never answered.
    pub info: u64,
    /// Latencies of the answered ones in nanoseconds, sorted.
    pub latencies: Vec<i64>,
}

impl Bucket {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.ok + self.fail + self.info
    }

    /// The latency that `share` of the answered stayed at or below, by nearest rank.
    pub fn quantile(&self, share: f64) -> Option<i64> {
        let last = self.latencies.len().checked_sub(1)?;
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        Some(self.latencies[rank.saturating_sub(1).min(last)])
    }
}

/// Cuts the run into slices and counts `ops` in them. O(n log n).
pub fn buckets<'a>(axis: Axis, faults: &[FaultRecord], ops: impl Iterator<Item = &'a Op>) -> Vec<Bucket> {
    let ops: Vec<&Op> = ops.collect();
    let cuts = cuts(axis, faults, ops.len() as i64);
    let mut out: Vec<Bucket> =
        cuts.windows(2).map(|w| Bucket { from: w[0], to: w[1], ..Bucket::default() }).collect();
    for op in ops {
        let at = cuts.partition_point(|c| *c <= axis.sent(op)).saturating_sub(1).min(out.len() - 1);
        let bucket = &mut out[at];
        match op.outcome {
            Outcome::Ok => bucket.ok += 1,
            Outcome::Fail => bucket.fail += 1,
            Outcome::Info => bucket.info += 1,
        }
        if axis.timed && op.outcome != Outcome::Info && op.ret_time != NO_TIME {
            bucket.latencies.push(op.ret_time.saturating_sub(op.invoke_time).max(0));
        }
    }
    for bucket in &mut out {
        bucket.latencies.sort_unstable();
    }
    out
}

/// The ends of the slices: at least two, strictly rising.
fn cuts(axis: Axis, faults: &[FaultRecord], ops: i64) -> Vec<i64> {
    let shortest = if axis.timed { SLICE_MIN_NS } else { SLICE_MIN_EVENTS };
    let slices = (ops / SLICE_OPS).clamp(SLICES_MIN, SLICES);
    let width = (axis.length() / slices).max(shortest).min(axis.length() / SLICES_MIN).max(1);
    let mut edges = vec![axis.from];
    if axis.timed {
        let mut ends: Vec<i64> = faults.iter().flat_map(|f| [Some(f.injected), f.healed]).flatten().collect();
        ends.sort_unstable();
        for end in ends {
            // Two ends that are almost one share a cut.
            if end > edges[edges.len() - 1].saturating_add(width / 3)
                && end < axis.to.saturating_sub(width / 3)
            {
                edges.push(end);
            }
        }
    }
    edges.push(axis.to);
    let mut cuts = Vec::new();
    for pair in edges.windows(2) {
        let length = pair[1].saturating_sub(pair[0]);
        let pieces = (length.saturating_add(width / 2) / width).max(1);
        cuts.extend((0..pieces).map(|i| pair[0].saturating_add(share(length, i, pieces))));
    }
    cuts.push(axis.to);
    cuts.dedup();
    if cuts.len() > SLICES_MAX { cuts_of_equal_width(axis) } else { cuts }
}

/// `part` of `parts` of a length.
fn share(length: i64, part: i64, parts: i64) -> i64 {
    (i128::from(length) * i128::from(part) / i128::from(parts)) as i64
}

/// For runs with so many faults that their ends alone would be too many.
fn cuts_of_equal_width(axis: Axis) -> Vec<i64> {
    let n = SLICES_MAX as i64 / 2;
    let mut cuts: Vec<i64> = (0..=n).map(|i| axis.from.saturating_add(share(axis.length(), i, n))).collect();
    cuts.dedup();
    cuts
}

/// The longest time in which nothing was answered ok although something was asked, in nanoseconds, and its beginning.
/// Whatever was sent before its end and not answered before its beginning counts as asked. O(n log n).
pub fn longest_outage(history: &History) -> Option<(i64, i64)> {
    let ops: Vec<&Op> = history.ops.iter().filter(|op| op.invoke_time != NO_TIME).collect();
    let first = ops.iter().map(|op| op.invoke_time).min()?;
    let last = ops.iter().map(|op| op.ret_time.max(op.invoke_time)).max()?;
    let mut answers: Vec<i64> = ops
        .iter()
        .filter(|op| op.outcome == Outcome::Ok && op.ret_time != NO_TIME)
        .map(|op| op.ret_time)
        .collect();
    answers.push(last);
    answers.sort_unstable();
    let mut sent: Vec<i64> = ops.iter().map(|op| op.invoke_time).collect();
    sent.sort_unstable();
    let mut best: Option<(i64, i64)> = None;
    let mut from = first;
    for answer in answers {
        // Asked: sent after the last answer and before this one. Silence that nobody broke is no outage.
        let asked = sent.get(sent.partition_point(|t| *t < from)).copied().filter(|t| *t < answer);
        if let Some(asked) = asked {
            let silence = answer.saturating_sub(asked);
            if best.is_none_or(|(longest, _)| silence > longest) {
                best = Some((silence, asked));
            }
        }
        from = answer;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(injected: i64, healed: i64) -> FaultRecord {
        FaultRecord {
            id: 1,
            kind: "kill".into(),
            what: "n1".into(),
            nodes: vec![],
            injected,
            bit: None,
            evidence: None,
            healed: Some(healed),
            error: None,
        }
    }

    #[test]
    fn slices_end_where_faults_do_and_cover_the_run() {
        let axis = Axis { from: 0, to: 20_000_000_000, timed: true };
        let cuts = cuts(axis, &[fault(5_030_000_000, 9_070_000_000)], 10_000);
        assert!(cuts.contains(&5_030_000_000) && cuts.contains(&9_070_000_000));
        assert_eq!((cuts[0], cuts[cuts.len() - 1]), (0, axis.to));
        assert!(cuts.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn a_short_run_and_a_run_full_of_faults_have_a_sane_number_of_slices() {
        let short = cuts(Axis { from: 0, to: 5, timed: true }, &[], 3);
        assert!(short.len() >= 2 && short.len() <= 6, "{short:?}");
        let many: Vec<FaultRecord> =
            (0..5000).map(|i| fault(i * 1_000_000_000, i * 1_000_000_000 + 400_000_000)).collect();
        let cuts = cuts(Axis { from: 0, to: 5_000_000_000_000, timed: true }, &many, 1_000_000);
        assert!(cuts.len() <= SLICES_MAX && cuts.windows(2).all(|w| w[0] < w[1]));
    }
}
