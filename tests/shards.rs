//! A history that many judged, each a part, is judged as by one.

mod common;

use common::{Done, perjury, run};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Registers on many keys by eight processes; the reads of some keys lag behind, and some calls are never answered.
fn history(keys: usize, rounds: usize, lying: bool) -> String {
    let mut text = String::new();
    let mut time = 0_i64;
    let mut line = |process: usize, kind: &str, f: &str, key: usize, value: &str| {
        time += 1_000_003;
        let _ = writeln!(
            text,
            "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"k{key}\",\"value\":{value},\"node\":\"n{}\"}}",
            process % 3
        );
    };
    for round in 0..rounds {
        for key in 0..keys {
            // One more in each round after the first, so that keys appear in another order than they are hashed.
            let key = (key * 7 + round * 3) % keys;
            let (writer, reader) = (2 * (key % 4) + 100 * round, 2 * (key % 4) + 1 + 100 * round);
            let value = (round + 1).to_string();
            line(writer, "invoke", "write", key, &value);
            let answer = if (key + round) % 13 == 0 { "info" } else { "ok" };
            line(reader, "invoke", "read", key, "null");
            line(writer, answer, "write", key, &value);
            line(reader, "ok", "read", key, &if round == 0 { "null".to_string() } else { round.to_string() });
            let stale = lying && key % 5 == 0 && round > 1 && (key + round) % 13 != 0;
            let seen = if stale { round - 1 } else { round + 1 };
            line(reader, "invoke", "read", key, "null");
            if (key + round) % 13 == 0 {
                line(reader, "fail", "read", key, "null");
            } else {
                line(reader, "ok", "read", key, &seen.to_string());
            }
        }
    }
    text
}

/// Results without what depends on the clock and on the race of threads.
fn settled(text: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for judgement in value["judgements"].as_array_mut().expect("judgements") {
        judgement["seconds"] = 0.into();
    }
    serde_json::to_string_pretty(&value).unwrap()
}

struct Scene {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Scene {
    fn new(text: &str) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.jsonl");
        std::fs::write(&file, text).unwrap();
        Scene { dir, file }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Judges every shard into a directory of its own.
    fn shards(&self, of: u32) -> PathBuf {
        let out = self.path(&format!("of-{of}"));
        for index in 1..=of {
            self.shard(index, of, &out).expect(0);
        }
        out
    }

    fn shard(&self, index: u32, of: u32, out: &Path) -> Done {
        self.check(&["--shard", &format!("{index}/{of}"), "--output", out.to_str().unwrap()])
    }

    fn check(&self, flags: &[&str]) -> Done {
        let mut args = vec!["check", "--threads", "1", self.file.to_str().unwrap()];
        args.extend(flags);
        run(args)
    }

    fn merge(&self, files: &[&Path], flags: &[&str]) -> Done {
        let files = files.iter().map(|file| file.to_str().unwrap());
        run(["merge"].into_iter().chain(files).chain(flags.iter().copied()))
    }
}

#[test]
fn merged_shards_say_what_one_machine_says() {
    for (lying, code) in [(false, 0), (true, 1)] {
        let scene = Scene::new(&history(30, 6, lying));
        let (page, json) = (scene.path("one.html"), scene.path("merged.json"));
        let one = scene.check(&["--format", "json", "--report", page.to_str().unwrap()]).expect(code);
        for of in [1, 2, 3, 7] {
            let shards = scene.shards(of);
            let merged_page = scene.path("merged.html");
            let flags = [
                "--format",
                "json",
                "--report",
                merged_page.to_str().unwrap(),
                "--output",
                json.to_str().unwrap(),
            ];
            let merged = scene.merge(&[&shards, &scene.file], &flags).expect(code);
            assert!(settled(&merged.out) == settled(&one.out), "{of} shards, lying: {lying}");
            assert_eq!(std::fs::read_to_string(&json).unwrap(), merged.out);
            let size = |page: &Path| std::fs::read_to_string(page).unwrap().len();
            assert!(
                size(&page).abs_diff(size(&merged_page)) < 100,
                "the same page, but for the time that it took"
            );
            // Without the history: the same verdict, the same anomalies.
            let alone = scene.merge(&[&shards], &["--format", "json"]).expect(code);
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            let (alone, whole) = (value(&alone.out), value(&merged.out));
            assert_eq!(alone["anomalies"], whole["anomalies"]);
            assert_eq!(alone["judgements"][0]["objects"], whole["judgements"][0]["objects"]);
            assert_eq!(alone["stats"]["ops"], whole["stats"]["ops"]);
        }
    }
}

#[test]
fn more_violated_keys_than_are_explained_are_counted_all_the_same() {
    let scene = Scene::new(&history(650, 3, true));
    let one = scene.check(&["--format", "json", "-q"]).expect(1);
    let shards = scene.shards(3);
    let merged = scene.merge(&[&shards, &scene.file], &["--format", "json", "-q"]).expect(1);
    assert!(settled(&merged.out) == settled(&one.out));
    let value: Value = serde_json::from_str(&merged.out).unwrap();
    assert_eq!(value["anomalies"].as_array().unwrap().len(), 100);
    assert!(value["anomalies_more"].as_u64().unwrap() > 0);
}

#[test]
fn shards_that_do_not_make_up_a_history_are_refused_by_name() {
    let scene = Scene::new(&history(12, 4, true));
    let shards = scene.shards(3);
    let part = |index: u32| shards.join(format!("shard-{index}-of-3.json"));
    let refused = |files: &[&Path], why: &[&str]| {
        let done = scene.merge(files, &[]).expect(65);
        for why in why {
            assert!(done.err.contains(why), "{why}: {}", done.err);
        }
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    };
    refused(&[&part(1), &part(3)], &["shard 2/3 is missing"]);
    refused(&[&part(2)], &["1/3, 3/3", "missing"]);
    let copy = scene.path("copy.json");
    std::fs::copy(part(2), &copy).unwrap();
    refused(&[&shards, &copy], &["copy.json", "shard-2-of-3.json", "are both shard 2/3"]);

    let other = Scene::new(&history(12, 4, false));
    let foreign = other.path("foreign.json");
    other.shard(2, 3, &foreign).expect(0);
    refused(&[&part(1), &foreign, &part(3)], &["foreign.json speaks of another history"]);
    scene.shard(2, 4, &foreign).expect(0);
    refused(&[&part(1), &foreign, &part(3)], &["foreign.json is shard 2/4"]);
    scene
        .check(&["--shard", "2/3", "--model", "cas-register", "--output", foreign.to_str().unwrap()])
        .expect(0);
    refused(&[&part(1), &foreign, &part(3)], &["foreign.json speaks of another model"]);
    scene.check(&["--shard", "2/3", "--timeout", "7s", "--output", foreign.to_str().unwrap()]).expect(0);
    refused(&[&part(1), &foreign, &part(3)], &["foreign.json speaks of other limits"]);

    refused(&[&shards, &other.file], &["the shards are of another history"]);
    let text = std::fs::read_to_string(part(2)).unwrap();
    std::fs::write(&foreign, &text[..text.len() / 2]).unwrap();
    refused(&[&part(1), &foreign, &part(3)], &["foreign.json", "expected the results of a shard"]);
    std::fs::write(&foreign, text.replace("perjury.shard/1", "perjury.shard/2")).unwrap();
    refused(&[&part(1), &foreign, &part(3)], &["expected the schema perjury.shard/1"]);
}

#[test]
fn what_cannot_be_asked_key_by_key_is_refused_with_the_reason() {
    let scene = Scene::new(&history(3, 2, false));
    let out = scene.path("out");
    let flags =
        |more: &[&'static str]| [&["--shard", "1/2", "--output", out.to_str().unwrap()][..], more].concat();
    let done = scene.check(&flags(&["--property", "sequential"])).expect(64);
    assert!(done.err.contains("sequential is a property of the whole history"), "{}", done.err);
    let txn = scene.path("txn.jsonl");
    let event = |kind: &str| {
        format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"txn\",\"key\":1,\"value\":[[\"write\",1,2]]}}\n")
    };
    std::fs::write(&txn, event("invoke") + &event("ok")).unwrap();
    let done =
        run(["check", "--shard", "1/2", "--output", out.to_str().unwrap(), txn.to_str().unwrap()]).expect(64);
    assert!(done.err.contains("join the keys"), "{}", done.err);
    for wrong in [&["--shard", "0/2"][..], &["--shard", "3/2"], &["--shard", "1/2"], &["--output", "x"]] {
        let output = if wrong[1] == "1/2" || wrong[0] == "--output" { vec![] } else { vec!["--output", "x"] };
        scene.check(&[wrong, &output].concat()).expect(64);
    }
}

/// Whether a program that belongs to somebody else's batch engine is here.
fn there_is(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let there = found.is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: {program} is not installed, so its example in docs/scale.md is not run here");
    }
    there
}

/// Runs a script of `docs/scale.md` where the history lies, with this build of perjury first in the path.
fn example(scene: &Scene, marker: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scale.md")).unwrap();
    let script = page
        .split("```")
        .find(|block| block.starts_with("sh\n") && block.contains(marker))
        .expect("an example");
    let script = script.trim_start_matches("sh\n").lines().filter(|line| !line.starts_with('#'));
    let script = script.collect::<Vec<_>>().join("\n");
    let done = bash(scene, &script, &[]);
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let code = done.status.code();
    assert!(
        code == Some(0) || code == Some(1),
        "{script}\n{told}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    told
}

/// Runs a script where the history lies, with this build of perjury first in the path.
fn bash(scene: &Scene, script: &str, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = Command::new("bash");
    command.args(["-e", "-c", script]).env("PATH", path()).env("NO_COLOR", "1").current_dir(scene.dir.path());
    command.envs(variables.iter().copied()).output().unwrap()
}

fn path() -> std::ffi::OsString {
    let bin = Path::new(env!("CARGO_BIN_EXE_perjury")).parent().unwrap().to_path_buf();
    let before = std::env::var_os("PATH").unwrap();
    std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&before))).unwrap()
}

#[test]
fn gnu_parallel_judges_a_history_as_the_page_on_scale_says() {
    if !there_is("parallel") {
        return;
    }
    let scene = Scene::new(&history(30, 4, true));
    let one = scene.check(&["--format", "json"]).expect(1);
    let told = example(&scene, "parallel ");
    assert!(told.contains("not linearizable"), "{told}");
    let results = std::fs::read_to_string(scene.path("results.json")).unwrap();
    let anomalies = |text: &str| serde_json::from_str::<Value>(text).unwrap()["anomalies"].clone();
    assert_eq!(anomalies(&results), anomalies(&one.out));
}

/// What each pod of the indexed job runs, with the index that Kubernetes would give it.
#[test]
fn the_pods_of_an_indexed_job_judge_a_history_as_the_page_on_scale_says() {
    let scene = Scene::new(&history(30, 4, true));
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scale.md")).unwrap();
    let args =
        page.lines().find_map(|line| line.trim().strip_prefix("args: ")).expect("the arguments of the pod");
    let [script]: [String; 1] = serde_json::from_str(args).expect("a list of one");
    for index in 0..8 {
        let done = bash(&scene, &script, &[("JOB_COMPLETION_INDEX", &index.to_string())]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let merged = scene.merge(&[&scene.path("shards"), &scene.file], &["--format", "json"]).expect(1);
    assert!(settled(&merged.out) == settled(&scene.check(&["--format", "json"]).expect(1).out));
}

/// A Slurm of one machine, as `scripts/slurm-here` sets it up, runs the page's array of jobs.
#[test]
fn a_slurm_array_judges_a_history_as_the_page_on_scale_says() {
    if !["sbatch", "slurmctld", "slurmd", "munged"].iter().all(|program| there_is(program)) {
        return;
    }
    let scene = Scene::new(&history(30, 4, true));
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scale.md")).unwrap();
    let job = page
        .split("```")
        .find(|block| block.starts_with("sh\n") && block.contains("#SBATCH"))
        .expect("an example");
    std::fs::write(scene.path("judge.sbatch"), job.trim_start_matches("sh\n")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(root.join("scripts/slurm-here"))
        .args(["sbatch", "--wait", "judge.sbatch"])
        .env("PATH", path())
        .current_dir(scene.dir.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.code() == Some(77) {
        eprintln!("skipped: Slurm cannot run here: {err}");
        return;
    }
    assert!(done.status.success(), "{out}\n{err}");
    let shards = scene.path("shards");
    let merged = scene.merge(&[&shards, &scene.file], &["--format", "json"]).expect(1);
    let one = scene.check(&["--format", "json"]).expect(1);
    let anomalies = |text: &str| serde_json::from_str::<Value>(text).unwrap()["anomalies"].clone();
    assert_eq!(anomalies(&merged.out), anomalies(&one.out));
}

#[test]
fn an_interrupted_shard_leaves_nothing_that_could_be_taken_for_its_results() {
    let scene = Scene::new(&history(3, 2, false));
    let out = scene.path("out");
    // Amounts 2, 4, 8 … added at once, and an odd sum: only trying every subset shows that none fits.
    let event = |process: usize, kind: &str, f: &str, value: String| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":1,\"value\":{value}}}\n")
    };
    let adds =
        |kind: &str| (1..=40).map(|n| event(n, kind, "add", (1u64 << n).to_string())).collect::<String>();
    let odd = event(0, "invoke", "read", "null".to_string())
        + &event(0, "ok", "read", ((1u64 << 40) - 1).to_string());
    std::fs::write(&scene.file, adds("invoke") + &odd + &adds("ok")).unwrap();
    let mut child = perjury()
        .args(["check", "--model", "counter", "--shard", "1/1", "--output", out.to_str().unwrap()])
        .arg(&scene.file)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!out.exists() || std::fs::read_dir(&out).unwrap().next().is_none());
}

#[test]
fn a_history_larger_than_memory_is_judged_in_parts_with_the_same_verdict() {
    for (lying, code) in [(false, 0), (true, 1)] {
        let scene = Scene::new(&history(300, 70, lying));
        let flags = ["--format", "json", "--no-cache", "--memory"];
        let value = |done: Done| serde_json::from_str::<Value>(&done.out).unwrap();
        let at_once = scene.check(&[&flags[..], &["4GiB"]].concat()).expect(code);
        assert!(!at_once.err.contains("pass"), "{}", at_once.err);
        let in_parts = scene.check(&[&flags[..], &["16MiB"]].concat()).expect(code);
        assert!(in_parts.err.contains("pass 2 of "), "{}", in_parts.err);
        let (at_once, in_parts) = (value(at_once), value(in_parts));
        for same in ["verdict", "asked", "anomalies", "anomalies_more"] {
            assert_eq!(in_parts[same], at_once[same], "{same}, lying: {lying}");
        }
        assert_eq!(in_parts["judgements"][0]["objects"], at_once["judgements"][0]["objects"]);
        assert_eq!(in_parts["stats"]["ops"], at_once["stats"]["ops"]);
        let warnings = in_parts["warnings"].to_string();
        assert!(warnings.contains("was read in 2 parts"), "{warnings}");
    }
}

#[test]
fn what_cannot_be_judged_in_parts_is_judged_at_once_and_says_why() {
    let scene = Scene::new(&history(300, 70, false));
    let done = scene.check(&["--property", "sequential", "--no-cache", "--memory", "16MiB"]);
    assert!(done.err.contains("more memory than --memory allows"), "{}\n{}", done.out, done.err);
    assert!(done.err.contains("sequential is a property of the whole history"), "{}", done.err);
}
