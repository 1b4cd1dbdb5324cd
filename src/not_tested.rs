//! What a green verdict does not cover. A pass that does not say this is an advertisement.

use history::results::{FaultRecord, RunInfo};
use history::{History, NEVER, Outcome, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// One sentence each, the most important first.
pub fn sentences(history: &History, faults: &[FaultRecord], run: Option<&RunInfo>) -> Vec<String> {
    let mut said = Vec::new();
    match run {
        Some(run) => {
            let bitten: BTreeSet<&str> =
                faults.iter().filter(|fault| fault.bit.is_some()).map(|fault| fault.kind.as_str()).collect();
            let missing: Vec<&str> =
                nemesis::usual().iter().copied().filter(|kind| !bitten.contains(kind)).collect();
            if !missing.is_empty() {
                said.push(format!("No fault of these kinds was in force: {}.", missing.join(", ")));
            }
            let untouched: Vec<&str> = run
                .nodes
                .iter()
                .map(String::as_str)
                .filter(|node| !faults.iter().any(|fault| fault.nodes.iter().any(|other| other == node)))
                .collect();
            if !untouched.is_empty() {
                said.push(format!("No fault touched {}.", untouched.join(", ")));
            }
            // What has bitten has happened, whether the nodes share a machine or not.
            let power = if bitten.contains("power") { "" } else { "no loss of power, " };
            let disk = if bitten.iter().any(|kind| kind.starts_with("disk-")) {
                ""
            } else {
                "no full or failing disk, "
            };
            let has = |key: &str| run.config.iter().any(|(name, _)| name == key);
            let missing = format!("{power}{disk}");
            if has("lab") {
                said.push(format!("The nodes share one machine: {missing}no network but the lab's."));
            } else if !has("no-db") {
                said.push(format!("The nodes share one machine: {missing}no network but loopback."));
            } else if let Some(missing) = missing.strip_suffix(", ") {
                said.push(format!("There was {missing}."));
            }
        }
        None if faults.is_empty() => {
            said.push(
                "The history does not say which faults were in force, or whether there were any.".to_string(),
            );
        }
        None => said.push("Whether the recorded faults had any effect is not known.".to_string()),
    }
    said.extend(contention(history));
    let unknown = history.ops.iter().filter(|op| op.outcome == Outcome::Info).count();
    if unknown > 0 {
        said.push(format!(
            "{unknown} of {} operations were never answered: each was allowed to have happened at any later time, or never.",
            history.ops.len()
        ));
    }
    said
}

/// Keys on which no two processes ever overlapped cannot show most anomalies.
fn contention(history: &History) -> Option<String> {
    let mut open: BTreeMap<ValueId, (u32, u32)> = BTreeMap::new();
    let mut keys: BTreeMap<ValueId, bool> = BTreeMap::new();
    for op in &history.ops {
        let contended = keys.entry(op.key).or_default();
        let (ret, process) = open.entry(op.key).or_insert((0, op.process));
        *contended |= *process != op.process && op.invoke < *ret;
        if op.ret != NEVER && op.ret > *ret {
            (*ret, *process) = (op.ret, op.process);
        }
    }
    let quiet = keys.values().filter(|contended| !**contended).count();
    (quiet > 0 && keys.len() > 1)
        .then(|| format!("On {quiet} of {} keys no two processes ever overlapped.", keys.len()))
}
