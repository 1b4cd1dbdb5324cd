//! `demo-primary`: one primary with a log, replicas that follow it, and a vote for a new one when it falls silent.
//!
//! ```text
//!   client ─▶ primary:  append to the log ─▶ replicate ─▶ (acknowledge when?) ─▶ apply
//!   primary ─▶ replicas:  heartbeats, and entries with their place in the log
//!   silence ─▶ a replica asks for votes in a new term ─▶ a majority agrees ─▶ it is the primary
//! ```
//!
//! The log, terms and votes are those of Raft (Ongaro and Ousterhout 2014), without snapshots. The options choose which
//! corners to cut:
//!
//! * `replication=quorum` acknowledges what a majority has on disk. `replication=async` acknowledges what the primary
//!   has, as many databases do by default: when the primary dies, or finds itself on the wrong side of a partition,
//!   acknowledged writes are gone. It claims that this does not happen, and lies.
//! * `reads=lease` reads from the primary while it holds a lease, and is linearizable with `replication=quorum`:
//!
//!   ```text
//!     old primary   |s: heartbeat sent ……………… lease ……………… s+L|
//!     its majority       |acknowledges|
//!     a voter                           |votes at v > s|
//!     new primary                          |elected at e > v| …… waits …… |e+L: commits, then reads|
//!   ```
//!   The lease counts from *before* the heartbeat was sent, and a new primary commits nothing before it has waited for a
//!   whole lease by its own clock. Any majority that acknowledged the old one shares a node with the one that voted for
//!   the new one, so s < e, and the two never overlap, if their clocks run *equally fast*. What they show does not
//!   matter: leases are measured on the rate-only clock, and a clock that jumps is harmless. A clock that is slow is not.
//! * `reads=primary` reads from whoever takes itself for the primary. One that slept through its own deposition still
//!   does when it wakes up. It claims to be linearizable, and lies.
//! * `reads=replica` reads from the node that the client talks to. The first node is the primary for ever, so there is
//!   only one log, and every replica shows a prefix of it. With `tokens=on` a session's writes go through its replica,
//!   which answers when it has applied them itself: sequentially consistent. With `tokens=off` they are answered as soon
//!   as the primary has them, and a session may not see its own write: the same claim, and a lie.

mod election;
mod machine;
mod replica;
mod replication;

use self::machine::Kind;
use self::replica::{Entry, Part, Replica};
use super::disk::Fsync;
use super::launch::DemoCluster;
use super::node::{Node, PATIENCE, Protocol};
use super::wire::{Answer, ClientCall, Done};
use crate::client::{Claim, Running, Start, System, SystemOption};
use crate::systems::options::Options;
use nemesis::Role;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The system, as the controller sees it.
#[derive(Clone, Copy, Debug)]
pub struct DemoPrimary;

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "replication",
        default: "quorum",
        about: "when a write is acknowledged: quorum (a majority has it) or async (the primary has it)",
    },
    SystemOption {
        name: "reads",
        default: "lease",
        about: "who answers a read: lease (a primary that holds its lease), primary (one that thinks it is), or replica",
    },
    SystemOption {
        name: "tokens",
        default: "on",
        about: "with reads=replica, on or off: whether a write is answered only when the session's replica has applied it",
    },
    SystemOption { name: "heartbeat-ms", default: "40", about: "milliseconds between heartbeats, 5 to 1000" },
    SystemOption {
        name: "election-ms",
        default: "300",
        about: "milliseconds of silence, up to twice as many, before a replica asks for votes, 50 to 10000",
    },
    SystemOption { name: "lease-ms", default: "600", about: "milliseconds that a lease lasts, 50 to 10000" },
    SystemOption {
        name: "fsync",
        default: "always",
        about: "always, or lost: a kill loses what was stored within the last second",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    quorum: bool,
    reads: Reads,
    tokens: bool,
    heartbeat: Duration,
    election: Duration,
    lease: Duration,
    fsync: Fsync,
}

/// Who answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Lease,
    Primary,
    Replica,
}

impl Config {
    fn read(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let reads = [("lease", Reads::Lease), ("primary", Reads::Primary), ("replica", Reads::Replica)];
        let ms = |name, range| options.number(name, range).map(Duration::from_millis);
        Ok(Config {
            quorum: options.choice("replication", &[("quorum", true), ("async", false)])?,
            reads: options.choice("reads", &reads)?,
            tokens: options.switch("tokens")?,
            heartbeat: ms("heartbeat-ms", 5..=1000)?,
            election: ms("election-ms", 50..=10_000)?,
            lease: ms("lease-ms", 50..=10_000)?,
            fsync: options.choice("fsync", &[("always", Fsync::Always), ("lost", Fsync::Lost)])?,
        })
    }

    /// Whether the first node is the primary for ever.
    fn fixed_primary(&self) -> bool {
        self.reads == Reads::Replica
    }
}

impl System for DemoPrimary {
    fn name(&self) -> &'static str {
        "demo-primary"
    }

    fn about(&self) -> &'static str {
        "a primary with a replicated log, leases and failover: honest unless it acknowledges or reads too early"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "cas-register", "kv", "set", "queue", "counter"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[
            &[],
            &[("reads", "primary")],
            &[("replication", "async")],
            &[("reads", "replica")],
            &[("reads", "replica"), ("tokens", "off")],
        ]
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let config = Config::read(with)?;
        let durable = config.fsync == Fsync::Always;
        let (text, honest) = match config.reads {
            Reads::Lease => ("linearizable, while clocks run equally fast", durable && config.quorum),
            Reads::Primary => ("linearizable, because only the primary answers", false),
            Reads::Replica => {
                ("sequential: every session sees one log, and its own writes", durable && config.tokens)
            }
        };
        Ok(Claim { text: text.into(), honest })
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        Config::read(start.with)?;
        if Kind::of(start.workload).is_none() {
            return Err(format!("{} has no workload {}", self.name(), start.workload));
        }
        Ok(Box::new(DemoCluster::start(self.name(), start)?))
    }
}

/// What nodes ask each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The primary lives. (Beside `Append`, whose answer may take long on a slow link.)
    Beat {
        /// Its term.
        term: u64,
    },
    /// Put these entries after that one.
    Append {
        /// The primary's term.
        term: u64,
        /// The position before the first entry.
        after: usize,
        /// The term there.
        after_term: u64,
        /// The entries.
        entries: Vec<Entry>,
        /// How much will never change.
        commit: usize,
    },
    /// Vote for me.
    Vote {
        /// In this term.
        term: u64,
        /// My log ends here,
        last: usize,
        /// in this term.
        last_term: u64,
        /// Only say whether you would, so that nobody is disturbed in vain.
        trial: bool,
    },
    /// A client of mine wants this from the primary.
    Call(ClientCall),
}

/// What they reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To `Beat`.
    Alive,
    /// To `Append`: the log agrees with the primary's up to here.
    Matched(usize),
    /// To `Append`: it does not; try again from here.
    Missing(usize),
    /// To `Append` and `Vote`: there is a newer term.
    Deposed(u64),
    /// To `Vote`.
    Voted(bool),
    /// To `Call`: it happened, at this position of the log. (A read has none.)
    Done(Done, usize),
    /// To `Call`: it did not.
    Failed(String),
    /// To `Call`: nobody knows.
    Unknown(String),
}

/// One node.
#[derive(Debug)]
pub struct Primary {
    node: Node<Primary>,
    config: Config,
    kind: Kind,
    replica: Mutex<Replica>,
    /// Something in the replica has changed that somebody may wait for.
    changed: Condvar,
}

impl Protocol for Primary {
    type Ask = Ask;
    type Reply = Reply;

    fn open(node: Node<Primary>) -> Result<Arc<Primary>, String> {
        let config = Config::read(&node.with)?;
        let kind = Kind::of(&node.workload).ok_or_else(|| format!("no workload {}", node.workload))?;
        let (disk, records) = node.log(config.fsync)?;
        let replica = Mutex::new(Replica::new(kind, disk, records));
        let primary = Arc::new(Primary { node, config, kind, replica, changed: Condvar::new() });
        if config.fixed_primary() {
            primary.appoint_the_first();
        } else {
            let standing = Arc::clone(&primary);
            std::thread::spawn(move || standing.stand_for_election());
        }
        let beating = Arc::clone(&primary);
        std::thread::spawn(move || beating.beat());
        for to in (0..primary.nodes()).filter(|&to| to != primary.node.me) {
            let replicating = Arc::clone(&primary);
            std::thread::spawn(move || replicating.replicate(to));
        }
        Ok(primary)
    }

    fn node(&self) -> &Node<Primary> {
        &self.node
    }

    fn serve(&self, from: usize, ask: Ask) -> Option<Reply> {
        match ask {
            Ask::Beat { term } => {
                self.hear(from, term);
                Some(Reply::Alive)
            }
            Ask::Append { term, after, after_term, entries, commit } => {
                Some(self.append(from, term, after, after_term, entries, commit))
            }
            Ask::Vote { term, last, last_term, trial } => Some(self.vote(from, term, last, last_term, trial)),
            Ask::Call(call) => Some(self.lead(&call)),
        }
    }

    fn takes_long(ask: &Ask) -> bool {
        matches!(ask, Ask::Call(_))
    }

    fn call(&self, call: &ClientCall) -> Answer {
        let reads = match self.kind.is_read(call) {
            Ok(reads) => reads,
            Err(why) => return Answer::Fail(why),
        };
        if reads && self.config.reads == Reads::Replica {
            return self.replica().machine.read(&call.key());
        }
        let (done, position) = match self.at_primary(call) {
            Reply::Done(done, position) => (done, position),
            Reply::Failed(why) => return Answer::Fail(why),
            Reply::Unknown(why) => return Answer::Info(why),
            other => return Answer::Info(format!("the primary said {other:?}")),
        };
        // The session's next read comes here, too, and must find what it has just done.
        if self.config.reads == Reads::Replica && self.config.tokens {
            let seen = |replica: &mut Replica| (replica.applied >= position).then_some(());
            if self.wait_until(Instant::now() + PATIENCE, seen).is_none() {
                return Answer::Info("it was done, but has not arrived here".into());
            }
        }
        Answer::Ok(done)
    }

    fn role(&self) -> Option<Role> {
        let replica = self.replica();
        Some(Role { primary: matches!(replica.part, Part::Primary(_)), term: replica.term })
    }

    /// There is a primary, and if it is this node, it can answer.
    fn ready(&self) -> bool {
        let replica = self.replica();
        match &replica.part {
            Part::Follower(primary) => primary.is_some(),
            Part::Primary(leading) => replica.commit >= leading.first,
        }
    }
}

impl Primary {
    /// Has the primary do a call, be it this node or another.
    fn at_primary(&self, call: &ClientCall) -> Reply {
        let primary = match self.replica().part {
            Part::Primary(_) => self.node.me,
            Part::Follower(Some(primary)) => primary,
            Part::Follower(None) => return Reply::Failed("no primary is known here".into()),
        };
        if primary == self.node.me {
            return self.lead(call);
        }
        let ask = Ask::Call(call.clone());
        let reply = self.node.peers.ask(primary, &ask, Instant::now() + PATIENCE);
        reply.unwrap_or_else(|| Reply::Unknown(format!("{} has not answered", self.node.names[primary])))
    }

    /// Does a call as the primary.
    fn lead(&self, call: &ClientCall) -> Reply {
        match self.kind.is_read(call) {
            Ok(true) => self.read(call),
            Ok(false) => self.change(call),
            Err(why) => Reply::Failed(why),
        }
    }

    /// Reads from this node, if it may.
    fn read(&self, call: &ClientCall) -> Reply {
        let may = |replica: &mut Replica| {
            let Part::Primary(leading) = &replica.part else {
                return Some(Err(Reply::Failed("this node is no longer the primary".into())));
            };
            let may = match self.config.reads {
                Reads::Lease => replica.commit >= leading.first && self.holds_lease(leading),
                Reads::Primary => replica.commit >= leading.first,
                Reads::Replica => true,
            };
            may.then(|| Ok(replica.machine.read(&call.key())))
        };
        match self.wait_until(Instant::now() + PATIENCE, may) {
            Some(Ok(Answer::Ok(done))) => Reply::Done(done, 0),
            Some(Ok(Answer::Fail(why) | Answer::Info(why))) => Reply::Failed(why),
            Some(Err(reply)) => reply,
            None => Reply::Failed("the primary has no lease".into()),
        }
    }

    /// Puts a command into the log, and waits until it is done.
    fn change(&self, call: &ClientCall) -> Reply {
        let position = {
            let mut replica = self.replica();
            if !matches!(replica.part, Part::Primary(_)) {
                return Reply::Failed("this node is not the primary".into());
            }
            let position = replica.add(Some(call.clone()));
            replica.waiting.insert(position, None);
            self.advance(&mut replica);
            position
        };
        self.changed.notify_all();
        let done = |replica: &mut Replica| match replica.waiting.get(&position) {
            Some(None) => None,
            Some(Some(done)) => Some(Ok(done.clone())),
            // Another primary has put something else there. What is gone may still be in a third node's log.
            None => Some(Err(())),
        };
        let result = self.wait_until(Instant::now() + PATIENCE, done);
        self.replica().waiting.remove(&position);
        match result {
            Some(Ok(done)) => Reply::Done(done, position),
            Some(Err(())) => Reply::Unknown("a new primary has another entry there".into()),
            None => Reply::Unknown("not replicated in time".into()),
        }
    }

    /// Waits until `seen` gives something.
    fn wait_until<T>(&self, deadline: Instant, mut seen: impl FnMut(&mut Replica) -> Option<T>) -> Option<T> {
        let mut replica = self.replica();
        loop {
            if let Some(result) = seen(&mut replica) {
                return Some(result);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            replica =
                self.changed.wait_timeout(replica, left).expect("nobody panics while holding the replica").0;
        }
    }

    fn replica(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().expect("nobody panics while holding the replica")
    }

    fn nodes(&self) -> usize {
        self.node.peers.nodes()
    }

    fn majority(&self) -> usize {
        self.nodes() / 2 + 1
    }
}
