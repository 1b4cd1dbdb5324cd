//! The acceptor: what a node has promised, accepted and learned, on disk before it is spoken.

use super::super::disk::Disk;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// The number of an operation: node, how often it had been started, and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpId(pub usize, pub u64, pub u64);

/// A ballot: round, node, and how often that had been started, so that a node that forgets never repeats one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ballot(pub u64, pub usize, pub u64);

/// A version of a register: what an instance decides. The default is version 0, which nobody wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The instance that decides it.
    pub number: u64,
    /// What the register holds.
    pub value: Json,
    /// The last operation of each node that led here. A node has one at a time under way for a key, so it can always
    /// tell whether that one has happened.
    pub last: Vec<OpId>,
}

impl Version {
    /// The version after this one: what `operation` makes of it.
    pub fn next(&self, value: Json, operation: OpId) -> Version {
        let mut last: Vec<OpId> = self.last.iter().copied().filter(|other| other.0 != operation.0).collect();
        last.push(operation);
        Version { number: self.number + 1, value, last }
    }
}

/// What a node knows about one register: the last version known to be chosen, and the instance after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Known to be chosen.
    pub chosen: Version,
    /// No ballot below this one is accepted for the next version.
    pub promised: Ballot,
    /// The next version as this node last accepted it.
    pub accepted: Option<(Ballot, Version)>,
}

/// What acceptors are asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Show what you know of a register.
    Show {
        /// Its key.
        key: String,
    },
    /// Promise to accept nothing below `ballot` for the version after `base`.
    Prepare {
        /// The key.
        key: String,
        /// A chosen version.
        base: Version,
        /// The ballot.
        ballot: Ballot,
    },
    /// Accept `next` as the version after `base`.
    Accept {
        /// The key.
        key: String,
        /// A chosen version.
        base: Version,
        /// The ballot.
        ballot: Ballot,
        /// The version after it.
        next: Version,
    },
    /// A version has been chosen.
    Learn {
        /// The key.
        key: String,
        /// The version.
        chosen: Version,
    },
}

/// What they reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To `Show`.
    Shown(Ledger),
    /// To `Prepare`: promised, and this is what has been accepted so far.
    Promised(Option<(Ballot, Version)>),
    /// To `Accept`.
    Accepted,
    /// To both: a higher ballot has been promised.
    Refused(Ballot),
    /// To both: that version has been chosen long since, and so has this one.
    Behind(Version),
    /// To `Learn`.
    Learned,
}

/// The memory of one node.
#[derive(Debug)]
pub struct Acceptor {
    disk: Disk,
    ledgers: Mutex<HashMap<String, Ledger>>,
}

impl Acceptor {
    /// With what the disk remembers.
    pub fn new(disk: Disk, records: Vec<(String, Ledger)>) -> Acceptor {
        Acceptor { disk, ledgers: Mutex::new(records.into_iter().collect()) }
    }

    /// The last version of a register that this node knows to be chosen.
    pub fn chosen(&self, key: &str) -> Version {
        self.ledgers().get(key).map(|ledger| ledger.chosen.clone()).unwrap_or_default()
    }

    /// Takes note of a chosen version.
    pub fn learn(&self, key: &str, chosen: Version) {
        // Not worth a write of its own: a node that forgets it can learn it again.
        self.ledgers().entry(key.to_string()).or_default().learn(chosen);
    }

    /// Does what a proposer asks, if no promise speaks against it.
    pub fn answer(&self, ask: Ask) -> Reply {
        match ask {
            Ask::Show { key } => Reply::Shown(self.ledgers().get(&key).cloned().unwrap_or_default()),
            Ask::Learn { key, chosen } => {
                self.learn(&key, chosen);
                Reply::Learned
            }
            Ask::Prepare { key, base, ballot } => self.vote(key, base, ballot, |ledger| {
                ledger.promised = ballot;
                Reply::Promised(ledger.accepted.clone())
            }),
            Ask::Accept { key, base, ballot, next } => self.vote(key, base, ballot, |ledger| {
                ledger.promised = ballot;
                ledger.accepted = Some((ballot, next));
                Reply::Accepted
            }),
        }
    }

    fn vote(
        &self,
        key: String,
        base: Version,
        ballot: Ballot,
        act: impl FnOnce(&mut Ledger) -> Reply,
    ) -> Reply {
        let mut ledgers = self.ledgers();
        let ledger = ledgers.entry(key.clone()).or_default();
        ledger.learn(base.clone());
        if ledger.chosen.number > base.number {
            return Reply::Behind(ledger.chosen.clone());
        }
        if ballot < ledger.promised {
            return Reply::Refused(ledger.promised);
        }
        let reply = act(ledger);
        self.disk.append(&(key, &*ledger));
        reply
    }

    fn ledgers(&self) -> MutexGuard<'_, HashMap<String, Ledger>> {
        self.ledgers.lock().expect("nobody panics while holding the ledgers")
    }
}

impl Ledger {
    /// Goes on to the instance after `chosen`, if that is news. What was promised for a decided instance is void.
    fn learn(&mut self, chosen: Version) {
        if chosen.number > self.chosen.number {
            *self = Ledger { chosen, promised: Ballot::default(), accepted: None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::disk::Fsync;
    use super::*;

    fn version(number: u64) -> Version {
        Version { number, value: Json::from(number * 10), last: Vec::new() }
    }

    #[test]
    fn a_promise_is_kept_through_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let open = || {
            let (disk, records) = Disk::open(&path, Fsync::Always).unwrap();
            Acceptor::new(disk, records)
        };
        let prepare = |ballot| Ask::Prepare { key: "x".into(), base: version(0), ballot };
        let accept = |ballot| Ask::Accept { key: "x".into(), base: version(0), ballot, next: version(1) };
        let acceptor = open();
        assert!(matches!(acceptor.answer(prepare(Ballot(2, 1, 0))), Reply::Promised(None)));
        drop(acceptor);
        let acceptor = open();
        assert!(matches!(acceptor.answer(accept(Ballot(1, 2, 0))), Reply::Refused(Ballot(2, 1, 0))));
        assert!(matches!(acceptor.answer(accept(Ballot(2, 1, 0))), Reply::Accepted));
        drop(acceptor);
        let Reply::Promised(accepted) = open().answer(prepare(Ballot(3, 0, 0))) else { panic!("a promise") };
        assert_eq!(accepted, Some((Ballot(2, 1, 0), version(1))));
    }

    #[test]
    fn a_proposer_that_is_behind_is_told_what_was_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, records) = Disk::open(&dir.path().join("log"), Fsync::Always).unwrap();
        let acceptor = Acceptor::new(disk, records);
        acceptor.learn("x", version(5));
        let late = Ask::Prepare { key: "x".into(), base: version(3), ballot: Ballot(9, 0, 0) };
        let Reply::Behind(chosen) = acceptor.answer(late) else { panic!("too late") };
        assert_eq!(chosen, version(5));
    }
}
