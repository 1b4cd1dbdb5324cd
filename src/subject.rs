//! What a person points at: a history file, standard input, or a run directory.

use crate::cached;
use crate::certificate::{Certificate, ReadAs};
use crate::cli::parse::Bytes;
use crate::cli::{FailedCasArg, NilReadArg, OrderArg, QuestionArgs, ReadArgs};
use crate::config::no_such;
use crate::content::Hashing;
use crate::exit::{self, Failure};
use crate::judging::{self, Background, Concluded, Question};
use crate::store::Run;
use checker::{FailedCas, ModelName, NilRead, Rung, Spec};
use history::{Format, History, Order, ReadError, ReadOptions, Shard, Value, ValueId};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// A history with what else is known about it.
pub struct Subject {
    /// The history.
    pub history: History,
    /// The run directory it was found in, if it was.
    pub run: Option<Run>,
}

impl Subject {
    /// Reads a file, standard input (`-`) or the history of a run directory, in as much memory as is allowed.
    ///
    /// # Errors
    /// What is no history ends with exit code 65, an unknown format name with 64, what is too large for `memory` with 2.
    pub fn open(path: &Path, args: &ReadArgs, memory: Option<u64>) -> Result<Subject, Failure> {
        let (file, run, mut options) = place(path, args)?;
        options.memory = memory;
        let history = cached::read_file(&file, &options, !args.no_cache).map_err(read_failure)?;
        Ok(Subject { history, run })
    }

    /// The same, of the keys of a shard alone.
    ///
    /// # Errors
    /// As [`Subject::open`]; a history that names no keys has no shards (65).
    pub fn open_shard(path: &Path, args: &ReadArgs, shard: Shard, memory: u64) -> Result<Subject, Failure> {
        let (file, run, mut options) = place(path, args)?;
        (options.shard, options.memory) = (Some(shard), Some(memory));
        let history = history::read_file(&file, &options).map_err(read_failure)?;
        Ok(Subject { history, run })
    }

    /// The same, of the keys of a shard alone if one is named, with the hash of all bytes.
    ///
    /// # Errors
    /// As [`Subject::open`]; a history that names no keys has no shards (65).
    pub fn open_hashed(
        path: &Path,
        args: &ReadArgs,
        shard: Option<Shard>,
        memory: Option<u64>,
    ) -> Result<(Subject, String), Failure> {
        let (file, run, mut options) = place(path, args)?;
        (options.shard, options.memory) = (shard, memory);
        let name = file.display().to_string();
        let unreadable =
            |error: std::io::Error| Failure::new(exit::HISTORY, format!("{name}: cannot be read: {error}"));
        let bytes: Box<dyn Read + Send> = if name == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(&file).map_err(unreadable)?)
        };
        let (reader, sum) = Hashing::new(bytes);
        let history = history::read(&name, Box::new(reader), &options).map_err(read_failure)?;
        let hash = sum.lock().unwrap_or_else(PoisonError::into_inner).name();
        Ok((Subject { history, run }, hash))
    }

    /// Keeps the operations of one key, named as text or as JSON.
    ///
    /// # Errors
    /// There is no such key (64).
    pub fn narrow(&mut self, key: &str) -> Result<(), Failure> {
        let values = &self.history.values;
        let named = |id: ValueId| {
            let value = values.get(id);
            value.to_string() == key || value.as_text() == Some(key) || value.to_json() == key
        };
        let mut seen: Vec<ValueId> = self.history.ops.iter().map(|op| op.key).collect();
        seen.sort_unstable();
        seen.dedup();
        match seen.iter().find(|id| **id != ValueId::NULL && named(**id)) {
            Some(&id) => {
                self.history.ops.retain(|op| op.key == id);
                Ok(())
            }
            None => Err(Failure::usage(format!(
                "--key: none of the {} keys of {} is {key}",
                seen.iter().filter(|id| **id != ValueId::NULL).count(),
                self.history.source.name
            ))),
        }
    }

    /// What is known beside the events: the run's own records, or what the nemesis wrote into the history.
    pub fn background(&self) -> Background {
        let faults = crate::faults::from_events(&self.history);
        match self.run.as_ref().and_then(Run::results) {
            Some(results) => {
                Background { run: results.run, faults: results.faults, vacuous: results.vacuous }
            }
            None => Background { run: self.run.as_ref().and_then(Run::info), faults, vacuous: Vec::new() },
        }
    }

    /// The evidence for what was concluded, as it is kept in a file.
    pub fn certificate(&self, args: &ReadArgs, question: &Question, concluded: &Concluded) -> Certificate {
        let Concluded { results, evidence, .. } = concluded;
        Certificate::new(&self.history, question, read_as(args), &results.judgements, evidence)
    }

    /// The question that the flags ask of this history.
    ///
    /// # Errors
    /// Unknown names, an initial value that is no JSON, or a model that is not unique (64).
    pub fn question(&self, args: &QuestionArgs) -> Result<Question, Failure> {
        let mut assumptions = Vec::new();
        let model = match args.model.as_str() {
            "auto" => match self.run.as_ref().and_then(Run::model) {
                Some(model) => model,
                None => {
                    let (model, said) = checker::auto_model(&self.history).map_err(Failure::usage)?;
                    assumptions.extend(said);
                    model
                }
            },
            name => model(name)?,
        };
        let initial = args
            .initial
            .as_deref()
            .map(Value::from_json)
            .transpose()
            .map_err(|error| Failure::usage(format!("--initial: expected a JSON value: {error}")))?;
        let spec = Spec {
            model,
            initial,
            failed_cas: match args.failed_cas {
                FailedCasArg::Auto => FailedCas::auto(self.history.source.format),
                FailedCasArg::Observe => FailedCas::Observe,
                FailedCasArg::Drop => FailedCas::Drop,
            },
            nil_read: match args.nil_read {
                NilReadArg::Observe => NilRead::Observe,
                NilReadArg::Unknown => NilRead::Unknown,
            },
        };
        assumptions.extend(spec.assumptions());
        let named = properties(&args.property)?;
        let required = properties(&args.require)?;
        let all = args.property.iter().any(|name| name == "all");
        let asked = match (all, required.is_empty()) {
            (true, true) => vec![Rung::Linearizable],
            (true, false) => required,
            (false, _) => {
                let mut asked = named;
                asked.extend(
                    required
                        .into_iter()
                        .filter(|property| !args.property.iter().any(|p| p == property.name())),
                );
                asked
            }
        };
        Ok(Question {
            spec,
            assumptions,
            asked,
            inform: judging::informing(all),
            always_inform: all,
            timeout: args.limits.timeout.0,
            memory: args.limits.memory.0,
            threads: args.limits.threads,
            every: false,
        })
    }
}

/// The model of that name.
///
/// # Errors
/// There is none (64), with the nearest name that there is.
pub fn model(name: &str) -> Result<ModelName, Failure> {
    ModelName::find(name)
        .ok_or_else(|| no_such("model", name, ModelName::all().iter().map(|model| model.name())))
}

/// The property of that name.
///
/// # Errors
/// There is none (64), with the nearest name that there is.
pub fn property(name: &str) -> Result<Rung, Failure> {
    let found = Rung::find(name);
    found.ok_or_else(|| no_such("property", name, Rung::all().iter().map(|rung| rung.name()).chain(["all"])))
}

fn properties(names: &[String]) -> Result<Vec<Rung>, Failure> {
    let mut found = Vec::new();
    for name in names.iter().filter(|name| *name != "all") {
        let property = property(name)?;
        if !found.contains(&property) {
            found.push(property);
        }
    }
    Ok(found)
}

/// The format of that name; `None` for `auto`.
fn format(name: &str) -> Result<Option<Format>, Failure> {
    if name == "auto" {
        return Ok(None);
    }
    let found = Format::named(name);
    found
        .map(Some)
        .ok_or_else(|| no_such("format", name, Format::all().iter().map(|f| f.name()).chain(["auto"])))
}

/// How a file was read, for those who read it again.
pub fn read_as(args: &ReadArgs) -> ReadAs {
    ReadAs {
        independent: args.independent,
        by_time: args.order == Some(OrderArg::Time),
        allow_truncated: args.allow_truncated,
    }
}

/// The history file at a path, the run that it belongs to, and how it is to be read.
pub fn place(path: &Path, args: &ReadArgs) -> Result<(PathBuf, Option<Run>, ReadOptions), Failure> {
    let mut options = read_options(args)?;
    let run = Run::at(path);
    let file = match &run {
        Some(run) => {
            options.own = true;
            // A run that has no summary was cut off: its last line may be half a line.
            options.allow_truncated |= !run.finished();
            run.history()
        }
        None => path.to_path_buf(),
    };
    Ok((file, run, options))
}

/// How a file is to be read.
///
/// # Errors
/// An unknown format name (64).
pub fn read_options(args: &ReadArgs) -> Result<ReadOptions, Failure> {
    Ok(ReadOptions {
        format: format(&args.input)?,
        independent: args.independent,
        order: args.order.map(|order| match order {
            OrderArg::Line => Order::Line,
            OrderArg::Time => Order::Time,
        }),
        allow_truncated: args.allow_truncated,
        ..ReadOptions::default()
    })
}

/// What cannot be read ends with 65, whatever the reason: there is no history. Only of what is too large it is not known
/// whether it is one (2).
pub fn read_failure(error: ReadError) -> Failure {
    match error {
        ReadError::TooLarge { limit, .. } => {
            let more = Bytes(limit.saturating_mul(4));
            Failure::new(exit::UNDECIDED, format!("undecided: {error}; to go on: --memory {more}"))
        }
        ReadError::Malformed(_) | ReadError::Io { .. } => Failure::new(exit::HISTORY, error.to_string()),
    }
}
