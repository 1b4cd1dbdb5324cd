//! Many objects as one: what a property is judged on that does not split by key.

use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::verdict::Property;
use history::{Interner, Op};

/// The product of objects: a state for each, and each operation touches one.
#[derive(Clone, Debug)]
pub struct Keyed<M: Model> {
    /// The objects.
    pub objects: Vec<M>,
    /// How each is called: its keys as text, empty if the history names none.
    pub names: Vec<String>,
}

/// An operation on one of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyedOp<O> {
    /// Which object.
    pub object: u32,
    /// What it did there.
    pub op: O,
}

impl<M: Model> Model for Keyed<M> {
    type State = Vec<M::State>;
    type Op = KeyedOp<M::Op>;

    /// Problems over all objects are built from those of each object ([`crate::objects::Built::joined`]): this is never
    /// needed, and refuses.
    fn decode(&mut self, _: &mut Interner, _: &Op) -> Result<Option<Self::Op>, IllFormed> {
        Err(IllFormed {
            expected: "operations that are decoded per object".to_string(),
            found: "a product of objects".to_string(),
            in_completion: false,
        })
    }

    fn init(&self) -> Vec<M::State> {
        self.objects.iter().map(Model::init).collect()
    }

    fn step(&self, state: &Vec<M::State>, op: Self::Op, out: &mut impl FnMut(Vec<M::State>)) {
        let at = op.object as usize;
        self.objects[at].step(&state[at], op.op, &mut |next| {
            let mut all = state.clone();
            all[at] = next;
            out(all);
        });
    }

    fn is_pure(&self, op: Self::Op) -> bool {
        self.objects[op.object as usize].is_pure(op.op)
    }

    fn is_blind(&self, op: Self::Op) -> bool {
        self.objects.len() == 1 && self.objects[0].is_blind(op.op)
    }

    /// Each object by its own rule, or left out: what a legal order loses in one of them, no other notices.
    fn project(&self, ops: &[ObjOp<Self::Op>], keep: &mut [bool], property: Property) -> Problem<Keyed<M>> {
        let mut model = self.clone();
        let mut of_object: Vec<Vec<usize>> = vec![Vec::new(); self.objects.len()];
        for (i, op) in ops.iter().enumerate() {
            of_object[op.op.object as usize].push(i);
        }
        let mut left: Vec<Option<ObjOp<Self::Op>>> = vec![None; ops.len()];
        for (object, mine) in of_object.iter().enumerate() {
            // An object can be left out altogether.
            if !mine.iter().any(|&i| keep[i]) {
                continue;
            }
            let inner: Vec<ObjOp<M::Op>> = mine.iter().map(|&i| ops[i].with(ops[i].op.op)).collect();
            let mut inner_keep: Vec<bool> = mine.iter().map(|&i| keep[i]).collect();
            let problem = self.objects[object].project(&inner, &mut inner_keep, property);
            let mut weakened = problem.ops.iter();
            for (&i, kept) in mine.iter().zip(inner_keep) {
                keep[i] = kept;
                if kept {
                    let op = weakened.next().expect("a projection returns what it keeps");
                    left[i] = Some(op.with(KeyedOp { object: object as u32, op: op.op }));
                }
            }
            model.objects[object] = problem.model;
        }
        Problem { model, ops: left.into_iter().flatten().collect() }
    }

    fn describe_op(&self, values: &Interner, op: Self::Op) -> String {
        self.objects[op.object as usize].describe_op(values, op.op)
    }

    fn describe_state(&self, values: &Interner, state: &Self::State) -> String {
        let parts: Vec<String> = self
            .objects
            .iter()
            .zip(state)
            .zip(&self.names)
            .map(|((object, state), name)| {
                let state = object.describe_state(values, state);
                if name.is_empty() { state } else { format!("{name}: {state}") }
            })
            .collect();
        parts.join(" · ")
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &Self::State,
        op: Self::Op,
        object: &str,
    ) -> String {
        let at = op.object as usize;
        let name = if self.names[at].is_empty() { object } else { &self.names[at] };
        self.objects[at].describe_conflict(values, &state[at], op.op, name)
    }
}
