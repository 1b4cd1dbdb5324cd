//! Databases in the lab and over SSH: what they claim under faults that bite, and lies of the casebook that are not among
//! its fast ones, which `.ci/run` plays as one command. Needs root and their packages; says so where it is skipped.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Clusters share two cores: one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn perjury(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_perjury")).args(args).output().expect("the binary starts")
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Plays cases, which must agree; says which were skipped.
fn casebook(cases: &[&str]) {
    let _alone = alone();
    let store = tempfile::tempdir().expect("a directory");
    let store = store.path().to_string_lossy().into_owned();
    let output = perjury(&[&["casebook", "--real", "--seed", "7", "--store", &store][..], cases].concat());
    let text = both(&output);
    let skipped: Vec<&str> = text.lines().filter(|line| line.contains("skipped:")).collect();
    match (output.status.code(), skipped.len()) {
        (Some(0), 0) => {}
        (Some(0 | 3), 1..) => eprintln!("{}", skipped.join("\n")),
        (code, _) => panic!("exit code {code:?}: {text}"),
    }
}

/// Whether a system can be run here; says why not.
fn able(program: &str, system: &str) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: a lab needs root and /dev/net/tun");
        return false;
    }
    let there = Path::new(program).exists();
    if !there {
        eprintln!("skipped: {system} is not installed (perjury lab install {system})");
    }
    there
}

/// Tests until one run has tested enough: it must hold, each of these kinds must have bitten, and logs are kept.
fn holds(args: &[&str], kinds: &[&str], log: &str) {
    let _alone = alone();
    for attempt in 1.. {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, seed) = (dir.path().to_string_lossy().into_owned(), attempt.to_string());
        let output = perjury(&[&["test"], args, &["--store", &store, "--seed", &seed]].concat());
        let text = both(&output);
        match output.status.code() {
            Some(0) => {}
            // Too little was tested.
            Some(3) if attempt < 4 => {
                eprintln!("again: {text}");
                continue;
            }
            code => panic!("exit code {code:?}: {text}"),
        }
        let run = dir.path().join(format!("{}-{}/latest", args[0], args[1]));
        let results = fs::read_to_string(run.join("results.json")).expect("results");
        let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
        let faults = results["faults"].as_array().expect("faults");
        for kind in kinds {
            let bit = faults.iter().any(|fault| fault["kind"] == *kind && !fault["bit"].is_null());
            assert!(bit, "no {kind} has bitten: {faults:?}");
        }
        let kept = fs::metadata(run.join("n1").join(log)).expect("the log of n1").len();
        assert!(kept > 0, "the log of n1 is empty");
        return;
    }
}

#[test]
fn watches_of_etcd_miss_nothing_and_its_counter_counts_while_members_are_cut_off_stopped_and_killed() {
    if !able("/usr/bin/etcd", "etcd") {
        return;
    }
    let faults = ["--nemesis", "partition,pause,kill", "--nemesis-interval", "1500ms"];
    let watch = ["etcd", "watch", "--lab", "3", "--time-limit", "12s", "--with", "progress=500"];
    holds(&[&watch[..], &faults].concat(), &["partition", "pause", "kill"], "etcd.log");
    let counter = ["etcd", "counter", "--lab", "3", "--time-limit", "10s"];
    holds(&[&counter[..], &faults].concat(), &["partition", "pause", "kill"], "etcd.log");
}

#[test]
fn a_watch_of_etcd_goes_back_in_time_when_its_member_is_sent_a_snapshot() {
    casebook(&["etcd-watch"]);
}

#[test]
fn one_redis_is_linearizable_while_its_process_is_hurt() {
    if !able("/usr/bin/redis-server", "redis") {
        return;
    }
    let options = ["--with", "mode=single", "--nemesis", "pause,kill,clock", "--nemesis-interval", "1500ms"];
    let args = ["redis", "cas-register", "--lab", "1", "--time-limit", "10s", "--concurrency", "10"];
    holds(&[&args[..], &options].concat(), &["pause", "kill", "clock"], "perjury-redis.log");
}

#[test]
fn a_cluster_of_redis_serves_every_slot() {
    if !able("/usr/bin/redis-server", "redis") {
        return;
    }
    let options = ["--with", "mode=cluster", "--nemesis", "none", "--concurrency", "10"];
    let args = ["redis", "register", "--lab", "5", "--time-limit", "3s"];
    holds(&[&args[..], &options].concat(), &[], "perjury-redis.log");
}

#[test]
fn nats_delivers_what_it_has_acknowledged_on_slow_links() {
    if !able("/usr/sbin/nats-server", "nats") {
        return;
    }
    let faults = ["--nemesis", "slow", "--nemesis-interval", "2500ms"];
    let args = ["nats", "delivery", "--lab", "3", "--time-limit", "8s"];
    holds(&[&args[..], &faults].concat(), &["slow"], "perjury-nats.log");
}

#[test]
fn rabbitmq_delivers_what_it_has_confirmed() {
    if !able("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq") {
        return;
    }
    let faults = ["--nemesis", "kill", "--nemesis-interval", "4s", "--concurrency", "6"];
    let args = ["rabbitmq", "delivery", "--lab", "3", "--time-limit", "12s"];
    holds(&[&args[..], &faults].concat(), &["kill"], "perjury-rabbitmq.log");
}

#[test]
fn postgres_is_linearizable_at_its_primary() {
    if !able("/usr/lib/postgresql", "postgres") {
        return;
    }
    let faults = ["--nemesis", "partition,pause,kill,clock", "--nemesis-interval", "1500ms"];
    let args = ["postgres", "versioned-register", "--lab", "3", "--time-limit", "12s"];
    holds(&[&args[..], &faults].concat(), &["partition", "pause", "kill", "clock"], "perjury-postgres.log");
}

#[test]
fn a_standby_of_postgres_shows_what_its_primary_does_not_and_patroni_loses_what_it_has_acknowledged() {
    casebook(&["postgres-remote-apply", "patroni-async"]);
}

#[test]
fn galera_is_linearizable_where_every_statement_waits() {
    if !able("/usr/lib/galera/libgalera_smm.so", "galera") {
        return;
    }
    let faults = ["--with", "sync-wait=7", "--nemesis", "kill,clock", "--nemesis-interval", "4s"];
    let args = ["galera", "cas-register", "--lab", "3", "--time-limit", "15s"];
    holds(&[&args[..], &faults].concat(), &["kill", "clock"], "perjury-galera.log");
}

#[test]
fn galera_answers_late_and_in_order_where_nothing_waits() {
    casebook(&["galera-stale"]);
}

/// A sentinel writes a log of its own, beside the server's.
#[test]
fn a_line_in_any_log_of_a_node_is_a_cue() {
    if !able("/usr/bin/redis-sentinel", "redis") {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().to_string_lossy().into_owned();
    let faults = ["--nemesis", "kill,pause@log:+sdown", "--nemesis-interval", "2s", "--time-limit", "15s"];
    let args = ["test", "redis", "register", "--lab", "3", "--seed", "7", "--store", &store];
    // What Redis gives is not the question here.
    let text = both(&perjury(&[&args[..], &faults].concat()));
    let history =
        fs::read_to_string(dir.path().join("redis-register/latest/history.jsonl")).expect("a history");
    let logged = history.lines().filter(|line| line.contains(r#""f":"log""#) && line.contains("+sdown"));
    assert!(logged.count() > 0, "{text}");
}
