//! Causal consistency, with and without convergence (Bouajjani, Enea, Guerraoui and Hamza, POPL 2017, §3 and §5).
//!
//! One event *causes* another if its session sent it earlier, or the other saw what it wrote, or through a third.
//!
//! ```text
//!   P0  w x 1 ── w x 2            CC: x 1 causes x 2, x 2 causes the last read (through y), and yet it saw x 1
//!   P1     r x 2 ── w y 1
//!   P2                 r y 1 ── r x 1
//! ```
//! A read agrees with what caused it exactly when no other write to its key lies, causally, between it and the write that
//! it saw. Of each session only the last write to the key that the read knows of has to be looked at: O(n k) for k sessions.
//! For convergence, everything that a read knows of on its key comes, for everybody, before the write that it saw; with
//! causality, that must not run in a circle.

use super::events::{Act, Event, Events, From};
use super::paths::{Clocks, Derived, Graph, Sources};
use super::proof::Proof;
use super::{Evidence, Limit, Outcome};
use crate::verdict::Reason;
use std::sync::atomic::Ordering;

/// Decides causal consistency (CC), or with `convergent` causal convergence (CCv).
pub(super) fn decide(events: &Events, convergent: bool, limit: &Limit<'_>) -> Outcome {
    let mut graph = Graph::new(events, Sources::All);
    let order = match graph.order() {
        Ok(order) => order,
        Err(knot) => return Outcome::Violated(graph.untie(&knot, |_| 0)),
    };
    let clocks = match graph.clocks(&order, limit.bytes, limit.stop) {
        Ok(clocks) => clocks,
        Err(reason) => return Outcome::GaveUp(reason),
    };
    for (i, (reader, event)) in (0..).zip(&events.list).enumerate() {
        if i % 8192 == 0 && limit.stop.load(Ordering::Relaxed) {
            return Outcome::GaveUp(Reason::Stopped);
        }
        let Act::Read(from) = event.act else { continue };
        let mut bad = None;
        for newer in known(events, &clocks, reader, event) {
            match from {
                From::Write(w) if newer == w => {}
                From::Write(w) if clocks.knows(events, newer, w) => bad = Some(newer),
                From::Write(w) => {
                    if convergent && !clocks.knows(events, w, newer) {
                        graph.add(Derived { from: newer, to: w, reader });
                    }
                }
                From::Initial => bad = Some(newer),
                From::Nowhere => return Outcome::Violated(Proof::nowhere(reader)),
            }
        }
        if let Some(newer) = bad {
            let plain = Graph::new(events, Sources::All);
            let proof = match from {
                From::Write(w) => plain.overwritten(w, newer, reader, |_| 0),
                From::Initial | From::Nowhere => plain.not_initial(newer, reader, |_| 0),
            };
            return Outcome::Violated(proof.expect("what an event knows of comes before it"));
        }
    }
    if !convergent {
        return Outcome::Holds(Evidence::Causality(order));
    }
    drop(clocks);
    match graph.order() {
        Ok(order) => Outcome::Holds(Evidence::Arbitration(order)),
        Err(knot) => Outcome::Violated(graph.untie(&knot, |_| 0)),
    }
}

/// Per session, the last write to the key of a read that the read knows of.
pub(super) fn known<'a>(
    events: &'a Events,
    clocks: &'a Clocks,
    reader: u32,
    event: &Event,
) -> impl Iterator<Item = u32> + 'a {
    let row = clocks.of(reader);
    events
        .writers(event.key)
        .iter()
        .filter_map(move |&writer| events.last_write(writer, row[writer.session as usize]))
}
