//! Ways to hurt a cluster, each with the way to undo it, a proof that it bit, and when to do which.
//!
//! No I/O of its own: everything goes through the [`Cluster`] port, whose adapters live with the controller.
//!
//! ```text
//!  seed, kinds ──▶ schedule ──▶ registry::make ──▶ Fault ──inject──▶ Journal ──▶ Cluster
//!                                                    │  ◀──bit?──       │
//!                                                    └──heal────────────┘ knows what is applied, undoes exactly that
//! ```

mod clock;
mod cluster;
mod draw;
mod fault;
mod journal;
mod kill;
mod packet;
mod partition;
mod pause;
mod registry;
mod schedule;
mod slow;
mod trigger;
mod zombie;

pub use clock::{Clock, Skew};
pub use cluster::{ClockSetting, Cluster, End, Link, LinkRule, MILLION, NodeState, Pass, Role};
pub use fault::{Asked, Claim, Drive, Fault, Site};
pub use journal::Journal;
pub use kill::Kill;
pub use packet::Packet;
pub use partition::{Grudge, Partition, Shape};
pub use pause::Pause;
pub use registry::{about, claims, kinds, make, needs_packets, nodes_min};
pub use schedule::{Planned, plan};
pub use slow::Slow;
pub use trigger::Trigger;
pub use zombie::Zombie;
