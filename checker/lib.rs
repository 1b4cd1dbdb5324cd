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

pub mod certify;
pub mod core;
pub mod counter;
mod decode;
pub mod explain;
pub mod judge;
pub mod keyed;
pub mod kinds;
pub mod kv;
pub mod lock;
pub mod model;
pub mod multi_register;
pub mod mutex;
pub mod objects;
pub mod oracle;
pub mod problem;
pub mod queue;
pub mod register;
pub mod search;
pub mod sequential;
pub mod set;
mod sources;
pub mod spec;
pub mod testing;
pub mod verdict;

pub use judge::{JudgeError, Judged, Limits, Progress, Violation, judge};
pub use keyed::{Keyed, KeyedOp};
pub use model::{IllFormed, Model};
pub use objects::{Built, build};
pub use problem::{ObjOp, Problem};
pub use spec::{FailedCas, ModelName, NilRead, Spec, auto_model};
pub use verdict::{Budget, Counterexample, Property, Reason, Verdict, Witness};
