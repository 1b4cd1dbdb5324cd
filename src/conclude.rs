//! From a run that ended to what it leaves behind: results first, then drawings, then the summary.
//!
//! ```text
//!   history.jsonl ──▶ judge ──▶ results.json ──▶ certificate.json ──▶ anomaly-N.jsonl ──▶ report.html ──▶ summary.json
//!                         ▲ from here on nothing can change the verdict
//! ```
//! The summary says that the run came to its end, so it appears last; but it is on the disk before the page is, which may
//! take all the room that is left.

use crate::certificate::{Certificate, ReadAs};
use crate::consequences;
use crate::exit::{self, Failure};
use crate::judging::{self, Background, Question};
use crate::run::{RunRecord, StageError, Thresholds, vacuous};
use crate::store::Run;
use crate::{show, subject};
use checker::{FailedCas, ModelName, NilRead, Rung, Spec};
use history::results::{Results, RunInfo};
use history::{History, ReadOptions};
use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use workloads::Workload;

/// What is asked of every run of a workload: its model, the properties that it names, and the usual limits.
///
/// # Errors
/// The workload names a model or property that there is not, which is our bug (70).
pub fn question(workload: &dyn Workload, timeout: Duration) -> Result<Question, Failure> {
    let unknown = |what: &str| {
        Failure::new(exit::BUG, format!("workload {}: there is no {what} of that name", workload.name()))
    };
    let model = ModelName::find(workload.model()).ok_or_else(|| unknown("model"))?;
    let properties = |names: &[&str]| -> Result<Vec<Rung>, Failure> {
        names.iter().map(|name| Rung::find(name).ok_or_else(|| unknown("property"))).collect()
    };
    // Our own events say everything that they mean: a `fail` did not happen, a null was there.
    let spec = Spec { model, initial: None, failed_cas: FailedCas::Drop, nil_read: NilRead::Observe };
    Ok(Question {
        assumptions: spec.assumptions(),
        spec,
        asked: properties(workload.asked())?,
        inform: properties(workload.informs())?,
        always_inform: false,
        timeout,
        memory: 4 << 30,
        threads: 0,
        every: false,
    })
}

/// What a run was for, beside its record.
pub struct Purpose<'a> {
    /// What its clients did.
    pub workload: &'a dyn Workload,
    /// Kinds of fault that were asked for.
    pub nemesis: &'a [&'static str],
    /// How much there must be of everything; `None` where a script says what it must have seen.
    pub thresholds: Option<&'a Thresholds>,
    /// What is asked.
    pub question: Question,
    /// What the report shows about the run.
    pub info: RunInfo,
}

/// A run that was judged.
pub struct Concluded {
    /// What was found.
    pub results: Results,
    /// In what.
    pub history: History,
    /// Why the results are not all on the disk (74). Who was told the verdict is told this after it.
    pub unwritten: Option<Failure>,
}

/// Judges a run and writes everything that it leaves behind.
///
/// # Errors
/// A history that cannot be read back (70, or 74 if the disk is at fault).
/// A report that cannot be drawn is said on stderr and changes nothing.
pub fn conclude(
    run: &Run,
    record: RunRecord,
    purpose: Purpose<'_>,
    skip: &AtomicBool,
    quiet: bool,
) -> Result<Concluded, Failure> {
    let options = ReadOptions { own: true, ..ReadOptions::default() };
    let mut history = history::read_file(&record.history, &options).map_err(|error| {
        let mut failure = subject::read_failure(error);
        failure.code = exit::BUG;
        failure
    })?;
    let vacuous = purpose.thresholds.map_or_else(Vec::new, |thresholds| {
        vacuous(&history, purpose.workload, purpose.nemesis, &record.faults, &record.hits, thresholds)
    });
    let info = RunInfo {
        version: record.version,
        nodes: record.nodes,
        zero: Some(record.zero),
        ahead: record.ahead,
        stride: Some(record.stride),
        interrupted: record.interrupted,
        notes: record.notes.into_iter().chain(consequences::note(&history, &record.faults)).collect(),
        ..purpose.info
    };
    let background = Background { run: Some(info), faults: record.faults, vacuous };
    let concluded = judging::judge(&mut history, &purpose.question, background, skip, quiet)?;
    let unwritten = keep(run, &concluded, &history, &purpose.question).err();
    Ok(Concluded { results: concluded.results, history, unwritten })
}

/// Writes what a run leaves behind.
fn keep(
    run: &Run,
    concluded: &judging::Concluded,
    history: &History,
    question: &Question,
) -> Result<(), Failure> {
    let (results, evidence) = (&concluded.results, &concluded.evidence);
    run.write_results(results).map_err(|error| unwritten(&error))?;
    if Certificate::small(evidence) {
        let certificate =
            Certificate::new(history, question, ReadAs::default(), &results.judgements, evidence);
        show::write_certificate(&run.certificate(), &certificate)?;
    }
    run.write_anomalies(&results.anomalies).map_err(|error| unwritten(&error))?;
    let summary = run.prepare_summary(results).map_err(|error| unwritten(&error))?;
    show::page_beside(&run.report(), results, history, Some(run));
    summary.publish().map_err(|error| unwritten(&error))
}

/// The disk's error.
pub fn unwritten(error: &io::Error) -> Failure {
    Failure::new(exit::RESULTS, error.to_string())
}

/// Why a stage ended early, as an exit code.
pub fn stage_failure(error: StageError) -> Failure {
    match error {
        StageError::Cluster(error) => Failure::new(exit::CLUSTER, error),
        StageError::Write(error) => Failure::new(exit::RESULTS, error),
    }
}
