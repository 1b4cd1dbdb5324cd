//! One replica's state: its term, its log, and the objects that the log has made so far. The log is on disk before
//! anybody is told about it.

use super::super::disk::Disk;
use super::super::wire::{ClientCall, Done};
use super::machine::{Kind, Machine};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the primary that made it.
    pub term: u64,
    /// What to do; nothing in the entry that a primary begins its term with.
    pub command: Option<ClientCall>,
}

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The term has changed, or a vote in it was given.
    Term {
        /// The term.
        term: u64,
        /// Whom this node votes for in it.
        vote: Option<usize>,
    },
    /// From this position on, the log consists of these entries.
    Entries {
        /// How many entries stay.
        keep: usize,
        /// What follows them.
        entries: Vec<Entry>,
    },
}

/// What a node takes itself for.
#[derive(Clone, Debug)]
pub enum Part {
    /// It follows somebody, if it knows whom.
    Follower(Option<usize>),
    /// It leads its term.
    Primary(Leading),
}

/// What a primary knows about the others, by node.
#[derive(Clone, Debug)]
pub struct Leading {
    /// How many entries of our log each is known to have.
    pub matched: Vec<usize>,
    /// How many entries it will have if it accepts what comes next.
    pub sent: Vec<usize>,
    /// The commit position that it was last told.
    pub told: Vec<usize>,
    /// When, on our rate-only clock, the newest message was *sent* that it has answered. The lease counts from here.
    pub answered: Vec<Option<Duration>>,
    /// Until then, on our rate-only clock, the lease of a primary before us may run.
    pub open_at: Duration,
    /// The position of the first entry of our term. Once it is committed, so is everything before it.
    pub first: usize,
}

/// The state of a replica.
#[derive(Debug)]
pub struct Replica {
    disk: Disk,
    kind: Kind,
    /// The term.
    pub term: u64,
    /// Whom this node has voted for in it.
    pub vote: Option<usize>,
    /// The log; positions count from 1.
    pub log: Vec<Entry>,
    /// How much of it will never change, as far as this node knows.
    pub commit: usize,
    /// How much of it is in `machine`.
    pub applied: usize,
    /// The objects.
    pub machine: Machine,
    /// What this node takes itself for.
    pub part: Part,
    /// When it last heard of a primary.
    pub heard: Instant,
    /// Clients that wait for the result of a position.
    pub waiting: HashMap<usize, Option<Done>>,
}

impl Replica {
    /// With what the disk remembers.
    pub fn new(kind: Kind, disk: Disk, records: Vec<Record>) -> Replica {
        let (mut term, mut vote, mut log) = (0, None, Vec::new());
        for record in records {
            match record {
                Record::Term { term: t, vote: v } => (term, vote) = (t, v),
                Record::Entries { keep, entries } => {
                    log.truncate(keep);
                    log.extend(entries);
                }
            }
        }
        Replica {
            disk,
            kind,
            term,
            vote,
            log,
            commit: 0,
            applied: 0,
            machine: Machine::new(kind),
            part: Part::Follower(None),
            heard: Instant::now(),
            waiting: HashMap::new(),
        }
    }

    /// The term at a position; 0 before the first.
    pub fn term_at(&self, position: usize) -> u64 {
        position.checked_sub(1).and_then(|i| self.log.get(i)).map_or(0, |entry| entry.term)
    }

    /// Whether a log that ends at `last` in `term` has everything that may be committed here.
    pub fn not_newer_than(&self, last: usize, term: u64) -> bool {
        (self.term_at(self.log.len()), self.log.len()) <= (term, last)
    }

    /// Enters a term, with a vote in it or without.
    pub fn enter(&mut self, term: u64, vote: Option<usize>) {
        if (term, vote) != (self.term, self.vote) {
            (self.term, self.vote) = (term, vote);
            self.disk.append(&Record::Term { term, vote });
        }
    }

    /// Adds an entry of our own. Its position.
    pub fn add(&mut self, command: Option<ClientCall>) -> usize {
        let entry = Entry { term: self.term, command };
        self.replace(self.log.len(), vec![entry]);
        self.log.len()
    }

    /// Keeps the first `keep` entries and puts others after them. What was done by entries that go is undone.
    pub fn replace(&mut self, keep: usize, entries: Vec<Entry>) {
        if keep < self.log.len() {
            self.waiting.retain(|&position, _| position <= keep);
            self.commit = self.commit.min(keep);
            if self.applied > keep {
                self.applied = 0;
                self.machine = Machine::new(self.kind);
            }
        }
        self.log.truncate(keep);
        self.log.extend(entries.iter().cloned());
        self.disk.append(&Record::Entries { keep, entries });
        self.apply();
    }

    /// Takes note that everything up to `commit` will never change, and does it.
    pub fn commit_to(&mut self, commit: usize) {
        self.commit = self.commit.max(commit.min(self.log.len()));
        self.apply();
    }

    fn apply(&mut self) {
        while self.applied < self.commit {
            self.applied += 1;
            let Some(command) = &self.log[self.applied - 1].command else { continue };
            let done = self.machine.apply(command);
            if let Some(waiting) = self.waiting.get_mut(&self.applied) {
                *waiting = Some(done);
            }
        }
    }
}
