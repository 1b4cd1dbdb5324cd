//! The built-in specimens: four small replicated systems, each honest in one configuration and lying in another.
//!
//! They exist to be caught. Their nodes are real processes on real sockets and disks, so that the faults are real too,
//! but the protocols are kept as small as a textbook's, and nobody should store anything in them.
//!
//! ```text
//!   quorum.rs    which bytes two nodes exchange and why that is (or is not) enough
//!   node.rs      the process around a protocol: port, connections, controller     wire.rs   the lines on the wire
//!   peers.rs     questions to the other nodes                                     disk.rs   the log that survives
//!   client.rs    the other end: a session of a client process                     launch.rs starting a cluster
//! ```

mod client;
mod disk;
mod launch;
mod lock;
mod node;
mod paxos;
mod peers;
mod primary;
mod quorum;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

pub use lock::DemoLock;
pub use paxos::DemoPaxos;
pub use primary::DemoPrimary;
pub use quorum::DemoQuorum;

use crate::control::message::NodeSpec;
use std::process::ExitCode;

/// The main function of a node's process. Its one argument is a [`NodeSpec`].
pub fn node_main(args: &[String]) -> ExitCode {
    let run = || -> Result<(), String> {
        let spec = args.first().ok_or("a node is started by its controller, with one argument")?;
        let spec: NodeSpec = serde_json::from_str(spec).map_err(|e| format!("the node's argument: {e}"))?;
        crate::control::die_with_parent(spec.parent)?;
        match spec.system.as_str() {
            "demo-paxos" => node::run::<paxos::Paxos>(&spec),
            "demo-primary" => node::run::<primary::Primary>(&spec),
            "demo-lock" => node::run::<lock::Lock>(&spec),
            "demo-quorum" => node::run::<quorum::Quorum>(&spec),
            other => Err(format!("there is no system {other}")),
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
