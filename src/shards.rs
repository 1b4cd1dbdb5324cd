//! One history judged by several machines: each judges the keys of its shard, and what they found is put together.
//!
//! ```text
//!   history ──check --shard 1/3──▶ shard-1-of-3.json ──┐
//!           ──check --shard 2/3──▶ shard-2-of-3.json ──┼──merge──▶ the results of one machine
//!           ──check --shard 3/3──▶ shard-3-of-3.json ──┘
//! ```

use crate::certificate::{ModelAs, ReadAs};
use crate::exit::{self, Failure};
use crate::judging::{Background, Concluded, EXPLAINED_MAX, Found, Question};
use crate::subject;
use checker::{ModelName, Rung};
use history::results::{Answer, FunctionStats, Judgement, Results, Stats};
use history::{History, Shard, ValueId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The schema, raised when a reader of the old one would misread the new one.
pub const SCHEMA: &str = "perjury.shard/1";

/// What was found in one shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardFile {
    /// [`SCHEMA`].
    pub schema: String,
    /// `2/8`
    pub shard: String,
    /// The file's bytes, as a hash.
    pub bytes: String,
    /// Operations of the whole history.
    pub operations: u64,
    /// How it was read.
    pub read: ReadAs,
    /// What it was held against.
    pub model: ModelAs,
    /// Properties that are worth asking about once the verdict is known.
    pub inform: Vec<String>,
    /// Whether they are to be judged whatever it is.
    pub always_inform: bool,
    /// Per judgement and object, the rank of the first invocation: where it stands among those of other shards.
    pub firsts: Vec<Vec<u32>>,
    /// Per anomaly, its object in the judgement of its property.
    pub objects: Vec<usize>,
    /// How many of the warnings are the reader's, which every shard repeats.
    pub warnings_of_reader: usize,
    /// What was found.
    pub results: Results,
}

/// Whether a question can be asked key by key.
///
/// # Errors
/// Why not (64).
pub fn splits(question: &Question, flag: &str) -> Result<(), Failure> {
    if question.spec.model == ModelName::MultiRegister {
        return Err(Failure::usage(format!(
            "{flag}: transactions of a multi-register join the keys that they name, so it cannot be split by key"
        )));
    }
    if question.asked.len() > 1 {
        // Where one holds, others follow from it; but that must hold of all shards.
        return Err(Failure::usage(format!("{flag} judges one property at a time")));
    }
    for property in &question.asked {
        let why = match property {
            Rung::Linearizable
            | Rung::Regular
            | Rung::Coherence
            | Rung::WritesFollowReads
            | Rung::MonotonicWrites
            | Rung::MonotonicReads
            | Rung::ReadYourWrites => continue,
            Rung::Sequential => {
                "each key can have its order, and no order of all keys agree with every process"
            }
            Rung::CausalConvergence | Rung::CausalMemory | Rung::Causal | Rung::Pram => {
                "what a session saw on one key says what it must see on another"
            }
        };
        return Err(Failure::usage(format!(
            "{flag}: {} is a property of the whole history and cannot be judged key by key: {why}",
            property.name()
        )));
    }
    Ok(())
}

impl ShardFile {
    /// What was concluded about the shard that was read.
    pub fn new(
        history: &History,
        shard: Shard,
        bytes: String,
        read: ReadAs,
        question: &Question,
        concluded: Concluded,
    ) -> ShardFile {
        let mut first: BTreeMap<ValueId, u32> = BTreeMap::new();
        for op in &history.ops {
            first.entry(op.key).or_insert(op.invoke);
        }
        let rank = |keys: &Vec<ValueId>| {
            let keys = if keys.is_empty() { &[ValueId::NULL][..] } else { keys };
            keys.iter().filter_map(|key| first.get(key)).min().copied().unwrap_or(0)
        };
        let Concluded { results, evidence, objects } = concluded;
        ShardFile {
            schema: SCHEMA.to_string(),
            shard: shard.to_string(),
            bytes,
            operations: history.part.as_ref().map_or(history.ops.len() as u64, |part| part.ops),
            read,
            model: ModelAs::of(&question.spec, &question.assumptions),
            inform: question.inform.iter().map(|property| property.name().to_string()).collect(),
            always_inform: question.always_inform,
            firsts: evidence.iter().map(|(_, judged)| judged.keys.iter().map(rank).collect()).collect(),
            objects,
            warnings_of_reader: history.warnings.len(),
            results,
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is none of a schema that this version knows, in one line that begins with `file` (65).
    pub fn read(file: &str, bytes: &[u8]) -> Result<ShardFile, Failure> {
        let wrong = |what: String| Failure::new(exit::HISTORY, format!("{file}{what}"));
        let shard: ShardFile = serde_json::from_slice(bytes).map_err(|error| {
            wrong(format!(":{}:{}: expected the results of a shard: {error}", error.line(), error.column()))
        })?;
        if shard.schema != SCHEMA {
            return Err(wrong(format!(": expected the schema {SCHEMA}, found {:?}", shard.schema)));
        }
        let judgements = &shard.results.judgements;
        let fits = judgements.len() == shard.firsts.len()
            && judgements.iter().zip(&shard.firsts).all(|(j, firsts)| j.objects.len() == firsts.len())
            && shard.results.anomalies.len() == shard.objects.len();
        if !fits || shard.place().is_none() || shard.warnings_of_reader > shard.results.warnings.len() {
            return Err(wrong(
                ": expected the results of a shard: its lists do not fit together".to_string(),
            ));
        }
        Ok(shard)
    }

    fn place(&self) -> Option<Shard> {
        self.shard.parse().ok()
    }

    /// What must be the same in all shards of one history, with its name; and what it is.
    fn common(&self) -> [(&'static str, String); 6] {
        let results = &self.results;
        let checker = &results.checker;
        let limits = (checker.timeout_seconds, checker.memory_bytes, &self.inform, self.always_inform);
        [
            ("another history", format!("{} ({} operations)", self.bytes, self.operations)),
            ("a history that was read in another way", format!("{:?}", self.read)),
            ("another model or other assumptions", format!("{:?}", self.model)),
            ("another question", results.asked.join(", ")),
            ("other limits", format!("{limits:?}")),
            ("another version of perjury", results.checker.version.clone()),
        ]
    }
}

/// All shards of one history, in order.
#[derive(Debug)]
pub struct Whole {
    shards: Vec<ShardFile>,
}

impl Whole {
    /// Puts shards in order, with the files that they came from.
    ///
    /// # Errors
    /// A shard that is missing, there twice, or of another history or question: by name (65).
    pub fn of(files: Vec<(String, ShardFile)>) -> Result<Whole, Failure> {
        let wrong = |what: String| Failure::new(exit::HISTORY, what);
        let Some((first_file, first)) = files.first() else {
            return Err(wrong("there is no shard to merge".to_string()));
        };
        let of = first.place().map_or(0, Shard::of);
        for (file, shard) in &files {
            for ((what, here), (_, there)) in first.common().into_iter().zip(shard.common()) {
                if here != there {
                    return Err(wrong(format!(
                        "{file} speaks of {what} than {first_file}: {there}, not {here}"
                    )));
                }
            }
            if shard.place().map_or(0, Shard::of) != of {
                return Err(wrong(format!(
                    "{file} is shard {}, and {first_file} is {}",
                    shard.shard, first.shard
                )));
            }
        }
        let mut in_order: BTreeMap<u32, (String, ShardFile)> = BTreeMap::new();
        for (file, shard) in files {
            let index = shard.place().map_or(0, Shard::index);
            if let Some((other, _)) = in_order.get(&index) {
                return Err(wrong(format!("{other} and {file} are both shard {index}/{of}")));
            }
            in_order.insert(index, (file, shard));
        }
        let missing: Vec<String> = (1..=of)
            .filter(|index| !in_order.contains_key(index))
            .map(|index| format!("{index}/{of}"))
            .collect();
        match missing.len() {
            0 => Ok(Whole { shards: in_order.into_values().map(|(_, shard)| shard).collect() }),
            1 => Err(wrong(format!("shard {} is missing", missing[0]))),
            n => {
                let shown = missing.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
                let more = if n > 10 { format!(" … ({n} in all)") } else { String::new() };
                Err(wrong(format!("the shards {shown}{more} are missing")))
            }
        }
    }

    fn first(&self) -> &ShardFile {
        &self.shards[0]
    }

    /// The path of the history, as the first shard was given it.
    pub fn history(&self) -> &str {
        &self.first().results.checker.history
    }

    /// The hash of its bytes.
    pub fn bytes(&self) -> &str {
        &self.first().bytes
    }

    /// How it was read.
    pub fn read(&self) -> &ReadAs {
        &self.first().read
    }

    /// What was asked of it.
    ///
    /// # Errors
    /// Names that this version does not know (65).
    pub fn question(&self) -> Result<Question, Failure> {
        let results = &self.first().results;
        let wrong = |what: String| Failure::new(exit::HISTORY, format!("{}: {what}", self.history()));
        let properties = |names: &[String]| -> Result<Vec<Rung>, Failure> {
            names
                .iter()
                .map(|name| subject::property(name).map_err(|failure| wrong(failure.message)))
                .collect()
        };
        Ok(Question {
            spec: self.first().model.spec().map_err(wrong)?,
            assumptions: self.first().model.assumptions.clone(),
            asked: properties(&results.asked)?,
            inform: properties(&self.first().inform)?,
            always_inform: self.first().always_inform,
            timeout: Duration::try_from_secs_f64(results.checker.timeout_seconds).unwrap_or(Duration::MAX),
            memory: results.checker.memory_bytes,
            threads: results.checker.threads as usize,
            every: false,
        })
    }

    /// What is known about the history beside its events.
    pub fn background(&self) -> Background {
        let results = self.first().results.clone();
        Background { run: results.run, faults: results.faults, vacuous: results.vacuous }
    }

    /// What all shards found, as if one had found it.
    pub fn found(&self) -> Found {
        let first = &self.first().results;
        let mut found = Found {
            warnings: first.warnings[..self.first().warnings_of_reader].to_vec(),
            ..Found::default()
        };
        for shard in &self.shards {
            found.warnings.extend(shard.results.warnings[shard.warnings_of_reader..].iter().cloned());
        }
        let mut anomalies = Vec::new();
        for number in 0..first.judgements.len() {
            let (judgement, places) = self.judgement(number);
            for (at, shard) in self.shards.iter().enumerate() {
                let pairs = shard.results.anomalies.iter().zip(&shard.objects);
                for (anomaly, &object) in pairs.filter(|(a, _)| a.property == judgement.property) {
                    let object = places.get(&(at, object)).copied().unwrap_or(0);
                    anomalies.push((number, object, anomaly.clone()));
                }
            }
            found.judgements.push(judgement);
        }
        for delivery in self.shards.iter().filter_map(|shard| shard.results.delivery.as_ref()) {
            found.delivery.get_or_insert_default().add(delivery);
        }
        // As one machine would have come upon them; those of one object stay in their order.
        anomalies.sort_by_key(|(judgement, object, anomaly)| (*judgement, *object, anomaly.id));
        let more: u32 = self.shards.iter().map(|shard| shard.results.anomalies_more).sum();
        found.anomalies_more = more + anomalies.len().saturating_sub(EXPLAINED_MAX) as u32;
        for (_, object, anomaly) in anomalies.into_iter().take(EXPLAINED_MAX) {
            found.anomalies.push(anomaly);
            found.objects.push(object);
        }
        found
    }

    /// One judgement over all shards, and where each object of a shard stands in it.
    fn judgement(&self, number: usize) -> (Judgement, BTreeMap<(usize, usize), usize>) {
        let mut objects = Vec::new();
        for (at, shard) in self.shards.iter().enumerate() {
            let judged = &shard.results.judgements[number].objects;
            objects.extend(
                judged
                    .iter()
                    .zip(&shard.firsts[number])
                    .enumerate()
                    .map(|(i, (o, &first))| (first, at, i, o)),
            );
        }
        objects.sort_by_key(|&(first, at, i, _)| (first, at, i));
        let places = objects.iter().enumerate().map(|(place, &(_, at, i, _))| ((at, i), place)).collect();
        let all = || self.shards.iter().map(|shard| &shard.results.judgements[number]);
        let one = &self.first().results.judgements[number];
        let answer = |answer: Answer| all().any(|judgement| judgement.answer == answer);
        let judgement = Judgement {
            property: one.property.clone(),
            model: one.model.clone(),
            answer: if answer(Answer::Violated) {
                Answer::Violated
            } else if answer(Answer::Undecided) {
                Answer::Undecided
            } else {
                Answer::Holds
            },
            // A shard without keys of its own does not know that there are any.
            scope: "per key".to_string(),
            states: all().map(|judgement| judgement.states).sum(),
            seconds: all().map(|judgement| judgement.seconds).sum(),
            objects: objects.into_iter().map(|(_, _, _, object)| object.clone()).collect(),
        };
        (judgement, places)
    }

    /// The results where the history itself is not at hand, with a note that says so.
    pub fn conclude_alone(&self, question: &Question, note: String) -> Results {
        let mut found = self.found();
        found.warnings.push(note);
        let mut results = found.conclude(&History::default(), question, self.background()).results;
        results.checker.history = self.history().to_string();
        results.checker.format = self.first().results.checker.format.clone();
        results.stats = self.counts();
        results
    }

    /// The counts of all shards together. Latencies and lengths of time cannot be added up: those are 0.
    pub fn counts(&self) -> Stats {
        let mut sum = Stats::default();
        for stats in self.shards.iter().map(|shard| &shard.results.stats) {
            sum.ops += stats.ops;
            sum.ok += stats.ok;
            sum.fail += stats.fail;
            sum.info += stats.info;
            sum.ok_reads += stats.ok_reads;
            sum.keys += stats.keys;
            sum.processes = sum.processes.max(stats.processes);
            add(&mut sum.functions, &stats.functions);
            add(&mut sum.nodes, &stats.nodes);
        }
        sum
    }
}

fn add(sum: &mut BTreeMap<String, FunctionStats>, part: &BTreeMap<String, FunctionStats>) {
    for (name, counts) in part {
        let all = sum.entry(name.clone()).or_default();
        all.ok += counts.ok;
        all.fail += counts.fail;
        all.info += counts.info;
    }
}
