//! Results for machines: JUnit for build servers, annotations for GitHub, SARIF for code scanning, a trace for Perfetto.
//!
//! All of them are views of the one anomaly object of `results.json`. Each escapes after its own rules whatever came
//! from the system under test, after the one door for untrusted text has made it visible.

mod github;
mod junit;
mod sarif;
mod trace;

pub use github::{annotations, summary};
pub use junit::junit;
pub use sarif::{Kind, sarif};
pub use trace::chrome_trace;

use crate::terminal::Look;
use history::results::{Anomaly, ObjectJudgement, Results};

/// How the counterexample is drawn where nobody knows who reads it.
const PLAIN: Look = Look { width: 100, color: false, unicode: false };

/// The violations of an object under a property: those of its keys, or all where keys are not named.
fn of_object<'a>(
    results: &'a Results,
    property: &'a str,
    object: &'a ObjectJudgement,
) -> impl Iterator<Item = (usize, &'a Anomaly)> {
    let its = move |anomaly: &Anomaly| {
        let keys = || anomaly.key.iter().chain(anomaly.ops.iter().filter_map(|op| op.key.as_ref()));
        anomaly.property == property
            && (object.keys.is_empty() || keys().any(|key| object.keys.contains(key)))
    };
    results.anomalies.iter().enumerate().filter(move |(_, anomaly)| its(anomaly))
}

/// Whether nothing of its shape stands before it in the list.
fn first_of_shape(results: &Results, index: usize) -> bool {
    let me = &results.anomalies[index];
    let same = |other: &Anomaly| other.fingerprint == me.fingerprint && other.property == me.property;
    !results.anomalies[..index].iter().any(same)
}

/// How many others have its shape.
fn others_of_shape(results: &Results, index: usize) -> usize {
    let me = &results.anomalies[index];
    let same = |other: &&Anomaly| other.fingerprint == me.fingerprint && other.property == me.property;
    results.anomalies.iter().filter(same).count() - 1
}

/// What was judged, in a few words: `demo-quorum register`, or the file.
fn subject(results: &Results) -> String {
    match &results.run {
        Some(run) => format!("{} {}", run.system, run.workload),
        None => results.checker.history.clone(),
    }
}

/// The verdict as one sentence: `Not linearizable: an acknowledged write disappeared`.
pub fn headline(results: &Results) -> String {
    let said = crate::summary::sentence(results);
    format!("{}: {}", said.strong, said.rest).replace(['\u{a0}', '\u{202f}'], " ")
}
