//! What a person at a terminal sees and does: a run that is drawn in place, keys that change it, a search that is hard.
//!
//! In tmux, which is a terminal without a screen; where it is not installed, nothing is tested, and that is said.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A terminal of its own, on a server of its own, that ends with the test.
struct Terminal {
    dir: tempfile::TempDir,
}

impl Terminal {
    fn new(columns: u32, lines: u32, locale: &str) -> Option<Terminal> {
        let there = Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
        if !there {
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        let terminal = Terminal { dir: tempfile::tempdir().unwrap() };
        let shell = format!("env -u CI -u NO_COLOR LC_ALL={locale} PS1='ready> ' bash --norc --noprofile");
        let (columns, lines) = (columns.to_string(), lines.to_string());
        terminal.tmux(&["-u", "-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &lines, &shell]);
        terminal.wait("ready>");
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let socket = self.dir.path().join("tmux");
        let output = Command::new("tmux").arg("-S").arg(socket).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen, once `text` is on it.
    #[track_caller]
    fn wait(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{text:?} does not come:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn run(&self, args: &str) {
        // What was typed before does not count as shown.
        let command = format!("clear; {} {args}; echo \"code:$?\"", env!("CARGO_BIN_EXE_perjury"));
        self.keys(&[&command, "Enter"]);
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.dir.path().join("tmux");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").status();
    }
}

#[test]
fn a_run_is_drawn_in_place_and_ends_when_somebody_has_seen_enough() {
    let Some(terminal) = Terminal::new(110, 40, "C.UTF-8") else { return };
    let store = terminal.path().join("store");
    terminal.run(&format!(
        "test demo-quorum register --nemesis clock --nemesis-interval 1s --seed 7 --time-limit 50s --store {}",
        store.display()
    ));
    let screen = terminal.wait("✗");
    let title = concat!("perjury test · demo-quorum ", env!("CARGO_PKG_VERSION"), " ×3");
    for word in [title, "ends in", "outcome  ok", "nodes    n1", "s stop and explain now"] {
        assert!(screen.contains(word), "{word}:\n{screen}");
    }
    terminal.keys(&["p"]);
    terminal.wait("paused: no more faults until p");
    terminal.keys(&["p"]);
    terminal.wait("p pause faults");
    terminal.keys(&["s"]);
    let screen = terminal.wait("code:1");
    assert!(screen.contains("✗ not linearizable") && screen.contains("report.html"), "{screen}");
    assert!(!screen.contains("keys     s stop"), "the block is gone:\n{screen}");
    let results = std::fs::read_to_string(store.join("demo-quorum-register/latest/results.json")).unwrap();
    assert!(results.contains("Somebody ended the run") && results.contains("somebody paused the faults"));
    // The terminal is as it was.
    let modes = terminal.path().join("modes");
    terminal.keys(&[&format!("clear; stty -a > {}; echo \"modes:$?\"", modes.display()), "Enter"]);
    terminal.wait("modes:0");
    let modes = std::fs::read_to_string(modes).unwrap();
    assert!(modes.contains(" icanon") && modes.contains(" echo "), "{modes}");
}

#[test]
fn a_narrow_terminal_without_unicode_is_drawn_in_its_width() {
    let Some(terminal) = Terminal::new(60, 24, "C") else { return };
    terminal.run(&format!(
        "test demo-paxos register --nemesis none --seed 7 --time-limit 3s --store {}",
        terminal.path().join("store").display()
    ));
    let screen = terminal.wait("outcome  ok");
    let title = concat!("perjury test - demo-paxos ", env!("CARGO_PKG_VERSION"), " x3");
    assert_eq!(screen.matches(title).count(), 1, "{screen}");
    std::thread::sleep(Duration::from_millis(700));
    let screen = terminal.screen();
    assert!(screen.matches("perjury test - ").count() <= 1, "it does not climb up the screen:\n{screen}");
    let screen = terminal.wait("code:");
    assert_eq!(screen.matches("perjury test - ").count(), 0, "it is gone at the end:\n{screen}");
}

#[test]
fn a_search_that_is_hard_says_how_far_it_is_and_what_is_left() {
    let Some(terminal) = Terminal::new(140, 40, "C.UTF-8") else { return };
    // Amounts 2, 4, 8 … added all at once, and an odd sum read meanwhile: only trying every subset shows that none fits.
    let event = |process: usize, kind: &str, f: &str, value: String| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let adds =
        |kind: &str| (1..=40).map(|n| event(n, kind, "add", (1u64 << n).to_string())).collect::<String>();
    let read = |kind: &str, value: String| event(0, kind, "read", value);
    let text = adds("invoke")
        + &read("invoke", "null".to_string())
        + &read("ok", ((1u64 << 40) - 1).to_string())
        + &adds("ok");
    let file = terminal.path().join("hard.jsonl");
    std::fs::write(&file, text).unwrap();
    terminal.run(&format!("check --model counter --timeout 4s {}", file.display()));
    let screen = terminal.wait("budget   ");
    for word in ["checking linearizable (counter)", "operations deep", "of 4 s"] {
        assert!(screen.contains(word), "{word}:\n{screen}");
    }
    let screen = terminal.wait("code:2");
    assert!(!screen.contains("budget   "), "the block is gone:\n{screen}");
}
