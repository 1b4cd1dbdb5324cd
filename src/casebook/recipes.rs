//! What several cases do: faults in few words, requests with the answer that a script wants to know, and patience.

use super::scene::Scene;
use crate::run::Session;
use history::{Call, Completion, Value};
use nemesis::{Clock, Grudge, Partition, Skew, Slow};
use std::time::{Duration, Instant};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);

/// How long a request lies in a sleeper's socket before it wakes up.
pub const LIE_IN_WAIT: Duration = Duration::from_millis(60);

/// A node's wall clock ahead of the others'.
pub fn clock_bump(node: usize, by: Duration) -> Clock {
    Clock::new(vec![(node, Skew::Bump(by.as_nanos() as i64))])
}

/// A node whose clocks run at this rate.
pub fn clock_rate(node: usize, rate: f64) -> Clock {
    Clock::new(vec![(node, Skew::Rate(rate))])
}

/// Directed links that take longer.
pub fn slow(links: &[(usize, usize)], delay: Duration) -> Slow {
    Slow::new(links.to_vec(), delay, Duration::ZERO)
}

/// Two sides that do not hear each other.
pub fn cut(left: &[usize], right: &[usize]) -> Partition {
    Partition::new(Grudge::components(&[left.to_vec(), right.to_vec()]), left.len() + right.len())
}

/// What `from` says reaches nobody; it hears everybody.
pub fn mute(from: usize, to: &[usize]) -> Partition {
    Partition::new(Grudge::one_way(&[from], to), to.len() + 1)
}

/// A read of `key`.
pub fn reading(key: &Value) -> Call {
    Call { f: "read".to_string(), key: Some(key.clone()), value: Value::Null }
}

/// What makes `value` be there: a write to a register, an add to a set, a message.
pub fn putting(scene: &Scene, key: &Value, value: i64) -> Call {
    let f = match scene.workload() {
        "set" => "add",
        "delivery" => "enqueue",
        _ => "write",
    };
    Call { f: f.to_string(), key: Some(key.clone()), value: Value::Int(value) }
}

/// Puts `value`. Whether it was acknowledged.
pub fn put(scene: &mut Scene, session: Session, key: &Value, value: i64) -> Result<bool, String> {
    let call = putting(scene, key, value);
    Ok(matches!(scene.ask(session, call)?, Completion::Ok { .. }))
}

/// Puts one fresh value after the other through `node` until one is acknowledged: that one. None if its time is up.
pub fn put_until_acked(scene: &mut Scene, node: usize, key: &Value) -> Result<Option<i64>, String> {
    let session = scene.open(node)?;
    let until = Instant::now() + scene.patience();
    while Instant::now() < until {
        let value = scene.fresh();
        if put(scene, session, key, value)? {
            return Ok(Some(value));
        }
        scene.sleep(LOOK)?;
    }
    Ok(None)
}

/// Reads. What was answered, if anything was.
pub fn read(scene: &mut Scene, session: Session, key: &Value) -> Result<Option<Value>, String> {
    match scene.ask(session, reading(key))? {
        Completion::Ok { value, .. } => Ok(Some(value)),
        Completion::Fail(_) | Completion::Info { .. } => Ok(None),
    }
}

/// Reads until `value` is what is read, or in it. Whether it came.
pub fn read_until(scene: &mut Scene, session: Session, key: &Value, value: i64) -> Result<bool, String> {
    let until = Instant::now() + scene.patience();
    let wanted = Value::Int(value);
    while Instant::now() < until {
        match read(scene, session, key)? {
            Some(Value::List(elements)) if elements.contains(&wanted) => return Ok(true),
            Some(single) if single == wanted => return Ok(true),
            Some(_) | None => scene.sleep(LOOK)?,
        }
    }
    Ok(false)
}

/// Opens a session with a node that may still be on its way back.
pub fn open_until(scene: &mut Scene, node: usize) -> Result<Session, String> {
    let until = Instant::now() + scene.patience();
    loop {
        match scene.open(node) {
            Err(_) if Instant::now() < until => scene.sleep(LOOK)?,
            opened => return opened,
        }
    }
}

/// After healing, every node is asked twice in turn for what is there now. What was acknowledged and is not there is
/// lost, and not only late.
pub fn final_reads(scene: &mut Scene, key: &Value) -> Result<(), String> {
    let sessions =
        scene.all_nodes().into_iter().map(|node| open_until(scene, node)).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..2 {
        for &session in &sessions {
            read(scene, session, key)?;
        }
    }
    Ok(())
}

/// The node that takes itself for the primary, once there is one.
pub fn primary(scene: &mut Scene) -> Result<usize, String> {
    wait_for_primary(scene, None)
}

/// A node other than `old` that takes itself for the primary, once there is one.
pub fn new_primary(scene: &mut Scene, old: usize) -> Result<usize, String> {
    let heir = wait_for_primary(scene, Some(old))?;
    scene.took_over();
    Ok(heir)
}

fn wait_for_primary(scene: &mut Scene, not: Option<usize>) -> Result<usize, String> {
    let until = Instant::now() + scene.patience();
    while Instant::now() < until {
        match scene.primaries().into_iter().find(|&node| Some(node) != not) {
            Some(node) => return Ok(node),
            None => scene.sleep(LOOK)?,
        }
    }
    Err(format!("nobody has become primary within {} s", scene.patience().as_secs()))
}

/// Waits until exactly one node takes itself for the primary.
pub fn one_primary(scene: &mut Scene) -> Result<(), String> {
    let until = Instant::now() + scene.patience();
    while Instant::now() < until {
        if scene.primaries().len() == 1 {
            return Ok(());
        }
        scene.sleep(LOOK)?;
    }
    Err(format!("there is not one primary after {} s", scene.patience().as_secs()))
}

/// `sessions` take turns for `cycles`: one of them puts a fresh value, the others read at the same time.
/// How many requests there were, and how many of them were answered.
pub fn turns(
    scene: &mut Scene,
    sessions: &[Session],
    key: &Value,
    cycles: usize,
) -> Result<(u32, u32), String> {
    let (mut asked, mut answered) = (0, 0);
    for cycle in 0..cycles {
        for (i, &session) in sessions.iter().enumerate() {
            let call = if i == cycle % sessions.len() {
                let value = scene.fresh();
                putting(scene, key, value)
            } else {
                reading(key)
            };
            scene.send(session, call, scene.timeout())?;
        }
        for &session in sessions {
            asked += 1;
            answered += u32::from(matches!(scene.answer(session)?, Completion::Ok { .. }));
        }
    }
    Ok((asked, answered))
}
