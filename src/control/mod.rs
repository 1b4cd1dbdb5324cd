//! The ways to reach a node. A cluster of processes on this machine has three parts; hosts have a port (host.rs).
//!
//! ```text
//!   controller ──socket── guard ──spawns── node, node, node      (guard.rs: nobody outlives the controller)
//!        │  └── control connection to each node, never cut       (message.rs: clock, role, probe)
//!        └── proxy: every link between nodes and from clients    (proxy.rs: cut, delayed, stalled, closed)
//! ```

pub mod clock;
mod containers;
pub mod damage;
pub mod disk;
mod exchange;
pub mod freezer;
mod guard;
pub mod here;
pub mod host;
pub mod hosts;
pub mod lab;
pub mod lines;
pub mod local;
pub mod message;
pub mod process;
pub mod program;
mod proxy;
mod queue;
pub mod reach;
pub mod skew;
#[cfg(feature = "ssh")]
pub mod ssh;

#[cfg(test)]
pub(crate) use guard::tests::child;
pub use guard::{die_with_parent, guard_main};
