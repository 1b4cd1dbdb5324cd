//! The systems under test.

pub mod demo;
pub mod etcd;
mod hosted;
mod http;
mod json;
mod service;

use crate::client::System;

/// Every system, in the order of `perjury list systems`.
pub fn all() -> &'static [&'static dyn System] {
    &[&demo::DemoPaxos, &demo::DemoQuorum, &demo::DemoPrimary, &demo::DemoLock, &etcd::Etcd]
}

/// The system of this name.
pub fn find(name: &str) -> Option<&'static dyn System> {
    all().iter().copied().find(|system| system.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_claims_something_in_every_configuration_and_every_specimen_lies_in_one() {
        for system in all() {
            let claims: Vec<bool> = system
                .configurations()
                .iter()
                .map(|with| {
                    let with: Vec<(String, String)> =
                        with.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
                    system.claim(&with).expect("a configuration that it names itself").honest
                })
                .collect();
            assert!(claims.contains(&true), "{}: {claims:?}", system.name());
            // What others wrote is taken at its word, until it is caught.
            let specimen = system.name().starts_with("demo-");
            assert_eq!(claims.contains(&false), specimen, "{}: {claims:?}", system.name());
        }
    }
}
