//! Where results go: standard output in one format, and any number of files in others.
//!
//! What a document holds only once, such as `<testsuites>`, is written when all histories were judged.

use crate::cli::{FormatArg, FormatArgs, Output, OutputFormat};
use crate::exit::{self, Failure};
use crate::show;
use history::History;
use history::results::Results;
use reports::machine::{self, Kind};
use reports::terminal::{self, Look, Paths};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How a file is written for a person: nobody knows how wide it will be shown.
const FILE_LOOK: Look = Look { width: 100, color: false, unicode: false };

/// Takes results one after the other.
pub struct Sink<'a> {
    format: FormatArg,
    outputs: &'a [Output],
    anchor: Option<&'a str>,
    quiet: bool,
    /// Only a line per history.
    brief: bool,
    /// Whether the faults of the run are told.
    faults: bool,
    taken: Vec<(Results, Paths)>,
}

impl<'a> Sink<'a> {
    /// For `inputs`, none of which may be written over. With `quiet`, a person is told only the verdict.
    ///
    /// # Errors
    /// Outputs that name one file twice, or a file that is read (64).
    pub fn new(
        args: &'a FormatArgs,
        outputs: &'a [Output],
        inputs: &[PathBuf],
        quiet: bool,
    ) -> Result<Sink<'a>, Failure> {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        for (i, output) in outputs.iter().enumerate() {
            let path = real(&output.path);
            let named = |what: &str| Failure::usage(format!("--output: {} is {what}", output.path.display()));
            if inputs.iter().any(|input| real(input) == path) {
                return Err(named("a history that is read"));
            }
            if outputs[..i].iter().any(|other| real(&other.path) == path) {
                return Err(named("named twice"));
            }
        }
        let trace = |output: &Output| output.format == OutputFormat::ChromeTrace;
        if inputs.len() > 1 && outputs.iter().any(trace) {
            return Err(Failure::usage("--output chrome-trace=FILE takes one history at a time"));
        }
        Ok(Sink {
            format: args.format.unwrap_or_else(usual),
            outputs,
            anchor: args.sarif_anchor.as_deref(),
            quiet,
            brief: inputs.len() > 1,
            faults: false,
            taken: Vec::new(),
        })
    }

    /// Tells a person what was done to the cluster, too.
    pub fn with_faults(self) -> Sink<'a> {
        Sink { faults: true, ..self }
    }

    /// Whether a person reads standard output.
    pub fn for_people(&self) -> bool {
        match self.format {
            FormatArg::Human | FormatArg::Narrated | FormatArg::Github => true,
            FormatArg::Json | FormatArg::Junit | FormatArg::Sarif => false,
        }
    }

    /// Prints what is printed per history. `history` is there unless it was too large for memory.
    ///
    /// # Errors
    /// An output that cannot be written (74), or needs a history that is not there (64).
    pub fn take(&mut self, results: Results, paths: Paths, history: Option<&History>) -> Result<(), Failure> {
        match self.format {
            FormatArg::Human | FormatArg::Narrated => self.human(&results, &paths),
            FormatArg::Github => {
                show::out(&machine::annotations(&results, &paths));
                self.human(&results, &paths);
            }
            FormatArg::Json => show::json(&results),
            FormatArg::Junit | FormatArg::Sarif => {
                if !self.quiet {
                    show::warnings(&results);
                }
            }
        }
        for output in self.outputs.iter().filter(|output| output.format == OutputFormat::ChromeTrace) {
            let history = history.ok_or_else(|| {
                Failure::usage("--output chrome-trace=FILE needs all of the history in memory at once")
            })?;
            trace(&output.path, history, &results)?;
        }
        self.taken.push((results, paths));
        Ok(())
    }

    /// Prints what is printed once, and writes the files.
    ///
    /// # Errors
    /// The disk's (74).
    pub fn finish(self) -> Result<(), Failure> {
        match self.format {
            FormatArg::Junit | FormatArg::Sarif => show::out(&self.document(self.format)),
            FormatArg::Github => self.job_summary()?,
            FormatArg::Human | FormatArg::Narrated | FormatArg::Json => {}
        }
        for output in self.outputs {
            match output.format {
                OutputFormat::Printed(format) => {
                    show::write_whole(&output.path, self.document(format).as_bytes())?;
                }
                // Written when its history was at hand.
                OutputFormat::ChromeTrace => {}
            }
        }
        Ok(())
    }

    fn human(&self, results: &Results, paths: &Paths) {
        // Whatever the system under test wrote is not to be taken for a command by the runner that reads this.
        let mute = (self.format == FormatArg::Github)
            .then(|| format!("{:016x}", RandomState::new().hash_one("a word that nobody can guess")));
        if let Some(word) = &mute {
            show::out(&format!("::stop-commands::{word}\n"));
        }
        if !self.quiet {
            show::warnings(results);
            if !self.brief {
                show::anomalies(results, self.format == FormatArg::Narrated, paths);
                if self.faults {
                    show::faults(results);
                }
                show::beside(results);
            }
        }
        if self.brief {
            show::out(&format!("{}: ", results.checker.history));
        }
        show::verdict(results, paths);
        if let Some(word) = &mute {
            show::out(&format!("::{word}::\n"));
        }
    }

    fn document(&self, format: FormatArg) -> String {
        match format {
            FormatArg::Human | FormatArg::Narrated => {
                self.taken.iter().map(|(results, paths)| page(results, paths, format)).collect()
            }
            FormatArg::Json => self.taken.iter().map(|(results, _)| show::json_text(results)).collect(),
            FormatArg::Junit => {
                let all: Vec<(&Results, &Paths)> = self.taken.iter().map(|(r, p)| (r, p)).collect();
                machine::junit(&all)
            }
            FormatArg::Github => self.taken.iter().map(|(r, p)| machine::summary(r, p)).collect(),
            FormatArg::Sarif => {
                let all: Vec<&Results> = self.taken.iter().map(|(results, _)| results).collect();
                machine::sarif(&all, &kinds(), self.anchor)
            }
        }
    }

    /// The runner shows what is appended to the file that it names.
    fn job_summary(&self) -> Result<(), Failure> {
        let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
            return Ok(());
        };
        let path = PathBuf::from(path);
        let file = std::fs::File::options().append(true).create(true).open(&path);
        file.and_then(|mut file| file.write_all(self.document(FormatArg::Github).as_bytes())).map_err(
            |error| {
                Failure::new(
                    exit::RESULTS,
                    format!("{}: writing the summary of the job: {error}", path.display()),
                )
            },
        )
    }
}

/// The format where none was asked for.
fn usual() -> FormatArg {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if set("PERJURY_NARRATED") {
        FormatArg::Narrated
    } else if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        FormatArg::Github
    } else {
        FormatArg::Human
    }
}

/// All that a person is told of one history, as a file.
fn page(results: &Results, paths: &Paths, format: FormatArg) -> String {
    let mut text = match format {
        FormatArg::Narrated => {
            results.anomalies.iter().map(|anomaly| terminal::narrated(anomaly) + "\n").collect()
        }
        _ => terminal::anomalies(results, paths, &FILE_LOOK),
    };
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
    text + &terminal::beside(results, &FILE_LOOK) + &terminal::verdict(results, paths, &FILE_LOOK)
}

/// What there is to say about each kind.
fn kinds() -> Vec<Kind> {
    let kind = |kind: &checker::kinds::Kind| Kind {
        name: kind.name.to_string(),
        sentence: kind.sentence.to_string(),
        meaning: kind.meaning.to_string(),
    };
    checker::kinds::kinds().iter().map(kind).collect()
}

fn trace(path: &Path, history: &History, results: &Results) -> Result<(), Failure> {
    let written = std::fs::File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        machine::chrome_trace(history, &results.faults, Some(results), &mut out)?;
        out.flush()
    });
    written.map_err(|error| {
        Failure::new(exit::RESULTS, format!("{}: writing the trace: {error}", path.display()))
    })
}
