//! The ladder of consistency: what a history still has where it is not linearizable.

mod rung;

pub use rung::Rung;
