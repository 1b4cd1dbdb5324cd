//! ZooKeeper, as its Debian package installs it, in a lab or on other machines.
//!
//! ```text
//!   jute.rs      bytes of the protocol
//!   wire.rs      one session with one server: handshake, pings, requests, answers, farewell
//!   api.rs       calls as requests, answers as outcomes: what has failed, what is unknown
//!   ensemble.rs  how the servers are started and asked
//! ```

mod api;
mod ensemble;
mod jute;
#[cfg(test)]
mod tests;
mod wire;

use super::daemons;
use super::options::Options;
use crate::client::{Claim, Running, Start, System, SystemOption};
use api::Reads;
use ensemble::Ensemble;

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "reads",
        default: "local",
        about: "local (what the server has), sync (after a sync of the same session), or write (after a write of the same session)",
    },
    SystemOption {
        name: "fencing",
        default: "off",
        about: "on or off: whether the resource that a lock guards refuses a token smaller than one that it has seen",
    },
    SystemOption {
        name: "disk-sync",
        default: "on",
        about: "on or off: whether a leader may bring a follower up to date from the transactions in its own log",
    },
    SystemOption {
        name: "session",
        default: "4000",
        about: "milliseconds that a session lives on without a word of its client, 500 to 60000",
    },
    SystemOption {
        name: "tick",
        default: "500",
        about: "milliseconds of the ensemble's unit of time; a follower that lags 8 of them leaves, 50 to 5000",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    reads: Reads,
    fencing: bool,
    disk_sync: bool,
    session: u64,
    tick: u64,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let reads = [("local", Reads::Local), ("sync", Reads::Sync), ("write", Reads::Write)];
        Ok(Config {
            reads: options.choice("reads", &reads)?,
            fencing: options.switch("fencing")?,
            disk_sync: options.switch("disk-sync")?,
            session: options.number("session", 500..=60_000)?,
            tick: options.number("tick", 50..=5000)?,
        })
    }
}

/// ZooKeeper 3.5 and later.
pub struct ZooKeeper;

impl System for ZooKeeper {
    fn name(&self) -> &'static str {
        "zookeeper"
    }

    fn about(&self) -> &'static str {
        "ZooKeeper 3.5 or later, from its Debian package, in a lab (--lab N) or on machines (--nodes); clients speak its own protocol, each with one server"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["register", "versioned-register", "cas-register", "set", "lock"]
    }

    fn default_nodes(&self) -> usize {
        5
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn installed(&self) -> &'static str {
        "command -v java && test -e /usr/share/java/zookeeper.jar && test -e /usr/share/java/slf4j-simple.jar"
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let text = match Config::new(with)?.reads {
            Reads::Local => "sequential",
            // A sync is taken for what makes a read linearizable; a paused leader shows that it is not.
            Reads::Sync | Reads::Write => "linearizable",
        };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("reads", "sync")], &[("reads", "write")], &[("reads", "write"), ("disk-sync", "off")]]
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        daemons::start(self, start, |members| Ok(Ensemble::new(config, members)))
    }
}
