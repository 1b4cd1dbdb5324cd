//! Flags, exit codes and the registries, as a person at the terminal meets them.

mod common;

use common::run;

#[test]
fn a_bad_command_line_ends_with_64_and_never_with_2_which_would_read_as_undecided() {
    for args in [
        vec!["check", "--no-such-flag", "x"],
        vec!["check"],
        vec!["frobnicate"],
        vec![],
        vec!["check", "--model", "regsiter", "corpus/synthetic/reg-c5-n1000-ok.jsonl.gz"],
        vec!["check", "--timeout", "soon", "x"],
        vec!["check", "--property", "eventual", "corpus/synthetic/reg-c5-n1000-ok.jsonl.gz"],
        vec!["check", "--initial", "{", "corpus/synthetic/reg-c5-n1000-ok.jsonl.gz"],
        vec!["test", "no-such-system"],
        vec!["test", "demo-paxos", "no-such-workload"],
        vec!["test", "demo-paxos", "lock"],
        vec!["test", "--nemesis", "earthquake"],
        vec!["test", "--with", "novalue"],
        vec!["test", "--nodes", "0"],
        vec!["test", "--concurrency", "many"],
        vec!["test", "demo-quorum", "--with", "colour=red"],
        vec!["test", "--config", "/no/such/file.toml"],
        vec!["casebook", "no-such-case"],
        vec!["explain", "no-such-kind"],
    ] {
        let done = run(&args);
        assert_eq!(done.code, 64, "{args:?}\n{}{}", done.out, done.err);
        assert!(!done.err.contains("panicked"), "{args:?}\n{}", done.err);
    }
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest_right_one() {
    let file = "corpus/synthetic/reg-c5-n1000-ok.jsonl.gz";
    assert!(
        run(["check", "--model", "regsiter", file]).expect(64).err.contains("did you mean \"register\"?")
    );
    assert!(run(["test", "demo-qorum"]).expect(64).err.contains("did you mean \"demo-quorum\"?"));
    assert!(run(["explain", "stale-raed"]).expect(64).err.contains("did you mean \"stale-read\"?"));
}

#[test]
fn a_key_that_the_options_file_cannot_have_is_refused_with_the_nearest_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("perjury.toml");
    std::fs::write(&file, "sed = 7\n").unwrap();
    let done = run(["test", "--config", file.to_str().unwrap()]).expect(64);
    assert!(done.err.contains("did you mean \"seed\"?"), "{}", done.err);
}

#[test]
fn help_and_version_go_to_standard_output_and_are_no_error() {
    assert!(run(["--help"]).expect(0).out.contains("Exit codes:"));
    assert!(run(["--version"]).expect(0).out.starts_with("perjury "));
    for command in
        ["test", "check", "merge", "verify", "explain", "report", "convert", "serve", "casebook", "list"]
    {
        assert!(run([command, "--help"]).expect(0).out.contains("Usage: perjury"), "{command}");
    }
}

#[test]
fn the_man_page_and_the_completions_come_from_the_same_definition() {
    let page = run(["man"]).expect(0).out;
    for word in ["perjury", "casebook", "Exit codes", "time\\-limit"] {
        assert!(page.contains(word), "{word}");
    }
    assert!(run(["completions", "bash"]).expect(0).out.contains("casebook"));
}

#[test]
fn every_registry_can_be_listed() {
    for (what, word) in [
        ("systems", "demo-quorum"),
        ("workloads", "cas-register"),
        ("faults", "partition"),
        ("models", "multi-register"),
        ("properties", "sequential"),
        ("formats", "jepsen-edn"),
        ("kinds", "stale-read"),
        ("cases", "lww-clock-skew"),
    ] {
        let out = run(["list", what]).expect(0).out;
        assert!(out.contains(word), "{what}: {out}");
    }
}

#[test]
fn every_kind_of_anomaly_can_be_explained() {
    let kinds = run(["list", "kinds"]).expect(0).out;
    for kind in kinds.lines().filter_map(|line| line.split_whitespace().next()) {
        let text = run(["explain", kind]).expect(0).out;
        assert!(text.starts_with(kind) && text.lines().count() > 3, "{kind}: {text}");
    }
}

#[test]
fn a_model_that_is_not_unique_ends_with_64_and_names_the_candidates() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.jsonl");
    let line = |kind: &str| format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"add\",\"value\":1}}\n");
    std::fs::write(&file, line("invoke") + &line("ok")).unwrap();
    let done = run(["check", file.to_str().unwrap()]).expect(64);
    assert!(done.err.contains("set") && done.err.contains("counter"), "{}", done.err);
}

#[test]
fn results_can_be_had_as_json_and_a_page_can_be_made_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    let file = "corpus/third-party/porcupine/jepsen-etcd/etcd_000.log";
    let args =
        ["check", "--model", "cas-register", "--format", "json", "--report", page.to_str().unwrap(), file];
    let done = run(args).expect(1);
    let results: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(results["verdict"], "invalid");
    assert_eq!(results["schema"], "perjury.results/1");
    assert!(results["anomalies"][0]["ops"].as_array().unwrap().len() >= 2);
    assert!(std::fs::read_to_string(page).unwrap().contains("Not linearizable"));
}

#[test]
fn several_histories_give_a_line_each_and_the_worst_verdict() {
    let dir = "corpus/third-party/porcupine/jepsen-etcd";
    let (bad, good) = (format!("{dir}/etcd_000.log"), format!("{dir}/etcd_002.log"));
    let done = run(["check", "--model", "cas-register", &good, &bad]).expect(1);
    for file in [&bad, &good] {
        assert_eq!(
            done.out.lines().filter(|line| line.starts_with(file.as_str())).count(),
            1,
            "{}",
            done.out
        );
    }
}

/// Amounts 2, 4, 8 … added all at once, and an odd sum read meanwhile: only trying every subset shows that none fits.
fn hard() -> String {
    let event = |process: usize, kind: &str, f: &str, value: String| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let adds =
        |kind: &str| (1..=40).map(|n| event(n, kind, "add", (1u64 << n).to_string())).collect::<String>();
    let read = |kind: &str, value: &str| event(0, kind, "read", value.to_string());
    adds("invoke") + &read("invoke", "null") + &read("ok", &((1u64 << 40) - 1).to_string()) + &adds("ok")
}

/// Of what does not fit nothing is known, not even whether it is a history.
#[test]
fn a_history_that_takes_more_memory_than_it_may_is_undecided_and_says_how_far_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("long.jsonl");
    let event =
        |i: u32, kind: &str| format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"write\",\"value\":{i}}}\n");
    let lines: String = (0..30_000).map(|i| event(i, "invoke") + &event(i, "ok")).collect();
    std::fs::write(&file, lines).unwrap();
    let check = |memory: &str| run(["check", "--memory", memory, file.to_str().unwrap()]);
    let done = check("1MiB").expect(2);
    let said =
        "up to here the history takes more than 1 MiB of memory; to go on: --memory 4MiB (it needs about ";
    assert!(done.err.contains(said) && done.err.contains("names no keys"), "{}", done.err);
    check("64MiB").expect(0);
}

#[test]
fn a_budget_that_ends_gives_undecided_and_never_a_pass() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hard.jsonl");
    std::fs::write(&file, hard()).unwrap();
    for budget in [["--timeout", "200ms"], ["--memory", "1MiB"]] {
        let args = ["check", "--model", "counter", budget[0], budget[1], file.to_str().unwrap()];
        let done = run(args).expect(2);
        assert!(done.out.contains("ndecided") && done.out.contains("limit"), "{budget:?}: {}", done.out);
    }
}
