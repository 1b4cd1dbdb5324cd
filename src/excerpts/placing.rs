//! From the time that a node wrote to the time on the clock of the run.
//!
//! A node's clock may be ahead of the controller's all along, and a fault may bend it meanwhile. The lines of a file are
//! in the order in which they were written, and that tells apart what one stamp may mean:
//!
//! ```text
//!   run      0 ──────── 10 ════════ 20 ──────── 30 ──── 40         n2 +30 s from 10 to 20
//!   stamps       5  9   40  41  48      21  25                      40 to 48 were written at 10 to 18: 21 comes after them
//! ```

use history::Bend;
use history::results::FaultRecord;

/// How long a clock may take to be bent, and to be right again (50 ms).
const SETTING_NS: i64 = 50_000_000;
/// How far a line may be behind the one before it (20 ms): several threads write into one file.
const OUT_OF_ORDER_NS: i64 = 20_000_000;

/// What is known of a node's clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    bends: Vec<(i64, i64, Bend)>,
}

/// When a line was written: nanoseconds since the run began, and by how many that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When.
    pub time: i64,
    /// By how much it may be wrong.
    pub slack: i64,
}

impl Clock {
    /// The clock of a node, as the faults have bent it.
    pub fn of(node: &str, faults: &[FaultRecord]) -> Clock {
        let bends = faults.iter().filter(|fault| fault.kind == "clock").filter_map(|fault| {
            let (bent, bend) = Bend::parse(&fault.what)?;
            (bent == node).then(|| (fault.injected, fault.healed.unwrap_or(i64::MAX), bend))
        });
        Clock { bends: bends.collect() }
    }

    /// When a clock may have said so: each time that is possible, from the earliest on.
    fn meanings(&self, said: i64) -> Vec<i64> {
        let ns = |seconds: f64| (seconds * 1e9) as i64;
        let mut all = Vec::new();
        let bent = |at: i64| {
            self.bends.iter().any(|(from, to, _)| {
                at > from.saturating_add(SETTING_NS) && at < to.saturating_sub(SETTING_NS)
            })
        };
        let strobes = self
            .bends
            .iter()
            .any(|(from, to, bend)| matches!(bend, Bend::Strobe(..)) && said >= *from && said <= *to);
        if strobes || !bent(said) {
            all.push(said);
        }
        for (from, to, bend) in &self.bends {
            let at = match bend {
                Bend::Off(off) | Bend::Strobe(off, _) => said.saturating_sub(ns(*off)),
                Bend::Speed(speed) if *speed > 0.0 => {
                    from.saturating_add(((said.saturating_sub(*from)) as f64 / speed) as i64)
                }
                Bend::Speed(_) => continue,
            };
            if at >= from.saturating_sub(SETTING_NS) && at <= to.saturating_add(SETTING_NS) {
                all.push(at);
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// When the lines of a file were written: `said` is what the clock said, in the order of the lines, on the scale of
    /// the run. A line that may have been written at several times has the earliest that its neighbours allow, and a
    /// slack that covers the latest. O(lines · bends).
    pub fn places(&self, said: &[i64]) -> Vec<Place> {
        if self.bends.is_empty() {
            return said.iter().map(|time| Place { time: *time, slack: 0 }).collect();
        }
        let meanings: Vec<Vec<i64>> = said.iter().map(|said| self.meanings(*said)).collect();
        // The latest that what comes after a line allows.
        let mut latest = vec![i64::MAX; said.len()];
        let mut before = i64::MAX;
        for (at, meanings) in meanings.iter().enumerate().rev() {
            let allowed = before.saturating_add(OUT_OF_ORDER_NS);
            if let Some(found) = meanings.iter().rev().find(|time| **time <= allowed) {
                before = *found;
            }
            latest[at] = before;
        }
        let mut after = i64::MIN;
        let place = |(at, meanings): (usize, &Vec<i64>)| {
            let allowed = after.saturating_sub(OUT_OF_ORDER_NS);
            let (time, slack) = match meanings
                .iter()
                .find(|time| **time >= allowed && **time <= latest[at].saturating_add(OUT_OF_ORDER_NS))
            {
                Some(&earliest) => {
                    let other =
                        meanings.iter().rev().find(|time| **time <= latest[at]).copied().unwrap_or(earliest);
                    after = after.max(earliest);
                    (earliest, other.saturating_sub(earliest).max(0))
                }
                // Nothing that is known explains it: it is after the line before it, and nobody knows by how much.
                None if after > i64::MIN => (after, said[at].abs_diff(after).min(i64::MAX as u64) as i64),
                None => (said[at], 0),
            };
            Place { time, slack }
        };
        meanings.iter().enumerate().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn clock(what: &str, from: i64, to: i64) -> Clock {
        let fault = FaultRecord {
            id: 1,
            kind: "clock".into(),
            what: what.into(),
            nodes: vec!["n2".into()],
            injected: from * S,
            bit: None,
            evidence: None,
            healed: Some(to * S),
            error: None,
        };
        assert!(
            Clock::of("n1", std::slice::from_ref(&fault)).bends.is_empty(),
            "another node's clock was bent"
        );
        Clock::of("n2", &[fault])
    }

    fn placed(clock: &Clock, said: &[i64]) -> Vec<(i64, i64)> {
        let said: Vec<i64> = said.iter().map(|s| s * S).collect();
        clock.places(&said).iter().map(|place| (place.time / S, place.slack / S)).collect()
    }

    #[test]
    fn an_honest_clock_is_believed() {
        assert_eq!(placed(&Clock::default(), &[5, 4, 9]), [(5, 0), (4, 0), (9, 0)]);
    }

    #[test]
    fn what_a_bent_clock_said_is_told_from_what_an_honest_one_said_later() {
        let ahead = clock("n2 +30 s", 10, 20);
        assert_eq!(
            placed(&ahead, &[5, 9, 40, 41, 48, 21, 25, 41, 60]),
            [(5, 0), (9, 0), (10, 0), (11, 0), (18, 0), (21, 0), (25, 0), (41, 0), (60, 0)]
        );
        let behind = clock("n2 -30 s", 10, 20);
        assert_eq!(placed(&behind, &[9, -20, -15, 21]), [(9, 0), (10, 0), (15, 0), (21, 0)]);
        let fast = clock("n2 runs at 3 of its speed", 10, 20);
        assert_eq!(placed(&fast, &[9, 13, 37, 21]), [(9, 0), (11, 0), (19, 0), (21, 0)]);
    }

    #[test]
    fn what_may_mean_two_times_says_by_how_much_it_may_be_wrong() {
        // Nothing comes after it that would tell.
        assert_eq!(placed(&clock("n2 +30 s", 10, 20), &[5, 45]), [(5, 0), (15, 30)]);
        let strobe = clock("n2 +2 s and back every 500 ms", 10, 20);
        assert_eq!(placed(&strobe, &[5, 14, 16, 25]), [(5, 0), (12, 2), (14, 2), (25, 0)]);
    }

    #[test]
    fn what_nothing_explains_is_put_after_the_line_before_it() {
        assert_eq!(placed(&clock("n2 +30 s", 10, 20), &[5, 40, 15, 21]), [(5, 0), (10, 0), (10, 5), (21, 0)]);
    }
}
