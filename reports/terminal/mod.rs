//! The answer in a terminal: the counterexample drawn over time, its reasons, and the verdict as the last lines.
//!
//! Colour and box characters are the caller's choice: it knows whether somebody looks (`NO_COLOR`, a pipe, the locale).

mod counterexample;
mod narrated;
mod picture;
mod style;
mod verdict;

pub use counterexample::{Around, anomalies, anomaly};
pub(crate) use counterexample::{around, explained};
pub use narrated::narrated;
pub use verdict::{Paths, beside, verdict};

/// How the terminal looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns. Below 72 there is no picture but a list; beyond 110 nothing gets wider.
    pub width: usize,
    /// Whether escape codes for colours are welcome.
    pub color: bool,
    /// Whether characters beyond ASCII are.
    pub unicode: bool,
}

/// Narrowest terminal that gets a picture.
pub const WIDTH_MIN: usize = 72;
/// Widest picture.
pub const WIDTH_MAX: usize = 110;
