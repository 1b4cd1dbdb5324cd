//! Results on standard output, and pages on disk. Events and progress go to stderr, elsewhere.

use crate::certificate::Certificate;
use crate::exit::{self, Failure};
use crate::store::Run;
use crate::{consequences, excerpts};
use history::History;
use history::results::Results;
use reports::Logs;
use reports::terminal::{self, Look, Paths};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// Writes to standard output. A reader that has seen enough (`| head`) is not an error.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// How the terminal looks: its width, and whether colours and box characters are welcome.
pub fn look() -> Look {
    let terminal = std::io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let utf8 = crate::screen::utf8();
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let color = if set("NO_COLOR") { false } else { set("CLICOLOR_FORCE") || (terminal && !dumb) };
    let width = if terminal {
        rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col))
    } else {
        0
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Look { width: if width > 0 { width } else { columns.unwrap_or(100) }, color, unicode: terminal && utf8 }
}

/// `results.json` on standard output.
pub fn json(results: &Results) {
    out(&json_text(results));
}

/// `results.json`, with a line break at its end.
pub fn json_text(results: &Results) -> String {
    // Results are plain data: nothing in them can fail to serialise.
    serde_json::to_string_pretty(results).unwrap_or_default() + "\n"
}

/// What the reader or the checker had to assume.
pub fn warnings(results: &Results) {
    for warning in &results.warnings {
        eprintln!("warning: {}: {warning}", results.checker.history);
    }
    for assumption in &results.checker.assumptions {
        eprintln!("assumed: {assumption}");
    }
}

/// The counterexamples: the first few in full, one line for each of the others.
pub fn anomalies(results: &Results, narrated: bool, paths: &Paths) {
    if narrated {
        for anomaly in &results.anomalies {
            out(&terminal::narrated(anomaly));
            out("\n");
        }
        return;
    }
    let text = terminal::anomalies(results, paths, &look());
    if !text.is_empty() {
        out(&text);
        out("\n");
    }
}

/// What is said about a verdict, and what it does not cover.
pub fn beside(results: &Results) {
    out(&terminal::beside(results, &look()));
}

/// The verdict, and under it the path of the page: the last lines of every command that judges.
pub fn verdict(results: &Results, paths: &Paths) {
    let look = look();
    let text = terminal::verdict(results, paths, &look);
    let terminal = std::io::stdout().is_terminal();
    match paths.report.as_deref().filter(|_| terminal && look.color) {
        Some(path) => out(&text.replace(path, &linked(path))),
        None => out(&text),
    }
}

/// A path that terminals open when it is clicked (OSC 8); others show it as it is.
fn linked(path: &str) -> String {
    let Ok(real) = std::fs::canonicalize(path) else { return path.to_string() };
    let parts: Vec<String> = real.to_string_lossy().split('/').map(reports::web::encoded).collect();
    format!("\x1b]8;;file://{}\x1b\\{path}\x1b]8;;\x1b\\", parts.join("/"))
}

/// What was done to the cluster: one line per kind, with how many were seen to bite.
pub fn faults(results: &Results) {
    let mut kinds: Vec<&str> = Vec::new();
    for fault in &results.faults {
        if !kinds.contains(&fault.kind.as_str()) {
            kinds.push(&fault.kind);
        }
    }
    let told: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let of_kind = || results.faults.iter().filter(|fault| fault.kind == *kind);
            format!(
                "{kind} {} of {} bit",
                of_kind().filter(|fault| fault.bit.is_some()).count(),
                of_kind().count()
            )
        })
        .collect();
    if !told.is_empty() {
        out(&format!("faults   {}\n", told.join(" · ")));
    }
    if let Some(seen) = consequences::of(results) {
        out(&format!("seen     {seen}\n"));
    }
}

/// Writes a file whole or not at all: half of one would be taken for results.
///
/// # Errors
/// The disk's (74).
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    replace(file, bytes)
        .map_err(|error| Failure::new(exit::RESULTS, format!("{}: writing: {error}", file.display())))
}

/// Whole or not at all. Where the name is a link, it stays one.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = &std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let mut half = file.as_os_str().to_owned();
    half.push(format!(".{}.half", std::process::id()));
    std::fs::write(&half, bytes).and_then(|()| std::fs::rename(&half, file)).inspect_err(|_| {
        // The error that counts is that of writing.
        let _ = std::fs::remove_file(&half);
    })
}

/// Writes `results.json`.
///
/// # Errors
/// The disk's (74).
pub fn write_results(file: &Path, results: &Results) -> Result<(), Failure> {
    write_whole(file, json_text(results).as_bytes())
}

/// Writes a certificate.
///
/// # Errors
/// The disk's (74).
pub fn write_certificate(file: &Path, certificate: &Certificate) -> Result<(), Failure> {
    let written = File::create(file).and_then(|file| {
        let mut out = BufWriter::new(file);
        certificate.write(&mut out)?;
        out.flush()
    });
    written.map_err(|error| {
        Failure::new(exit::RESULTS, format!("{}: writing the certificate: {error}", file.display()))
    })
}

/// Draws the page that is to be written to `file`, of a history that no run has left.
///
/// # Errors
/// A bug in drawing is caught, said, and changes no verdict (70).
pub fn page(file: &Path, results: &Results, history: &History) -> Result<String, Failure> {
    drawn(file, || reports::html(results, history, &Logs::default()))
}

fn drawn(file: &Path, draw: impl FnOnce() -> String) -> Result<String, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(draw)).map_err(|_| {
        Failure::new(exit::BUG, format!("{}: drawing the report failed; the verdict stands", file.display()))
    })
}

/// The page beside a verdict: one that cannot be drawn or written is said, and changes neither verdict nor exit code.
/// True if it is there.
pub fn page_beside(file: &Path, results: &Results, history: &History, run: Option<&Run>) -> bool {
    match write_page(file, results, history, run) {
        Ok(()) => true,
        Err(failure) => {
            eprintln!("perjury: {failure}");
            false
        }
    }
}

/// Draws the page and writes it, with what the logs of a run say, if it is of one.
///
/// # Errors
/// The disk's (74). A bug in drawing is caught, said, and changes no verdict (70).
pub fn write_page(
    file: &Path,
    results: &Results,
    history: &History,
    run: Option<&Run>,
) -> Result<(), Failure> {
    write_drawn(file, || reports::html(results, history, &excerpts::read(run, results)))
}

/// The same for a page that is drawn in another way.
///
/// # Errors
/// Those of [`write_page`].
pub fn write_drawn(file: &Path, draw: impl FnOnce() -> String) -> Result<(), Failure> {
    let page = drawn(file, draw)?;
    let unwritten = |error: io::Error| {
        Failure::new(exit::RESULTS, format!("{}: writing the report: {error}", file.display()))
    };
    match std::fs::metadata(file) {
        // A pipe, a terminal or a device is not to be replaced.
        Ok(there) if !there.is_file() => std::fs::write(file, page).map_err(unwritten),
        _ => replace(file, page.as_bytes()).map_err(unwritten),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_in_drawing_is_caught_and_said() {
        let failure = drawn(Path::new("r.html"), || panic!("a bug in drawing")).expect_err("it is a failure");
        assert_eq!(failure.code, exit::BUG);
        assert_eq!(failure.to_string(), "r.html: drawing the report failed; the verdict stands");
        assert_eq!(drawn(Path::new("r.html"), || "page".to_string()).expect("a page"), "page");
    }
}
