//! Certificates: the evidence behind a verdict as a file, which the small verifier checks against the history alone.
//!
//! ```text
//! {"schema": "perjury.certificate/1", "history": {…}, "read": {…}, "operations": "line", "model": {…}, "statements": [
//!   {"property": "linearizable", "keys": ["x"], "answer": "holds", "order": [1, 5, 3]},
//!   {"property": "linearizable", "keys": ["y"], "answer": "violated", "core": [7, 9], "fatal": 9}
//! ]}
//! ```
//!
//! An operation is named by the line of the history on which its invocation stands; where invocations share lines, by its
//! number among the invocations, from 1 (`"operations"` says which).

use crate::exit::{self, Failure};
use crate::judging::Question;
use checker::{Claim, Counterexample, FailedCas, Judged, NilRead, Property, Rung, Says, Spec, Witness};
use history::results::{Answer, Judgement};
use history::{History, Value, ValueId, content_name};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The schema, raised when a reader of the old one would misread the new one.
pub const SCHEMA: &str = "perjury.certificate/1";

/// Runs in a store keep a certificate of up to so many operations: some 8 MB.
const KEPT_MAX: usize = 1_000_000;

/// What is claimed about one history, and why it is so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// [`SCHEMA`].
    pub schema: String,
    /// Of which history.
    pub history: About,
    /// How it was read.
    pub read: ReadAs,
    /// How operations are named.
    pub operations: NamedBy,
    /// What it was held against.
    pub model: ModelAs,
    /// One per property and object.
    pub statements: Vec<Statement>,
}

/// Which history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// Its path, as it was given.
    pub name: String,
    /// Its format.
    pub format: String,
    /// What it says, as a hash ([`history::content_name`]).
    pub content: String,
    /// How many operations it has.
    pub operations: usize,
}

/// How a history was read, where that is not in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAs {
    /// `--independent`
    pub independent: bool,
    /// `--order time`
    pub by_time: bool,
    /// Whether an unfinished last line was dropped.
    pub allow_truncated: bool,
}

/// How operations are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedBy {
    /// By the line of the invocation, from 1.
    Line,
    /// By their place among the invocations, from 1.
    Number,
}

/// The model with its assumptions, by the names of the flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelAs {
    /// `--model`
    pub name: String,
    /// `--initial`: JSON, as it is typed.
    pub initial: Option<String>,
    /// `--failed-cas`: `observe`, `drop`, or `if-stated`, which is what `auto` means for most formats.
    pub failed_cas: String,
    /// `--nil-read`
    pub nil_read: String,
    /// The same in words.
    pub assumptions: Vec<String>,
}

/// A claim about one object, or about all of them together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// The property.
    pub property: String,
    /// Its keys; none where the history names none.
    pub keys: Vec<serde_json::Value>,
    /// What is claimed.
    pub answer: Answer,
    /// For `holds`: every operation, first to last. Unanswered ones that never took effect are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<u32>>,
    /// For `violated`: operations that have no order by themselves, whatever else happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<Vec<u32>>,
    /// The one of them whose return left no order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fatal: Option<u32>,
    /// For `holds`: the stronger property from which it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implied_by: Option<String>,
    /// Why nothing is claimed, where the answer was given without evidence that can be kept, or was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclaimed: Option<String>,
}

impl Certificate {
    /// The evidence for what was concluded about `history`.
    pub fn new(
        history: &History,
        question: &Question,
        read: ReadAs,
        judgements: &[Judgement],
        evidence: &[(Rung, Judged)],
    ) -> Certificate {
        let names = Names::of(history);
        let json = |keys: &[ValueId]| keys.iter().map(|&key| as_json(history.values.get(key))).collect();
        let mut statements = Vec::new();
        // What holds, and can be shown to.
        let mut shown: Vec<&str> = Vec::new();
        for judgement in judgements {
            let Some((rung, judged)) = evidence.iter().find(|(p, _)| p.name() == judgement.property) else {
                // It was not searched, because a stronger property holds.
                let by = judgement.objects.first().and_then(|o| o.method.strip_prefix("implied by "));
                let unclaimed = match by {
                    None => Some("it follows from what a weaker property lacks".to_string()),
                    Some(by) if shown.contains(&by) => None,
                    Some(by) => {
                        Some(format!("it follows from {by}, which has no evidence that can be kept yet"))
                    }
                };
                if unclaimed.is_none() {
                    shown.push(&judgement.property);
                }
                statements.push(Statement {
                    implied_by: by.filter(|_| unclaimed.is_none()).map(str::to_string),
                    unclaimed,
                    ..Statement::empty(&judgement.property, Vec::new(), judgement.answer)
                });
                continue;
            };
            if rung.of_one_order().is_some() && judgement.answer == Answer::Holds {
                shown.push(&judgement.property);
            }
            for (at, object) in judged.judgement.objects.iter().enumerate() {
                let mut said = Statement::empty(&judgement.property, json(&judged.keys[at]), object.answer);
                let core = judged.violations.iter().find(|violation| violation.object == at);
                let core = core.filter(|_| rung.of_one_order().is_some());
                let witness = judged.witnesses[at].as_ref().filter(|_| rung.of_one_order().is_some());
                match (witness, core) {
                    (Some(witness), _) => said.order = Some(names.name(&witness.order)),
                    (None, Some(violation)) => {
                        let core = &violation.counterexample;
                        said.core = Some(names.name(&core.core));
                        said.fatal = core.fatal.map(|fatal| names.name(&[fatal])[0]);
                    }
                    (None, None) if object.answer == Answer::Undecided => {
                        said.unclaimed = Some(object.reason.clone());
                    }
                    (None, None) => {
                        said.unclaimed =
                            Some("this property has no evidence that can be kept yet".to_string());
                    }
                }
                statements.push(said);
            }
        }
        Certificate {
            schema: SCHEMA.to_string(),
            history: About {
                name: history.source.name.clone(),
                format: history.source.format.to_string(),
                content: content_name(history),
                operations: history.ops.len(),
            },
            read,
            operations: names.by(),
            model: ModelAs::of(&question.spec, &question.assumptions),
            statements,
        }
    }

    /// Whether it is small enough to be kept with every run.
    pub fn small(evidence: &[(Rung, Judged)]) -> bool {
        let ordered =
            |judged: &Judged| judged.witnesses.iter().flatten().map(|w| w.order.len()).sum::<usize>();
        evidence.iter().map(|(_, judged)| ordered(judged)).sum::<usize>() <= KEPT_MAX
    }

    /// Writes it with one statement on each line.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let head = serde_json::to_string(&Certificate { statements: Vec::new(), ..self.head() })?;
        let open = head.strip_suffix("]}").expect("the statements come last, and there are none");
        out.write_all(open.as_bytes())?;
        for (number, statement) in self.statements.iter().enumerate() {
            out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *out, statement)?;
        }
        out.write_all(b"\n]}\n")
    }

    fn head(&self) -> Certificate {
        Certificate {
            schema: self.schema.clone(),
            history: self.history.clone(),
            read: self.read.clone(),
            operations: self.operations,
            model: self.model.clone(),
            statements: Vec::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is no certificate of a schema that this version knows, in one line that begins with `file` (65).
    pub fn read(file: &str, bytes: &[u8]) -> Result<Certificate, Failure> {
        let wrong = |what: String| Failure::new(exit::HISTORY, format!("{file}{what}"));
        let certificate: Certificate = serde_json::from_slice(bytes).map_err(|error| {
            wrong(format!(":{}:{}: expected a certificate: {error}", error.line(), error.column()))
        })?;
        if certificate.schema != SCHEMA {
            return Err(wrong(format!(": expected the schema {SCHEMA}, found {:?}", certificate.schema)));
        }
        Ok(certificate)
    }

    /// What it claims about `property` of `history`; nothing where it says that nothing is claimed.
    ///
    /// # Errors
    /// A statement that names no operation of the history, or lacks its evidence (one sentence).
    pub fn claims(&self, property: Property, history: &mut History) -> Result<Vec<Claim>, String> {
        let names = Names::of(history);
        if names.by() != self.operations {
            return Err("it names operations in a way that does not fit the history".to_string());
        }
        let found = |name: &u32| names.find(*name).ok_or_else(|| names.unknown(*name));
        let all = |list: &[u32]| list.iter().map(found).collect::<Result<Vec<u32>, String>>();
        let mut claims = Vec::new();
        for said in self.statements.iter().filter(|s| s.property == property.name()) {
            let says = match (said.answer, &said.order, &said.core) {
                (Answer::Holds, Some(order), None) => Says::Holds(Witness { order: all(order)? }),
                (Answer::Violated, None, Some(core)) => Says::Violated(Counterexample {
                    core: all(core)?,
                    minimal: false,
                    fatal: said.fatal.as_ref().map(found).transpose()?,
                }),
                (Answer::Undecided, None, None) => Says::Undecided,
                (Answer::Holds, _, _) => return Err(said.lacks("an order, and no core")),
                (Answer::Violated, _, _) => return Err(said.lacks("a core, and no order")),
                (Answer::Undecided, _, _) => return Err(said.lacks("neither an order nor a core")),
            };
            claims.push(Claim { keys: Vec::new(), says });
        }
        drop(names);
        let of_property = self.statements.iter().filter(|s| s.property == property.name());
        for (claim, said) in claims.iter_mut().zip(of_property) {
            for key in &said.keys {
                let value =
                    Value::from_json(&key.to_string()).map_err(|error| format!("key {key}: {error}"))?;
                // A number that JSON readers round is known by what it is rounded to.
                let rounded = || {
                    let mut keys = history.ops.iter().map(|op| op.key);
                    keys.find(|&id| {
                        matches!(history.values.get(id), Value::Number(_))
                            && as_json(history.values.get(id)) == *key
                    })
                };
                let known =
                    if key.is_number() && history.values.find(&value).is_none() { rounded() } else { None };
                claim.keys.push(known.unwrap_or_else(|| history.values.intern(&value)));
            }
        }
        Ok(claims)
    }
}

impl Statement {
    fn empty(property: &str, keys: Vec<serde_json::Value>, answer: Answer) -> Statement {
        let property = property.to_string();
        Statement {
            property,
            keys,
            answer,
            order: None,
            core: None,
            fatal: None,
            implied_by: None,
            unclaimed: None,
        }
    }

    fn lacks(&self, what: &str) -> String {
        format!("its statement about {} needs {what}", self.about())
    }

    /// What it is about, in words.
    pub fn about(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        if keys.is_empty() { "the whole history".to_string() } else { format!("key {}", keys.join(", ")) }
    }
}

impl ModelAs {
    /// The names of the flags.
    pub fn of(spec: &Spec, assumptions: &[String]) -> ModelAs {
        ModelAs {
            name: spec.model.name().to_string(),
            initial: spec.initial.as_ref().map(Value::to_json),
            failed_cas: match spec.failed_cas {
                FailedCas::Observe => "observe",
                FailedCas::Drop => "drop",
                FailedCas::IfStated => "if-stated",
            }
            .to_string(),
            nil_read: match spec.nil_read {
                NilRead::Observe => "observe",
                NilRead::Unknown => "unknown",
            }
            .to_string(),
            assumptions: assumptions.to_vec(),
        }
    }

    /// The specification behind the names.
    ///
    /// # Errors
    /// A name that there is not.
    pub fn spec(&self) -> Result<Spec, String> {
        let one_of = |what: &str, found: &str| format!("{what}: there is no {found:?}");
        Ok(Spec {
            model: checker::ModelName::find(&self.name).ok_or_else(|| one_of("model", &self.name))?,
            initial: self.initial.as_deref().map(Value::from_json).transpose()?,
            failed_cas: match self.failed_cas.as_str() {
                "observe" => FailedCas::Observe,
                "drop" => FailedCas::Drop,
                "if-stated" => FailedCas::IfStated,
                other => return Err(one_of("failed_cas", other)),
            },
            nil_read: match self.nil_read.as_str() {
                "observe" => NilRead::Observe,
                "unknown" => NilRead::Unknown,
                other => return Err(one_of("nil_read", other)),
            },
        })
    }
}

/// A value as JSON; a number beyond what readers of JSON hold becomes the nearest one that they do.
fn as_json(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.to_json()).unwrap_or(serde_json::Value::Null)
}

/// How operations of a history are called by people.
#[derive(Debug)]
pub enum Names {
    /// Each invocation has a line of its own: these.
    Lines(Vec<u32>),
    /// They are counted.
    Numbers(u32),
}

impl Names {
    /// By lines, where every invocation has one of its own and they rise.
    pub fn of(history: &History) -> Names {
        let lines: Vec<u32> = history.ops.iter().map(|op| op.invoke_line).collect();
        let rise = lines.windows(2).all(|two| two[0] < two[1]);
        if rise && lines.first() != Some(&0) && lines.last() != Some(&u32::MAX) {
            Names::Lines(lines)
        } else {
            Names::Numbers(history.ops.len() as u32)
        }
    }

    fn by(&self) -> NamedBy {
        match self {
            Names::Lines(_) => NamedBy::Line,
            Names::Numbers(_) => NamedBy::Number,
        }
    }

    fn name(&self, ops: &[u32]) -> Vec<u32> {
        ops.iter()
            .map(|&op| match self {
                Names::Lines(lines) => lines[op as usize],
                Names::Numbers(_) => op + 1,
            })
            .collect()
    }

    fn find(&self, name: u32) -> Option<u32> {
        match self {
            Names::Lines(lines) => lines.binary_search(&name).ok().map(|at| at as u32),
            Names::Numbers(count) => (1..=*count).contains(&name).then(|| name - 1),
        }
    }

    fn unknown(&self, name: u32) -> String {
        match self {
            Names::Lines(_) => format!("there is no invocation on line {name}"),
            Names::Numbers(count) => format!("there is no operation {name}, only {count}"),
        }
    }

    /// A sentence of the verifier, which counts operations from 0, with the names that people use.
    pub fn said(&self, sentence: &str) -> String {
        let mut words: Vec<String> = sentence.split(' ').map(str::to_string).collect();
        for at in 1..words.len() {
            let number = words[at].trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>();
            if let (true, Ok(op)) = (words[at - 1] == "operation", number) {
                let rest = words[at].trim_start_matches(|c: char| c.is_ascii_digit()).to_string();
                words[at] = match self {
                    Names::Lines(lines) => match lines.get(op as usize) {
                        Some(line) => format!("of line {line}{rest}"),
                        None => continue,
                    },
                    Names::Numbers(_) => format!("{}{rest}", op.saturating_add(1)),
                };
            }
        }
        words.join(" ")
    }
}
