//! The rungs: every property that can be asked of a history, and which of them imply which.

use crate::verdict::Property;

/// A property of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// [`Property::Linearizable`].
    Linearizable,
    /// [`Property::Sequential`].
    Sequential,
    /// Every key alone is sequentially consistent (Goodman 1989).
    Coherence,
}

impl From<Property> for Rung {
    fn from(property: Property) -> Rung {
        match property {
            Property::Linearizable => Rung::Linearizable,
            Property::Sequential => Rung::Sequential,
        }
    }
}

impl Rung {
    /// All of them, each before those that it implies.
    pub fn all() -> [Rung; 3] {
        [Rung::Linearizable, Rung::Sequential, Rung::Coherence]
    }

    /// The rung of that name.
    pub fn find(name: &str) -> Option<Rung> {
        Rung::all().into_iter().find(|rung| rung.name() == name)
    }

    /// The rungs right below it, which it implies.
    pub fn implies(self) -> &'static [Rung] {
        match self {
            Rung::Linearizable => &[Rung::Sequential],
            Rung::Sequential => &[Rung::Coherence],
            Rung::Coherence => &[],
        }
    }

    /// Whether every history that has `self` has `weaker`.
    pub fn reaches(self, weaker: Rung) -> bool {
        self == weaker || self.implies().iter().any(|below| below.reaches(weaker))
    }

    /// The property, if one legal order of all operations shows it.
    pub fn of_one_order(self) -> Option<Property> {
        match self {
            Rung::Linearizable => Some(Property::Linearizable),
            Rung::Sequential => Some(Property::Sequential),
            Rung::Coherence => None,
        }
    }

    /// Whether a history has it exactly when each of its keys alone has it.
    pub fn is_local(self) -> bool {
        match self {
            Rung::Linearizable | Rung::Coherence => true,
            Rung::Sequential => false,
        }
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Linearizable => Property::Linearizable.name(),
            Rung::Sequential => Property::Sequential.name(),
            Rung::Coherence => "coherence",
        }
    }

    /// What it demands, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Rung::Linearizable => Property::Linearizable.about(),
            Rung::Sequential => Property::Sequential.about(),
            Rung::Coherence => "Each key alone is sequentially consistent.",
        }
    }
}
