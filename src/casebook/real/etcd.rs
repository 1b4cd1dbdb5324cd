//! The cases of etcd: reads that ask a majority and reads that do not, and its lock, whose holder may sleep.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::lock::paused_holder_at;
use crate::casebook::recipes::{final_reads, primary, put, read, read_until, slow};
use crate::casebook::scene::Scene;
use history::results::Answer;
use std::time::Duration;

/// `etcd-serializable`
pub const ETCD_SERIALIZABLE: Case = Case {
    name: "etcd-serializable",
    about: "sessions write and read through their own member, without asking others, and one of them hears late of what is committed",
    system: "etcd",
    with: &[("reads", "serializable")],
    nodes: 3,
    workload: "register",
    faults: &["slow"],
    expected: Expected { sequential: Some(Answer::Holds), ..Expected::lie(&["stale-read"]) },
    script: Script::Rounds { bound: 5, round: late_member },
};

/// `etcd-linearizable`
pub const ETCD_LINEARIZABLE: Case = Case {
    name: "etcd-linearizable",
    about: "reads by a majority, writes and transactions: linearizable under partitions, kills and jumping clocks",
    system: "etcd",
    with: &[],
    nodes: 5,
    workload: "cas-register",
    faults: &["partition", "kill", "clock"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 30 },
};

/// `etcd-lock`
pub const ETCD_LOCK: Case = Case {
    name: "etcd-lock",
    about: "a holder sleeps until its lease of 2 s has passed to another, wakes up and writes: the resource takes it",
    system: "etcd",
    with: &[("fencing", "off")],
    nodes: 3,
    workload: "lock",
    faults: &["pause"],
    expected: Expected { seen: &["two holders"], ..Expected::lie(&["stale-write-accepted"]) },
    script: Script::Rounds { bound: 5, round: sleeping_holder },
};

/// `etcd-lock-fenced`
pub const ETCD_LOCK_FENCED: Case = Case {
    name: "etcd-lock-fenced",
    about: "the same with a resource that compares the revisions of locks: two believe that they hold it, but one is refused",
    system: "etcd",
    with: &[("fencing", "on")],
    nodes: 3,
    workload: "lock",
    faults: &["pause"],
    expected: Expected { seen: &["two holders", "stale write refused"], ..Expected::HONEST },
    script: Script::Once(fenced),
};

/// How late a member hears of what was committed.
const LATE: Duration = Duration::from_millis(60);

/// How often everybody reads and writes in a round.
const TURNS: usize = 6;

/// ```text
///   n2   |--write 2--|ok                                leader → n3: +60 ms
///   n3                 |--read → 1--|  …  → 2
/// ```
/// Every session writes and reads through one member, and all of them do so all the time: it must show nothing worse.
fn late_member(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let [fast, late] = scene.others(leader)[..] else { return Err("expected two followers".to_string()) };
    let sessions = [scene.open(leader)?, scene.open(fast)?, scene.open(late)?];
    let (key, other) = (scene.key(), scene.other_key());
    let first = scene.fresh();
    put(scene, sessions[1], &key, first)?;
    read_until(scene, sessions[2], &key, first)?;
    let slow = scene.inject(slow(&[(leader, late)], LATE))?;
    scene.prove(slow)?;
    for _ in 0..TURNS {
        for (i, session) in sessions.into_iter().enumerate() {
            let value = scene.fresh();
            put(scene, session, if i == 1 { &key } else { &other }, value)?;
            for reader in sessions {
                read(scene, reader, &key)?;
                read(scene, reader, &other)?;
            }
        }
    }
    scene.heal(slow)?;
    final_reads(scene, &key)
}

/// A follower's node sleeps, its member and the user of the lock on it: the others need no election, only the end of the
/// lease.
fn sleeping_holder(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let [sleeper, heir] = scene.others(leader)[..] else { return Err("expected two followers".to_string()) };
    paused_holder_at(scene, [sleeper, heir, leader])
}

/// Three times over, so that there is something to judge.
fn fenced(scene: &mut Scene) -> Result<(), String> {
    (0..3).try_for_each(|_| sleeping_holder(scene))
}
