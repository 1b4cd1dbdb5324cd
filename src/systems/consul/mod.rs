//! Consul: its key/value store over HTTP, with its three kinds of reads, in a lab or on other machines that have the program.
//!
//! ```text
//!   api.rs     calls as requests, answers as outcomes: what has failed, what is unknown
//!   client.rs  one session with one server
//! ```
//! No machine that this was written on had a Consul: the shapes of its answers are those of its documentation.

mod api;
mod client;

use super::daemons;
use super::http::{Answer, Connection, least_offset};
use super::options::Options;
use super::service::{Door, Part, Service, Way};
use crate::client::{Claim, Client, Running, Start, System, SystemOption};
use crate::control::clock::unix_ns;
use api::Reads;
use chrono::DateTime;
use nemesis::Role;
use serde_json::Value as Json;
use std::time::{Duration, Instant, SystemTime};

const CLIENT_PORT: u16 = 8500;
const PEER_PORT: u16 = 8300;
const GOSSIP_PORT: u16 = 8301;
const DATA: &str = "/var/lib/perjury-consul";
const LOG: &str = "/var/log/perjury-consul.log";
/// How long a server may take to say how it is.
const PATIENCE: Duration = Duration::from_millis(1000);

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "reads",
        default: "consistent",
        about: "consistent (the leader asks a majority first), default (it answers while it believes that it leads) or stale (any server answers)",
    },
    SystemOption {
        name: "raft-multiplier",
        default: "1",
        about: "by how much its timeouts are longer than the shortest ones, 1 to 10",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    reads: Reads,
    multiplier: u64,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let reads = options.choice(
            "reads",
            &[("consistent", Reads::Consistent), ("default", Reads::Default), ("stale", Reads::Stale)],
        )?;
        Ok(Config { reads, multiplier: options.number("raft-multiplier", 1..=10)? })
    }
}

/// Consul.
pub struct Consul;

impl System for Consul {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn about(&self) -> &'static str {
        "Consul's key/value store, in a lab (--lab N) or on machines (--nodes) that have the program, which Debian has no package of; each client speaks HTTP with one server"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "cas-register", "revision-register", "set"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let text = match Config::new(with)?.reads {
            Reads::Consistent => "linearizable",
            Reads::Default => "linearizable, unless a leader does not know yet that it is none any more",
            Reads::Stale => "linearizable writes; reads from any server, which may be late",
        };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("reads", "default")], &[("reads", "stale")]]
    }

    fn installed(&self) -> &'static str {
        "command -v consul"
    }

    /// Debian has none.
    fn packages(&self) -> &'static str {
        ""
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        daemons::start(self, start, |members| Ok(Servers { config, members }))
    }
}

/// The servers, and how to ask them.
struct Servers {
    config: Config,
    /// Name and address of each.
    members: Vec<(String, String)>,
}

impl Servers {
    fn ask(way: &Way<'_>, method: &str, path: &str, deadline: Instant) -> Result<Answer, String> {
        let mut connection = Connection::new(way.dial(CLIENT_PORT, deadline)?, way.name);
        connection.request(method, path, &[], None, deadline).map_err(|e| format!("{path}: {e}"))?;
        let answer = connection.answer(deadline).map_err(|why| format!("{path}: {why:?}"))?;
        if answer.status == 200 {
            return Ok(answer);
        }
        Err(format!("{path}: status {} {}", answer.status, String::from_utf8_lossy(&answer.body).trim()))
    }

    fn json(way: &Way<'_>, path: &str, deadline: Instant) -> Result<Json, String> {
        let answer = Servers::ask(way, "GET", path, deadline)?;
        serde_json::from_slice(&answer.body).map_err(|e| format!("{path}: {e}"))
    }
}

impl Service for Servers {
    fn parts(&self) -> Vec<Part> {
        vec![Part::new("consul")]
    }

    fn start_command(&self, node: usize, _: usize, _: bool) -> String {
        let (name, address) = &self.members[node];
        let others = self.members.iter().enumerate().filter(|(at, _)| *at != node);
        let join: String = others.map(|(_, (_, a))| format!(" -retry-join {a}")).collect();
        format!(
            "mkdir -p {DATA} && cd / && setsid consul agent -server -node {name} -bind {address} -client 0.0.0.0 \
             -data-dir {DATA} -bootstrap-expect {}{join} -retry-interval 1s \
             -hcl 'performance {{ raft_multiplier = {} }} disable_update_check = true' \
             >>{LOG} 2>&1 </dev/null & echo $!",
            self.members.len(),
            self.config.multiplier
        )
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

    /// By the port of its gossip, which it opens before it has found any of the others.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        way.dial(GOSSIP_PORT, deadline).map(drop)
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let leader = Servers::json(way, "/v1/status/leader", deadline)?;
        let peers = Servers::json(way, "/v1/status/peers", deadline)?;
        let peers = peers.as_array().map_or(0, Vec::len);
        match leader.as_str() {
            Some("") | None => Err("it knows of no leader".into()),
            Some(_) if peers < self.members.len() => {
                Err(format!("it knows of {peers} of {} servers", self.members.len()))
            }
            Some(_) => Ok(()),
        }
    }

    /// The leader, as the server knows it. Its term is in no documented answer.
    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        let leader = Servers::json(way, "/v1/status/leader", Instant::now() + PATIENCE)?;
        let own = self.members.get(way.node).map(|(_, address)| format!("{address}:{PEER_PORT}"));
        Ok(Some(Role { primary: own.is_some() && leader.as_str() == own.as_deref(), term: 0 }))
    }

    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let before = unix_ns(SystemTime::now());
        let answer = Servers::ask(way, "GET", "/v1/status/leader", Instant::now() + PATIENCE)?;
        let after = unix_ns(SystemTime::now());
        let date = answer.date.ok_or("its answer has no date")?;
        let date = DateTime::parse_from_rfc2822(&date).map_err(|e| format!("the date {date:?}: {e}"))?;
        Ok(Some(least_offset(date.timestamp(), before, after)))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let own = Servers::json(way, "/v1/agent/self", Instant::now() + PATIENCE)?;
        Ok(own["Config"]["Version"].as_str().unwrap_or("unknown").to_string())
    }

    /// Our own keys, and no others.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        Servers::ask(way, "DELETE", &format!("/v1/kv/{}?recurse", api::OURS), deadline).map(drop)
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        let connection = Connection::new(door.dial(door.node, CLIENT_PORT)?, door.name);
        Ok(client::session(connection, door.workload, self.config.reads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_consul_would_refuse_are_refused() {
        let with = |pairs: &[(&str, &str)]| {
            let with: Vec<_> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            Config::new(&with)
        };
        assert_eq!(with(&[]).unwrap().reads, Reads::Consistent);
        assert!(with(&[("reads", "dirty")]).unwrap_err().contains("consistent or default or stale"));
        assert!(with(&[("raft-multiplier", "0")]).is_err());
    }

    #[test]
    fn every_server_joins_the_others() {
        let members = (1..=3).map(|n| (format!("n{n}"), format!("10.0.0.{n}"))).collect();
        let servers = Servers { config: Config::new(&[]).unwrap(), members };
        let command = servers.start_command(1, 0, true);
        assert!(
            command.contains("-bootstrap-expect 3 -retry-join 10.0.0.1 -retry-join 10.0.0.3 "),
            "{command}"
        );
        assert!(command.contains("-bind 10.0.0.2"), "{command}");
    }
}
