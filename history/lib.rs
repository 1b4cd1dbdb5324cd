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
//!
//! ```
//! let lines = r#"{"process":0,"type":"invoke","f":"write","value":3}
//! {"process":1,"type":"invoke","f":"read","value":null}
//! {"process":0,"type":"ok","f":"write","value":3}
//! "#;
//! let history = history::read("lines", Box::new(lines.as_bytes()), &history::ReadOptions::default())?;
//! let [write, read] = &history.ops[..] else { panic!("two operations") };
//! assert_eq!((write.invoke, write.ret), (0, 2));
//! assert_eq!(read.outcome, history::Outcome::Info, "nobody knows what became of it");
//! # Ok::<(), history::ReadError>(())
//! ```
//!
//! Formats are found by looking at the content ([`Format`]), and unpacked if they are packed by gzip or Zstandard
//! (feature `compressed`, on by default). Readers never hold more than the history itself and a window of the file.

mod apart;
mod bend;
mod by_time;
mod cache;
mod call;
mod columns;
mod compressed;
mod content;
mod draft;
mod edn;
mod edn_event;
mod edn_quick;
mod edn_write;
mod event;
mod fastlin;
mod fingerprint;
mod format;
mod history;
mod input;
mod interner;
mod json;
mod json_event;
mod json_quick;
mod json_write;
mod number;
mod op;
mod pairing;
mod quick;
mod raw;
mod read;
pub mod results;
mod scan;
mod seen;
mod shard;
mod sketch;
mod stats;
pub mod summary;
mod survey;
mod text;
mod value;

pub use bend::Bend;
pub use cache::{CacheError, read_cache, write_cache};
pub use call::{Call, Completion};
pub use content::content_name;
pub use edn_write::write_edn_line;
pub use event::{Event, Kind, Process};
pub use fingerprint::Fingerprint;
pub use format::Format;
pub use history::{FaultEvent, History, Malformed, Part, Phase, Source};
pub use interner::{Interner, ValueId};
pub use json_write::write_json_line;
pub use op::{Applied, NEVER, NO_TIME, Op, Outcome};
pub use pairing::pair;
pub use read::{Order, ReadError, ReadOptions, read, read_events, read_file, visit, visit_events};
pub use seen::{ROLE, Reign, STALL, primaries, reigns, role_text, stalls};
pub use shard::Shard;
pub use sketch::sketch;
pub use stats::stats;
pub use survey::{Passes, Survey};
pub use value::Value;
