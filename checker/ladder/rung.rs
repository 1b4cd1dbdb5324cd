//! The rungs: every property that can be asked of a history, and which of them imply which.
//!
//! A diagram, not a line (`docs/properties.md` has the definitions, the tests in `tests.rs` every arrow and a history
//! for every arrow that is missing):
//!
//! ```text
//!                      linearizable
//!                     /            \
//!               regular            sequential
//!                  |              /          \
//!                  |   causal-convergence    causal-memory
//!                  |        /       \        /       \
//!                  |   coherence     causal           pram
//!                  |   /   |   \
//!                  |  / monotonic- writes-follow-
//!                  | /   writes      reads
//!                  |/       \       /
//!       read-your-writes  monotonic-reads
//! ```

use crate::verdict::Property;

/// A property of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// [`Property::Linearizable`].
    Linearizable,
    /// One order of the writes that keeps real time; each read returns one that was current while it ran (Lamport 1986;
    /// Shao, Pierce and Welch 2011, MWReg). Per key.
    Regular,
    /// [`Property::Sequential`].
    Sequential,
    /// Causality, and one order of all writes for everybody (Burckhardt 2014; Bouajjani et al. 2017, CCv).
    CausalConvergence,
    /// Causality, and one order for all reads of a session (Ahamad et al. 1995; Bouajjani et al. 2017, CM).
    CausalMemory,
    /// Causality, for each read alone (Bouajjani et al. 2017, CC).
    Causal,
    /// The order of every session's writes, and one order for all reads of a session (Lipton and Sandberg 1988).
    Pram,
    /// Every key alone is sequentially consistent (Goodman 1989).
    Coherence,
    /// Monotonic reads, and a write is newer than what its session had read (Terry et al. 1994). Per key.
    WritesFollowReads,
    /// Monotonic reads, and the writes of a session in its order (Terry et al. 1994). Per key.
    MonotonicWrites,
    /// What a session reads gets no older (Terry et al. 1994). Per key.
    MonotonicReads,
    /// A session reads nothing older than what it wrote itself, in its order (Terry et al. 1994). Per key.
    ReadYourWrites,
}

impl From<Property> for Rung {
    fn from(property: Property) -> Rung {
        match property {
            Property::Linearizable => Rung::Linearizable,
            Property::Sequential => Rung::Sequential,
        }
    }
}

impl Rung {
    /// All of them, each before those that it implies.
    pub fn all() -> [Rung; 12] {
        [
            Rung::Linearizable,
            Rung::Regular,
            Rung::Sequential,
            Rung::CausalConvergence,
            Rung::CausalMemory,
            Rung::Causal,
            Rung::Pram,
            Rung::Coherence,
            Rung::WritesFollowReads,
            Rung::MonotonicWrites,
            Rung::MonotonicReads,
            Rung::ReadYourWrites,
        ]
    }

    /// The rung of that name.
    pub fn find(name: &str) -> Option<Rung> {
        Rung::all().into_iter().find(|rung| rung.name() == name)
    }

    /// The rungs right below it: what it implies, and what follows from that.
    pub fn implies(self) -> &'static [Rung] {
        match self {
            Rung::Linearizable => &[Rung::Regular, Rung::Sequential],
            Rung::Sequential => &[Rung::CausalConvergence, Rung::CausalMemory],
            Rung::CausalConvergence => &[Rung::Coherence, Rung::Causal],
            Rung::CausalMemory => &[Rung::Causal, Rung::Pram],
            Rung::Coherence => &[Rung::WritesFollowReads, Rung::MonotonicWrites, Rung::ReadYourWrites],
            Rung::WritesFollowReads | Rung::MonotonicWrites => &[Rung::MonotonicReads],
            Rung::Regular => &[Rung::ReadYourWrites],
            Rung::Causal | Rung::Pram | Rung::MonotonicReads | Rung::ReadYourWrites => &[],
        }
    }

    /// Whether every history that has `self` has `weaker`, where sessions and processes are the same.
    pub fn reaches(self, weaker: Rung) -> bool {
        self == weaker || self.implies().iter().any(|below| below.reaches(weaker))
    }

    /// The same for any history. Sequential consistency and coherence speak of the order of processes, all below of that of
    /// sessions: where these are not the same, no arrow leads from the one to the other. Real time keeps both.
    pub fn reaches_across(self, weaker: Rung) -> bool {
        let by_process = |rung| matches!(rung, Rung::Sequential | Rung::Coherence);
        let across = |a, b| a != Rung::Linearizable && by_process(a) != by_process(b);
        self == weaker
            || self == Rung::Linearizable
            || self.implies().iter().any(|&below| !across(self, below) && below.reaches_across(weaker))
    }

    /// The property, if one legal order of the operations shows it.
    pub fn of_one_order(self) -> Option<Property> {
        match self {
            Rung::Linearizable => Some(Property::Linearizable),
            Rung::Sequential => Some(Property::Sequential),
            Rung::Regular
            | Rung::CausalConvergence
            | Rung::CausalMemory
            | Rung::Causal
            | Rung::Pram
            | Rung::Coherence
            | Rung::WritesFollowReads
            | Rung::MonotonicWrites
            | Rung::MonotonicReads
            | Rung::ReadYourWrites => None,
        }
    }

    /// Whether a search decides it, for every model.
    pub fn is_searched(self) -> bool {
        self.of_one_order().is_some() || self == Rung::Coherence
    }

    /// Whether a history has it exactly when each of its keys alone has it.
    pub fn is_local(self) -> bool {
        match self {
            Rung::Linearizable
            | Rung::Regular
            | Rung::Coherence
            | Rung::WritesFollowReads
            | Rung::MonotonicWrites
            | Rung::MonotonicReads
            | Rung::ReadYourWrites => true,
            Rung::Sequential | Rung::CausalConvergence | Rung::CausalMemory | Rung::Causal | Rung::Pram => {
                false
            }
        }
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Linearizable => Property::Linearizable.name(),
            Rung::Regular => "regular",
            Rung::Sequential => Property::Sequential.name(),
            Rung::CausalConvergence => "causal-convergence",
            Rung::CausalMemory => "causal-memory",
            Rung::Causal => "causal",
            Rung::Pram => "pram",
            Rung::Coherence => "coherence",
            Rung::WritesFollowReads => "writes-follow-reads",
            Rung::MonotonicWrites => "monotonic-writes",
            Rung::MonotonicReads => "monotonic-reads",
            Rung::ReadYourWrites => "read-your-writes",
        }
    }

    /// What it demands, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Rung::Linearizable => Property::Linearizable.about(),
            Rung::Regular => {
                "Writes have one order in real time, and each read returns one that was current while it ran (per key)."
            }
            Rung::Sequential => Property::Sequential.about(),
            Rung::CausalConvergence => {
                "Each read returns the last write that its session could know of, in one order for everybody."
            }
            Rung::CausalMemory => {
                "The reads of each session agree with one order of all writes, causes before effects."
            }
            Rung::Causal => {
                "Each read alone agrees with an order of what its session could know of, causes before effects."
            }
            Rung::Pram => {
                "The reads of each session agree with one order of all writes, those of each session in its order."
            }
            Rung::Coherence => "Each key alone is sequentially consistent.",
            Rung::WritesFollowReads => {
                "Monotonic reads, and a write is newer than what its session had read (per key)."
            }
            Rung::MonotonicWrites => {
                "Monotonic reads, and the writes of each session in its order (per key)."
            }
            Rung::MonotonicReads => "What a session reads gets no older (per key).",
            Rung::ReadYourWrites => "A session reads nothing older than what it wrote itself (per key).",
        }
    }
}
