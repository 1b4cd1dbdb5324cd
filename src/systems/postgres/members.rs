//! The nodes of PostgreSQL: how they are asked by the controller, and how clients find the one that they are with.

use super::config::{Config, Mode, Reads};
use super::setup::{DATA, ETCD_DATA, ETCD_LOG, ETCD_PEER_PORT, LOG, PATRONI_LOG, PORT, Setup};
use super::wire::Connection;
use crate::client::Client;
use crate::control::clock::unix_ns;
use crate::systems::service::{Door, Part, Service, Way};
use crate::systems::sql::{Access, Dialect, Reply, Rows, TABLES, create, least_offset, query, session};
use nemesis::Role;
use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How long a server may take to say who it is.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long making the tables may take, and their way to the standbys.
const ASSEMBLY: Duration = Duration::from_secs(30);
/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(20);

/// Whether it is the primary, and its timeline: that of its log, or the one that it follows.
const ROLE: &str = "SELECT NOT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() \
    THEN (SELECT timeline_id FROM pg_control_checkpoint()) \
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END";

/// The servers, and how to ask them.
pub struct Members {
    setup: Setup,
    /// The controller's sessions, by node. One that broke is made anew at the next question: nothing that is asked there
    /// changes anything.
    kept: Mutex<HashMap<usize, Connection>>,
    /// Where a client has found the primary last.
    primary: AtomicUsize,
}

impl Members {
    pub fn new(config: Config, members: Vec<(String, String)>) -> Members {
        let setup = Setup { config, members };
        Members { setup, kept: Mutex::default(), primary: AtomicUsize::new(0) }
    }

    fn mode(&self) -> Mode {
        self.setup.config.mode
    }

    /// A session of the controller's own.
    fn dial(way: &Way<'_>, deadline: Instant) -> Result<Connection, String> {
        let settings =
            [("user", "postgres"), ("database", "postgres"), ("application_name", "perjury control")];
        Connection::greet(way.dial(PORT, deadline)?, &settings, deadline)
    }

    /// Asks a node something that changes nothing.
    fn ask(&self, way: &Way<'_>, text: &str, deadline: Instant) -> Result<Rows, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&way.node);
        // One from before a restart says nothing of what is so now.
        let (mut connection, old) = match kept {
            Some(connection) => (connection, true),
            None => (Members::dial(way, deadline)?, false),
        };
        match query(&mut connection, text, deadline) {
            Ok(reply) if reply.last => Err(refused(&reply)),
            Ok(reply) => {
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(way.node, connection);
                reply.rows().cloned()
            }
            Err(_) if old && Instant::now() < deadline => self.ask(way, text, deadline),
            Err(why) => Err(why),
        }
    }

    fn role_by(&self, way: &Way<'_>, deadline: Instant) -> Result<Role, String> {
        let rows = self.ask(way, ROLE, deadline)?;
        match rows.rows.first().map(Vec::as_slice) {
            Some([Some(primary), Some(timeline)]) => {
                Ok(Role { primary: primary == "t", term: timeline.parse().unwrap_or(0) })
            }
            _ => Err("it does not say who it is".into()),
        }
    }

    /// The node that is the primary, once there is one.
    fn wait_for_primary<'a, 'b>(&self, ways: &'a [Way<'b>], until: Instant) -> Result<&'a Way<'b>, String> {
        loop {
            for way in ways {
                if self.role_by(way, until.min(Instant::now() + PATIENCE)).is_ok_and(|role| role.primary) {
                    return Ok(way);
                }
            }
            if Instant::now() >= until {
                return Err("no node is the primary".into());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Settings of a client's session.
    fn greet(&self, stream: TcpStream, deadline: Instant) -> Result<Connection, String> {
        let Config { commit, isolation, .. } = self.setup.config;
        let settings = [
            ("user", "postgres"),
            ("database", "postgres"),
            ("application_name", "perjury"),
            ("standard_conforming_strings", "on"),
            ("synchronous_commit", commit),
            ("default_transaction_isolation", isolation),
        ];
        Connection::greet(stream, &settings, deadline)
    }

    /// A session with whoever is the primary: the node's own server if it is, else the one that was it last, else any.
    fn open_primary(&self, door: &Door<'_>) -> Result<Connection, String> {
        let nodes = self.setup.members.len();
        let mut order = vec![door.node, self.primary.load(Ordering::Relaxed).min(nodes - 1)];
        order.extend(0..nodes);
        let mut asked = Vec::new();
        let mut reasons = Vec::new();
        for node in order {
            if asked.contains(&node) {
                continue;
            }
            // What is left is shared by those who are left.
            let left = door.deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(nodes - asked.len()).unwrap_or(1);
            asked.push(node);
            let soon = Instant::now() + share;
            let mut sooner = *door;
            sooner.deadline = soon;
            let found = sooner.dial(node, PORT).and_then(|stream| {
                let mut connection = self.greet(stream, soon)?;
                let recovers = recovers(&mut connection, soon)?;
                Ok((connection, recovers))
            });
            let name = &self.setup.members[node].0;
            match found {
                Ok((connection, false)) => {
                    self.primary.store(node, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok((_, true)) => reasons.push(format!("{name} is a standby")),
                Err(why) => reasons.push(format!("{name}: {why}")),
            }
        }
        Err(format!("no primary was found: {}", reasons.join("; ")))
    }
}

/// Whether a server is a standby.
fn recovers(connection: &mut Connection, deadline: Instant) -> Result<bool, String> {
    let reply = query(connection, "SELECT pg_is_in_recovery()", deadline)?;
    Ok(reply.rows()?.first() == Some("t"))
}

fn refused(reply: &Reply) -> String {
    reply.error.as_ref().map_or_else(|| "the session has ended".to_string(), |refusal| refusal.text())
}

impl Service for Members {
    fn parts(&self) -> Vec<Part> {
        match self.mode() {
            // The first is the process that the others descend from, PostgreSQL too (setup.rs).
            Mode::Patroni => {
                vec![Part::named("postgres", "postgres"), Part::new("patroni"), Part::new("etcd")]
            }
            Mode::Single | Mode::Sync | Mode::Async => vec![Part::new("postgres")],
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn prepare(&self, node: usize) -> Option<String> {
        Some(self.setup.prepare(node))
    }

    fn start_command(&self, node: usize, part: usize, new: bool) -> String {
        match (self.mode(), part) {
            (Mode::Patroni, 0) => self.setup.start_keeper(),
            (Mode::Patroni, 1) => self.setup.start_patroni(),
            (Mode::Patroni, _) => self.setup.start_etcd(node),
            (Mode::Single | Mode::Sync | Mode::Async, _) => self.setup.start_postgres(node, new),
        }
    }

    /// A standby copies the primary, which must be there; Patroni's store must be there before Patroni.
    fn waves(&self, nodes: usize) -> Vec<Vec<(usize, usize)>> {
        match self.mode() {
            Mode::Patroni => [2, 0, 1].map(|part| (0..nodes).map(|node| (node, part)).collect()).to_vec(),
            Mode::Single | Mode::Sync | Mode::Async if nodes == 1 => vec![vec![(0, 0)]],
            Mode::Single | Mode::Sync | Mode::Async => {
                vec![vec![(0, 0)], (1..nodes).map(|node| (node, 0)).collect()]
            }
        }
    }

    fn risen(&self, way: &Way<'_>, part: usize, deadline: Instant) -> Result<(), String> {
        match (self.mode(), part) {
            (Mode::Patroni, 0) => Ok(()),
            (Mode::Patroni, 2) => way.dial(ETCD_PEER_PORT, deadline).map(drop),
            _ => self.role_by(way, deadline).map(drop),
        }
    }

    /// Makes the tables, and waits until every node has them.
    fn assemble(&self, ways: &[Way<'_>]) -> Result<(), String> {
        let until = Instant::now() + ASSEMBLY;
        let primary = self.wait_for_primary(ways, until)?;
        let failed = |way: &Way<'_>, why: String| format!("{}: making tables: {why}", way.name);
        let mut connection = Members::dial(primary, until).map_err(|why| failed(primary, why))?;
        let reply =
            query(&mut connection, &create(Dialect::Postgres), until).map_err(|why| failed(primary, why))?;
        if reply.error.is_some() {
            return Err(failed(primary, refused(&reply)));
        }
        for way in ways {
            loop {
                match self.serves(way, until.min(Instant::now() + PATIENCE)) {
                    Ok(()) => break,
                    Err(why) if Instant::now() >= until => return Err(failed(way, why)),
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        }
        Ok(())
    }

    fn peer_port(&self) -> u16 {
        PORT
    }

    fn logs(&self) -> Vec<String> {
        let logs = match self.mode() {
            Mode::Patroni => &[PATRONI_LOG, ETCD_LOG][..],
            Mode::Single | Mode::Sync | Mode::Async => &[LOG],
        };
        logs.iter().map(|log| log.to_string()).collect()
    }

    fn data(&self) -> Vec<String> {
        vec![DATA.to_string(), ETCD_DATA.to_string()]
    }

    fn files(&self) -> Vec<String> {
        vec![format!("{DATA}/db/base/*/*"), format!("{DATA}/db/pg_wal/*")]
    }

    /// Patroni starts no server before most of the others are there, so it is enough that its store answers.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        match self.mode() {
            Mode::Patroni => way.dial(ETCD_PEER_PORT, deadline).map(drop),
            Mode::Single | Mode::Sync | Mode::Async => self.role_by(way, deadline).map(drop),
        }
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let last = TABLES[TABLES.len() - 1];
        self.ask(way, &format!("SELECT count(*) FROM {last}"), deadline).map(drop)
    }

    /// Where nobody can take the primary's place, it is no role: n1 is the primary for good.
    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        if self.mode() != Mode::Patroni {
            return Ok(None);
        }
        self.role_by(way, Instant::now() + PATIENCE).map(Some)
    }

    /// By a new session: it is served by a new process. A server that is not up tells nothing.
    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let deadline = Instant::now() + PATIENCE;
        let Ok(mut connection) = Members::dial(way, deadline) else { return Ok(None) };
        let before = unix_ns(SystemTime::now());
        let reply = query(
            &mut connection,
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            deadline,
        );
        let after = unix_ns(SystemTime::now());
        let told = reply.ok().and_then(|reply| reply.rows().ok()?.first()?.parse::<i64>().ok());
        Ok(told.map(|told| least_offset(told, before, after)))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let rows = self.ask(way, "SHOW server_version", deadline)?;
        let version = rows.first().unwrap_or("unknown");
        let version = version.split(' ').next().unwrap_or(version).to_string();
        if self.mode() != Mode::Patroni {
            return Ok(version);
        }
        let patroni = way.sh("patroni --version", Duration::from_secs(10))?;
        Ok(format!("{version}, Patroni {}", patroni.split(' ').next_back().unwrap_or("unknown")))
    }

    /// Makes our tables anew; no others are touched.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let deadline = Instant::now() + ASSEMBLY;
        let mut connection = Members::dial(way, deadline)?;
        if recovers(&mut connection, deadline)? {
            return Err("it is a standby: name the primary first".into());
        }
        let reply = query(&mut connection, &create(Dialect::Postgres), deadline)?;
        reply.rows().map(drop)
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        let reads = self.setup.config.reads;
        let (connection, access) = if reads == Reads::Primary {
            (self.open_primary(door)?, Access::All)
        } else {
            let mut connection = self.greet(door.dial(door.node, PORT)?, door.deadline)?;
            let access = match (recovers(&mut connection, door.deadline)?, reads) {
                (true, _) => Access::Reads("a session with a standby only reads"),
                (false, Reads::Standby) => Access::Writes("a session with the primary only writes"),
                (false, Reads::Primary | Reads::Local) => Access::All,
            };
            (connection, access)
        };
        Ok(Box::new(session(connection, Dialect::Postgres, door.workload, access)))
    }
}
