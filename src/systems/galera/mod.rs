//! MariaDB with Galera, from its Debian packages: every node takes writes, and the group puts them in one order.
//!
//! ```text
//!   setup.rs  how it is readied and started on a node       wire.rs  its protocol
//! ```

mod setup;
mod wire;

use super::daemons;
use super::options::Options;
use super::service::{Door, Part, Service, Way};
use super::sql::{Access, Dialect, Reply, Rows, TABLES, create, least_offset, query, session};
use crate::client::{Claim, Client, Running, Start, System, SystemOption};
use crate::control::clock::unix_ns;
use nemesis::Role;
use setup::{DATA, INSTALLED, LOG, PEER_PORT, PORT, Setup};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use wire::Connection;

/// How long a server may take to say how it is.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long making the tables may take, and their way to all nodes.
const ASSEMBLY: Duration = Duration::from_secs(30);
/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(20);

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "sync-wait",
        default: "0",
        about: "wsrep_sync_wait of every session: 0 (a node answers from what it has applied), 1 (reads wait for what was ordered before them), or 7 (changes too)",
    },
    SystemOption {
        name: "flush",
        default: "1",
        about: "innodb_flush_log_at_trx_commit: 0 and 2 (once a second), or 1 (at every commit)",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    sync_wait: u8,
    flush: u8,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        Ok(Config {
            sync_wait: options.choice("sync-wait", &[("0", 0), ("1", 1), ("7", 7)])?,
            flush: options.choice("flush", &[("0", 0), ("1", 1), ("2", 2)])?,
        })
    }
}

/// MariaDB 10.11 with Galera 4, and later.
pub struct Galera;

impl System for Galera {
    fn name(&self) -> &'static str {
        "galera"
    }

    fn about(&self) -> &'static str {
        "MariaDB with Galera, from their Debian packages; every node takes writes, and clients speak MySQL's protocol, each with one node"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "cas-register", "versioned-register", "set", "counter"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn installed(&self) -> &'static str {
        INSTALLED
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let text = match Config::new(with)?.sync_wait {
            0 => "sequential, for sessions that stay with one node",
            1 => "linearizable, except for a compare-and-set that fails: it says what its node has applied",
            _ => "linearizable",
        };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("sync-wait", "1")], &[("sync-wait", "7")]]
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        daemons::start(self, start, |members| Ok(Group::new(config, members)))
    }
}

/// The nodes, and how to ask them.
struct Group {
    config: Config,
    setup: Setup,
    /// The controller's sessions, by node. One that broke is made anew at the next question: nothing that is asked there
    /// changes anything.
    kept: Mutex<HashMap<usize, Connection>>,
}

impl Group {
    fn new(config: Config, members: Vec<(String, String)>) -> Group {
        Group { config, setup: Setup { flush: config.flush, members }, kept: Mutex::default() }
    }

    /// A session of the controller's own, who asks a node also when it is not in the group.
    fn dial(way: &Way<'_>, deadline: Instant) -> Result<Connection, String> {
        let mut connection = Connection::greet(way.dial(PORT, deadline)?, deadline)?;
        let reply = query(&mut connection, "SET SESSION wsrep_dirty_reads = 1", deadline)?;
        reply.rows().map(|_| connection)
    }

    /// Asks a node something that changes nothing.
    fn ask(&self, way: &Way<'_>, text: &str, deadline: Instant) -> Result<Rows, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&way.node);
        // One from before a restart says nothing of what is so now.
        let (mut connection, old) = match kept {
            Some(connection) => (connection, true),
            None => (Group::dial(way, deadline)?, false),
        };
        match query(&mut connection, text, deadline) {
            Ok(reply) => {
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(way.node, connection);
                reply.rows().cloned()
            }
            Err(_) if old && Instant::now() < deadline => self.ask(way, text, deadline),
            Err(why) => Err(why),
        }
    }

    /// Whether a node is in the group, together with all others, and has caught up.
    fn joined(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let names =
            "('wsrep_ready', 'wsrep_local_state_comment', 'wsrep_cluster_size', 'wsrep_cluster_status')";
        let rows = self.ask(way, &format!("SHOW STATUS WHERE Variable_name IN {names}"), deadline)?;
        let told: HashMap<&str, &str> = rows
            .rows
            .iter()
            .filter_map(|row| match &row[..] {
                [Some(name), Some(value)] => Some((name.as_str(), value.as_str())),
                _ => None,
            })
            .collect();
        let size = self.setup.members.len().to_string();
        for (name, wanted) in [
            ("wsrep_ready", "ON"),
            ("wsrep_cluster_status", "Primary"),
            ("wsrep_local_state_comment", "Synced"),
            ("wsrep_cluster_size", &size),
        ] {
            match told.get(name) {
                Some(&found) if found == wanted => {}
                found => return Err(format!("{name} is {}, not {wanted}", found.unwrap_or(&"not told"))),
            }
        }
        Ok(())
    }
}

/// Looks until it is so.
fn wait_until(
    way: &Way<'_>,
    act: &str,
    until: Instant,
    so: impl Fn(Instant) -> Result<(), String>,
) -> Result<(), String> {
    loop {
        match so(until.min(Instant::now() + PATIENCE)) {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => return Err(format!("{}: {act}: {why}", way.name)),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn done(reply: &Reply) -> Result<(), String> {
    reply.rows().map(drop)
}

impl Service for Group {
    fn parts(&self) -> Vec<Part> {
        vec![Part::named("mariadb", "mariadbd")]
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    fn prepare(&self, node: usize) -> Option<String> {
        Some(self.setup.prepare(node))
    }

    fn start_command(&self, node: usize, _: usize, new: bool) -> String {
        self.setup.start(node, new)
    }

    /// The first node is the whole group until the others have copied it, one after the other: no node gives its data to
    /// two at a time.
    fn waves(&self, nodes: usize) -> Vec<Vec<(usize, usize)>> {
        (0..nodes).map(|node| vec![(node, 0)]).collect()
    }

    fn risen(&self, way: &Way<'_>, _: usize, deadline: Instant) -> Result<(), String> {
        self.ask(way, "SELECT 1", deadline).map(drop)
    }

    /// When all nodes are together, makes the tables, and waits until every node has them.
    fn assemble(&self, ways: &[Way<'_>]) -> Result<(), String> {
        let until = Instant::now() + ASSEMBLY;
        let Some(first) = ways.first() else { return Ok(()) };
        let last = TABLES[TABLES.len() - 1];
        for way in ways {
            wait_until(way, "waiting for the group", until, |soon| self.joined(way, soon))?;
        }
        wait_until(first, "making tables", until, |_| self.clear(first))?;
        for way in ways {
            let there = |soon| self.ask(way, &format!("SELECT count(*) FROM {last}"), soon).map(drop);
            wait_until(way, "waiting for the tables", until, there)?;
        }
        Ok(())
    }

    fn peer_port(&self) -> u16 {
        PEER_PORT
    }

    fn logs(&self) -> Vec<String> {
        vec![LOG.to_string()]
    }

    fn data(&self) -> Vec<String> {
        vec![DATA.to_string()]
    }

    fn files(&self) -> Vec<String> {
        vec![format!("{DATA}/db/perjury/*.ibd"), format!("{DATA}/db/ib_logfile0")]
    }

    /// By the port of its peers: it opens the other one when it has caught up, for which it needs most of the others.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        way.dial(PEER_PORT, deadline).map(drop)
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        self.joined(way, deadline)
    }

    /// All are equal.
    fn role(&self, _: &Way<'_>) -> Result<Option<Role>, String> {
        Ok(None)
    }

    /// A node that has not caught up tells nothing.
    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let deadline = Instant::now() + PATIENCE;
        let before = unix_ns(SystemTime::now());
        let rows = self.ask(way, "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED)", deadline);
        let after = unix_ns(SystemTime::now());
        let told = rows.ok().and_then(|rows| rows.first()?.parse::<i64>().ok());
        Ok(told.map(|told| least_offset(told, before, after)))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let version = self.ask(way, "SELECT version()", deadline)?;
        let version = version.first().unwrap_or("unknown");
        let provider = self.ask(way, "SHOW STATUS LIKE 'wsrep_provider_version'", deadline)?;
        let provider = provider.rows.first().and_then(|row| row.get(1)?.as_deref()).unwrap_or("unknown");
        let short = |text: &str, end: char| text.split(end).next().unwrap_or(text).to_string();
        Ok(format!("{}, Galera {}", short(version, '-'), short(provider, '(')))
    }

    /// Makes our tables anew; no others are touched.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let deadline = Instant::now() + ASSEMBLY;
        let mut connection = Connection::greet(way.dial(PORT, deadline)?, deadline)?;
        done(&query(&mut connection, &create(Dialect::Maria), deadline)?)
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        let mut connection = Connection::greet(door.dial(door.node, PORT)?, door.deadline)?;
        let wait = format!("SET SESSION wsrep_sync_wait = {}", self.config.sync_wait);
        done(&query(&mut connection, &wait, door.deadline)?)?;
        Ok(Box::new(session(connection, Dialect::Maria, door.workload, Access::All)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_galera_does_not_take_are_refused() {
        let with = |name: &str, value: &str| Config::new(&[(name.to_string(), value.to_string())]);
        assert!(with("sync-wait", "7").is_ok());
        assert!(with("sync-wait", "2").unwrap_err().contains("0 or 1 or 7"));
        assert!(with("flush", "3").is_err());
    }
}
