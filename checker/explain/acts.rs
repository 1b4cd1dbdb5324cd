//! From the name, the values and the outcome of an operation to what it did.

use super::facts::{Act, Fact, Family, Happened, Made, Reading};
use super::pairs::Pairs;
use crate::spec::ModelName;
use history::{Applied, History, Op, Outcome, Value, ValueId};

/// The function names as this history numbers them.
pub(super) struct Words {
    names: Vec<(ValueId, Word)>,
    /// Versions with their values, where the history has some.
    versions: Pairs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Read,
    Put,
    Cas,
    Append,
    Remove,
    Contains,
    Txn,
    Take,
    Peek,
    Drain,
    Add,
    FetchAdd,
    AddFetch,
    Generate,
    Watch,
    Acquire,
    Release,
}

const NAMES: [(&str, Word); 28] = [
    ("read", Word::Read),
    ("get", Word::Read),
    ("write", Word::Put),
    ("put", Word::Put),
    ("add", Word::Add),
    ("enqueue", Word::Put),
    ("push", Word::Put),
    ("insert", Word::Put),
    ("cas", Word::Cas),
    ("append", Word::Append),
    ("remove", Word::Remove),
    ("delete", Word::Remove),
    ("watch", Word::Watch),
    ("catch-up", Word::Watch),
    ("contains", Word::Contains),
    ("txn", Word::Txn),
    ("dequeue", Word::Take),
    ("pop", Word::Take),
    ("delete-min", Word::Take),
    ("peek", Word::Peek),
    ("drain", Word::Drain),
    ("fetch-add", Word::FetchAdd),
    ("add-fetch", Word::AddFetch),
    ("generate", Word::Generate),
    ("acquire", Word::Acquire),
    ("release", Word::Release),
    ("r", Word::Read),
    ("w", Word::Put),
];

impl Words {
    /// For the operations of these keys, ascending. O(n) where there are versions.
    pub(super) fn new(history: &History, keys: &[ValueId], reading: Reading) -> Words {
        let find =
            |&(name, word): &(&str, Word)| history.values.find(&Value::text(name)).map(|id| (id, word));
        let versions = if reading.versions() { Pairs::new(history, keys) } else { Pairs::default() };
        Words { names: NAMES.iter().filter_map(find).collect(), versions }
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
            _ => act,
        }
    }

    fn word(&self, f: ValueId) -> Option<Word> {
        self.names.iter().find(|(id, _)| *id == f).map(|&(_, word)| word)
    }

    /// What `op`, number `index`, did.
    pub(super) fn acts(&self, history: &History, op: &Op, index: u32, reading: Reading, out: &mut Vec<Fact>) {
        let happened = match op.outcome {
            Outcome::Ok if op.applied == Applied::No => Happened::No,
            Outcome::Ok => Happened::Yes,
            Outcome::Info => Happened::Maybe,
            Outcome::Fail => Happened::No,
        };
        let Some(word) = self.word(op.f) else { return };
        let plain = |act| if reading.strings() { self.plain(history, act) } else { act };
        let mut say = |key, happened, act| out.push(Fact { op: index, key, happened, act: plain(act) });
        let told = Answered { history, op, happened };
        match reading.family {
            Family::Register if reading.versions() => match word {
                Word::Read => self.versions.read(&told, reading.nil_unknown, &mut say),
                Word::Put => self.versions.write(&told, &mut say),
                Word::Cas => self.versions.cas(&told, &mut say),
                _ => {}
            },
            Family::Register => self.register(&told, word, reading, &mut say),
            Family::Set => told.set(word, &mut say),
            Family::Log => told.log(word, reading, &mut say),
            Family::Queue => told.queue(word, reading, &mut say),
            Family::Counter => told.counter(word, reading, &mut say),
            Family::Lock => told.lock(word, &mut say),
            Family::Permits => match (word, happened) {
                (_, Happened::No) => {}
                (Word::Acquire, _) => say(op.key, happened, Act::Acquired(ValueId::NULL)),
                (Word::Release, _) => say(op.key, happened, Act::Released(ValueId::NULL)),
                _ => {}
            },
            Family::Ids if word == Word::Generate && told.answered() => {
                let id = match (reading.grows(), history.values.get(op.output).as_int()) {
                    (true, Some(id)) => id,
                    (_, _) => i64::from(op.output.0),
                };
                say(op.key, happened, Act::Number(id, Made::Here));
            }
            Family::Ids => {}
            Family::Watch => told.watch(word, &mut say),
        }
    }

    fn register(
        &self,
        told: &Answered<'_>,
        word: Word,
        reading: Reading,
        say: &mut impl FnMut(ValueId, Happened, Act),
    ) {
        let (history, op, happened, answered) = (told.history, told.op, told.happened, told.answered());
        match word {
            Word::Read if answered && !(reading.nil_unknown && op.output == ValueId::NULL) => {
                say(op.key, Happened::Yes, Act::Saw(op.output));
            }
            Word::Put => say(op.key, happened, Act::Put(op.input)),
            Word::Append => say(op.key, happened, Act::Changed),
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
                self.transaction(history, history.values.get(list), happened, reading, say);
            }
            _ => {}
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

/// An operation with what became of it.
pub(super) struct Answered<'a> {
    pub(super) history: &'a History,
    pub(super) op: &'a Op,
    pub(super) happened: Happened,
}

impl Answered<'_> {
    pub(super) fn answered(&self) -> bool {
        self.op.outcome == Outcome::Ok
    }

    fn number(&self, id: ValueId) -> Option<i64> {
        self.history.values.get(id).as_int()
    }

    fn set(&self, word: Word, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let (op, element) = (self.op, self.op.input);
        let told = match self.history.values.get(op.output) {
            Value::Bool(told) if self.answered() => Some(*told),
            _ => None,
        };
        match word {
            Word::Read if self.answered() => say(op.key, Happened::Yes, Act::Saw(op.output)),
            Word::Contains => {
                if let Some(told) = told {
                    say(op.key, Happened::Yes, Act::Told(element, told));
                }
            }
            Word::Add | Word::Remove => {
                // Nothing changed: it was in already, or not in.
                let adds = word == Word::Add;
                if let Some(changed) = told {
                    say(op.key, Happened::Yes, Act::Told(element, changed != adds));
                }
                if told != Some(false) {
                    let act = if adds { Act::Put(element) } else { Act::Removed(element) };
                    say(op.key, self.happened, act);
                }
            }
            _ => {}
        }
    }

    fn log(&self, word: Word, reading: Reading, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let op = self.op;
        match word {
            Word::Append => {
                say(op.key, self.happened, Act::Put(op.input));
                let offset = self
                    .number(op.output)
                    .filter(|_| self.answered() && reading.model == ModelName::AppendLog);
                if let Some(offset) = offset {
                    say(op.key, self.happened, Act::Number(offset.saturating_add(1), Made::Here));
                }
            }
            Word::Read if !self.answered() || (reading.nil_unknown && op.output == ValueId::NULL) => {}
            Word::Read => match self.number(op.input) {
                Some(offset) => say(op.key, Happened::Yes, Act::At(offset, op.output)),
                None => {
                    let length = self.history.values.get(op.output).as_list().map_or(0, <[Value]>::len);
                    say(op.key, Happened::Yes, Act::Saw(op.output));
                    say(op.key, Happened::Yes, Act::Number(length as i64, Made::Before));
                }
            },
            _ => {}
        }
    }

    fn queue(&self, word: Word, reading: Reading, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let op = self.op;
        match word {
            Word::Put => say(op.key, self.happened, Act::Put(op.input)),
            // Who may deliver again may also say that there is nothing yet.
            Word::Take if self.answered() && reading.again() && op.output == ValueId::NULL => {}
            Word::Take if self.answered() => say(op.key, self.happened, Act::Saw(op.output)),
            Word::Peek if self.answered() => say(op.key, Happened::Yes, Act::Looked(op.output)),
            Word::Drain if self.answered() => {
                let listed = self.history.values.get(op.output).as_list().unwrap_or_default();
                for message in listed.iter().filter_map(|message| self.history.values.find(message)) {
                    say(op.key, self.happened, Act::Saw(message));
                }
                say(op.key, self.happened, Act::Drained(op.output));
            }
            // Without an answer it may have taken any of them.
            Word::Take | Word::Drain if self.happened == Happened::Maybe => {
                say(op.key, self.happened, Act::Changed);
            }
            _ => {}
        }
    }

    fn watch(&self, word: Word, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let op = self.op;
        let act = match word {
            Word::Watch if self.answered() => return say(op.key, Happened::Yes, Act::Watched(op.output)),
            Word::Put => Act::Put(op.input),
            Word::Remove => Act::Removed(op.input),
            _ => return,
        };
        // Where there was nothing to delete, nothing happened.
        let nothing = self.answered() && op.output == ValueId::NULL;
        say(op.key, if nothing { Happened::No } else { self.happened }, act);
        if let Some(revision) = self.number(op.output).filter(|_| self.answered()) {
            say(op.key, self.happened, Act::Number(revision, Made::Here));
        }
    }

    fn counter(&self, word: Word, reading: Reading, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let op = self.op;
        let told = if op.output == ValueId::NULL { Some(0) } else { self.number(op.output) };
        let one = op.input == ValueId::NULL && word != Word::Add;
        let amount = if one { Some(1) } else { self.number(op.input) };
        let (sum, amount) = match word {
            Word::Read if reading.nil_unknown && op.output == ValueId::NULL => (None, None),
            Word::Read => (told, None),
            Word::Add => (None, amount),
            Word::FetchAdd => (told, amount),
            Word::AddFetch => (told.zip(amount).and_then(|(sum, n)| sum.checked_sub(n)), amount),
            _ => (None, None),
        };
        if let Some(sum) = sum.filter(|_| self.answered()) {
            say(op.key, Happened::Yes, Act::Sum(sum));
        }
        if let Some(amount) = amount {
            say(op.key, self.happened, Act::Added(amount));
        }
    }

    fn lock(&self, word: Word, say: &mut impl FnMut(ValueId, Happened, Act)) {
        let (op, happened) = (self.op, self.happened);
        match word {
            Word::Acquire => say(op.key, happened, Act::Acquired(op.output)),
            Word::Release => say(op.key, happened, Act::Released(op.input)),
            // The token is in what was written, or in what was read.
            Word::Put => say(op.key, happened, Act::Guarded(op.input)),
            Word::Read if self.answered() => say(op.key, happened, Act::Guarded(op.output)),
            _ => {}
        }
    }
}
