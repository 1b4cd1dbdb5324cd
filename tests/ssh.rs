//! Databases that are reached over SSH: started there, or run by somebody and only used. Needs root, their packages, sshd
//! and ssh; says so where it is skipped.

mod nodes;

use nodes::{Lab, able, both, perjury};
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Clusters share two cores: one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tests until one run has tested enough: it must hold, and each of these kinds must have bitten.
fn holds(lab: &Lab, args: &[&str], kinds: &[&str]) {
    ends(lab, args, kinds, &[0]);
}

/// The same with the exit codes that it may end with.
fn ends(lab: &Lab, args: &[&str], kinds: &[&str], codes: &[i32]) {
    let (key, config) = (lab.key("id"), lab.key("config"));
    let place = ["--nodes", &lab.nodes, "--ssh-private-key", &key, "--ssh-config", &config];
    for attempt in 1.. {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, seed) = (dir.path().to_string_lossy().into_owned(), attempt.to_string());
        let output = perjury(&[&["test"], args, &place, &["--store", &store, "--seed", &seed]].concat());
        let text = both(&output);
        match output.status.code() {
            Some(code) if codes.contains(&code) => {}
            // Too little was tested.
            Some(3) if attempt < 4 => {
                eprintln!("again: {text}");
                continue;
            }
            code => panic!("exit code {code:?}: {text}"),
        }
        let results = dir.path().join(format!("{}-{}/latest/results.json", args[0], args[1]));
        let results = fs::read_to_string(results).expect("results");
        let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
        let faults = results["faults"].as_array().expect("faults");
        for kind in kinds {
            let bit = faults.iter().any(|fault| fault["kind"] == *kind && !fault["bit"].is_null());
            assert!(bit, "no {kind} has bitten: {faults:?}");
        }
        return;
    }
}

const NODES: [&str; 3] = ["n1", "n2", "n3"];

#[test]
fn postgres_is_started_on_hosts_hurt_healed_and_ended() {
    if !able(&["/usr/lib/postgresql", "sshd", "ssh", "ssh-keygen", "nft"]) {
        return;
    }
    let _alone = alone();
    let lab = Lab::up("test-ssh-postgres", 3, None);
    let faults = ["--nemesis", "partition,pause,kill", "--nemesis-interval", "2s", "--time-limit", "12s"];
    holds(&lab, &[&["postgres", "register"][..], &faults].concat(), &["partition", "pause", "kill"]);
    for node in NODES {
        assert_eq!(lab.left(node, &["postgres"]), "", "on {node}");
    }
}

#[test]
fn nats_that_somebody_else_runs_is_used_paused_cut_and_left_as_it_was() {
    if !able(&["nats-server", "sshd", "ssh", "ssh-keygen", "nft"]) {
        return;
    }
    let _alone = alone();
    let lab = Lab::up("test-ssh-nats", 3, None);
    let addresses: Vec<&str> = lab.nodes.split(',').collect();
    let routes: Vec<String> = addresses.iter().map(|address| format!("nats://{address}:6222")).collect();
    for (node, address) in NODES.iter().zip(&addresses) {
        let start = format!(
            "setsid nats-server --name {node} --addr {address} --port 4222 --http_port 8222 --jetstream --store_dir /srv/theirs \
             --cluster_name theirs --cluster nats://{address}:6222 --routes {} >/srv/log 2>&1 </dev/null &",
            routes.join(",")
        );
        lab.says(node, &start);
    }
    let faults = ["--nemesis", "partition,pause", "--nemesis-interval", "2s", "--time-limit", "12s"];
    // A leader that was paused may answer from what it has before it hears that there is another one: then it is caught.
    ends(&lab, &[&["nats", "register", "--no-db"][..], &faults].concat(), &["partition", "pause"], &[0, 1]);
    for node in NODES {
        assert_eq!(lab.left(node, &[]), "", "on {node}");
        let theirs = lab.processes(node, "nats-server");
        assert!(theirs.lines().count() == 1 && !theirs.contains('T'), "on {node}: {theirs:?}");
    }
}

#[test]
fn a_holder_of_a_lock_is_a_process_of_its_own_on_a_host_and_gone_after_that() {
    if !able(&["redis-server", "redis-sentinel", "sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let _alone = alone();
    let lab = Lab::up("test-ssh-lock", 3, None);
    let faults = ["--nemesis", "pause:holder", "--nemesis-interval", "2500ms", "--time-limit", "10s"];
    holds(&lab, &[&["redis", "lock", "--with", "fencing=on"][..], &faults].concat(), &["pause"]);
    for node in NODES {
        let daemons = ["redis-server", "redis-sentinel", "perjury-holder"];
        assert_eq!(lab.left(node, &daemons), "", "on {node}");
    }
}
