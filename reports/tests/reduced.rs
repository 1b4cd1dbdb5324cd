//! A page that cannot hold all operations: what it holds, and that it says so.

mod fixtures;

use fixtures::unpacked::header;
use fixtures::*;
use history::results::{FaultRecord, Verdict};

const NODES: [&str; 2] = ["n1", "n2"];

/// What a page with room for `most` operations of a run over `keys` keys holds: how many, of how many, by what words.
fn held(keys: u64, faults: Vec<FaultRecord>, most: usize) -> (u64, u64, String) {
    let mut raws = load(3, 60, &NODES, 4, keys.max(1), &faults);
    if keys == 0 {
        raws.iter_mut().for_each(|raw| raw.key = None);
    }
    let history = history(&raws, true);
    let results = results(&history, Verdict::Valid, faults);
    let header = header(&reports::html_of(&results, &history, &reports::Logs::default(), most));
    let words = header["held"].as_str().unwrap_or("").replace('\u{a0}', " ");
    (header["n"].as_u64().expect("a number"), header["total"].as_u64().expect("a number"), words)
}

#[test]
fn a_page_with_room_for_all_holds_all_and_has_nothing_to_say() {
    let (n, total, words) = held(5, Vec::new(), usize::MAX);
    assert!(n == total && n > 600, "{n} of {total}");
    assert_eq!(words, "");
}

#[test]
fn where_nothing_happened_whole_keys_are_there_to_be_browsed() {
    let (n, total, words) = held(400, Vec::new(), 600);
    assert!(n > 0 && n <= 100 && n < total, "{n} of {total}");
    assert!(words.contains("those of") && words.contains(" keys") && words.contains("--all"), "{words}");
}

#[test]
fn without_keys_the_beginning_is_there() {
    let (n, total, words) = held(0, Vec::new(), 600);
    assert_eq!(n, 100, "of {total}");
    assert!(words.contains("those at the beginning"), "{words}");
}

#[test]
fn what_is_near_a_fault_is_there_as_far_as_it_fits_and_what_is_left_out_of_it_is_said() {
    let faults = || vec![fault(1, "kill", "n1", &["n1"], 20_000, 22_000, "gone")];
    let (n, total, words) = held(40, faults(), 600);
    assert!(n <= 600 && n < total, "{n} of {total}");
    assert!(words.contains("within a second of a fault") && !words.contains("every"), "{words}");
    let (few, _, words) = held(40, faults(), 20);
    assert!(few <= 20 && few > 0, "{few}");
    assert!(words.contains("th of those within a second of a fault"), "{words}");
}
