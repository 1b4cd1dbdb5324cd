//! Who is the primary: silence, votes, terms.
//!
//! Timers here run by the machine's own clock: when a vote is asked for only matters for how fast it goes, never for
//! what is true.

use super::replica::{Leading, Part, Replica};
use super::{Ask, Primary, Reads, Reply};
use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::{Duration, Instant};

/// How often a replica looks whether its primary has fallen silent.
const LOOK: Duration = Duration::from_millis(5);
/// In a new cluster, how much longer each node waits than the one before it.
const FIRST: Duration = Duration::from_millis(100);

impl Primary {
    /// Asks for votes whenever no primary has been heard of for a while. Never returns.
    pub fn stand_for_election(&self) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.node.seed);
        let mut stood = Instant::now();
        loop {
            // Drawn anew each time, so that two who stand at once do not do so for ever.
            let patience = self.config.election
                + self.config.election.mul_f64((rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64);
            loop {
                std::thread::sleep(LOOK);
                let mut replica = self.replica();
                // Before there ever was a primary, there is nobody to wait for.
                let patience = if replica.term == 0 { FIRST * self.node.me as u32 } else { patience };
                let silent = replica.heard.elapsed() >= patience && stood.elapsed() >= patience;
                if silent && matches!(replica.part, Part::Follower(_)) {
                    replica.part = Part::Follower(None);
                    break;
                }
            }
            // A node that was cut off must not come back and depose a healthy primary: it asks first whether it could.
            if self.ask_for_votes(true) {
                self.ask_for_votes(false);
            }
            stood = Instant::now();
        }
    }

    /// Whether a majority votes (or, on trial, would vote) for this node. If it does, this node is the primary.
    fn ask_for_votes(&self, trial: bool) -> bool {
        let (term, ask) = {
            let mut replica = self.replica();
            let term = replica.term + 1;
            if !trial {
                replica.enter(term, Some(self.node.me));
                replica.part = Part::Follower(None);
            }
            let last = replica.log.len();
            (term, Ask::Vote { term, last, last_term: replica.term_at(last), trial })
        };
        let mut missing = self.majority() - 1;
        if missing > 0 {
            for (_, reply) in self.node.peers.ask_all(&ask, Instant::now() + self.config.election) {
                match reply {
                    Reply::Voted(true) => missing -= 1,
                    // Whoever has the longer log but an older term would else be refused for ever, and so would the
                    // other one, for its log: nobody would be elected.
                    Reply::Deposed(term) => self.deposed(&mut self.replica(), term),
                    Reply::Voted(false)
                    | Reply::Alive
                    | Reply::Matched(_)
                    | Reply::Missing(_)
                    | Reply::Done(..)
                    | Reply::Failed(_)
                    | Reply::Unknown(_) => {}
                }
                if missing == 0 {
                    break;
                }
            }
        }
        if missing > 0 {
            return false;
        }
        let mut replica = self.replica();
        if !trial && replica.term == term && replica.vote == Some(self.node.me) {
            self.take_office(&mut replica);
            drop(replica);
            self.changed.notify_all();
        }
        true
    }

    /// Becomes the primary of the present term.
    fn take_office(&self, replica: &mut Replica) {
        let n = self.nodes();
        // Only a lease can hold anybody up.
        let wait = if self.config.reads == Reads::Lease { self.config.lease } else { Duration::ZERO };
        // A first term has no lease before it.
        let wait = if replica.term == 1 { Duration::ZERO } else { wait };
        replica.part = Part::Primary(Leading {
            matched: vec![0; n],
            sent: vec![replica.log.len(); n],
            told: vec![0; n],
            answered: vec![None; n],
            open_at: self.node.clock.rated() + wait,
            first: replica.log.len() + 1,
        });
        // With an entry of its own term at the end, what is before it can be committed.
        replica.add(None);
        self.advance(replica);
    }

    /// The first node is the primary, and always was.
    pub fn appoint_the_first(&self) {
        let mut replica = self.replica();
        if self.node.me != 0 {
            replica.part = Part::Follower(Some(0));
            return;
        }
        replica.enter(1, Some(0));
        self.take_office(&mut replica);
    }

    /// Votes, or says whether it would; whoever asks in an old term is told the new one.
    pub fn vote(&self, from: usize, term: u64, last: usize, last_term: u64, trial: bool) -> Reply {
        let mut replica = self.replica();
        let granted = self.grant(&mut replica, from, term, last, last_term, trial);
        if !granted && term <= replica.term { Reply::Deposed(replica.term) } else { Reply::Voted(granted) }
    }

    fn grant(
        &self,
        replica: &mut Replica,
        from: usize,
        term: u64,
        last: usize,
        last_term: u64,
        trial: bool,
    ) -> bool {
        let led = match replica.part {
            Part::Primary(_) => true,
            Part::Follower(primary) => primary.is_some() && replica.heard.elapsed() < self.config.election,
        };
        let worthy = replica.not_newer_than(last, last_term);
        if trial || led || term < replica.term {
            return trial && !led && worthy && term > replica.term;
        }
        if term > replica.term {
            replica.enter(term, None);
            replica.part = Part::Follower(None);
        }
        let free = replica.vote.is_none() || replica.vote == Some(from);
        if worthy && free {
            replica.enter(term, Some(from));
            replica.heard = Instant::now();
        }
        worthy && free
    }

    /// Hears from the primary of a term. Whether it is the primary of ours, now.
    pub fn hear(&self, from: usize, term: u64) -> bool {
        let mut replica = self.replica();
        self.heard(&mut replica, from, term)
    }

    /// The same, for who holds the replica already.
    pub fn heard(&self, replica: &mut Replica, from: usize, term: u64) -> bool {
        if term < replica.term {
            return false;
        }
        if term > replica.term {
            replica.enter(term, None);
        }
        if !matches!(replica.part, Part::Follower(Some(primary)) if primary == from) {
            replica.part = Part::Follower(Some(from));
            self.changed.notify_all();
        }
        replica.heard = Instant::now();
        true
    }

    /// Leaves office for a newer term, if it is one.
    pub fn deposed(&self, replica: &mut Replica, term: u64) {
        if term > replica.term {
            replica.enter(term, None);
            replica.part = Part::Follower(None);
            replica.heard = Instant::now();
            self.changed.notify_all();
        }
    }
}
