//! `demo-lock`: a lock that is a lease, a store that it guards, and the processes that use both.
//!
//! ```text
//!   client ─▶ n1 (holder) ──acquire, release──▶ lock      hands out tokens 1, 2, 3 …, each for a time to live
//!                         ──read, write───────▶ store     what the lock is there to protect
//! ```
//!
//! The nodes `n1` … are the *users* of the lock: real processes, so that one of them can be stopped in the middle of its
//! work, which is how such locks fail in practice:
//!
//! ```text
//!   n1   |acquire → 1| |read → 5| |SIGSTOP ……………………………………… SIGCONT| |write 6|      the lock was lost meanwhile
//!   n2                                 |acquire → 2| |read → 5| |write 6|                and one increment is lost, too
//!   lock ……………………………… 1 expires
//! ```
//!
//! * `fencing=on`: the store remembers the largest token that it has been shown, and refuses smaller ones. Two may believe
//!   that they hold the lock, but only the later one gets through (Kleppmann, *How to do distributed locking*, 2016).
//! * `fencing=off`: the store trusts everybody. The claim (whoever holds the lock is alone) is the same, and a lie: no
//!   lease can be checked by a process that may be stopped between the check and the act. So this one does not even check.
//!
//! The time to live is measured by the lock's rate-only clock.

use super::disk::{Disk, Fsync};
use super::launch::DemoCluster;
use super::node::{Node, PATIENCE, Protocol};
use super::wire::{Answer, ClientCall, Done};
use crate::client::{Claim, Running, Start, System, SystemOption};
use crate::systems::options::Options;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The system, as the controller sees it.
#[derive(Clone, Copy, Debug)]
pub struct DemoLock;

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "fencing",
        default: "on",
        about: "on or off: whether the store refuses a token that is smaller than one it has seen",
    },
    SystemOption {
        name: "ttl-ms",
        default: "400",
        about: "milliseconds until a lock that is not released expires, 20 to 60000",
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
    fencing: bool,
    ttl: Duration,
    fsync: Fsync,
}

impl Config {
    fn read(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        Ok(Config {
            fencing: options.switch("fencing")?,
            ttl: Duration::from_millis(options.number("ttl-ms", 20..=60_000)?),
            fsync: options.choice("fsync", &[("always", Fsync::Always), ("lost", Fsync::Lost)])?,
        })
    }
}

impl System for DemoLock {
    fn name(&self) -> &'static str {
        "demo-lock"
    }

    fn about(&self) -> &'static str {
        "a lock with a time to live and the store that it guards: safe if the store checks fencing tokens"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["lock"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("fencing", "off")]]
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let config = Config::read(with)?;
        let text = "only the last to acquire the lock changes what it guards";
        Ok(Claim { text: text.into(), honest: config.fencing && config.fsync == Fsync::Always })
    }

    /// Starts `start.nodes` holders, and after them in the list of nodes the lock and the store.
    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        Config::read(start.with)?;
        let mut names: Vec<String> = (1..=start.nodes).map(|i| format!("n{i}")).collect();
        names.extend(["lock".to_string(), "store".to_string()]);
        // To read is to show one's token, so not even that is without effect.
        Ok(Box::new(DemoCluster::start_named(self.name(), start, names, start.nodes, &[])?))
    }
}

/// What a holder asks the lock and the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// To the lock.
    Acquire(String),
    /// To the lock: key and token.
    Release(String, i64),
    /// To the store: key and token.
    Read(String, i64),
    /// To the store: key, token and new value.
    Write(String, i64, Json),
}

/// What they reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// A token.
    Granted(i64),
    /// Somebody else holds the lock: this is their token.
    Held(i64),
    /// It is free again.
    Released,
    /// What the store holds.
    Holds(Json),
    /// It is written.
    Written,
    /// The store has seen this larger token.
    Stale(i64),
    /// A holder, or the wrong one of the two, was asked.
    Nonsense,
}

/// One process: a holder, the lock, or the store, by its place in the list of nodes.
#[derive(Debug)]
pub struct Lock {
    node: Node<Lock>,
    config: Config,
    disk: Disk,
    /// By key. Empty in a holder.
    guarded: Mutex<HashMap<String, Guarded>>,
}

/// What the lock, or the store, knows about one key; also a line of its log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Guarded {
    /// The lock: the largest token that was given. The store: the largest that was shown.
    token: i64,
    /// The lock: whether that token is held.
    held: bool,
    /// The store.
    value: Json,
    /// When the token expires, on the rate-only clock. After a restart, a whole time to live later.
    #[serde(skip)]
    expires: Duration,
}

impl Protocol for Lock {
    type Ask = Ask;
    type Reply = Reply;

    fn open(node: Node<Lock>) -> Result<Arc<Lock>, String> {
        let config = Config::read(&node.with)?;
        let (disk, records) = node.log::<(String, Guarded)>(config.fsync)?;
        let mut guarded: HashMap<String, Guarded> = records.into_iter().collect();
        for entry in guarded.values_mut() {
            entry.expires = node.clock.rated() + config.ttl;
        }
        Ok(Arc::new(Lock { node, config, disk, guarded: Mutex::new(guarded) }))
    }

    fn node(&self) -> &Node<Lock> {
        &self.node
    }

    fn serve(&self, _from: usize, ask: Ask) -> Option<Reply> {
        let me = self.node.me;
        Some(match ask {
            Ask::Acquire(key) if me == self.lock() => self.acquire(key),
            Ask::Release(key, token) if me == self.lock() => self.release(key, token),
            Ask::Read(key, token) if me == self.store() => self.access(key, token, None),
            Ask::Write(key, token, value) if me == self.store() => self.access(key, token, Some(value)),
            Ask::Acquire(_) | Ask::Release(..) | Ask::Read(..) | Ask::Write(..) => Reply::Nonsense,
        })
    }

    /// What a holder does for its client. It keeps no state: the client has the token.
    fn call(&self, call: &ClientCall) -> Answer {
        let (key, value) = (call.key(), call.value.clone());
        let (to, ask) = match (call.f.as_str(), value.as_i64(), value.as_array().map(Vec::as_slice)) {
            ("acquire", ..) => (self.lock(), Ask::Acquire(key)),
            ("release", Some(token), _) => (self.lock(), Ask::Release(key, token)),
            ("read", Some(token), _) => (self.store(), Ask::Read(key, token)),
            ("write", _, Some([Json::Number(token), new])) if token.is_i64() => {
                (self.store(), Ask::Write(key, token.as_i64().unwrap_or_default(), new.clone()))
            }
            (f, ..) => return Answer::Fail(format!("there is no {f} of {value} here")),
        };
        if !self.node.peers.is_connected(to) {
            return Answer::Fail(format!("no connection to {}, so nothing was asked", self.node.names[to]));
        }
        match self.node.peers.ask(to, &ask, Instant::now() + PATIENCE) {
            Some(Reply::Granted(token)) => Answer::ok(token.into()),
            Some(Reply::Released | Reply::Written) => Answer::ok(value),
            Some(Reply::Holds(held)) => Answer::ok(vec![value, held].into()),
            Some(Reply::Held(token) | Reply::Stale(token)) => {
                Answer::Ok(Done { value, applied: Some(false), observed: Some(token.into()) })
            }
            Some(Reply::Nonsense) => Answer::Fail(format!("{} does not do that", self.node.names[to])),
            None => Answer::Info(format!("{} has not answered", self.node.names[to])),
        }
    }
}

impl Lock {
    fn lock(&self) -> usize {
        self.node.names.len() - 2
    }

    fn store(&self) -> usize {
        self.node.names.len() - 1
    }

    fn acquire(&self, key: String) -> Reply {
        self.change(key, |entry| {
            let now = self.node.clock.rated();
            if entry.held && now < entry.expires {
                return Reply::Held(entry.token);
            }
            entry.token += 1;
            entry.held = true;
            entry.expires = now + self.config.ttl;
            Reply::Granted(entry.token)
        })
    }

    fn release(&self, key: String, token: i64) -> Reply {
        self.change(key, |entry| {
            if entry.token != token {
                return Reply::Held(entry.token);
            }
            entry.held = false;
            Reply::Released
        })
    }

    fn access(&self, key: String, token: i64, new: Option<Json>) -> Reply {
        self.change(key, |entry| {
            if self.config.fencing && token < entry.token {
                return Reply::Stale(entry.token);
            }
            entry.token = token;
            match new {
                None => Reply::Holds(entry.value.clone()),
                Some(new) => {
                    entry.value = new;
                    Reply::Written
                }
            }
        })
    }

    /// Does something to a key, and has it on disk before the reply is sent.
    fn change(&self, key: String, act: impl FnOnce(&mut Guarded) -> Reply) -> Reply {
        let mut guarded = self.guarded.lock().expect("nobody panics while holding the table");
        let entry = guarded.entry(key.clone()).or_default();
        let reply = act(entry);
        if !matches!(reply, Reply::Held(_) | Reply::Stale(_)) {
            self.disk.append(&(key, &*entry));
        }
        reply
    }
}
