//! Systems that a file describes: what is refused, what is caught, and that no client's program is left behind. What runs
//! one needs root; it says so where it is skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systems").join(name).join(format!("{name}.toml"))
}

/// Whether a lab can be made here, and these programs are there; says why not.
fn able(programs: &[&str]) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: a lab needs root and /dev/net/tun");
        return false;
    }
    for program in programs {
        let look = format!("command -v {program}");
        let found = Command::new("/bin/sh").args(["-c", &look]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            eprintln!("skipped: {program} is not installed (perjury lab install {program})");
            return false;
        }
    }
    true
}

/// A test of a file with its store; a run that a busy machine left without a result is done again.
fn test(file: &Path, args: &[&str], expected: i32) -> (String, PathBuf, tempfile::TempDir) {
    for seed in 1.. {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, path) = (dir.path().to_string_lossy().into_owned(), file.to_string_lossy().into_owned());
        let seed = seed.to_string();
        let mut all = vec!["test", &path, "--store", &store, "--seed", &seed, "--progress", "none"];
        all.extend(args);
        let output = perjury(&all);
        let text = both(&output);
        let of_system = fs::read_dir(dir.path()).expect("a store").flatten().next();
        let run = of_system.map(|entry| entry.path().join("latest")).unwrap_or_default();
        match output.status.code() {
            Some(code) if code == expected => return (text, run, dir),
            Some(0 | 3) if seed != "4" => eprintln!("again: {text}"),
            code => panic!("exit code {code:?}: {text}"),
        }
    }
    unreachable!()
}

#[test]
fn a_file_that_cannot_be_understood_is_refused_with_line_and_column() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("mydb.toml");
    let path = file.to_string_lossy().into_owned();
    let whole = fs::read_to_string(example("memcached")).expect("the example");
    for (from, to, at, expected) in [
        ("ports =", "prots =", "prots", "no such key: `prots`"),
        ("{{ port }} -m", "{{ prot }} -m", "prot", "no such name: \"prot\"; did you mean \"port\"?"),
        (
            "\"register\"]",
            "\"registre\"]",
            "\"registre",
            "no such workload: \"registre\"; did you mean \"register\"?",
        ),
        ("name = \"memcached\"", "name = \"etcd\"", "\"etcd\"", "etcd is the name of a built-in system"),
    ] {
        assert!(whole.contains(from), "{from}");
        let text = whole.replacen(from, to, 1);
        let before = &text[..text.find(at).expect("it stands there")];
        let (line, column) =
            (before.lines().count().max(1), before.rsplit('\n').next().map_or(0, str::len) + 1);
        let line = if column == 1 { line + 1 } else { line };
        fs::write(&file, text).expect("written");
        let output = perjury(&["test", &path, "register", "--lab", "1"]);
        assert_eq!(output.status.code(), Some(64), "{to}: {}", both(&output));
        let expected = format!("{path}:{line}:{column}: {expected}");
        assert!(both(&output).contains(&expected), "expected {expected}, found {}", both(&output));
    }
    for (args, expected) in [
        (&["test", "./no-such.toml", "--lab", "1"][..], "reading the system file"),
        (&["test", "examples/systems/memcached/memcached.toml"], "nodes of its own"),
        (
            &["test", "examples/systems/memcached/memcached.toml", "set", "--lab", "1"],
            "does not offer the workload set",
        ),
        (
            &["test", "examples/systems/tarantool/tarantool.toml", "--lab", "1", "--with", "reads=dirty"],
            "reads takes master or local",
        ),
    ] {
        let output = perjury(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", both(&output));
        assert!(both(&output).contains(expected), "{args:?}: {}", both(&output));
    }
}

#[test]
fn memcached_holds_until_it_forgets() {
    if !able(&["memcached", "perl"]) {
        return;
    }
    let _alone = alone();
    let file = example("memcached");
    let usual = ["cas-register", "--lab", "1", "--concurrency", "6", "--time-limit", "8s", "--nemesis"];
    let (text, run, _dir) = test(&file, &[&usual[..], &["pause"]].concat(), 0);
    assert!(text.contains("OK linearizable"), "{text}");
    let results = fs::read_to_string(run.join("results.json")).expect("results");
    assert!(results.contains("linearizable, while it runs"), "what it claims stands there");
    assert!(run.join("system.toml").exists(), "the file is kept with the run");
    let (text, ..) = test(&file, &[&usual[..], &["kill"]].concat(), 1);
    assert!(text.contains("not linearizable"), "{text}");
}

#[test]
fn a_write_of_tarantool_is_read_before_it_counts_and_then_taken_back() {
    if !able(&["tarantool", "python3"]) {
        return;
    }
    let _alone = alone();
    let args = ["register", "--lab", "3", "--nemesis", "partition", "--time-limit", "15s"];
    let (text, run, _dir) = test(&example("tarantool"), &args, 1);
    assert!(text.contains("not linearizable"), "{text}");
    let results = fs::read_to_string(run.join("results.json")).expect("results");
    assert!(results.contains("\"version\":\"2.") || results.contains("\"version\": \"2."), "its version");
    let log = fs::read_to_string(run.join("n1/tarantool.log")).expect("the log of n1");
    assert!(log.contains("tarantool") || log.contains("Tarantool"), "{}", &log[..log.len().min(300)]);
}

/// A node that listens, and a client that never ends by itself and has a child that does not either.
const STUBBORN: &str = r#"name = "stubborn"
ports = [7000]
nodes = 1
[node]
start = "setsid perl {{ dir }}/node.pl &"
setup = '''
cat >{{ dir }}/node.pl <<'END'
use IO::Socket::INET;
my $door = IO::Socket::INET->new(LocalPort => 7000, Listen => 5, ReuseAddr => 1) or die "listening: $!";
1 while $door->accept;
END
'''
process = "perl"
ready = "bash -c 'exec 3<>/dev/tcp/{{ node }}/7000'"
[client]
command = ["sh", "client.sh"]
workloads = ["register"]
"#;

/// How many processes have this word among their arguments.
fn with_word(word: &str) -> usize {
    let has = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|&b| b == 0).any(|argument| argument == word.as_bytes())
    };
    fs::read_dir("/proc").expect("there is /proc").flatten().map(has).filter(|has| *has).count()
}

#[test]
fn no_program_of_a_client_is_left_behind() {
    if !able(&["perl"]) {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("stubborn.toml");
    fs::write(&file, STUBBORN).expect("written");
    // A number of seconds that nobody else sleeps.
    let word = format!("{}", 100_000 + u64::from(std::process::id()));
    let script = format!(
        "trap '' TERM INT HUP\nsleep {word} &\necho '{{\"ready\":true}}'\n\
         while read -r line; do echo \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/{{\"id\":\\1,\"type\":\"info\"}}/'; done\n\
         while :; do sleep {word}; done\n"
    );
    fs::write(dir.path().join("client.sh"), script).expect("written");
    let (path, store) = (file.to_string_lossy().into_owned(), dir.path().join("store"));
    let store = store.to_string_lossy().into_owned();
    let args = ["test", &path, "--lab", "1", "--nemesis", "none", "--store", &store, "--time-limit"];
    let output = perjury(&[&args[..], &["2s"]].concat());
    assert_eq!(output.status.code(), Some(3), "nothing was answered: {}", both(&output));
    assert_eq!(with_word(&word), 0, "after a run that ends");
    let mut child = Command::new(env!("CARGO_BIN_EXE_perjury"));
    let mut child =
        Killed(child.args(args).arg("60s").stderr(Stdio::null()).spawn().expect("the binary starts"));
    let deadline = Instant::now() + Duration::from_secs(40);
    while with_word(&word) == 0 {
        assert!(Instant::now() < deadline, "no client has been started");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.0.kill().expect("killed");
    child.0.wait().expect("buried");
    let deadline = Instant::now() + Duration::from_secs(10);
    while with_word(&word) > 0 {
        assert!(Instant::now() < deadline, "still there after its controller was killed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A child that is killed when the test is over, if it still runs.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_that_cannot_start_is_told_of_with_its_last_words() {
    if !able(&["perl"]) {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("stubborn.toml");
    fs::write(&file, STUBBORN).expect("written");
    let (path, store) = (file.to_string_lossy().into_owned(), dir.path().join("store"));
    let store = store.to_string_lossy().into_owned();
    for (script, expected) in [
        (
            "echo 'no such module' >&2; exit 3",
            "n1: a first client: the client's program: the client has closed its output (its program has ended: exit 3): no such module",
        ),
        ("echo hello; sleep 100", "expected {\"ready\":true} first, found \"hello\""),
    ] {
        fs::write(dir.path().join("client.sh"), script).expect("written");
        let output = perjury(&["test", &path, "--lab", "1", "--store", &store]);
        assert_eq!(output.status.code(), Some(69), "{}", both(&output));
        assert!(both(&output).contains(expected), "{script}: {}", both(&output));
    }
}
