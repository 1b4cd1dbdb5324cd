//! When to do what: the seed's choice of faults and moments.

use crate::draw::Dice;
use crate::wanted::Wanted;
use std::time::Duration;

/// A fault that is to come. What exactly it does is drawn from its own seed when its time has come, because that
/// depends on who is primary then.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// After the start of the run.
    pub at: Duration,
    /// What was asked for.
    pub wanted: Wanted,
    /// Which of those it is, from 0. The first ones are the plainest.
    pub nth: usize,
    /// How long it stays in force.
    pub length: Duration,
    /// For everything that is drawn about it.
    pub seed: u64,
}

/// Faults of all kinds that are `wanted` in a run of `time_limit`, `interval` apart on average, each in force for about as long, some
/// for half again, so that several overlap. Every kind comes once before any comes twice; if there is not enough time
/// for that at the interval, they come faster.
///
/// Of `nodes` that are one alone, nobody serves while a fault is in force: there they are a third as long, so that something
/// is served between them.
pub fn plan(
    wanted: &[Wanted],
    nodes: usize,
    interval: Duration,
    time_limit: Duration,
    seed: u64,
) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    if wanted.is_empty() || interval.is_zero() {
        return planned;
    }
    let mut dice = Dice::new(seed);
    let share = if nodes == 1 { 1.0 / 3.0 } else { 1.0 };
    let limit = time_limit.as_secs_f64();
    // A quiet start, to see what the cluster does unhurt; and time to mend everything before the last reads.
    let first = (0.05 * limit).min(2.0);
    let last = (limit - 1.2 * interval.as_secs_f64()).max(0.6 * limit);
    let gap = interval.as_secs_f64().min((last - first) / wanted.len() as f64);
    let mut bag: Vec<&Wanted> = Vec::new();
    let mut at = first;
    while at <= last {
        if bag.is_empty() {
            bag.extend(wanted);
            dice.shuffle(&mut bag);
        }
        let Some(next) = bag.pop() else { break };
        let nth = planned.iter().filter(|p| p.wanted == *next).count();
        let length = Duration::from_secs_f64(gap * share * dice.between(0.8, 1.5));
        let (at_time, seed) = (Duration::from_secs_f64(at), dice.any());
        planned.push(Planned { at: at_time, wanted: next.clone(), nth, length, seed });
        // Never less than the mean during the first round: all kinds must come.
        let most = if planned.len() < wanted.len() { 1.0 } else { 1.4 };
        at += gap * dice.between(2.0 - most - 0.2, most);
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 6] = ["partition", "pause", "kill", "clock", "slow", "zombie"];

    fn wanted(kinds: &[&str]) -> Vec<Wanted> {
        kinds.iter().map(|kind| Wanted::plain(kind).unwrap()).collect()
    }

    fn secs(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn every_kind_comes_in_the_time_for_every_seed() {
        for seed in 0..200 {
            for limit in [5.0, 20.0, 60.0] {
                let planned = plan(&wanted(&ALL), 5, secs(2.5), secs(limit), seed);
                for kind in ALL {
                    let p = planned.iter().find(|p| p.wanted.kind == kind);
                    let p = p.unwrap_or_else(|| panic!("seed {seed}, {limit} s: no {kind}"));
                    assert!(p.at < secs(limit * 0.9), "seed {seed}: {kind} at {:?} of {limit} s", p.at);
                }
            }
        }
    }

    #[test]
    fn a_single_node_is_left_alone_most_of_the_time() {
        let of = |nodes| plan(&wanted(&["pause", "kill"]), nodes, secs(2.5), secs(60.0), 7);
        let share =
            |planned: Vec<Planned>| planned.iter().map(|p| p.length).sum::<Duration>().as_secs_f64() / 60.0;
        assert!((0.25..0.5).contains(&share(of(1))), "{}", share(of(1)));
        assert!(share(of(3)) > 0.8, "{}", share(of(3)));
        assert_eq!(
            of(1).iter().map(|p| p.at).collect::<Vec<_>>(),
            of(3).iter().map(|p| p.at).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let of = |seed| plan(&wanted(&ALL), 5, secs(2.5), secs(20.0), seed);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn the_mean_distance_is_the_interval() {
        let planned = plan(&wanted(&["clock"]), 5, secs(2.0), secs(1000.0), 3);
        assert!((430..570).contains(&planned.len()), "{}", planned.len());
    }
}
