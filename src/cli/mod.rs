//! The command line, exactly as `--help`, the man page and the completions show it.

mod format;
mod lab;
mod nodes;
pub mod parse;
mod test;

pub use format::{FormatArg, FormatArgs, Output, OutputFormat, ProgressArg};
pub use lab::{LabArgs, LabCommand};
pub use nodes::{DoctorArgs, HealArgs, Nodes, NodesArgs, SshArgs};
pub use test::TestArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use parse::{Bytes, Span};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
   0  every property asked for holds        64  bad command line
   1  a property is violated                65  unreadable or ill-formed history
   2  undecided: a budget ended first       69  cluster not set up, reached or healed
   3  vacuous: too little was tested        70  a bug in perjury
 130  interrupted                           74  results could not be written";

/// A lie detector for distributed systems.
///
/// Perjury drives real clients against a cluster, breaks that cluster on purpose, records what every client saw,
/// and decides whether any legal order explains it.
#[derive(Debug, Parser)]
#[command(name = "perjury", version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a workload against a cluster under faults, judge what the clients saw, and write a report.
    ///
    /// Without arguments: the honest built-in cluster (demo-paxos, cas-register) under all its faults, for 20 seconds.
    #[command(after_help = TEST_EXAMPLES)]
    Test(Box<TestArgs>),
    /// Judge history files, or the histories in run directories. `-` reads standard input.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Print every counterexample of a run or file, grouped by shape, or say what a kind of anomaly means.
    ///
    /// Where `perjury check` shows the first violation of each object, this looks on: it takes back the answer that made
    /// the last one certain, and judges again.
    Explain(ExplainArgs),
    /// Make the page of a run or history again.
    Report(ReportArgs),
    /// Make the gallery again: a page for every kind of anomaly, each from a small history.
    #[command(hide = true)]
    Gallery {
        /// The directory with the histories and `kinds.tsv`, which says how each is judged.
        #[arg(default_value = "reports/gallery/kinds", value_name = "DIR")]
        dir: PathBuf,
        /// Write every page, also where only the script or the style sheet differs.
        #[arg(long)]
        all: bool,
    },
    /// Turn a history into another format.
    Convert(ConvertArgs),
    /// Put the shards of one history together, as `perjury check --shard` wrote them.
    ///
    /// The same verdict as one machine would give; with the history itself, the same results and report, too.
    #[command(after_help = MERGE_EXAMPLES)]
    Merge(MergeArgs),
    /// Check the evidence of a certificate against its history, with the small verifier alone.
    ///
    /// Searches for nothing: replays orders and refutes cores. Exit code 0 if every statement is confirmed, 1 if one is refused.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Browse runs, compare them, and watch one that goes on, in a browser on this machine.
    ///
    /// Answers only this machine, only shows, and ends with Ctrl-C. Over ssh: `ssh -L 8713:127.0.0.1:8713 HOST`.
    Serve(ServeArgs),
    /// Run the built-in cases, each with the verdict that it must give.
    Casebook(CasebookArgs),
    /// Isolated nodes on this machine, each with its own network, processes, files and name.
    Lab(LabArgs),
    /// Say what can be reached and what can be broken on these nodes, and name what is lacking. Changes nothing.
    ///
    /// Exit code 69 if a node cannot be used, or if a fault of --nemesis cannot be done on one.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Undo faults that a run has left behind on its nodes: exactly those, and again at will.
    ///
    /// Exit code 69 if a node could not be reached or healed; the others are healed all the same.
    #[command(after_help = HEAL_EXAMPLES)]
    Heal(HealArgs),
    /// Show what there is: systems, workloads, faults, models, properties, formats, kinds.
    List {
        /// What to show.
        what: Listing,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    Man,
}

const TEST_EXAMPLES: &str = "\
Examples:
  perjury test
  perjury test demo-quorum register --nemesis clock --seed 7
  perjury test demo-primary set --with replication=async --nemesis kill,partition --time-limit 30s";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  perjury doctor --nodes db1,db2,db3 --username admin --sudo
  perjury doctor --nodes-file nodes --nemesis partition,pause,kill --process etcd";

const HEAL_EXAMPLES: &str = "\
Examples:
  perjury heal store/etcd-register/latest
  perjury heal --nodes db1,db2,db3 --username admin --sudo";

const CHECK_EXAMPLES: &str = "\
Examples:
  perjury check store/demo-paxos-cas-register/latest
  perjury check --model cas-register etcd_000.log
  perjury check --model register --property sequential history.edn.gz
  perjury check --follow --fail-fast --idle 10s --model register history.jsonl
  perjury check --output junit=perjury.xml --output sarif=perjury.sarif history.jsonl
  perjury check --model kv --key k17 --timeout 10min --memory 32GiB history.jsonl";

const MERGE_EXAMPLES: &str = "\
Examples:
  for i in 1 2 3 4; do perjury check --shard $i/4 history.jsonl --output shards; done
  perjury merge shards
  perjury merge shards history.jsonl --report page.html";

const VERIFY_EXAMPLES: &str = "\
Examples:
  perjury check --model register --certificate evidence.json history.jsonl
  perjury verify history.jsonl evidence.json";

/// How a history file is to be read.
#[derive(Clone, Debug, Args)]
pub struct ReadArgs {
    /// Format of the input; `auto` looks at the content (`perjury list formats`).
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    pub input: String,
    /// Values are pairs [key value], as written by Jepsen's `independent`.
    #[arg(long)]
    pub independent: bool,
    /// What orders the events: the lines of the file, or their times.
    #[arg(long, value_enum)]
    pub order: Option<OrderArg>,
    /// Drop an unfinished last line with a warning instead of refusing the file.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Neither read nor write HISTORY.perjury-cache, which makes the next reading of a file above 16 MiB faster.
    #[arg(long)]
    pub no_cache: bool,
}

/// What orders events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// The lines of the file.
    Line,
    /// The recorded times.
    Time,
}

/// What is asked of a history.
#[derive(Clone, Debug, Args)]
pub struct QuestionArgs {
    /// The model; `auto` takes the smallest that knows every function seen (`perjury list models`).
    #[arg(long, default_value = "auto", value_name = "MODEL")]
    pub model: String,
    /// A property that must hold (repeatable; `perjury list properties`), or `all`.
    #[arg(long, default_value = "linearizable", value_name = "PROPERTY")]
    pub property: Vec<String>,
    /// The property that the exit code speaks of, where `--property all` only informs.
    #[arg(long, value_name = "PROPERTY")]
    pub require: Vec<String>,
    /// The initial value, as JSON.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub initial: Option<String>,
    /// What a failed cas says: that it compared false (observe), or only that it did not happen (drop).
    #[arg(long, value_enum, default_value = "auto")]
    pub failed_cas: FailedCasArg,
    /// What a read of null says: that the initial null was there (observe), or nothing (unknown).
    #[arg(long, value_enum, default_value = "observe")]
    pub nil_read: NilReadArg,
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// What a check may spend.
#[derive(Clone, Debug, Args)]
pub struct LimitArgs {
    /// Time for each property.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub timeout: Span,
    /// Memory for a history and its searches together. A larger history is read and judged in parts, by key.
    #[arg(long, default_value = "4GiB", value_name = "SIZE")]
    pub memory: Bytes,
    /// Threads; 0 means one per processor.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

/// What a failed cas says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailedCasArg {
    /// By the format: Porcupine's etcd logs observe, Jepsen and Knossos files drop.
    Auto,
    /// It compared false.
    Observe,
    /// It did not happen, and says nothing.
    Drop,
}

/// What a read of null says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NilReadArg {
    /// The object held its initial null.
    Observe,
    /// Nothing (Knossos' rule).
    Unknown,
}

/// `perjury check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// History files or run directories; `-` is standard input.
    #[arg(required = true, value_name = "HISTORY|RUN")]
    pub histories: Vec<PathBuf>,
    #[command(flatten)]
    pub read: ReadArgs,
    #[command(flatten)]
    pub question: QuestionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
    /// Also write the page of the (single) history to this file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also write the evidence for every object of the (single) history to this file, for `perjury verify`.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Judge only the keys of part I of N, and leave the verdict to `perjury merge`: exit code 0 means judged, whatever
    /// was found. For properties that are judged key by key.
    #[arg(long, value_name = "I/N", requires = "output")]
    pub shard: Option<history::Shard>,
    /// Judge only this key: as text, or as JSON. What is undecided in the whole can be tried alone, with larger limits.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["shard", "follow"])]
    pub key: Option<String>,
    /// Judge the history while it is being written, until its run ends, nothing new comes for --idle, or Ctrl-C. A
    /// violation of linearizability is told as soon as it is proven; then, and at the end, the whole is judged as usual.
    #[arg(long, conflicts_with = "shard")]
    pub follow: bool,
    /// With --follow: end at the first violation that is proven.
    #[arg(long, requires = "follow")]
    pub fail_fast: bool,
    /// With --follow: the history has ended when nothing new has come for so long.
    #[arg(long, value_name = "TIME", requires = "follow")]
    pub idle: Option<Span>,
    /// Also write the results to a file (repeatable): human, narrated, json, junit, github, sarif or chrome-trace=FILE.
    /// With --shard: the file to write, if it ends with .json, or else the directory, where it is called shard-I-of-N.json.
    #[arg(short, long, value_name = "FORMAT=FILE|DIR")]
    pub output: Vec<String>,
    /// Only the verdicts.
    #[arg(short, long)]
    pub quiet: bool,
}

/// `perjury merge`
#[derive(Clone, Debug, Args)]
pub struct MergeArgs {
    /// The shards: files, or directories that hold them; and, to have everything that one machine would say, the history.
    #[arg(required = true, value_name = "SHARD|DIR|HISTORY")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub format: FormatArgs,
    /// Also write `results.json` to this file.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also write the page to this file; needs the history.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Only the verdict.
    #[arg(short, long)]
    pub quiet: bool,
}

/// `perjury verify`
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// The history file or run directory.
    #[arg(value_name = "HISTORY|RUN")]
    pub history: PathBuf,
    /// The certificate, as `perjury check --certificate FILE` wrote it.
    #[arg(value_name = "CERTIFICATE")]
    pub certificate: PathBuf,
}

/// `perjury explain`
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// A run directory, a history file, or a kind of anomaly such as `stale-read`.
    #[arg(value_name = "RUN|FILE|KIND")]
    pub what: String,
    #[command(flatten)]
    pub read: ReadArgs,
    #[command(flatten)]
    pub question: QuestionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

/// `perjury report`
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// A run directory, or a history file.
    #[arg(value_name = "RUN|HISTORY")]
    pub what: PathBuf,
    /// Where to write the page: in the run directory, or `<history>.html` in the current one, unless told.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Put every operation into the page, however many there are: above 1.5 million it holds those that matter most.
    #[arg(long)]
    pub all: bool,
    /// Leave out what the nodes logged: for a page that is passed on to others.
    #[arg(long)]
    pub no_logs: bool,
    #[command(flatten)]
    pub read: ReadArgs,
    #[command(flatten)]
    pub question: QuestionArgs,
}

/// `perjury convert`
#[derive(Clone, Debug, Args)]
pub struct ConvertArgs {
    /// The history file.
    pub history: PathBuf,
    /// The format to write.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub to: ConvertTo,
    /// The file to write; standard output unless told.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Formats that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConvertTo {
    /// Our own: JSON Lines.
    Jsonl,
    /// Jepsen's `history.edn`: one map a line.
    Edn,
    /// A trace for Perfetto and chrome://tracing.
    #[value(alias = "perfetto")]
    ChromeTrace,
}

/// `perjury serve`
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where the runs are.
    #[arg(default_value = "store", value_name = "STORE", env = "PERJURY_STORE")]
    pub store: PathBuf,
    /// Port on 127.0.0.1; 0 takes any that is free, and the address is printed.
    #[arg(long, default_value_t = 8713, value_name = "N")]
    pub port: u16,
}

/// `perjury casebook`
#[derive(Clone, Debug, Args)]
pub struct CasebookArgs {
    /// Cases to run; all unless named (`perjury list cases`).
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// The cases of real systems, each in a lab (as root, with the system's packages), and not those of the demo systems.
    #[arg(long)]
    pub real: bool,
    /// With --real: those that are fast, and no hunt: etcd, ZooKeeper, Redis and NATS, and PostgreSQL's primary.
    #[arg(long, requires = "real", conflicts_with = "cases")]
    pub fast: bool,
    /// How often to run each.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: u32,
    /// The one seed; each repetition derives its own from it.
    #[arg(long, value_name = "N", env = "PERJURY_SEED")]
    pub seed: Option<u64>,
    /// Where runs are kept.
    #[arg(long, default_value = "store", value_name = "DIR", env = "PERJURY_STORE")]
    pub store: PathBuf,
}

/// What `perjury list` can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Systems under test, their options and what each configuration claims.
    Systems,
    /// What clients do.
    Workloads,
    /// Ways to hurt a cluster.
    Faults,
    /// Sequential specifications.
    Models,
    /// What can be asked.
    Properties,
    /// History formats that can be read.
    Formats,
    /// Kinds of anomaly that are named.
    Kinds,
    /// The cases of the casebook.
    Cases,
}
