//! The casebook of real systems: what databases do that people run, each case in a lab of its own.
//!
//! A file for each system; what each case sets up, and why its verdict follows, is told in `docs/casebook-real.md`.

mod etcd;
mod etcd_watch;
mod galera;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod zookeeper;

use super::case::Case;

/// Whether a case is one of those that are fast: its system is up in a moment, and it is no hunt. Continuous integration
/// plays them, as one command.
pub fn fast(case: &Case) -> bool {
    match case.system {
        "etcd" | "zookeeper" | "redis" | "nats" => case.name != nats::NATS_TWO_ACKERS.name,
        _ => case.name == postgres::POSTGRES_PRIMARY.name,
    }
}

/// Every case, in the order in which they are run. A new one is one constant and one line here.
pub fn cases() -> &'static [Case] {
    static CASES: &[Case] = &[
        etcd::ETCD_SERIALIZABLE,
        etcd::ETCD_LINEARIZABLE,
        etcd::ETCD_LOCK,
        etcd::ETCD_LOCK_FENCED,
        etcd_watch::ETCD_WATCH,
        etcd_watch::ETCD_WATCH_RESUMED,
        zookeeper::ZOOKEEPER_SYNC_ZOMBIE,
        zookeeper::ZOOKEEPER_READS,
        zookeeper::ZOOKEEPER_CAS,
        zookeeper::ZOOKEEPER_GHOST_WRITE,
        redis::REDIS_SENTINEL,
        redis::REDIS_LOCK,
        redis::REDIS_LOCK_FENCED,
        redis::REDIS_EVERYSEC,
        redis::REDIS_FSYNC_ALWAYS,
        postgres::POSTGRES_REMOTE_APPLY,
        postgres::POSTGRES_PRIMARY,
        postgres::PATRONI_ASYNC,
        galera::GALERA_STALE,
        galera::GALERA_SYNC_WAIT,
        nats::NATS_DIRECT_GET,
        nats::NATS_CAS,
        nats::NATS_POWER_LOSS_ALL,
        nats::NATS_POWER_LOSS_ONE,
        nats::NATS_TWO_ACKERS,
        rabbitmq::RABBITMQ_QUORUM,
        rabbitmq::RABBITMQ_MIRRORED,
    ];
    CASES
}
