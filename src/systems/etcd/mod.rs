//! etcd, as its Debian package installs it, in a lab or on other machines.
//!
//! ```text
//!   api.rs     calls as requests, answers as outcomes: what has failed, what is unknown
//!   client.rs  one session with one member
//!   watcher.rs one that is told of changes, too; stream.rs  what such a stream says
//!   holder.rs  a process that uses the lock, on a node
//! ```

mod api;
mod client;
mod holder;
mod stream;
mod watcher;

pub use holder::holder_main;

use super::calls::{Session, Socket};
use super::daemons;
use super::http::{Answer, Connection, least_offset};
use super::options::Options;
use super::service::{Door, Part, Service, Way};
use crate::client::{Claim, Client, Place, Running, Start, System, SystemOption};
use crate::control::clock::unix_ns;
use api::Status;
use chrono::DateTime;
use client::EtcdClient;
use nemesis::Role;
use serde_json::json;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use watcher::Watcher;

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;
/// How long a member may take to say who it is: it does so from memory.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long a member may take to change the members: it asks the others.
const CHANGE: Duration = Duration::from_secs(5);
const DATA: &str = "/var/lib/perjury-etcd";
const LOG: &str = "/var/log/etcd.log";
/// Where the users of the lock are, on every node: this program, where they listen, and what they say.
const HOLDER: &str = "/var/lib/perjury-holder";
const HOLDER_PORT: u16 = 2390;
const HOLDER_LOG: &str = "/var/log/holder.log";

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "reads",
        default: "linearizable",
        about: "linearizable (by a majority), or serializable (from the member that is asked, without asking others)",
    },
    SystemOption {
        name: "heartbeat",
        default: "100",
        about: "milliseconds between two heartbeats of the leader, 10 to 10000",
    },
    SystemOption {
        name: "election",
        default: "1000",
        about: "milliseconds without a heartbeat after which a member stands for election, 50 to 50000",
    },
    SystemOption {
        name: "snapshot-count",
        default: "100000",
        about: "entries after which a member writes a snapshot and forgets its log but for the last 5000, 10 to 10000000: one that is further behind is sent a snapshot",
    },
    SystemOption {
        name: "progress",
        default: "0",
        about: "milliseconds after which a silent watch is told how far the store has counted, 100 to 600000 (0: ten minutes, etcd's own)",
    },
    SystemOption {
        name: "fencing",
        default: "off",
        about: "workload lock: on or off, whether what the lock guards compares the revisions of locks, and refuses older ones",
    },
    SystemOption {
        name: "ttl",
        default: "2",
        about: "workload lock: seconds until the lease of a holder who is not heard of is over, 1 to 600",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    serializable: bool,
    heartbeat: u64,
    election: u64,
    snapshot_count: u64,
    progress: u64,
    fencing: bool,
    ttl: u64,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let config = Config {
            serializable: options.choice("reads", &[("linearizable", false), ("serializable", true)])?,
            heartbeat: options.number("heartbeat", 10..=10_000)?,
            election: options.number("election", 50..=50_000)?,
            snapshot_count: options.number("snapshot-count", 10..=10_000_000)?,
            progress: options.number("progress", 0..=600_000)?,
            fencing: options.switch("fencing")?,
            ttl: options.number("ttl", 1..=600)?,
        };
        if config.election < 5 * config.heartbeat {
            return Err(format!(
                "election takes at least five heartbeats, and {} is less than 5 × {}",
                config.election, config.heartbeat
            ));
        }
        Ok(config)
    }
}

/// etcd 3.4 and later.
pub struct Etcd;

impl System for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn about(&self) -> &'static str {
        "etcd 3.4 or later, from its Debian package, in a lab (--lab N) or on machines (--nodes); clients speak its JSON API, each with one member"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "cas-register", "versioned-register", "set", "counter", "lock", "watch"]
    }

    fn default_nodes(&self) -> usize {
        5
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn installed(&self) -> &'static str {
        "command -v etcd"
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let text = if Config::new(with)?.serializable { "sequential" } else { "linearizable" };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    /// A watch is a promise of its own, whatever reads are served from.
    fn claim_of(&self, workload: &str, with: &[(String, String)]) -> Result<Claim, String> {
        let claim = self.claim(with)?;
        Ok(if workload == "watch" { Claim { text: "linearizable".to_string(), ..claim } } else { claim })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("reads", "serializable")]]
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        let lock = start.workload == "lock";
        if lock && matches!(start.place, Place::Hosts(place) if place.no_db) {
            return Err(
                "the users of the lock are processes of this program on the nodes, and with --no-db nothing is started \
                 there"
                    .into(),
            );
        }
        daemons::start(self, start, |members| Ok(Members::new(config, members, lock)))
    }
}

/// The members, and how to ask them.
struct Members {
    config: Config,
    /// Name and address of each.
    members: Vec<(String, String)>,
    /// Whether each node has a user of the lock, too.
    lock: bool,
    /// The controller's connections, by node and port. One that broke is made anew at the next question: nothing that is
    /// asked here changes anything.
    kept: Mutex<HashMap<(usize, u16), Connection>>,
}

impl Members {
    fn new(config: Config, members: Vec<(String, String)>, lock: bool) -> Members {
        Members { config, members, lock, kept: Mutex::default() }
    }

    /// Starts the user of the lock on a node.
    fn start_holder(&self, node: usize) -> String {
        let address = self.members[node].1.parse().unwrap_or(Ipv4Addr::LOCALHOST);
        let holder = holder::Config {
            port: HOLDER_PORT,
            member: (address, CLIENT_PORT).into(),
            ttl: self.config.ttl,
            fencing: self.config.fencing,
        };
        let arguments = holder.arguments().join(" ");
        format!("setsid {HOLDER} etcd-holder {arguments} >>{HOLDER_LOG} 2>&1 </dev/null & echo $!")
    }

    /// Asks the member something by the controller's way.
    fn ask(
        &self,
        way: &Way<'_>,
        port: u16,
        path: &str,
        post: bool,
        deadline: Instant,
    ) -> Result<Answer, String> {
        let slot = (way.node, port);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&slot);
        let fresh = kept.is_none();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::new(way.dial(port, deadline)?, way.name),
        };
        let sent = if post { connection.post(path, "{}", deadline) } else { connection.get(path, deadline) };
        let answer = sent
            .map_err(|e| e.to_string())
            .and_then(|()| connection.answer(deadline).map_err(|why| format!("{why:?}")));
        match answer {
            Ok(answer) => {
                if !answer.last {
                    self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(slot, connection);
                }
                if answer.status == 200 {
                    Ok(answer)
                } else {
                    Err(format!("{path}: status {}", answer.status))
                }
            }
            // It was kept from before a restart; another one says what is so now.
            Err(_) if !fresh && Instant::now() < deadline => self.ask(way, port, path, post, deadline),
            Err(why) => Err(format!("{path}: {why}")),
        }
    }

    fn peer_url(&self, node: usize) -> String {
        format!("http://{}:{PEER_PORT}", self.members[node].1)
    }

    /// The members that one knows: their numbers, and where each is reached.
    fn listed(&self, way: &Way<'_>) -> Result<Vec<(String, Vec<String>)>, String> {
        let deadline = Instant::now() + CHANGE;
        let answer = self.ask(way, CLIENT_PORT, "/v3/cluster/member/list", true, deadline)?;
        api::members(&answer.body)
    }

    /// Asks a member for a change of the members, once.
    fn change(&self, way: &Way<'_>, what: &str, request: &serde_json::Value) -> Result<(), String> {
        let deadline = Instant::now() + CHANGE;
        let mut connection = Connection::new(way.dial(CLIENT_PORT, deadline)?, way.name);
        let path = format!("/v3/cluster/member/{what}");
        connection.post(&path, &request.to_string(), deadline).map_err(|e| e.to_string())?;
        let answer = connection.answer(deadline).map_err(|why| format!("{why:?}"))?;
        if answer.status == 200 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&answer.body);
        Err(format!("{path}: status {}: {}", answer.status, said.trim()))
    }

    fn status(&self, way: &Way<'_>, deadline: Instant) -> Result<Status, String> {
        let answer = self.ask(way, CLIENT_PORT, "/v3/maintenance/status", true, deadline)?;
        Status::read(&answer.body)
    }
}

impl Service for Members {
    fn parts(&self) -> Vec<Part> {
        let holder = self.lock.then(|| Part::new("holder"));
        std::iter::once(Part::new("etcd")).chain(holder).collect()
    }

    fn ourselves(&self) -> Option<&'static str> {
        self.lock.then_some(HOLDER)
    }

    fn start_command(&self, node: usize, part: usize, new: bool) -> String {
        if part == 1 {
            return self.start_holder(node);
        }
        let (name, address) = &self.members[node];
        let all: Vec<String> = self
            .members
            .iter()
            .map(|(name, address)| format!("{name}=http://{address}:{PEER_PORT}"))
            .collect();
        let Config { heartbeat, election, snapshot_count, .. } = self.config;
        let progress = match self.config.progress {
            0 => String::new(),
            interval => format!("--experimental-watch-progress-notify-interval {interval}ms"),
        };
        format!(
            "mkdir -p {DATA} && cd / && setsid etcd --name {name} --data-dir {DATA} \
             --listen-peer-urls http://{address}:{PEER_PORT} --initial-advertise-peer-urls http://{address}:{PEER_PORT} \
             --listen-client-urls http://{address}:{CLIENT_PORT} --advertise-client-urls http://{address}:{CLIENT_PORT} \
             --initial-cluster {} --initial-cluster-state {} --initial-cluster-token perjury \
             --heartbeat-interval {heartbeat} --election-timeout {election} \
             --snapshot-count {snapshot_count} {progress} --logger zap --log-outputs stderr \
             >>{LOG} 2>&1 </dev/null & echo $!",
            all.join(","),
            // Only a member without data looks at it: one that was taken in again.
            if new { "new" } else { "existing" }
        )
    }

    fn peer_port(&self) -> u16 {
        PEER_PORT
    }

    fn logs(&self) -> Vec<String> {
        let holder = self.lock.then(|| HOLDER_LOG.to_string());
        std::iter::once(LOG.to_string()).chain(holder).collect()
    }

    fn data(&self) -> Vec<String> {
        vec![DATA.to_string()]
    }

    fn files(&self) -> Vec<String> {
        vec![format!("{DATA}/member/wal/*.wal"), format!("{DATA}/member/snap/db")]
    }

    fn changes_members(&self) -> bool {
        true
    }

    fn leave(&self, other: &Way<'_>, node: usize) -> Result<(), String> {
        match self.listed(other)?.into_iter().find(|(_, urls)| urls.contains(&self.peer_url(node))) {
            Some((id, _)) => self.change(other, "remove", &json!({ "ID": id })),
            None => Ok(()),
        }
    }

    fn join(&self, other: &Way<'_>, node: usize) -> Result<(), String> {
        self.change(other, "add", &json!({ "peerURLs": [self.peer_url(node)] }))
    }

    fn member(&self, other: &Way<'_>, node: usize) -> Result<bool, String> {
        Ok(self.listed(other)?.iter().any(|(_, urls)| urls.contains(&self.peer_url(node))))
    }

    /// By the port of its peers, which it opens before it has found any.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        self.ask(way, PEER_PORT, "/version", false, deadline).map(drop)
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        if self.lock {
            way.dial(HOLDER_PORT, deadline)?;
        }
        self.status(way, deadline).map(drop)
    }

    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        let status = self.status(way, Instant::now() + PATIENCE)?;
        Ok(Some(Role { primary: status.leads(), term: status.term() }))
    }

    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let before = unix_ns(SystemTime::now());
        let answer = self.ask(way, PEER_PORT, "/version", false, Instant::now() + PATIENCE)?;
        let after = unix_ns(SystemTime::now());
        let date = answer.date.ok_or("its answer has no date")?;
        let date = DateTime::parse_from_rfc2822(&date).map_err(|e| format!("the date {date:?}: {e}"))?;
        Ok(Some(least_offset(date.timestamp(), before, after)))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let answer =
            self.ask(way, CLIENT_PORT, "/version", false, Instant::now() + Duration::from_secs(3))?;
        let version: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
        Ok(version["etcdserver"].as_str().unwrap_or("unknown").to_string())
    }

    /// Our own keys, and no others.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut connection = Connection::new(way.dial(CLIENT_PORT, deadline)?, way.name);
        connection.post("/v3/kv/deleterange", &api::ours(), deadline).map_err(|e| e.to_string())?;
        let answer = connection.answer(deadline).map_err(|why| format!("{why:?}"))?;
        if answer.status == 200 { Ok(()) } else { Err(format!("status {}", answer.status)) }
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        if self.lock {
            // To read is to show one's token, so not even that is without effect.
            return Ok(Box::new(Session::new(Socket::new(door.dial(door.node, HOLDER_PORT)?), &[])));
        }
        let connection = Connection::new(door.dial(door.node, CLIENT_PORT)?, door.name);
        if door.workload == "watch" {
            let stream = Connection::new(door.dial(door.node, CLIENT_PORT)?, door.name);
            return Ok(Box::new(Watcher::new(connection, stream)));
        }
        Ok(Box::new(EtcdClient::new(connection, door.workload, self.config.serializable)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_etcd_would_refuse_are_refused() {
        let with = |pairs: &[(&str, &str)]| {
            let with: Vec<_> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            Config::new(&with)
        };
        assert!(with(&[]).is_ok());
        assert!(with(&[("reads", "dirty")]).unwrap_err().contains("linearizable or serializable"));
        assert!(with(&[("heartbeat", "300")]).unwrap_err().contains("five heartbeats"));
    }
}
