//! Registers with versions: what was there is a pair of a version and a value, and some writers never heard theirs.

use super::acts::Answered;
use super::facts::{Act, Happened, Made};
use history::{Applied, History, Outcome, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// The pairs of a history.
#[derive(Default)]
pub(super) struct Pairs {
    /// By key and version, one that somebody made or else saw.
    of_version: FxHashMap<(ValueId, i64), ValueId>,
    /// By key and value, those that were seen although nobody was told that he made them.
    unclaimed: FxHashMap<(ValueId, ValueId), Vec<ValueId>>,
}

/// Version and value.
fn pair(history: &History, id: ValueId) -> Option<(i64, &Value)> {
    match history.values.get(id).as_list() {
        Some([version, value]) => Some((version.as_int()?, value)),
        _ => None,
    }
}

/// What a write or a cas asks to put there.
fn asked(told: &Answered<'_>, cas: bool) -> Option<ValueId> {
    let value = told.history.values.get(told.op.input).as_list();
    if cas { told.history.values.find(value?.get(1)?) } else { Some(told.op.input) }
}

impl Pairs {
    /// Of the operations on these keys, ascending. O(n).
    pub(super) fn new(history: &History, keys: &[ValueId]) -> Pairs {
        let mut pairs = Pairs::default();
        let (mut made, mut seen) = (FxHashSet::default(), Vec::new());
        for op in history.ops.iter().filter(|op| keys.binary_search(&op.key).is_ok()) {
            let writes = history.values.get(op.f).as_text() != Some("read") && op.applied != Applied::No;
            let id = op.observed.unwrap_or(op.output);
            match pair(history, id) {
                Some((version, _)) if op.outcome == Outcome::Ok && writes => {
                    made.insert((op.key, id));
                    pairs.of_version.insert((op.key, version), id);
                }
                Some((version, value)) if op.outcome == Outcome::Ok => {
                    seen.push((op.key, id, version, value))
                }
                _ => {}
            }
        }
        for (key, id, version, value) in seen {
            pairs.of_version.entry((key, version)).or_insert(id);
            if let (false, Some(value)) = (made.contains(&(key, id)), history.values.find(value)) {
                let unclaimed = pairs.unclaimed.entry((key, value)).or_default();
                if !unclaimed.contains(&id) {
                    unclaimed.push(id);
                }
            }
        }
        pairs
    }

    /// What a read saw.
    pub(super) fn read(
        &self,
        told: &Answered<'_>,
        nil_unknown: bool,
        say: &mut impl FnMut(ValueId, Happened, Act),
    ) {
        let null = told.op.output == ValueId::NULL;
        if told.answered() && !(null && nil_unknown) {
            saw(told, told.op.output, say);
        }
    }

    /// What a write put there.
    pub(super) fn write(&self, told: &Answered<'_>, say: &mut impl FnMut(ValueId, Happened, Act)) {
        self.put(told, asked(told, false), say);
    }

    /// What a cas saw and put there.
    pub(super) fn cas(&self, told: &Answered<'_>, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let op = told.op;
        if told.answered() && told.happened == Happened::No {
            if let Some(seen) = op.observed {
                saw(told, seen, say);
            }
            return;
        }
        let expected = told.history.values.get(op.input).as_list();
        let expected = expected.and_then(|list| list.first()?.as_int());
        if let (Some(version), true) = (expected, told.happened != Happened::No) {
            let found = self.of_version.get(&(op.key, version)).copied();
            if let Some(found) = found.or((version == 0).then_some(ValueId::NULL)) {
                say(op.key, told.happened, Act::Saw(found));
            }
            say(op.key, told.happened, Act::Number(version, Made::Before));
        }
        self.put(told, asked(told, true), say);
    }

    /// The pair that was told; else every one of this value that nobody else claims, for it may be any of them.
    fn put(&self, told: &Answered<'_>, value: Option<ValueId>, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let (op, Some(value)) = (told.op, value) else { return };
        let made = pair(told.history, op.output)
            .filter(|(_, made)| told.answered() && *made == told.history.values.get(value));
        if let Some((version, _)) = made {
            say(op.key, told.happened, Act::Put(op.output));
            say(op.key, told.happened, Act::Number(version, Made::Here));
            return;
        }
        match self.unclaimed.get(&(op.key, value)) {
            Some(pairs) => pairs.iter().for_each(|&pair| say(op.key, told.happened, Act::Put(pair))),
            None => say(op.key, told.happened, Act::Put(value)),
        }
    }
}

fn saw(told: &Answered<'_>, id: ValueId, say: &mut impl FnMut(ValueId, Happened, Act)) {
    let (version, id) = match pair(told.history, id) {
        Some((0, Value::Null)) | None => (0, ValueId::NULL),
        Some((version, _)) => (version, id),
    };
    say(told.op.key, Happened::Yes, Act::Saw(id));
    say(told.op.key, Happened::Yes, Act::Number(version, Made::Before));
}
