//! The ways to reach a node. So far one: processes on this machine.
//!
//! ```text
//!   controller ──socket── guard ──spawns── node, node, node      (guard.rs: nobody outlives the controller)
//!        │  └── control connection to each node, never cut       (message.rs: clock, role, probe)
//!        └── proxy: every link between nodes and from clients    (proxy.rs: cut, delayed, stalled, closed)
//! ```

pub mod clock;
mod exchange;
mod guard;
pub mod lines;
pub mod local;
pub mod message;
mod process;
mod proxy;
mod queue;

#[cfg(test)]
pub(crate) use guard::tests::child;
pub use guard::{die_with_parent, guard_main};
