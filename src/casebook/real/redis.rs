//! The cases of Redis: a primary acknowledges before anybody else has what it acknowledges.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::lock::paused_holder_by;
use crate::casebook::recipes::{cut, final_reads, new_primary, one_primary, primary, put};
use crate::casebook::scene::Scene;
use nemesis::{Pause, Power};

/// `redis-sentinel`
pub const REDIS_SENTINEL: Case = Case {
    name: "redis-sentinel",
    about: "a primary that is cut off goes on acknowledging to its clients, while the sentinels make another one: after healing its writes are gone",
    system: "redis",
    with: &[("mode", "sentinel")],
    nodes: 5,
    workload: "set",
    faults: &["partition"],
    expected: Expected { seen: &["two primaries"], ..Expected::lie(&["set-lost"]) },
    script: Script::Rounds { bound: 5, round: split_brain },
};

/// `redis-everysec`
pub const REDIS_EVERYSEC: Case = Case {
    name: "redis-everysec",
    about: "a server acknowledges what it will sync within a second, and loses power before: what it had acknowledged is gone",
    system: "redis",
    with: &[("mode", "single"), ("fsync", "everysec")],
    nodes: 1,
    workload: "set",
    faults: &["power"],
    expected: Expected::lie(&["set-lost"]),
    script: Script::Rounds { bound: 10, round: power_loss },
};

/// `redis-fsync-always`
pub const REDIS_FSYNC_ALWAYS: Case = Case {
    name: "redis-fsync-always",
    about: "the same with a server that syncs before it acknowledges: linearizable, however often it loses power",
    system: "redis",
    with: &[("mode", "single"), ("fsync", "always")],
    nodes: 1,
    workload: "set",
    faults: &["power"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 20 },
};

/// `redis-lock`
pub const REDIS_LOCK: Case = Case {
    name: "redis-lock",
    about: "SET NX PX: a holder sleeps until its lock has expired and passed to another, wakes up and writes, and the write is taken",
    system: "redis",
    with: &[("mode", "sentinel"), ("lease", "1000")],
    nodes: 3,
    workload: "lock",
    faults: &["pause"],
    expected: Expected { seen: &["two holders"], ..Expected::lie(&["stale-write-accepted"]) },
    script: Script::Rounds { bound: 5, round: paused_holder },
};

/// `redis-lock-fenced`
pub const REDIS_LOCK_FENCED: Case = Case {
    name: "redis-lock-fenced",
    about: "the same with a resource that compares tokens: two still believe that they hold the lock, but one is refused",
    system: "redis",
    with: &[("mode", "sentinel"), ("lease", "1000"), ("fencing", "on")],
    nodes: 3,
    workload: "lock",
    faults: &["pause"],
    expected: Expected { seen: &["two holders", "stale write refused"], ..Expected::HONEST },
    script: Script::Once(fenced),
};

/// How many elements are added on each side.
const ADDS: usize = 20;

/// ```text
///   primary     (cut off)  |--add 2--|ok |--add 3--|ok …
///   others      (cut off)    sentinels elect one  |--add 9--|ok …    (heal)  read → {1 9 …}
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
    let mut both = (false, false);
    for _ in 0..ADDS {
        let (left, right) = (scene.fresh(), scene.fresh());
        both.0 |= put(scene, writer, &key, left)?;
        both.1 |= put(scene, other, &key, right)?;
    }
    if both == (true, true) && scene.primaries().len() > 1 {
        let (a, b) = (scene.name(primary), scene.name(heir));
        scene.trigger(format!("{a} and {b} both lead, and both have acknowledged writes"));
        scene.saw("two primaries");
    }
    scene.heal(cut_off)?;
    one_primary(scene)?;
    final_reads(scene, &key)
}

/// ```text
///   client   |--add 2--|ok |--add 3--|ok …                            read → {1}
///   server     log, and sync within a second      ✗ power     restart
/// ```
/// The process alone would not do: what it has written is with the kernel, which goes on.
fn power_loss(scene: &mut Scene) -> Result<(), String> {
    let key = scene.key();
    let writer = scene.open(0)?;
    let mut last = None;
    for _ in 0..ADDS {
        let value = scene.fresh();
        if put(scene, writer, &key, value)? {
            last = Some(value);
        }
    }
    let dark = scene.inject(Power::new(vec![0], true))?;
    scene.prove(dark)?;
    if let Some(last) = last {
        scene.trigger(format!("{last} was acknowledged by a server that lost power then"));
    }
    scene.heal(dark)?;
    final_reads(scene, &key)
}

/// The holder, a process of its own, is stopped; no server is.
fn paused_holder(scene: &mut Scene) -> Result<(), String> {
    paused_holder_by(scene, [1, 2, 0], Pause::new(vec![1], false).part("holder"))
}

/// The same three times over, so that there is something to judge.
fn fenced(scene: &mut Scene) -> Result<(), String> {
    (0..3).try_for_each(|_| paused_holder(scene))
}
