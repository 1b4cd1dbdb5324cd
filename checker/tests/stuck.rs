//! An undecided question about sequential consistency says how far each process came, and what it waits for.

mod explain_sketch;

use checker::judge::{Limits, judge};
use checker::{ModelName, Rung, Spec};
use explain_sketch::history;
use history::results::Answer;
use std::sync::atomic::{AtomicBool, AtomicU64};

#[test]
fn each_process_tells_how_far_it_came_and_what_it_waits_for() {
    // Twenty clients add even numbers, and one reads an odd sum: every subset has to be tried, and the time is up.
    let mut sketch: String =
        (1..=20u64).map(|n| format!("{n} n1 {} {} add c {}\n", 10 * n, 1_000 + n, 1u64 << n)).collect();
    sketch += &format!("30 n2 500 2000 read c null -> {}\n", (1u64 << 20) - 1);
    sketch += "30 n2 2001 2002 add c 2\n";
    let mut history = history(&sketch);
    let spec = Spec::new(ModelName::Counter, "jsonl");
    for property in [Rung::Sequential, Rung::Coherence] {
        let (stop, states) = (AtomicBool::new(true), AtomicU64::new(0));
        let limits = Limits { stop: &stop, bytes: 1 << 30, threads: 1, states: &states, progress: None };
        let judged = judge(&mut history, &spec, property, &limits).expect("a judgement");
        assert_eq!(judged.judgement.answer, Answer::Undecided);
        let stuck = judged.stuck[0].as_ref().expect("a place where it is stuck");
        assert_eq!(stuck.of, 22);
        // The reader comes no further, and of the others those are named that are still to come.
        let reader = stuck.waiting.iter().find(|waiting| waiting.of == 2).expect("the reader is not done");
        assert_eq!(reader.done, 0);
        assert!(reader.why.starts_with(&format!("it read {}, but ", (1u64 << 20) - 1)), "{}", reader.why);
        assert_eq!(stuck.placed as usize, 20 - (stuck.waiting.len() - 1));
        let told = stuck.describe(|op| format!("operation {op}"));
        assert!(told.contains("of 22 operations have an order; no way on was found from there"), "{told}");
        assert!(told.contains("after 0 of 2: it read 1048575, but"), "{told}");
    }
}
