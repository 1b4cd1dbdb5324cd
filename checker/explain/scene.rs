//! A core with everything around it that an explanation may look at.

use super::facts::{Act, Fact, Family, Happened, Reading};
use super::world::Base;
use history::{History, NEVER, NO_TIME, Op, Value, ValueId};

/// A core in its history.
pub(crate) struct Scene<'a> {
    pub(crate) history: &'a History,
    /// Indices into the ops of the history, by invocation.
    pub(crate) core: &'a [u32],
    pub(crate) labels: Vec<String>,
    /// Rank of the invocation of each operation of the core.
    pub(crate) invoke: Vec<u32>,
    pub(crate) base: Base,
    pub(crate) reading: Reading,
    /// The value before everything: one for all keys, or a map from keys for transactions.
    initial: &'a Value,
    /// What every operation on the keys of the core did, by invocation.
    pub(crate) facts: Vec<Fact>,
    /// For each operation of the core, whether every legal order contains it.
    definite: Vec<bool>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        history: &'a History,
        core: &'a [u32],
        base: Base,
        reading: Reading,
        initial: &'a Value,
    ) -> Scene<'a> {
        let mut scene = Scene {
            history,
            core,
            labels: (0..core.len()).map(label).collect(),
            invoke: core.iter().map(|&i| history.ops[i as usize].invoke).collect(),
            base,
            reading,
            initial,
            facts: super::facts::facts(history, core, reading),
            definite: core.iter().map(|&i| history.ops[i as usize].ret != NEVER).collect(),
        };
        scene.find_definite();
        scene
    }

    /// An unanswered operation did happen if something that happened saw what only it can have put there.
    fn find_definite(&mut self) {
        loop {
            let mut found = Vec::new();
            for (reader, fact) in self.core_facts() {
                let Act::Saw(value) = fact.act else { continue };
                if !self.definite[reader] || !self.sees_single_values() {
                    continue;
                }
                let mut writers = self.writers(fact.key, value);
                if let (Some(only), None) = (writers.next(), writers.next()) {
                    let writer = self.position(only.op).filter(|&w| !self.definite[w]);
                    if self.initial(fact.key) != Some(value) {
                        found.extend(writer);
                    }
                }
            }
            if found.is_empty() {
                return;
            }
            for writer in found {
                self.definite[writer] = true;
            }
        }
    }

    /// Whether an operation of the core saw what only another of them can have put there.
    pub(crate) fn saw_effect(&self, reader: usize, writer: usize) -> bool {
        self.core_facts().any(|(at, fact)| {
            let Act::Saw(value) = fact.act else { return false };
            let mut writers = self.writers(fact.key, value);
            let only = writers.next().filter(|_| writers.next().is_none());
            at == reader && at != writer && only.is_some_and(|only| self.position(only.op) == Some(writer))
        })
    }

    /// Whether a sight names one value that one operation put there.
    fn sees_single_values(&self) -> bool {
        match self.reading.family {
            Family::Register | Family::Queue => true,
            Family::Set | Family::Log | Family::Counter => false,
            Family::Lock | Family::Permits | Family::Ids | Family::Watch => false,
        }
    }

    /// Operations outside the core that alone put there what the core saw; of lists, as long as all of it can be shown.
    pub(crate) fn support(&self) -> Vec<u32> {
        let mut support = Vec::new();
        if self.reading.family == Family::Log {
            let lists = self.core_facts().filter_map(|(_, fact)| match fact.act {
                Act::Saw(list) => Some((fact.key, list)),
                _ => None,
            });
            for (key, list) in lists {
                let Value::List(items) = self.history.values.get(list) else { continue };
                if items.len() > super::orders::COMPLETE_OPS {
                    return Vec::new();
                }
                for value in items.iter().filter_map(|item| self.history.values.find(item)) {
                    let mut writers = self.writers(key, value);
                    if let (Some(only), None) = (writers.next(), writers.next()) {
                        support.push(only.op);
                    }
                }
            }
            support.sort_unstable();
            support.dedup();
            support.retain(|op| self.position(*op).is_none());
            if support.len() + self.core.len() > super::orders::COMPLETE_OPS {
                support.clear();
            }
            return support;
        }
        for (_, fact) in self.core_facts().filter(|_| self.sees_single_values()) {
            let Act::Saw(value) = fact.act else { continue };
            let mut writers = self.writers(fact.key, value);
            if let (Some(only), None) = (writers.next(), writers.next()) {
                if self.initial(fact.key) != Some(value) {
                    support.push(only.op);
                }
            }
        }
        support
    }

    pub(crate) fn op(&self, position: usize) -> &'a Op {
        &self.history.ops[self.core[position] as usize]
    }

    pub(crate) fn label(&self, position: usize) -> &str {
        &self.labels[position]
    }

    /// Whether every legal order contains the operation.
    pub(crate) fn definite(&self, position: usize) -> bool {
        self.definite[position]
    }

    /// Where in the core an operation of the history is.
    pub(crate) fn position(&self, op: u32) -> Option<usize> {
        self.core.iter().position(|&i| i == op)
    }

    /// The facts of the core, with positions.
    pub(crate) fn core_facts(&self) -> impl Iterator<Item = (usize, Fact)> + '_ {
        self.facts.iter().filter_map(|fact| Some((self.position(fact.op)?, *fact)))
    }

    /// Everyone in the history who may have put `value` under `key`.
    pub(crate) fn writers(&self, key: ValueId, value: ValueId) -> impl Iterator<Item = &Fact> + '_ {
        self.facts.iter().filter(move |f| {
            f.key == key
                && f.happened != Happened::No
                && matches!(f.act, Act::Put(v) | Act::Passed(v) if v == value)
        })
    }

    /// The number of the value before everything under `key`; none if no event names it.
    pub(crate) fn initial(&self, key: ValueId) -> Option<ValueId> {
        self.history.values.find(self.initial_value(key))
    }

    /// The value before everything under `key`.
    pub(crate) fn initial_value(&self, key: ValueId) -> &'a Value {
        match self.initial {
            Value::Map(entries) => {
                // Keys of a JSON map are strings, whatever they are in the history.
                let key = self.history.values.get(key);
                let text = key.to_string();
                let named = |k: &Value| k == key || k.as_text() == Some(&text);
                entries.iter().find(|(k, _)| named(k)).map_or(&Value::Null, |(_, v)| v)
            }
            other => other,
        }
    }

    pub(crate) fn value(&self, id: ValueId) -> String {
        self.history.values.get(id).to_string()
    }

    /// A value with its key, where the core is about more than one: `y = 1`.
    pub(crate) fn held(&self, key: ValueId, value: ValueId) -> String {
        let mut keys = self.core_facts().map(|(_, fact)| fact.key);
        match keys.next().is_some_and(|first| keys.any(|other| other != first)) {
            true => format!("{} = {}", self.object(key), self.value(value)),
            false => self.value(value),
        }
    }

    /// How to call the object behind `key`.
    pub(crate) fn object(&self, key: ValueId) -> String {
        match key {
            ValueId::NULL => super::facts::noun(self.reading.model).to_string(),
            key => object_name(self.history.values.get(key)),
        }
    }

    /// Who sent the operation.
    pub(crate) fn client(&self, position: usize) -> String {
        client(self.history, self.op(position))
    }

    /// What it means for this operation to have seen a value.
    pub(crate) fn saw(&self, position: usize) -> &'static str {
        match self.history.values.get(self.op(position).f).as_text() {
            Some("cas") => "replaced",
            _ => "read",
        }
    }

    /// Nanoseconds from the return of `a` to the invocation of `b`, if both were recorded.
    pub(crate) fn gap(&self, a: usize, b: usize) -> Option<i64> {
        let (ret, invoke) = (self.op(a).ret_time, self.op(b).invoke_time);
        if ret == NO_TIME || invoke == NO_TIME { None } else { Some((invoke - ret).max(0)) }
    }
}

/// Names of keys, nodes and functions: without quotes.
pub(crate) fn plain_text(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_string)
}

/// How to call the object behind a key: by the key, unless that would be taken for a value.
pub(crate) fn object_name(key: &Value) -> String {
    match key {
        Value::Int(_) => format!("key {key}"),
        _ => plain_text(key),
    }
}

/// Who sent an operation.
pub(crate) fn client(history: &History, op: &Op) -> String {
    match history.processes.get(op.process as usize) {
        Some(name) => format!("client {name}"),
        None => format!("client {}", op.process),
    }
}

/// `A` … `Z`, `AA` …
pub(crate) fn label(position: usize) -> String {
    let letter = char::from(b'A' + (position % 26) as u8);
    match position / 26 {
        0 => letter.to_string(),
        more => format!("{}{letter}", label(more - 1)),
    }
}
