//! What a cache gives back is the history, and nothing else ever.

mod common;

use common::{Dice, faults, ops, read};
use history::{
    CacheError, Fingerprint, History, ReadOptions, Value, ValueId, read_cache, read_file, write_cache,
};
use std::path::Path;

const CONTENT: Fingerprint = Fingerprint([7, 8]);

fn written(history: &History, options: &ReadOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_cache(history, CONTENT, options, &mut bytes).expect("memory");
    bytes
}

fn read_back(bytes: &[u8], options: &ReadOptions) -> Result<History, CacheError> {
    read_cache("h", CONTENT, options, &mut &bytes[..])
}

/// Everything that a history holds, values by number included.
fn same(a: &History, b: &History, what: &str) {
    let ids = |h: &History| -> Vec<String> { h.ops.iter().map(|op| format!("{op:?}")).collect() };
    assert_eq!(ids(a), ids(b), "{what}");
    assert_eq!((ops(a), faults(a)), (ops(b), faults(b)), "{what}");
    let lines = |h: &History| -> Vec<u32> { h.faults.iter().map(|fault| fault.line).collect() };
    assert_eq!(lines(a), lines(b), "{what}");
    let values = |h: &History| -> Vec<Value> {
        (0..h.values.len() as u32).map(|i| h.values.get(ValueId(i)).clone()).collect()
    };
    assert_eq!(values(a), values(b), "{what}");
    for (i, value) in (0..).zip(values(a)) {
        assert_eq!(b.values.find(&value), Some(ValueId(i)), "{what}: {value}");
    }
    assert_eq!((&a.processes, a.ranks, &a.warnings), (&b.processes, b.ranks, &b.warnings), "{what}");
    assert_eq!(a.dues, b.dues, "{what}");
    assert_eq!((&a.source.name, a.source.format), (&b.source.name, b.source.format), "{what}");
    assert!(a.part.is_none() && b.part.is_none(), "{what}");
}

fn jsonl(seed: u64, count: usize) -> Vec<u8> {
    let mut text = Vec::new();
    Dice(seed).events(count).iter().for_each(|event| history::write_json_line(event, &mut text));
    text
}

#[test]
fn a_cache_holds_a_history_with_all_that_a_line_can_carry() {
    let options = ReadOptions::default();
    for seed in 0..10 {
        let history = read(jsonl(seed, if seed == 0 { 30_000 } else { 300 }));
        let again = read_back(&written(&history, &options), &options).expect("a cache");
        same(&history, &again, &format!("seed {seed}"));
    }
}

#[test]
fn a_cache_holds_every_history_of_the_corpus() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the corpus") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(mut history) = read_file(&path, &ReadOptions::default()) {
                history.source.name = "h".to_string();
                let options = ReadOptions::default();
                let bytes = written(&history, &options);
                same(&history, &read_back(&bytes, &options).expect("a cache"), &path.display().to_string());
                count += 1;
            }
        }
    }
    assert!(count >= 140, "{count} histories");
}

#[test]
fn values_can_be_numbered_on_after_a_cache_was_read() {
    let options = ReadOptions::default();
    let history = read(jsonl(77, 2000));
    let mut again = read_back(&written(&history, &options), &options).expect("a cache");
    let mut values = history.values.clone();
    let mut dice = Dice(3);
    for _ in 0..5000 {
        let value = dice.value(3);
        assert_eq!(again.values.intern(&value), values.intern(&value), "{value}");
    }
}

#[test]
fn a_cache_of_another_content_or_of_other_options_is_stale() {
    let options = ReadOptions::default();
    let bytes = written(&read(jsonl(1, 100)), &options);
    let other = read_cache("h", Fingerprint([7, 9]), &options, &mut &bytes[..]);
    assert!(matches!(other, Err(CacheError::Stale)));
    let others = [
        ReadOptions { independent: true, ..options },
        ReadOptions { own: true, ..options },
        ReadOptions { allow_truncated: true, ..options },
        ReadOptions { order: Some(history::Order::Time), ..options },
        ReadOptions { format: Some(history::Format::Jsonl), ..options },
    ];
    for others in others {
        assert!(matches!(read_back(&bytes, &others), Err(CacheError::Stale)), "{others:?}");
    }
    let mut newer = bytes.clone();
    newer[14] += 1;
    assert!(matches!(read_back(&newer, &options), Err(CacheError::Stale)));
    assert!(read_back(&bytes, &ReadOptions { order: Some(history::Order::Line), ..options }).is_ok());
}

#[test]
fn a_cache_that_is_cut_or_changed_anywhere_gives_nothing() {
    let options = ReadOptions::default();
    let history = read(jsonl(2, 120));
    let bytes = written(&history, &options);
    for cut in 0..bytes.len() {
        assert!(read_back(&bytes[..cut], &options).is_err(), "{cut} of {}", bytes.len());
    }
    let mut dice = Dice(4);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << dice.below(8);
        assert!(read_back(&damaged, &options).is_err(), "byte {at} of {}", bytes.len());
    }
}

#[test]
fn damage_with_a_right_checksum_is_found_or_harmless() {
    let options = ReadOptions::default();
    let history = read(jsonl(6, 60));
    let bytes = written(&history, &options);
    let mut blocks = Vec::new();
    let mut at = 16;
    while at < bytes.len() {
        let length = u64::from_le_bytes(*bytes[at..].first_chunk().expect("a length")) as usize;
        blocks.push((at + 8, length));
        at += 8 + length + 16;
    }
    let mut dice = Dice(9);
    let mut survived = 0;
    for _ in 0..3_000 {
        let (start, length) = blocks[dice.below(blocks.len() as u64) as usize];
        if length == 0 {
            continue;
        }
        let mut damaged = bytes.clone();
        for _ in 0..=dice.below(2) {
            damaged[start + dice.below(length as u64) as usize] = dice.below(256) as u8;
        }
        let right = Fingerprint::of_bytes(&damaged[start..start + length]).0;
        damaged[start + length..][..8].copy_from_slice(&right[0].to_le_bytes());
        damaged[start + length + 8..][..8].copy_from_slice(&right[1].to_le_bytes());
        if let Ok(history) = read_back(&damaged, &options) {
            // Whatever it says now, looking at all of it must not fail.
            survived += ops(&history).len() + faults(&history).len();
        }
    }
    assert!(survived > 0, "some changes only change a value");
}

/// Whoever asks for less memory than its operations take reads the file, and is told how far that came.
#[test]
fn a_cache_of_more_than_may_be_kept_is_not_used() {
    let history = read(
        (0..100)
            .flat_map(|i| ["invoke", "ok"].map(|kind| (i, kind)))
            .map(|(i, kind)| format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"write\",\"value\":{i}}}\n"))
            .collect::<String>(),
    );
    let bytes = written(&history, &ReadOptions::default());
    let within = |memory| ReadOptions { memory: Some(memory), ..ReadOptions::default() };
    assert!(read_back(&bytes, &within(1 << 20)).is_ok());
    assert!(matches!(read_back(&bytes, &within(4_000)), Err(CacheError::Stale)));
}
