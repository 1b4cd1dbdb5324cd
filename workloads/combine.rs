//! Generators made of generators: mixed, slowed down, limited, one after the other, side by side.

use crate::draw::Rng;
use crate::generator::{Context, Generator, Next, Slot, Told, sooner};

/// Several generators, one drawn for each call: see [`mix`].
pub struct Mix {
    rng: Rng,
    /// With their weights.
    parts: Vec<(f64, Box<dyn Generator>)>,
}

/// For each call, one of `parts`, drawn by weight. A part that is done or has to wait is passed over.
pub fn mix(rng: Rng, parts: Vec<(f64, Box<dyn Generator>)>) -> Mix {
    Mix { rng, parts }
}

impl Generator for Mix {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let mut wait: Option<Option<i64>> = None;
        let mut left: Vec<usize> = (0..self.parts.len()).collect();
        while !left.is_empty() {
            let total: f64 = left.iter().map(|&i| self.parts[i].0).sum();
            let mut at = self.rng.unit() * total;
            let pick = left.iter().position(|&i| {
                at -= self.parts[i].0;
                at < 0.0
            });
            let i = left.remove(pick.unwrap_or(left.len() - 1));
            match self.parts[i].1.next(ctx) {
                Next::Call(ask) => return Next::Call(ask),
                Next::Wait(until) => wait = Some(wait.map_or(until, |w| sooner(w, until))),
                Next::Done => {}
            }
        }
        wait.map_or(Next::Done, Next::Wait)
    }

    fn told(&mut self, told: &Told<'_>) {
        for (_, part) in &mut self.parts {
            part.told(told);
        }
    }
}

/// A generator at a rate: see [`stagger`].
pub struct Stagger<G> {
    rng: Rng,
    inner: G,
    /// Mean distance of calls in nanoseconds.
    gap: f64,
    /// When the next is due; unknown before the first.
    at: Option<i64>,
}

/// The calls of `inner`, `per_second` of them on average over all workers, at random distances of 0 to twice the mean.
/// Each knows when it was due, which is earlier than it is made where no worker was free.
/// Time that was lost so is not made up for: what would have been due in it, but for one gap, is never called.
pub fn stagger<G: Generator>(rng: Rng, per_second: f64, inner: G) -> Stagger<G> {
    Stagger { rng, inner, gap: 1e9 / per_second, at: None }
}

impl<G: Generator> Generator for Stagger<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let due = self.at.unwrap_or(ctx.time);
        if ctx.time < due {
            return Next::Wait(Some(due));
        }
        let mut next = self.inner.next(ctx);
        if let Next::Call(ask) = &mut next {
            ask.due = Some(due);
            // Counted from the moment that was planned, so that a late scheduler does not lower the rate; but a lag of
            // more than one gap is forgotten, or a burst would follow every time that all workers were waiting.
            let from = due.max(ctx.time - self.gap as i64);
            self.at = Some(from + (self.rng.unit() * 2.0 * self.gap) as i64);
        }
        next
    }

    fn told(&mut self, told: &Told<'_>) {
        self.inner.told(told);
    }
}

/// The first calls of a generator: see [`limit`].
pub struct Limit<G> {
    left: u64,
    inner: G,
}

/// The first `n` calls of `inner`.
pub fn limit<G: Generator>(n: u64, inner: G) -> Limit<G> {
    Limit { left: n, inner }
}

impl<G: Generator> Generator for Limit<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.inner.next(ctx);
        if let Next::Call(_) = next {
            self.left -= 1;
        }
        next
    }

    fn told(&mut self, told: &Told<'_>) {
        self.inner.told(told);
    }
}

/// A generator until a time: see [`time_limit`].
pub struct TimeLimit<G> {
    length: i64,
    end: Option<i64>,
    inner: G,
}

/// The calls of `inner` during `length` nanoseconds from the first question on.
pub fn time_limit<G: Generator>(length: i64, inner: G) -> TimeLimit<G> {
    TimeLimit { length, end: None, inner }
}

impl<G: Generator> Generator for TimeLimit<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let end = *self.end.get_or_insert(ctx.time.saturating_add(self.length));
        if ctx.time >= end {
            return Next::Done;
        }
        match self.inner.next(ctx) {
            Next::Wait(until) => Next::Wait(sooner(until, Some(end))),
            Next::Call(ask) => Next::Call(ask),
            Next::Done => Next::Done,
        }
    }

    fn told(&mut self, told: &Told<'_>) {
        self.inner.told(told);
    }
}

/// One generator after the other: see [`phases`].
pub struct Phases {
    /// What is left, the current one last.
    parts: Vec<Box<dyn Generator>>,
}

/// One part after the other: each begins when the one before is done and no call is open any more.
pub fn phases(mut parts: Vec<Box<dyn Generator>>) -> Phases {
    parts.reverse();
    Phases { parts }
}

impl Generator for Phases {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        loop {
            let Some(part) = self.parts.last_mut() else { return Next::Done };
            match part.next(ctx) {
                Next::Done => {
                    // The barrier: the next phase must not overlap this one.
                    if self.parts.len() > 1 && ctx.free.len() < ctx.workers {
                        return Next::Wait(None);
                    }
                    self.parts.pop();
                }
                next => return next,
            }
        }
    }

    fn told(&mut self, told: &Told<'_>) {
        if let Some(part) = self.parts.last_mut() {
            part.told(told);
        }
    }
}

/// Ranges of workers with generators of their own: see [`reserve`].
pub struct Reserve {
    rng: Rng,
    /// With the first worker that is not theirs any more.
    ranges: Vec<(usize, Box<dyn Generator>)>,
}

/// The first workers for the first part, as many as it says, the next for the second; whoever is left for `rest`.
pub fn reserve(rng: Rng, parts: Vec<(usize, Box<dyn Generator>)>, rest: Box<dyn Generator>) -> Reserve {
    let mut end = 0;
    let mut ranges = Vec::with_capacity(parts.len() + 1);
    for (workers, part) in parts {
        end += workers;
        ranges.push((end, part));
    }
    ranges.push((usize::MAX, rest));
    Reserve { rng, ranges }
}

impl Reserve {
    fn range_of(&self, worker: usize) -> usize {
        self.ranges.iter().position(|(end, _)| worker < *end).unwrap_or(self.ranges.len() - 1)
    }
}

impl Generator for Reserve {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let mut wait: Option<Option<i64>> = None;
        // The range of a random free worker goes first: asked in a fixed order, the first range would starve the others.
        let drawn = self.rng.below(ctx.free.len());
        let start = ctx.free.get(drawn).map_or(0, |slot| self.range_of(slot.worker));
        for step in 0..self.ranges.len() {
            let i = (start + step) % self.ranges.len();
            let from = if i == 0 { 0 } else { self.ranges[i - 1].0 };
            let to = self.ranges[i].0.min(ctx.workers);
            let free: Vec<Slot> =
                ctx.free.iter().copied().filter(|s| s.worker >= from && s.worker < to).collect();
            let inner = Context { time: ctx.time, free: &free, workers: to.saturating_sub(from) };
            match self.ranges[i].1.next(&inner) {
                Next::Call(ask) => return Next::Call(ask),
                Next::Wait(until) => wait = Some(wait.map_or(until, |w| sooner(w, until))),
                Next::Done => {}
            }
        }
        wait.map_or(Next::Done, Next::Wait)
    }

    fn told(&mut self, told: &Told<'_>) {
        let i = self.range_of(told.slot.worker);
        self.ranges[i].1.told(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::each;
    use crate::simulate::{Answers, Done, simulate};
    use history::{Call, Value};

    fn calls(f: &'static str) -> Box<dyn Generator> {
        Box::new(each(Rng::stream(1, f), move |_, _| Call {
            f: f.to_string(),
            key: None,
            value: Value::Null,
        }))
    }

    /// `time:worker:function`, all in one line.
    fn table(ops: &[Done]) -> String {
        ops.iter().map(|o| format!("{}:{}:{}", o.at, o.worker, o.call.f)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_limit_ends_after_its_calls() {
        assert_eq!(table(&simulate(limit(3, calls("a")), 1, 1, Answers::AllOk)), "0:0:a 1:0:a 2:0:a");
    }

    #[test]
    fn a_time_limit_ends_at_its_time() {
        let ops = simulate(time_limit(4_000_000, calls("a")), 1, 1, Answers::AllOk);
        assert_eq!(table(&ops), "0:0:a 1:0:a 2:0:a 3:0:a");
    }

    #[test]
    fn a_phase_waits_until_the_last_call_of_the_phase_before_has_returned() {
        let parts: Vec<Box<dyn Generator>> =
            vec![Box::new(limit(3, calls("a"))), Box::new(limit(2, calls("b")))];
        let ops = simulate(phases(parts), 2, 1, Answers::AllOk);
        let shown: Vec<String> = ops.iter().map(|o| format!("{}{}", o.at, o.call.f)).collect();
        assert_eq!(shown, ["0a", "0a", "1a", "2b", "2b"]);
    }

    #[test]
    fn reserved_workers_do_nothing_else() {
        let parts = vec![(1, calls("a"))];
        let ops = simulate(limit(60, reserve(Rng::stream(1, "r"), parts, calls("b"))), 3, 3, Answers::AllOk);
        assert!(ops.iter().all(|o| (o.worker == 0) == (o.call.f == "a")), "{}", table(&ops));
        assert!(ops.iter().any(|o| o.worker == 0) && ops.iter().any(|o| o.worker == 2));
    }

    #[test]
    fn staggered_calls_keep_their_mean_rate_and_are_never_further_apart_than_twice_the_mean() {
        let ops = simulate(limit(400, stagger(Rng::stream(1, "s"), 20.0, calls("a"))), 5, 1, Answers::AllOk);
        let span = ops[399].at - ops[0].at;
        assert!((18_000..22_000).contains(&span), "400 calls at 20 a second took {span} ms");
        assert!(ops.windows(2).all(|w| w[1].at - w[0].at <= 101));
    }

    #[test]
    fn a_mix_draws_by_weight_and_passes_over_what_is_done() {
        let parts: Vec<(f64, Box<dyn Generator>)> =
            vec![(3.0, calls("a")), (1.0, calls("b")), (9.0, Box::new(limit(2, calls("c"))))];
        let ops = simulate(limit(402, mix(Rng::stream(1, "m"), parts)), 1, 1, Answers::AllOk);
        let count = |f: &str| ops.iter().filter(|o| o.call.f == f).count();
        assert_eq!(count("c"), 2);
        assert!((270..330).contains(&count("a")), "{}", count("a"));
    }
}
