//! PostgreSQL from its Debian package: alone, with standbys, or under Patroni.
//!
//! ```text
//!   config.rs  what the options say, and what they claim       setup.rs  how it is readied and started on a node
//!   wire.rs    its protocol                                    members.rs  how its nodes are asked, and sessions opened
//! ```

mod config;
mod members;
mod setup;
mod wire;

use super::daemons;
use crate::client::{Claim, Running, Start, System, SystemOption};
use config::{Config, Mode};
use members::Members;

/// PostgreSQL 15 and later.
pub struct Postgres;

impl System for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn about(&self) -> &'static str {
        "PostgreSQL, from its Debian package, alone, with standbys, or under Patroni; clients speak its protocol, each with one server"
    }

    fn options(&self) -> &'static [SystemOption] {
        config::OPTIONS
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
        setup::INSTALLED
    }

    fn needs(&self, with: &[(String, String)]) -> Option<(&'static str, &'static str)> {
        let patroni = Config::new(with).is_ok_and(|config| config.mode == Mode::Patroni);
        patroni.then_some((setup::PATRONI_INSTALLED, "patroni"))
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        Ok(Config::new(with)?.claim())
    }

    fn configurations(&self) -> &'static [&'static [(&'static str, &'static str)]] {
        &[
            &[],
            &[("mode", "single")],
            &[("mode", "async")],
            &[("reads", "standby")],
            &[("reads", "local"), ("commit", "remote_apply")],
            &[("mode", "patroni")],
            &[("mode", "patroni"), ("synchronous-mode", "on")],
        ]
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        let config = Config::new(start.with)?;
        daemons::start(self, start, |members| match (config.mode, members.len()) {
            (Mode::Single, 2..) => Err("mode=single is one server: one node".to_string()),
            _ => Ok(Members::new(config, members)),
        })
    }
}
