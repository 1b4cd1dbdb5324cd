//! Exit codes: stable, documented in `--help`, and never clap's 2, which would read as "undecided".

use history::results::Verdict;
use std::fmt;
use std::process::ExitCode;

/// Every property that was asked for holds.
pub const HOLDS: u8 = 0;
/// A property is violated.
pub const VIOLATED: u8 = 1;
/// Undecided: a budget ended first.
pub const UNDECIDED: u8 = 2;
/// Too little was tested to mean anything.
pub const VACUOUS: u8 = 3;
/// Bad command line.
pub const USAGE: u8 = 64;
/// Unreadable or ill-formed history.
pub const HISTORY: u8 = 65;
/// The cluster could not be set up, reached or healed.
pub const CLUSTER: u8 = 69;
/// A bug in Perjury.
pub const BUG: u8 = 70;
/// Results could not be written.
pub const RESULTS: u8 = 74;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// Why a command ended early: the code, and one line for the person.
#[derive(Debug)]
pub struct Failure {
    /// One of the codes above.
    pub code: u8,
    /// What was being done to whom, and what went wrong.
    pub message: String,
}

impl Failure {
    /// A failure with a code and a message.
    pub fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }

    /// A bad command line.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(USAGE, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The code of one verdict.
pub fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Valid => HOLDS,
        Verdict::Invalid => VIOLATED,
        Verdict::Undecided => UNDECIDED,
        Verdict::Vacuous => VACUOUS,
    }
}

/// The code of several histories together: 1 beats 2 beats 3 beats 0.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let codes: Vec<u8> = codes.into_iter().collect();
    [VIOLATED, UNDECIDED, VACUOUS].into_iter().find(|code| codes.contains(code)).unwrap_or(HOLDS)
}

/// Prints a failure on stderr and turns it into the process's exit code.
pub fn report(result: Result<u8, Failure>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("perjury: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_several_histories_a_violation_beats_doubt_beats_vacuity_beats_a_pass() {
        assert_eq!(worst([0, 3, 2, 1, 0]), 1);
        assert_eq!(worst([0, 3, 2]), 2);
        assert_eq!(worst([0, 3]), 3);
        assert_eq!(worst([0, 0]), 0);
    }
}
