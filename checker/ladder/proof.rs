//! A circle of events each of which must come before the next: why a history does not have a rung, step by step.

/// A proof that events violate a rung. Events are numbers in [`super::events::Events`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Reasons; each builds only on earlier ones.
    pub steps: Vec<Step>,
    /// Indices into `steps`: each ends where the next begins, the last where the first begins.
    pub circle: Vec<usize>,
    /// Instead of a circle: a read of what nobody can have written.
    pub nowhere: Option<u32>,
}

/// One reason: `from` comes before `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub from: u32,
    pub to: u32,
    pub why: Why,
    /// Steps that together lead from `from` to the reader that [`Why::Overwritten`] names.
    pub uses: Vec<usize>,
}

/// Why one event comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its session sent it earlier.
    Session,
    /// The other saw what it wrote.
    Source,
    /// It came before `reader`, which still saw what the other wrote to the same key.
    Overwritten { reader: u32 },
    /// It saw the initial value of the key that the other wrote.
    Initial,
    /// Versions of one key: `first`, which is or saw `from`, was sent before `second`, which is or saw `to` (or is `to`
    /// itself, and saw the initial value) by its session, or had returned by then.
    Versions { first: u32, second: u32 },
}

impl Proof {
    /// A read of what nobody can have written.
    pub fn nowhere(read: u32) -> Proof {
        Proof { nowhere: Some(read), ..Proof::default() }
    }

    /// A circle of these steps.
    pub fn circle(steps: Vec<Step>) -> Proof {
        Proof { circle: (0..steps.len()).collect(), steps, nowhere: None }
    }

    /// The events that the proof speaks of, ascending.
    pub fn events(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.nowhere.into_iter().collect();
        for step in &self.steps {
            all.extend([step.from, step.to]);
            match step.why {
                Why::Overwritten { reader } => all.push(reader),
                Why::Versions { first, second } => all.extend([first, second]),
                Why::Session | Why::Source | Why::Initial => {}
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}
