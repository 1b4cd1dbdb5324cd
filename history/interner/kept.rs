//! How the values of a history are written into a cache and read back: columns of tags, integers and pairs.

use super::{Interner, PAGE, Tag, ValueId, hash, hash_compact, is_plain, pack, unpack};
use crate::columns;
use crate::value::Value;
use std::ops::Range;
use std::sync::OnceLock;

impl Interner {
    /// For the cache: how many values there are, and those that are neither integers nor pairs.
    pub(crate) fn kept(&self) -> (usize, &[Value]) {
        (self.tags.len(), &self.others)
    }

    /// For the cache: the values of `range` in columns, but for what `kept` gives.
    pub(crate) fn put(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let (tags, payloads) = (&self.tags[range.clone()], &self.payloads[range.clone()]);
        columns::put(tags.iter().map(|tag| *tag as i64), out);
        let of = |wanted: Tag| {
            let rows = range.clone().zip(tags.iter().zip(payloads));
            rows.filter(move |(_, (tag, _))| **tag == wanted).map(|(i, (_, payload))| (i as i64, *payload))
        };
        columns::put(of(Tag::Int).map(|(_, payload)| payload as i64), out);
        // The parts of a pair are often as new as itself.
        columns::put(of(Tag::Pair).map(|(i, payload)| i - i64::from(unpack(payload)[0].0)), out);
        columns::put(of(Tag::Pair).map(|(i, payload)| i - i64::from(unpack(payload)[1].0)), out);
    }
}

/// Values as they come out of a cache.
pub(crate) struct Kept {
    values: Interner,
    /// How many of the others were named.
    named: usize,
}

impl Kept {
    /// `others` are those that are neither integers nor pairs.
    pub(crate) fn new(others: Vec<Value>) -> Kept {
        let mut values = Interner { others, ..Interner::default() };
        values.tags.clear();
        values.payloads.clear();
        values.ids.clear();
        Kept { values, named: 0 }
    }

    /// Reads the next `rows` values; nothing if they are none.
    pub(crate) fn take(&mut self, bytes: &mut &[u8], rows: usize) -> Option<()> {
        let mut tags = vec![0_i64; rows];
        columns::take(bytes, &mut tags, |tag, number| *tag = number)?;
        let count = |wanted: Tag| tags.iter().filter(|tag| **tag == wanted as i64).count();
        let mut ints = vec![0_i64; count(Tag::Int)];
        let mut pairs = vec![[0_i64; 2]; count(Tag::Pair)];
        columns::take(bytes, &mut ints, |int, number| *int = number)?;
        columns::take(bytes, &mut pairs, |pair, number| pair[0] = number)?;
        columns::take(bytes, &mut pairs, |pair, number| pair[1] = number)?;
        let (mut ints, mut pairs) = (ints.into_iter(), pairs.into_iter());
        for tag in tags {
            let id = self.values.tags.len() as i64;
            let (tag, payload) = match tag {
                0 => (Tag::Int, ints.next()? as u64),
                1 => {
                    let [a, b] = pairs.next()?.map(|before| id.checked_sub(before));
                    (Tag::Pair, pack([self.part(a?)?, self.part(b?)?]))
                }
                2 => {
                    self.named += 1;
                    (Tag::Other, self.named as u64 - 1)
                }
                _ => return None,
            };
            self.values.tags.push(tag);
            self.values.payloads.push(payload);
        }
        if bytes.is_empty() { Some(()) } else { None }
    }

    /// What may be a part of a pair.
    fn part(&self, id: i64) -> Option<ValueId> {
        let id = usize::try_from(id).ok()?;
        let good = match self.values.tags.get(id)? {
            Tag::Int => true,
            Tag::Other => is_plain(self.values.others.get(self.values.payloads[id] as usize)?),
            Tag::Pair => false,
        };
        if good { Some(ValueId(id as u32)) } else { None }
    }

    /// All of them, if they are what an interner can hold.
    pub(crate) fn finish(self) -> Option<Interner> {
        let mut values = self.values;
        let first = (values.tags.first() == Some(&Tag::Other)).then(|| values.others.first());
        if self.named != values.others.len() || first != Some(Some(&Value::Null)) {
            return None;
        }
        u32::try_from(values.tags.len()).ok()?;
        values.pages = (0..values.tags.len().div_ceil(PAGE)).map(|_| OnceLock::new()).collect();
        let count = values.tags.len();
        let is_small = |at: &usize| at / 2 < count + 4096;
        let ints = values.tags.iter().zip(&values.payloads).filter(|(tag, _)| **tag == Tag::Int);
        let most = ints.filter_map(|(_, int)| usize::try_from(*int as i64).ok()).filter(is_small).max();
        values.small = vec![0; most.map_or(0, |most| (most + 1).next_power_of_two())];
        let place = |tag: Tag, payload: u64| match tag {
            Tag::Int => usize::try_from(payload as i64).ok().filter(|at| *at < values.small.len()),
            Tag::Pair | Tag::Other => None,
        };
        let places: Vec<Option<usize>> =
            values.tags.iter().zip(&values.payloads).map(|(tag, payload)| place(*tag, *payload)).collect();
        values.ids.reserve(places.iter().filter(|place| place.is_none()).count(), |_| 0);
        for (i, place) in places.into_iter().enumerate() {
            let (tag, payload) = (values.tags[i], values.payloads[i]);
            match (place, tag) {
                (Some(place), _) => values.small[place] = i as u32,
                (None, Tag::Int | Tag::Pair) => {
                    values.remember(ValueId(i as u32), hash_compact(tag, payload))
                }
                (None, Tag::Other) => {
                    let hash = hash(&values.others[payload as usize]);
                    values.remember(ValueId(i as u32), hash);
                }
            }
        }
        Some(values)
    }
}
