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
mod corrupt;
mod disk;
mod draw;
mod fault;
mod freeze;
mod journal;
mod kill;
mod member;
mod packet;
mod partition;
mod pause;
mod ports;
mod power;
mod registry;
mod schedule;
mod slow;
mod trigger;
mod wanted;
mod zombie;

pub use clock::{Clock, Skew};
pub use cluster::{ClockSetting, Cluster, End, Link, LinkRule, MILLION, NodeState, Pass, Role};
pub use corrupt::Corrupt;
pub use disk::Disk;
pub use fault::{Asked, Claim, Drive, Fault, Site};
pub use freeze::Freeze;
pub use journal::Journal;
pub use kill::Kill;
pub use member::Member;
pub use packet::Packet;
pub use partition::{Grudge, Partition, Shape};
pub use pause::Pause;
pub use ports::{Damage, DiskState, Disks, Files, Freezer, Logs, Members, Parts};
pub use power::Power;
pub use registry::{Needs, about, claims, kinds, make, needs, nodes_min, primary, usual};
pub use schedule::{Planned, plan};
pub use slow::Slow;
pub use trigger::Trigger;
pub use wanted::{Cue, Wanted};
pub use zombie::Zombie;
