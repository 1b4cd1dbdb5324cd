//! One file per command. Each returns the exit code, or a failure with one line for the person.

pub mod casebook;
pub mod check;
pub mod convert;
pub mod doctor;
pub mod explain;
pub mod follow;
pub mod gallery;
pub mod heal;
pub mod lab;
pub mod list;
pub mod manual;
pub mod merge;
pub mod place;
pub mod report;
pub mod serve;
pub mod test;
pub mod verify;
