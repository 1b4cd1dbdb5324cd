//! The systems under test.
pub mod demo;
