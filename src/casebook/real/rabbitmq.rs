//! The cases of RabbitMQ: queues of which a majority knows everything.

use crate::casebook::case::{Case, Expected, Script};

/// `rabbitmq-quorum`
pub const RABBITMQ_QUORUM: Case = Case {
    name: "rabbitmq-quorum",
    about: "quorum queues with confirmations and manual acknowledgements: what was confirmed comes, at least once",
    system: "rabbitmq",
    with: &[("queue", "quorum")],
    nodes: 3,
    workload: "delivery",
    faults: &["partition", "kill"],
    expected: Expected::HONEST,
    script: Script::Test { seconds: 30 },
};
