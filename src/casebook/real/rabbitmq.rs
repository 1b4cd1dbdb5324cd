//! The cases of RabbitMQ: queues of which a majority knows everything, and those of which a mirror may know nothing.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::recipes::{new_primary, open_until, put};
use crate::casebook::scene::Scene;
use history::{Call, Completion, Value};
use nemesis::Kill;
use std::time::{Duration, Instant};

/// `rabbitmq-quorum`
pub const RABBITMQ_QUORUM: Case = Case {
    name: "rabbitmq-quorum",
    about: "quorum queues with confirmations and manual acknowledgements: what was confirmed comes, at least once",
    system: "rabbitmq",
    with: &[("queue", "quorum")],
    nodes: 3,
    workload: "delivery",
    faults: &["partition", "kill"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 30 },
};

/// `rabbitmq-mirrored`
pub const RABBITMQ_MIRRORED: Case = Case {
    name: "rabbitmq-mirrored",
    about: "a mirrored queue as it is by default: a mirror that was away knows nothing of what was confirmed meanwhile, and leads when the leader dies",
    system: "rabbitmq",
    with: &[("queue", "mirrored"), ("sync", "manual"), ("partition_handling", "ignore")],
    nodes: 2,
    workload: "delivery",
    faults: &["kill"],
    expected: Expected { seen: &["an empty mirror leads"], ..Expected::lie(&["lost-message"]) },
    script: Script::Rounds { bound: 5, round: empty_mirror },
};

/// How many messages are sent.
const MESSAGES: usize = 20;
/// How long a drain may take: it waits a while until it calls a queue empty.
const DRAIN: Duration = Duration::from_secs(10);
/// How long two brokers may take to find each other again.
const JOIN: Duration = Duration::from_secs(120);

/// ```text
///   leader   |--1--|ok           |--2--|ok … |--21--|ok           ✗        (start: it becomes a mirror, and forgets)
///   mirror             ✗ killed                        (start)      leads, and has nothing
/// ```
fn empty_mirror(scene: &mut Scene) -> Result<(), String> {
    let (leader, mirror) = (0, 1);
    let key = scene.key();
    let sender = scene.open(leader)?;
    // A queue is led where it was declared.
    let first = scene.fresh();
    put(scene, sender, &key, first)?;
    let away = scene.inject(Kill::new(vec![mirror], false))?;
    scene.prove(away)?;
    let mut last = None;
    for _ in 0..MESSAGES {
        let message = scene.fresh();
        if put(scene, sender, &key, message)? {
            last = Some(message);
        }
    }
    scene.heal(away)?;
    joined(scene)?;
    let dead = scene.inject(Kill::new(vec![leader], true))?;
    scene.prove(dead)?;
    if new_primary(scene, leader)? == mirror {
        if let Some(last) = last {
            scene.trigger(format!(
                "{last} was confirmed by a leader that is dead, and the mirror that leads was away then"
            ));
        }
        scene.saw("an empty mirror leads");
    }
    scene.heal(dead)?;
    joined(scene)?;
    drained(scene, &key)
}

/// Waits until the brokers see each other.
fn joined(scene: &Scene) -> Result<(), String> {
    let until = Instant::now() + JOIN;
    loop {
        match scene.settle() {
            Err(_) if Instant::now() < until => {}
            settled => return settled,
        }
    }
}

/// Takes everything that is there, until there is nothing, twice.
fn drained(scene: &mut Scene, key: &Value) -> Result<(), String> {
    let session = open_until(scene, 0)?;
    let (until, mut empty) = (Instant::now() + JOIN, 0);
    while empty < 2 && Instant::now() < until {
        let drain = Call { f: "drain".to_string(), key: Some(key.clone()), value: Value::Null };
        scene.send(session, drain, DRAIN)?;
        match scene.answer(session)? {
            Completion::Ok { value, .. } if value.as_list().is_none_or(<[Value]>::is_empty) => empty += 1,
            Completion::Ok { .. } => empty = 0,
            Completion::Fail(_) | Completion::Info { .. } => {}
        }
    }
    Ok(())
}
