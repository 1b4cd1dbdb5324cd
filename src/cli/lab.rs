//! `perjury lab`: nodes on this machine.

use super::parse::{Span, links};
use crate::control::lab::Links;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `perjury lab`
#[derive(Clone, Debug, Args)]
pub struct LabArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LabCommand,
}

/// What can be done about labs.
#[derive(Clone, Debug, Subcommand)]
pub enum LabCommand {
    /// Make nodes n1, n2 …, each with its own network, processes, files and name; they stay until `perjury lab down`.
    ///
    /// Needs root. From this machine a node is reached at the address that is printed; out of the lab there is no way.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = 5, value_name = "N")]
        nodes: usize,
        /// A name, to have several labs at once.
        #[arg(long, default_value = "lab", value_name = "NAME")]
        name: String,
        /// The seed of everything that is left to chance on its links.
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
        /// Write packets to a file (pcap), as they arrive: those of all links, or of the links of --link.
        #[arg(long, value_name = "FILE")]
        capture: Option<PathBuf>,
        /// With --capture: only these links, in both directions: `n1-n2`, `n3-clients`, separated by commas.
        #[arg(long, value_name = "LINKS", requires = "capture", value_parser = links)]
        link: Option<Links>,
        /// How long everything takes on each link between two nodes, in each direction: nodes far from each other.
        #[arg(long, value_name = "TIME")]
        link_delay: Option<Span>,
        /// Give each node a file system of its own below this directory, which can lose its power.
        #[arg(long, value_name = "DIR")]
        disk: Option<String>,
        /// Run an sshd on each node, with a key made for the lab.
        #[arg(long)]
        ssh: bool,
    },
    /// Show the labs that are up, and their nodes.
    Status,
    /// Run a command in a node; its exit code is the command's.
    Exec {
        /// The node: `n1`.
        node: String,
        /// The lab, if several are up.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// The command.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// End a lab. Nothing of it is left: no process, interface, mount or file.
    Down {
        /// The lab, if several are up.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Install what systems need, on this machine, without starting anything (Debian and its relatives).
    Install {
        /// Systems (`etcd`), or packages of the distribution.
        #[arg(required = true, value_name = "PACKAGE")]
        packages: Vec<String>,
    },
}
