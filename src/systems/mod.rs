//! The systems under test.

pub mod demo;

use crate::client::System;

/// Every system, in the order of `perjury list systems`.
pub fn all() -> &'static [&'static dyn System] {
    &[&demo::DemoPaxos, &demo::DemoQuorum, &demo::DemoPrimary, &demo::DemoLock]
}

/// The system of this name.
pub fn find(name: &str) -> Option<&'static dyn System> {
    all().iter().copied().find(|system| system.name() == name)
}
