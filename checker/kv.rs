//! One key of a key-value store: a string that is read, replaced and appended to.
//!
//! A missing key holds the empty string: a get that answers null and one that answers "" say the same.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{self, Exact};
use crate::model::{Access, IllFormed, Model, kept};
use crate::problem::{ObjOp, Problem};
use crate::sources::Sees;
use crate::spec::{NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// One key.
#[derive(Clone, Debug)]
pub struct Kv {
    initial: Arc<str>,
    nil_read: NilRead,
    strings: Vec<Arc<str>>,
    /// What the key holds after a string was appended, where that is known from what was read later.
    after: Arc<FxHashMap<u32, Arc<str>>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

/// What a client did with a key. The numbers are those of the model's strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// It read this string.
    Get(u32),
    /// It replaced whatever there was by this string.
    Put(u32),
    /// It wrote this string behind whatever there was.
    Append(u32),
}

impl Kv {
    /// A key that holds `initial`.
    pub fn new(initial: &str, nil_read: NilRead) -> Kv {
        Kv {
            initial: initial.into(),
            nil_read,
            strings: Vec::new(),
            after: Arc::default(),
            numbers: FxHashMap::default(),
        }
    }

    fn string(&mut self, values: &Interner, id: ValueId, output: bool) -> Result<u32, IllFormed> {
        let value = values.get(id);
        let text = plain(value).ok_or_else(|| refuse("a string or a number", value, output))?;
        Ok(self.number(text))
    }

    fn number(&mut self, text: Arc<str>) -> u32 {
        if let Some(&number) = self.numbers.get(&text) {
            return number;
        }
        let number = self.strings.len() as u32;
        self.strings.push(text.clone());
        self.numbers.insert(text, number);
        number
    }
}

/// What was got, if that is what was done.
fn got(op: KvOp) -> Option<u32> {
    match op {
        KvOp::Get(s) => Some(s),
        KvOp::Put(_) | KvOp::Append(_) => None,
    }
}

/// Strings that cannot be mistaken for parts of others: all that is written ends in the same character, and has it
/// nowhere else. What was read then falls into what was written in one way only.
struct Pieces {
    end: char,
    written: FxHashMap<u32, u32>,
}

impl Pieces {
    fn of(model: &Kv, ops: &[ObjOp<KvOp>]) -> Option<Pieces> {
        let mut written: FxHashMap<u32, u32> = FxHashMap::default();
        for op in ops {
            if let KvOp::Put(s) | KvOp::Append(s) = op.op {
                *written.entry(s).or_default() += 1;
            }
        }
        let text = |s: u32| &*model.strings[s as usize];
        let all = || written.keys().map(|&s| text(s)).chain([&*model.initial]).filter(|t| !t.is_empty());
        let end = all().next()?.chars().next_back()?;
        let whole = all().all(|piece| piece.find(end) == Some(piece.len() - end.len_utf8()));
        whole.then_some(Pieces { end, written })
    }

    /// The number of `piece` if exactly one operation writes it.
    fn once(&self, model: &Kv, piece: &str) -> Option<u32> {
        let number = *model.numbers.get(piece)?;
        let initial = !piece.is_empty() && *model.initial == *piece;
        (!piece.is_empty() && !initial && self.written.get(&number) == Some(&1)).then_some(number)
    }
}

/// The string that a value stands for.
fn plain(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Null => Some("".into()),
        Value::Text(text) => Some((**text).into()),
        Value::Bool(_) | Value::Int(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::List(_) | Value::Map(_) => None,
    }
}

impl Specified for Kv {
    fn setup(setup: &mut Setup<'_>) -> Result<Kv, String> {
        let initial = setup.spec.initial.as_ref().unwrap_or(&Value::Null);
        let text = plain(initial).ok_or_else(|| format!("--initial: expected a string, found {initial}"))?;
        Ok(Kv::new(&text, setup.spec.nil_read))
    }
}

impl Model for Kv {
    type State = Arc<str>;
    type Op = KvOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<KvOp>, IllFormed> {
        let f = function(values, op)?;
        match f {
            "get" => {
                must_apply(op, "get")?;
                Ok(match op.outcome {
                    Outcome::Fail | Outcome::Info => None,
                    Outcome::Ok if op.output == ValueId::NULL && self.nil_read == NilRead::Unknown => None,
                    Outcome::Ok => Some(KvOp::Get(self.string(values, op.output, true)?)),
                })
            }
            "put" | "append" => {
                let put = f == "put";
                must_apply(op, f)?;
                let string = self.string(values, op.input, false)?;
                let decoded = if put { KvOp::Put(string) } else { KvOp::Append(string) };
                Ok((op.outcome != Outcome::Fail).then_some(decoded))
            }
            f => Err(unknown("get, put or append", f)),
        }
    }

    fn init(&self) -> Arc<str> {
        self.initial.clone()
    }

    fn step(&self, state: &Arc<str>, op: KvOp, out: &mut impl FnMut(Arc<str>)) {
        match op {
            KvOp::Get(s) => {
                if **state == *self.strings[s as usize] {
                    out(state.clone());
                }
            }
            KvOp::Put(s) => out(self.strings[s as usize].clone()),
            KvOp::Append(s) => {
                let longer: Arc<str> = [&**state, &*self.strings[s as usize]].concat().into();
                if self.after.get(&s).is_none_or(|after| *after == longer) {
                    out(longer);
                }
            }
        }
    }

    fn is_pure(&self, op: KvOp) -> bool {
        match op {
            KvOp::Get(_) => true,
            KvOp::Put(_) | KvOp::Append(_) => false,
        }
    }

    fn is_blind(&self, op: KvOp) -> bool {
        match op {
            KvOp::Put(_) => true,
            KvOp::Get(_) | KvOp::Append(_) => false,
        }
    }

    /// Appends depend on what they find, so a key that is appended to is no cell.
    fn access(&self, op: KvOp) -> Option<Access> {
        match op {
            KvOp::Get(n) => Some(Access { sees: Some(Sees::Is(ValueId(n))), leaves: None }),
            KvOp::Put(n) => Some(Access { sees: None, leaves: Some(ValueId(n)) }),
            KvOp::Append(_) => None,
        }
    }

    fn initial_value(&self) -> Option<ValueId> {
        // A string that no operation names has no number, and no operation can have seen it.
        Some(ValueId(self.numbers.get(&self.initial).copied().unwrap_or(u32::MAX)))
    }

    fn exact(&self, ops: &[ObjOp<KvOp>], stop: &AtomicBool) -> Option<Exact> {
        if ops.iter().all(|op| self.access(op.op).is_some()) {
            return exact::cell(ops, stop, self.initial_value(), |op| self.access(op));
        }
        let pieces = Pieces::of(self, ops).filter(|_| self.initial.is_empty())?;
        let mut read = vec![Vec::new(); self.strings.len()];
        for op in ops {
            match op.op {
                KvOp::Get(s) if read[s as usize].is_empty() => {
                    let parts = self.strings[s as usize].split_inclusive(pieces.end);
                    read[s as usize] = parts.map(|piece| pieces.once(self, piece)).collect();
                }
                KvOp::Get(_) => {}
                KvOp::Put(s) | KvOp::Append(s) => {
                    pieces.once(self, &self.strings[s as usize])?;
                }
            }
        }
        exact::appends(&exact::Text { read, strings: self.strings.len() as u32 }, ops, stop)
    }

    /// A string that is written once and read later is read behind what the key held before it.
    fn informed(&self, ops: &[ObjOp<KvOp>]) -> Option<Kv> {
        let pieces = Pieces::of(self, ops)?;
        let answered = ops.iter().filter(|op| !op.indeterminate());
        let mut read: Vec<u32> = answered.filter_map(|op| got(op.op)).collect();
        read.sort_unstable();
        read.dedup();
        let mut after: FxHashMap<u32, Arc<str>> = FxHashMap::default();
        for got in read {
            let got = &*self.strings[got as usize];
            let mut at = 0;
            for piece in got.split_inclusive(pieces.end) {
                at += piece.len();
                if let Some(number) = pieces.once(self, piece) {
                    after.entry(number).or_insert_with(|| got[..at].into());
                }
            }
        }
        Some(Kv { after: Arc::new(after), ..self.clone() })
    }

    /// Strings that are written once can be left out. Without an append, its string is missing from what is read. Without
    /// a put that no kept get begins with, what was appended behind it stands behind what was there before, where nobody
    /// reads any more.
    fn project(&self, ops: &[ObjOp<KvOp>], keep: &mut [bool], _: Property) -> Problem<Kv> {
        let Some(pieces) = Pieces::of(self, ops) else {
            keep.iter_mut().zip(ops).for_each(|(kept, op)| *kept |= got(op.op).is_none());
            return Problem { model: self.clone(), ops: kept(ops, keep) };
        };
        let mut shown: FxHashSet<u32> = FxHashSet::default();
        for (op, _) in ops.iter().zip(keep.iter()).filter(|(_, kept)| **kept) {
            if let KvOp::Get(s) = op.op {
                let parts = self.strings[s as usize].split_inclusive(pieces.end);
                shown.extend(parts.filter_map(|piece| pieces.once(self, piece)));
            }
        }
        let mut erased: FxHashSet<u32> = FxHashSet::default();
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            let unique = |s: u32| pieces.once(self, &self.strings[s as usize]).is_some();
            match op.op {
                KvOp::Get(_) => {}
                KvOp::Put(s) => *kept |= !unique(s) || shown.contains(&s),
                KvOp::Append(s) => {
                    *kept |= !unique(s);
                    if !*kept {
                        erased.insert(s);
                    }
                }
            }
        }
        let mut model = self.clone();
        let mut ops = kept(ops, keep);
        for op in &mut ops {
            if let KvOp::Get(s) = op.op {
                let parts = self.strings[s as usize].split_inclusive(pieces.end);
                let stays = |piece: &&str| pieces.once(self, piece).is_none_or(|s| !erased.contains(&s));
                let rest: String = parts.filter(stays).collect();
                op.op = KvOp::Get(model.number(rest.into()));
            }
        }
        Problem { model, ops }
    }

    fn only_in(&self, op: KvOp) -> Option<Arc<str>> {
        match op {
            KvOp::Get(s) => Some(self.strings[s as usize].clone()),
            KvOp::Put(_) | KvOp::Append(_) => None,
        }
    }

    /// What is appended stays, until a put.
    fn may_reach(&self, state: &Arc<str>, op: KvOp) -> bool {
        match op {
            KvOp::Get(s) => self.strings[s as usize].starts_with(&**state),
            KvOp::Put(_) | KvOp::Append(_) => true,
        }
    }

    fn state_bytes(&self, state: &Arc<str>) -> usize {
        state.len() + 32
    }

    fn describe_op(&self, _: &Interner, op: KvOp) -> String {
        let s = |number: u32| &*self.strings[number as usize];
        match op {
            KvOp::Get(n) => format!("get → {:?}", s(n)),
            KvOp::Put(n) => format!("put {:?}", s(n)),
            KvOp::Append(n) => format!("append {:?}", s(n)),
        }
    }

    fn describe_state(&self, _: &Interner, state: &Arc<str>) -> String {
        format!("{state:?}")
    }

    fn describe_conflict(&self, _: &Interner, state: &Arc<str>, op: KvOp, object: &str) -> String {
        match op {
            KvOp::Get(n) => {
                format!("it read {:?}, but {object} holds {state:?}", &*self.strings[n as usize])
            }
            KvOp::Put(_) | KvOp::Append(_) => format!("nothing speaks against it: {object} holds {state:?}"),
        }
    }
}
