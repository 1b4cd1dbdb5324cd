//! The proposer: gets an operation of a client chosen, or finds out that it already was.

use super::super::node::PATIENCE;
use super::super::wire::{Answer, Done};
use super::Paxos;
use super::acceptor::{Ask, Ballot, Reply, Version};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a round waits for its majority before it is tried again: questions may have been lost with a connection.
const ROUND: Duration = Duration::from_millis(700);
/// The longest pause after the first refusal; doubled with each, up to three times.
const BACK_OFF: Duration = Duration::from_millis(1);

/// An operation that changes the register.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Whatever it holds.
    Write(Json),
    /// If it holds `expected`.
    Cas {
        /// What it must hold.
        expected: Json,
        /// What it holds then.
        new: Json,
    },
}

impl Operation {
    /// What the register holds afterwards; `None` if the comparison fails.
    fn on(&self, value: &Json) -> Option<Json> {
        match self {
            Operation::Write(new) => Some(new.clone()),
            Operation::Cas { expected, new } => (value == expected).then(|| new.clone()),
        }
    }

    fn argument(&self) -> Json {
        match self {
            Operation::Write(new) => new.clone(),
            Operation::Cas { expected, new } => Json::from(vec![expected.clone(), new.clone()]),
        }
    }
}

/// What came of one try to get a version chosen after `base`.
enum Round {
    /// This version is chosen, whoever wanted it.
    Chosen(Version),
    /// A majority promised, none of it had accepted anything, and there was nothing to propose: `base` was the newest
    /// version when the round began.
    Nothing,
    /// Somebody has promised a higher ballot.
    Refused(Ballot),
    /// Too few answers.
    Silence,
}

/// Lets one at a time propose for each key.
#[derive(Debug, Default)]
pub struct Gate {
    busy: Mutex<HashSet<String>>,
    freed: Condvar,
}

impl Gate {
    /// Runs `act` alone for `key`; `None` if others are in front until `deadline`.
    fn pass<T>(&self, key: &str, deadline: Instant, act: impl FnOnce() -> T) -> Option<T> {
        let busy = self.busy.lock().expect("nobody panics at the gate");
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.freed.wait_timeout_while(busy, left, |busy| busy.contains(key));
        let (mut busy, _) = waited.expect("nobody panics at the gate");
        if !busy.insert(key.to_string()) {
            return None;
        }
        drop(busy);
        let result = act();
        self.busy.lock().expect("nobody panics at the gate").remove(key);
        self.freed.notify_all();
        Some(result)
    }
}

impl Paxos {
    /// Writes, or compares and sets.
    pub fn change(&self, key: &str, operation: &Operation) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        let answer = self.gate.pass(key, deadline, || self.propose(key, operation, deadline));
        answer.unwrap_or_else(|| Answer::Fail("others were in front for too long".into()))
    }

    fn propose(&self, key: &str, operation: &Operation, deadline: Instant) -> Answer {
        let id = self.new_operation();
        let mut proposed = false;
        // Whoever wrote the last version lets the others go first: it is always the first to know that the next one is
        // open, and would win for ever.
        if self.acceptor.chosen(key).last.last().is_some_and(|last| last.0 == self.node.me) {
            std::thread::sleep(self.up_to(BACK_OFF));
        }
        let mut above = 0;
        let mut refusals = 0;
        loop {
            let base = self.acceptor.chosen(key);
            if base.last.contains(&id) {
                return Answer::ok(operation.argument());
            }
            if Instant::now() >= deadline {
                return match proposed {
                    true => Answer::Info("no majority answered in time".into()),
                    false => Answer::Fail("no majority answered in time, and it was never proposed".into()),
                };
            }
            let Some(value) = operation.on(&base.value) else {
                // The comparison fails here. If that is the newest version, it is the answer: what was proposed before
                // was beaten for good by the versions up to this one, which do not have it.
                match self.settle(key, deadline) {
                    Some(settled) if settled == base => {
                        let observed = Some(base.value);
                        let value = operation.argument();
                        return Answer::Ok(Done { value, applied: Some(false), observed });
                    }
                    Some(_) | None => continue,
                }
            };
            let ours = base.next(value, id);
            match self.round(key, &base, self.new_ballot(above), Some(&ours), &mut proposed) {
                Round::Chosen(_) | Round::Nothing => refusals = 0,
                Round::Refused(by) => {
                    above = by.0;
                    self.back_off(&mut refusals);
                }
                Round::Silence => {}
            }
        }
    }

    /// Reads.
    pub fn read(&self, key: &str) -> Answer {
        match self.settle(key, Instant::now() + PATIENCE) {
            Some(version) => Answer::ok(version.value),
            None => Answer::Fail("no majority answered in time".into()),
        }
    }

    /// A version that was the newest at some moment since the call.
    ///
    /// If a version had been chosen before, a majority would have accepted it, and one of them would show it here.
    fn settle(&self, key: &str, deadline: Instant) -> Option<Version> {
        let mut tries = 0;
        let mut refusals = 0;
        let mut above = 0;
        while Instant::now() < deadline {
            match self.show(key, deadline) {
                Shown::Newest(version) => return Some(version),
                Shown::HalfDecided(base) => {
                    // Its proposer is probably at it, and quicker without us.
                    tries += 1;
                    if tries <= 3 {
                        std::thread::sleep(self.up_to(BACK_OFF));
                        continue;
                    }
                    match self.round(key, &base, self.new_ballot(above), None, &mut false) {
                        Round::Chosen(version) => return Some(version),
                        Round::Nothing => return Some(base),
                        Round::Refused(by) => {
                            above = by.0;
                            self.back_off(&mut refusals);
                        }
                        Round::Silence => {}
                    }
                }
                Shown::Silence => {}
            }
        }
        None
    }

    /// Asks all what they hold.
    fn show(&self, key: &str, deadline: Instant) -> Shown {
        let mut ledgers = Vec::new();
        for reply in self.ask_all(Ask::Show { key: key.to_string() }, deadline) {
            if let Reply::Shown(ledger) = reply {
                ledgers.push(ledger);
            }
            if ledgers.len() == self.majority() {
                break;
            }
        }
        if ledgers.len() < self.majority() {
            return Shown::Silence;
        }
        let newest = ledgers.iter().map(|ledger| &ledger.chosen).max_by_key(|chosen| chosen.number);
        let newest = newest.expect("a majority is not empty").clone();
        let next = ledgers.iter().filter(|ledger| ledger.chosen.number == newest.number);
        let accepted: Vec<_> = next.filter_map(|ledger| ledger.accepted.as_ref()).collect();
        self.acceptor.learn(key, newest.clone());
        let Some((ballot, version)) = accepted.first() else { return Shown::Newest(newest) };
        // The same ballot at a majority: it has been chosen, only nobody has said so yet.
        if accepted.len() == self.majority() && accepted.iter().all(|(other, _)| other == ballot) {
            self.acceptor.learn(key, version.clone());
            return Shown::Newest(version.clone());
        }
        Shown::HalfDecided(newest)
    }

    /// One round of Paxos for the version after `base`. Sets `proposed` before `ours` is sent to anybody.
    fn round(
        &self,
        key: &str,
        base: &Version,
        ballot: Ballot,
        ours: Option<&Version>,
        proposed: &mut bool,
    ) -> Round {
        let deadline = Instant::now() + ROUND;
        let mut promises = 0;
        let mut accepted: Option<(Ballot, Version)> = None;
        let ask = Ask::Prepare { key: key.to_string(), base: base.clone(), ballot };
        for reply in self.ask_all(ask, deadline) {
            match reply {
                Reply::Promised(theirs) => {
                    promises += 1;
                    if theirs.as_ref().map(|(b, _)| *b) > accepted.as_ref().map(|(b, _)| *b) {
                        accepted = theirs;
                    }
                }
                Reply::Refused(by) => return Round::Refused(by),
                Reply::Behind(chosen) => return self.chosen(key, chosen),
                Reply::Shown(_) | Reply::Accepted | Reply::Learned => {}
            }
            if promises == self.majority() {
                break;
            }
        }
        if promises < self.majority() {
            return Round::Silence;
        }
        let next = match (accepted, ours) {
            (Some((_, theirs)), _) => theirs,
            (None, Some(ours)) => {
                *proposed = true;
                ours.clone()
            }
            (None, None) => return Round::Nothing,
        };
        let mut acceptances = 0;
        let ask = Ask::Accept { key: key.to_string(), base: base.clone(), ballot, next: next.clone() };
        for reply in self.ask_all(ask, deadline) {
            match reply {
                Reply::Accepted => acceptances += 1,
                Reply::Refused(by) => return Round::Refused(by),
                Reply::Behind(chosen) => return self.chosen(key, chosen),
                Reply::Shown(_) | Reply::Promised(_) | Reply::Learned => {}
            }
            if acceptances == self.majority() {
                let learn = Ask::Learn { key: key.to_string(), chosen: next.clone() };
                for to in (0..self.node.peers.nodes()).filter(|&to| to != self.node.me) {
                    // Whoever misses it learns it from the next question.
                    self.node.peers.tell(to, &learn);
                }
                return self.chosen(key, next);
            }
        }
        Round::Silence
    }

    fn chosen(&self, key: &str, version: Version) -> Round {
        self.acceptor.learn(key, version.clone());
        Round::Chosen(version)
    }

    /// Asks every acceptor, this node's own first: what it knows by then may spare the round.
    fn ask_all(&self, ask: Ask, deadline: Instant) -> impl Iterator<Item = Reply> + '_ {
        let deadline = deadline.min(Instant::now() + ROUND);
        let replies = self.node.peers.ask_all(&ask, deadline);
        std::iter::once_with(move || self.acceptor.answer(ask)).chain(replies.map(|(_, reply)| reply))
    }

    fn back_off(&self, refusals: &mut u32) {
        std::thread::sleep(self.up_to(BACK_OFF * 2u32.pow((*refusals).min(3))));
        *refusals += 1;
    }
}

/// What a majority shows of a register.
enum Shown {
    /// The newest version, and nobody of them has accepted a newer one.
    Newest(Version),
    /// Somebody has accepted a version after this one.
    HalfDecided(Version),
    /// Too few answered.
    Silence,
}
