//! Claims about a history, each with its evidence, and whether the small verifier accepts them. Nothing here searches for
//! an order: whoever distrusts the searches needs to trust only this file, [`crate::certify`], the model and the reader.

use crate::certify::{Refused, refute, replay};
use crate::model::Model;
use crate::objects::{BuildError, build};
use crate::problem::Problem;
use crate::spec::{Spec, Specified};
use crate::verdict::{Counterexample, Property, Witness};
use crate::with_model;
use history::{History, Malformed, ValueId};
use rustc_hash::FxHashMap;

/// What is said about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its keys, in any order; all that the history has for a property that is judged over all keys together, and none
    /// where the history names none.
    pub keys: Vec<ValueId>,
    /// What, and why.
    pub says: Says,
}

/// An answer with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// The property holds: this order shows it.
    Holds(Witness),
    /// It is violated: these operations show it.
    Violated(Counterexample),
    /// Nothing.
    Undecided,
}

/// What was confirmed about one property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Objects whose order was accepted.
    pub held: usize,
    /// Operations in those orders.
    pub ordered: usize,
    /// Objects whose core was accepted.
    pub violated: usize,
    /// Operations in those cores.
    pub refuted: usize,
    /// Objects about which nothing is said.
    pub undecided: usize,
}

/// Why a claim is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unconfirmed {
    /// An operation of the history does not fit the model.
    Malformed(Malformed),
    /// The specification does not fit the model: one sentence.
    Spec(String),
    /// The evidence about the object with these keys is not accepted, or there is none: one sentence.
    Refused(Vec<ValueId>, String),
}

/// Confirms `claims` about one property of `history`: every object is spoken of once, every order replays, every core is
/// refuted. Linear in the history for the orders, exponential in the size of each core, which is small.
///
/// # Errors
/// The first thing that is not as it is claimed.
pub fn confirm(
    history: &mut History,
    spec: &Spec,
    property: Property,
    claims: &[Claim],
) -> Result<Confirmed, Unconfirmed> {
    with_model!(spec.model, M => confirm_as::<M>(history, spec, property, claims))
}

fn confirm_as<M: Specified>(
    history: &mut History,
    spec: &Spec,
    property: Property,
    claims: &[Claim],
) -> Result<Confirmed, Unconfirmed> {
    let built = build::<M>(history, spec).map_err(|error| match error {
        BuildError::Malformed(malformed) => Unconfirmed::Malformed(malformed),
        BuildError::Spec(what) => Unconfirmed::Spec(what),
    })?;
    let mut confirmed = Confirmed::default();
    let mut of_object: FxHashMap<Vec<ValueId>, &Claim> = FxHashMap::default();
    for claim in claims {
        if of_object.insert(sorted(&claim.keys), claim).is_some() {
            return Err(Unconfirmed::Refused(claim.keys.clone(), "it is spoken of twice".to_string()));
        }
    }
    let mut spoken_of = |keys: &[ValueId]| {
        let nothing = || Unconfirmed::Refused(keys.to_vec(), "nothing is said about it".to_string());
        of_object.remove(&sorted(keys)).ok_or_else(nothing)
    };
    match property {
        Property::Linearizable => {
            for object in &built.objects {
                accept(&object.problem, spoken_of(&object.keys)?, property, &mut confirmed)?;
            }
        }
        Property::Sequential => {
            let keys: Vec<ValueId> = built.objects.iter().flat_map(|object| object.keys.clone()).collect();
            let claim = spoken_of(&keys)?;
            accept(&built.joined(|_| String::new()), claim, property, &mut confirmed)?;
        }
    }
    match claims.iter().find(|claim| of_object.contains_key(&sorted(&claim.keys))) {
        Some(claim) => {
            Err(Unconfirmed::Refused(claim.keys.clone(), "the history has no such object".to_string()))
        }
        None => Ok(confirmed),
    }
}

fn sorted(keys: &[ValueId]) -> Vec<ValueId> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys
}

fn accept<M: Model>(
    problem: &Problem<M>,
    claim: &Claim,
    property: Property,
    confirmed: &mut Confirmed,
) -> Result<(), Unconfirmed> {
    let refused = |why: String| Unconfirmed::Refused(claim.keys.clone(), why);
    match &claim.says {
        Says::Undecided => confirmed.undecided += 1,
        Says::Holds(witness) => {
            replay(problem, &witness.order, property).map_err(refused)?;
            confirmed.held += 1;
            confirmed.ordered += witness.order.len();
        }
        Says::Violated(counterexample) => {
            refute(problem, counterexample, property).map_err(|error| {
                refused(match error {
                    Refused::Wrong(why) => why,
                    Refused::TooLarge => "its core is too large to be refuted again".to_string(),
                })
            })?;
            confirmed.violated += 1;
            confirmed.refuted += counterexample.core.len();
        }
    }
    Ok(())
}
