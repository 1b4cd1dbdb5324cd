//! Histories whose reports are known, and their reports.

use crate::common::run;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// A history as a report.
pub struct Page {
    _dir: tempfile::TempDir,
    /// The file.
    pub path: PathBuf,
}

pub fn report(lines: &str, args: &[&str]) -> Page {
    let dir = tempfile::tempdir().expect("a directory");
    let (history, path) = (dir.path().join("history.jsonl"), dir.path().join("report.html"));
    std::fs::write(&history, lines).expect("a file");
    let file = |path: &Path| path.display().to_string();
    let mut all = vec!["report".to_string(), file(&history), "-o".to_string(), file(&path)];
    all.extend(args.iter().map(|arg| arg.to_string()));
    run(&all).expect(0);
    Page { _dir: dir, path }
}

pub fn event(time: u64, process: usize, kind: &str, f: &str, key: &str, value: Json, node: &str) -> String {
    let event = json!({"time": time, "process": process, "type": kind, "f": f, "key": key, "value": value, "node": node});
    format!("{event}\n")
}

/// Rounds of `clients` clients on five keys, one operation after the other, so that what is read is known.
pub fn rounds(rounds: usize, clients: usize) -> String {
    let mut lines = String::new();
    let mut held = vec![Json::Null; 5];
    for round in 0..rounds {
        for client in 0..clients {
            let (key, node) = (client % 5, format!("n{}", client % 3 + 1));
            let time = 1_000_000 + round as u64 * 2_000_000 + client as u64 * 40_000;
            let writes = client / 5 == round % clients.div_ceil(5);
            if writes {
                held[key] = json!(round * clients + client);
            }
            let asked = if writes { held[key].clone() } else { Json::Null };
            let (f, name) = (if writes { "write" } else { "read" }, format!("k{key}"));
            lines += &event(time, client, "invoke", f, &name, asked, &node);
            lines += &event(time + 30_000, client, "ok", f, &name, held[key].clone(), &node);
        }
    }
    lines
}

/// The same, and on one key two writes, a read of the second, and a read of the first after that.
pub fn stale() -> String {
    let mut lines = rounds(200, 5);
    let base = 900_000_000;
    for (i, (client, f, value)) in
        [(0, "write", 7001), (1, "write", 7002), (2, "read", 7002), (3, "read", 7001)].into_iter().enumerate()
    {
        let time = base + i as u64 * 3_000_000;
        let asked = if f == "read" { Json::Null } else { json!(value) };
        lines += &event(time, client, "invoke", f, "k3", asked, "n1");
        lines += &event(time + 1_000_000, client, "ok", f, "k3", json!(value), "n1");
    }
    lines
}
