//! What a rule does to the packets of one directed link. No I/O and no clock of its own.

use nemesis::{LinkRule, MILLION, Pass};
use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::SplitMix64;
use std::time::{Duration, Instant};

/// A link with a rate keeps at most so much waiting, and drops what comes on top, as a router does.
const BACKLOG: Duration = Duration::from_secs(1);
/// How long a packet that is to be overtaken is held back, at least and at most.
const HELD_BACK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));
/// The bytes before the payload of a packet without options, which a corruption leaves alone: what arrives at the wrong
/// place was not corrupted but lost.
const HEADER: usize = 20;

/// The chances of a link, and what it remembers of its packets.
#[derive(Debug)]
pub struct LinkState {
    rng: SplitMix64,
    /// When the last packet that was not held back arrives: no other one arrives before it.
    last: Option<Instant>,
    /// When everything sent so far has passed a link with a rate.
    free: Option<Instant>,
}

/// What becomes of one packet.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fate {
    /// When it arrives; nothing is never, two are twice.
    pub arrivals: Vec<Instant>,
    /// The bit that is flipped on the way.
    pub flipped: Option<usize>,
    /// Whether it is lost by chance, doubled, held back, corrupted, or has to wait for its turn.
    pub harmed: bool,
}

impl LinkState {
    /// A link whose chances come from `seed`.
    pub fn new(seed: u64) -> LinkState {
        LinkState { rng: SplitMix64::seed_from_u64(seed), last: None, free: None }
    }

    fn chance(&mut self, of_a_million: u32) -> bool {
        of_a_million > 0 && self.below(u64::from(MILLION)) < u64::from(of_a_million)
    }

    fn below(&mut self, bound: u64) -> u64 {
        // The bias is bound / 2^64: less than anybody could measure.
        ((u128::from(self.rng.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    fn drawn(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.below(most.as_nanos() as u64 + 1))
    }

    /// What becomes of a packet of `bytes` bytes that is sent at `now` under `rule`. O(1).
    pub fn fate(&mut self, rule: &LinkRule, bytes: usize, now: Instant) -> Fate {
        let mut fate = Fate::default();
        if rule.pass != Pass::Flow {
            return fate;
        }
        if self.chance(rule.loss) {
            fate.harmed = true;
            return fate;
        }
        let mut sent = now;
        if rule.rate > 0 {
            let begin = self.free.filter(|free| *free > now).unwrap_or(now);
            fate.harmed |= begin > now;
            if begin - now > BACKLOG {
                return fate;
            }
            sent = begin + Duration::from_secs_f64(bytes as f64 / rule.rate as f64);
            self.free = Some(sent);
        }
        let mut arrival = sent + rule.delay + self.drawn(rule.jitter);
        if self.chance(rule.reorder) {
            fate.harmed = true;
            arrival += HELD_BACK.0 + self.drawn(HELD_BACK.1 - HELD_BACK.0);
        } else {
            // Jitter alone keeps the order, as a queue in a router does.
            arrival = self.last.filter(|last| *last > arrival).unwrap_or(arrival);
            self.last = Some(arrival);
        }
        if bytes > HEADER && self.chance(rule.corrupt) {
            fate.harmed = true;
            fate.flipped = Some(HEADER * 8 + self.below((bytes - HEADER) as u64 * 8) as usize);
        }
        fate.arrivals.push(arrival);
        if self.chance(rule.duplicate) {
            fate.harmed = true;
            fate.arrivals.push(arrival);
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The fates of `n` packets of 100 bytes, one each microsecond: after how long each arrives.
    fn fates(rule: LinkRule, n: u32) -> Vec<Vec<Duration>> {
        let start = Instant::now();
        let mut link = LinkState::new(7);
        (0..n)
            .map(|i| {
                let now = start + Duration::from_micros(u64::from(i));
                link.fate(&rule, 100, now).arrivals.iter().map(|at| *at - start).collect()
            })
            .collect()
    }

    fn count(fates: &[Vec<Duration>], arrivals: usize) -> usize {
        fates.iter().filter(|f| f.len() == arrivals).count()
    }

    #[test]
    fn a_healthy_link_passes_everything_at_once_and_a_cut_one_nothing() {
        assert!(
            fates(LinkRule::default(), 3).iter().enumerate().all(|(i, f)| f[..] == [MS / 1000 * i as u32])
        );
        assert_eq!(count(&fates(LinkRule { pass: Pass::Stall, ..LinkRule::default() }, 50), 0), 50);
    }

    #[test]
    fn chances_are_as_large_as_they_say_and_come_from_the_seed() {
        let rule = LinkRule { loss: 200_000, duplicate: 100_000, ..LinkRule::default() };
        let seen = fates(rule, 20_000);
        assert!((3_700..4_300).contains(&count(&seen, 0)), "{} lost", count(&seen, 0));
        let (mut link, now) = (LinkState::new(7), Instant::now());
        let harmed = (0..20_000).filter(|_| link.fate(&rule, 100, now).harmed).count();
        assert_eq!(harmed, count(&seen, 0) + count(&seen, 2));
        assert!((1_450..1_750).contains(&count(&seen, 2)), "{} twice", count(&seen, 2));
        assert_eq!(seen, fates(rule, 20_000));
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let rule = LinkRule { delay: 10 * MS, jitter: 5 * MS, ..LinkRule::default() };
        let arrivals: Vec<Duration> = fates(rule, 2_000).concat();
        assert!(arrivals.windows(2).all(|w| w[0] <= w[1]));
        assert!(arrivals.iter().all(|a| *a >= 10 * MS) && arrivals.iter().any(|a| *a > 13 * MS));
        let arrivals: Vec<Duration> = fates(LinkRule { reorder: 100_000, ..rule }, 2_000).concat();
        assert!(arrivals.windows(2).any(|w| w[0] > w[1]));
    }

    #[test]
    fn a_rate_spaces_packets_and_drops_what_would_wait_too_long() {
        // 100 bytes each millisecond.
        let seen = fates(LinkRule { rate: 100_000, ..LinkRule::default() }, 1_100);
        let gaps: Vec<Duration> = seen[..900].concat().windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.iter().all(|gap| *gap > MS * 9 / 10 && *gap < MS * 11 / 10), "{gaps:?}");
        assert!((90..110).contains(&count(&seen, 0)), "{} dropped", count(&seen, 0));
    }

    #[test]
    fn a_corruption_leaves_the_header_alone() {
        let (mut link, rule) = (LinkState::new(3), LinkRule { corrupt: MILLION, ..LinkRule::default() });
        for bytes in [20, 21, 60, 1500] {
            for _ in 0..50 {
                let bit = link.fate(&rule, bytes, Instant::now()).flipped;
                assert_eq!(bit.is_some(), bytes > HEADER);
                assert!(bit.is_none_or(|bit| (HEADER * 8..bytes * 8).contains(&bit)));
            }
        }
    }
}
