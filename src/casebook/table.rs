//! The casebook's answer: a line for each case, what was expected and what it gave.

use super::case::Case;
use std::path::PathBuf;
use std::time::Duration;

/// What became of one case, once.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: &'static str,
    /// What was expected, in words.
    pub expected: String,
    /// What it gave, in the same words.
    pub got: String,
    /// Why the two do not agree, one phrase each; empty if they do.
    pub wrong: Vec<String>,
    /// Rounds that were played, or runs of an honest case until one was not vacuous.
    pub rounds: u32,
    /// How many were allowed.
    pub bound: u32,
    /// Wall time.
    pub took: Duration,
    /// The version of the system, as it told it; empty for the demo systems.
    pub version: String,
    /// The page of the run.
    pub report: PathBuf,
}

impl Outcome {
    /// Whether the case gave what it must.
    pub fn agrees(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Columns as wide as the cases that they are for.
pub struct Table {
    name: usize,
    /// Of the column of versions, which the demo systems do not have.
    version: usize,
    expected: usize,
}

impl Table {
    /// The table of these cases.
    pub fn of(cases: &[&Case]) -> Table {
        let widest = |of: &dyn Fn(&Case) -> usize| cases.iter().map(|case| of(case)).max().unwrap_or(0);
        let real = cases.iter().any(|case| case.real());
        Table {
            name: widest(&|case| case.name.len()),
            version: if real { 21 } else { 0 },
            expected: widest(&|case| case.expected.text().len()),
        }
    }

    /// The titles of [`Table::row`].
    pub fn head(&self) -> String {
        self.line("", "case", "version", "expected", "rounds", "time", "got")
    }

    /// One case, once. What disagrees stands under it.
    pub fn row(&self, outcome: &Outcome) -> String {
        let mark = if outcome.agrees() { "ok" } else { "BAD" };
        let rounds = format!("{} of {}", outcome.rounds, outcome.bound);
        let took = format!("{:.1} s", outcome.took.as_secs_f64());
        // The same words again would only have to be compared by eye.
        let got = if outcome.got == outcome.expected { "the same" } else { &outcome.got };
        let mut text =
            self.line(mark, outcome.case, &outcome.version, &outcome.expected, &rounds, &took, got);
        for wrong in &outcome.wrong {
            text.push_str(&format!("     {:name$}  {wrong}\n", "", name = self.name));
        }
        text
    }

    /// A case that cannot be played here, and why not.
    pub fn skipped(&self, case: &Case, why: &str) -> String {
        format!("--   {:name$}  skipped: {why}\n", case.name, name = self.name)
    }

    fn line(
        &self,
        mark: &str,
        case: &str,
        version: &str,
        expected: &str,
        rounds: &str,
        took: &str,
        got: &str,
    ) -> String {
        let version = match self.version {
            0 => String::new(),
            width => format!("{version:width$}  "),
        };
        let text = format!(
            "{mark:3}  {case:name$}  {version}{expected:wide$}  {rounds:>8}  {took:>7}  {got}",
            name = self.name,
            wide = self.expected,
        );
        format!("{}\n", text.trim_end())
    }

    /// The titles of [`Table::sum`].
    pub fn sum_head(&self) -> String {
        self.sum_line("", "case", "expected", "agreed", "rounds", "time")
    }

    /// One case over all its repetitions: how many agreed, and the fewest, median and most rounds and seconds of those.
    pub fn sum(&self, outcomes: &[&Outcome]) -> String {
        let Some(first) = outcomes.first() else { return String::new() };
        let agreed = outcomes.iter().filter(|outcome| outcome.agrees()).count();
        let mark = if agreed == outcomes.len() { "ok" } else { "BAD" };
        let mut rounds: Vec<u32> = outcomes.iter().map(|outcome| outcome.rounds).collect();
        let mut took: Vec<Duration> = outcomes.iter().map(|outcome| outcome.took).collect();
        let (least, median, most) = spread(&mut rounds);
        let rounds = format!("{least}/{median}/{most} of {}", first.bound);
        let (least, median, most) = spread(&mut took);
        let took =
            format!("{:.1}/{:.1}/{:.1} s", least.as_secs_f64(), median.as_secs_f64(), most.as_secs_f64());
        self.sum_line(
            mark,
            first.case,
            &first.expected,
            &format!("{agreed} of {}", outcomes.len()),
            &rounds,
            &took,
        )
    }

    fn sum_line(
        &self,
        mark: &str,
        case: &str,
        expected: &str,
        agreed: &str,
        rounds: &str,
        took: &str,
    ) -> String {
        let text = format!(
            "{mark:3}  {case:name$}  {expected:wide$}  {agreed:>8}  {rounds:>13}  {took:>16}",
            name = self.name,
            wide = self.expected,
        );
        format!("{}\n", text.trim_end())
    }
}

/// The least, the median (the lower of two) and the most.
fn spread<T: Copy + Ord>(values: &mut [T]) -> (T, T, T) {
    values.sort_unstable();
    (values[0], values[(values.len() - 1) / 2], values[values.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rounds: u32, wrong: &[&str]) -> Outcome {
        Outcome {
            case: "zombie",
            expected: "not linearizable; stale-read".to_string(),
            got: if wrong.is_empty() { "not linearizable; stale-read" } else { "linearizable" }.to_string(),
            wrong: wrong.iter().map(|w| w.to_string()).collect(),
            rounds,
            bound: 10,
            took: Duration::from_millis(1500),
            version: String::new(),
            report: PathBuf::new(),
        }
    }

    fn table() -> Table {
        Table { name: 8, version: 0, expected: 28 }
    }

    #[test]
    fn a_case_that_agrees_takes_one_line() {
        let text = table().row(&outcome(2, &[]));
        assert_eq!(text, "ok   zombie    not linearizable; stale-read   2 of 10    1.5 s  the same\n");
    }

    #[test]
    fn a_case_that_does_not_agree_says_why() {
        let text = table().row(&outcome(10, &["expected not linearizable"]));
        assert_eq!(
            text,
            "BAD  zombie    not linearizable; stale-read  10 of 10    1.5 s  linearizable\n               \
             expected not linearizable\n"
        );
    }

    #[test]
    fn repetitions_are_counted_with_fewest_median_and_most_rounds() {
        let all =
            [outcome(3, &[]), outcome(1, &[]), outcome(10, &["expected not linearizable"]), outcome(1, &[])];
        let text = table().sum(&all.iter().collect::<Vec<_>>());
        assert_eq!(
            text,
            "BAD  zombie    not linearizable; stale-read    3 of 4   1/1/10 of 10     1.5/1.5/1.5 s\n"
        );
    }
}
