//! What one format says, the others say, too.

mod common;

use common::{Dice, faults, ops, read};
use history::{Event, Format, History, ReadOptions, Value, read_events, read_file};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn jsonl(events: &[Event]) -> Vec<u8> {
    let mut text = Vec::new();
    events.iter().for_each(|event| history::write_json_line(event, &mut text));
    text
}

fn edn(events: &[Event]) -> Vec<u8> {
    let mut text = Vec::new();
    events.iter().for_each(|event| history::write_edn_line(event, &mut text));
    text
}

fn same(a: &History, b: &History, what: &str) {
    assert_eq!(ops(a), ops(b), "{what}");
    assert_eq!(faults(a), faults(b), "{what}");
    assert_eq!(a.ranks, b.ranks, "{what}");
}

#[test]
fn a_value_survives_both_notations() {
    let mut dice = Dice(1);
    for _ in 0..20_000 {
        let value = dice.value(4);
        let json = value.to_json();
        assert_eq!(Value::from_json(&json), Ok(value.clone()), "{json}");
        let edn = value.to_edn();
        assert_eq!(Value::from_edn(&edn), Ok(value), "{edn}");
    }
}

#[test]
fn events_survive_every_format_whatever_they_carry() {
    for seed in 0..50 {
        let events = Dice(seed).events(400);
        let expected = history::pair(events.clone()).expect("a history");
        same(&read(jsonl(&events)), &expected, &format!("jsonl, seed {seed}"));
        same(&read(edn(&events)), &expected, &format!("edn, seed {seed}"));
        let lines = jsonl(&events);
        let array = [b"[", &lines.trim_ascii_end().to_vec()[..], b"]"].concat();
        let array = String::from_utf8(array).expect("text").replace("}\n{", "}\n,{");
        same(&read(array), &expected, &format!("json, seed {seed}"));
        let vector = [b"; a comment\n[", &edn(&events)[..], b"]\n"].concat();
        same(&read(vector), &expected, &format!("edn vector, seed {seed}"));
        let list = [b"(", &edn(&events)[..], b")"].concat();
        same(&read(list), &expected, &format!("edn list, seed {seed}"));
        let tagged =
            String::from_utf8(edn(&events)).expect("text").replace("{:time", "#jepsen.history.Op{:time");
        same(&read(tagged), &expected, &format!("edn records, seed {seed}"));
    }
}

#[test]
fn a_file_of_several_windows_reads_as_it_was_written() {
    let mut dice = Dice(99);
    let mut events = dice.events(30_000);
    // One line that is longer than a window, and one form over many lines.
    events[17].value = Value::list((0..300_000).map(Value::Int));
    let expected = history::pair(events.clone()).expect("a history");
    let text = jsonl(&events);
    assert!(text.len() > 5 << 20, "{} bytes", text.len());
    same(&read(text), &expected, "jsonl");
    let text = String::from_utf8(edn(&events)).expect("text").replace(", :", ",\n :");
    same(&read(text), &expected, "edn");
    let text = String::from_utf8(jsonl(&events)).expect("text").replace("}\n{", "}\n,\n{");
    same(&read(format!("[{text}]")), &expected, "json");
}

/// Gives a few bytes at a time, as a pipe may.
struct Drip(Vec<u8>, usize, Dice);

impl std::io::Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1 + self.2.below(50) as usize).min(self.0.len() - self.1);
        buffer[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
        self.1 += count;
        Ok(count)
    }
}

#[test]
fn a_pipe_that_drips_makes_no_difference() {
    let events = Dice(5).events(3000);
    for text in [jsonl(&events), edn(&events)] {
        let drip = Drip(text.clone(), 0, Dice(3));
        let dripped = history::read("h", Box::new(drip), &ReadOptions::default()).expect("a history");
        same(&dripped, &read(text), "drip");
    }
}

fn corpus() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the corpus") {
            let path = entry.expect("an entry").path();
            let known = ["edn", "json", "log", "txt", "gz", "zst", "jsonl"];
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "gz") && !cfg!(feature = "compressed") {
                continue;
            } else if path.extension().is_some_and(|e| known.iter().any(|k| e == *k)) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() >= 140, "{} files", files.len());
    files
}

#[test]
fn every_history_of_the_corpus_survives_conversion_to_edn_and_back() {
    let options = ReadOptions::default();
    for path in corpus() {
        let what = path.display().to_string();
        let first = read_file(&path, &options).unwrap_or_else(|error| panic!("{error}"));
        assert!(!first.ops.is_empty() || !first.faults.is_empty(), "{what}");
        let events = read_events(&path, &options).expect("was read above");
        let second = read(jsonl(&events));
        let third = read(edn(&events));
        same(&second, &third, &what);
        let fourth = edn(&history_events(jsonl(&events)));
        assert_eq!(fourth, edn(&events), "{what}");
        if first.source.format == Format::PorcupineLog.name() {
            // A failed cas becomes an observation that any format can carry.
            let refused = |line: &String| line.contains("\"cas\"") && line.contains("Fail");
            let failed = ops(&first).iter().filter(|line| refused(line)).count();
            let observed = ops(&second).iter().filter(|line| line.contains("Ok No")).count();
            assert!(failed > 0 && failed == observed, "{what}: {failed} {observed}");
        } else {
            same(&first, &second, &what);
        }
    }
}

fn history_events(text: Vec<u8>) -> Vec<Event> {
    let folder = std::env::temp_dir().join(format!("perjury-history-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join("events.jsonl");
    std::fs::write(&path, text).expect("a temporary file");
    let events = read_events(&path, &ReadOptions::default()).expect("was written by us");
    std::fs::remove_dir_all(&folder).expect("was ours");
    events
}

#[test]
fn the_edn_and_the_json_of_one_history_read_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/third-party");
    let read = |path: &str| read_file(root.join(path), &ReadOptions::default()).expect("a history");
    for name in ["bank", "counter", "set_full"] {
        let (edn, json) = (format!("elle-cli/jepsen/{name}.edn"), format!("elle-cli/jepsen/{name}.json"));
        same(&read(&edn), &read(&json), name);
    }
    same(&read("knossos/mutex/bad/etcd.edn"), &read("elle-cli/knossos-json/mutex-bad-etcd.json"), "mutex");
}

#[test]
fn a_visitor_may_leave_early() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/third-party/porcupine/kv/c10-ok.txt");
    let mut seen = 0;
    let mut visit = |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let source = history::visit_events(&path, &ReadOptions::default(), &mut visit).expect("a history");
    assert_eq!((seen, source.format), (3, "jepsen-edn"));
}

#[test]
#[cfg(feature = "compressed")]
fn packed_files_are_unpacked_whatever_their_names() {
    use std::io::Write;
    let events = Dice(8).events(500);
    let text = jsonl(&events);
    let expected = read(text.clone());
    let (left, right) = text.split_at(text.len() / 2);
    let pack = |part: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(part).expect("memory");
        packer.finish().expect("memory")
    };
    same(&read(pack(&text)), &expected, "gzip");
    same(&read([pack(left), pack(right)].concat()), &expected, "gzip in two members");
    let pack =
        |part: &[u8]| ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest);
    same(&read(pack(&text)), &expected, "zstd");
    same(&read([pack(left), pack(right)].concat()), &expected, "zstd in two frames");
    same(&read([b"\xef\xbb\xbf", &text[..]].concat()), &expected, "with a byte order mark");
    let own = ReadOptions { own: true, ..ReadOptions::default() };
    same(&common::read_with(text, &own).expect("no process is used again"), &expected, "own");
}
