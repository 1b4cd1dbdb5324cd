//! The shape of an anomaly as a short hash, and the faults that were in force.

use history::NO_TIME;
use history::results::{Anomaly, Coincidence, CoreOp, FaultRecord};

/// Fills [`Anomaly::coincides`] with the faults that overlap an operation of the core, and renews its fingerprint.
/// Operations without times coincide with nothing.
///
/// ```text
///  fault   |------inject … healed------|
///  op            |--read--|                 overlaps
///  op    |--write--|                        overlaps
///  op                                  |--| does not
/// ```
pub fn coincide(anomaly: &mut Anomaly, faults: &[FaultRecord]) {
    anomaly.coincides = faults
        .iter()
        .filter(|fault| fault.injected != NO_TIME)
        .map(|fault| Coincidence {
            fault: fault.id,
            kind: fault.kind.clone(),
            what: fault.what.clone(),
            ops: anomaly.ops.iter().filter(|op| overlaps(op, fault)).map(|op| op.label.clone()).collect(),
        })
        .filter(|coincidence| !coincidence.ops.is_empty())
        .collect();
    anomaly.fingerprint = fingerprint(anomaly);
}

fn overlaps(op: &CoreOp, fault: &FaultRecord) -> bool {
    let Some(invoke) = op.invoke_time else { return false };
    let ended = op.ret_time.unwrap_or(invoke);
    ended >= fault.injected && fault.healed.is_none_or(|healed| invoke <= healed)
}

/// A hash of kind, property, model, reasons (with what kind of operation they lead from and to) and kinds of fault:
/// the same for two anomalies that differ in keys, values, clients and times alone.
pub(crate) fn fingerprint(anomaly: &Anomaly) -> String {
    let f = |label: &str| anomaly.ops.iter().find(|op| op.label == label).map_or("", |op| op.f.as_str());
    let mut parts = vec![anomaly.kind.clone(), anomaly.property.clone(), anomaly.model.clone()];
    parts.extend(anomaly.edges.iter().map(|e| format!("{:?} {} {}", e.why, f(&e.from), f(&e.to))));
    parts.push(anomaly.circle.len().to_string());
    if anomaly.edges.is_empty() {
        let mut shape: Vec<&str> = anomaly.ops.iter().map(|op| op.f.as_str()).collect();
        shape.sort_unstable();
        parts.push(shape.join(" "));
    }
    let mut faults: Vec<&str> = anomaly.coincides.iter().map(|c| c.kind.as_str()).collect();
    faults.sort_unstable();
    faults.dedup();
    parts.extend(faults.into_iter().map(str::to_string));
    format!("{:016x}", fnv(parts.join("\n").as_bytes()))
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
