//! `demo-paxos`: a register with compare-and-set, where every version of the register is one instance of Paxos.
//!
//! ```text
//!   instance 1        instance 2        instance 3
//!   chosen: write 5   chosen: cas 5→6   promised to ballot 4.n2, nothing accepted yet
//!   = version 1: 5    = version 2: 6    = version 3, being decided
//! ```
//!
//! The value that instance k decides is the whole register after operation k, so whoever knows the chosen version
//! k - 1 can propose version k, and nobody needs the history before it (Rystsov, *CASPaxos*, 2018; Lamport,
//! *The Part-Time Parliament*, 1998). One round of the protocol, by the node that the client talks to:
//!
//! ```text
//!   prepare b ─▶ all      a majority promises to ignore ballots below b, and shows what it has accepted
//!   accept b, v ─▶ all    v is what was accepted under the highest ballot, or else what we want
//!   (majority) ─▶ chosen  nobody can ever choose anything else for this version; learn ─▶ all
//! ```
//!
//! * Promises and acceptances are on disk before they are spoken (`acceptor.rs`).
//! * A coordinator that does not know what became of its proposal learns the outcome of that instance first. Every
//!   operation has a number of its own, and the register remembers the last one of each node, so an operation that
//!   somebody else pushed through is found there and is not done twice (`proposer.rs`).
//! * A read is a round, too: a majority shows what it holds, and what is half decided is decided first.
//!
//! It claims to be linearizable under every fault, and is, with `fsync=always`. With `fsync=lost`, an acceptor forgets
//! promises when it is killed, and two values can be chosen for one version: that configuration lies.

mod acceptor;
mod proposer;

use self::acceptor::{Acceptor, Ask, Ballot, OpId, Reply};
use super::disk::Fsync;
use super::launch::DemoCluster;
use super::node::{Node, Protocol};
use super::wire::{Answer, ClientCall};
use crate::client::{Claim, Running, Start, System, SystemOption};
use crate::systems::options::Options;
use proposer::{Gate, Operation};
use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The system, as the controller sees it.
#[derive(Clone, Copy, Debug)]
pub struct DemoPaxos;

const OPTIONS: &[SystemOption] = &[SystemOption {
    name: "fsync",
    default: "always",
    about: "always, or lost: a kill forgets what was promised within the last second",
}];

fn fsync(with: &[(String, String)]) -> Result<Fsync, String> {
    Options::new(OPTIONS, with)?.choice("fsync", &[("always", Fsync::Always), ("lost", Fsync::Lost)])
}

impl System for DemoPaxos {
    fn name(&self) -> &'static str {
        "demo-paxos"
    }

    fn about(&self) -> &'static str {
        "a compare-and-set register, one Paxos instance per version: honest under every fault, unless it may forget"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["cas-register", "register"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("fsync", "lost")]]
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let honest = fsync(with)? == Fsync::Always;
        Ok(Claim { text: "linearizable, whatever happens to a minority".into(), honest })
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        fsync(start.with)?;
        Ok(Box::new(DemoCluster::start(self.name(), start)?))
    }
}

/// One node: an acceptor for everybody, and a proposer for its own clients.
#[derive(Debug)]
pub struct Paxos {
    node: Node<Paxos>,
    acceptor: Acceptor,
    /// One proposal per key at a time: two of the same node would only get in each other's way.
    gate: Gate,
    operations: AtomicU64,
    rounds: AtomicU64,
    rng: Mutex<Xoshiro256PlusPlus>,
}

impl Protocol for Paxos {
    type Ask = Ask;
    type Reply = Reply;

    fn open(node: Node<Paxos>) -> Result<Arc<Paxos>, String> {
        let (disk, records) = node.log(fsync(&node.with)?)?;
        let rng = Mutex::new(Xoshiro256PlusPlus::seed_from_u64(node.seed));
        let acceptor = Acceptor::new(disk, records);
        Ok(Arc::new(Paxos {
            node,
            acceptor,
            gate: Gate::default(),
            operations: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            rng,
        }))
    }

    fn node(&self) -> &Node<Paxos> {
        &self.node
    }

    fn serve(&self, _from: usize, ask: Ask) -> Option<Reply> {
        Some(self.acceptor.answer(ask))
    }

    fn call(&self, call: &ClientCall) -> Answer {
        let key = call.key();
        match (call.f.as_str(), call.value.as_array().map(Vec::as_slice)) {
            ("read", _) => self.read(&key),
            ("write", _) => self.change(&key, &Operation::Write(call.value.clone())),
            ("cas", Some([expected, new])) => {
                self.change(&key, &Operation::Cas { expected: expected.clone(), new: new.clone() })
            }
            ("cas", _) => Answer::Fail("the value of a cas is a list [expected, new]".into()),
            (other, _) => Answer::unknown(other),
        }
    }
}

impl Paxos {
    /// A number that no other operation has, of any node at any time.
    fn new_operation(&self) -> OpId {
        OpId(self.node.me, self.node.boot, self.operations.fetch_add(1, Ordering::Relaxed))
    }

    /// A ballot in a round above this one. A node never uses a ballot twice: two values under one would be fatal.
    fn new_ballot(&self, above: u64) -> Ballot {
        self.rounds.fetch_max(above, Ordering::Relaxed);
        Ballot(self.rounds.fetch_add(1, Ordering::Relaxed) + 1, self.node.me, self.node.boot)
    }

    /// A random time up to `limit`.
    fn up_to(&self, limit: Duration) -> Duration {
        let mut rng = self.rng.lock().expect("nobody panics while drawing a number");
        limit.mul_f64((rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// How many nodes decide.
    fn majority(&self) -> usize {
        self.node.peers.nodes() / 2 + 1
    }
}
