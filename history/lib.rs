//! What happened, and what was concluded from it.
//!
//! A *history* is the sequence of events that the clients of a system saw: who asked what, who was told what,
//! in which order. This crate holds its types, reads and writes its file formats, pairs events into operations,
//! and holds the plain data of results that checkers fill and reports draw. It decides nothing.
//!
//! ```text
//!  bytes ──read──▶ Event, Event, Event … ──pair──▶ History { ops, values, faults }
//!                                                      │ checker
//!                                                      ▼
//!                                       results::Results ──▶ results.json, report.html
//! ```

mod call;
mod event;
mod history;
mod op;
pub mod results;
mod value;

pub use call::{Call, Completion};
pub use event::{Event, Kind, Process};
pub use history::{FaultEvent, History, Malformed, Phase, Source};
pub use op::{Applied, NEVER, NO_TIME, Op, Outcome};
pub use value::{Interner, Value, ValueId};
