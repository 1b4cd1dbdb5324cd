//! `demo-quorum`: a register on N replicas, where a write waits for W of them and a read for R.
//!
//! ```text
//!   write v, at the node the client talks to            read, likewise
//!     1. choose a version newer than … (see below)        1. ask all for (version, value), wait for R replies
//!     2. send (version, v) to all, wait for W             2. take the newest of them
//!   a replica keeps the newest version it has seen        3. write-back=on: send it to all, wait for W
//! ```
//!
//! The question is what makes a version *newer*:
//!
//! * `versions=logical`: the coordinator first asks R replicas, and counts one up from the newest it hears of. With
//!   `write-back=on` and quorums that overlap (R + W > N) this is the register of Attiya, Bar-Noy and Dolev (1995) in
//!   its multi-writer form (Lynch and Shvartsman 1997), and linearizable.
//! * `versions=wall`: the coordinator reads its wall clock: last writer wins, as in Cassandra. This is the default, and
//!   it lies: whoever's clock is ahead wins, so a write that was acknowledged *later* can be the one that vanishes.
//! * `write-back=off` lies more quietly: a value that only one replica has yet may be read, and then unread.
//! * `r=1` or `w=1`: two quorums need not meet, and reads are as stale as the slowest replica.

use super::disk::{Disk, Fsync};
use super::launch::DemoCluster;
use super::node::{Node, PATIENCE, Protocol};
use super::wire::{Answer, ClientCall};
use crate::client::{Claim, Running, Start, System, SystemOption};
use crate::systems::options::Options;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// The system, as the controller sees it.
#[derive(Clone, Copy, Debug)]
pub struct DemoQuorum;

const OPTIONS: &[SystemOption] = &[
    SystemOption { name: "w", default: "2", about: "replicas that a write waits for: a number, or majority" },
    SystemOption { name: "r", default: "2", about: "replicas that a read waits for: a number, or majority" },
    SystemOption {
        name: "versions",
        default: "wall",
        about: "what orders writes: wall (the coordinator's wall clock) or logical (a counter, learned from R replicas)",
    },
    SystemOption {
        name: "write-back",
        default: "off",
        about: "on or off: whether a read stores what it found on W replicas before it answers",
    },
    SystemOption {
        name: "fsync",
        default: "always",
        about: "always, or lost: a kill loses what was stored within the last second",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    w: Count,
    r: Count,
    logical: bool,
    write_back: bool,
    fsync: Fsync,
}

/// How many replicas to wait for.
#[derive(Clone, Copy, Debug)]
enum Count {
    Of(usize),
    Majority,
}

impl Count {
    fn among(self, nodes: usize) -> usize {
        match self {
            Count::Of(n) => n,
            Count::Majority => nodes / 2 + 1,
        }
    }
}

impl Config {
    fn read(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let count = |name| match options.text(name) {
            "majority" => Ok(Count::Majority),
            _ => options
                .number(name, 1..=99)
                .map(|n| Count::Of(n as usize))
                .map_err(|e| format!("{e}, or majority")),
        };
        Ok(Config {
            w: count("w")?,
            r: count("r")?,
            logical: options.choice("versions", &[("wall", false), ("logical", true)])?,
            write_back: options.switch("write-back")?,
            fsync: options.choice("fsync", &[("always", Fsync::Always), ("lost", Fsync::Lost)])?,
        })
    }

    fn overlap(&self, nodes: usize) -> bool {
        self.w.among(nodes) + self.r.among(nodes) > nodes
    }

    /// Whether this is the linearizable register of the papers, among `nodes` replicas.
    fn honest(&self, nodes: usize) -> bool {
        self.logical && self.write_back && self.fsync == Fsync::Always && self.overlap(nodes)
    }
}

impl System for DemoQuorum {
    fn name(&self) -> &'static str {
        "demo-quorum"
    }

    fn about(&self) -> &'static str {
        "a register on N replicas: writes wait for W of them, reads for R; by default the last writer by wall clock wins"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[
            &[],
            &[("w", "1"), ("r", "1"), ("versions", "logical")],
            &[("versions", "logical")],
            &[("versions", "logical"), ("write-back", "on")],
        ]
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let config = Config::read(with)?;
        let text = if config.overlap(self.default_nodes()) {
            "linearizable, because every read quorum meets every write quorum"
        } else {
            "linearizable, because replicas are in step in no time"
        };
        Ok(Claim { text: text.into(), honest: config.honest(self.default_nodes()) })
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::read(start.with)?;
        for (name, count) in [("w", config.w), ("r", config.r)] {
            if count.among(start.nodes) > start.nodes {
                return Err(format!(
                    "{name}={} needs more than {} nodes",
                    count.among(start.nodes),
                    start.nodes
                ));
            }
        }
        if config.honest(self.default_nodes()) && !config.honest(start.nodes) {
            return Err(format!(
                "w={} and r={} do not overlap among {} nodes: set both to majority",
                config.w.among(start.nodes),
                config.r.among(start.nodes),
                start.nodes
            ));
        }
        Ok(Box::new(DemoCluster::start(self.name(), start)?))
    }
}

/// When a value was written, in the order that replicas keep. No two writes have the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Version {
    /// Nanoseconds since 1970, or a count.
    number: i64,
    /// Who gave it; `boot` and `serial` make it unique even if that node forgets what it gave.
    node: usize,
    boot: u64,
    serial: u64,
}

/// A value and its version. The default is what a key holds before the first write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Versioned {
    version: Version,
    value: Json,
}

/// What replicas are asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// What do you hold?
    Get {
        /// Under this key.
        key: String,
    },
    /// Hold this, unless you hold something newer.
    Put {
        /// Under this key.
        key: String,
        /// This.
        new: Versioned,
    },
}

/// What they reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To `Get`.
    Holds(Versioned),
    /// To `Put`: it is stored, or something newer is.
    Stored,
}

/// One replica, which is also the coordinator of its clients' operations.
#[derive(Debug)]
pub struct Quorum {
    node: Node<Quorum>,
    config: Config,
    disk: Disk,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    held: HashMap<String, Versioned>,
    serial: u64,
}

impl Protocol for Quorum {
    type Ask = Ask;
    type Reply = Reply;

    fn open(node: Node<Quorum>) -> Result<Arc<Quorum>, String> {
        let config = Config::read(&node.with)?;
        let (disk, records) = node.log::<(String, Versioned)>(config.fsync)?;
        // The log is in the order of the versions, key by key, so the last record of a key is its newest.
        let memory = Mutex::new(Memory { held: records.into_iter().collect(), serial: 0 });
        Ok(Arc::new(Quorum { node, config, disk, memory }))
    }

    fn node(&self) -> &Node<Quorum> {
        &self.node
    }

    fn serve(&self, _from: usize, ask: Ask) -> Option<Reply> {
        Some(self.replica(ask))
    }

    fn call(&self, call: &ClientCall) -> Answer {
        match call.f.as_str() {
            "read" => self.read(call.key()),
            "write" => self.write(call.key(), call.value.clone()),
            other => Answer::unknown(other),
        }
    }
}

impl Quorum {
    fn read(&self, key: String) -> Answer {
        let Some(newest) = self.newest(&key) else { return Answer::Info("too few replicas answered".into()) };
        let value = newest.value.clone();
        // Without this, two readers may disagree for as long as the write is under way:
        //   n1  |--write 2 … (only n2 has it so far)
        //   n2      |--read→2--|
        //   n3                    |--read→1--|     asked others than n2
        if self.config.write_back && !self.store(key, newest) {
            return Answer::Info("too few replicas stored what was read".into());
        }
        Answer::ok(value)
    }

    fn write(&self, key: String, value: Json) -> Answer {
        let number = if self.config.logical {
            match self.newest(&key) {
                Some(newest) => newest.version.number + 1,
                None => return Answer::Fail("too few replicas answered, so nothing was written".into()),
            }
        } else {
            self.node.clock.wall_ns()
        };
        let serial = {
            let mut memory = self.memory();
            memory.serial += 1;
            memory.serial
        };
        let version = Version { number, node: self.node.me, boot: self.node.boot, serial };
        if self.store(key, Versioned { version, value: value.clone() }) {
            Answer::ok(value)
        } else {
            Answer::Info("too few replicas stored it".into())
        }
    }

    /// The newest of what R replicas hold; `None` if fewer answer.
    fn newest(&self, key: &str) -> Option<Versioned> {
        let ask = Ask::Get { key: key.to_string() };
        let mut missing = self.config.r.among(self.node.peers.nodes());
        let mut newest = Versioned::default();
        for reply in self.ask_all(ask) {
            if let Reply::Holds(held) = reply {
                if held.version > newest.version {
                    newest = held;
                }
                missing -= 1;
                if missing == 0 {
                    return Some(newest);
                }
            }
        }
        None
    }

    /// Sends a value to all; whether W replicas have stored it.
    fn store(&self, key: String, new: Versioned) -> bool {
        let ask = Ask::Put { key, new };
        let needed = self.config.w.among(self.node.peers.nodes());
        self.ask_all(ask).filter(|reply| matches!(reply, Reply::Stored)).take(needed).count() == needed
    }

    /// Asks every replica, this node's own last, so that the others work meanwhile. It is the first to reply.
    fn ask_all(&self, ask: Ask) -> impl Iterator<Item = Reply> + '_ {
        let replies = self.node.peers.ask_all(&ask, Instant::now() + PATIENCE);
        std::iter::once_with(move || self.replica(ask)).chain(replies.map(|(_, reply)| reply))
    }

    /// What this replica does.
    fn replica(&self, ask: Ask) -> Reply {
        let mut memory = self.memory();
        match ask {
            Ask::Get { key } => Reply::Holds(memory.held.get(&key).cloned().unwrap_or_default()),
            Ask::Put { key, new } => {
                let held = memory.held.entry(key.clone()).or_default();
                if new.version > held.version {
                    self.disk.append(&(key, &new));
                    *held = new;
                }
                Reply::Stored
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nobody panics while holding the replica")
    }
}
