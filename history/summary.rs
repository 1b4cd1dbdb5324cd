//! The few lines that an overview of many runs is made of: `summary.json`.
//!
//! A run's results can be megabytes, its history gigabytes; this is about a kilobyte, and says enough to list, search,
//! group and count.

use crate::results::{Anomaly, Results, Verdict};
use serde::{Deserialize, Serialize};

/// The schema of `summary.json`.
pub const SUMMARY_SCHEMA: &str = "perjury.summary/1";

/// Shapes of violation that a summary names; the others are counted.
const SHAPES_MAX: usize = 12;

/// One run in a few lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_SCHEMA`].
    pub schema: String,
    /// The verdict over `asked`.
    pub verdict: Verdict,
    /// The properties that the verdict speaks of.
    #[serde(default)]
    pub asked: Vec<String>,
    /// `demo-quorum`.
    #[serde(default)]
    pub system: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// `register`.
    #[serde(default)]
    pub workload: Option<String>,
    /// The one seed.
    #[serde(default)]
    pub seed: Option<u64>,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub started: Option<String>,
    /// Whether somebody ended it early.
    #[serde(default)]
    pub interrupted: Option<bool>,
    /// Operations.
    #[serde(default)]
    pub ops: u64,
    /// Nanoseconds from the first to the last event; 0 if unknown.
    #[serde(default)]
    pub duration_ns: i64,
    /// The kind of each violation, the worst first.
    #[serde(default)]
    pub anomalies: Vec<String>,
    /// The same by shape.
    #[serde(default)]
    pub shapes: Vec<Shape>,
    /// Shapes beyond those.
    #[serde(default)]
    pub shapes_more: u32,
    /// The kind of each fault that bit.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Hash of the configuration but for the seed: runs with the same are repetitions of one experiment.
    #[serde(default)]
    pub setup: Option<String>,
    /// Why it is undecided or vacuous, in a sentence; empty otherwise.
    #[serde(default)]
    pub reason: String,
}

/// Violations of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// `stale-read`.
    pub kind: String,
    /// As in [`Anomaly::fingerprint`].
    pub fingerprint: String,
    /// How many there are.
    pub count: u32,
    /// The key of the first.
    #[serde(default)]
    pub key: Option<String>,
    /// The kind of fault that the first coincides with.
    #[serde(default)]
    pub during: Option<String>,
}

/// A key may be as long as the system under test likes.
const KEY_MAX: usize = 40;

impl Summary {
    /// Of a run's results. `reason` says why there is no plain verdict. O(anomalies × shapes).
    pub fn of(results: &Results, reason: String) -> Summary {
        let run = results.run.as_ref();
        let mut shapes: Vec<Shape> = Vec::new();
        for anomaly in &results.anomalies {
            match shapes.iter_mut().find(|shape| shape.fingerprint == anomaly.fingerprint) {
                Some(shape) => shape.count += 1,
                None => shapes.push(Shape::of(anomaly)),
            }
        }
        let shapes_more = shapes.len().saturating_sub(SHAPES_MAX) as u32;
        shapes.truncate(SHAPES_MAX);
        Summary {
            schema: SUMMARY_SCHEMA.to_string(),
            verdict: results.verdict,
            asked: results.asked.clone(),
            system: run.map(|run| run.system.clone()),
            version: run.map(|run| run.version.clone()),
            workload: run.map(|run| run.workload.clone()),
            seed: run.map(|run| run.seed),
            started: run.map(|run| run.started.clone()),
            interrupted: run.map(|run| run.interrupted),
            ops: results.stats.ops,
            duration_ns: results.stats.duration_ns,
            anomalies: results.anomalies.iter().map(|anomaly| anomaly.kind.clone()).collect(),
            shapes,
            shapes_more,
            faults: results.faults.iter().filter(|f| f.bit.is_some()).map(|f| f.kind.clone()).collect(),
            setup: run.map(|run| setup(&run.system, &run.version, &run.workload, &run.config)),
            reason,
        }
    }
}

impl Shape {
    fn of(anomaly: &Anomaly) -> Shape {
        Shape {
            kind: anomaly.kind.clone(),
            fingerprint: anomaly.fingerprint.clone(),
            count: 1,
            key: anomaly.key.as_ref().map(|key| key.chars().take(KEY_MAX).collect()),
            during: anomaly.coincides.first().map(|fault| fault.kind.clone()),
        }
    }
}

/// FNV-1a over everything that a run depends on, but for what differs between repetitions.
fn setup(system: &str, version: &str, workload: &str, config: &[(String, String)]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    [system, version, workload].into_iter().for_each(&mut mix);
    for (key, value) in config.iter().filter(|(key, _)| key != "seed") {
        mix(key);
        mix(value);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_is_everything_but_the_seed() {
        let config = |seed: &str, rate: &str| {
            vec![("seed".to_string(), seed.to_string()), ("rate".to_string(), rate.to_string())]
        };
        let of = |seed, rate| setup("demo", "1", "register", &config(seed, rate));
        assert_eq!(of("1", "10"), of("2", "10"));
        assert_ne!(of("1", "10"), of("1", "20"));
        assert_ne!(setup("a", "bc", "", &[]), setup("ab", "c", "", &[]));
    }

    #[test]
    fn a_summary_of_an_older_version_can_be_read() {
        let text = r#"{"schema":"perjury.summary/1","verdict":"valid","asked":["linearizable"],"system":"demo",
            "workload":"register","seed":7,"started":"2026-11-20T09:14:07Z","interrupted":false,"ops":10,
            "anomalies":[],"faults":["clock"]}"#;
        let summary: Summary = serde_json::from_str(text).expect("readable");
        assert_eq!((summary.seed, summary.shapes.len()), (Some(7), 0));
    }
}
