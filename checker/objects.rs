//! From a history to problems: which operations belong to one object, decoded by its model.

use crate::keyed::{Keyed, KeyedOp};
use crate::model::{IllFormed, Model};
use crate::multi_register::written;
use crate::problem::{ObjOp, Problem};
use crate::spec::{ModelName, Setup, Spec, Specified};
use history::{History, Malformed, NEVER, Outcome, ValueId};
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Every object of a history with its operations, in order of first appearance.
#[derive(Clone, Debug)]
pub struct Built<M: Model> {
    /// The objects.
    pub objects: Vec<Object<M>>,
}

/// One object.
#[derive(Clone, Debug)]
pub struct Object<M: Model> {
    /// The keys that it holds; empty if the history names none.
    pub keys: Vec<ValueId>,
    /// Its operations. Those that constrain nothing are gone: failed ones, unless their failure is an observation,
    /// and reads that were never answered.
    pub problem: Problem<M>,
}

/// Why no problems could be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// An operation does not fit the model.
    Malformed(Malformed),
    /// The specification does not fit the model: one sentence.
    Spec(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Malformed(malformed) => malformed.fmt(f),
            BuildError::Spec(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for BuildError {}

/// Decodes every operation of `history`. O(size of the history).
///
/// # Errors
/// If an operation does not fit the model (with its line), or the specification does not.
pub fn build<M: Specified>(history: &mut History, spec: &Spec) -> Result<Built<M>, BuildError> {
    build_until(history, spec, &AtomicBool::new(false)).map(|built| built.expect("nobody stops it"))
}

/// The same; nothing soon after `stop` is set.
pub(crate) fn build_until<M: Specified>(
    history: &mut History,
    spec: &Spec,
    stop: &AtomicBool,
) -> Result<Option<Built<M>>, BuildError> {
    let (of_op, keys) = match spec.model {
        ModelName::MultiRegister => by_joined_keys(history)?,
        ModelName::ElementSet => by_element(history),
        ModelName::Register
        | ModelName::CasRegister
        | ModelName::Kv
        | ModelName::Set
        | ModelName::Queue
        | ModelName::Counter
        | ModelName::Mutex
        | ModelName::Lock
        | ModelName::VersionedRegister
        | ModelName::RevisionRegister
        | ModelName::AppendLog
        | ModelName::ListAppend
        | ModelName::FetchAdd
        | ModelName::UniqueIds
        | ModelName::MonotonicIds
        | ModelName::Bag
        | ModelName::Stack
        | ModelName::PriorityQueue
        | ModelName::Delivery
        | ModelName::Semaphore
        | ModelName::Watch => by_key(history),
    };
    let processes: Arc<[i64]> = history.processes.clone().into();
    let model = M::setup(&mut Setup { spec, values: &mut history.values, processes: &processes })
        .map_err(BuildError::Spec)?;
    decoded(history, &model, of_op, keys, stop)
}

/// [`build`] for a model of your own: one object per key, each a clone of `model`.
///
/// # Errors
/// If an operation does not fit the model (with its line).
pub fn build_model<M: Model>(history: &mut History, model: M) -> Result<Built<M>, BuildError> {
    build_model_until(history, model, &AtomicBool::new(false)).map(|built| built.expect("nobody stops it"))
}

/// The same; nothing soon after `stop` is set.
pub(crate) fn build_model_until<M: Model>(
    history: &mut History,
    model: M,
    stop: &AtomicBool,
) -> Result<Option<Built<M>>, BuildError> {
    let (of_op, keys) = by_key(history);
    decoded(history, &model, of_op, keys, stop)
}

/// So many operations are decoded between two looks at whether to stop.
const FREE: usize = 1 << 16;

fn decoded<M: Model>(
    history: &mut History,
    model: &M,
    of_op: Vec<u32>,
    keys: Vec<Vec<ValueId>>,
    stop: &AtomicBool,
) -> Result<Option<Built<M>>, BuildError> {
    let mut sizes = vec![0; keys.len()];
    for &object in &of_op {
        sizes[object as usize] += 1;
    }
    let mut objects: Vec<Object<M>> = keys
        .into_iter()
        .zip(sizes)
        .map(|(keys, size)| Object {
            keys,
            problem: Problem { model: model.clone(), ops: Vec::with_capacity(size) },
        })
        .collect();
    for (source, (op, object)) in history.ops.iter().zip(of_op).enumerate() {
        if source % FREE == FREE - 1 && stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Problem { model, ops } = &mut objects[object as usize].problem;
        let decoded = model.decode(&mut history.values, op).map_err(|refusal| {
            let line = if refusal.in_completion && op.ret_line > 0 { op.ret_line } else { op.invoke_line };
            BuildError::Malformed(at(&history.source.name, line, refusal))
        })?;
        if let Some(decoded) = decoded {
            let ret = if op.outcome == Outcome::Info { NEVER } else { op.ret };
            let source = source as u32;
            ops.push(ObjOp { invoke: op.invoke, ret, process: op.process, source, op: decoded });
        }
    }
    Ok(Some(Built { objects }))
}

impl<M: Model> Built<M> {
    /// All objects as one, for the properties that do not split by key. `name` gives an object's name in messages.
    pub fn joined(self, name: impl Fn(&[ValueId]) -> String) -> Problem<Keyed<M>> {
        let mut model = Keyed { objects: Vec::new(), names: Vec::new() };
        let mut ops = Vec::with_capacity(self.objects.iter().map(|o| o.problem.ops.len()).sum());
        for (number, object) in self.objects.into_iter().enumerate() {
            let tagged = |op: &ObjOp<M::Op>| op.with(KeyedOp { object: number as u32, op: op.op });
            ops.extend(object.problem.ops.iter().map(tagged));
            model.names.push(name(&object.keys));
            model.objects.push(object.problem.model);
        }
        ops.sort_unstable_by_key(|op| op.invoke);
        Problem { model, ops }
    }
}

fn at(file: &str, line: u32, refusal: IllFormed) -> Malformed {
    Malformed {
        file: file.to_string(),
        line: u64::from(line),
        column: 1,
        expected: refusal.expected,
        found: refusal.found,
    }
}

/// The object of each operation, and the keys of each object: one object per key.
fn by_key(history: &History) -> (Vec<u32>, Vec<Vec<ValueId>>) {
    let mut numbers: FxHashMap<ValueId, u32> = FxHashMap::default();
    let mut keys = Vec::new();
    let of_op = history.ops.iter().map(|op| {
        *numbers.entry(op.key).or_insert_with(|| {
            keys.push(if op.key == ValueId::NULL { Vec::new() } else { vec![op.key] });
            keys.len() as u32 - 1
        })
    });
    (of_op.collect(), keys)
}

/// One object per element of each set: elements do not meet, so a set is as linearizable as its elements are (Horn and
/// Kroening 2015). The keys of an object are the set's, if it has one, and the element.
fn by_element(history: &History) -> (Vec<u32>, Vec<Vec<ValueId>>) {
    let mut numbers: FxHashMap<(ValueId, ValueId), u32> = FxHashMap::default();
    let mut keys = Vec::new();
    let of_op = history.ops.iter().map(|op| {
        *numbers.entry((op.key, op.input)).or_insert_with(|| {
            keys.push([op.key, op.input].into_iter().filter(|&id| id != ValueId::NULL).collect());
            keys.len() as u32 - 1
        })
    });
    (of_op.collect(), keys)
}

/// The same where operations name several keys inside their value: keys that one of them names belong together.
fn by_joined_keys(history: &mut History) -> Result<(Vec<u32>, Vec<Vec<ValueId>>), BuildError> {
    let mut numbers: FxHashMap<ValueId, u32> = FxHashMap::default();
    let mut keys: Vec<ValueId> = Vec::new();
    let mut parent: Vec<u32> = Vec::new();
    let mut first_key: Vec<Option<u32>> = Vec::with_capacity(history.ops.len());
    for op in &history.ops {
        let micros = written(history.values.get(op.input), false)
            .map_err(|refusal| BuildError::Malformed(at(&history.source.name, op.invoke_line, refusal)))?;
        let mut first = None;
        for micro in micros {
            let key = history.values.intern(&micro.key);
            let number = *numbers.entry(key).or_insert_with(|| {
                keys.push(key);
                parent.push(parent.len() as u32);
                parent.len() as u32 - 1
            });
            let (a, b) = (root(&mut parent, number), root(&mut parent, *first.get_or_insert(number)));
            // The smaller number stays the root, so that objects are in order of first appearance.
            parent[a.max(b) as usize] = a.min(b);
        }
        first_key.push(first);
    }
    let mut object_of_root: FxHashMap<u32, u32> = FxHashMap::default();
    let mut objects: Vec<Vec<ValueId>> = Vec::new();
    for number in 0..keys.len() as u32 {
        let object = *object_of_root.entry(root(&mut parent, number)).or_insert_with(|| {
            objects.push(Vec::new());
            objects.len() as u32 - 1
        });
        objects[object as usize].push(keys[number as usize]);
    }
    // Empty transactions constrain nothing, and go with whichever object is first.
    if objects.is_empty() && !first_key.is_empty() {
        objects.push(Vec::new());
    }
    let of_op = first_key
        .into_iter()
        .map(|key| key.map_or(0, |number| object_of_root[&root(&mut parent, number)]))
        .collect();
    Ok((of_op, objects))
}

fn root(parent: &mut [u32], mut number: u32) -> u32 {
    while parent[number as usize] != number {
        parent[number as usize] = parent[parent[number as usize] as usize];
        number = parent[number as usize];
    }
    number
}
