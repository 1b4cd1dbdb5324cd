//! RabbitMQ, as its Debian package installs it, in a lab or on other machines.
//!
//! ```text
//!   frame.rs   frames of AMQP 0-9-1
//!   wire.rs    one connection with one channel
//!   client.rs  one session with one broker: what has failed, what is unknown
//!   brokers.rs the brokers on their nodes
//! ```

mod brokers;
mod client;
mod frame;
mod wire;

use super::daemons;
use super::options::Options;
use crate::client::{Claim, Running, Start, System, SystemOption};
use brokers::Brokers;

const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "queue",
        default: "quorum",
        about: "quorum (replicated by a majority), or mirrored (a classic queue with a mirror on every node)",
    },
    SystemOption {
        name: "partition_handling",
        default: "pause_minority",
        about: "what brokers do that do not hear each other: pause_minority, autoheal or ignore",
    },
    SystemOption {
        name: "sync",
        default: "automatic",
        about: "what a mirror does that joins a mirrored queue: automatic (it copies what there is), or manual (it waits to be told, which is RabbitMQ's own default)",
    },
    SystemOption {
        name: "ticktime",
        default: "5",
        about: "seconds without a sign of life after which a broker counts as gone, 4 to 60",
    },
];

/// What the options say.
#[derive(Clone, Copy, Debug)]
struct Config {
    mirrored: bool,
    partition_handling: &'static str,
    sync: &'static str,
    ticktime: u64,
}

impl Config {
    fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        Ok(Config {
            mirrored: options.choice("queue", &[("quorum", false), ("mirrored", true)])?,
            partition_handling: options.choice(
                "partition_handling",
                &[("pause_minority", "pause_minority"), ("autoheal", "autoheal"), ("ignore", "ignore")],
            )?,
            sync: options.choice("sync", &[("automatic", "automatic"), ("manual", "manual")])?,
            ticktime: options.number("ticktime", 4..=60)?,
        })
    }
}

/// RabbitMQ 3.10 and later.
pub struct RabbitMq;

impl System for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn about(&self) -> &'static str {
        "RabbitMQ 3.10 or later, from its Debian package, in a lab (--lab N) or on machines (--nodes); quorum or mirrored queues, with confirmations and acknowledgements, each client with one broker"
    }

    fn options(&self) -> &'static [SystemOption] {
        OPTIONS
    }

    fn workloads(&self) -> &'static [&'static str] {
        &["delivery", "queue"]
    }

    fn default_nodes(&self) -> usize {
        3
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        let text = match Config::new(with)? {
            Config { mirrored: false, .. } => "what was confirmed is delivered, at least once",
            Config { sync: "manual", .. } => {
                "what was confirmed is delivered, at least once, until a mirror leads that was away"
            }
            Config { partition_handling: "pause_minority", .. } => {
                "what was confirmed is delivered, at least once, while no broker fails in a partition"
            }
            Config { .. } => "what was confirmed is delivered, at least once, but not across partitions",
        };
        Ok(Claim { text: text.to_string(), honest: true })
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[&[], &[("queue", "mirrored")], &[("queue", "mirrored"), ("partition_handling", "autoheal")]]
    }

    fn installed(&self) -> &'static str {
        "test -x /usr/lib/rabbitmq/bin/rabbitmq-server && command -v epmd"
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        daemons::start(self, start, |members| Ok(Brokers::new(config, members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_rabbitmq_would_refuse_are_refused() {
        let with = |pairs: &[(&str, &str)]| {
            let with: Vec<_> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            Config::new(&with)
        };
        assert_eq!(with(&[]).unwrap().ticktime, 5);
        assert!(with(&[("queue", "stream")]).unwrap_err().contains("quorum or mirrored"));
        assert!(with(&[("ticktime", "1")]).unwrap_err().contains("4 to 60"));
        assert!(with(&[("partition_handling", "none")]).is_err());
    }
}
