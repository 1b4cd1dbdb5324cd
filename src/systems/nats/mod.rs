//! NATS JetStream, as its Debian package installs it, in a lab or on other machines.
//!
//! ```text
//!   wire.rs    one connection, by the text protocol
//!   api.rs     calls as requests, answers as outcomes: what has failed, what is unknown
//!   client.rs  one session with one server
//!   servers.rs the servers on their nodes
//! ```

mod api;
mod client;
mod servers;
mod wire;

use super::daemons;
use super::options::Options;
use crate::client::{Claim, Running, Start, System, SystemOption};
use servers::Servers;

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "reads",
        default: "leader",
        about: "leader (STREAM.MSG.GET, from the leader of the stream) or direct (allow_direct, from any of its replicas)",
    },
    SystemOption { name: "replicas", default: "3", about: "replicas of the stream, 1, 3 or 5" },
    SystemOption {
        name: "sync",
        default: "default",
        about: "how often a server syncs what it stores: default (every two minutes), always, or a number of seconds (sync_interval, which 2.9 does not have)",
    },
];

/// What the options say.
#[derive(Clone, Debug)]
struct Config {
    direct: bool,
    replicas: usize,
    /// The line of the configuration file, if there is one.
    sync: Option<String>,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let sync = match options.text("sync") {
            "default" => None,
            "always" => Some("always".to_string()),
            seconds => match seconds.parse::<u64>() {
                Ok(seconds @ 1..=3600) => Some(format!("{seconds}s")),
                Ok(_) | Err(_) => {
                    return Err(format!(
                        "sync takes default, always or a number of seconds from 1 to 3600, not {seconds:?}"
                    ));
                }
            },
        };
        Ok(Config {
            direct: options.choice("reads", &[("leader", false), ("direct", true)])?,
            replicas: options.choice("replicas", &[("1", 1), ("3", 3), ("5", 5)])?,
            sync,
        })
    }
}

/// NATS JetStream 2.9 and later.
pub struct Nats;

impl System for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn about(&self) -> &'static str {
        "NATS JetStream 2.9 or later, from its Debian package, in a lab (--lab N) or on machines (--nodes); buckets, streams and pull consumers, each client with one server"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "cas-register", "revision-register", "set", "delivery"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let text = if Config::new(with)?.direct {
            "linearizable writes; reads from any replica, which may be late"
        } else {
            "linearizable, unless the leader does not know yet that it is none any more; what was acknowledged stays"
        };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("reads", "direct")]]
    }

    fn installed(&self) -> &'static str {
        "command -v nats-server"
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        if config.replicas > start.nodes {
            return Err(format!(
                "a stream with {} replicas needs as many nodes, not {}: --with replicas=1, or more nodes",
                config.replicas, start.nodes
            ));
        }
        let workload = start.workload.to_string();
        daemons::start(self, start, |members| Ok(Servers::new(config, &workload, members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_nats_would_refuse_are_refused() {
        let with = |pairs: &[(&str, &str)]| {
            let with: Vec<_> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            Config::new(&with)
        };
        assert!(with(&[]).unwrap().sync.is_none());
        assert_eq!(with(&[("sync", "10")]).unwrap().sync.as_deref(), Some("10s"));
        assert!(with(&[("reads", "dirty")]).unwrap_err().contains("leader or direct"));
        assert!(with(&[("replicas", "2")]).unwrap_err().contains("1 or 3 or 5"));
        assert!(with(&[("sync", "never")]).unwrap_err().contains("always"));
    }
}
