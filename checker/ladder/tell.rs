//! Tells a proof: numbered reasons between the labelled operations of an anomaly, and the circle that they make.

use super::events::{Act, Events, From};
use super::proof::{Proof, Step, Why};
use super::rung::Rung;
use super::{Limit, Outcome, decide};
use crate::objects::build;
use crate::spec::{Spec, Specified};
use crate::with_model;
use history::History;
use history::results::{Anomaly, Edge, Why as Said};
use std::sync::atomic::AtomicBool;

/// Replaces the reasons of `anomaly`, whose operations are those of `core` (indices into `part`), by those of the rung.
/// Tables of orders are taken away: they speak of one order of everything, which the rung does not demand.
pub(crate) fn retell(anomaly: &mut Anomaly, part: &mut History, spec: &Spec, rung: Rung, core: &[u32]) {
    anomaly.edges = Vec::new();
    anomaly.circle = Vec::new();
    anomaly.orders = Vec::new();
    anomaly.orders_total = 0;
    anomaly.states = Vec::new();
    let found = with_model!(spec.model, M => proof::<M>(part, spec, rung, core));
    let Some((events, proof)) = found else { return };
    let label = |event: u32| {
        let op = &part.ops[events.at(event).source as usize];
        anomaly.ops.iter().find(|told| told.invoke == op.invoke).map(|told| told.label.clone())
    };
    if let Some((edges, circle)) = told(&events, &proof, rung, label) {
        (anomaly.edges, anomaly.circle) = (edges, circle);
    }
}

/// The proof again, from the operations of the core alone.
fn proof<M: Specified>(part: &mut History, spec: &Spec, rung: Rung, core: &[u32]) -> Option<(Events, Proof)> {
    let built = build::<M>(part, spec).ok()?;
    let all = Events::new(part, &built)?;
    let mine = |event: &u32| core.binary_search(&all.at(*event).source).is_ok();
    let numbers: Vec<u32> = (0..all.list.len() as u32).filter(mine).collect();
    let (events, _) = all.only(&numbers);
    let never = AtomicBool::new(false);
    match decide(&events, rung, &Limit { stop: &never, bytes: usize::MAX }).ok()? {
        Outcome::Violated(proof) => Some((events, proof)),
        Outcome::Holds(_) | Outcome::GaveUp(_) => None,
    }
}

/// The steps as edges, and the labels around the circle; `None` if an operation has no label.
fn told(
    events: &Events,
    proof: &Proof,
    rung: Rung,
    label: impl Fn(u32) -> Option<String>,
) -> Option<(Vec<Edge>, Vec<String>)> {
    let mut edges: Vec<Edge> = Vec::new();
    // Per step, the numbers of its edges: none between the halves of one operation.
    let mut numbers: Vec<Vec<u32>> = Vec::new();
    for step in &proof.steps {
        let uses: Vec<u32> = step.uses.iter().flat_map(|&used| numbers[used].clone()).collect();
        let mut mine = Vec::new();
        for (from, to, why, text) in pieces(events, step, rung, &label)? {
            let (from, to) = (label(from)?, label(to)?);
            if from != to {
                let n = edges.len() as u32 + 1;
                edges.push(Edge { n, from, to, why, gap_ns: None, uses: uses.clone(), text });
                mine.push(n);
            }
        }
        numbers.push(mine);
    }
    let around: Vec<u32> = proof.circle.iter().flat_map(|&step| numbers[step].clone()).collect();
    let mut circle: Vec<String> = around.iter().map(|&n| edges[n as usize - 1].from.clone()).collect();
    circle.extend(circle.first().cloned());
    Some((edges, circle))
}

type Piece = (u32, u32, Said, String);

fn pieces(
    events: &Events,
    step: &Step,
    rung: Rung,
    label: impl Fn(u32) -> Option<String>,
) -> Option<Vec<Piece>> {
    let (from, to) = (label(step.from)?, label(step.to)?);
    let (said, text) = match step.why {
        Why::Session => (Said::SameClient, format!("one session did {from} before {to}")),
        Why::Source => (Said::Read, format!("{to} saw what only {from} wrote")),
        Why::Overwritten { reader } => {
            let reader = label(reader)?;
            (
                Said::Overwritten,
                format!(
                    "{from} comes before {reader}, which still saw what {to} wrote: {from} must be older"
                ),
            )
        }
        Why::Initial => (Said::Initial, format!("{from} saw what was there before any write, such as {to}")),
        Why::Versions { first, second } => {
            let (sooner, later) = (label(first)?, label(second)?);
            let (base, order) = match rung {
                Rung::Regular => (Said::RealTime, format!("{sooner} had returned before {later} was sent")),
                _ => (Said::SameClient, format!("one session did {sooner} before {later}")),
            };
            if step.from == step.to {
                // It saw a write of which it, or its session, came before.
                return Some(vec![
                    (first, second, base, order),
                    (second, first, Said::Read, format!("{sooner} saw what only {later} wrote")),
                ]);
            }
            let saw = |event: u32, who: &str, whose: &str| match events.at(event).act {
                Act::Read(From::Write(_)) => format!(", {who} saw {whose}"),
                Act::Read(From::Initial | From::Nowhere) | Act::Write => String::new(),
            };
            let seen = format!("{}{}", saw(first, &sooner, &from), saw(second, &later, &to));
            let said = if seen.is_empty() { base } else { Said::Version };
            let conclusion = if seen.is_empty() { String::new() } else { format!(": {from} is older") };
            (said, format!("{order}{seen}{conclusion}"))
        }
    };
    Some(vec![(step.from, step.to, said, text)])
}
