//! The cases of `demo-primary`: one node leads, and the others may not know it, or not yet, or not any more.

use super::case::{Case, Expected, Script};
use super::recipes::{
    LIE_IN_WAIT, clock_rate, cut, final_reads, new_primary, one_primary, primary, put, put_until_acked, read,
    read_until, reading, slow,
};
use super::scene::Scene;
use history::results::Answer;
use nemesis::{Kill, Pause};
use std::time::Duration;

/// `async-failover`
pub const ASYNC_FAILOVER: Case = Case {
    name: "async-failover",
    about: "the primary acknowledges before it replicates, and dies: what it had acknowledged is gone",
    system: "demo-primary",
    with: &[("replication", "async")],
    nodes: 3,
    workload: "set",
    faults: &["slow", "partition", "kill"],
    expected: Expected::lie(&["set-lost"]),
    script: Script::Rounds { bound: 10, round: async_failover },
};

/// `split-brain`
pub const SPLIT_BRAIN: Case = Case {
    name: "split-brain",
    about: "a primary that is cut off goes on, while the others choose a new one: after healing, one side's writes go",
    system: "demo-primary",
    with: &[("replication", "async")],
    nodes: 3,
    workload: "set",
    faults: &["partition"],
    expected: Expected { seen: &["two primaries"], ..Expected::lie(&["set-lost"]) },
    script: Script::Rounds { bound: 10, round: split_brain },
};

/// `zombie-primary`
pub const ZOMBIE_PRIMARY: Case = Case {
    name: "zombie-primary",
    about: "a primary sleeps through its own replacement, and answers a read as it wakes up",
    system: "demo-primary",
    with: &[("replication", "quorum"), ("reads", "primary")],
    nodes: 3,
    workload: "register",
    faults: &["pause"],
    expected: Expected::lie(&["stale-read"]),
    script: Script::Rounds { bound: 20, round: zombie_primary },
};

/// `lease-checked`
pub const LEASE_CHECKED: Case = Case {
    name: "lease-checked",
    about: "a primary reads only under a lease that its successor waits out: linearizable, zombies and jumping clocks or not",
    system: "demo-primary",
    with: &[("replication", "quorum"), ("reads", "lease")],
    nodes: 3,
    workload: "register",
    faults: &["zombie", "partition", "clock"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 10 },
};

/// `lease-clock-rate`
pub const LEASE_CLOCK_RATE: Case = Case {
    name: "lease-clock-rate",
    about: "the same with a primary whose clock runs slow: its lease outlives its reign",
    system: "demo-primary",
    with: &[("replication", "quorum"), ("reads", "lease")],
    nodes: 3,
    workload: "register",
    faults: &["clock", "partition"],
    expected: Expected::lie(&["stale-read"]),
    script: Script::Rounds { bound: 10, round: lease_clock_rate },
};

/// `replica-reads`
pub const REPLICA_READS: Case = Case {
    name: "replica-reads",
    about: "sessions write through their own replica and read from it: late, but never out of order",
    system: "demo-primary",
    with: &[("reads", "replica"), ("tokens", "on")],
    nodes: 3,
    workload: "register",
    faults: &["slow", "partition"],
    expected: Expected { sequential: Some(Answer::Holds), ..Expected::lie(&["stale-read"]) },
    script: Script::Rounds { bound: 10, round: replica_reads },
};

/// `replica-reads-no-token`
pub const REPLICA_READS_NO_TOKEN: Case = Case {
    name: "replica-reads-no-token",
    about: "sessions write to the primary and read from a replica that has not heard of it yet",
    system: "demo-primary",
    with: &[("reads", "replica"), ("tokens", "off")],
    nodes: 3,
    workload: "register",
    faults: &["slow"],
    expected: Expected { sequential: Some(Answer::Violated), ..Expected::lie(&["not-read-your-writes"]) },
    script: Script::Rounds { bound: 10, round: no_token },
};

/// ```text
///   primary   |--add 2--|ok  ✗ SIGKILL                  primary → others: +200 ms, and then nothing
///   others                        elect a new primary  |--read → {1}--|
/// ```
fn async_failover(scene: &mut Scene) -> Result<(), String> {
    let primary = primary(scene)?;
    let others: Vec<usize> = scene.others(primary);
    let links: Vec<(usize, usize)> = others.iter().map(|&other| (primary, other)).collect();
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    let writer = scene.open(primary)?;
    put(scene, writer, &key, old)?;
    let slow = scene.inject(slow(&links, Duration::from_millis(200)))?;
    scene.prove(slow)?;
    let acked = put(scene, writer, &key, new)?;
    // A machine that dies takes with it what its network card has not sent yet; a process does not, so the cable goes first.
    let cable = scene.inject(cut(&[primary], &others).at_primary().loud())?;
    scene.prove(cable)?;
    let dead = scene.inject(Kill::new(vec![primary], true))?;
    scene.prove(dead)?;
    if acked {
        let name = scene.name(primary);
        scene.trigger(format!("{new} was acknowledged through {name}, which was killed then"));
        let heir = new_primary(scene, primary)?;
        let reader = scene.open(heir)?;
        read(scene, reader, &key)?;
    }
    scene.heal(slow)?;
    scene.heal(cable)?;
    scene.heal(dead)?;
    final_reads(scene, &key)
}

/// ```text
///   primary     (cut off)  |--add 2--|ok
///   others      (cut off)    elect a new primary  |--add 3--|ok        (heal)  read → {1 3}
/// ```
fn split_brain(scene: &mut Scene) -> Result<(), String> {
    let primary = primary(scene)?;
    let others: Vec<usize> = scene.others(primary);
    let (key, old) = (scene.key(), scene.fresh());
    let writer = scene.open(primary)?;
    put(scene, writer, &key, old)?;
    let cut_off = scene.inject(cut(&[primary], &others).at_primary())?;
    scene.prove(cut_off)?;
    let heir = new_primary(scene, primary)?;
    let other = scene.open(heir)?;
    let (left, right) = (scene.fresh(), scene.fresh());
    let both = put(scene, writer, &key, left)? & put(scene, other, &key, right)?;
    if both && scene.primaries().len() > 1 {
        let (a, b) = (scene.name(primary), scene.name(heir));
        scene.trigger(format!("{a} and {b} both lead, and both have acknowledged a write"));
        scene.saw("two primaries");
    }
    scene.heal(cut_off)?;
    one_primary(scene)?;
    final_reads(scene, &key)
}

/// ```text
///   leader   |--write 1--|  |SIGSTOP                              SIGCONT|── read → 1
///   others                        elect  |--write 2--|ok
///   client                                             |--- read … ---------------|
/// ```
fn zombie_primary(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let (key, old) = (scene.key(), scene.fresh());
    let writer = scene.open(leader)?;
    let idle: Vec<_> = (0..3).map(|_| scene.open(leader)).collect::<Result<_, _>>()?;
    put(scene, writer, &key, old)?;
    let asleep = scene.inject(Pause::new(vec![leader], true))?;
    scene.prove(asleep)?;
    let heir = new_primary(scene, leader)?;
    if let Some(new) = put_until_acked(scene, heir, &key)? {
        let (name, sleeper) = (scene.name(heir), scene.name(leader));
        scene.trigger(format!("{new} was acknowledged through {name} while {sleeper} sleeps"));
        for &session in &idle {
            scene.send(session, reading(&key), Duration::from_millis(1500))?;
        }
        scene.sleep(LIE_IN_WAIT)?;
    }
    scene.heal(asleep)?;
    for session in idle {
        scene.answer(session)?;
    }
    one_primary(scene)?;
    final_reads(scene, &key)
}

/// ```text
///   leader (clock at a tenth of its speed)  |--write 1--|  (cut off)                   |--read → 1--|
///   others                                                 (cut off) elect |--write 2--|ok
/// ```
fn lease_clock_rate(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let others: Vec<usize> = scene.others(leader);
    let (key, old) = (scene.key(), scene.fresh());
    let session = scene.open(leader)?;
    put(scene, session, &key, old)?;
    let slow = scene.inject(clock_rate(leader, 0.1))?;
    scene.prove(slow)?;
    let cut_off = scene.inject(cut(&[leader], &others).at_primary())?;
    scene.prove(cut_off)?;
    let heir = new_primary(scene, leader)?;
    if let Some(new) = put_until_acked(scene, heir, &key)? {
        let (name, slow) = (scene.name(heir), scene.name(leader));
        scene.trigger(format!("{new} was acknowledged through {name} while {slow} trusts its lease"));
        read(scene, session, &key)?;
    }
    scene.heal(cut_off)?;
    scene.heal(slow)?;
    one_primary(scene)?;
    final_reads(scene, &key)
}

/// ```text
///   n2   |--write 2--|ok                                n1 → n3: +40 ms, then n3 is cut off for a while
///   n3                 |--read → 1--|  …  → 2
/// ```
/// Every session writes and reads through one replica, and all of them do so all the time: it must show nothing worse.
fn replica_reads(scene: &mut Scene) -> Result<(), String> {
    let primary = primary(scene)?;
    let [fast, late] = scene.others(primary)[..] else { return Err("expected two replicas".to_string()) };
    let sessions = [scene.open(primary)?, scene.open(fast)?, scene.open(late)?];
    let (key, other) = (scene.key(), scene.other_key());
    let first = scene.fresh();
    put(scene, sessions[1], &key, first)?;
    read_until(scene, sessions[2], &key, first)?;
    let slow = scene.inject(slow(&[(primary, late)], Duration::from_millis(40)))?;
    scene.prove(slow)?;
    for _ in 0..8 {
        for (i, session) in sessions.into_iter().enumerate() {
            let value = scene.fresh();
            put(scene, session, if i == 1 { &key } else { &other }, value)?;
            for reader in sessions {
                read(scene, reader, &key)?;
                read(scene, reader, &other)?;
            }
        }
    }
    let cut_off = scene.inject(cut(&[late], &[primary, fast]))?;
    scene.prove(cut_off)?;
    for _ in 0..4 {
        let value = scene.fresh();
        put(scene, sessions[1], &key, value)?;
        for reader in sessions {
            read(scene, reader, &key)?;
        }
    }
    scene.heal(cut_off)?;
    scene.heal(slow)?;
    final_reads(scene, &key)
}

/// ```text
///   session at n3   |--write 2 (by n1)--|ok  |--read → 1 (by n3)--|          n1 → n3: +100 ms
/// ```
fn no_token(scene: &mut Scene) -> Result<(), String> {
    let primary = primary(scene)?;
    let Some(&late) = scene.others(primary).last() else { return Err("expected a replica".to_string()) };
    let session = scene.open(late)?;
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    put(scene, session, &key, old)?;
    read_until(scene, session, &key, old)?;
    let slow = scene.inject(slow(&[(primary, late)], Duration::from_millis(100)))?;
    scene.prove(slow)?;
    if put(scene, session, &key, new)? {
        scene.trigger(format!("{new} was acknowledged to a session that reads elsewhere"));
        read(scene, session, &key)?;
    }
    scene.heal(slow)?;
    read_until(scene, session, &key, new)?;
    final_reads(scene, &key)
}
