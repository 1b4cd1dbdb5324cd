//! The clusters of a cell: a write with everything that saw it, chained where a cas turned one value into the next.
//!
//! A write and what saw it stand together in every legal order, because any other write between would be seen instead.
//! A cas that saw one write and left another joins two clusters. So a history whose reads name their writes is a set of
//! *blocks*, each with a forced inner order, and blocks can only be ordered as wholes (Gibbons and Korach 1997, §4;
//! zones: Golab, Li and Shah 2011):
//!
//! ```text
//!   first return a, last invocation b:   B must come before C  ⇔  a(B) < b(C)
//!   a < b, a forward zone [a,b]:  somebody was done before somebody else began: the value held from a to b
//!   b < a, a backward zone [b,a]: all of them overlap: the value may have held for an instant only
//! ```
//! Two blocks that must each come before the other have no order. If there are no such two, sorting the blocks by
//! min(a, b) is an order: among blocks that precede one another in a circle, the one with the smallest a precedes all
//! others of it, its own predecessor too. So zones decide, in one sweep.

use super::ranks::ByRank;
use super::sources::UNSURE;
use crate::problem::ObjOp;
use rustc_hash::FxHashMap;

/// No such operation, or no such cluster.
pub(crate) const NONE: u32 = u32::MAX;

/// The writer of the initial value, which nobody invoked.
pub(crate) const INITIAL: u32 = u32::MAX - 1;

/// A value that was written once, with those who saw it. Half a cache line, so that none lies in two.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Cluster {
    /// Who wrote it: an index in the problem, [`INITIAL`], or [`NONE`] so far.
    pub(crate) write: u32,
    /// Rank of its invocation.
    pub(crate) write_invoke: u32,
    /// The first return among the write and the reads.
    pub(crate) first_return: u32,
    /// The last invocation among them.
    pub(crate) last_invoke: u32,
    /// The cluster that a cas saw, to write this one.
    pub(crate) from: u32,
    /// The cluster that a cas made out of this one.
    pub(crate) next: u32,
    /// How many operations of it are in the order: 0 if it need not have happened.
    pub(crate) size: u32,
}

impl Cluster {
    pub(crate) const NEW: Cluster = Cluster {
        write: NONE,
        write_invoke: 0,
        first_return: NONE,
        last_invoke: 0,
        from: NONE,
        next: NONE,
        size: 0,
    };

    /// Whether it must have been there.
    pub(crate) fn present(&self) -> bool {
        self.size > 0 || self.next != NONE
    }
}

/// Why there is no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// This cluster was seen, and nobody wrote it.
    Unwritten(u32),
    /// Two operations turned one cluster into these.
    Twice(u32, u32),
    /// Someone saw this cluster and returned before somebody else in an earlier part of the chain, or its own write,
    /// was invoked.
    TurnedRound(u32),
    /// This cluster's chain has no beginning.
    Circle(u32),
    /// The chains that begin with these clusters must each come before the other.
    Interleaved(u32, u32),
    /// Nothing is known: an unanswered cas must have happened, and it may have seen several.
    Unsure,
}

/// Clusters, as one history has them.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    /// By cluster number.
    pub(crate) all: Vec<Cluster>,
    /// Where the initial value has a cluster, its number.
    pub(crate) initial: Option<u32>,
}

impl Clusters {
    /// A cas turned one cluster into another.
    pub(crate) fn link(&mut self, from: u32, to: u32) -> Result<(), Broken> {
        if from == UNSURE {
            return Err(Broken::Unsure);
        }
        self.all[to as usize].from = from;
        let next = &mut self.all[from as usize].next;
        if *next != NONE {
            return Err(Broken::Twice(*next, to));
        }
        *next = to;
        Ok(())
    }

    /// Of the operations without an answer, each with what it made and what it saw, takes those that somebody saw, or
    /// that made what a cas needed. The others may as well not have happened.
    pub(crate) fn take_open(&mut self, open: &[(u32, u32)]) -> Result<(), Broken> {
        let saw: FxHashMap<u32, u32> = open.iter().copied().collect();
        let mut needed: Vec<u32> =
            open.iter().map(|&(made, _)| made).filter(|&c| self.all[c as usize].present()).collect();
        while let Some(made) = needed.pop() {
            self.all[made as usize].size += 1;
            let saw_there = saw[&made];
            if saw_there != NONE {
                let was_present = saw_there != UNSURE && self.all[saw_there as usize].present();
                self.link(saw_there, made)?;
                if !was_present && saw.contains_key(&saw_there) {
                    needed.push(saw_there);
                }
            }
        }
        Ok(())
    }

    /// The first clusters of chains in a legal order, or why there is none. Leaves the zone of a whole chain in its first
    /// cluster. O(clusters).
    pub(crate) fn order(&mut self) -> Result<Vec<u32>, Broken> {
        let mut present = 0;
        let mut reached = 0;
        let initial = self.initial.filter(|&c| self.all[c as usize].present());
        let mut zones = ByRank::with_capacity(self.all.len());
        for c in 0..self.all.len() as u32 {
            let cluster = &self.all[c as usize];
            if !cluster.present() {
                continue;
            }
            if cluster.write == NONE {
                return Err(Broken::Unwritten(c));
            }
            present += 1;
            if cluster.from == NONE {
                reached += self.chain(c)?;
                if Some(c) != initial {
                    let zone = &self.all[c as usize];
                    zones.push(zone.first_return.min(zone.last_invoke), c);
                }
            }
        }
        if reached != present {
            return Err(self.circle());
        }
        let mut order = zones.finish();
        // What was there before anything happened comes first: as if it had been written before all ranks.
        let (mut until, mut whose) = match initial {
            Some(c) => (self.all[c as usize].last_invoke, c),
            None => (0, NONE),
        };
        for &c in &order {
            let zone = &self.all[c as usize];
            if zone.first_return < until {
                return Err(Broken::Interleaved(whose, c));
            }
            if zone.first_return < zone.last_invoke && zone.last_invoke > until {
                (until, whose) = (zone.last_invoke, c);
            }
        }
        if let Some(c) = initial {
            order.insert(0, c);
        }
        Ok(order)
    }

    /// Follows the chain that begins with `first`, and puts its zone there. How many clusters it has.
    fn chain(&mut self, first: u32) -> Result<u32, Broken> {
        let (mut length, mut at) = (0, first);
        // Nobody further on may have returned before this.
        let mut begun = 0;
        let mut zone = (NONE, 0);
        while at != NONE {
            let cluster = &self.all[at as usize];
            if cluster.first_return < begun.max(cluster.write_invoke) {
                return Err(Broken::TurnedRound(at));
            }
            begun = begun.max(cluster.last_invoke);
            zone = (zone.0.min(cluster.first_return), begun);
            length += 1;
            at = cluster.next;
        }
        let first = &mut self.all[first as usize];
        (first.first_return, first.last_invoke) = zone;
        Ok(length)
    }

    /// A cluster that no chain reaches.
    fn circle(&self) -> Broken {
        let mut reached = vec![false; self.all.len()];
        for (first, _) in self.all.iter().enumerate().filter(|(_, c)| c.present() && c.from == NONE) {
            let mut at = first as u32;
            while at != NONE {
                reached[at as usize] = true;
                at = self.all[at as usize].next;
            }
        }
        let lost = self.all.iter().zip(&reached).position(|(cluster, reached)| cluster.present() && !reached);
        Broken::Circle(lost.map_or(NONE, |c| c as u32))
    }

    /// Gives each cluster of these chains its places in the order: from `first_return` on its write, from `last_invoke` on
    /// who saw it. How many places there are.
    pub(crate) fn places(&mut self, chains: &[u32]) -> u32 {
        let mut end = 0;
        for &first in chains {
            let mut at = first;
            while at != NONE {
                let cluster = &mut self.all[at as usize];
                let written = u32::from(cluster.write != INITIAL);
                (cluster.first_return, cluster.last_invoke) = (end, end + written);
                end += cluster.size;
                at = cluster.next;
            }
        }
        end
    }

    /// The operations in the order of their chains: in each cluster the write, then who saw it by invocation. `place` says
    /// for each operation the cluster that it belongs to, and whether it is the one that wrote it. O(operations).
    pub(crate) fn lay_out<O>(
        &mut self,
        chains: &[u32],
        ops: &[ObjOp<O>],
        place: impl Fn(usize, &ObjOp<O>) -> Option<(u32, bool)>,
    ) -> Vec<u32> {
        let mut order = vec![NONE; self.places(chains) as usize];
        for (i, op) in ops.iter().enumerate() {
            let Some((c, wrote)) = place(i, op) else { continue };
            let cluster = &mut self.all[c as usize];
            if cluster.size == 0 {
                continue;
            }
            let at = if wrote {
                cluster.first_return
            } else {
                cluster.last_invoke += 1;
                cluster.last_invoke - 1
            };
            order[at as usize] = i as u32;
        }
        order
    }
}
