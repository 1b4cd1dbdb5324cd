//! The casebook: systems that lie in known ways and systems that do not, each with the verdict that it must give.
//!
//! ```text
//!   case ──▶ cluster ──▶ round ──▶ judge ──▶ as expected?  ── yes ──▶ caught, after so many rounds
//!                          ▲                      │ no
//!                          └──── at most `bound` ─┘
//! ```
//! What each case sets up, and why its verdict follows, is told in `docs/casebook.md`.

mod case;
mod lock;
mod paxos;
mod play;
mod primary;
mod quorum;
pub mod real;
mod recipes;
mod scene;
mod table;

pub use case::Case;
pub use play::{lack, play};
pub use table::{Outcome, Table};

/// Every case, in the order in which they are run.
pub fn cases() -> &'static [Case] {
    static CASES: [Case; 17] = [
        paxos::PAXOS_UNDER_FIRE,
        quorum::LWW_CLOCK_SKEW,
        quorum::QUORUM_W1_R1,
        quorum::ABD,
        quorum::ABD_NO_WRITE_BACK,
        primary::ASYNC_FAILOVER,
        primary::SPLIT_BRAIN,
        primary::ZOMBIE_PRIMARY,
        primary::LEASE_CHECKED,
        primary::LEASE_CLOCK_RATE,
        primary::REPLICA_READS,
        primary::REPLICA_READS_NO_TOKEN,
        lock::LOCK_PAUSED_HOLDER,
        lock::LOCK_FENCED,
        quorum::CRASHED_WRITE_SURFACES,
        paxos::MINORITY_REFUSES,
        quorum::BOTH_SIDES_ANSWER,
    ];
    &CASES
}
