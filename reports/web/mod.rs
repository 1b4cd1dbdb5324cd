//! The pages of `perjury serve`: all runs, one run, a run that goes on, and runs side by side.
//!
//! Pages here have no script but [`SCRIPT`] and no style but [`STYLE`], both served as files, and are complete without
//! the script except for what changes while somebody looks.

mod compare;
mod live;
mod overlay;
mod run;
mod runs;
mod shell;

pub use compare::{Compared, compare};
pub use live::live;
pub use run::{Kept, Seen, run};
pub use runs::{Group, Listing, RunRow, Sort, State, runs};
pub use shell::{encoded, message};

/// The one style sheet.
pub const STYLE: &str = include_str!("web.css");
/// The one script.
pub const SCRIPT: &str = include_str!("live.js");
