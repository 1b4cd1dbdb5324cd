//! The cases of Galera: a write is put in order at once, and shown by each node when that has applied it.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::recipes::{final_reads, put, read, read_until, slow};
use crate::casebook::scene::Scene;
use history::results::Answer;
use std::time::Duration;

/// `galera-stale`
pub const GALERA_STALE: Case = Case {
    name: "galera-stale",
    about: "a node answers from what it has applied, after a write is done elsewhere: late, but never out of order",
    system: "galera",
    with: &[("sync-wait", "0")],
    nodes: 3,
    workload: "register",
    faults: &["slow"],
    expected: Expected { sequential: Some(Answer::Holds), ..Expected::lie(&["stale-read"]) },
    script: Script::Rounds { bound: 5, round: late_node },
};

/// `galera-sync-wait`
pub const GALERA_SYNC_WAIT: Case = Case {
    name: "galera-sync-wait",
    about: "a node waits for what was put in order before it answers: linearizable under partitions",
    system: "galera",
    with: &[("sync-wait", "7")],
    nodes: 3,
    workload: "register",
    faults: &["partition"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 40 },
};

/// How late a node hears of a write, and that the others have it.
const LATE: Duration = Duration::from_millis(60);

/// How often everybody reads and writes in a round.
const TURNS: usize = 6;

/// ```text
///   n1   |--write 2--|ok                                n1, n2 → n3: +60 ms
///   n3                 |--read → 1--|  …  → 2
/// ```
/// A write is done when all nodes have it, n3 too, but n3 shows it when it has heard that the others have it, which is
/// later. Every session writes and reads at one node, and all of them do so all the time: it must show nothing worse.
fn late_node(scene: &mut Scene) -> Result<(), String> {
    let sessions = [scene.open(0)?, scene.open(1)?, scene.open(2)?];
    let (key, other) = (scene.key(), scene.other_key());
    let first = scene.fresh();
    put(scene, sessions[0], &key, first)?;
    read_until(scene, sessions[2], &key, first)?;
    let slow = scene.inject(slow(&[(0, 2), (1, 2)], LATE))?;
    scene.prove(slow)?;
    for _ in 0..TURNS {
        for (i, session) in sessions.into_iter().enumerate() {
            let value = scene.fresh();
            put(scene, session, if i == 0 { &key } else { &other }, value)?;
            for reader in sessions {
                read(scene, reader, &key)?;
                read(scene, reader, &other)?;
            }
        }
    }
    scene.heal(slow)?;
    final_reads(scene, &key)
}
