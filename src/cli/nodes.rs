//! Nodes on other machines, and how they are reached: for `test`, `doctor` and `heal`.

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// How hosts are reached. A password comes from a prompt or from PERJURY_SSH_PASSWORD, and is never written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct SshArgs {
    /// The user on the nodes; OpenSSH's configuration decides unless given.
    #[arg(long, value_name = "USER", env = "PERJURY_USERNAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The only private key to try; else the agent's, then those of OpenSSH's configuration.
    #[arg(long, value_name = "FILE", env = "PERJURY_SSH_PRIVATE_KEY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_private_key: Option<PathBuf>,
    /// The port of sshd.
    #[arg(long, value_name = "PORT", env = "PERJURY_SSH_PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_port: Option<u16>,
    /// OpenSSH's configuration, in place of the user's own: aliases, jump hosts, keys.
    #[arg(long, value_name = "FILE", env = "PERJURY_SSH_CONFIG")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_config: Option<PathBuf>,
    /// Take the key of a host that is not known yet for its own, and remember it.
    #[arg(long, env = "PERJURY_ACCEPT_NEW_HOST_KEYS")]
    pub accept_new_host_keys: bool,
    /// Run everything on the nodes by sudo, which must not ask for a password.
    #[arg(long, env = "PERJURY_SUDO")]
    pub sudo: bool,
    /// Ask for the password of the nodes (or set PERJURY_SSH_PASSWORD).
    #[arg(long)]
    #[serde(skip)]
    pub ask_ssh_password: bool,
}

/// How many nodes on this machine, or which on others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// So many.
    Count(usize),
    /// These.
    Named(Vec<String>),
}

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Nodes, String> {
        if let Ok(count) = text.trim().parse() {
            return Ok(Nodes::Count(count));
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_string()).collect();
        if names.iter().any(String::is_empty) {
            return Err(format!("expected a number, or nodes separated by commas, found {text:?}"));
        }
        Ok(Nodes::Named(names))
    }
}

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nodes, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number of nodes, or a list of their names")]
        enum Either {
            Count(usize),
            Text(String),
            Names(Vec<String>),
        }
        match Either::deserialize(deserializer)? {
            Either::Count(count) => Ok(Nodes::Count(count)),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Either::Names(names) => Ok(Nodes::Named(names)),
        }
    }
}

/// Which nodes.
#[derive(Clone, Debug, Default, Args)]
pub struct NodesArgs {
    /// The nodes, separated by commas: USER@HOST:PORT (user and port may be left out), or aliases of OpenSSH's
    /// configuration.
    #[arg(long, value_name = "NODES", value_delimiter = ',', env = "PERJURY_NODES")]
    pub nodes: Vec<String>,
    /// A file with one node a line; what follows a # is passed over.
    #[arg(long, value_name = "FILE", conflicts_with = "nodes")]
    pub nodes_file: Option<PathBuf>,
    #[command(flatten)]
    pub ssh: SshArgs,
}

/// `perjury doctor`
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub nodes: NodesArgs,
    /// Faults that must be possible, separated by commas, or `all`: if one is not, the exit code is 69.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub nemesis: Vec<String>,
    /// The name of the process that will be stopped and killed, as in /proc/PID/comm.
    #[arg(long, value_name = "NAME")]
    pub process: Option<String>,
}

/// `perjury heal`
#[derive(Clone, Debug, Args)]
pub struct HealArgs {
    /// The run whose faults are to be undone; without one, those of every run on the --nodes.
    #[arg(value_name = "RUN", conflicts_with_all = ["nodes", "nodes_file"])]
    pub run: Option<PathBuf>,
    #[command(flatten)]
    pub nodes: NodesArgs,
}
