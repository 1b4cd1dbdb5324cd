//! Redis, as its Debian package installs it, in a lab or on other machines: one server, a primary with replicas and
//! sentinels, or a cluster of primaries.
//!
//! ```text
//!   resp.rs      bytes of the protocol, one connection
//!   link.rs      what a session talks over: one connection, or one to each primary of a cluster
//!   api.rs       calls as requests, answers as outcomes: what has failed, what is unknown
//!   servers.rs   how the servers and sentinels are started and asked
//!   holder.rs    a process that uses the lock, on a node
//!   slots.rs     which primary of a cluster has which keys
//! ```

mod api;
mod holder;
mod link;
mod resp;
mod servers;
mod slots;

pub use holder::holder_main;

use super::daemons;
use super::options::Options;
use crate::client::{Claim, Place, Running, Start, System, SystemOption};
use servers::Servers;

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "mode",
        default: "sentinel",
        about: "single (one node), sentinel (a primary, its replicas, a sentinel on each node), or cluster (three primaries, the other nodes replicas)",
    },
    SystemOption {
        name: "fsync",
        default: "everysec",
        about: "always, everysec or no: when the log of writes goes to the disk",
    },
    SystemOption {
        name: "min-replicas",
        default: "0",
        about: "how many replicas a primary must hear, or it takes no writes, 0 to 10",
    },
    SystemOption {
        name: "down-after",
        default: "1000",
        about: "milliseconds of silence after which a node is taken for dead (in a cluster, for maybe dead), 100 to 60000",
    },
    SystemOption { name: "lease", default: "2000", about: "milliseconds that a lock is held, 50 to 60000" },
    SystemOption {
        name: "fencing",
        default: "off",
        about: "on or off: whether the resource that a lock guards refuses a token smaller than one that it has seen",
    },
];

/// How the servers belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Single,
    Sentinel,
    Cluster,
}

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    mode: Mode,
    fsync: &'static str,
    min_replicas: u64,
    down_after: u64,
    lease: u64,
    fencing: bool,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let modes = [("single", Mode::Single), ("sentinel", Mode::Sentinel), ("cluster", Mode::Cluster)];
        Ok(Config {
            mode: options.choice("mode", &modes)?,
            fsync: options
                .choice("fsync", &[("always", "always"), ("everysec", "everysec"), ("no", "no")])?,
            min_replicas: options.number("min-replicas", 0..=10)?,
            down_after: options.number("down-after", 100..=60_000)?,
            lease: options.number("lease", 50..=60_000)?,
            fencing: options.switch("fencing")?,
        })
    }

    /// `Err` if so many nodes are not what the mode takes.
    fn fits(&self, nodes: usize) -> Result<(), String> {
        match (self.mode, nodes) {
            (Mode::Single, 1) | (Mode::Sentinel, 2..) | (Mode::Cluster, 3..) => Ok(()),
            (Mode::Single, _) => Err(format!("mode=single takes one node, not {nodes}: --lab 1")),
            (Mode::Sentinel, _) => Err(format!("mode=sentinel takes two nodes or more, not {nodes}")),
            (Mode::Cluster, _) => Err(format!("mode=cluster takes three nodes or more, not {nodes}")),
        }
    }
}

/// Redis 7.
pub struct Redis;

impl System for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn about(&self) -> &'static str {
        "Redis 7, from its Debian package, alone, with sentinels or as a cluster, in a lab (--lab N) or on machines (--nodes); clients speak its own protocol"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "cas-register", "set", "counter", "lock", "queue"]
    }

    fn default_nodes(&self) -> usize {
        5
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn installed(&self) -> &'static str {
        "command -v redis-server && command -v redis-sentinel"
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let config = Config::new(with)?;
        let text = match (config.mode, config.fsync) {
            (Mode::Single, "always") => "linearizable",
            (Mode::Single, _) => "linearizable, until power is lost",
            (Mode::Sentinel | Mode::Cluster, _) => {
                "nothing once a primary is replaced: replication is asynchronous"
            }
        };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("mode", "cluster")], &[("mode", "single")], &[("mode", "single"), ("fsync", "always")]]
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        config.fits(start.nodes)?;
        // In a cluster each key has a primary of its own, which clients look for themselves; where the system is somebody
        // else's, nothing is started.
        let ours = !matches!(start.place, Place::Hosts(place) if place.no_db);
        let holders = ours && start.workload == "lock" && config.mode != Mode::Cluster;
        daemons::start(self, start, |members| Ok(Servers::new(config, members, holders)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_bad_ones_named() {
        let with = |name: &str, value: &str| Config::new(&[(name.to_string(), value.to_string())]);
        assert_eq!(with("mode", "cluster").unwrap().mode, Mode::Cluster);
        assert!(with("mode", "raft").unwrap_err().contains("single or sentinel or cluster"));
        assert!(with("fsync", "never").unwrap_err().contains("always or everysec or no"));
        assert!(with("mode", "single").unwrap().fits(5).unwrap_err().contains("--lab 1"));
        assert!(with("mode", "single").unwrap().fits(1).is_ok());
        assert!(with("mode", "cluster").unwrap().fits(2).is_err());
        assert!(with("lease", "2000").unwrap().fits(1).is_err(), "a sentinel needs somebody to promote");
    }
}
