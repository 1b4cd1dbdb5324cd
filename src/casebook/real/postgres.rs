//! The cases of PostgreSQL: its standbys go through its log, which says other things at other times than it does itself.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::recipes::{
    cut, final_reads, new_primary, one_primary, open_until, primary, put, putting, read, read_until, slow,
};
use crate::casebook::scene::Scene;
use std::time::Duration;

/// `postgres-remote-apply`
pub const POSTGRES_REMOTE_APPLY: Case = Case {
    name: "postgres-remote-apply",
    about: "a commit waits until its standby shows it, and the primary shows it only then: new at the standby, then old at the primary",
    system: "postgres",
    with: &[("mode", "sync"), ("commit", "remote_apply"), ("reads", "local")],
    nodes: 2,
    workload: "register",
    faults: &["slow"],
    expected: Expected::lie(&["inversion"]),
    script: Script::Rounds { bound: 10, round: remote_apply },
};

/// `postgres-primary`
pub const POSTGRES_PRIMARY: Case = Case {
    name: "postgres-primary",
    about: "one server, which is stopped and killed: linearizable",
    system: "postgres",
    with: &[("mode", "single")],
    nodes: 1,
    workload: "cas-register",
    faults: &["pause", "kill"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 20 },
};

/// `patroni-async`
pub const PATRONI_ASYNC: Case = Case {
    name: "patroni-async",
    about: "a primary that is cut off goes on acknowledging to its clients, until its lease has run out: after the failover its writes are gone",
    system: "postgres",
    with: &[("mode", "patroni")],
    nodes: 3,
    workload: "set",
    faults: &["partition"],
    expected: Expected::lie(&["set-lost"]),
    script: Script::Rounds { bound: 3, round: patroni_async },
};

/// How long the standby's word takes to the primary.
const LATE: Duration = Duration::from_millis(40);

/// How many elements are added to the primary that is cut off.
const ADDS: usize = 20;

/// ```text
///   writer, n1   |--- write 2 …                          ---|ok         n2 → n1: +40 ms
///   reader, n2        |--read → 2--|
///   reader, n1                       |--read → 1--|
/// ```
fn remote_apply(scene: &mut Scene) -> Result<(), String> {
    let (key, old, new) = (scene.key(), scene.fresh(), scene.fresh());
    let [writer, at_primary, at_standby] = [scene.open(0)?, scene.open(0)?, scene.open(1)?];
    put(scene, writer, &key, old)?;
    read_until(scene, at_standby, &key, old)?;
    let slow = scene.inject(slow(&[(1, 0)], LATE))?;
    scene.prove(slow)?;
    let write = putting(scene, &key, new);
    scene.send(writer, write, scene.timeout())?;
    if read_until(scene, at_standby, &key, new)? {
        let (primary, standby) = (scene.name(0), scene.name(1));
        scene.trigger(format!("{new} was read at {standby}, and {primary} is asked now"));
        read(scene, at_primary, &key)?;
    }
    scene.answer(writer)?;
    scene.heal(slow)?;
    final_reads(scene, &key)
}

/// ```text
///   primary     (cut off)  |--add 2--|ok |--add 3--|ok …   demotes itself, when its lease has run out
///   others      (cut off)                               elect one of them  |--add 9--|ok    (heal)  read → {1 9}
/// ```
fn patroni_async(scene: &mut Scene) -> Result<(), String> {
    let primary = primary(scene)?;
    let others: Vec<usize> = scene.others(primary);
    let (key, old) = (scene.key(), scene.fresh());
    let writer = open_until(scene, primary)?;
    put(scene, writer, &key, old)?;
    let cut_off = scene.inject(cut(&[primary], &others).at_primary())?;
    scene.prove(cut_off)?;
    let mut acked = 0;
    for _ in 0..ADDS {
        let value = scene.fresh();
        acked += usize::from(put(scene, writer, &key, value)?);
    }
    let heir = new_primary(scene, primary)?;
    let (name, was) = (scene.name(heir), scene.name(primary));
    scene.trigger(format!("{was} had acknowledged {acked} elements alone, and {name} is primary now"));
    let other = open_until(scene, heir)?;
    let news = scene.fresh();
    put(scene, other, &key, news)?;
    scene.heal(cut_off)?;
    one_primary(scene)?;
    final_reads(scene, &key)
}
