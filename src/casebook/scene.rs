//! A stage as a script sees it: sessions to speak on, faults to inject, and a note of what was seen.

use super::case::Case;
use crate::run::{FaultId, Handle, Session, Stage};
use history::results::FaultRecord;
use history::{Call, Completion, Value};
use nemesis::Fault;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a call stays open after its deadline.
pub const GRACE: Duration = Duration::from_millis(300);

/// How long a fault may take until it is seen to bite.
const BITE: Duration = Duration::from_secs(2);

/// How long a script sleeps before it looks whether it was interrupted.
const NAP: Duration = Duration::from_millis(50);

/// One case on its stage.
pub struct Scene<'a> {
    case: &'static Case,
    stage: &'a Stage,
    stop: &'a AtomicBool,
    round: u32,
    /// The last value that was taken.
    values: i64,
    /// Sessions of this round.
    sessions: Vec<Session>,
    /// Calls that were sent and not asked for yet: at most one for each session.
    open: BTreeMap<Session, Handle>,
    seen: Vec<&'static str>,
}

impl<'a> Scene<'a> {
    /// Before the first round. `stop` is set when somebody interrupts.
    pub fn new(case: &'static Case, stage: &'a Stage, stop: &'a AtomicBool) -> Scene<'a> {
        Scene {
            case,
            stage,
            stop,
            round: 0,
            values: 0,
            sessions: Vec::new(),
            open: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    /// Begins the next round: with a new key, and nothing seen.
    pub fn begin(&mut self) {
        self.round += 1;
        self.seen.clear();
    }

    /// Ends a round: every call is waited for, every session closed and every fault healed.
    pub fn end(&mut self) -> Result<(), String> {
        for (_, handle) in std::mem::take(&mut self.open) {
            handle.wait();
        }
        for session in self.sessions.drain(..) {
            self.stage.close(session);
        }
        self.stage.heal_all().map_err(|error| error.to_string())
    }

    /// The number of the round, from 1.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// What was done to the cluster so far.
    pub fn faults(&self) -> Vec<FaultRecord> {
        self.stage.desk().records()
    }

    /// What was seen in this round beside the verdict.
    pub fn seen(&self) -> &[&'static str] {
        &self.seen
    }

    /// Says that something was seen that the case expects beside its verdict.
    pub fn saw(&mut self, what: &'static str) {
        if !self.seen.contains(&what) {
            self.stage.note(format!("The script saw: {what}."));
            self.seen.push(what);
        }
    }

    /// The key of this round.
    pub fn key(&self) -> Value {
        Value::text(&format!("k{}", self.round))
    }

    /// Another key of this round.
    pub fn other_key(&self) -> Value {
        Value::text(&format!("m{}", self.round))
    }

    /// A value that nobody has written yet.
    pub fn fresh(&mut self) -> i64 {
        self.values += 1;
        self.values
    }

    /// What clients do here.
    pub fn workload(&self) -> &'static str {
        self.case.workload
    }

    /// How long a request may take, unless it says otherwise.
    pub fn timeout(&self) -> Duration {
        self.stage.op_timeout()
    }

    /// How long a script waits for something that must come: what people run takes longer to miss its primary, to elect
    /// another one and to take one back.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(if self.case.real() { 30 } else { 4 })
    }

    /// All nodes.
    pub fn all_nodes(&self) -> Vec<usize> {
        (0..self.case.nodes).collect()
    }

    /// All nodes but one.
    pub fn others(&self, node: usize) -> Vec<usize> {
        (0..self.case.nodes).filter(|&other| other != node).collect()
    }

    /// The name of a node.
    pub fn name(&self, node: usize) -> String {
        self.stage.running().cluster().nodes().get(node).cloned().unwrap_or_default()
    }

    /// Who takes himself for the primary now.
    pub fn primaries(&self) -> Vec<usize> {
        self.stage.primaries().into_iter().map(|(node, _)| node).collect()
    }

    /// Waits until every node has caught up with the others.
    pub fn settle(&self) -> Result<(), String> {
        let until = Instant::now() + self.patience();
        loop {
            self.go_on()?;
            match self.stage.running().settled() {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() >= until => {
                    return Err(format!("not settled after {} s: {why}", self.patience().as_secs()));
                }
                Err(_) => std::thread::sleep(NAP),
            }
        }
    }

    /// Opens a session with a node.
    pub fn open(&mut self, node: usize) -> Result<Session, String> {
        self.go_on()?;
        let session = self.stage.open(node).map_err(|error| error.to_string())?;
        self.sessions.push(session);
        Ok(session)
    }

    /// Makes a call and goes on.
    ///
    /// # Panics
    /// If the session has a call whose answer was not asked for.
    pub fn send(&mut self, session: Session, call: Call, timeout: Duration) -> Result<(), String> {
        self.go_on()?;
        let before = self.open.insert(session, self.stage.call(session, call, timeout));
        assert!(before.is_none(), "a session makes one call at a time");
        Ok(())
    }

    /// What became of the call that was sent, at its deadline at the latest.
    pub fn answer(&mut self, session: Session) -> Result<Completion, String> {
        let answer = self.open.remove(&session).and_then(Handle::wait);
        answer.map(|answer| answer.completion).ok_or_else(|| "no call is open on this session".to_string())
    }

    /// What became of the call that was sent, when nothing more can come of it: after its deadline, and the grace.
    pub fn last_answer(&mut self, session: Session) -> Result<Completion, String> {
        let completion = self.answer(session)?;
        if let Completion::Info { .. } = completion {
            self.sleep(GRACE + NAP)?;
        }
        Ok(completion)
    }

    /// Makes a call and waits for its answer.
    pub fn ask(&mut self, session: Session, call: Call) -> Result<Completion, String> {
        self.send(session, call, self.timeout())?;
        self.answer(session)
    }

    /// Injects a fault, and goes on at once: see [`Scene::prove`].
    pub fn inject(&mut self, fault: impl Fault + 'static) -> Result<FaultId, String> {
        self.go_on()?;
        self.stage.inject(Box::new(fault)).map_err(|error| error.to_string())
    }

    /// Waits until a fault is seen to bite.
    pub fn prove(&mut self, fault: FaultId) -> Result<(), String> {
        match self.stage.prove(fault, BITE) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("fault {fault} is not seen to bite")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Heals a fault and waits until that is seen.
    pub fn heal(&mut self, fault: FaultId) -> Result<(), String> {
        self.stage.heal(fault).map_err(|error| error.to_string())
    }

    /// Writes into the history what the script has waited for, and now goes on from.
    pub fn trigger(&self, words: String) {
        self.stage.trigger(None, &words);
    }

    /// Writes into the history who is primary now, after somebody has become it.
    pub fn took_over(&self) {
        self.stage.desk().roles(self.stage.primaries());
    }

    /// Lets time pass.
    pub fn sleep(&self, length: Duration) -> Result<(), String> {
        let until = Instant::now() + length;
        loop {
            self.go_on()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    /// Whether nobody has interrupted.
    fn go_on(&self) -> Result<(), String> {
        if self.stop.load(Ordering::SeqCst) { Err("interrupted".to_string()) } else { Ok(()) }
    }
}
