//! Judges registers whose values are all different in columns, where they have an order: the common case of a long run.

use super::{Part, Progress, on_all_threads};
use crate::Limits;
use crate::cells::{Cells, cells};
use crate::certify::replay_cell;
use crate::exact::Zones;
use crate::spec::{ModelName, Setup, Spec, Specified};
use crate::verdict::{Verdict, Witness};
use history::History;
use std::sync::atomic::{AtomicBool, Ordering};

/// What [`by_zones`] takes for an operation, at most where nothing is very sparse.
const BYTES_BY_ZONES: usize = 100;

/// Every object of a history whose values are all different, where each has an order that the verifier accepts; `None` if
/// one has none, or is of another kind: then problems are built, and decided again. One look at the budget for all.
pub(super) fn by_zones<M: Specified>(
    history: &mut History,
    spec: &Spec,
    limits: &Limits<'_>,
) -> Option<Vec<Part>> {
    match spec.model {
        ModelName::Register | ModelName::CasRegister | ModelName::Kv => {}
        _ => return None,
    }
    // What a column and a cluster of each operation take, and more than their order does.
    if history.ops.len().saturating_mul(BYTES_BY_ZONES) > limits.bytes {
        return None;
    }
    let processes = history.processes.clone().into();
    let setup = &mut Setup { spec, values: &mut history.values, processes: &processes };
    let mut model = M::setup(setup).ok()?;
    let cells = cells(history, &mut model, limits.stop)?;
    let count = cells.keys.len();
    // Neighbours share a thread, and what it needs.
    let each = count.div_ceil(limits.threads.max(1) * 8);
    let shares: Vec<usize> = (0..count).step_by(each.max(1)).collect();
    let parts = on_all_threads(&shares, limits.threads, |&from| {
        let mut zones = Zones::default();
        (from..count.min(from + each))
            .map(|cell| by_zones_of(&cells, cell, &mut zones, limits.stop))
            .collect()
    });
    let parts: Vec<Part> =
        parts.into_iter().collect::<Option<Vec<Vec<Part>>>>()?.into_iter().flatten().collect();
    if let Some(progress) = limits.progress {
        progress(Progress { done: count, objects: count, at: None });
    }
    Some(parts)
}

/// One of them.
fn by_zones_of(cells: &Cells, cell: usize, zones: &mut Zones, stop: &AtomicBool) -> Option<Part> {
    if stop.load(Ordering::Relaxed) {
        return None;
    }
    let ops = cells.of(cell);
    let mut order = zones.order(ops, cells.initial, cells.dense, stop)?;
    if !replay_cell(ops, cells.initial, &order) {
        return None;
    }
    cells.to_sources(cell, &mut order);
    let unknown = ops.iter().filter(|op| op.ret == history::NEVER).count() as u32;
    let keys = cells.keys[cell].clone();
    Some(Part {
        violated: keys.clone(),
        keys,
        ops: ops.len() as u32,
        unknown,
        verdict: Verdict::Valid(Witness { order }),
        method: "zones",
        states: 0,
        stuck: None,
        disagreement: None,
    })
}
