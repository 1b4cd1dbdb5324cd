//! The cases of `demo-quorum`: replicas that vote, by the wrong clock, with too few votes, or without a second round.

use super::case::{Case, Expected, Script};
use super::recipes::{
    clock_bump, cut, final_reads, mute, put, putting, read, read_until, reading, slow, turns,
};
use super::scene::Scene;
use history::Value;
use history::results::Answer;
use std::time::Duration;

/// `lww-clock-skew`
pub const LWW_CLOCK_SKEW: Case = Case {
    name: "lww-clock-skew",
    about: "last writer wins by wall clocks, one of which is 30 s ahead: whoever writes after it is overruled",
    system: "demo-quorum",
    with: &[("w", "2"), ("r", "2"), ("versions", "wall")],
    nodes: 3,
    workload: "register",
    faults: &["clock"],
    expected: Expected {
        linearizable: Answer::Violated,
        sequential: Some(Answer::Violated),
        kinds: &["lost-write"],
        seen: &[],
    },
    script: Script::Rounds { bound: 5, round: lww_clock_skew },
};

/// `quorum-w1-r1`
pub const QUORUM_W1_R1: Case = Case {
    name: "quorum-w1-r1",
    about: "one vote to write and one to read, with one slow replica: it answers from before the write",
    system: "demo-quorum",
    with: &[("w", "1"), ("r", "1"), ("versions", "logical")],
    nodes: 3,
    workload: "register",
    faults: &["slow"],
    expected: Expected::lie(&["stale-read"]),
    script: Script::Rounds { bound: 10, round: w1_r1 },
};

/// `abd`
pub const ABD: Case = Case {
    name: "abd",
    about: "majorities, logical versions, and reads that write back what they return: linearizable under all faults",
    system: "demo-quorum",
    with: &[("w", "majority"), ("r", "majority"), ("versions", "logical"), ("write-back", "on")],
    nodes: 5,
    workload: "register",
    faults: &["partition", "pause", "kill", "slow"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 8 },
};

/// `abd-no-write-back`
pub const ABD_NO_WRITE_BACK: Case = Case {
    name: "abd-no-write-back",
    about: "the same without writing back: one reader sees a write that is under way, a later one does not",
    system: "demo-quorum",
    with: &[("w", "majority"), ("r", "majority"), ("versions", "logical"), ("write-back", "off")],
    nodes: 5,
    workload: "register",
    faults: &["slow", "partition"],
    expected: Expected::lie(&["inversion"]),
    script: Script::Rounds { bound: 50, round: no_write_back },
};

/// `crashed-write-surfaces`
pub const CRASHED_WRITE_SURFACES: Case = Case {
    name: "crashed-write-surfaces",
    about: "a coordinator is cut off in the middle of a write: nobody sees it for a while, then everybody does, and that is legal",
    system: "demo-quorum",
    with: &[("w", "majority"), ("r", "majority"), ("versions", "logical"), ("write-back", "on")],
    nodes: 5,
    workload: "register",
    faults: &["slow", "partition"],
    expected: Expected { seen: &["surfaced"], ..Expected::HONEST },
    script: Script::Rounds { bound: 20, round: crashed_write },
};

/// `both-sides-answer`
pub const BOTH_SIDES_ANSWER: Case = Case {
    name: "both-sides-answer",
    about: "one vote to write and one to read: both sides of a partition go on as if they were alone",
    system: "demo-quorum",
    with: &[("w", "1"), ("r", "1"), ("versions", "logical")],
    nodes: 3,
    workload: "register",
    faults: &["partition"],
    expected: Expected { seen: &["both sides answered"], ..Expected::lie(&["stale-read"]) },
    script: Script::Rounds { bound: 5, round: both_sides },
};

/// ```text
///   n1 (+30 s)   |--write 1--|                                        version: 30 s from now
///   n2                          |--read → 1--||--write 2--||--read → 1--|    version of 2: now, which is less
/// ```
fn lww_clock_skew(scene: &mut Scene) -> Result<(), String> {
    let skewed = scene.inject(clock_bump(0, Duration::from_secs(30)))?;
    scene.prove(skewed)?;
    let (ahead, behind) = (scene.open(0)?, scene.open(1)?);
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    if put(scene, ahead, &key, old)? && read_until(scene, behind, &key, old)? {
        scene.trigger(format!("n2 has read {old}, which n1 wrote 30 s ahead of time"));
        put(scene, behind, &key, new)?;
        read(scene, behind, &key)?;
    }
    scene.heal(skewed)?;
    final_reads(scene, &key)
}

/// ```text
///   n1   |--write 1--|  …   |--write 2--|                              n1 → n3: +200 ms
///   n3                 → 1               |--read → 1--|  …  → 2
/// ```
fn w1_r1(scene: &mut Scene) -> Result<(), String> {
    let (writer, reader) = (scene.open(0)?, scene.open(2)?);
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    put(scene, writer, &key, old)?;
    read_until(scene, reader, &key, old)?;
    let slow = scene.inject(slow(&[(0, 2)], Duration::from_millis(200)))?;
    scene.prove(slow)?;
    if put(scene, writer, &key, new)? {
        scene.trigger(format!("{new} was acknowledged by n1 alone"));
        read(scene, reader, &key)?;
    }
    scene.heal(slow)?;
    read_until(scene, reader, &key, new)?;
    final_reads(scene, &key)
}

/// ```text
///   n1  |--write 2 … (n1 → n3 n4 n5: +200 ms, so for a while only n1 and n2 have it) …
///   n2      |--read → 2--|      then n3 n4 n5 are cut off from n1 and n2
///   n3                     |--read → 1--|      asks n3 n4 n5
/// ```
/// With three nodes and constant delays it cannot happen: every majority meets one that has it.
fn no_write_back(scene: &mut Scene) -> Result<(), String> {
    let (writer, near, far) = (scene.open(0)?, scene.open(1)?, scene.open(2)?);
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    put(scene, writer, &key, old)?;
    read_until(scene, far, &key, old)?;
    let slow = scene.inject(slow(&[(0, 2), (0, 3), (0, 4)], Duration::from_millis(200)))?;
    scene.prove(slow)?;
    scene.send(writer, putting(scene, &key, new), Duration::from_millis(1500))?;
    if read_until(scene, near, &key, new)? {
        scene.trigger(format!("n2 has read {new} while its write is under way"));
        let cut_off = scene.inject(cut(&[0, 1], &[2, 3, 4]))?;
        read(scene, far, &key)?;
        scene.prove(cut_off)?;
        scene.heal(cut_off)?;
    }
    scene.heal(slow)?;
    scene.answer(writer)?;
    final_reads(scene, &key)
}

/// How late everything is that the coordinator says.
const LATE: Duration = Duration::from_millis(150);

/// ```text
///   n1   |--write 2 … n1 → all: +150 ms, then nothing          ✗ deadline: nobody knows
///   n2                                                            |--read → 1--|  (heal)  |--read → 2--|
/// ```
/// The first 150 ms bring the question for the newest version to the others; the write itself leaves n1 when they have
/// answered, and is cut off on its way. Whether it was cut off at the right moment is seen by what is read. Who reads
/// at n1 meanwhile is not answered.
fn crashed_write(scene: &mut Scene) -> Result<(), String> {
    let (writer, reader) = (scene.open(0)?, scene.open(1)?);
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    put(scene, writer, &key, old)?;
    read_until(scene, reader, &key, old)?;
    let others = [(0, 1), (0, 2), (0, 3), (0, 4)];
    let slow = scene.inject(slow(&others, LATE))?;
    scene.prove(slow)?;
    let in_vain = (0..24).map(|_| scene.open(0)).collect::<Result<Vec<_>, _>>()?;
    scene.send(writer, putting(scene, &key, new), 3 * LATE)?;
    scene.sleep(LATE + LATE / 2)?;
    let cut_off = scene.inject(mute(0, &[1, 2, 3, 4]))?;
    for &session in &in_vain {
        scene.send(session, reading(&key), LATE)?;
    }
    scene.prove(cut_off)?;
    scene.last_answer(writer)?;
    for session in in_vain {
        scene.answer(session)?;
    }
    let before = read(scene, reader, &key)?;
    scene.heal(cut_off)?;
    scene.heal(slow)?;
    let after = read_until(scene, reader, &key, new)?;
    if before == Some(Value::Int(old)) && after {
        scene.saw("surfaced");
    }
    let others = scene.others(0).into_iter().map(|node| scene.open(node)).collect::<Result<Vec<_>, _>>()?;
    turns(scene, &others, &key, 40)?;
    final_reads(scene, &key)
}

/// Both sides write keys of their own and read those of the other side, twenty requests each.
fn both_sides(scene: &mut Scene) -> Result<(), String> {
    let (left, right) = (scene.open(0)?, scene.open(1)?);
    let (a, b) = (scene.key(), scene.other_key());
    for (key, writer, reader) in [(&a, left, right), (&b, right, left)] {
        let value = scene.fresh();
        put(scene, writer, key, value)?;
        read_until(scene, reader, key, value)?;
    }
    let cut_off = scene.inject(cut(&[0], &[1, 2]))?;
    scene.prove(cut_off)?;
    let mut answered = [0, 0];
    for _ in 0..10 {
        for (side, own, other) in [(0, &a, &b), (1, &b, &a)] {
            let session = [left, right][side];
            let value = scene.fresh();
            answered[side] += u32::from(put(scene, session, own, value)?);
            answered[side] += u32::from(read(scene, session, other)?.is_some());
        }
    }
    if answered.iter().all(|&n| n >= 18) {
        scene.saw("both sides answered");
    }
    scene.heal(cut_off)?;
    final_reads(scene, &a)?;
    final_reads(scene, &b)
}
