//! The parts of a history are the whole, and each of them knows its place in it.

mod common;

use common::{Dice, faults, ops, read_with};
use history::{Event, History, Kind, Order, Passes, ReadError, ReadOptions, Shard, Survey};

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

/// Operations with the lines they stand on.
fn placed(history: &History) -> Vec<String> {
    let lines = history.ops.iter().map(|op| (op.invoke_line, op.ret_line));
    ops(history).into_iter().zip(lines).map(|(op, lines)| format!("{op} {lines:?}")).collect()
}

fn shards_make_up_the_whole(text: &[u8], options: ReadOptions, what: &str) {
    let whole = read_with(text, &options).unwrap_or_else(|error| panic!("{what}: {error}"));
    for of in [1, 2, 3, 7] {
        let mut parts: Vec<(u32, String)> = Vec::new();
        for shard in Shard::all(of) {
            let options = ReadOptions { shard: Some(shard), ..options };
            let part = read_with(text, &options).unwrap_or_else(|error| panic!("{what} {shard}: {error}"));
            assert_eq!(part.processes, whole.processes, "{what} {shard}");
            assert_eq!(part.ranks, whole.ranks, "{what} {shard}");
            assert_eq!(faults(&part), faults(&whole), "{what} {shard}");
            assert_eq!(part.warnings, whole.warnings, "{what} {shard}");
            assert!(part.ops.windows(2).all(|two| two[0].invoke < two[1].invoke), "{what} {shard}");
            assert!(part.ops.iter().all(|op| shard.takes(part.values.get(op.key))), "{what} {shard}");
            parts.extend(part.ops.iter().map(|op| op.invoke).zip(placed(&part)));
            let about = part.part.expect("it is a part");
            assert_eq!((about.shard, about.ops), (shard, whole.ops.len() as u64), "{what}");
            let mut functions: Vec<String> =
                whole.ops.iter().map(|op| whole.values.get(op.f).to_string()).collect();
            let mut named: Vec<String> =
                about.functions.iter().map(|f| part.values.get(*f).to_string()).collect();
            functions.sort_unstable();
            functions.dedup();
            named.sort_unstable();
            assert_eq!(named, functions, "{what} {shard}");
        }
        parts.sort_by_key(|(invoke, _)| *invoke);
        let parts: Vec<String> = parts.into_iter().map(|(_, op)| op).collect();
        assert_eq!(parts, placed(&whole), "{what}, {of} shards");
    }
}

#[test]
fn every_operation_is_in_one_shard_wherever_its_key_is_named() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut events = dice.events(300);
        // Some name the key at both ends, some at one, some nowhere: as clients do.
        for event in &mut events {
            if event.kind != Kind::Invoke && dice.once_in(3) {
                event.key = None;
            }
        }
        let line = ReadOptions::default();
        let time = ReadOptions { order: Some(Order::Time), ..line };
        shards_make_up_the_whole(&jsonl(&events), line, &format!("jsonl {seed}"));
        shards_make_up_the_whole(&edn(&events), line, &format!("edn {seed}"));
        shards_make_up_the_whole(&jsonl(&events), time, &format!("jsonl by time {seed}"));
    }
}

#[test]
fn an_operation_may_name_its_key_only_when_it_is_answered() {
    let mut text = String::new();
    for i in 0..30 {
        let p = i % 3;
        text += &format!("{{\"process\":{p},\"type\":\"invoke\",\"f\":\"take\",\"value\":{i}}}\n");
        if i != 29 {
            text +=
                &format!("{{\"process\":{p},\"type\":\"ok\",\"f\":\"take\",\"key\":{i},\"value\":{i}}}\n");
        }
    }
    shards_make_up_the_whole(text.as_bytes(), ReadOptions::default(), "late keys");
}

#[test]
fn independent_keys_are_split_too() {
    let mut text = String::new();
    for i in 0..40 {
        let value = if i % 2 == 0 { format!("[{} nil]", i % 7) } else { format!("[{} [{i} 2]]", i % 7) };
        for kind in ["invoke", "ok"] {
            text += &format!("{{:process {i}, :type :{kind}, :f :cas, :value {value}}}\n");
        }
    }
    let options = ReadOptions { independent: true, ..ReadOptions::default() };
    shards_make_up_the_whole(text.as_bytes(), options, "independent");
}

#[test]
fn a_shard_takes_no_memory_for_the_values_of_the_others() {
    let mut text = String::new();
    for i in 0..2000 {
        for kind in ["invoke", "ok"] {
            let line =
                format!("\"process\":0,\"type\":\"{kind}\",\"f\":\"write\",\"key\":{},\"value\":{i}", i % 50);
            text += &format!("{{{line}}}\n");
        }
    }
    for shard in Shard::all(10) {
        let options = ReadOptions { shard: Some(shard), ..ReadOptions::default() };
        let part = read_with(text.as_bytes(), &options).expect("a history");
        assert!(part.values.len() < part.ops.len() + 60, "{} of {}", part.values.len(), part.ops.len());
    }
}

#[test]
fn what_is_no_history_is_refused_by_every_shard_in_the_same_words() {
    let good = "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"a\",\"value\":1}\n";
    let bad = [
        "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"b\",\"value\":1}\n",
        "{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"key\":\"a\",\"value\":1}\n",
        "{\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"key\":\"c\",\"value\":1}\n",
        "{\"process\":1,\"type\":\"ok\",\"f\":\"write\",\"key\":\"a\",\"value\":1}\n",
        "{\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"key\":\"a\",\"value\":1,}\n",
        "{\"process\":0,\"type\":\"okay\",\"f\":\"write\",\"key\":\"a\",\"value\":1}\n",
    ];
    for bad in bad {
        let text = format!("{good}{bad}");
        let said = |shard| match read_with(text.as_bytes(), &ReadOptions { shard, ..ReadOptions::default() })
        {
            Err(ReadError::Malformed(malformed)) => malformed.to_string(),
            other => panic!("{bad}: {other:?}"),
        };
        for shard in Shard::all(3) {
            assert_eq!(said(Some(shard)), said(None), "{bad}");
        }
    }
}

#[test]
fn a_history_without_keys_has_no_shards() {
    let text = "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1}\n";
    let said = common::refused(text, &ReadOptions { shard: Shard::new(1, 2), ..ReadOptions::default() });
    assert_eq!(
        said,
        "h: expected operations with keys (a shard is made of whole keys), found none that names a key"
    );
}

/// A file that is gone when nobody needs it.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new(name: &str, text: &[u8]) -> Temporary {
        let path = std::env::temp_dir().join(format!("perjury-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file");
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A file that is left over does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_survey_says_how_many_shards_fit_and_they_do() {
    let mut text = String::new();
    for i in 0..20_000 {
        let (p, key) = (i % 4, i * 7 % 300);
        for kind in ["invoke", "ok"] {
            text += &format!(
                "{{\"process\":{p},\"type\":\"{kind}\",\"f\":\"write\",\"key\":\"k{key}\",\"value\":{i}}}\n"
            );
        }
    }
    let file = Temporary::new("survey.jsonl", text.as_bytes());
    let options = ReadOptions::default();
    let survey = Survey::of(&file.0, &options).expect("a history");
    assert_eq!((survey.ops, survey.keyed), (20_000, true));
    let size = |history: &History| (history.ops.len() * (size_of::<history::Op>() + 100)) as u64;
    let all = survey.bytes(100);
    let whole = history::read_file(&file.0, &options).expect("a history");
    assert!((size(&whole)..size(&whole) * 2).contains(&all), "{all} for {}", size(&whole));
    assert_eq!(survey.passes(all, 100), Passes { of: 1, largest: all, fits: true });
    for part in [2, 3, 10] {
        let passes = survey.passes(all / part, 100);
        assert!(passes.fits && passes.largest <= all / part, "{passes:?}");
        assert!((part..part * 3).contains(&u64::from(passes.of)), "{passes:?}");
        for shard in Shard::all(passes.of) {
            let history = history::read_file(&file.0, &ReadOptions { shard: Some(shard), ..options });
            assert!(size(&history.expect("a history")) <= passes.largest, "{passes:?}");
        }
    }
    assert!(!survey.passes(1000, 100).fits, "a key is not split");
}

#[test]
fn a_survey_finds_what_is_no_history_and_knows_keys_that_come_late() {
    let call = "{\"process\":0,\"type\":\"invoke\",\"f\":\"take\"}\n";
    let file = Temporary::new("survey-bad.jsonl", format!("{call}{call}").as_bytes());
    let options = ReadOptions::default();
    let refused = |path| history::read_file(path, &options).expect_err("a double call").to_string();
    assert_eq!(Survey::of(&file.0, &options).expect_err("a double call").to_string(), refused(&file.0));
    let late: String = (0..100)
        .map(|i| format!("{call}{{\"process\":0,\"type\":\"ok\",\"f\":\"take\",\"key\":{i}}}\n"))
        .collect();
    let file = Temporary::new("survey-late.jsonl", late.as_bytes());
    let survey = Survey::of(&file.0, &options).expect("a history");
    assert!(survey.keyed);
    assert!(survey.passes(survey.bytes(0) / 2, 0).fits);
    let file = Temporary::new("survey-keyless.jsonl", call.as_bytes());
    let survey = Survey::of(&file.0, &options).expect("a history");
    assert_eq!((survey.ops, survey.keyed, survey.passes(1, 0).of), (1, false, 1));
}
