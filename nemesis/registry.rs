//! Every kind of fault by its name, and how one of them is drawn.

use crate::clock::{Clock, Skew};
use crate::cluster::{Cluster, LinkRule, NodeState};
use crate::draw::Dice;
use crate::fault::{Claim, Fault};
use crate::kill::Kill;
use crate::packet::Packet;
use crate::partition::{Grudge, Partition, Shape};
use crate::pause::Pause;
use crate::slow::Slow;
use crate::trigger::Trigger;
use crate::zombie::Zombie;
use std::time::Duration;

/// A kind of fault.
struct Kind {
    name: &'static str,
    about: &'static str,
    nodes_min: usize,
    claims: &'static [Claim],
}

/// A new kind is one file, one entry here and in [`NAMES`], and one line in [`make`].
const KINDS: [Kind; 7] = [
    Kind {
        name: "partition",
        about: "cuts links between nodes: one, halves, majority, majorities-ring, bridge, one-way, primary",
        nodes_min: 2,
        claims: &[Claim::Reach],
    },
    Kind {
        name: "pause",
        about: "SIGSTOP to one node, the primary or several, then SIGCONT",
        nodes_min: 1,
        claims: &[Claim::Processes],
    },
    Kind {
        name: "kill",
        about: "SIGKILL to one node, the primary or several, at once or on its next acknowledgement, then restart",
        nodes_min: 1,
        claims: &[Claim::Processes],
    },
    Kind {
        name: "clock",
        about: "wall clocks jump by 30 s, strobe to and fro, or run too fast or too slow",
        nodes_min: 1,
        claims: &[],
    },
    Kind {
        name: "slow",
        about: "delays and jitter on the links of one node",
        nodes_min: 2,
        claims: &[Claim::Delay],
    },
    Kind {
        name: "packet",
        about: "loses, doubles, reorders, corrupts or throttles packets on the links of one node; in a lab",
        nodes_min: 2,
        claims: &[Claim::Reach, Claim::Delay],
    },
    Kind {
        name: "zombie",
        about: "the leader stands still until another node has acknowledged a write, is asked for it, and wakes up",
        nodes_min: 2,
        claims: &[Claim::Processes, Claim::Reach],
    },
];

const NAMES: [&str; 7] = {
    let mut names = [""; 7];
    let mut i = 0;
    while i < names.len() {
        names[i] = KINDS[i].name;
        i += 1;
    }
    names
};

/// Names of all kinds, in the order of `perjury list faults`.
pub fn kinds() -> &'static [&'static str] {
    &NAMES
}

fn find(kind: &str) -> Option<&'static Kind> {
    const ALL: &[Kind] = &KINDS;
    ALL.iter().find(|k| k.name == kind)
}

/// One sentence about a kind; nothing about one that there is not.
pub fn about(kind: &str) -> &'static str {
    find(kind).map_or("", |k| k.about)
}

/// How many nodes a kind needs.
pub fn nodes_min(kind: &str) -> usize {
    find(kind).map_or(0, |k| k.nodes_min)
}

/// Whether a kind needs links that carry packets, and count them: those of a lab.
pub fn needs_packets(kind: &str) -> bool {
    kind == "packet"
}

/// What every fault of a kind claims; one of them may claim more.
pub fn claims(kind: &str) -> &'static [Claim] {
    find(kind).map_or(&[], |k| k.claims)
}

/// How long a zombie sleeps at most: a few leases.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a kill waits for its cue.
const CUE: Duration = Duration::from_secs(1);

/// Draws a fault of that kind, the `nth` of the run, from its own `seed`. `writes` are the functions whose
/// acknowledgement says that something changed.
///
/// Errors name what is unknown, or the node that could not be asked for its role.
pub fn make(
    kind: &str,
    nth: usize,
    seed: u64,
    cluster: &dyn Cluster,
    writes: &[&str],
) -> Result<Box<dyn Fault>, String> {
    let mut dice = Dice::new(seed);
    let nodes = cluster.nodes().len();
    let primary = primary(cluster);
    match kind {
        "partition" => Ok(Box::new(partition(nth, nodes, primary, &mut dice))),
        "pause" => {
            let (nodes, hit) = targets(nodes, primary, &mut dice);
            Ok(Box::new(Pause::new(nodes, hit)))
        }
        "kill" => {
            let (nodes, hit) = targets(nodes, primary, &mut dice);
            if dice.below(2) == 0 {
                return Ok(Box::new(Kill::new(nodes, hit)));
            }
            let cue = Trigger::Acknowledged {
                node: cluster.nodes()[nodes[0]].clone(),
                through: true,
                writes: writes.iter().map(|w| w.to_string()).collect(),
            };
            Ok(Box::new(Kill::on(nodes, hit, cue, CUE)))
        }
        "clock" => Ok(Box::new(clock(nth, nodes, &mut dice))),
        "slow" => {
            let delay = Duration::from_millis(20 + dice.below(61) as u64);
            let jitter = Duration::from_millis(dice.below(41) as u64);
            Ok(Box::new(Slow::node(dice.below(nodes), nodes, delay, jitter)))
        }
        "packet" => Ok(Box::new(packet(nth, nodes, &mut dice))),
        "zombie" => {
            let node = primary.unwrap_or_else(|| dice.below(nodes));
            Ok(Box::new(Zombie::new(node, primary.is_some(), writes, PATIENCE)))
        }
        other => Err(format!("there is no fault {other:?}")),
    }
}

/// Whoever takes himself for the primary; of several, the one with the highest term. Nodes that cannot be asked are
/// passed over: they are paused or dead just now.
fn primary(cluster: &dyn Cluster) -> Option<usize> {
    let running = |n: &usize| matches!(cluster.state(*n), Ok(NodeState::Running));
    let roles = (0..cluster.nodes().len()).filter(running).filter_map(|n| Some((n, cluster.role(n).ok()??)));
    roles.filter(|(_, r)| r.primary).max_by_key(|(_, r)| r.term).map(|(n, _)| n)
}

fn partition(nth: usize, nodes: usize, primary: Option<usize>, dice: &mut Dice) -> Partition {
    // The first has a side that must not answer: the primary's own, where there is one.
    let first = if primary.is_some() { Shape::Primary } else { Shape::Majority };
    let shape = if nth == 0 { first } else { dice.pick(&Shape::ALL) };
    let grudge = Grudge::draw(shape, nodes, primary, dice);
    if grudge.cut.is_empty() {
        // Two nodes have no bridge and no ring.
        return Partition::new(Grudge::draw(Shape::One, nodes, primary, dice), nodes);
    }
    let partition = Partition::new(grudge, nodes);
    if shape == Shape::Primary && primary.is_some() { partition.at_primary() } else { partition }
}

/// Whom a pause or a kill is aimed at, the one that matters first: mostly one node, often the primary, sometimes all.
fn targets(nodes: usize, primary: Option<usize>, dice: &mut Dice) -> (Vec<usize>, bool) {
    let mut order: Vec<usize> = (0..nodes).collect();
    dice.shuffle(&mut order);
    let count = match dice.below(8) {
        0 => nodes,
        1 => nodes / 2 + 1,
        2 => (nodes - 1) / 2,
        _ => 1,
    };
    if let (Some(primary), true) = (primary, dice.below(3) > 0) {
        let at = order.iter().position(|&n| n == primary).unwrap_or(0);
        order.swap(0, at);
    }
    order.truncate(count.max(1));
    let hit = primary.is_some_and(|p| order.contains(&p));
    (order, hit)
}

fn packet(nth: usize, nodes: usize, dice: &mut Dice) -> Packet {
    let healthy = LinkRule::default();
    // Shares are those that others have found to hurt without stopping everything; the rate is a quarter of a megabit.
    let troubles = [
        LinkRule { loss: 200_000, ..healthy },
        LinkRule { duplicate: 200_000, ..healthy },
        LinkRule { reorder: 200_000, ..healthy },
        LinkRule { corrupt: 100_000, ..healthy },
        LinkRule { rate: 32_000, ..healthy },
    ];
    let first = if nth == 0 { troubles[0] } else { dice.pick(&troubles) };
    let rule = if nth > 0 && dice.below(2) == 0 { first.and(dice.pick(&troubles)) } else { first };
    Packet::new(dice.below(nodes), nodes, rule)
}

/// Half a minute: longer than any run that somebody watches, so that what is written then stays on top of what comes
/// later by an honest clock.
const FAR_NS: i64 = 30_000_000_000;

fn clock(nth: usize, nodes: usize, dice: &mut Dice) -> Clock {
    let mut order: Vec<usize> = (0..nodes).collect();
    dice.shuffle(&mut order);
    order.truncate(1 + dice.below(nodes.max(2) / 2));
    let jump = |dice: &mut Dice| if dice.below(2) == 0 { FAR_NS } else { -FAR_NS };
    let kind = if nth == 0 { 0 } else { dice.below(5) };
    let skews = order.into_iter().map(|node| {
        let skew = match kind {
            0..=2 => Skew::Bump(jump(dice)),
            3 => Skew::Strobe(jump(dice) / 30, Duration::from_millis(100 + dice.below(400) as u64)),
            _ => Skew::Rate(dice.pick(&[0.5, 2.0, 5.0])),
        };
        (node, skew)
    });
    Clock::new(skews.collect())
}
