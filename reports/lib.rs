//! A run as a page and as lines in a terminal: the verdict, the proof, and what the run looked like.
//!
//! Plain data in, text out. Nothing here runs a model, reads a clock or touches a file, so an old run can be drawn
//! again anywhere, and a drawing can never change a verdict.
//!
//! ```text
//!  Results ─┬─ clean ─┬─ page ── sections ──▶ html          one self-contained file, no request
//!  History ─┤         ├─ plan ── picture ────▶ inline SVG    the core over time
//!                     │    └──── terminal ───▶ text          the same core in characters
//!  Logs ────┘         ├─ buckets ── charts ──▶ inline SVG    latency, rate, timeline
//!                     ├─ machine ────────────▶ text          JUnit, annotations, SARIF, a trace
//!                     ├─ embed ── script ────▶ canvas        every operation, to be browsed
//!                     └─ web ────────────────▶ html          the pages of `perjury serve`
//! ```
//!
//! Everything that came from the system under test is untrusted text. It passes through one door (`clean`), which
//! makes control and direction characters visible and cuts what nobody would read, and is escaped on the way out.

mod anomaly;
mod base64;
mod buckets;
mod charts;
mod checked;
mod chosen;
mod clean;
mod clocks;
mod delivery;
mod downloads;
mod embed;
mod faults;
mod figures;
mod logged;
pub mod machine;
mod mesh;
mod origin;
mod page;
mod picture;
mod plan;
mod recovery;
mod roles;
mod script;
mod spectrum;
mod story;
mod summary;
mod tables;
pub mod terminal;
mod text;
mod timeline;
mod verdict;
pub mod web;
mod workers;

pub use chosen::OPS_MAX;
pub use clean::clean_to;
pub use logged::{Level, LogLine, Logs, windows};
pub use page::{html, html_of, shown};
