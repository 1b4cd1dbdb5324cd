//! Keeps each distinct value of a history once, and numbers it.

use crate::value::Value;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// A value's number in an [`Interner`]. Equal values have equal numbers, so comparing is one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// `null`, which is number 0 in every interner.
    pub const NULL: ValueId = ValueId(0);
}

/// Keeps each distinct value once and numbers them in order of first appearance.
#[derive(Clone, Debug)]
pub struct Interner {
    values: Vec<Value>,
    ids: HashTable<u32>,
}

impl Default for Interner {
    fn default() -> Interner {
        let mut interner = Interner { values: Vec::new(), ids: HashTable::new() };
        interner.intern(&Value::Null);
        interner
    }
}

impl Interner {
    /// The number of `value`, which is stored if it is new. Amortised O(size of the value).
    pub fn intern(&mut self, value: &Value) -> ValueId {
        self.number(hash(value), |known| known == value, || value.clone())
    }

    /// The number of `Value::Int(i)`, without building one to ask.
    pub fn intern_int(&mut self, i: i64) -> ValueId {
        self.number(hash_int(i), |known| *known == Value::Int(i), || Value::Int(i))
    }

    /// The number of `Value::Text(text)`, without building one to ask.
    pub fn intern_text(&mut self, text: &str) -> ValueId {
        self.number(hash_text(text), |known| known.as_text() == Some(text), || Value::text(text))
    }

    /// The number of the list of these integers, without building one to ask.
    pub fn intern_ints(&mut self, ints: &[i64]) -> ValueId {
        let mut hasher = FxHasher::default();
        feed_list(&mut hasher, ints.len());
        ints.iter().for_each(|i| feed_int(&mut hasher, *i));
        let same = |known: &Value| match known {
            Value::List(items) => {
                items.len() == ints.len() && items.iter().zip(ints).all(|(item, i)| *item == Value::Int(*i))
            }
            _ => false,
        };
        self.number(hasher.finish(), same, || Value::list(ints.iter().map(|i| Value::Int(*i))))
    }

    fn number(&mut self, hash: u64, same: impl Fn(&Value) -> bool, make: impl FnOnce() -> Value) -> ValueId {
        if let Some(id) = self.ids.find(hash, |id| same(&self.values[*id as usize])) {
            return ValueId(*id);
        }
        let id = u32::try_from(self.values.len()).expect("fewer than 2^32 distinct values");
        self.values.push(make());
        let values = &self.values;
        self.ids.insert_unique(hash, id, |id| self::hash(&values[*id as usize]));
        ValueId(id)
    }

    /// The number of `value` if it has one. Never stores.
    pub fn find(&self, value: &Value) -> Option<ValueId> {
        self.ids.find(hash(value), |id| self.values[*id as usize] == *value).map(|id| ValueId(*id))
    }

    /// The value behind a number.
    ///
    /// # Panics
    /// If `id` came from another interner and is out of range here.
    pub fn get(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// How many distinct values there are, `null` included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Never true: `null` is always there.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = FxHasher::default();
    feed(&mut hasher, value);
    hasher.finish()
}

fn hash_int(i: i64) -> u64 {
    let mut hasher = FxHasher::default();
    feed_int(&mut hasher, i);
    hasher.finish()
}

fn hash_text(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u8(4);
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn feed(hasher: &mut FxHasher, value: &Value) {
    match value {
        Value::Null => hasher.write_u8(0),
        Value::Bool(b) => hasher.write_u8(1 + u8::from(*b)),
        Value::Int(i) => feed_int(hasher, *i),
        Value::Text(text) => {
            hasher.write_u8(4);
            hasher.write(text.as_bytes());
        }
        Value::Number(text) => {
            hasher.write_u8(5);
            hasher.write(text.as_bytes());
        }
        Value::List(items) => {
            feed_list(hasher, items.len());
            items.iter().for_each(|item| feed(hasher, item));
        }
        Value::Map(entries) => {
            hasher.write_u8(7);
            hasher.write_usize(entries.len());
            for (key, value) in entries {
                feed(hasher, key);
                feed(hasher, value);
            }
        }
    }
}

fn feed_int(hasher: &mut FxHasher, i: i64) {
    hasher.write_u8(3);
    hasher.write_i64(i);
}

fn feed_list(hasher: &mut FxHasher, length: usize) {
    hasher.write_u8(6);
    hasher.write_usize(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_number_however_it_is_asked_for() {
        let mut values = Interner::default();
        let pair = Value::list([Value::Int(1), Value::Int(-2)]);
        let asked = [values.intern(&Value::Int(7)), values.intern(&"x".into()), values.intern(&pair)];
        assert_eq!([values.intern_int(7), values.intern_text("x"), values.intern_ints(&[1, -2])], asked);
        assert_eq!(values.find(&pair), Some(asked[2]));
        assert_eq!(values.intern(&Value::Null), ValueId::NULL);
        assert_eq!(values.len(), 4);
    }

    #[test]
    fn values_of_different_kinds_stay_apart() {
        let mut values = Interner::default();
        let number = Value::Number("1".into());
        let all = [Value::Int(1), Value::text("1"), number, Value::list([Value::Int(1)]), Value::Bool(true)];
        for value in &all {
            values.intern(value);
        }
        assert_eq!(values.len(), 1 + all.len());
        for value in &all {
            let id = values.find(value).expect("was stored");
            assert_eq!(values.get(id), value);
        }
    }

    #[test]
    fn a_million_numbers_are_all_found_again() {
        let mut values = Interner::default();
        let ids: Vec<ValueId> = (0..1_000_000).map(|i| values.intern_int(i * 1024)).collect();
        assert!(ids.iter().enumerate().all(|(i, id)| *values.get(*id) == Value::Int(i as i64 * 1024)));
    }
}
