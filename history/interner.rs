//! Keeps each distinct value of a history once, and numbers it.
//!
//! A long history has millions of values, nearly all of them numbers and pairs of numbers. Those take nine bytes here,
//! and become a [`Value`] only when somebody asks to see them, a page of neighbours at a time:
//!
//! ```text
//!   id         0      1     2       3    4         5
//!   tag        other  int   other   int  pair      other
//!   payload    0      7     1       8    (1, 3)    2
//!   others     null         "write"                {"a": 1}
//! ```

mod kept;

pub(crate) use kept::Kept;

use crate::value::Value;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::sync::OnceLock;

/// A value's number in an [`Interner`]. Equal values have equal numbers, so comparing is one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// `null`, which is number 0 in every interner.
    pub const NULL: ValueId = ValueId(0);
}

/// Keeps each distinct value once and numbers them, parts of pairs before the pairs.
#[derive(Clone, Debug)]
pub struct Interner {
    tags: Vec<Tag>,
    /// By tag: an integer, two numbers of values, or an index into `others`.
    payloads: Vec<u64>,
    others: Vec<Value>,
    /// Integers and pairs that somebody asked to see, with null in the place of `others`.
    pages: Vec<OnceLock<Vec<Value>>>,
    /// Numbers of small integers by the integer; 0, which is null's, if it has none.
    small: Vec<u32>,
    /// The numbers of everything else.
    ids: HashTable<u32>,
}

/// How a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Int,
    /// A list of two values that are neither lists nor maps.
    Pair,
    Other,
}

/// Values that are shown together.
const PAGE: usize = 256;

impl Default for Interner {
    fn default() -> Interner {
        let mut interner = Interner {
            tags: Vec::new(),
            payloads: Vec::new(),
            others: Vec::new(),
            pages: Vec::new(),
            small: Vec::new(),
            ids: HashTable::new(),
        };
        interner.intern(&Value::Null);
        interner
    }
}

impl Interner {
    /// The number of `value`, which is stored if it is new. Amortised O(size of the value).
    pub fn intern(&mut self, value: &Value) -> ValueId {
        match value {
            Value::Int(i) => self.intern_int(*i),
            Value::List(items) => match &items[..] {
                [a, b] if is_plain(a) && is_plain(b) => {
                    let pair = [self.intern(a), self.intern(b)];
                    self.intern_pair(pair)
                }
                _ => self.intern_other(hash(value), |known| known == value, || value.clone()),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                self.intern_other(hash(value), |known| known == value, || value.clone())
            }
        }
    }

    /// The number of `Value::Int(i)`, without building one to ask.
    #[inline]
    pub fn intern_int(&mut self, i: i64) -> ValueId {
        match self.find_int(i) {
            Some(id) => id,
            None => self.add_int(i),
        }
    }

    #[inline]
    fn find_int(&self, i: i64) -> Option<ValueId> {
        if let Some(known) = usize::try_from(i).ok().and_then(|i| self.small.get(i)) {
            return if *known == 0 { None } else { Some(ValueId(*known)) };
        }
        self.find_compact(Tag::Int, i as u64)
    }

    #[cold]
    fn add_int(&mut self, i: i64) -> ValueId {
        let id = self.push(Tag::Int, i as u64);
        // Small is what is not much larger than the number of values: counters, most often.
        let is_small = |at: &usize| *at < self.small.len() || at / 2 < self.tags.len() + 4096;
        if let Some(at) = usize::try_from(i).ok().filter(is_small) {
            if at >= self.small.len() {
                let before = self.small.len();
                self.small.resize((at + 1).next_power_of_two(), 0);
                for (known, (tag, int)) in (0..).zip(self.tags.iter().zip(&self.payloads)) {
                    let at = *int as usize;
                    if *tag == Tag::Int && at >= before && at < self.small.len() {
                        self.small[at] = known;
                    }
                }
            }
            self.small[at] = id.0;
        } else {
            self.remember(id, hash_compact(Tag::Int, i as u64));
        }
        id
    }

    /// The number of `Value::Text(text)`, without building one to ask.
    pub fn intern_text(&mut self, text: &str) -> ValueId {
        self.intern_other(hash_text(text), |known| known.as_text() == Some(text), || Value::text(text))
    }

    /// The number of the list of these two integers, without building one to ask.
    pub fn intern_ints(&mut self, [a, b]: [i64; 2]) -> ValueId {
        let pair = [self.intern_int(a), self.intern_int(b)];
        self.intern_pair(pair)
    }

    fn intern_pair(&mut self, pair: [ValueId; 2]) -> ValueId {
        let payload = pack(pair);
        if let Some(id) = self.find_compact(Tag::Pair, payload) {
            return id;
        }
        let id = self.push(Tag::Pair, payload);
        self.remember(id, hash_compact(Tag::Pair, payload));
        id
    }

    fn intern_other(
        &mut self,
        hash: u64,
        same: impl Fn(&Value) -> bool,
        make: impl FnOnce() -> Value,
    ) -> ValueId {
        if let Some(id) = self.find_other(hash, same) {
            return id;
        }
        let id = self.push(Tag::Other, self.others.len() as u64);
        self.others.push(make());
        self.remember(id, hash);
        id
    }

    /// Keeps a value that is new.
    fn push(&mut self, tag: Tag, payload: u64) -> ValueId {
        let id = u32::try_from(self.tags.len()).expect("fewer than 2^32 distinct values");
        self.tags.push(tag);
        self.payloads.push(payload);
        let page = id as usize / PAGE;
        if page == self.pages.len() {
            self.pages.push(OnceLock::new());
        }
        if self.pages[page].get().is_some() {
            let value = self.compact(id as usize);
            self.pages[page].get_mut().expect("it was there").push(value);
        }
        ValueId(id)
    }

    fn remember(&mut self, id: ValueId, hash: u64) {
        let Interner { ids, tags, payloads, others, .. } = self;
        ids.insert_unique(hash, id.0, |&id| match tags[id as usize] {
            tag @ (Tag::Int | Tag::Pair) => hash_compact(tag, payloads[id as usize]),
            Tag::Other => self::hash(&others[payloads[id as usize] as usize]),
        });
    }

    fn find_compact(&self, tag: Tag, payload: u64) -> Option<ValueId> {
        let same = |&id: &u32| self.payloads[id as usize] == payload && self.tags[id as usize] == tag;
        self.ids.find(hash_compact(tag, payload), same).map(|&id| ValueId(id))
    }

    fn find_other(&self, hash: u64, same: impl Fn(&Value) -> bool) -> Option<ValueId> {
        let same = |&id: &u32| {
            self.tags[id as usize] == Tag::Other && same(&self.others[self.payloads[id as usize] as usize])
        };
        self.ids.find(hash, same).map(|&id| ValueId(id))
    }

    /// The number of `value` if it has one. Never stores.
    pub fn find(&self, value: &Value) -> Option<ValueId> {
        match value {
            Value::Int(i) => self.find_int(*i),
            Value::List(items) => match &items[..] {
                [a, b] if is_plain(a) && is_plain(b) => {
                    self.find_compact(Tag::Pair, pack([self.find(a)?, self.find(b)?]))
                }
                _ => self.find_other(hash(value), |known| known == value),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                self.find_other(hash(value), |known| known == value)
            }
        }
    }

    /// The value behind a number. Amortised O(1) for whoever asks for many; [`Interner::pair`] and [`Interner::int`]
    /// need no memory.
    ///
    /// # Panics
    /// If `id` came from another interner and is out of range here.
    pub fn get(&self, id: ValueId) -> &Value {
        let i = id.0 as usize;
        match self.tags[i] {
            Tag::Other => &self.others[self.payloads[i] as usize],
            Tag::Int | Tag::Pair => {
                let start = i - i % PAGE;
                let end = self.tags.len().min(start + PAGE);
                let page =
                    self.pages[i / PAGE].get_or_init(|| (start..end).map(|i| self.compact(i)).collect());
                &page[i % PAGE]
            }
        }
    }

    /// An integer or a pair as a value; null for others, which are values already.
    fn compact(&self, i: usize) -> Value {
        match self.tags[i] {
            Tag::Int => Value::Int(self.payloads[i] as i64),
            Tag::Pair => Value::list(unpack(self.payloads[i]).map(|id| match self.tags[id.0 as usize] {
                Tag::Int => Value::Int(self.payloads[id.0 as usize] as i64),
                Tag::Other => self.others[self.payloads[id.0 as usize] as usize].clone(),
                Tag::Pair => unreachable!("a part of a pair is no list"),
            })),
            Tag::Other => Value::Null,
        }
    }

    /// The integer behind a number, if it is one.
    pub fn int(&self, id: ValueId) -> Option<i64> {
        match self.tags[id.0 as usize] {
            Tag::Int => Some(self.payloads[id.0 as usize] as i64),
            Tag::Pair | Tag::Other => None,
        }
    }

    /// The numbers of the two parts of a list of two that are neither lists nor maps, such as a cas carries.
    pub fn pair(&self, id: ValueId) -> Option<[ValueId; 2]> {
        match self.tags[id.0 as usize] {
            Tag::Pair => Some(unpack(self.payloads[id.0 as usize])),
            Tag::Int | Tag::Other => None,
        }
    }

    /// Bytes that it takes in memory, about. O(values that are neither integers nor pairs).
    pub(crate) fn bytes(&self) -> u64 {
        let others: usize = self.others.iter().map(Value::bytes).sum();
        (others + self.tags.len() * 9 + self.small.len() * 4 + self.ids.capacity() * 5) as u64
    }

    /// How many distinct values there are, `null` included.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Never true: `null` is always there.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) => true,
        Value::List(_) | Value::Map(_) => false,
    }
}

fn pack([a, b]: [ValueId; 2]) -> u64 {
    u64::from(a.0) << 32 | u64::from(b.0)
}

fn unpack(payload: u64) -> [ValueId; 2] {
    [ValueId((payload >> 32) as u32), ValueId(payload as u32)]
}

fn hash_compact(tag: Tag, payload: u64) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(payload);
    hasher.write_u8(tag as u8);
    hasher.finish()
}

fn hash(value: &Value) -> u64 {
    let mut hasher = FxHasher::default();
    feed(&mut hasher, value);
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
        Value::Int(i) => {
            hasher.write_u8(3);
            hasher.write_i64(*i);
        }
        Value::Text(text) => {
            hasher.write_u8(4);
            hasher.write(text.as_bytes());
        }
        Value::Number(text) => {
            hasher.write_u8(5);
            hasher.write(text.as_bytes());
        }
        Value::List(items) => {
            hasher.write_u8(6);
            hasher.write_usize(items.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_number_however_it_is_asked_for() {
        let mut values = Interner::default();
        let pair = Value::list([Value::Int(1), Value::Int(-2)]);
        let asked = [values.intern(&Value::Int(7)), values.intern(&"x".into()), values.intern(&pair)];
        assert_eq!([values.intern_int(7), values.intern_text("x"), values.intern_ints([1, -2])], asked);
        assert_eq!(values.find(&pair), Some(asked[2]));
        assert_eq!(values.intern(&Value::Null), ValueId::NULL);
        assert_eq!(values.pair(asked[2]), Some([values.intern_int(1), values.intern_int(-2)]));
        assert_eq!((values.int(asked[0]), values.int(asked[1])), (Some(7), None));
        assert_eq!(values.len(), 6, "null, 7, x, 1, -2, and the pair");
    }

    #[test]
    fn values_of_different_kinds_stay_apart() {
        let mut values = Interner::default();
        let number = Value::Number("1".into());
        let all = [Value::Int(1), Value::text("1"), number, Value::list([Value::Int(1)]), Value::Bool(true)];
        for value in &all {
            values.intern(value);
        }
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

    #[test]
    fn whatever_was_shown_and_whenever_a_number_means_one_value() {
        let mut dice = crate::quick::tests::Dice(5);
        let mut value = |depth: u64| random(&mut dice, depth);
        let mut values = Interner::default();
        let mut known: Vec<(ValueId, Value)> = Vec::new();
        for i in 0..30_000 {
            let value = value(2);
            let before = values.find(&value);
            let id = values.intern(&value);
            assert!(before.is_none_or(|before| before == id), "{value}");
            // Some are looked at while their neighbours are still unknown.
            if i % 7 == 0 {
                assert_eq!(*values.get(id), value);
            }
            known.push((id, value));
        }
        let mut by_value = std::collections::BTreeMap::new();
        for (id, value) in &known {
            assert_eq!(values.get(*id), value);
            assert_eq!(values.find(value), Some(*id), "{value}");
            assert_eq!(*by_value.entry(value).or_insert(*id), *id, "{value}");
            assert_eq!(values.int(*id), value.as_int());
            if let Some([a, b]) = values.pair(*id) {
                assert_eq!(*value, Value::list([values.get(a).clone(), values.get(b).clone()]));
            }
        }
        let distinct =
            |values: &Interner| (0..values.len() as u32).map(|i| values.get(ValueId(i)).clone()).collect();
        let all: std::collections::BTreeSet<Value> = distinct(&values);
        assert_eq!(all.len(), values.len());
    }

    fn random(dice: &mut crate::quick::tests::Dice, depth: u64) -> Value {
        match dice.below(if depth == 0 { 7 } else { 10 }) {
            0 => Value::Null,
            1 => Value::Bool(dice.once_in(2)),
            2 => Value::Int(dice.below(20_000) as i64 - 100),
            3 => Value::Int(dice.below(u64::MAX) as i64),
            4 => Value::Int(dice.below(1 << 20) as i64),
            5 => Value::from(format!("{}", dice.below(500))),
            6 => Value::Number(format!("{}.5", dice.below(500)).into()),
            7 | 8 => Value::list((0..dice.below(4)).map(|_| random(dice, depth - 1)).collect::<Vec<_>>()),
            _ => Value::map(vec![(random(dice, 0), random(dice, depth - 1))]).expect("one key"),
        }
    }
}
