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
//!
//! ```
//! use checker::{Limits, ModelName, Property, Spec, judge};
//! use history::results::Answer;
//! use std::sync::atomic::{AtomicBool, AtomicU64};
//!
//! // A client is told that 1 was written; a later read still finds nothing.
//! let lines = r#"
//!     {"process":0,"type":"invoke","f":"write","value":1}
//!     {"process":0,"type":"ok","f":"write","value":1}
//!     {"process":1,"type":"invoke","f":"read","value":null}
//!     {"process":1,"type":"ok","f":"read","value":null}"#;
//! let mut history = history::read("example", Box::new(lines.as_bytes()), &Default::default())?;
//! let spec = Spec::new(ModelName::Register, history.source.format);
//! let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
//! let limits = Limits { stop: &stop, bytes: 1 << 30, threads: 1, states: &states, progress: None };
//!
//! let judged = judge(&mut history, &spec, Property::Linearizable, &limits)?;
//! assert_eq!(judged.judgement.answer, Answer::Violated);
//! let core = &judged.violations[0].counterexample;
//! let anomaly = checker::explain::explain(&history, &spec, Property::Linearizable, core, 1);
//! assert_eq!(anomaly.ops.len(), 2);
//!
//! // Real time forbids what every client alone would have accepted.
//! let judged = judge(&mut history, &spec, Property::Sequential, &limits)?;
//! assert_eq!(judged.judgement.answer, Answer::Holds);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cells;
pub mod certify;
pub mod claim;
pub mod container;
pub mod core;
pub mod counter;
mod decode;
mod delivered;
pub mod delivery;
pub mod element_set;
pub mod exact;
pub mod explain;
pub mod fetch_add;
pub mod ids;
pub mod judge;
pub mod keyed;
pub mod kinds;
pub mod kv;
pub mod ladder;
mod later;
pub mod lock;
pub mod log;
pub mod model;
pub mod multi_register;
pub mod mutex;
pub mod objects;
pub mod oracle;
pub mod problem;
pub mod queue;
mod ranges;
pub mod register;
pub mod search;
pub mod semaphore;
pub mod sequential;
pub mod set;
mod sources;
pub mod spec;
pub mod testing;
pub mod verdict;
pub mod versioned;
pub mod watch;

#[doc(hidden)]
pub use cells::Columns;
pub use claim::{Claim, Confirmed, Says, Unconfirmed, confirm};
pub use delivered::delivered;
pub use judge::{JudgeError, Judged, Limits, Progress, Violation, judge, judge_model};
pub use keyed::{Keyed, KeyedOp};
pub use ladder::{Ladder, Rung};
pub use model::{IllFormed, Model};
pub use objects::{Built, build, build_model};
pub use problem::{ObjOp, Problem};
pub use search::{At, Stuck, Waiting};
pub use spec::{FailedCas, ModelName, NilRead, Spec, auto_model};
pub use verdict::{Budget, Counterexample, Property, Reason, Verdict, Witness};
