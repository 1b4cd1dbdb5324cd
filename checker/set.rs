//! A set that only grows: elements are added, and a read returns all of them.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{self, Exact};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::spec::{NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A growing set. Elements have dense numbers of their own, so that a state is a string of bits.
#[derive(Clone, Debug)]
pub struct GrowSet {
    initial: Bits,
    nil_read: NilRead,
    elements: Vec<ValueId>,
    numbers: FxHashMap<ValueId, u32>,
    snapshots: Vec<Snapshot>,
    numbered: FxHashMap<ValueId, u32>,
    /// The elements that a projection is about, so that it can be said which of them a read lacks.
    about: Bits,
}

/// A string of bits without zero words at its end, so that equal sets are equal.
type Bits = Arc<[u64]>;

/// What one read returned.
#[derive(Clone, Debug)]
struct Snapshot {
    members: Bits,
    /// An element that it lists twice, which no set does.
    twice: Option<u32>,
    /// How many elements are left out of it here.
    others: usize,
}

/// What a client did with a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// It added this element.
    Add(u32),
    /// It read this snapshot.
    Read(u32),
}

impl GrowSet {
    /// A set of the elements `initial`.
    pub fn new(initial: &[ValueId], nil_read: NilRead) -> GrowSet {
        let mut set = GrowSet {
            initial: Arc::from([]),
            nil_read,
            elements: Vec::new(),
            numbers: FxHashMap::default(),
            snapshots: Vec::new(),
            numbered: FxHashMap::default(),
            about: Arc::from([]),
        };
        let numbers: Vec<u32> = initial.iter().map(|&v| set.number(v)).collect();
        set.initial = bits(&numbers);
        set
    }

    fn number(&mut self, value: ValueId) -> u32 {
        let next = self.elements.len() as u32;
        let number = *self.numbers.entry(value).or_insert(next);
        if number == next {
            self.elements.push(value);
        }
        number
    }

    fn snapshot(&mut self, values: &mut Interner, id: ValueId) -> Result<u32, IllFormed> {
        if let Some(&number) = self.numbered.get(&id) {
            return Ok(number);
        }
        let listed = match values.get(id) {
            Value::Null => Vec::new(),
            Value::List(items) => items.to_vec(),
            other => return Err(refuse("a list of elements as the result of a read", other, true)),
        };
        let mut numbers: Vec<u32> = listed.iter().map(|v| values.intern(v)).map(|v| self.number(v)).collect();
        numbers.sort_unstable();
        let twice = numbers.windows(2).find(|two| two[0] == two[1]).map(|two| two[0]);
        let number = self.snapshots.len() as u32;
        self.snapshots.push(Snapshot { members: bits(&numbers), twice, others: 0 });
        self.numbered.insert(id, number);
        Ok(number)
    }

    /// What it holds at first.
    pub(crate) fn initial(&self) -> &[u64] {
        &self.initial
    }

    /// How many elements anybody named.
    pub(crate) fn element_count(&self) -> usize {
        self.elements.len()
    }

    /// How many different reads there are.
    pub(crate) fn snapshot_count(&self) -> usize {
        self.snapshots.len()
    }

    /// What a read returned, and whether it listed something twice.
    pub(crate) fn holds(&self, number: u32) -> (&[u64], bool) {
        let snapshot = &self.snapshots[number as usize];
        (&snapshot.members, snapshot.twice.is_some())
    }

    fn list(&self, values: &Interner, set: &Bits) -> String {
        let shown: Vec<String> =
            members(set).map(|e| values.get(self.elements[e as usize]).to_string()).collect();
        format!("[{}]", shown.join(" "))
    }
}

fn bits(numbers: &[u32]) -> Bits {
    let words = numbers.iter().max().map_or(0, |&n| n as usize / 64 + 1);
    let mut bits = vec![0u64; words];
    for &n in numbers {
        bits[n as usize / 64] |= 1 << (n % 64);
    }
    bits.into()
}

/// Whether it is in the set.
pub(crate) fn has(set: &[u64], element: u32) -> bool {
    set.get(element as usize / 64).is_some_and(|word| word >> (element % 64) & 1 == 1)
}

/// What is in the set, by number.
pub(crate) fn members(set: &[u64]) -> impl Iterator<Item = u32> + '_ {
    set.iter()
        .enumerate()
        .flat_map(|(w, &word)| (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| w as u32 * 64 + b))
}

impl Specified for GrowSet {
    fn setup(setup: &mut Setup<'_>) -> Result<GrowSet, String> {
        let initial = initial_list(setup, "a list of elements")?;
        Ok(GrowSet::new(&initial, setup.spec.nil_read))
    }
}

impl Model for GrowSet {
    type State = Bits;
    type Op = SetOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<SetOp>, IllFormed> {
        match function(values, op)? {
            "read" => {
                must_apply(op, "read")?;
                match op.outcome {
                    Outcome::Fail | Outcome::Info => Ok(None),
                    Outcome::Ok if op.output == ValueId::NULL && self.nil_read == NilRead::Unknown => {
                        Ok(None)
                    }
                    Outcome::Ok => Ok(Some(SetOp::Read(self.snapshot(values, op.output)?))),
                }
            }
            "add" => {
                must_apply(op, "add")?;
                Ok((op.outcome != Outcome::Fail).then(|| SetOp::Add(self.number(op.input))))
            }
            f => Err(unknown("add or read", f)),
        }
    }

    fn exact(&self, ops: &[ObjOp<SetOp>], stop: &AtomicBool) -> Option<Exact> {
        exact::grow_set(self, ops, stop)
    }

    fn init(&self) -> Bits {
        self.initial.clone()
    }

    fn step(&self, state: &Bits, op: SetOp, out: &mut impl FnMut(Bits)) {
        match op {
            SetOp::Add(e) if has(state, e) => out(state.clone()),
            SetOp::Add(e) => {
                let mut grown = state.to_vec();
                grown.resize(grown.len().max(e as usize / 64 + 1), 0);
                grown[e as usize / 64] |= 1 << (e % 64);
                out(grown.into());
            }
            SetOp::Read(s) => {
                let snapshot = &self.snapshots[s as usize];
                if snapshot.twice.is_none() && snapshot.members == *state {
                    out(state.clone());
                }
            }
        }
    }

    fn is_pure(&self, op: SetOp) -> bool {
        match op {
            SetOp::Read(_) => true,
            SetOp::Add(_) => false,
        }
    }

    fn only_in(&self, op: SetOp) -> Option<Bits> {
        match op {
            SetOp::Read(s) => {
                let snapshot = &self.snapshots[s as usize];
                snapshot.twice.is_none().then(|| snapshot.members.clone())
            }
            SetOp::Add(_) => None,
        }
    }

    fn may_reach(&self, state: &Bits, op: SetOp) -> bool {
        match op {
            SetOp::Read(s) => {
                let listed = &self.snapshots[s as usize].members;
                state.len() <= listed.len() && state.iter().zip(listed.iter()).all(|(a, b)| a & !b == 0)
            }
            SetOp::Add(_) => true,
        }
    }

    fn state_bytes(&self, state: &Bits) -> usize {
        state.len() * 8 + 32
    }

    /// Elements can be left out whole: all their adds, and their mention in every snapshot. An element that nobody
    /// added stays in the snapshots, and so does one that a snapshot lists twice.
    fn project(&self, ops: &[ObjOp<SetOp>], keep: &mut [bool], _: Property) -> Problem<GrowSet> {
        let mut kept_element = vec![false; self.elements.len()];
        let mut added = vec![false; self.elements.len()];
        for (op, kept) in ops.iter().zip(keep.iter()) {
            if let SetOp::Add(e) = op.op {
                added[e as usize] = true;
                kept_element[e as usize] |= *kept;
            }
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            if let SetOp::Add(e) = op.op {
                *kept = kept_element[e as usize];
            }
        }
        let stays = |e: u32| kept_element[e as usize] || !added[e as usize];
        let restrict = |set: &Bits| bits(&members(set).filter(|&e| stays(e)).collect::<Vec<_>>());
        let mut model = self.clone();
        model.initial = restrict(&self.initial);
        model.about =
            bits(&(0..self.elements.len() as u32).filter(|&e| kept_element[e as usize]).collect::<Vec<_>>());
        for snapshot in &mut model.snapshots {
            let all = members(&snapshot.members).count();
            snapshot.members = restrict(&snapshot.members);
            snapshot.others += all - members(&snapshot.members).count();
        }
        Problem { model, ops: crate::model::kept(ops, keep) }
    }

    fn describe_op(&self, values: &Interner, op: SetOp) -> String {
        match op {
            SetOp::Add(e) => format!("add {}", values.get(self.elements[e as usize])),
            SetOp::Read(s) => {
                let snapshot = &self.snapshots[s as usize];
                let listed = self.list(values, &snapshot.members);
                // It saw more than what this is about: what it lacks of that has to be said.
                let Some(open) = listed.strip_suffix(']').filter(|_| snapshot.others > 0) else {
                    return format!("read → {listed}");
                };
                let lacks: Vec<String> = members(&self.about)
                    .filter(|&e| !has(&snapshot.members, e))
                    .map(|e| values.get(self.elements[e as usize]).to_string())
                    .collect();
                let blank = if open == "[" { "" } else { " " };
                match &lacks[..] {
                    [] => format!("read → {open}{blank}…]"),
                    lacks => format!("read → {open}{blank}… without {}]", lacks.join(" ")),
                }
            }
        }
    }

    fn describe_state(&self, values: &Interner, state: &Bits) -> String {
        self.list(values, state)
    }

    fn describe_conflict(&self, values: &Interner, state: &Bits, op: SetOp, object: &str) -> String {
        let SetOp::Read(s) = op else {
            return format!("nothing speaks against it: {object} holds {}", self.list(values, state));
        };
        let snapshot = &self.snapshots[s as usize];
        let name = |e: u32| values.get(self.elements[e as usize]);
        if let Some(e) = snapshot.twice {
            return format!("it lists {} twice", name(e));
        }
        if let Some(missing) = members(state).find(|&e| !has(&snapshot.members, e)) {
            return format!("it misses {}, but {object} has it", name(missing));
        }
        match members(&snapshot.members).find(|&e| !has(state, e)) {
            Some(extra) => format!("it lists {}, but {object} does not have it", name(extra)),
            None => format!("nothing speaks against it: {object} holds {}", self.list(values, state)),
        }
    }
}
