//! `perjury test`: its flags, which are also the keys of `perjury.toml`.

use super::format::{FormatArg, Output, ProgressArg};
use super::nodes::{Nodes, SshArgs};
use super::parse::{Span, pair};
use clap::Args;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The options of a test. Each can stand on the command line, in a `PERJURY_…` variable, or in `perjury.toml`,
/// and counts in that order; what is said nowhere has a default that the resolved configuration shows.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TestArgs {
    /// The system under test (`perjury list systems`).
    pub system: Option<String>,
    /// What its clients do (`perjury list workloads`).
    pub workload: Option<String>,
    /// How many nodes; or which, reached over SSH: USER@HOST:PORT (user and port may be left out) or aliases, separated by
    /// commas.
    #[arg(long, value_name = "N|NODES", env = "PERJURY_NODES")]
    pub nodes: Option<Nodes>,
    /// A file with one node a line, in place of --nodes.
    #[arg(long, value_name = "FILE", env = "PERJURY_NODES_FILE", conflicts_with = "nodes")]
    pub nodes_file: Option<PathBuf>,
    /// The system runs on the --nodes already: only use it and hurt it, and neither start nor end it. Its data should be
    /// of no value.
    #[arg(long)]
    pub no_db: bool,
    #[command(flatten)]
    pub ssh: SshArgs,
    /// Make so many isolated nodes on this machine for the run, and take them away after it (as root; `perjury lab`).
    #[arg(long, value_name = "N", env = "PERJURY_LAB", conflicts_with = "nodes")]
    pub lab: Option<usize>,
    /// With --lab: write the packets of these links to links.pcap: `all`, or `n1-n2,n3-clients`.
    #[arg(long, value_name = "LINKS", env = "PERJURY_CAPTURE", requires = "lab")]
    pub capture: Option<String>,
    /// With --lab: give each node a file system of its own for its data; power and disk-… among the faults imply it.
    #[arg(long)]
    pub disk: bool,
    /// With --lab: how long everything takes on each link between two nodes, and between a node and the clients, in each
    /// direction: nodes far from each other.
    #[arg(long, value_name = "TIME", env = "PERJURY_LINK_DELAY", requires = "lab")]
    pub link_delay: Option<Span>,
    /// Options of the system: key=value (repeatable).
    #[arg(long = "with", value_name = "KEY=VALUE", value_parser = pair)]
    #[serde(deserialize_with = "table")]
    pub with: Vec<(String, String)>,
    /// How many clients at once: a number, or a number of clients per node as in `2n`.
    #[arg(long, value_name = "N|Nn", env = "PERJURY_CONCURRENCY")]
    pub concurrency: Option<String>,
    /// Requests per second, all clients together; 0 means as fast as they go.
    #[arg(long, value_name = "N", env = "PERJURY_RATE")]
    pub rate: Option<f64>,
    /// How many keys are in use at once.
    #[arg(long, value_name = "N", env = "PERJURY_KEYS")]
    pub keys: Option<usize>,
    /// How many operations a key gets before the next one takes its place.
    #[arg(long, value_name = "N", env = "PERJURY_OPS_PER_KEY")]
    pub ops_per_key: Option<usize>,
    /// How long clients and faults go on.
    #[arg(long, value_name = "TIME", env = "PERJURY_TIME_LIMIT")]
    pub time_limit: Option<Span>,
    /// How long a client waits for an answer.
    #[arg(long, value_name = "TIME", env = "PERJURY_OP_TIMEOUT")]
    pub op_timeout: Option<Span>,
    /// Faults, separated by commas: kinds (`perjury list faults`), `all` that are usual, or `none`; KIND@CUE waits for
    /// write, other-write, role or log:TEXT, and pause:PART and kill:PART are aimed at one daemon of several.
    #[arg(long, value_name = "KINDS", env = "PERJURY_NEMESIS", value_delimiter = ',')]
    pub nemesis: Option<Vec<String>>,
    /// Mean time between two acts of the nemesis.
    #[arg(long, value_name = "TIME", env = "PERJURY_NEMESIS_INTERVAL")]
    pub nemesis_interval: Option<Span>,
    /// The one seed that all our randomness comes from; drawn and printed if not given.
    #[arg(long, value_name = "N", env = "PERJURY_SEED")]
    pub seed: Option<u64>,
    /// How many runs, one after the other, each with its own seed.
    #[arg(long, value_name = "N", env = "PERJURY_TEST_COUNT")]
    pub test_count: Option<u32>,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "PERJURY_STORE")]
    pub store: Option<PathBuf>,
    /// End the run at the first violation that is proven while it goes on: heal, judge and report as usual.
    #[arg(long)]
    pub fail_fast: bool,
    /// Time for judging each property.
    #[arg(long, value_name = "TIME", env = "PERJURY_TIMEOUT")]
    pub timeout: Option<Span>,
    /// Fewest successful reads for a verdict that means anything.
    #[arg(long, value_name = "N")]
    pub min_ok_reads: Option<usize>,
    /// Fewest reads near a fault that returned another process's write.
    #[arg(long, value_name = "N")]
    pub min_fault_reads: Option<usize>,
    /// Smallest share of keys with overlapping operations of two processes, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub min_contended_keys: Option<f64>,
    /// Options file; `perjury.toml` in the current directory is read if it is there.
    #[arg(long, value_name = "FILE", env = "PERJURY_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// How to print: human unless told; narrated where PERJURY_NARRATED is set, github where GITHUB_ACTIONS is true.
    #[arg(long, value_enum, value_name = "FORMAT", env = "PERJURY_FORMAT")]
    pub format: Option<FormatArg>,
    /// Also write the results to a file (repeatable): human, narrated, json, junit, github, sarif or chrome-trace=FILE.
    #[arg(short, long, value_name = "FORMAT=FILE")]
    pub output: Vec<Output>,
    /// For sarif: the file of the repository that results are shown at; the history unless told.
    #[arg(long, value_name = "FILE")]
    pub sarif_anchor: Option<String>,
    /// How progress is shown: in place on a terminal, with keys to stop, heal and pause; else as lines.
    #[arg(long, value_enum, value_name = "HOW", env = "PERJURY_PROGRESS")]
    pub progress: Option<ProgressArg>,
    /// Only the verdict.
    #[arg(short, long)]
    #[serde(skip)]
    pub quiet: bool,
}

/// `[with]` as a table: numbers and booleans are taken as their text.
fn table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let table = BTreeMap::<String, toml::Value>::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(key, value)| match value {
            toml::Value::String(text) => Ok((key, text)),
            toml::Value::Integer(n) => Ok((key, n.to_string())),
            toml::Value::Float(n) => Ok((key, n.to_string())),
            toml::Value::Boolean(b) => Ok((key, b.to_string())),
            other => {
                Err(serde::de::Error::custom(format!("with.{key}: expected text or a number, found {other}")))
            }
        })
        .collect()
}
