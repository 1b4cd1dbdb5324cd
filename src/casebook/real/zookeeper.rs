//! The cases of ZooKeeper: writes go through a majority, and reads through nobody but the server that is asked.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::recipes::{
    LIE_IN_WAIT, cut, final_reads, new_primary, one_primary, open_until, primary, put, put_until_acked,
    putting, read, read_until, reading, slow,
};
use crate::casebook::scene::Scene;
use history::Value;
use history::results::Answer;
use nemesis::{Kill, Pause};
use std::time::Duration;

/// `zookeeper-sync-zombie`
pub const ZOOKEEPER_SYNC_ZOMBIE: Case = Case {
    name: "zookeeper-sync-zombie",
    about: "a leader sleeps through its own replacement, and answers a sync and a read as it wakes up: sync asks no majority",
    system: "zookeeper",
    with: &[("reads", "sync"), ("tick", "250"), ("session", "20000")],
    nodes: 3,
    workload: "register",
    faults: &["pause"],
    expected: Expected::lie(&["stale-read"]),
    script: Script::Rounds { bound: 10, round: sync_zombie },
};

/// `zookeeper-reads`
pub const ZOOKEEPER_READS: Case = Case {
    name: "zookeeper-reads",
    about: "sessions write and read through their own server, which hears of what is committed late: late, but never out of order",
    system: "zookeeper",
    with: &[("reads", "local")],
    nodes: 3,
    workload: "register",
    faults: &["slow"],
    expected: Expected { sequential: Some(Answer::Holds), ..Expected::lie(&["stale-read"]) },
    script: Script::Rounds { bound: 5, round: late_follower },
};

/// `zookeeper-cas`
pub const ZOOKEEPER_CAS: Case = Case {
    name: "zookeeper-cas",
    about: "writes that compare versions, and reads behind a write of their own session: linearizable under partitions, pauses and kills",
    system: "zookeeper",
    with: &[("reads", "write"), ("disk-sync", "off"), ("tick", "250")],
    nodes: 5,
    workload: "versioned-register",
    faults: &["partition", "pause", "kill"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 30 },
};

/// `zookeeper-ghost-write`
pub const ZOOKEEPER_GHOST_WRITE: Case = Case {
    name: "zookeeper-ghost-write",
    about: "a leader that was cut off keeps in its log what was never committed, leads again, and brings a follower up to date from that log",
    system: "zookeeper",
    with: &[("reads", "write"), ("tick", "250"), ("session", "20000")],
    nodes: 5,
    workload: "register",
    faults: &["kill", "partition"],
    expected: Expected { seen: &["a write that was never committed"], ..Expected::lie(GHOST) },
    script: Script::Rounds { bound: 5, round: ghost_write },
};

/// How a write shows that is there on one server alone.
const GHOST: &[&str] = &["inversion", "stale-read"];

/// How many sessions lie in wait for a sleeper.
const IDLE: usize = 8;

/// How late a follower hears of what was committed.
const LATE: Duration = Duration::from_millis(60);

/// How long a write waits that nobody will confirm.
const GHOST_TIME: Duration = Duration::from_millis(400);

/// How often everybody reads and writes in a round.
const TURNS: usize = 6;

/// ```text
///   leader   |--write 1--|  |SIGSTOP                              SIGCONT|── sync, read → 1
///   others                        elect  |--write 2--|ok
///   client                                             |--- sync, read … --------------|
/// ```
fn sync_zombie(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let (key, old) = (scene.key(), scene.fresh());
    let writer = scene.open(leader)?;
    let idle: Vec<_> = (0..IDLE).map(|_| scene.open(leader)).collect::<Result<_, _>>()?;
    put(scene, writer, &key, old)?;
    let asleep = scene.inject(Pause::new(vec![leader], true))?;
    scene.prove(asleep)?;
    let heir = new_primary(scene, leader)?;
    if let Some(new) = put_until_acked(scene, heir, &key)? {
        let (name, sleeper) = (scene.name(heir), scene.name(leader));
        scene.trigger(format!("{new} was acknowledged through {name} while {sleeper} sleeps"));
        for &session in &idle {
            scene.send(session, reading(&key), Duration::from_millis(2500))?;
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
///   n2   |--write 2--|ok                                leader → n3: +60 ms
///   n3                 |--read → 1--|  …  → 2
/// ```
/// Every session writes and reads through one server, and all of them do so all the time: it must show nothing worse.
fn late_follower(scene: &mut Scene) -> Result<(), String> {
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

/// ```text
///   n1  |--write 1--|  ✗ SIGKILL                                                              restart  read → 2
///   n5  (leader)          (cut off)  |--write 2, in its log alone …     (heal: a snapshot)  leads
///   others                  elect one of them  |--write 3--|ok |--write of another key--|    ✗ that one      read → 1
/// ```
/// Whoever has the highest number leads, where all have the same transactions: that is what makes n5 lead again.
fn ghost_write(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let others: Vec<usize> = scene.others(leader);
    let (key, busy) = (scene.key(), scene.other_key());
    let (old, ghost, news) = (scene.fresh(), scene.fresh(), scene.fresh());
    let writer = open_until(scene, leader)?;
    let laggard = others[0];
    // The laggard has what everybody has, and no more.
    let reader = open_until(scene, laggard)?;
    put(scene, writer, &key, old)?;
    read_until(scene, reader, &key, old)?;
    let dead = scene.inject(Kill::new(vec![laggard], false))?;
    scene.prove(dead)?;
    let alone = scene.inject(cut(&[leader], &others).at_primary())?;
    scene.prove(alone)?;
    // It takes the write into its log, and nobody ever confirms it.
    scene.send(writer, putting(scene, &key, ghost), GHOST_TIME)?;
    let heir = new_primary(scene, leader)?;
    let other = open_until(scene, heir)?;
    put(scene, other, &busy, news)?;
    scene.last_answer(writer)?;
    scene.heal(alone)?;
    one_primary(scene)?;
    // When it follows, the one that leads now has to go, so that it leads again.
    let back = open_until(scene, leader)?;
    read_until(scene, back, &busy, news)?;
    let gone = scene.inject(Kill::new(vec![heir], true))?;
    scene.prove(gone)?;
    let again = new_primary(scene, heir)?;
    let name = scene.name(again);
    scene.trigger(format!("{name} leads"));
    scene.heal(dead)?;
    let session = open_until(scene, laggard)?;
    let seen = read(scene, session, &key)?;
    if again == leader && seen == Some(Value::Int(ghost)) {
        scene.saw("a write that was never committed");
    }
    scene.heal(gone)?;
    one_primary(scene)?;
    final_reads(scene, &key)
}
