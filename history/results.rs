//! The plain data of results: what checkers conclude, what a run was, what reports draw. `results.json` is [`Results`].
//!
//! Everything here is text and numbers on purpose: a report is made from `results.json` and `history.jsonl` alone,
//! on another machine, years later, without a model and without a checker.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of `results.json`, raised when a reader of the old one would misread the new one.
pub const SCHEMA: &str = "perjury.results/1";

/// The answer to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// A legal order exists, was found, and was replayed by separate code.
    Holds,
    /// No legal order exists; a core was found and refuted by separate code.
    Violated,
    /// A budget ended first. Never a pass.
    Undecided,
}

/// The verdict of a whole run or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every property that was asked for holds. Exit code 0.
    Valid,
    /// A property is violated. Exit code 1.
    Invalid,
    /// No property is violated, and at least one is undecided. Exit code 2.
    Undecided,
    /// Everything holds, but too little was tested to mean anything. Exit code 3.
    Vacuous,
}

/// Everything that was concluded about one history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// The verdict over `asked`.
    pub verdict: Verdict,
    /// The properties that the exit code speaks of.
    pub asked: Vec<String>,
    /// One per property that was judged, the asked ones first.
    pub judgements: Vec<Judgement>,
    /// Where the history stands among all properties, if all were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
    /// What came of the messages, if delivery at least once was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// What was found, worst first.
    pub anomalies: Vec<Anomaly>,
    /// How many more violated objects there are that were not explained.
    pub anomalies_more: u32,
    /// Why the run tested too little, one sentence each; empty if it did not.
    pub vacuous: Vec<String>,
    /// What a valid verdict does not cover, one sentence each.
    pub not_tested: Vec<String>,
    /// Counts and latencies.
    pub stats: Stats,
    /// What was done to the cluster.
    pub faults: Vec<FaultRecord>,
    /// The run, if this tool made the history.
    pub run: Option<RunInfo>,
    /// How it was checked.
    pub checker: CheckerInfo,
    /// What the reader or the checker had to assume, one sentence each.
    pub warnings: Vec<String>,
}

/// Where a history stands in the diagram of properties, of which some imply others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The strongest that hold: what they imply holds, too, and is not listed.
    pub holds: Vec<String>,
    /// The weakest that are violated: what implies them is violated, too, and is not listed.
    pub violated: Vec<String>,
    /// Those of which nothing is known, neither by themselves nor by others.
    pub undecided: Vec<String>,
    /// How old the values were that were read, where reads name their writes.
    pub staleness: Option<Staleness>,
}

/// How old the oldest value was that was read. Lower bounds (`docs/properties.md`); zero in a linearizable history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staleness {
    /// Reads that were looked at: those that name their write, which was answered.
    pub reads: u64,
    /// Those that saw a value that had been replaced when they were sent.
    pub stale_reads: u64,
    /// By how many acknowledged writes the oldest value had been replaced.
    pub versions: u64,
    /// The longest time in nanoseconds for which a value that was read had been replaced, if times were recorded.
    pub age_ns: Option<i64>,
    /// Line of the read that was the most versions behind; 0 if none was.
    pub line: u32,
    /// Its key, as text, if there is one.
    pub key: Option<String>,
}

/// What came of messages that are delivered at least once: what that allows is counted, and no violation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Keys.
    pub keys: u64,
    /// Messages whose sending was acknowledged.
    pub confirmed: u64,
    /// Messages whose sending was never answered: they may come, or not.
    pub unanswered: u64,
    /// Messages that came, in dequeues and drains, each time that they did.
    pub deliveries: u64,
    /// Those of them beyond the times that the message was sent.
    pub duplicates: u64,
    /// Messages that came more often than they were sent.
    pub repeated: u64,
    /// Messages that came after one that was sent only after they had been confirmed.
    pub reordered: u64,
    /// Deliveries of what nobody sent: each is a violation.
    pub unsent: u64,
    /// Confirmed messages that never came, although a drain was sent after their confirmation.
    pub missing: u64,
    /// Confirmed messages that never came, and nobody drained after them: nothing is known.
    pub waiting: u64,
    /// Dequeues and drains that were never answered: each may have taken messages with it.
    pub unheard: u64,
    /// Keys that two drains found empty in the end, with nothing sent or delivered after the first of them was sent.
    pub emptied: u64,
}

impl Delivery {
    /// Adds the counts of other keys.
    pub fn add(&mut self, other: &Delivery) {
        self.keys += other.keys;
        self.confirmed += other.confirmed;
        self.unanswered += other.unanswered;
        self.deliveries += other.deliveries;
        self.duplicates += other.duplicates;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.unsent += other.unsent;
        self.missing += other.missing;
        self.waiting += other.waiting;
        self.unheard += other.unheard;
        self.emptied += other.emptied;
    }
}

/// What is known about one property.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// `linearizable`, `sequential` …
    pub property: String,
    /// `register`, `queue` …
    pub model: String,
    /// Over all objects: violated beats undecided beats holds.
    pub answer: Answer,
    /// How the history was split: `per key`, `whole history`.
    pub scope: String,
    /// One per object that was judged on its own, in order of first appearance.
    pub objects: Vec<ObjectJudgement>,
    /// CPU-independent work: configurations visited by all searches.
    pub states: u64,
    /// Wall seconds of this judgement alone.
    pub seconds: f64,
}

/// What is known about one object: a key, several keys that operations join, or the whole history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectJudgement {
    /// The keys in it, as text; empty if the events name none.
    pub keys: Vec<String>,
    /// How many operations were judged.
    pub ops: u32,
    /// How many of them were never answered.
    pub unknown: u32,
    /// The answer.
    pub answer: Answer,
    /// How it was found: `search`, `saturation` …
    pub method: String,
    /// Configurations visited.
    pub states: u64,
    /// Why it is undecided: `time limit (60 s) reached after 41 M states …`; empty otherwise.
    pub reason: String,
}

/// A violation, small enough to be followed by a person, and complete: nothing outside it is needed to believe it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Anomaly {
    /// From 1, in the order of the list.
    pub id: u32,
    /// One of the fixed kinds: `stale-read`, `lost-write`, … , `generic`.
    pub kind: String,
    /// The property that it violates.
    pub property: String,
    /// The model.
    pub model: String,
    /// The kind's sentence: `a client read a value after it had been overwritten`.
    pub sentence: String,
    /// One paragraph: who, what, when.
    pub story: String,
    /// The key, as text, if there is one.
    pub key: Option<String>,
    /// Whether it was proved that without any one of the observations the rest could be ordered.
    pub minimal: bool,
    /// Hash of the shape: kind, edges, model, kind of fault; not of keys, values or times.
    pub fingerprint: String,
    /// The operations, by invocation, labelled A, B, C …
    pub ops: Vec<CoreOp>,
    /// Operations that were refused and whose effect was seen all the same, labelled after `ops`. No order contains them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<CoreOp>,
    /// The numbered reasons. Empty where the proof is the table of orders alone.
    pub edges: Vec<Edge>,
    /// The labels around the circle, first repeated at the end; empty if there is none.
    pub circle: Vec<String>,
    /// Labels of the operations without each of which the others could be ordered, as they stand here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Every order that the property allows, grouped by where it breaks: then the counts add up to `orders_total`.
    /// Where that would be too long, the longest legal prefixes alone, each with every operation that cannot come
    /// next: then the counts add up to less. Empty if even those were too many to find.
    pub orders: Vec<OrderRow>,
    /// How many orders the property allows; 0 if there were too many to count.
    #[serde(default)]
    pub orders_total: u64,
    /// What the object could be, between consecutive events.
    pub states: Vec<StateSpan>,
    /// The faults that were in force.
    pub coincides: Vec<Coincidence>,
}

/// An operation of a core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoreOp {
    /// `A`, `B` …
    pub label: String,
    /// Whether it constrains (`observation`) or is only what others name (`support`).
    pub role: Role,
    /// Process, by its name in the file.
    pub process: i64,
    /// Node that was asked, if known.
    pub node: Option<String>,
    /// The function.
    pub f: String,
    /// Key, if any.
    pub key: Option<String>,
    /// The operation as a person reads it: `write 41`, `read → 41`, `cas 1 → 2`.
    pub text: String,
    /// `ok`, `fail` or `info`.
    pub outcome: String,
    /// The error, if there was one.
    pub error: Option<String>,
    /// Rank of the invocation.
    pub invoke: u32,
    /// Rank of the return, if it returned.
    pub ret: Option<u32>,
    /// Nanoseconds since the run began, if recorded.
    pub invoke_time: Option<i64>,
    /// The same for the completion of any kind.
    pub ret_time: Option<i64>,
    /// Line of the invocation in the history.
    pub invoke_line: u32,
    /// Line of the completion, if there is one.
    pub ret_line: Option<u32>,
    /// Whether this is the one that fits nowhere.
    pub fatal: bool,
}

/// Why an operation is in a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its result constrains the order.
    Observation,
    /// Others name its effect.
    Support,
}

/// One step of a proof: `from` must come before `to`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// From 1; later reasons may cite it.
    pub n: u32,
    /// Label.
    pub from: String,
    /// Label.
    pub to: String,
    /// Why.
    pub why: Why,
    /// How long `from` had returned when `to` was invoked, for real time.
    pub gap_ns: Option<i64>,
    /// The numbers of the reasons that this one builds on.
    pub uses: Vec<u32>,
    /// The reason in words: `A returned 22 ms before B was sent`.
    pub text: String,
}

/// The kinds of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// `from` returned before `to` was invoked.
    RealTime,
    /// The same client sent them one after the other.
    SameClient,
    /// `to` saw what only `from` wrote.
    Read,
    /// `from` saw a value that `to` replaces, or wrote a value that `to` must have replaced.
    Overwritten,
    /// The values themselves are ordered: versions, tokens, lengths.
    Version,
    /// The object starts in the state that `from` saw, and `to` ends it.
    Initial,
}

/// All orders that begin with `prefix` break in the same way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderRow {
    /// Labels, legal so far.
    pub prefix: Vec<String>,
    /// The label that cannot come next.
    pub breaks_at: String,
    /// What the object holds there.
    pub state: String,
    /// `it read 42, but x holds 41`.
    pub because: String,
    /// How many orders begin so.
    pub count: u64,
}

/// What the object could be during a part of the picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateSpan {
    /// Rank where it begins.
    pub from: u32,
    /// Rank where it ends.
    pub to: u32,
    /// The possible states, at most a handful.
    pub possible: Vec<String>,
    /// Whether no state is left, or none that agrees with the operation there.
    pub conflict: bool,
}

/// A fault that overlaps an anomaly.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Coincidence {
    /// Number of the fault.
    pub fault: u32,
    /// Its kind.
    pub kind: String,
    /// What it did, in words.
    pub what: String,
    /// Labels of the operations that it overlaps.
    pub ops: Vec<String>,
}

/// What one fault did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRecord {
    /// From 1, in order of injection; the `fault` of the events.
    pub id: u32,
    /// `partition`, `pause`, `kill`, `clock`, `slow`, `zombie` …
    pub kind: String,
    /// What was done to whom: `n1 | n2 n3`, `n2 +30 s`.
    pub what: String,
    /// Nodes that it touches.
    pub nodes: Vec<String>,
    /// Nanoseconds since the run began.
    pub injected: i64,
    /// When it was seen to bite, if it was.
    pub bit: Option<i64>,
    /// The evidence for that, in words.
    pub evidence: Option<String>,
    /// When its undoing was finished and seen, if it was.
    pub healed: Option<i64>,
    /// Error of injecting or healing, if any.
    pub error: Option<String>,
}

/// Counts and latencies of the history.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Operations.
    pub ops: u64,
    /// Answered `ok`.
    pub ok: u64,
    /// Answered `fail`.
    pub fail: u64,
    /// Never answered.
    pub info: u64,
    /// `ok` reads.
    pub ok_reads: u64,
    /// Distinct keys.
    pub keys: u64,
    /// Processes.
    pub processes: u64,
    /// Nanoseconds from the first to the last event; 0 if no times were recorded.
    pub duration_ns: i64,
    /// Per function, by name.
    pub functions: BTreeMap<String, FunctionStats>,
    /// Per node, by name.
    pub nodes: BTreeMap<String, FunctionStats>,
}

/// Counts and latencies of one function or node. Latencies are nanoseconds over the answered operations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FunctionStats {
    /// Answered `ok`.
    pub ok: u64,
    /// Answered `fail`.
    pub fail: u64,
    /// Never answered.
    pub info: u64,
    /// Median.
    pub p50: i64,
    /// 95 of 100 are at most this.
    pub p95: i64,
    /// 99 of 100 are at most this.
    pub p99: i64,
    /// The longest.
    pub max: i64,
}

/// The run that made a history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunInfo {
    /// `demo-quorum`.
    pub system: String,
    /// Its version.
    pub version: String,
    /// What this configuration of the system claims.
    pub claims: String,
    /// `register`.
    pub workload: String,
    /// The nodes.
    pub nodes: Vec<String>,
    /// The one seed.
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started: String,
    /// What the controller's wall clock said at time zero of the history: nanoseconds since 1970, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero: Option<i64>,
    /// By how many nanoseconds the clock of each node was ahead of the controller's when nothing bent it, if it is a
    /// clock of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<(String, i64)>,
    /// The process after `p` of the same worker is `p` plus this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<i64>,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// The resolved configuration, in the order of `config.toml`.
    pub config: Vec<(String, String)>,
    /// The command that runs it again.
    pub command: String,
    /// Operating system, processor, tool version.
    pub environment: Vec<(String, String)>,
    /// The triggers that fired and what they saw, one sentence each.
    pub notes: Vec<String>,
}

/// How a history was checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CheckerInfo {
    /// Version of this tool.
    pub version: String,
    /// Path of the history as given.
    pub history: String,
    /// Its format.
    pub format: String,
    /// What was assumed about the model, one sentence each: initial value, failed cas, nil reads.
    pub assumptions: Vec<String>,
    /// Threads.
    pub threads: u32,
    /// Seconds allowed for each property.
    pub timeout_seconds: f64,
    /// Bytes allowed.
    pub memory_bytes: u64,
}
