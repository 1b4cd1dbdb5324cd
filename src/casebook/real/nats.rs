//! The cases of NATS JetStream: replicas that answer for themselves, a comparison with what is stored while more is on its
//! way, and acknowledgements that no disk knows of.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::recipes::{cut, final_reads, new_primary, primary, put, read, read_until, slow, turns};
use crate::casebook::scene::Scene;
use history::results::Answer;
use history::{Call, Completion, Value};
use nemesis::Power;
use std::time::{Duration, Instant};

/// `nats-direct-get`
pub const NATS_DIRECT_GET: Case = Case {
    name: "nats-direct-get",
    about: "a replica to which the leader's word takes 30 ms answers a direct get from what it has",
    system: "nats",
    with: &[("reads", "direct"), ("replicas", "3")],
    nodes: 3,
    workload: "register",
    faults: &["slow"],
    expected: Expected::lie(&["stale-read"]),
    script: Script::Rounds { bound: 10, round: direct_get },
};

/// `nats-cas`
pub const NATS_CAS: Case = Case {
    name: "nats-cas",
    about: "two clients replace the same version at the same time, and both succeed: it is compared with what is stored, not with what is on its way",
    system: "nats",
    with: &[("replicas", "3")],
    nodes: 3,
    workload: "revision-register",
    faults: &["slow"],
    expected: Expected { sequential: Some(Answer::Violated), ..Expected::lie(&["double-cas"]) },
    script: Script::Rounds { bound: 10, round: both_replace },
};

/// `nats-power-loss-all`
pub const NATS_POWER_LOSS_ALL: Case = Case {
    name: "nats-power-loss-all",
    about: "all five servers lose their power soon after they have acknowledged: by default they sync every two minutes",
    system: "nats",
    with: &[("replicas", "5")],
    nodes: 5,
    workload: "set",
    faults: &["power"],
    expected: Expected::lie(&["set-lost"]),
    script: Script::Rounds { bound: 5, round: power_loss_all },
};

/// `nats-power-loss-one`
pub const NATS_POWER_LOSS_ONE: Case = Case {
    name: "nats-power-loss-one",
    about: "the leader alone loses its power, after all four replicas have caught up: the others have what it lost",
    system: "nats",
    with: &[("replicas", "5")],
    nodes: 5,
    workload: "set",
    faults: &["power"],
    expected: Expected::HONEST,
    script: Script::Once(power_loss_one),
};

/// `nats-two-ackers`
pub const NATS_TWO_ACKERS: Case = Case {
    name: "nats-two-ackers",
    about: "three of five acknowledge while two are cut off, two of the three lose their power, and the two that lag behind are healed: the third is outvoted",
    system: "nats",
    with: &[("replicas", "5")],
    nodes: 5,
    workload: "set",
    faults: &["partition", "power"],
    expected: Expected::lie(&["set-lost"]),
    script: Script::Rounds { bound: 10, round: two_ackers },
};

/// How long a round looks for a read that is late.
const LATE: Duration = Duration::from_secs(10);

/// How many elements are added before the power goes.
const ADDS: usize = 20;

/// ```text
///   leader   |--write 2--|ok                      leader → n3: +30 ms
///   n3                    |--read → 1--|
/// ```
fn direct_get(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let Some(&late) = scene.others(leader).last() else { return Err("expected a replica".to_string()) };
    let (key, old) = (scene.key(), scene.fresh());
    let (writer, reader) = (scene.open(leader)?, scene.open(late)?);
    put(scene, writer, &key, old)?;
    read_until(scene, reader, &key, old)?;
    let slow = scene.inject(slow(&[(leader, late)], Duration::from_millis(30)))?;
    scene.prove(slow)?;
    // A replica answers direct gets only some seconds after it has joined the stream: until one is seen to be late.
    let until = Instant::now() + LATE;
    let mut fresh = true;
    while fresh && Instant::now() < until {
        let value = scene.fresh();
        if put(scene, writer, &key, value)? {
            fresh = read(scene, reader, &key)?.is_none_or(|seen| seen == Value::Int(value));
        }
        scene.sleep(Duration::from_millis(20))?;
    }
    scene.heal(slow)?;
    final_reads(scene, &key)
}

/// ```text
///   client 1   |--cas version 7 → 2--|ok          leader → others: +30 ms
///   client 2   |--cas version 7 → 3--|ok
/// ```
fn both_replace(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let links: Vec<(usize, usize)> = scene.others(leader).into_iter().map(|other| (leader, other)).collect();
    let (key, old) = (scene.key(), scene.fresh());
    let sessions = [scene.open(leader)?, scene.open(leader)?];
    let first = Call { f: "write".to_string(), key: Some(key.clone()), value: Value::Int(old) };
    let Completion::Ok { value, .. } = scene.ask(sessions[0], first)? else {
        return Err("the first write was not acknowledged".to_string());
    };
    let version = value.as_list().and_then(|pair| pair.first()).cloned();
    let version = version.ok_or_else(|| format!("a write was answered with {value} and no version"))?;
    let slow = scene.inject(slow(&links, Duration::from_millis(30)))?;
    scene.prove(slow)?;
    for session in sessions {
        let new = Value::Int(scene.fresh());
        let value = Value::list([version.clone(), new]);
        let call = Call { f: "cas".to_string(), key: Some(key.clone()), value };
        scene.send(session, call, scene.timeout())?;
    }
    for session in sessions {
        scene.answer(session)?;
    }
    scene.heal(slow)?;
    final_reads(scene, &key)
}

/// Adds elements by way of a node. How many were acknowledged.
fn add_some(scene: &mut Scene, node: usize, key: &Value) -> Result<usize, String> {
    let session = scene.open(node)?;
    let mut acked = 0;
    for _ in 0..ADDS {
        let element = scene.fresh();
        acked += usize::from(put(scene, session, key, element)?);
    }
    Ok(acked)
}

/// ```text
///   client      |--add 1--|ok |--add 2--|ok …
///   n1 … n5                                    ✗ without power      start      |--read → {}--|
/// ```
fn power_loss_all(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let key = scene.key();
    let acked = add_some(scene, leader, &key)?;
    scene.trigger(format!("{acked} elements were acknowledged, and nobody has synced them"));
    let dark = scene.inject(Power::new(scene.all_nodes(), true))?;
    scene.prove(dark)?;
    scene.heal(dark)?;
    read_when_answered(scene, &key)
}

/// Waits until the cluster answers again, whatever it answers, and reads twice everywhere.
fn read_when_answered(scene: &mut Scene, key: &Value) -> Result<(), String> {
    let until = Instant::now() + scene.patience();
    for node in scene.all_nodes() {
        loop {
            // A session of its own for each try: one that a call has ended stays over.
            let session = scene.open(node)?;
            if read(scene, session, key)?.is_some() {
                break;
            }
            if Instant::now() >= until {
                let (name, patience) = (scene.name(node), scene.patience().as_secs());
                return Err(format!("{name} has answered no read for {patience} s"));
            }
            scene.sleep(Duration::from_millis(100))?;
        }
    }
    final_reads(scene, key)
}

/// ```text
///   clients     |--add, read …--|  all current         |--add, read …--|               |--read--|
///   leader                                 ✗ without power                   start
/// ```
fn power_loss_one(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let key = scene.key();
    let all = scene.all_nodes().into_iter().map(|node| scene.open(node)).collect::<Result<Vec<_>, _>>()?;
    turns(scene, &all, &key, 20)?;
    scene.settle()?;
    let name = scene.name(leader);
    scene.trigger(format!("every replica has what {name} has"));
    let dark = scene.inject(Power::new(vec![leader], true))?;
    scene.prove(dark)?;
    new_primary(scene, leader)?;
    let others =
        scene.others(leader).into_iter().map(|node| scene.open(node)).collect::<Result<Vec<_>, _>>()?;
    turns(scene, &others, &key, 20)?;
    scene.heal(dark)?;
    scene.settle()?;
    read_when_answered(scene, &key)
}

/// ```text
///   leader, a    |--add …--|ok   ✗ without power      start
///   b            |--add …--|ok
///   c, d         (cut off)                      (heal)           elect one of those who have nothing   |--read--|
/// ```
fn two_ackers(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let [a, b, c, d] = scene.others(leader)[..] else { return Err("expected five nodes".to_string()) };
    let key = scene.key();
    scene.settle()?;
    let cut_off = scene.inject(cut(&[leader, a, b], &[c, d]))?;
    scene.prove(cut_off)?;
    let acked = add_some(scene, leader, &key)?;
    scene.trigger(format!("{acked} elements were acknowledged by three of five"));
    let dark = scene.inject(Power::new(vec![leader, a], true))?;
    scene.prove(dark)?;
    scene.heal(cut_off)?;
    scene.heal(dark)?;
    read_when_answered(scene, &key)
}
