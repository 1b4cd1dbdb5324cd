//! From a history to results: judge each property within its budget, explain what is violated, say what was not tested.

use crate::checking::Checking;
use crate::exit::{self, Failure};
use crate::further::further;
use crate::not_tested;
use checker::{JudgeError, Judged, Ladder, Limits, ModelName, Progress, Rung, Spec};
use history::History;
use history::results::{
    self, Anomaly, Answer, CheckerInfo, FaultRecord, Judgement, ObjectJudgement, Results, RunInfo, SCHEMA,
    Verdict,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Violated objects that are explained in full; the others are counted.
pub const EXPLAINED_MAX: usize = 100;

/// A property that was not asked for informs only, and may not take longer than this.
const INFORM_MAX: Duration = Duration::from_secs(10);

/// The properties that only inform: with `--property all` every one, the cheap ones first and what needs a search last,
/// which often follows from them; else sequential consistency, which says what kind of violation there is.
pub fn informing(all: bool) -> Vec<Rung> {
    let (mut inform, searched): (Vec<Rung>, Vec<Rung>) =
        Rung::all().into_iter().rev().partition(|rung| !rung.is_searched());
    if !all {
        return vec![Rung::Linearizable, Rung::Sequential];
    }
    inform.extend(searched);
    inform
}

/// What is asked of a history.
#[derive(Clone, Debug)]
pub struct Question {
    /// The model, and what it takes for granted.
    pub spec: Spec,
    /// What was assumed to get there, one sentence each.
    pub assumptions: Vec<String>,
    /// The properties that the exit code speaks of.
    pub asked: Vec<Rung>,
    /// Properties that only inform; judged where an asked one is violated, or where `always_inform`.
    pub inform: Vec<Rung>,
    /// Judge the informing properties even when nothing is violated.
    pub always_inform: bool,
    /// Time for each property.
    pub timeout: Duration,
    /// Bytes for the searches together.
    pub memory: u64,
    /// Threads; 0 means one per processor.
    pub threads: usize,
    /// Whether every violation of an object is looked for, and not only the first.
    pub every: bool,
}

/// What is known about a history beside its events.
#[derive(Debug, Default)]
pub struct Background {
    /// The run that made it, if this tool did.
    pub run: Option<RunInfo>,
    /// What was done to the cluster.
    pub faults: Vec<FaultRecord>,
    /// Why the run tested too little.
    pub vacuous: Vec<String>,
}

/// Results, with the evidence that they rest on.
#[derive(Debug)]
pub struct Concluded {
    /// What is said.
    pub results: Results,
    /// Per property that was searched, why: orders and cores.
    pub evidence: Vec<(Rung, Judged)>,
    /// Per anomaly of the results, its object: the place of that in the judgement of its property.
    pub objects: Vec<usize>,
}

/// Judges `history`, and explains it.
///
/// # Errors
/// An operation that the model does not know (65), or evidence that the verifier refuses, which is our bug (70).
pub fn judge(
    history: &mut History,
    question: &Question,
    background: Background,
    interrupt: &AtomicBool,
    quiet: bool,
) -> Result<Concluded, Failure> {
    let mut found = Found { warnings: history.warnings.clone(), ..Found::default() };
    found.ask(history, question, &background, interrupt, quiet)?;
    found.inform(history, question, interrupt, quiet)?;
    Ok(found.conclude(history, question, background))
}

/// What was found so far: by this process, or by those that judged the shards of a history.
#[derive(Debug, Default)]
pub struct Found {
    /// One per property, in the order of the question.
    pub judgements: Vec<Judgement>,
    /// Per property that was searched here, why.
    pub evidence: Vec<(Rung, Judged)>,
    /// Explained violations, in the order of the judgements and their objects.
    pub anomalies: Vec<Anomaly>,
    /// Per anomaly, its object: the place of that in its judgement.
    pub objects: Vec<usize>,
    /// Violated objects that were not explained.
    pub anomalies_more: u32,
    /// What had to be assumed.
    pub warnings: Vec<String>,
    /// The reads and writes of the history, for the properties that speak of nothing else, once one was asked for.
    pub ladder: Option<Ladder>,
    /// What came of the messages, if the model counts that.
    pub delivery: Option<results::Delivery>,
    /// Where the history stands among all properties, if all were asked for.
    pub place: Option<results::Ladder>,
}

impl Found {
    /// Judges the properties that were asked for, and explains what is violated.
    ///
    /// # Errors
    /// As [`judge`].
    pub fn ask(
        &mut self,
        history: &mut History,
        question: &Question,
        background: &Background,
        interrupt: &AtomicBool,
        quiet: bool,
    ) -> Result<(), Failure> {
        if question.spec.model == ModelName::Delivery {
            self.delivery = Some(checker::delivered(history));
        }
        for &property in &question.asked {
            let Some(judged) =
                self.search(history, question, property, question.timeout, interrupt, quiet)?
            else {
                continue;
            };
            let started = Instant::now();
            for violation in &judged.violations {
                // The same object may break several properties; the strongest that was asked explains it best.
                if self.anomalies.len() >= EXPLAINED_MAX {
                    self.anomalies_more += 1;
                    continue;
                }
                let id = self.anomalies.len() as u32 + 1;
                let core = &violation.counterexample;
                let mut anomaly = checker::explain::explain(history, &question.spec, property, core, id);
                checker::explain::coincide(&mut anomaly, &background.faults);
                self.anomalies.push(anomaly);
                self.objects.push(violation.object);
                if question.every {
                    let left = question.timeout.saturating_sub(started.elapsed());
                    let further = further(history, question, property, violation, left, interrupt)?;
                    self.warnings.extend(further.more);
                    for mut anomaly in further.anomalies {
                        if self.anomalies.len() >= EXPLAINED_MAX {
                            self.anomalies_more += 1;
                            continue;
                        }
                        anomaly.id = self.anomalies.len() as u32 + 1;
                        checker::explain::coincide(&mut anomaly, &background.faults);
                        self.anomalies.push(anomaly);
                        self.objects.push(violation.object);
                    }
                }
            }
            self.evidence.push((property, judged));
        }
        Ok(())
    }

    /// Judges the other properties, where that is of use.
    ///
    /// # Errors
    /// As [`judge`].
    pub fn inform(
        &mut self,
        history: &mut History,
        question: &Question,
        interrupt: &AtomicBool,
        quiet: bool,
    ) -> Result<(), Failure> {
        let timeout = question.timeout.min(INFORM_MAX);
        if question.always_inform {
            self.ladder(history, question)?;
        }
        let asked = self.judgements.len();
        for &property in question.inform.iter().filter(|property| !question.asked.contains(property)) {
            let violated = self.judgements.iter().any(|judgement| judgement.answer == Answer::Violated);
            if question.always_inform || violated {
                let judged = self.search(history, question, property, timeout, interrupt, quiet)?;
                self.evidence.extend(judged.map(|judged| (property, judged)));
            }
        }
        let rank = |judgement: &Judgement| Rung::all().iter().position(|r| r.name() == judgement.property);
        self.judgements[asked..].sort_by_key(rank);
        if let (Some(ladder), true) = (&self.ladder, question.always_inform) {
            let answer = |j: &Judgement| Rung::find(&j.property).map(|rung| (rung, j.answer));
            let answers: Vec<(Rung, Answer)> = self.judgements.iter().filter_map(answer).collect();
            self.place = Some(ladder.place(history, &answers));
        }
        Ok(())
    }

    /// The reads and writes of the history, found once.
    fn ladder(&mut self, history: &mut History, question: &Question) -> Result<&Ladder, Failure> {
        let ladder = match self.ladder.take() {
            Some(ladder) => ladder,
            None => Ladder::of(history, &question.spec).map_err(|error| unjudged(history, error))?,
        };
        Ok(self.ladder.insert(ladder))
    }

    /// Whether one property implies another in this history.
    fn implies(&self, stronger: Rung, weaker: Rung) -> bool {
        match &self.ladder {
            Some(ladder) => ladder.implies(stronger, weaker),
            None => stronger.reaches_across(weaker),
        }
    }

    /// What follows from what is known: a stronger property that holds, or a weaker one that is violated.
    fn implied(&self, property: Rung) -> Option<Judgement> {
        let known = |answer: Answer| self.judgements.iter().filter(move |j| j.answer == answer);
        let stronger = |j: &&Judgement| Rung::find(&j.property).is_some_and(|s| self.implies(s, property));
        let weaker = |j: &&Judgement| Rung::find(&j.property).is_some_and(|w| self.implies(property, w));
        let (from, method) = match known(Answer::Holds).find(stronger) {
            Some(from) => (from, format!("implied by {}", from.property)),
            None => {
                let from = known(Answer::Violated).find(weaker)?;
                (from, format!("as {} is violated", from.property))
            }
        };
        let count = |of: fn(&ObjectJudgement) -> u32| from.objects.iter().map(of).sum();
        Some(Judgement {
            property: property.name().to_string(),
            model: from.model.clone(),
            answer: from.answer,
            scope: "whole history".to_string(),
            objects: vec![ObjectJudgement {
                keys: Vec::new(),
                ops: count(|object| object.ops),
                unknown: count(|object| object.unknown),
                answer: from.answer,
                method,
                states: 0,
                reason: String::new(),
            }],
            states: 0,
            seconds: 0.0,
        })
    }

    /// Judges one property; nothing to be searched where it follows from what is known.
    fn search(
        &mut self,
        history: &mut History,
        question: &Question,
        property: Rung,
        timeout: Duration,
        interrupt: &AtomicBool,
        quiet: bool,
    ) -> Result<Option<Judged>, Failure> {
        if let Some(implied) = self.implied(property) {
            self.judgements.push(implied);
            return Ok(None);
        }
        let judged = if property.is_searched() {
            judge_one(history, question, property, timeout, interrupt, quiet, None)?
        } else {
            // Nothing of a history is large but its operations, and these are borrowed from it.
            self.ladder(history, question)?;
            judge_one(history, question, property, timeout, interrupt, quiet, self.ladder.as_ref())?
        };
        self.warnings.extend(judged.disagreements.iter().cloned());
        self.judgements.push(judged.judgement.clone());
        Ok(Some(judged))
    }

    /// The results.
    pub fn conclude(self, history: &History, question: &Question, background: Background) -> Concluded {
        // The worst kind first, and of one kind the earliest: what a person should read if he reads only one.
        let mut anomalies: Vec<(Anomaly, usize)> = self.anomalies.into_iter().zip(self.objects).collect();
        anomalies.sort_by_key(|(anomaly, _)| {
            (checker::kinds::rank(&anomaly.kind), anomaly.ops.iter().map(|op| op.invoke).max())
        });
        for ((anomaly, _), id) in anomalies.iter_mut().zip(1..) {
            anomaly.id = id;
        }
        let (anomalies, objects) = anomalies.into_iter().unzip();
        let asked: Vec<String> = question.asked.iter().map(|property| property.name().to_string()).collect();
        let answers = self.judgements.iter().filter(|judgement| asked.contains(&judgement.property));
        let verdict = verdict(answers.map(|judgement| judgement.answer), !background.vacuous.is_empty());
        let results = Results {
            schema: SCHEMA.to_string(),
            verdict,
            not_tested: if verdict == Verdict::Valid {
                not_tested::sentences(history, &background.faults, background.run.as_ref())
            } else {
                Vec::new()
            },
            asked,
            judgements: self.judgements,
            ladder: self.place,
            delivery: self.delivery,
            anomalies,
            anomalies_more: self.anomalies_more,
            vacuous: background.vacuous,
            stats: history::stats(history),
            faults: background.faults,
            run: background.run,
            checker: CheckerInfo {
                version: env!("CARGO_PKG_VERSION").to_string(),
                history: history.source.name.clone(),
                format: history.source.format.to_string(),
                assumptions: question.assumptions.clone(),
                threads: threads(question.threads) as u32,
                timeout_seconds: question.timeout.as_secs_f64(),
                memory_bytes: question.memory,
            },
            warnings: self.warnings,
        };
        Concluded { results, evidence: self.evidence, objects }
    }
}

fn verdict(answers: impl Iterator<Item = Answer> + Clone, vacuous: bool) -> Verdict {
    if answers.clone().any(|answer| answer == Answer::Violated) {
        Verdict::Invalid
    } else if answers.clone().any(|answer| answer == Answer::Undecided) {
        Verdict::Undecided
    } else if vacuous {
        Verdict::Vacuous
    } else {
        Verdict::Valid
    }
}

fn threads(asked: usize) -> usize {
    if asked > 0 { asked } else { std::thread::available_parallelism().map_or(1, std::num::NonZero::get) }
}

/// Judges one property, and nothing else.
///
/// # Errors
/// As [`judge`].
pub fn judge_one(
    history: &mut History,
    question: &Question,
    property: Rung,
    timeout: Duration,
    interrupt: &AtomicBool,
    quiet: bool,
    ladder: Option<&Ladder>,
) -> Result<Judged, Failure> {
    let stop = AtomicBool::new(false);
    let states = AtomicU64::new(0);
    let latest: Mutex<Option<Progress>> = Mutex::new(None);
    let started = Instant::now();
    let (done, watched) = channel::<()>();
    // What was read is in memory, too.
    let bytes = question.memory.saturating_sub(resident().saturating_sub(SPARE));
    let result = std::thread::scope(|scope| {
        let (stop, latest) = (&stop, &latest);
        let what = format!("{} ({})", property.name(), question.spec.model.name());
        let checking = Checking::new(what, timeout, question.memory, quiet);
        scope.spawn(move || watch(&watched, started, timeout, stop, latest, interrupt, checking));
        let tell = |progress| {
            // Whoever comes while another tells has nothing newer to say.
            if let Ok(mut latest) = latest.try_lock() {
                *latest = Some(progress);
            }
        };
        let limits = Limits {
            stop,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            threads: threads(question.threads),
            states: &states,
            progress: Some(&tell),
        };
        let result = match ladder {
            Some(ladder) => ladder.judge(history, property, &limits),
            None => checker::judge(history, &question.spec, property, &limits),
        };
        drop(done);
        result
    });
    let mut judged = result.map_err(|error| unjudged(history, error))?;
    judged.judgement.seconds = started.elapsed().as_secs_f64();
    let why = if interrupt.load(Ordering::SeqCst) {
        "interrupted".to_string()
    } else {
        format!("time limit ({:.0} s) reached", timeout.as_secs_f64())
    };
    for (object, stuck) in judged.judgement.objects.iter_mut().zip(&judged.stuck) {
        if object.answer != Answer::Undecided {
            continue;
        }
        if stop.load(Ordering::SeqCst) {
            object.reason = format!("{why} after {}", count(object.states, "state"));
        }
        if let Some(stuck) = stuck {
            object.reason += &format!(": {}", stuck.describe(|op| named(history, op)));
        }
    }
    Ok(judged)
}

/// Why there is no judgement, as an exit code.
pub fn unjudged(history: &History, error: JudgeError) -> Failure {
    match error {
        JudgeError::Malformed(malformed) => Failure::new(exit::HISTORY, malformed.to_string()),
        JudgeError::Spec(what) => Failure::usage(what),
        JudgeError::Disagreement(what) => Failure::new(
            exit::BUG,
            format!(
                "{}: the verifier refuses the checker's evidence, so there is no verdict: {what}",
                history.source.name
            ),
        ),
    }
}

/// An operation as the lines of its history show it: `write of process 3 (line 17)`.
fn named(history: &History, op: u32) -> String {
    let op = &history.ops[op as usize];
    let process = history.processes[op.process as usize];
    format!("{} of process {process} (line {})", history.values.get(op.f), op.invoke_line)
}

/// Bytes that the program itself needs, and that the memory limit does not speak of.
const SPARE: u64 = 16 << 20;

/// Bytes of memory in use; 0 where the system does not say.
fn resident() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Owns the clock: stops the search when its time is up or somebody interrupts, and shows that it is alive.
fn watch(
    done: &std::sync::mpsc::Receiver<()>,
    started: Instant,
    timeout: Duration,
    stop: &AtomicBool,
    latest: &Mutex<Option<Progress>>,
    interrupt: &AtomicBool,
    mut checking: Option<Checking>,
) {
    while let Err(RecvTimeoutError::Timeout) = done.recv_timeout(Duration::from_millis(20)) {
        let elapsed = started.elapsed();
        if elapsed >= timeout || interrupt.load(Ordering::SeqCst) {
            stop.store(true, Ordering::SeqCst);
        }
        if let Some(checking) = &mut checking {
            checking.show(elapsed, latest.lock().ok().and_then(|latest| *latest));
        }
    }
}

/// `1 state`, `950 states`, `41.2 M states`.
pub fn count(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    match n {
        0..1_000_000 => format!("{} {noun}{s}", grouped(n)),
        1_000_000..1_000_000_000 => format!("{:.1} M {noun}s", n as f64 / 1e6),
        _ => format!("{:.1} G {noun}s", n as f64 / 1e9),
    }
}

/// `102602` as `102 602`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_beats_doubt_and_doubt_beats_vacuity() {
        use Answer::{Holds, Undecided, Violated};
        assert_eq!(verdict([Holds, Undecided, Violated].into_iter(), true), Verdict::Invalid);
        assert_eq!(verdict([Holds, Undecided].into_iter(), true), Verdict::Undecided);
        assert_eq!(verdict([Holds].into_iter(), true), Verdict::Vacuous);
        assert_eq!(verdict([Holds].into_iter(), false), Verdict::Valid);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1234), "1 234");
        assert_eq!(grouped(1_000_000), "1 000 000");
        assert_eq!(count(1, "state"), "1 state");
        assert_eq!(count(41_200_000, "state"), "41.2 M states");
    }
}
