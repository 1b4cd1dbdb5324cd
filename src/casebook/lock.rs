//! The cases of `demo-lock`: a holder that sleeps longer than its lease, and a store that notices or does not.

use super::case::{Case, Expected, Script};
use super::recipes::{LIE_IN_WAIT, open_until};
use super::scene::Scene;
use crate::run::Session;
use history::{Call, Completion, Value};
use nemesis::Pause;
use std::time::{Duration, Instant};

/// `lock-paused-holder`
pub const LOCK_PAUSED_HOLDER: Case = Case {
    name: "lock-paused-holder",
    about: "a holder sleeps until its lease has passed to another, wakes up and writes: the store takes it",
    system: "demo-lock",
    with: &[("fencing", "off")],
    nodes: 3,
    workload: "lock",
    faults: &["pause"],
    expected: Expected { seen: &["two holders"], ..Expected::lie(&["stale-write-accepted"]) },
    script: Script::Rounds { bound: 5, round: paused_holder },
};

/// `lock-fenced`
pub const LOCK_FENCED: Case = Case {
    name: "lock-fenced",
    about: "the same with a store that compares tokens: two still believe that they hold the lock, but one is refused",
    system: "demo-lock",
    with: &[("fencing", "on")],
    nodes: 3,
    workload: "lock",
    faults: &["pause"],
    expected: Expected { seen: &["two holders", "stale write refused"], ..Expected::HONEST },
    script: Script::Once(fenced),
};

/// How long a refused holder waits before it asks again.
const AGAIN: Duration = Duration::from_millis(20);

/// How often each of three holders gets the lock after the sleeper has woken up.
const TURNS: usize = 12;

/// ```text
///   n1   |acquire → 1| |read → 5|  |SIGSTOP …………………………………………………………… |write [1 6] … SIGCONT| → ok, or refused
///   n2                                  lease over: |acquire → 2| |read → 5| |write [2 6]|
/// ```
/// The sleeper's write lies in its socket when it wakes up. It was sent after the other's had been acknowledged: no order
/// of the two can excuse it.
fn paused_holder(scene: &mut Scene) -> Result<(), String> {
    paused_holder_at(scene, [0, 1, 2])
}

/// The same with the holders of these nodes, of whom the first sleeps with its whole node.
pub fn paused_holder_at(scene: &mut Scene, nodes: [usize; 3]) -> Result<(), String> {
    paused_holder_by(scene, nodes, Pause::new(vec![nodes[0]], false))
}

/// The same with whatever makes the first of them sleep.
pub fn paused_holder_by(scene: &mut Scene, nodes: [usize; 3], pause: Pause) -> Result<(), String> {
    let key = scene.key();
    let [sleeper, heir, third] = nodes.map(|node| open_until(scene, node));
    let [sleeper, heir, third] = [sleeper?, heir?, third?];
    let token = acquire(scene, sleeper, &key)?;
    let value = read(scene, sleeper, &key, token)?;
    let asleep = scene.inject(pause)?;
    scene.prove(asleep)?;
    let next = acquire(scene, heir, &key)?;
    let seen = read(scene, heir, &key, next)?;
    let written = scene.ask(heir, writing(&key, next, seen + 1))?;
    if next > token && matches!(written, Completion::Ok { applied: None | Some(true), .. }) {
        scene.trigger(format!(
            "a write with token {next} was acknowledged while the holder of token {token} sleeps"
        ));
        scene.saw("two holders");
    }
    scene.send(sleeper, writing(&key, token, value + 1), scene.patience())?;
    read(scene, heir, &key, next)?;
    scene.sleep(LIE_IN_WAIT)?;
    scene.heal(asleep)?;
    if let Completion::Ok { applied: Some(false), .. } = scene.answer(sleeper)? {
        scene.saw("stale write refused");
    }
    scene.ask(heir, call("release", &key, Value::Int(next)))?;
    for _ in 0..TURNS {
        for session in [sleeper, heir, third] {
            increment(scene, session, &key)?;
        }
    }
    Ok(())
}

/// The same three times over, so that there is something to judge.
fn fenced(scene: &mut Scene) -> Result<(), String> {
    (0..3).try_for_each(|_| paused_holder(scene))
}

fn call(f: &str, key: &Value, value: Value) -> Call {
    Call { f: f.to_string(), key: Some(key.clone()), value }
}

fn writing(key: &Value, token: i64, value: i64) -> Call {
    call("write", key, Value::list([Value::Int(token), Value::Int(value)]))
}

/// Asks for the lock until it is given: its token.
fn acquire(scene: &mut Scene, session: Session, key: &Value) -> Result<i64, String> {
    let until = Instant::now() + scene.patience();
    while Instant::now() < until {
        match scene.ask(session, call("acquire", key, Value::Null))? {
            Completion::Ok { value: Value::Int(token), applied: None | Some(true), .. } => return Ok(token),
            Completion::Ok { .. } | Completion::Fail(_) | Completion::Info { .. } => scene.sleep(AGAIN)?,
        }
    }
    Err(format!("nobody gave the lock away within {} s", scene.patience().as_secs()))
}

/// What the store holds, as a count: 0 before the first write.
fn read(scene: &mut Scene, session: Session, key: &Value, token: i64) -> Result<i64, String> {
    match scene.ask(session, call("read", key, Value::Int(token)))? {
        Completion::Ok { value: Value::List(pair), applied: None | Some(true), .. } => {
            Ok(pair.get(1).and_then(Value::as_int).unwrap_or(0))
        }
        other => Err(format!("the holder of token {token} could not read: {other:?}")),
    }
}

/// What a lock is for: nobody comes between the read and the write.
fn increment(scene: &mut Scene, session: Session, key: &Value) -> Result<(), String> {
    let token = acquire(scene, session, key)?;
    let value = read(scene, session, key, token)?;
    scene.ask(session, writing(key, token, value + 1))?;
    scene.ask(session, call("release", key, Value::Int(token)))?;
    Ok(())
}
