//! `perjury heal`: undoes faults that a run has left behind on hosts, from any process.

use crate::cli::{HealArgs, SshArgs};
use crate::control::host::{Host, HostError};
use crate::control::hosts::each;
use crate::control::hosts::ledger::{Ledger, heal_all};
use crate::control::reach;
use crate::exit::{self, Failure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a host may take to be reached and healed.
const HEAL: Duration = Duration::from_secs(60);
/// The file of a run directory that says where its faults are.
const FILE: &str = "hosts.toml";

/// Where a run's faults are: written before the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunHosts {
    /// The name of its ledgers on the hosts.
    pub id: String,
    /// The nodes, as they were typed.
    pub nodes: Vec<String>,
    /// How they are reached.
    #[serde(flatten)]
    pub ssh: SshArgs,
}

impl RunHosts {
    /// Writes it into a run's directory.
    pub fn write(&self, dir: &Path) -> Result<(), String> {
        let path = dir.join(FILE);
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        let text =
            format!("# What `perjury heal` needs to undo the faults of this run. Holds no secret.\n{text}");
        std::fs::write(&path, text).map_err(|error| format!("{}: writing: {error}", path.display()))
    }

    fn read(dir: &Path) -> Result<RunHosts, Failure> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("{}: {error}; only runs on hosts leave something to heal", path.display()))
        })?;
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }
}

/// Heals, and says what was undone. Nodes that cannot be reached do not keep the others from being healed.
pub fn run(args: &HealArgs) -> Result<u8, Failure> {
    let (names, ssh, ledger) = match &args.run {
        Some(dir) => {
            let run = RunHosts::read(dir)?;
            let ssh = SshArgs { ask_ssh_password: args.nodes.ssh.ask_ssh_password, ..run.ssh };
            (run.nodes, ssh, Some(Ledger { id: run.id, lease: Duration::ZERO }))
        }
        None => (reach::names(&args.nodes)?, args.nodes.ssh.clone(), None),
    };
    if names.is_empty() {
        return Err(Failure::usage("which nodes? Name a run, or --nodes a,b,c"));
    }
    let hosts = reach::hosts(&names, &ssh)?;
    heal(&hosts, ledger.as_ref())
}

fn heal(hosts: &[Arc<dyn Host>], ledger: Option<&Ledger>) -> Result<u8, Failure> {
    let results = each(hosts, |_, host| match ledger {
        Some(ledger) => ledger.close(host),
        None => heal_all(host, Instant::now() + HEAL),
    });
    let mut errors: Vec<HostError> = Vec::new();
    for (host, result) in hosts.iter().zip(results) {
        match result {
            Ok(undone) if undone.is_empty() => println!("{}: nothing to undo", host.name()),
            Ok(undone) => undone
                .lines()
                .for_each(|line| println!("{}: undone: {}", host.name(), line.trim_start_matches("# "))),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        return Ok(exit::HOLDS);
    }
    let all = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nperjury: ");
    Err(Failure::new(exit::CLUSTER, all))
}
