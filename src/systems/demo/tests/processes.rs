//! Nobody is left behind, whoever is killed.

use super::*;

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/stat")).exists()
}

#[test]
fn nothing_is_left_behind_when_a_cluster_is_dropped_with_a_node_stopped() {
    let bench = start("demo-quorum", 3, "register", &[]);
    let shared = bench.running.shared();
    let pids = bench.running.pids();
    assert_eq!(pids.len(), 4, "three nodes and their guard");
    bench.cluster().pause(1).unwrap();
    drop(bench);
    assert_eq!(pids.iter().filter(|&&pid| exists(pid)).count(), 0);
    assert!(shared.start(0).is_err(), "a cluster that has ended does not come back");
}

#[test]
fn nodes_end_with_their_guard() {
    let bench = start("demo-quorum", 3, "register", &[]);
    bench.cluster().pause(1).unwrap();
    let pids = bench.running.pids();
    let guard = rustix::process::Pid::from_raw(pids[0] as i32).unwrap();
    rustix::process::kill_process(guard, rustix::process::Signal::KILL).unwrap();
    wait_for("they are gone", || bench.running.pids().is_empty());
    assert!(bench.cluster().start(0).is_err());
}

/// The environment variable that the processes of one test carry, and their children after them.
const MARK: &str = "PERJURY_TEST_MARK";

/// Pids of the processes that carry `mark`.
fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let carries = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&b| b == 0).any(|entry| entry == wanted.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
}

/// The main function of a controller that a test kills: starts a cluster, stops a node, and waits for its end.
pub(crate) fn abandoned_controller(args: &[String]) {
    let dir = Path::new(&args[0]);
    let start = Start { nodes: 3, with: &[], workload: "register", dir, seed: 1, place: &Place::Here };
    let running = find("demo-quorum").unwrap().start(&start).unwrap();
    running.cluster().pause(1).unwrap();
    std::fs::write(dir.join("stopped"), "").unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn no_process_outlives_a_controller_that_is_killed_even_while_starting_or_with_a_node_stopped() {
    // Killed when so many of controller, guard and nodes are there; at last, when a node is stopped.
    for moment in [1, 2, 3, 4, 5, 6] {
        let dir = tempfile::tempdir().unwrap();
        let mark = format!("{}-{moment}", std::process::id());
        let path = dir.path().to_str().unwrap();
        let mut command = crate::control::child(&["controller", path]);
        let quiet = || std::process::Stdio::null();
        let mut controller = command.env(MARK, &mark).stdout(quiet()).stderr(quiet()).spawn().unwrap();
        wait_for("the moment", || match moment {
            6 => dir.path().join("stopped").exists(),
            _ => marked(&mark).len() >= moment,
        });
        controller.kill().unwrap();
        controller.wait().unwrap();
        wait_for("everybody is gone", || marked(&mark).is_empty());
    }
}
