//! What is shown on stderr while a history is judged: how far it is, how hard it is, and what is left of the budget.
//!
//! There is no estimate of when it ends: a search may take twice as long for one more operation.

use crate::judging::{count, grouped};
use crate::screen::{Block, bar, drawable};
use checker::Progress;
use std::time::Duration;

/// Nothing is shown of what is over so soon.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);
/// The width of a bar.
const BAR: usize = 20;

/// The display of one judgement.
pub struct Checking {
    /// `linearizable (register)`
    what: String,
    timeout: Duration,
    memory: u64,
    /// `None` where lines are written.
    block: Option<Block>,
    next: Duration,
    /// When states were counted last, and how many there were.
    before: (Duration, u64),
    rate: f64,
}

impl Checking {
    /// Of a property and a model, within a budget; nothing to show if `quiet`.
    pub fn new(what: String, timeout: Duration, memory: u64, quiet: bool) -> Option<Checking> {
        let block = drawable().then(Block::on_stderr);
        let next = if block.is_some() { PATIENCE } else { LINE };
        (!quiet).then_some(Checking {
            what,
            timeout,
            memory,
            block,
            next,
            before: (Duration::ZERO, 0),
            rate: 0.0,
        })
    }

    /// Shows where it is, if it is time to.
    pub fn show(&mut self, elapsed: Duration, progress: Option<Progress>) {
        if elapsed < self.next {
            return;
        }
        self.next = elapsed + if self.block.is_some() { REDRAW } else { LINE };
        self.measure(elapsed, progress);
        let lines = self.lines(elapsed, progress);
        // Progress is a courtesy: a closed stderr is no reason to stop.
        let _ = match &mut self.block {
            Some(block) => block.draw(&lines),
            None => {
                Block::on_stderr().line(&lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("   "))
            }
        };
    }

    fn measure(&mut self, elapsed: Duration, progress: Option<Progress>) {
        let Some(at) = progress.and_then(|progress| progress.at) else { return };
        let since = elapsed.saturating_sub(self.before.0);
        if since >= Duration::from_millis(500) || at.states < self.before.1 {
            self.rate = at.states.saturating_sub(self.before.1) as f64 / since.as_secs_f64().max(1e-3);
            self.before = (elapsed, at.states);
        }
    }

    fn lines(&self, elapsed: Duration, progress: Option<Progress>) -> Vec<String> {
        let mut lines = vec![format!("checking {}", self.what)];
        let at = progress.and_then(|progress| progress.at);
        if let Some(at) = at {
            // Why it is hard: each of these may come next, or, without an answer, at any later time.
            lines.push(format!(
                "  now      {}  {} of {} operations deep   {} open   {}   {:.1} M/s   {} MiB",
                bar(u64::from(at.depth), u64::from(at.of), BAR),
                grouped(u64::from(at.depth)),
                grouped(u64::from(at.of)),
                at.open,
                count(at.states, "state"),
                self.rate / 1e6,
                at.bytes >> 20,
            ));
        }
        let done = match progress {
            Some(progress) if progress.objects > 1 => format!(
                "{}  {} of {} keys   ",
                bar(progress.done as u64, progress.objects as u64, BAR),
                grouped(progress.done as u64),
                grouped(progress.objects as u64)
            ),
            Some(_) | None => String::new(),
        };
        let memory =
            at.map_or(String::new(), |at| format!("   {} of {} MiB", at.bytes >> 20, self.memory >> 20));
        lines.push(format!(
            "  budget   {done}{:.0} s of {:.0} s{memory}",
            elapsed.as_secs_f64(),
            self.timeout.as_secs_f64()
        ));
        lines
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        if let Some(block) = &mut self.block {
            block.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::search::At;

    #[test]
    fn what_is_shown_says_how_far_how_hard_and_what_is_left() {
        let checking = Checking {
            what: "linearizable (register)".into(),
            timeout: Duration::from_secs(60),
            memory: 4 << 30,
            block: None,
            next: Duration::ZERO,
            before: (Duration::ZERO, 0),
            rate: 1.1e6,
        };
        let at = At { depth: 5190, of: 8311, open: 19, bytes: 212 << 20, states: 41_000_000 };
        let lines =
            checking.lines(Duration::from_secs(38), Some(Progress { done: 9, objects: 12, at: Some(at) }));
        assert_eq!(
            lines,
            [
                "checking linearizable (register)",
                "  now      ████████████░░░░░░░░  5 190 of 8 311 operations deep   19 open   41.0 M states   1.1 M/s   212 MiB",
                "  budget   ███████████████░░░░░  9 of 12 keys   38 s of 60 s   212 of 4096 MiB",
            ]
        );
    }
}
