//! PRAM (Lipton and Sandberg 1988) and causal memory (Ahamad, Neiger, Burns, Kohli and Hutto 1995; CM of Bouajjani et
//! al. 2017): every session has a view, one order of all writes and its own reads in which each read is right.
//!
//! For PRAM a view keeps the order of every session and has each of the own reads after the write that it saw; for causal
//! memory it keeps all of causality. Then
//!
//! ```text
//!   w' on x ──▶ … ──▶ r, which saw w on x          so w' must come before w: derived, until nothing new follows
//! ```
//! No circle: the view exists. It lists, for each own operation in turn, what must come before it and is not there yet,
//! and then the operation. Whatever is there before a read of w on x then also *must* come before it, so that it comes
//! before w if it is on x: w is the last one.
//! With a circle there is none. Each round is O(n k); rounds repeat until nothing new is derived, which are few where sessions
//! learn of writes in about the order in which they happen, and O(n) at worst.

use super::causal::known;
use super::events::{Act, Events, From};
use super::paths::{Clocks, Derived, Graph, Sources};
use super::proof::Proof;
use super::{Evidence, Limit, Outcome, verify};
use crate::verdict::Reason;

/// Decides PRAM, or with `causal` causal memory. Each view is verified when it was found, and not kept.
///
/// # Errors
/// Why the verifier refuses a view.
pub(super) fn decide(events: &Events, causal: bool, limit: &Limit<'_>) -> Result<Outcome, String> {
    if let Some(read) = events.read_from_nowhere() {
        return Ok(Outcome::Violated(Proof::nowhere(read)));
    }
    if causal {
        // Without this, the first view would have to say it, in more words.
        let graph = Graph::new(events, Sources::All);
        if let Err(knot) = graph.order() {
            return Ok(Outcome::Violated(graph.untie(&knot, |_| 0)));
        }
    }
    for session in 0..events.sessions() as u32 {
        let reads = events.session(session).any(|event| events.at(event).act != Act::Write);
        if !reads {
            continue;
        }
        match view(events, session, causal, limit) {
            View::Order(order) => verify::view(events, session, causal, &order)?,
            View::Violated(proof) => return Ok(Outcome::Violated(proof)),
            View::GaveUp(reason) => return Ok(Outcome::GaveUp(reason)),
        }
    }
    Ok(Outcome::Holds(Evidence::Verified))
}

enum View {
    /// Events, first to last.
    Order(Vec<u32>),
    Violated(Proof),
    GaveUp(Reason),
}

fn view(events: &Events, session: u32, causal: bool, limit: &Limit<'_>) -> View {
    let mut graph = Graph::new(events, if causal { Sources::All } else { Sources::Of(session) });
    loop {
        let order = match graph.order() {
            Ok(order) => order,
            Err(knot) => return View::Violated(graph.untie(&knot, |derived| derived)),
        };
        let clocks = match graph.clocks(&order, limit.bytes, limit.stop) {
            Ok(clocks) => clocks,
            Err(reason) => return View::GaveUp(reason),
        };
        let before = graph.derived.len();
        for reader in events.session(session) {
            let event = events.at(reader);
            let Act::Read(from) = event.act else { continue };
            for newer in known(events, &clocks, reader, event) {
                match from {
                    From::Write(w) if newer == w || clocks.knows(events, w, newer) => {}
                    From::Write(w) => graph.add(Derived { from: newer, to: w, reader }),
                    From::Initial | From::Nowhere => {
                        let proof = graph.not_initial(newer, reader, |derived| derived);
                        return View::Violated(proof.expect("what an event knows of comes before it"));
                    }
                }
            }
        }
        if graph.derived.len() == before {
            return View::Order(listed(events, session, &order, &clocks));
        }
    }
}

/// For each event of the session in turn, what must come before it and is not there yet, and then the event.
fn listed(events: &Events, session: u32, order: &[u32], clocks: &Clocks) -> Vec<u32> {
    let mut turn = vec![0u32; order.len()];
    for (i, &event) in (0..).zip(order) {
        turn[event as usize] = i;
    }
    let mut listed = Vec::with_capacity(order.len());
    let mut there = vec![0u32; events.sessions()];
    let add = |there: &mut [u32], row: &[u32], listed: &mut Vec<u32>| {
        let begin = listed.len();
        for (s, (there, &known)) in there.iter_mut().zip(row).enumerate() {
            if *there < known {
                listed.extend(events.start[s] + *there..events.start[s] + known);
                *there = known;
            }
        }
        listed[begin..].sort_unstable_by_key(|&event| turn[event as usize]);
    };
    for event in events.session(session) {
        add(&mut there, clocks.of(event), &mut listed);
    }
    let all: Vec<u32> = (0..events.sessions()).map(|s| events.start[s + 1] - events.start[s]).collect();
    add(&mut there, &all, &mut listed);
    listed
}
