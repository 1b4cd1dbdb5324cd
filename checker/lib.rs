//! Could it have happened? Sequential specifications, searches for a legal order, and evidence that other code checks.
//!
//! No I/O, and no clock: a [`Budget`] is stopped from outside.
//!
//! ```text
//!  History ──Spec──▶ Problem (one per object: ops decoded by a Model)
//!                        │ linearizable / sequential
//!                        ▼
//!                    Verdict::Valid(order) ──replay──▶ accepted?
//!                    Verdict::Invalid(core) ──refute──▶ accepted? ──explain──▶ results::Anomaly
//! ```
pub mod explain;
pub mod kinds;
pub mod model;
pub mod problem;
pub mod sequential;
pub mod verdict;

pub use model::Model;
pub use problem::{ObjOp, Problem};
pub use verdict::{Budget, Counterexample, Reason, Verdict, Witness};
