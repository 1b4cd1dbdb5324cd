//! Makes nodes' wall clocks wrong: by a jump, by jumping to and fro, by running too fast or too slow.

use crate::cluster::{ClockSetting, NodeState};
use crate::fault::{Claim, Drive, Fault, Site};
use std::time::{Duration, Instant};

/// How a clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Skew {
    /// It jumps by so many nanoseconds and stays there.
    Bump(i64),
    /// It jumps by so many nanoseconds and back, at this period.
    Strobe(i64, Duration),
    /// It runs at this rate.
    Rate(f64),
}

/// Nodes with wrong clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    skews: Vec<(usize, Skew)>,
    since: Option<Instant>,
    /// How often a strobe has flipped.
    flips: u128,
}

impl Clock {
    /// Each of these nodes with its own skew.
    pub fn new(skews: Vec<(usize, Skew)>) -> Clock {
        Clock { skews, since: None, flips: 0 }
    }
}

/// `+30 s`, `-250 ms`.
fn show(ns: i64) -> String {
    if ns % 1_000_000_000 == 0 {
        format!("{:+} s", ns / 1_000_000_000)
    } else {
        format!("{:+.0} ms", ns as f64 / 1e6)
    }
}

fn flips(elapsed: Duration, period: Duration) -> u128 {
    elapsed.as_nanos() / period.as_nanos().max(1)
}

impl Skew {
    /// The setting so long after the injection.
    fn at(self, elapsed: Duration) -> ClockSetting {
        match self {
            Skew::Bump(offset_ns) => ClockSetting { offset_ns, rate: 1.0 },
            Skew::Strobe(offset_ns, period) => {
                let away = flips(elapsed, period) % 2 == 0;
                ClockSetting { offset_ns: if away { offset_ns } else { 0 }, rate: 1.0 }
            }
            Skew::Rate(rate) => ClockSetting { offset_ns: 0, rate },
        }
    }

    /// Whether an observed offset shows this skew. Asking takes time, so the bounds are wide; but no honest clock
    /// comes near them.
    fn shows(self, offset_ns: i64, elapsed: Duration) -> bool {
        match self {
            Skew::Bump(by) | Skew::Strobe(by, _) => {
                offset_ns.signum() == by.signum() && offset_ns.unsigned_abs() * 2 > by.unsigned_abs()
            }
            Skew::Rate(rate) => {
                let drift = (rate - 1.0) * elapsed.as_nanos() as f64;
                offset_ns.abs() > 50_000_000 && (offset_ns as f64) * drift > 0.0
            }
        }
    }

    fn words(self) -> String {
        match self {
            Skew::Bump(by) => show(by),
            Skew::Strobe(by, period) => format!("{} and back every {} ms", show(by), period.as_millis()),
            Skew::Rate(rate) => format!("runs at {rate} of its speed"),
        }
    }
}

impl Fault for Clock {
    fn kind(&self) -> &'static str {
        "clock"
    }

    fn nodes(&self) -> Vec<usize> {
        self.skews.iter().map(|(n, _)| *n).collect()
    }

    fn claims(&self) -> Vec<Claim> {
        self.skews.iter().map(|(n, _)| Claim::Clock(*n)).collect()
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        self.since = Some(Instant::now());
        for (node, skew) in &self.skews {
            site.journal.clock(site.id, *node, skew.at(Duration::ZERO))?;
        }
        let words: Vec<String> =
            self.skews.iter().map(|(n, s)| format!("{} {}", site.name(*n), s.words())).collect();
        Ok(words.join(", "))
    }

    fn drive(&mut self, site: &Site<'_>, elapsed: Duration) -> Result<Drive, String> {
        for (node, skew) in &self.skews {
            if let Skew::Strobe(_, period) = skew {
                if flips(elapsed, *period) != self.flips {
                    site.journal.clock(site.id, *node, skew.at(elapsed))?;
                }
            }
        }
        let period = self.skews.iter().find_map(|(_, s)| match s {
            Skew::Strobe(_, period) => Some(*period),
            Skew::Bump(_) | Skew::Rate(_) => None,
        });
        self.flips = period.map_or(0, |p| flips(elapsed, p));
        Ok(Drive::Idle)
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let elapsed = self.since.map_or(Duration::ZERO, |s| s.elapsed());
        let mut seen = Vec::with_capacity(self.skews.len());
        for (node, skew) in &self.skews {
            let offset = site.cluster().clock_offset(*node)?;
            if !skew.shows(offset, elapsed) {
                return Ok(None);
            }
            seen.push(format!("{} says {:+.3} s", site.name(*node), offset as f64 / 1e9));
        }
        Ok(Some(seen.join(", ")))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        for (node, _) in &self.skews {
            // Who does not run has no clock; it will start with an honest one.
            let runs = site.cluster().state(*node)? == NodeState::Running;
            if runs && site.cluster().clock_offset(*node)?.unsigned_abs() > 1_000_000_000 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
