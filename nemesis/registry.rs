//! Every kind of fault by its name, and how one of them is drawn.

use crate::clock::{Clock, Skew};
use crate::cluster::{Cluster, LinkRule, NodeState};
use crate::corrupt::Corrupt;
use crate::disk::Disk;
use crate::draw::Dice;
use crate::fault::{Claim, Fault};
use crate::freeze::Freeze;
use crate::kill::Kill;
use crate::member::Member;
use crate::packet::Packet;
use crate::partition::{Grudge, Partition, Shape};
use crate::pause::Pause;
use crate::ports::{Damage, DiskState};
use crate::power::Power;
use crate::slow::Slow;
use crate::trigger::Trigger;
use crate::wanted::Wanted;
use crate::zombie::Zombie;
use std::time::Duration;

/// What a kind of fault needs of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Any do.
    Nothing,
    /// Links that carry packets, and count them: those of a lab.
    Packets,
    /// Nodes that are machines, or look like some: a lab's, or hosts.
    Nodes,
    /// The same, with a file system of their own for the data.
    Disks,
}

/// A kind of fault.
struct Kind {
    name: &'static str,
    about: &'static str,
    nodes_min: usize,
    claims: &'static [Claim],
    needs: Needs,
    /// Whether it is done if nobody says which. The others need a system that runs on nodes of its own, and some break
    /// what no system promises to survive.
    usual: bool,
}

/// A new kind is one file, one entry here, and one line in [`make`]. Those that are usual come first.
const KINDS: [Kind; 15] = [
    Kind {
        name: "partition",
        about: "cuts links between nodes: one, halves, majority, majorities-ring, bridge, one-way, primary",
        nodes_min: 2,
        claims: &[Claim::Reach],
        needs: Needs::Nothing,
        usual: true,
    },
    Kind {
        name: "pause",
        about: "SIGSTOP to one node, the primary or several, then SIGCONT; pause:PART to one daemon of several",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Nothing,
        usual: true,
    },
    Kind {
        name: "kill",
        about: "SIGKILL to one node, the primary or several, at once or on its next acknowledgement, then restart; kill:PART",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Nothing,
        usual: true,
    },
    Kind {
        name: "clock",
        about: "wall clocks jump by 30 s, strobe to and fro, or run too fast or too slow",
        nodes_min: 1,
        claims: &[],
        needs: Needs::Nothing,
        usual: true,
    },
    Kind {
        name: "slow",
        about: "delays and jitter on the links of one node",
        nodes_min: 2,
        claims: &[Claim::Delay],
        needs: Needs::Nothing,
        usual: true,
    },
    Kind {
        name: "packet",
        about: "loses, doubles, reorders, corrupts or throttles packets on the links of one node; in a lab",
        nodes_min: 2,
        claims: &[Claim::Reach, Claim::Delay],
        needs: Needs::Packets,
        usual: true,
    },
    Kind {
        name: "zombie",
        about: "the leader stands still until another node has acknowledged a write, is asked for it, and wakes up",
        nodes_min: 2,
        claims: &[Claim::Processes, Claim::Reach],
        needs: Needs::Nothing,
        usual: true,
    },
    Kind {
        name: "freeze",
        about: "the kernel's freezer holds one node, the primary or several; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Nodes,
        usual: false,
    },
    Kind {
        name: "power",
        about: "one node, the primary or several lose their power at one instant, and what was not synced; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Disks,
        usual: false,
    },
    Kind {
        name: "disk-full",
        about: "nothing more fits on the disk of one node; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Disks,
        usual: false,
    },
    Kind {
        name: "disk-hang",
        about: "whoever writes to the disk of one node waits; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Disks,
        usual: false,
    },
    Kind {
        name: "disk-read-only",
        about: "the disk of one node turns read-only, for open files too; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Disks,
        usual: false,
    },
    Kind {
        name: "bit-flip",
        about: "one node is killed, one bit of one of its files flipped, and it is started again; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Nodes,
        usual: false,
    },
    Kind {
        name: "truncate",
        about: "one node is killed, the end of one of its files cut off, and it is started again; by name only",
        nodes_min: 1,
        claims: &[Claim::Processes],
        needs: Needs::Nodes,
        usual: false,
    },
    Kind {
        name: "member",
        about: "one node is taken out of the system, and in again with nothing of what it knew; by name only",
        nodes_min: 3,
        claims: &[Claim::Members, Claim::Processes, Claim::Reach],
        needs: Needs::Nodes,
        usual: false,
    },
];

const NAMES: [&str; 15] = {
    let mut names = [""; 15];
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

/// Names of those that are done if nobody says which.
pub fn usual() -> &'static [&'static str] {
    const ALL: &[Kind] = &KINDS;
    let count = ALL.iter().take_while(|kind| kind.usual).count();
    &NAMES[..count]
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

/// What a kind needs of the nodes.
pub fn needs(kind: &str) -> Needs {
    find(kind).map_or(Needs::Nothing, |k| k.needs)
}

/// Whether a kind can be aimed at one daemon of several.
pub fn takes_part(kind: &str) -> bool {
    matches!(kind, "pause" | "kill")
}

/// What every fault of a kind claims; one of them may claim more.
pub fn claims(kind: &str) -> &'static [Claim] {
    find(kind).map_or(&[], |k| k.claims)
}

/// How long a zombie sleeps at most: a few leases.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a kill waits for its cue.
const CUE: Duration = Duration::from_secs(1);

/// Draws what is wanted, the `nth` of the run, from its own `seed`, and aims it at node `at` if its cue came from there.
/// `writes` are the functions whose acknowledgement says that something changed.
///
/// Errors name what the cluster does not have.
pub fn make(
    wanted: &Wanted,
    nth: usize,
    seed: u64,
    cluster: &dyn Cluster,
    writes: &[&str],
    at: Option<usize>,
) -> Result<Box<dyn Fault>, String> {
    let mut dice = Dice::new(seed);
    let nodes = cluster.nodes().len();
    let primary = primary(cluster);
    if let Some(part) = &wanted.part {
        let parts = cluster.parts()?.parts();
        if !parts.contains(part) {
            return Err(format!("there is no part {part:?}; a node has: {}", parts.join(", ")));
        }
    }
    let targets = |dice: &mut Dice| match at {
        Some(node) => (vec![node], primary == Some(node)),
        None => targets(nodes, primary, dice),
    };
    let one = |dice: &mut Dice| {
        let drawn = dice.below(nodes);
        let node = at.or(primary.filter(|_| dice.below(2) == 0)).unwrap_or(drawn);
        (node, primary == Some(node))
    };
    match wanted.kind {
        "partition" => Ok(Box::new(partition(nth, nodes, primary, at, &mut dice))),
        "pause" => {
            let (nodes, hit) = targets(&mut dice);
            let pause = Pause::new(nodes, hit);
            Ok(Box::new(wanted.part.iter().fold(pause, |pause, part| pause.part(part))))
        }
        "kill" => {
            let (nodes, hit) = targets(&mut dice);
            let at_once = dice.below(2) == 0 || wanted.cue.is_some();
            let kill = if at_once {
                Kill::new(nodes, hit)
            } else {
                let cue = Trigger::Acknowledged {
                    node: cluster.nodes()[nodes[0]].clone(),
                    through: true,
                    writes: writes.iter().map(|w| w.to_string()).collect(),
                };
                Kill::on(nodes, hit, cue, CUE)
            };
            Ok(Box::new(wanted.part.iter().fold(kill, |kill, part| kill.part(part))))
        }
        "clock" => Ok(Box::new(clock(nth, nodes, at, &mut dice))),
        "slow" => {
            let delay = Duration::from_millis(20 + dice.below(61) as u64);
            let jitter = Duration::from_millis(dice.below(41) as u64);
            let drawn = dice.below(nodes);
            let node = at.unwrap_or(drawn);
            Ok(Box::new(Slow::node(node, nodes, delay, jitter)))
        }
        "packet" => Ok(Box::new(packet(nth, nodes, at, &mut dice))),
        "zombie" => {
            let node = primary.unwrap_or_else(|| dice.below(nodes));
            Ok(Box::new(Zombie::new(node, primary.is_some(), writes, PATIENCE)))
        }
        "freeze" => {
            let (nodes, hit) = targets(&mut dice);
            Ok(Box::new(Freeze::new(nodes, hit)))
        }
        "power" => {
            let (nodes, hit) = targets(&mut dice);
            Ok(Box::new(Power::new(nodes, hit)))
        }
        "disk-full" | "disk-hang" | "disk-read-only" => {
            let (node, hit) = one(&mut dice);
            let state = match wanted.kind {
                "disk-full" => DiskState::Full,
                "disk-hang" => DiskState::Hung,
                _ => DiskState::ReadOnly,
            };
            Ok(Box::new(Disk::new(node, hit, state)))
        }
        "bit-flip" | "truncate" => {
            let (node, _) = one(&mut dice);
            let place = dice.below(1_000_000) as u32;
            let how = match wanted.kind {
                "bit-flip" => Damage::BitFlip,
                _ => Damage::Truncate(1 + dice.below(4096) as u64),
            };
            Ok(Box::new(Corrupt::new(node, how, place)))
        }
        "member" => {
            let (node, hit) = one(&mut dice);
            Ok(Box::new(Member::new(node, hit)))
        }
        other => Err(format!("there is no fault {other:?}")),
    }
}

/// Whoever takes himself for the primary; of several, the one with the highest term. Nodes that cannot be asked are
/// passed over: they are paused or dead just now.
pub fn primary(cluster: &dyn Cluster) -> Option<usize> {
    let running = |n: &usize| matches!(cluster.state(*n), Ok(NodeState::Running));
    let roles = (0..cluster.nodes().len()).filter(running).filter_map(|n| Some((n, cluster.role(n).ok()??)));
    roles.filter(|(_, r)| r.primary).max_by_key(|(_, r)| r.term).map(|(n, _)| n)
}

fn partition(
    nth: usize,
    nodes: usize,
    primary: Option<usize>,
    at: Option<usize>,
    dice: &mut Dice,
) -> Partition {
    // The first has a side that must not answer: the primary's own, where there is one.
    let first = if primary.is_some() { Shape::Primary } else { Shape::Majority };
    let drawn = if nth == 0 { first } else { dice.pick(&Shape::ALL) };
    // The shape that puts one node aside is the primary's, whoever it is.
    let (shape, aside) = if at.is_some() { (Shape::Primary, at) } else { (drawn, primary) };
    let grudge = Grudge::draw(shape, nodes, aside, dice);
    if grudge.cut.is_empty() {
        // Two nodes have no bridge and no ring.
        return Partition::new(Grudge::draw(Shape::One, nodes, primary, dice), nodes);
    }
    let partition = Partition::new(grudge, nodes);
    if shape == Shape::Primary && aside.is_some() && aside == primary {
        partition.at_primary()
    } else {
        partition
    }
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

fn packet(nth: usize, nodes: usize, at: Option<usize>, dice: &mut Dice) -> Packet {
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
    let drawn = dice.below(nodes);
    Packet::new(at.unwrap_or(drawn), nodes, rule)
}

/// Half a minute: longer than any run that somebody watches, so that what is written then stays on top of what comes
/// later by an honest clock.
const FAR_NS: i64 = 30_000_000_000;

fn clock(nth: usize, nodes: usize, at: Option<usize>, dice: &mut Dice) -> Clock {
    let mut order: Vec<usize> = (0..nodes).collect();
    dice.shuffle(&mut order);
    order.truncate(1 + dice.below(nodes.max(2) / 2));
    if let Some(node) = at {
        order = vec![node];
    }
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
