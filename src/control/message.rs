//! What the controller and a node's process say to each other, beside the system's own traffic.
//!
//! The node dials the controller when it has bound its port, says who it is, and then answers questions for as long
//! as it lives. These connections do not pass the proxy: no fault ever cuts them.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that a node's process is told when it starts, as the one argument of the hidden subcommand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The system: `demo-quorum`.
    pub system: String,
    /// Which node this is.
    pub node: usize,
    /// Names of all nodes.
    pub names: Vec<String>,
    /// How this node reaches each of the others, through the proxy; `None` for itself.
    pub peers: Vec<Option<SocketAddr>>,
    /// Where its files are.
    pub dir: PathBuf,
    /// Where the controller listens.
    pub control: SocketAddr,
    /// Said in [`Hello`], so that the controller knows its own.
    pub nonce: u64,
    /// The process that starts it. If that is gone, so must the node be.
    pub parent: u32,
    /// Seed for everything random in the node.
    pub seed: u64,
    /// What clients will do.
    pub workload: String,
    /// Options of the system.
    pub with: Vec<(String, String)>,
}

/// The first line of a node to the controller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// From [`NodeSpec`].
    pub node: usize,
    /// From [`NodeSpec`].
    pub nonce: u64,
    /// Its own process id.
    pub pid: u32,
    /// The port on 127.0.0.1 that it has bound.
    pub port: u16,
}

/// A question of the controller, with a number that the answer repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Number of the question.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What the controller asks a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Whether it has reached all its peers and can serve.
    Ready,
    /// Read the clock file again, now, and say what the time is.
    Clock,
    /// What it thinks it is.
    Role,
    /// Whether it reaches another node and hears back, through the proxy.
    Probe {
        /// The other node.
        to: usize,
        /// How long to wait for it.
        timeout_ms: u64,
    },
}

/// A node's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Number of the question.
    pub id: u64,
    /// The answer.
    pub answer: Answer,
}

/// What a node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To `Ready` and `Probe`.
    Yes(bool),
    /// To `Clock`: its wall clock, nanoseconds since 1970.
    Clock(i64),
    /// To `Role`: whether it takes itself for the primary, and its term.
    Role(Option<(bool, u64)>),
}
