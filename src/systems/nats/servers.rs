//! The servers of a cluster on their nodes: how they are started, asked and readied.

use super::Config;
use super::api::{self, Manner};
use super::client::NatsClient;
use super::wire::{self, Message, Wire};
use crate::client::Client;
use crate::control::clock::unix_ns;
use crate::systems::http::{Answer, Connection};
use crate::systems::service::{Door, Part, Service, Way};
use chrono::DateTime;
use nemesis::Role;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

const CLIENT_PORT: u16 = 4222;
const PEER_PORT: u16 = 6222;
const MONITOR_PORT: u16 = 8222;
const DATA: &str = "/var/lib/perjury-nats";
const CONFIG: &str = "/run/perjury-nats.conf";
const LOG: &str = "/var/log/perjury-nats.log";

/// How long a server may take to say how it is: it does so from memory.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long a cluster may take to have a leader and to make a stream.
const READY: Duration = Duration::from_secs(30);
/// How long a request of the controller may take before another one asks again.
const REQUEST: Duration = Duration::from_secs(2);
/// How long it waits before.
const LOOK: Duration = Duration::from_millis(100);

/// The servers, and how to ask them.
pub struct Servers {
    config: Config,
    workload: String,
    /// Name and address of each.
    members: Vec<(String, String)>,
    /// Sessions of the controller, so that each has inboxes of its own.
    sessions: AtomicU64,
}

impl Servers {
    /// The servers of these names and addresses.
    pub fn new(config: Config, workload: &str, members: Vec<(String, String)>) -> Servers {
        Servers { config, workload: workload.to_string(), members, sessions: AtomicU64::new(0) }
    }

    /// Asks a server by its port for monitoring.
    fn monitor(way: &Way<'_>, path: &str, deadline: Instant) -> Result<Answer, String> {
        let mut connection = Connection::new(way.dial(MONITOR_PORT, deadline)?, way.name);
        connection.get(path, deadline).map_err(|e| format!("{path}: {e}"))?;
        connection.answer(deadline).map_err(|why| format!("{path}: {why:?}"))
    }

    fn json(way: &Way<'_>, path: &str, deadline: Instant) -> Result<Json, String> {
        let answer = Servers::monitor(way, path, deadline)?;
        if answer.status != 200 {
            return Err(format!("{path}: status {}", answer.status));
        }
        serde_json::from_slice(&answer.body).map_err(|e| format!("{path}: {e}"))
    }

    /// What this server knows of the replicas of the workload's stream: null, if it has none of them.
    fn replicas(&self, way: &Way<'_>, deadline: Instant) -> Result<Json, String> {
        let (stream, _) = api::stream(&self.workload, self.config.replicas, self.config.direct);
        let seen = Servers::json(way, "/jsz?streams=true", deadline)?;
        let accounts = seen["account_details"].as_array().into_iter().flatten();
        let mut streams =
            accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
        Ok(streams.find(|found| found["name"] == stream).map_or(Json::Null, |found| found["cluster"].clone()))
    }

    fn leads(&self, node: usize, leader: Option<&str>) -> bool {
        leader.is_some() && leader == self.members.get(node).map(|(name, _)| name.as_str())
    }

    /// Asks the API of JetStream something, by the controller's way.
    fn request(&self, way: &Way<'_>, subject: &str, body: &Json) -> Result<Message, String> {
        let deadline = Instant::now() + REQUEST;
        let name = format!("controller.{}", self.sessions.fetch_add(1, Ordering::Relaxed));
        let mut session = Wire::open(way.dial(CLIENT_PORT, deadline)?, &name, deadline)?;
        let payload = body.to_string().into_bytes();
        let sent =
            session.request(subject, &[], &payload, deadline).map_err(|e| format!("{subject}: {e}"))?;
        session.answer(sent, deadline).map_err(|why| format!("{subject}: {}", wire::said(&why)))
    }

    /// Makes the stream of the workload, as often as it takes: to make it again as it is changes nothing.
    fn create(&self, way: &Way<'_>) -> Result<(), String> {
        let (name, config) = api::stream(&self.workload, self.config.replicas, self.config.direct);
        let subject = format!("$JS.API.STREAM.CREATE.{name}");
        let made = || api::created(&self.request(way, &subject, &config)?);
        repeat(made).map_err(|why| format!("{}: creating the stream {name}: {why}", way.name))
    }
}

/// Tries until it succeeds or its time is up.
fn repeat(mut act: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let until = Instant::now() + READY;
    loop {
        match act() {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => return Err(why),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

impl Service for Servers {
    fn parts(&self) -> Vec<Part> {
        vec![Part::new("nats-server")]
    }

    fn start_command(&self, node: usize, _: usize, _: bool) -> String {
        let (name, address) = &self.members[node];
        let others = self.members.iter().enumerate().filter(|(at, _)| *at != node);
        let routes: Vec<String> = others.map(|(_, (_, a))| format!("nats://{a}:{PEER_PORT}")).collect();
        let sync = self.config.sync.as_ref().map_or(String::new(), |sync| format!(", sync_interval: {sync}"));
        let cluster = if routes.is_empty() {
            String::new()
        } else {
            format!(
                "cluster {{ name: perjury, listen: \"{address}:{PEER_PORT}\", no_advertise: true, routes: [ {} ] }}\n",
                routes.join(", ")
            )
        };
        format!(
            "mkdir -p {DATA} && cat >{CONFIG} <<'END'\n\
             server_name: {name}\n\
             listen: \"0.0.0.0:{CLIENT_PORT}\"\n\
             http: \"0.0.0.0:{MONITOR_PORT}\"\n\
             jetstream {{ store_dir: \"{DATA}\", max_mem: 256M, max_file: 1G{sync} }}\n\
             {cluster}\
             END\n\
             cd / && setsid nats-server -c {CONFIG} >>{LOG} 2>&1 </dev/null & echo $!"
        )
    }

    /// A leader of all, then the stream.
    fn assemble(&self, ways: &[Way<'_>]) -> Result<(), String> {
        if ways.len() > 1 {
            for way in ways {
                repeat(|| {
                    let seen = Servers::json(way, "/jsz", Instant::now() + REQUEST)?;
                    let leads = seen["meta_cluster"]["leader"].as_str().is_some_and(|name| !name.is_empty());
                    let size = seen["meta_cluster"]["cluster_size"].as_u64().unwrap_or(0);
                    if leads && size == ways.len() as u64 {
                        Ok(())
                    } else {
                        Err(format!("{}: it knows of {size} servers, and of no leader", way.name))
                    }
                })?;
            }
        }
        match ways.first() {
            Some(way) => self.create(way),
            None => Ok(()),
        }
    }

    fn peer_port(&self) -> u16 {
        PEER_PORT
    }

    fn logs(&self) -> Vec<String> {
        vec![LOG.to_string()]
    }

    fn data(&self) -> Vec<String> {
        vec![DATA.to_string(), CONFIG.to_string()]
    }

    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        Servers::json(way, "/varz", deadline).map(drop)
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let health = Servers::monitor(way, "/healthz", deadline)?;
        if health.status == 200 {
            return Ok(());
        }
        Err(format!("it is not healthy: {}", String::from_utf8_lossy(&health.body)))
    }

    /// Whether it is healthy and, if it leads the stream, every replica is current and lags behind by nothing.
    fn settled(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        self.serves(way, deadline)?;
        let cluster = self.replicas(way, deadline)?;
        if !self.leads(way.node, cluster["leader"].as_str()) {
            return Ok(());
        }
        for replica in cluster["replicas"].as_array().into_iter().flatten() {
            let lag = replica["lag"].as_u64().unwrap_or(0);
            if replica["current"] != true || lag > 0 {
                return Err(format!("{} is {lag} operations behind", replica["name"]));
            }
        }
        Ok(())
    }

    /// The leader of the stream. Its term is told nowhere.
    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        let cluster = self.replicas(way, Instant::now() + PATIENCE)?;
        Ok(Some(Role { primary: self.leads(way.node, cluster["leader"].as_str()), term: 0 }))
    }

    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let before = unix_ns(SystemTime::now());
        let seen = Servers::json(way, "/varz", Instant::now() + PATIENCE)?;
        let after = unix_ns(SystemTime::now());
        let now = seen["now"].as_str().ok_or("it does not say what the time is")?;
        let now = DateTime::parse_from_rfc3339(now).map_err(|e| format!("the time {now:?}: {e}"))?;
        let now = now.timestamp_nanos_opt().ok_or("a time out of range")?;
        Ok(Some(least_offset(now, before, after)))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let seen = Servers::json(way, "/varz", Instant::now() + REQUEST)?;
        Ok(seen["version"].as_str().unwrap_or("unknown").to_string())
    }

    /// Our own stream, which is made anew.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let (name, _) = api::stream(&self.workload, self.config.replicas, self.config.direct);
        // That there is none is as good; whatever else is wrong shows when it is made.
        self.request(way, &format!("$JS.API.STREAM.DELETE.{name}"), &json!({}))?;
        self.create(way)
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        let stream = door.dial(door.node, CLIENT_PORT)?;
        let wire = Wire::open(stream, &door.process.to_string(), door.deadline)
            .map_err(|why| format!("{}: {why}", door.name))?;
        let manner = Manner { workload: door.workload.to_string(), direct: self.config.direct };
        Ok(Box::new(NatsClient::new(wire, manner)))
    }
}

/// A clock that showed `now` at some time between `before` and `after`: the least offset that explains it, in
/// nanoseconds.
fn least_offset(now: i64, before: i64, after: i64) -> i64 {
    if now < before { now - before } else { (now - after).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_right_while_it_was_asked_for_proves_nothing() {
        assert_eq!(least_offset(105, 100, 110), 0);
        assert_eq!(least_offset(130, 100, 110), 20);
        assert_eq!(least_offset(70, 100, 110), -30);
    }

    #[test]
    fn a_server_alone_has_no_cluster_and_others_have_routes_to_each_other() {
        let config = Config::new(&[]).unwrap();
        let member = |n: usize| (format!("n{n}"), format!("10.0.0.{n}"));
        let alone = Servers::new(config.clone(), "register", vec![member(1)]);
        assert!(!alone.start_command(0, 0, true).contains("cluster"));
        let three = Servers::new(config, "register", (1..=3).map(member).collect());
        let command = three.start_command(1, 0, true);
        assert!(command.contains("routes: [ nats://10.0.0.1:6222, nats://10.0.0.3:6222 ]"), "{command}");
        assert!(!command.contains("sync_interval"));
    }
}
