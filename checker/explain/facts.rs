//! What each operation of a history did, in the few verbs that the kinds of anomaly are defined by.
//!
//! Decided from names and values alone, so that a kind can be told over the whole history without running a model.

use history::{Applied, History, Op, Outcome, Value, ValueId};

/// The shapes of object that explanations know more about than that no order exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Values are written, read and compared: register, cas-register, multi-register, kv.
    Register,
    /// Elements are added and all of them read.
    Set,
    /// Messages are put in and taken out, first in first out.
    Queue,
    /// Numbers are added and the sum is read.
    Counter,
    /// A lock is acquired and released, and may hand out tokens.
    Lock,
    /// Anything else.
    Other,
}

impl Family {
    /// By the name of the model.
    pub(crate) fn of(model: &str) -> Family {
        match model {
            "register" | "cas-register" | "multi-register" | "kv" => Family::Register,
            "set" => Family::Set,
            "queue" => Family::Queue,
            "counter" => Family::Counter,
            "mutex" | "lock" => Family::Lock,
            _ => Family::Other,
        }
    }

    /// How to call an object that has no key.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Family::Register => "the register",
            Family::Set => "the set",
            Family::Queue => "the queue",
            Family::Counter => "the counter",
            Family::Lock => "the lock",
            Family::Other => "the object",
        }
    }
}

/// Whether an effect took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It was acknowledged.
    Yes,
    /// Nobody knows.
    Maybe,
    /// It was refused: never.
    No,
}

/// One thing that an operation did to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It saw `value`: a read, the comparison of a cas, a dequeue (null: empty), all members of a set, a sum.
    Saw(ValueId),
    /// It put `value` there: a write, the exchange of a cas, an add, an enqueue, an increment.
    Put(ValueId),
    /// It put a value there that its own transaction replaced.
    Passed(ValueId),
    /// It appended to what was there, or removed an element: what follows can no longer be told by values alone.
    Changed,
    /// It got the lock, with this token or null.
    Acquired(ValueId),
    /// It gave the lock back.
    Released(ValueId),
    /// The resource behind a lock let this `[token, value]` in.
    Guarded(ValueId),
}

/// An act with who did it and whether it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// Index into the ops of the history.
    pub(crate) op: u32,
    pub(crate) key: ValueId,
    pub(crate) happened: Happened,
    pub(crate) act: Act,
}

/// How the answers are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) family: Family,
    /// Whether a read of null says nothing.
    pub(crate) nil_unknown: bool,
    /// Whether the lock is a lease with fencing tokens.
    pub(crate) lease: bool,
    /// Whether a missing key and an empty string are the same, and numbers are their digits.
    pub(crate) strings: bool,
}

/// The facts of the whole history about the keys of `core` (about every key for transactions), by invocation. O(n).
pub(crate) fn facts(history: &History, core: &[u32], reading: Reading) -> Vec<Fact> {
    let mut keys: Vec<ValueId> = core.iter().map(|&i| history.ops[i as usize].key).collect();
    keys.sort_unstable();
    keys.dedup();
    let words = Words::new(history);
    let mut facts = Vec::new();
    for (index, op) in history.ops.iter().enumerate() {
        if keys.binary_search(&op.key).is_ok() {
            words.acts(history, op, index as u32, reading, &mut facts);
        }
    }
    facts
}

/// The function names as this history numbers them.
struct Words {
    names: Vec<(ValueId, Word)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Read,
    Put,
    Cas,
    Append,
    Remove,
    Txn,
    Dequeue,
    Acquire,
    Release,
}

const NAMES: [(&str, Word); 15] = [
    ("read", Word::Read),
    ("get", Word::Read),
    ("write", Word::Put),
    ("put", Word::Put),
    ("add", Word::Put),
    ("enqueue", Word::Put),
    ("cas", Word::Cas),
    ("append", Word::Append),
    ("remove", Word::Remove),
    ("txn", Word::Txn),
    ("dequeue", Word::Dequeue),
    ("acquire", Word::Acquire),
    ("release", Word::Release),
    ("r", Word::Read),
    ("w", Word::Put),
];

impl Words {
    fn new(history: &History) -> Words {
        let find =
            |&(name, word): &(&str, Word)| history.values.find(&Value::text(name)).map(|id| (id, word));
        Words { names: NAMES.iter().filter_map(find).collect() }
    }

    /// The act with its value as the string that a key-value store keeps.
    fn plain(&self, history: &History, act: Act) -> Act {
        let string = |id| match history.values.get(id) {
            Value::Text(text) if text.is_empty() => ValueId::NULL,
            value @ (Value::Bool(_) | Value::Int(_) | Value::Number(_)) => {
                history.values.find(&Value::text(&value.to_string())).unwrap_or(id)
            }
            Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => id,
        };
        match act {
            Act::Saw(value) => Act::Saw(string(value)),
            Act::Put(value) => Act::Put(string(value)),
            Act::Passed(_) | Act::Changed | Act::Acquired(_) | Act::Released(_) | Act::Guarded(_) => act,
        }
    }

    fn word(&self, f: ValueId) -> Option<Word> {
        self.names.iter().find(|(id, _)| *id == f).map(|&(_, word)| word)
    }

    fn acts(&self, history: &History, op: &Op, index: u32, reading: Reading, out: &mut Vec<Fact>) {
        let happened = match op.outcome {
            Outcome::Ok if op.applied == Applied::No => Happened::No,
            Outcome::Ok => Happened::Yes,
            Outcome::Info => Happened::Maybe,
            Outcome::Fail => Happened::No,
        };
        let answered = op.outcome == Outcome::Ok;
        let plain = |act| if reading.strings { self.plain(history, act) } else { act };
        let mut say = |key, happened, act| out.push(Fact { op: index, key, happened, act: plain(act) });
        let Some(word) = self.word(op.f) else { return };
        if reading.family == Family::Lock {
            match word {
                Word::Acquire => say(op.key, happened, Act::Acquired(op.output)),
                Word::Release => say(op.key, happened, Act::Released(op.input)),
                // The token is in what was written, or in what was read.
                Word::Put => say(op.key, happened, Act::Guarded(op.input)),
                Word::Read if answered => say(op.key, happened, Act::Guarded(op.output)),
                Word::Read | Word::Cas | Word::Append | Word::Remove | Word::Txn | Word::Dequeue => {}
            }
            return;
        }
        match word {
            Word::Read if answered && !(reading.nil_unknown && op.output == ValueId::NULL) => {
                say(op.key, Happened::Yes, Act::Saw(op.output));
            }
            Word::Read => {}
            Word::Dequeue if answered => say(op.key, happened, Act::Saw(op.output)),
            // A dequeue without an answer may have taken any message.
            Word::Dequeue if happened == Happened::Maybe => say(op.key, happened, Act::Changed),
            Word::Dequeue => {}
            Word::Put => say(op.key, happened, Act::Put(op.input)),
            Word::Append | Word::Remove => say(op.key, happened, Act::Changed),
            Word::Cas => {
                let Some([old, new]) = history.values.get(op.input).as_list() else { return };
                let (Some(old), Some(new)) = (history.values.find(old), history.values.find(new)) else {
                    return;
                };
                match (answered, op.observed) {
                    (true, Some(seen)) if happened == Happened::No => {
                        say(op.key, Happened::Yes, Act::Saw(seen))
                    }
                    _ => {
                        if happened != Happened::No {
                            say(op.key, happened, Act::Saw(old));
                        }
                        say(op.key, happened, Act::Put(new));
                    }
                }
            }
            Word::Txn => {
                let list = if answered { op.output } else { op.input };
                self.transaction(history, history.values.get(list), happened, reading, &mut say);
            }
            Word::Acquire | Word::Release => {}
        }
    }

    /// What a transaction saw from outside and left behind, key by key. Values inside a list have no number of their
    /// own unless something else carries them, so unknown ones are skipped: nobody else can have seen them.
    fn transaction(
        &self,
        history: &History,
        list: &Value,
        happened: Happened,
        reading: Reading,
        say: &mut impl FnMut(ValueId, Happened, Act),
    ) {
        let Some(items) = list.as_list() else { return };
        let mut left: Vec<(&Value, &Value)> = Vec::new();
        for item in items {
            let Some([f, key, value]) = item.as_list() else { continue };
            let word =
                history.values.find(f).and_then(|id| self.word(id)).or_else(|| {
                    NAMES.iter().find(|(name, _)| f.as_text() == Some(name)).map(|&(_, word)| word)
                });
            let earlier = left.iter().position(|(k, _)| *k == key);
            match (word, earlier) {
                (Some(Word::Read), None) if reading.nil_unknown && *value == Value::Null => {}
                (Some(Word::Read), None) if happened == Happened::Yes => {
                    if let (Some(k), Some(v)) = (history.values.find(key), history.values.find(value)) {
                        say(k, happened, Act::Saw(v));
                    }
                }
                (Some(Word::Put), None) => left.push((key, value)),
                (Some(Word::Put), Some(at)) => {
                    if let (Some(k), Some(v)) = (history.values.find(key), history.values.find(left[at].1)) {
                        say(k, happened, Act::Passed(v));
                    }
                    left[at].1 = value;
                }
                _ => {}
            }
        }
        for (key, value) in left {
            if let (Some(k), Some(v)) = (history.values.find(key), history.values.find(value)) {
                say(k, happened, Act::Put(v));
            }
        }
    }
}
