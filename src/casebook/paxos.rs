//! The cases of `demo-paxos`: an honest register, under everything, and on the wrong side of a partition.

use super::case::{Case, Expected, Script};
use super::recipes::{cut, final_reads, putting, reading, turns};
use super::scene::{GRACE, Scene};
use history::Completion;
use std::time::Duration;

/// `paxos-under-fire`
pub const PAXOS_UNDER_FIRE: Case = Case {
    name: "paxos-under-fire",
    about: "one Paxos instance for each version of a register: linearizable under every fault there is",
    system: "demo-paxos",
    with: &[],
    nodes: 3,
    workload: "cas-register",
    faults: &["partition", "pause", "kill", "clock", "slow", "zombie"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 10 },
};

/// `minority-refuses`
pub const MINORITY_REFUSES: Case = Case {
    name: "minority-refuses",
    about: "two of five nodes are cut off: the three go on, and the two answer nobody, not even a reader",
    system: "demo-paxos",
    with: &[],
    nodes: 5,
    workload: "cas-register",
    faults: &["partition"],
    expected: Expected { seen: &["majority answered", "minority refused"], ..Expected::HONEST },
    script: Script::Once(minority_refuses),
};

/// How long a minority may take to say nothing.
const IN_VAIN: Duration = Duration::from_millis(200);

/// While n1 and n2 are asked 24 times in vain, sessions with n3, n4 and n5 write and read the same key.
fn minority_refuses(scene: &mut Scene) -> Result<(), String> {
    let key = scene.key();
    let majority = [scene.open(2)?, scene.open(3)?, scene.open(4)?];
    let minority = [scene.open(0)?, scene.open(0)?, scene.open(1)?, scene.open(1)?];
    turns(scene, &majority, &key, 10)?;
    let cut_off = scene.inject(cut(&[0, 1], &[2, 3, 4]))?;
    scene.prove(cut_off)?;
    let (mut asked, mut answered, mut vain, mut told) = (0, 0, 0, 0);
    for round in 0..6 {
        for &session in &minority {
            let value = scene.fresh();
            let call = if round % 2 == 0 { reading(&key) } else { putting(scene, &key, value) };
            scene.send(session, call, IN_VAIN)?;
        }
        let (more, ok) = turns(scene, &majority, &key, 8)?;
        (asked, answered) = (asked + more, answered + ok);
        for &session in &minority {
            vain += 1;
            told += u32::from(matches!(scene.answer(session)?, Completion::Ok { .. }));
        }
    }
    scene.sleep(GRACE)?;
    if answered * 10 >= asked * 9 {
        scene.saw("majority answered");
    }
    if told == 0 && vain >= 20 {
        scene.saw("minority refused");
    }
    scene.heal(cut_off)?;
    final_reads(scene, &key)
}
