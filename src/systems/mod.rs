//! The systems under test.
//!
//! ```text
//!   demo/        processes of this program              etcd/ …   somebody else's, a folder each: System, Service, Client
//!   file/        a file's: scripts, and a program as client (calls.rs)
//!   service.rs   what such a system is on its nodes     daemons.rs  one that runs: in_lab.rs, on_hosts.rs
//! ```

mod calls;
#[cfg(test)]
mod conformance;
pub mod consul;
mod daemons;
pub mod demo;
mod dialogue;
pub mod etcd;
pub mod file;
pub mod galera;
mod http;
mod in_lab;
mod json;
pub mod nats;
mod on_hosts;
mod options;
pub mod postgres;
pub mod rabbitmq;
pub mod redis;
mod service;
mod sql;
pub mod zookeeper;

use crate::client::System;
use crate::control::lab::node::PATH;
use std::process::{Command, Stdio};

/// Every system, in the order of `perjury list systems`.
pub fn all() -> &'static [&'static dyn System] {
    &[
        &demo::DemoPaxos,
        &demo::DemoQuorum,
        &demo::DemoPrimary,
        &demo::DemoLock,
        &etcd::Etcd,
        &zookeeper::ZooKeeper,
        &redis::Redis,
        &nats::Nats,
        &rabbitmq::RabbitMq,
        &consul::Consul,
        &galera::Galera,
        &postgres::Postgres,
    ]
}

/// The system of this name.
pub fn find(name: &str) -> Option<&'static dyn System> {
    all().iter().copied().find(|system| system.name() == name)
}

/// What this machine lacks to run a system so in a lab, and what would help; nothing if it is all there.
pub fn lack(system: &dyn System, with: &[(String, String)]) -> Option<String> {
    let there = |script: &str| {
        let look = Command::new("/bin/sh")
            .args(["-c", script])
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        look.is_ok_and(|status| status.success())
    };
    let itself = (system.installed(), system.name(), system.packages());
    let more = system.needs(with).map(|(script, name)| (script, name, name));
    let (_, name, packages) =
        [Some(itself), more].into_iter().flatten().find(|(script, ..)| !there(script))?;
    Some(match packages {
        "" => format!(
            "{name} is not installed on this machine, and it has no package: its program must be on the path"
        ),
        packages => {
            format!("{name} is not installed on this machine; `perjury lab install {packages}` does it")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_claims_something_in_every_configuration_and_every_specimen_lies_in_one() {
        for system in all() {
            let claims: Vec<bool> = system
                .configurations()
                .iter()
                .map(|with| {
                    let with: Vec<(String, String)> =
                        with.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
                    system.claim(&with).expect("a configuration that it names itself").honest
                })
                .collect();
            assert!(claims.contains(&true), "{}: {claims:?}", system.name());
            // What others wrote is taken at its word, until it is caught.
            let specimen = system.name().starts_with("demo-");
            assert_eq!(claims.contains(&false), specimen, "{}: {claims:?}", system.name());
        }
    }
}
