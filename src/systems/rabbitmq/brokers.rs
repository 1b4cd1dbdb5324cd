//! The brokers of a cluster on their nodes: how they are started, asked and readied.
//!
//! ```text
//!   epmd ─▶ rabbit@n1, rabbit@n2, … find each other by a list ─▶ a policy for mirrored queues, and the first queue
//! ```

use super::Config;
use super::client::{RabbitClient, queue};
use super::wire::Wire;
use crate::client::Client;
use crate::systems::http::{Answer, Connection};
use crate::systems::service::{Door, Part, Service, Way};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use history::Value;
use nemesis::Role;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

const CLIENT_PORT: u16 = 5672;
const PEER_PORT: u16 = 25672;
const MANAGEMENT_PORT: u16 = 15672;
const DATA: &str = "/var/lib/perjury-rabbitmq";
const LOG: &str = "/var/log/perjury-rabbitmq.log";
/// The scripts of the package; those on the path change the user first.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
const USER: &str = "guest";
const PASSWORD: &str = "guest";
/// The number of the part that finds processes for others.
const EPMD: usize = 1;

/// How long a broker may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a cluster may take until all its brokers serve: a virtual machine starts slowly on a machine that is busy.
const READY: Duration = Duration::from_secs(150);

/// The brokers, and how to ask them.
pub struct Brokers {
    config: Config,
    /// Name and address of each.
    members: Vec<(String, String)>,
}

impl Brokers {
    /// The brokers on the nodes of these names and addresses.
    pub fn new(config: Config, members: Vec<(String, String)>) -> Brokers {
        Brokers { config, members }
    }

    fn broker(&self, node: usize) -> String {
        self.members.get(node).map_or_else(String::new, |(name, _)| format!("rabbit@{name}"))
    }

    /// Asks a broker something by its port for management.
    fn ask(
        way: &Way<'_>,
        method: &str,
        path: &str,
        body: Option<&Json>,
        deadline: Instant,
    ) -> Result<Answer, String> {
        let mut connection = Connection::new(way.dial(MANAGEMENT_PORT, deadline)?, way.name);
        let credentials = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let headers = [("Authorization", format!("Basic {credentials}"))];
        let body = body.map(Json::to_string);
        connection
            .request(method, path, &headers, body.as_deref(), deadline)
            .map_err(|e| format!("{path}: {e}"))?;
        let answer = connection.answer(deadline).map_err(|why| format!("{path}: {why:?}"))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        Err(format!("{path}: status {} {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }

    fn get(way: &Way<'_>, path: &str, deadline: Instant) -> Result<Json, String> {
        let answer = Brokers::ask(way, "GET", path, None, deadline)?;
        serde_json::from_slice(&answer.body).map_err(|e| format!("{path}: {e}"))
    }

    /// Whether the broker sees all of them run.
    fn whole(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let nodes = Brokers::get(way, "/api/nodes", deadline)?;
        let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
        let run = nodes.iter().filter(|node| node["running"] == true).count();
        if run == self.members.len() {
            Ok(())
        } else {
            Err(format!("it sees {run} of {} brokers run", self.members.len()))
        }
    }

    /// The configuration file of all brokers.
    fn config(&self) -> String {
        let mut text = String::from("cluster_formation.peer_discovery_backend = classic_config\n");
        for node in 0..self.members.len() {
            text += &format!("cluster_formation.classic_config.nodes.{} = {}\n", node + 1, self.broker(node));
        }
        text += &format!(
            "cluster_formation.randomized_startup_delay_range.min = 0\n\
             cluster_formation.randomized_startup_delay_range.max = 1\n\
             cluster_partition_handling = {}\n\
             net_ticktime = {}\n\
             loopback_users = none\n\
             vm_memory_high_watermark.absolute = 512MB\n\
             disk_free_limit.absolute = 1MB\n\
             management.tcp.port = {MANAGEMENT_PORT}\n\
             management_agent.disable_metrics_collector = true\n\
             log.console = true\n\
             log.file = false\n",
            self.config.partition_handling, self.config.ticktime
        );
        text
    }

    /// Whether the broker leads this queue, as it knows.
    fn leads(&self, way: &Way<'_>, queue: &Json) -> bool {
        let leader = queue["leader"].as_str().or(queue["node"].as_str());
        leader == Some(self.broker(way.node).as_str())
    }
}

/// The number at the end of the name of a queue, by which keys are counted.
fn number(queue: &Json) -> u64 {
    let name = queue["name"].as_str().unwrap_or_default();
    name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

impl Service for Brokers {
    fn parts(&self) -> Vec<Part> {
        vec![Part::named("rabbitmq", "beam.smp"), Part::new("epmd")]
    }

    fn patience(&self) -> Duration {
        READY
    }

    /// The cookie that all brokers share, the configuration, and the names of all nodes, which must be known.
    fn prepare(&self, _: usize) -> Option<String> {
        let names: Vec<String> = self
            .members
            .iter()
            .map(|(name, address)| {
                format!("grep -q '[[:space:]]{name}$' /etc/hosts || echo '{address} {name}' >>/etc/hosts\n")
            })
            .collect();
        Some(format!(
            "mkdir -p {DATA}/mnesia {DATA}/home && \
             rm -f {DATA}/home/.erlang.cookie && printf perjury >{DATA}/home/.erlang.cookie && \
             chmod 400 {DATA}/home/.erlang.cookie && echo '[rabbitmq_management].' >{DATA}/enabled_plugins && \
             cat >{DATA}/rabbitmq.conf <<'END'\n{}END\n{}",
            self.config(),
            names.concat()
        ))
    }

    fn start_command(&self, node: usize, part: usize, _: bool) -> String {
        if part == EPMD {
            return format!("cd / && setsid epmd >>{LOG} 2>&1 </dev/null & echo $!");
        }
        let schedulers = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none";
        format!(
            "cd / && export HOME={DATA}/home RABBITMQ_NODENAME={} RABBITMQ_MNESIA_BASE={DATA}/mnesia \
             RABBITMQ_LOG_BASE={DATA}/log RABBITMQ_CONFIG_FILE={DATA}/rabbitmq.conf \
             RABBITMQ_ENABLED_PLUGINS_FILE={DATA}/enabled_plugins RABBITMQ_PID_FILE={DATA}/pid \
             RABBITMQ_FEATURE_FLAGS_FILE={DATA}/feature_flags RABBITMQ_CONF_ENV_FILE=/dev/null \
             RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-start_epmd false {schedulers}' && \
             setsid {SCRIPTS}/rabbitmq-server >>{LOG} 2>&1 </dev/null & echo $!",
            self.broker(node)
        )
    }

    /// Names first.
    fn waves(&self, nodes: usize) -> Vec<Vec<(usize, usize)>> {
        [EPMD, 0].into_iter().map(|part| (0..nodes).map(|node| (node, part)).collect()).collect()
    }

    fn risen(&self, way: &Way<'_>, part: usize, deadline: Instant) -> Result<(), String> {
        if part == EPMD { way.dial(4369, deadline).map(drop) } else { self.whole(way, deadline) }
    }

    /// A policy that makes mirrors, where they are wanted, and the queue of the first key, which everybody would make at
    /// once.
    fn assemble(&self, ways: &[Way<'_>]) -> Result<(), String> {
        let Some(way) = ways.first() else { return Ok(()) };
        let deadline = Instant::now() + READY;
        if self.config.mirrored {
            let policy = json!({"pattern": "^perjury", "apply-to": "queues",
                "definition": {"ha-mode": "all", "ha-sync-mode": self.config.sync}});
            Brokers::ask(way, "PUT", "/api/policies/%2F/perjury", Some(&policy), deadline)
                .map_err(|why| format!("{}: setting a policy: {why}", way.name))?;
        }
        let kind = if self.config.mirrored { "classic" } else { "quorum" };
        let queue = queue(Some(&Value::text("k0")))?;
        let declared = json!({"durable": true, "arguments": {"x-queue-type": kind}});
        Brokers::ask(way, "PUT", &format!("/api/queues/%2F/{queue}"), Some(&declared), deadline)
            .map(drop)
            .map_err(|why| format!("{}: declaring a queue: {why}", way.name))
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

    /// By the port of its peers, which it opens before it waits for any of them.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        way.dial(PEER_PORT, deadline).map(drop)
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        self.whole(way, deadline)?;
        Wire::open(way.dial(CLIENT_PORT, deadline)?, USER, PASSWORD, deadline).map(drop)
    }

    /// The leader of the newest queue. Its term is told nowhere.
    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        let queues = Brokers::get(way, "/api/queues/%2F", Instant::now() + PATIENCE)?;
        let newest = queues.as_array().into_iter().flatten().max_by_key(|queue| number(queue));
        Ok(Some(Role { primary: newest.is_some_and(|queue| self.leads(way, queue)), term: 0 }))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let overview = Brokers::get(way, "/api/overview", Instant::now() + PATIENCE)?;
        Ok(overview["rabbitmq_version"].as_str().unwrap_or("unknown").to_string())
    }

    /// Our own queues, and no others.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let deadline = Instant::now() + READY;
        let queues = Brokers::get(way, "/api/queues/%2F", deadline)?;
        for queue in queues.as_array().into_iter().flatten() {
            let name = queue["name"].as_str().unwrap_or_default();
            if name.starts_with("perjury.") || name.starts_with("perjury=") {
                let name: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
                Brokers::ask(way, "DELETE", &format!("/api/queues/%2F/{name}"), None, deadline)?;
            }
        }
        self.assemble(&[*way])
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        let stream = door.dial(door.node, CLIENT_PORT)?;
        let wire = Wire::open(stream, USER, PASSWORD, door.deadline)
            .map_err(|why| format!("{}: {why}", door.name))?;
        Ok(Box::new(RabbitClient::new(wire, if self.config.mirrored { "classic" } else { "quorum" })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_queue_is_the_one_with_the_largest_number() {
        let of = |name: &str| number(&json!({"name": name}));
        assert_eq!((of("perjury.k7"), of("perjury.k12"), of("perjury=null")), (7, 12, 0));
    }

    #[test]
    fn all_brokers_are_in_the_configuration() {
        let config = Config::new(&[]).unwrap();
        let members = (1..=3).map(|n| (format!("n{n}"), format!("10.0.0.{n}"))).collect();
        let brokers = Brokers::new(config, members);
        assert!(brokers.config().contains("classic_config.nodes.3 = rabbit@n3\n"));
        assert!(brokers.prepare(0).unwrap().contains("echo '10.0.0.2 n2' >>/etc/hosts"));
        assert!(brokers.start_command(1, 0, true).contains("RABBITMQ_NODENAME=rabbit@n2"));
    }
}
