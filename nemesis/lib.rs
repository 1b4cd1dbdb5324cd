//! Ways to hurt a cluster, each with the way to undo it, a proof that it bit, and when to do which.
//!
//! No I/O of its own: everything goes through the [`Cluster`] port, whose adapters live with the controller.

mod cluster;

pub use cluster::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Pass, Role};
