//! `perjury casebook`: every built-in case, and whether it gave the verdict that it must give.

use crate::casebook::{self, Case, Outcome, Table};
use crate::cli::CasebookArgs;
use crate::config::no_such;
use crate::exit::{self, Failure};
use crate::show;
use crate::signals::Signals;
use std::hash::{BuildHasher, RandomState};
use std::io::{IsTerminal, Write};
use std::time::Instant;
use workloads::Rng;

/// Plays the cases one after the other, since some of them depend on timing, and prints a row for each. Ends with 0 if
/// every one of them, every time, gave what it must.
///
/// # Errors
/// A case that there is not (64); a cluster that cannot be started (69); a store that cannot be written (74).
pub fn run(args: &CasebookArgs, signals: &Signals) -> Result<u8, Failure> {
    let mut cases = chosen(&args.cases, args.real)?;
    if args.fast {
        cases.retain(|case| casebook::real::fast(case));
    }
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one("perjury") >> 16);
    let table = Table::of(&cases);
    show::out(&format!("seed {seed}\n{}", table.head()));
    let started = Instant::now();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut skipped = 0;
    'all: for number in 0..args.repeat {
        for case in &cases {
            if let Some(lack) = casebook::lack(case) {
                skipped += u32::from(number == 0);
                show::out(&table.skipped(case, &lack));
                continue;
            }
            progress(&format!("{} …", case.name));
            let outcome = casebook::play(case, seed_of(seed, number), &args.store, signals);
            progress("");
            // Whoever interrupts a cluster as it starts has no outcome, and no error that matters.
            let outcome = match outcome {
                Err(_) if signals.stopped() => break 'all,
                outcome => outcome?,
            };
            show::out(&table.row(&outcome));
            outcomes.push(outcome);
            if signals.stopped() {
                break 'all;
            }
        }
    }
    if args.repeat > 1 {
        show::out(&format!("\n{}", table.sum_head()));
        for case in &cases {
            let of_case: Vec<&Outcome> =
                outcomes.iter().filter(|outcome| outcome.case == case.name).collect();
            show::out(&table.sum(&of_case));
        }
    }
    show::out(&end(&outcomes, args.repeat, skipped, started));
    if signals.stopped() {
        return Ok(exit::INTERRUPTED);
    }
    // Who ran nothing has shown nothing.
    Ok(match outcomes.iter().all(Outcome::agrees) {
        true if outcomes.is_empty() => exit::VACUOUS,
        true => exit::HOLDS,
        false => exit::VIOLATED,
    })
}

/// The cases of these names, in the order of the casebook; all of one kind, if there are no names.
fn chosen(names: &[String], real: bool) -> Result<Vec<&'static Case>, Failure> {
    let (book, other) = match real {
        true => (casebook::real::cases(), casebook::cases()),
        false => (casebook::cases(), casebook::real::cases()),
    };
    for name in names {
        if book.iter().any(|case| case.name == name) {
            continue;
        }
        if other.iter().any(|case| case.name == name) {
            let how = if real {
                "is one of the demo systems (leave out --real)"
            } else {
                "is one of real systems (--real)"
            };
            return Err(Failure::usage(format!("the case {name} {how}")));
        }
        return Err(no_such("case", name, book.iter().map(|case| case.name)));
    }
    Ok(book.iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name)).collect())
}

/// The first repetition has the seed itself, so that a run of any later one can be played again alone, by its own.
fn seed_of(seed: u64, repetition: u32) -> u64 {
    match repetition {
        0 => seed,
        _ => Rng::stream(seed, &format!("casebook {repetition}")).any() >> 16,
    }
}

/// Where the pages are, how many agree, and how long it took.
fn end(outcomes: &[Outcome], repeat: u32, skipped: u32, started: Instant) -> String {
    let mut text = String::from("\n");
    // With many repetitions, only what went wrong is worth a path.
    for outcome in outcomes.iter().filter(|outcome| repeat == 1 || !outcome.agrees()) {
        text.push_str(&format!("{}\n", outcome.report.display()));
    }
    let agreed = outcomes.iter().filter(|outcome| outcome.agrees()).count();
    let seconds = started.elapsed().as_secs_f64();
    let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    text.push_str(&format!("{agreed} of {} agree{skipped}, in {seconds:.0} s\n", outcomes.len()));
    text
}

/// What is being done, in place, on a terminal alone.
fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        // A courtesy: a closed stderr is no reason to stop.
        let _ = write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_name_and_played_in_the_order_of_the_book() {
        let names = |words: &[&str]| -> Vec<&str> {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            chosen(&words, false).unwrap().iter().map(|case| case.name).collect()
        };
        assert_eq!(names(&[]).len(), 17);
        assert_eq!(names(&["both-sides-answer", "abd"]), ["abd", "both-sides-answer"]);
    }

    #[test]
    fn the_fast_ones_are_those_of_systems_that_are_up_in_a_moment_and_no_hunt() {
        let fast = casebook::real::cases().iter().filter(|case| casebook::real::fast(case));
        let names: Vec<&str> = fast.map(|case| case.name).collect();
        assert_eq!(names.len(), 20, "{names:?}");
        assert!(names.contains(&"etcd-lock") && names.contains(&"postgres-primary"), "{names:?}");
        assert!(!names.contains(&"patroni-async") && !names.contains(&"nats-two-ackers"), "{names:?}");
    }

    #[test]
    fn a_case_that_there_is_not_is_a_bad_command_line_with_a_suggestion() {
        let failure = chosen(&["quorum-w1r1".to_string()], false).err().expect("there is no such case");
        assert_eq!(failure.code, exit::USAGE);
        assert!(failure.message.contains("did you mean \"quorum-w1-r1\"?"), "{failure}");
    }

    #[test]
    fn no_two_cases_have_the_same_name_and_every_honest_one_names_its_faults() {
        let all = || casebook::cases().iter().chain(casebook::real::cases());
        let mut names: Vec<&str> = all().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
        let lies = |case: &&Case| !case.expected.kinds.is_empty();
        assert!(all().filter(|case| !lies(case)).all(|case| !case.faults.is_empty()));
    }

    #[test]
    fn the_first_repetition_has_the_seed_that_was_given_and_the_others_have_their_own() {
        assert_eq!(seed_of(7, 0), 7);
        assert_ne!(seed_of(7, 1), seed_of(7, 2));
    }
}
