//! The watches of etcd: a stream that is served by a member which was sent a snapshot, and streams that are only cut.

use crate::casebook::case::{Case, Expected, Script};
use crate::casebook::recipes::{cut, open_until, primary};
use crate::casebook::scene::Scene;
use crate::run::Session;
use history::{Call, Completion, Value};
use std::time::{Duration, Instant};

/// `etcd-watch`
pub const ETCD_WATCH: Case = Case {
    name: "etcd-watch",
    about: "a member is cut off until it needs a snapshot, while it serves a watch: when it has one, the watch delivers again what it had delivered before",
    system: "etcd",
    with: &[("snapshot-count", "100")],
    nodes: 3,
    workload: "watch",
    faults: &["partition"],
    expected: Expected::lie(&["rewound-watch", "reordered-event", "repeated-event"]),
    script: Script::Rounds { bound: 5, round: restored_member },
};

/// `etcd-watch-resumed`
pub const ETCD_WATCH_RESUMED: Case = Case {
    name: "etcd-watch-resumed",
    about: "watches through every member, each taken up again where it ended: none loses, repeats or reorders anything under partitions, pauses and kills",
    system: "etcd",
    with: &[("progress", "500")],
    nodes: 5,
    workload: "watch",
    faults: &["partition", "pause", "kill"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 20 },
};

/// How many changes the watch is told of before its member is cut off.
const BEFORE: usize = 10;
/// How many it misses: the leader keeps 5000 entries behind its snapshot, which it writes every 100.
const MISSED: usize = 5200;
/// A connection between members is given up after five seconds without a word (`ConnReadTimeout`); until then it keeps
/// what it is to carry, and a member that is let in again earlier needs no snapshot.
const GIVEN_UP: Duration = Duration::from_secs(8);
/// How many clients make them.
const WRITERS: usize = 16;

/// ```text
///   leader     |--put ×10--|                        |--put ×5200 or more--|      (heal: snapshot → member)
///   member     |--watch → 10 events--|   (cut off)                               |--watch → the 10 again …--|
/// ```
/// The watch's stream is not cut: it only has nothing to say while its member is alone.
fn restored_member(scene: &mut Scene) -> Result<(), String> {
    let leader = primary(scene)?;
    let others = scene.others(leader);
    let &[member, _] = &others[..] else { return Err("expected two followers".to_string()) };
    let watcher = open_until(scene, member)?;
    let writers = (0..WRITERS).map(|_| open_until(scene, leader)).collect::<Result<Vec<_>, _>>()?;
    let mut next = None;
    watch(scene, watcher, &mut next)?;
    let last = puts(scene, &writers[..1], BEFORE)?;
    watch_until(scene, watcher, &mut next, last)?;
    let partition = scene.inject(cut(&[member], &scene.others(member)))?;
    scene.prove(partition)?;
    let alone = Instant::now();
    let mut last = puts(scene, &writers, MISSED)?;
    while alone.elapsed() < GIVEN_UP {
        last = puts(scene, &writers, WRITERS)?;
    }
    scene.heal(partition)?;
    watch_until(scene, watcher, &mut next, last)
}

/// Makes so many changes, and says the largest revision that they made.
fn puts(scene: &mut Scene, writers: &[Session], count: usize) -> Result<i64, String> {
    let key = scene.key();
    let mut last = 0;
    let mut left = count;
    while left > 0 {
        let now = left.min(writers.len());
        for &writer in &writers[..now] {
            let value = Value::list([Value::text("a"), Value::Int(scene.fresh())]);
            let call = Call { f: "put".to_string(), key: Some(key.clone()), value };
            scene.send(writer, call, scene.timeout())?;
        }
        for &writer in &writers[..now] {
            match scene.answer(writer)? {
                Completion::Ok { value, .. } => last = last.max(value.as_int().unwrap_or(0)),
                Completion::Fail(why) | Completion::Info { error: why, .. } => {
                    return Err(format!("a put to the leader was not acknowledged: {why}"));
                }
            }
        }
        left -= now;
    }
    Ok(last)
}

/// Watches until the watch has told of `last`, or for as long as the script is patient: a member needs its time to ask for a
/// snapshot.
fn watch_until(scene: &mut Scene, watcher: Session, next: &mut Option<i64>, last: i64) -> Result<(), String> {
    let until = Instant::now() + scene.patience();
    while next.is_none_or(|next| next <= last) && Instant::now() < until {
        watch(scene, watcher, next)?;
    }
    Ok(())
}

/// Takes what the stream has brought, and moves `next` behind it.
fn watch(scene: &mut Scene, watcher: Session, next: &mut Option<i64>) -> Result<(), String> {
    let from = next.map_or(Value::Null, Value::Int);
    let call = Call { f: "watch".to_string(), key: Some(scene.key()), value: from };
    match scene.ask(watcher, call)? {
        Completion::Ok { value, .. } => {
            let upto = value.as_list().and_then(|answer| answer.first()).and_then(Value::as_int);
            *next = upto.map(|upto| upto + 1).max(*next);
            Ok(())
        }
        Completion::Fail(why) | Completion::Info { error: why, .. } => {
            Err(format!("the stream of the watch ended: {why}"))
        }
    }
}
