//! A register whose every write makes a version: etcd's revisions, ZooKeeper's versions, NATS' sequence numbers.
//!
//! ```text
//!   read: null → [version, v]       write: v → [version, v]       cas: [expected version, v] → [version, v]
//! ```
//! Versions grow by one ([`Growth::ByOne`]: ZooKeeper's version of a node, etcd's version of a key), or they grow
//! ([`Growth::Larger`]: etcd's revision of a key, NATS' sequence number of a subject, which other keys raise, too). A read
//! of null finds the key missing: version 0 and null. A write that was answered without a version made one that nobody
//! told. Where versions only grow, it is larger than all before and, for all that is known, smaller than the next.

use crate::decode::{function, must_apply, pair, refuse, unknown};
use crate::exact::{Exact, Said, versions};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::spec::{ModelName, NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Applied, Interner, Op, Outcome, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A register with versions.
#[derive(Clone, Debug)]
pub struct Versioned {
    /// What a write does to the version.
    pub growth: Growth,
    /// Version and value before the first operation.
    pub initial: (i64, ValueId),
    nil_read: NilRead,
    /// Whether a write may have made a version that nobody told.
    unheard: bool,
    /// Versions that a core leaves out, ascending: the one before them is followed by the one after them.
    left_out: Arc<[i64]>,
}

/// What a write does to the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It becomes larger by one.
    ByOne,
    /// It becomes larger.
    Larger,
}

/// What the register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionedState {
    /// The version, or the last one that is known.
    pub version: i64,
    /// Whether the version is larger than that, and nobody was told.
    pub unheard: bool,
    /// The value.
    pub value: ValueId,
}

/// What a client did with the register, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionedOp {
    /// It read this version and value, in a read or in a cas that found another version than it expected.
    Read(i64, ValueId),
    /// It made this version, with this value.
    Write(i64, ValueId),
    /// It made a version with this value, and nobody heard which.
    WriteUnheard(ValueId),
    /// It found `expected` and made `version`.
    Cas {
        /// What it found.
        expected: i64,
        /// What it made.
        version: i64,
        /// The new value.
        value: ValueId,
    },
    /// It found `expected`, and nobody heard what it made.
    CasUnheard {
        /// What it found.
        expected: i64,
        /// The new value.
        value: ValueId,
    },
    /// It found another version than this.
    CasRefused(i64),
}

impl Versioned {
    /// A register that starts with `initial`, of which any operation may come.
    pub fn new(growth: Growth, initial: (i64, ValueId), nil_read: NilRead) -> Versioned {
        Versioned { growth, initial, nil_read, unheard: true, left_out: Arc::from([]) }
    }

    /// The version that follows `version` where they grow by one.
    fn next(&self, version: i64) -> i64 {
        let mut next = version.saturating_add(1);
        while self.left_out.binary_search(&next).is_ok() {
            next += 1;
        }
        next
    }

    /// Whether a write may make `version` in `state`.
    fn may_make(&self, state: &VersionedState, version: i64) -> bool {
        match self.growth {
            Growth::ByOne => version == self.next(state.version),
            Growth::Larger => version > state.version,
        }
    }

    /// Whether the version may be this one in `state`.
    fn may_be(state: &VersionedState, version: i64) -> bool {
        if state.unheard { version > state.version } else { version == state.version }
    }

    /// What a write leaves whose version nobody heard.
    fn after_unheard(&self, state: &VersionedState, value: ValueId) -> VersionedState {
        match self.growth {
            Growth::ByOne => VersionedState { version: self.next(state.version), unheard: false, value },
            Growth::Larger => VersionedState { version: state.version, unheard: true, value },
        }
    }

    /// The version that an answer tells: `[version, value]` with the value that was written. Null, or the value alone, tell
    /// none.
    fn told(values: &Interner, op: &Op, written: ValueId) -> Result<Option<i64>, IllFormed> {
        if op.outcome != Outcome::Ok || op.output == ValueId::NULL {
            return Ok(None);
        }
        let output = values.get(op.output);
        match output.as_list() {
            Some([version, value]) if value == values.get(written) => match version.as_int() {
                Some(version) => Ok(Some(version)),
                None => Err(refuse("a whole number as version", version, true)),
            },
            _ if op.output == written || op.output == op.input => Ok(None),
            _ => Err(refuse("[version, value] with the value that was written, or nothing", output, true)),
        }
    }
}

fn versioned(values: &mut Interner, id: ValueId, output: bool) -> Result<(i64, ValueId), IllFormed> {
    match values.get(id).as_list() {
        Some([version, value]) if version.as_int().is_some() => {
            let (version, value) = (version.as_int().unwrap_or_default(), value.clone());
            Ok((version, values.intern(&value)))
        }
        _ => Err(refuse("[version, value] with a whole number as version", values.get(id), output)),
    }
}

impl Specified for Versioned {
    fn setup(setup: &mut Setup<'_>) -> Result<Versioned, String> {
        let growth = match setup.spec.model {
            ModelName::RevisionRegister => Growth::Larger,
            _ => Growth::ByOne,
        };
        let initial = match &setup.spec.initial {
            None | Some(Value::Null) => (0, ValueId::NULL),
            Some(value) => {
                let id = setup.values.intern(value);
                versioned(setup.values, id, false)
                    .map_err(|refusal| format!("--initial: expected {}", refusal.expected))?
            }
        };
        // So far every version was told.
        Ok(Versioned { unheard: false, ..Versioned::new(growth, initial, setup.spec.nil_read) })
    }
}

impl Model for Versioned {
    type State = VersionedState;
    type Op = VersionedOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<VersionedOp>, IllFormed> {
        let decoded = match function(values, op)? {
            "read" => {
                must_apply(op, "read")?;
                match op.outcome {
                    Outcome::Fail | Outcome::Info => return Ok(None),
                    Outcome::Ok if op.output == ValueId::NULL => match self.nil_read {
                        NilRead::Unknown => return Ok(None),
                        NilRead::Observe => VersionedOp::Read(0, ValueId::NULL),
                    },
                    Outcome::Ok => {
                        let (version, value) = versioned(values, op.output, true)?;
                        VersionedOp::Read(version, value)
                    }
                }
            }
            "write" => {
                must_apply(op, "write")?;
                match Versioned::told(values, op, op.input)? {
                    Some(version) => VersionedOp::Write(version, op.input),
                    None => VersionedOp::WriteUnheard(op.input),
                }
            }
            "cas" => {
                let asked = "a list [expected version, value] as the value of a cas";
                let [version, value] = pair(values, op.input, asked)?;
                let expected = values.get(version).as_int();
                let expected = expected.ok_or_else(|| refuse(asked, values.get(op.input), false))?;
                if op.outcome == Outcome::Ok && op.applied == Applied::No {
                    match op.observed {
                        None => VersionedOp::CasRefused(expected),
                        Some(observed) => {
                            let (version, value) = versioned(values, observed, true)?;
                            if version == expected {
                                let found = values.get(observed);
                                return Err(refuse("another version than the expected one", found, true));
                            }
                            VersionedOp::Read(version, value)
                        }
                    }
                } else {
                    match Versioned::told(values, op, value)? {
                        Some(version) => VersionedOp::Cas { expected, version, value },
                        None => VersionedOp::CasUnheard { expected, value },
                    }
                }
            }
            f => return Err(unknown("read, write or cas", f)),
        };
        if op.outcome == Outcome::Fail {
            return Ok(None);
        }
        self.unheard |= matches!(decoded, VersionedOp::WriteUnheard(_) | VersionedOp::CasUnheard { .. });
        Ok(Some(decoded))
    }

    fn init(&self) -> VersionedState {
        VersionedState { version: self.initial.0, unheard: false, value: self.initial.1 }
    }

    fn step(&self, state: &VersionedState, op: VersionedOp, out: &mut impl FnMut(VersionedState)) {
        match op {
            VersionedOp::Read(version, value) => {
                if Versioned::may_be(state, version) && state.value == value {
                    out(VersionedState { version, unheard: false, value });
                }
            }
            VersionedOp::Write(version, value) => {
                if self.may_make(state, version) {
                    out(VersionedState { version, unheard: false, value });
                }
            }
            VersionedOp::WriteUnheard(value) => out(self.after_unheard(state, value)),
            VersionedOp::Cas { expected, version, value } => {
                let found = VersionedState { version: expected, unheard: false, value: state.value };
                if Versioned::may_be(state, expected) && self.may_make(&found, version) {
                    out(VersionedState { version, unheard: false, value });
                }
            }
            VersionedOp::CasUnheard { expected, value } => {
                if Versioned::may_be(state, expected) {
                    let found = VersionedState { version: expected, unheard: false, value: state.value };
                    out(self.after_unheard(&found, value));
                }
            }
            VersionedOp::CasRefused(expected) => {
                if state.unheard || state.version != expected {
                    out(*state);
                }
            }
        }
    }

    fn is_pure(&self, op: VersionedOp) -> bool {
        match op {
            // A read tells the version of a write that was not told its own.
            VersionedOp::Read(..) => self.growth == Growth::ByOne || !self.unheard,
            VersionedOp::CasRefused(_) => true,
            VersionedOp::Write(..)
            | VersionedOp::WriteUnheard(_)
            | VersionedOp::Cas { .. }
            | VersionedOp::CasUnheard { .. } => false,
        }
    }

    fn only_in(&self, op: VersionedOp) -> Option<VersionedState> {
        let told = self.growth == Growth::ByOne || !self.unheard;
        match op {
            VersionedOp::Read(version, value) if told => {
                Some(VersionedState { version, unheard: false, value })
            }
            VersionedOp::Read(..)
            | VersionedOp::Write(..)
            | VersionedOp::WriteUnheard(_)
            | VersionedOp::Cas { .. }
            | VersionedOp::CasUnheard { .. }
            | VersionedOp::CasRefused(_) => None,
        }
    }

    /// A version can be left out whole, where somebody was told that he made it: then the one before it is followed by the
    /// one after it, and a cas that found it is a write. A write that was not told its version can be left out where nobody
    /// kept reads a version that it may have made; then it can no longer be said that versions grow by one, only that they
    /// grow. Reads can be left out, and comparisons that failed must be where anything else is.
    fn project(&self, ops: &[ObjOp<VersionedOp>], keep: &mut [bool], _: Property) -> Problem<Versioned> {
        let mut makers: FxHashMap<i64, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            if let VersionedOp::Write(version, _) | VersionedOp::Cas { version, .. } = op.op {
                *makers.entry(version).or_default() |= *kept;
            }
        }
        // Where a history is cut, a version is known of an operation that is still open: it may never happen, and somebody
        // else who was not told may have made that version.
        let returned = ops.iter().filter(|op| !op.indeterminate());
        let made: FxHashSet<i64> = returned
            .filter_map(|op| match op.op {
                VersionedOp::Write(version, _) | VersionedOp::Cas { version, .. } => Some(version),
                VersionedOp::Read(..)
                | VersionedOp::WriteUnheard(_)
                | VersionedOp::CasUnheard { .. }
                | VersionedOp::CasRefused(_) => None,
            })
            .collect();
        let mut unexplained: FxHashSet<ValueId> = FxHashSet::default();
        for (op, kept) in ops.iter().zip(keep.iter()).filter(|(_, kept)| **kept) {
            if let VersionedOp::Read(version, value) = op.op {
                if let Some(wanted) = makers.get_mut(&version) {
                    *wanted |= *kept;
                }
                if !made.contains(&version) {
                    unexplained.insert(value);
                }
            }
        }
        let (mut left_out, mut unheard_left_out) = (Vec::new(), false);
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                VersionedOp::Write(version, _) | VersionedOp::Cas { version, .. } => {
                    *kept = makers[&version];
                    if !*kept && made.contains(&version) {
                        left_out.push(version);
                    }
                    unheard_left_out |= !*kept && !made.contains(&version);
                }
                VersionedOp::WriteUnheard(value) | VersionedOp::CasUnheard { value, .. } => {
                    *kept |= unexplained.contains(&value);
                    unheard_left_out |= !*kept;
                }
                VersionedOp::Read(..) | VersionedOp::CasRefused(_) => {}
            }
        }
        left_out.sort_unstable();
        left_out.dedup();
        let whole = left_out.is_empty() && !unheard_left_out;
        let explained = |expected: i64| {
            let by_unheard = !made.contains(&expected) && expected != self.initial.0;
            left_out.binary_search(&expected).is_err() && !(unheard_left_out && by_unheard)
        };
        let mut weaker: Vec<ObjOp<VersionedOp>> = ops.to_vec();
        for (op, kept) in weaker.iter_mut().zip(keep.iter_mut()) {
            match op.op {
                VersionedOp::CasRefused(_) => *kept &= whole,
                VersionedOp::Cas { expected, version, value } if !explained(expected) => {
                    op.op = VersionedOp::Write(version, value);
                }
                VersionedOp::CasUnheard { expected, value } if !explained(expected) => {
                    op.op = VersionedOp::WriteUnheard(value);
                }
                VersionedOp::Read(..)
                | VersionedOp::Write(..)
                | VersionedOp::WriteUnheard(_)
                | VersionedOp::Cas { .. }
                | VersionedOp::CasUnheard { .. } => {}
            }
        }
        let mut model = self.clone();
        if unheard_left_out {
            model.growth = Growth::Larger;
        }
        model.left_out = left_out.into();
        Problem { model, ops: crate::model::kept(&weaker, keep) }
    }

    fn exact(&self, ops: &[ObjOp<VersionedOp>], stop: &AtomicBool) -> Option<Exact> {
        let by_one = self.growth == Growth::ByOne;
        versions(ops, stop, self.initial, by_one, |op| match op {
            VersionedOp::Read(version, value) => Said::Saw(version, value),
            VersionedOp::Write(version, value) => Said::Made(Some(version), None, value),
            VersionedOp::WriteUnheard(value) => Said::Made(None, None, value),
            VersionedOp::Cas { expected, version, value } => Said::Made(Some(version), Some(expected), value),
            VersionedOp::CasUnheard { expected, value } => Said::Made(None, Some(expected), value),
            VersionedOp::CasRefused(expected) => Said::Missed(expected),
        })
    }

    fn describe_op(&self, values: &Interner, op: VersionedOp) -> String {
        let v = |id| values.get(id);
        match op {
            VersionedOp::Read(version, value) => format!("read → {} at version {version}", v(value)),
            VersionedOp::Write(version, value) => format!("write {} → version {version}", v(value)),
            VersionedOp::WriteUnheard(value) => format!("write {}", v(value)),
            VersionedOp::Cas { expected, version, value } => {
                format!("cas version {expected}, {} → version {version}", v(value))
            }
            VersionedOp::CasUnheard { expected, value } => format!("cas version {expected}, {}", v(value)),
            VersionedOp::CasRefused(expected) => format!("cas version {expected} refused"),
        }
    }

    fn describe_state(&self, values: &Interner, state: &VersionedState) -> String {
        let version = match state.unheard {
            true => format!("a version after {}", state.version),
            false => format!("version {}", state.version),
        };
        format!("{} at {version}", values.get(state.value))
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &VersionedState,
        op: VersionedOp,
        object: &str,
    ) -> String {
        let held = format!("{object} holds {}", self.describe_state(values, state));
        match op {
            VersionedOp::Read(version, value) => {
                format!("it read {} at version {version}, but {held}", values.get(value))
            }
            VersionedOp::Write(version, _) => format!("it made version {version}, but {held}"),
            VersionedOp::Cas { expected, version, .. } => {
                format!("it replaced version {expected} by version {version}, but {held}")
            }
            VersionedOp::CasUnheard { expected, .. } => format!("it replaced version {expected}, but {held}"),
            VersionedOp::CasRefused(expected) => {
                format!("it was refused for want of version {expected}, but {held}")
            }
            VersionedOp::WriteUnheard(_) => format!("nothing speaks against it: {held}"),
        }
    }
}
