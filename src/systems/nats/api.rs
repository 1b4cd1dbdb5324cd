//! What is asked of JetStream and what it answers: calls as requests, one after the other, and answers as outcomes.
//!
//! ```text
//!   register   $KV.perjury.<key>                          a message a write; the last one of the subject is what is read
//!   set        perjury.set.<key>.<element>          a message an element; read by the subjects that the stream has
//!   delivery   perjury.queue.<key>                  a message each; taken by a pull consumer, acknowledged one by one
//! ```

use super::wire::Message;
use crate::systems::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use history::{Call, Completion, Value};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The stream that is the bucket `perjury`.
pub const BUCKET: &str = "KV_perjury";
/// The stream of elements of sets.
pub const SETS: &str = "PERJURY_SET";
/// The stream of messages of queues.
pub const QUEUES: &str = "PERJURY_QUEUE";

/// How long a message that was delivered and not acknowledged is kept back.
pub const ACK_WAIT: Duration = Duration::from_secs(1);
/// How long a drain waits for a message that is kept back for a consumer that is gone.
const QUIET: Duration = Duration::from_millis(2500);

/// A bucket does not say which of its errors come before anything is done, but its sources do.
///
/// Wrong last sequence, wrong last message id, another stream than expected, message too large, JetStream unavailable or
/// not enabled (for the account), stream sealed, no resources.
const REFUSED: [u64; 9] = [10071, 10070, 10060, 10054, 10008, 10039, 10076, 10109, 10047];
/// There is no such stream.
const NO_STREAM: u64 = 10059;
/// There is no message on that subject.
const NO_MESSAGE: u64 = 10037;

/// How the session reads and what it has prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The workload.
    pub workload: String,
    /// Whether any replica may answer a read.
    pub direct: bool,
}

/// A request, and how its answer is to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Where it is published.
    pub subject: String,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub payload: Vec<u8>,
    /// What the call came to if nobody ever hears the answer to this request.
    pub unheard: Unheard,
    reading: Reading,
}

/// What a call came to whose last request is not answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Unheard {
    /// Nothing happened.
    Failed,
    /// It happened or it did not.
    Unknown,
    /// It happened: this.
    Known(Completion),
}

/// How an answer is read.
#[derive(Clone, Debug, PartialEq)]
enum Reading {
    /// The last message of a subject, for a call that only looks; with its sequence number if that is asked for.
    Last { versioned: bool },
    /// The last message of a subject, to be replaced if it is the expected one.
    Compare { subject: String, pair: Value, expected: Value, new: Value },
    /// That a message was stored; with what is told of it.
    Stored { value: Value, applied: Option<bool>, versioned: bool },
    /// The elements of a set: the last parts of the subjects.
    Elements(String),
    /// That the consumer exists; then this is asked.
    Consumer(Box<Asked>),
    /// One message, or that there is none.
    One { key: String },
    /// One message more, or that there is none.
    More { key: String, got: Vec<Value> },
    /// That a message counts as taken; then the call is over, or a drain goes on.
    Taken { value: Value, drain: Option<(String, Vec<Value>)> },
}

/// What an answer leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The call is complete.
    Done(Completion),
    /// This has to be asked as well.
    Ask(Asked),
}

/// Text as one token of a subject: signs that have a meaning there, or may not stand there, as `=` and two digits.
fn escape(text: &str) -> String {
    let sign = |byte: u8| {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            char::from(byte).to_string()
        } else {
            format!("={byte:02x}")
        }
    };
    text.bytes().map(sign).collect()
}

fn unescape(token: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = token.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'=' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Where a key of a history is kept: plain names as they are, everything else as JSON, which begins with another sign.
fn place(key: Option<&Value>) -> Result<String, String> {
    if let Some(text) = key.and_then(Value::as_text) {
        if !text.is_empty() && escape(text) == text && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Ok(text.to_string());
        }
    }
    let key = key.map_or(Ok(Json::Null), json::to_json)?;
    Ok(format!("={}", escape(&key.to_string())))
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    json::to_json(value).map(|json| json.to_string().into_bytes())
}

fn value(bytes: &[u8]) -> Result<Value, String> {
    let json: Json = serde_json::from_slice(bytes)
        .map_err(|e| format!("the message {:?}: {e}", String::from_utf8_lossy(bytes)))?;
    json::from_json(&json)
}

/// The streams of a workload, as they are created: the name, and its configuration.
pub fn stream(workload: &str, replicas: usize, direct: bool) -> (&'static str, Json) {
    let (name, subjects, each) = match workload {
        "set" => (SETS, "perjury.set.>", 1),
        "delivery" => (QUEUES, "perjury.queue.>", -1),
        _ => (BUCKET, "$KV.perjury.>", 1),
    };
    let mut config = json!({
        "name": name, "subjects": [subjects], "num_replicas": replicas, "storage": "file", "retention": "limits",
        "discard": "new", "max_msgs_per_subject": each, "allow_direct": direct,
    });
    if name == BUCKET {
        // As a bucket is made by those who call it one.
        config["allow_rollup_hdrs"] = json!(true);
        config["deny_delete"] = json!(true);
    }
    (name, config)
}

/// A call as its first request. `known` says whether this session has seen the consumer of a key already.
/// `Err` names what is not offered.
pub fn ask(manner: &Manner, call: &Call, known: impl Fn(&str) -> bool) -> Result<Asked, String> {
    let key = place(call.key.as_ref())?;
    let at = format!("$KV.perjury.{key}");
    let versioned = manner.workload == "revision-register";
    match (manner.workload.as_str(), call.f.as_str()) {
        ("set", "add") => {
            let element = escape(&json::to_json(&call.value)?.to_string());
            store(format!("perjury.set.{key}.{element}"), None, Vec::new(), call.value.clone(), None, false)
        }
        ("set", "read") => {
            let prefix = format!("perjury.set.{key}.");
            let body = json!({"subjects_filter": format!("{prefix}>")});
            Ok(look(format!("$JS.API.STREAM.INFO.{SETS}"), &body, Reading::Elements(prefix)))
        }
        ("delivery", "enqueue") => {
            let payload = bytes(&call.value)?;
            store(format!("perjury.queue.{key}"), None, payload, call.value.clone(), None, false)
        }
        ("delivery", "dequeue" | "drain") => {
            let first = match call.f.as_str() {
                "drain" => pull(&key, Some(Vec::new())),
                _ => pull(&key, None),
            };
            Ok(if known(&key) { first } else { consumer(&key, first) })
        }
        ("register" | "cas-register" | "revision-register", "read") => {
            Ok(last(manner, &at, Reading::Last { versioned }))
        }
        ("register" | "cas-register" | "revision-register", "write") => {
            store(at, None, bytes(&call.value)?, call.value.clone(), None, versioned)
        }
        ("cas-register", "cas") => {
            let [expected, new] = two(&call.value)?;
            let reading = Reading::Compare {
                subject: at.clone(),
                pair: call.value.clone(),
                expected: expected.clone(),
                new: new.clone(),
            };
            Ok(last(manner, &at, reading))
        }
        ("revision-register", "cas") => {
            let [expected, new] = two(&call.value)?;
            let version = expected.as_int().filter(|n| *n >= 0).ok_or("a version is a number")?;
            store(at, Some(version as u64), bytes(new)?, new.clone(), Some(true), true)
        }
        (_, f) => Err(format!("there is no function {f} here")),
    }
}

fn two(pair: &Value) -> Result<&[Value; 2], String> {
    pair.as_list().and_then(|pair| pair.try_into().ok()).ok_or_else(|| "a cas takes two values".to_string())
}

/// A request that changes nothing.
fn look(subject: String, body: &Json, reading: Reading) -> Asked {
    let payload = body.to_string().into_bytes();
    Asked { subject, headers: Vec::new(), payload, unheard: Unheard::Failed, reading }
}

/// The last message of a subject.
fn last(manner: &Manner, subject: &str, reading: Reading) -> Asked {
    if manner.direct {
        let subject = format!("$JS.API.DIRECT.GET.{BUCKET}.{subject}");
        return Asked {
            subject,
            headers: Vec::new(),
            payload: Vec::new(),
            unheard: Unheard::Failed,
            reading,
        };
    }
    look(format!("$JS.API.STREAM.MSG.GET.{BUCKET}"), &json!({"last_by_subj": subject}), reading)
}

/// A message that is to be stored, if `after` is the last one of its subject.
fn store(
    subject: String,
    after: Option<u64>,
    payload: Vec<u8>,
    value: Value,
    applied: Option<bool>,
    versioned: bool,
) -> Result<Asked, String> {
    let headers =
        after.map(|after| ("Nats-Expected-Last-Subject-Sequence", after.to_string())).into_iter().collect();
    let reading = Reading::Stored { value, applied, versioned };
    Ok(Asked { subject, headers, payload, unheard: Unheard::Unknown, reading })
}

/// The consumer of a queue, which whoever asks first creates.
fn consumer(key: &str, first: Asked) -> Asked {
    let config = json!({
        "durable_name": key, "filter_subject": format!("perjury.queue.{key}"), "deliver_policy": "all",
        "ack_policy": "explicit", "ack_wait": ACK_WAIT.as_nanos() as u64, "max_deliver": -1,
        "max_ack_pending": 100_000, "replay_policy": "instant",
    });
    let body = json!({"stream_name": QUEUES, "config": config});
    look(format!("$JS.API.CONSUMER.DURABLE.CREATE.{QUEUES}.{key}"), &body, Reading::Consumer(Box::new(first)))
}

/// One message; for a drain, which has `got` some already, after having waited for it.
fn pull(key: &str, got: Option<Vec<Value>>) -> Asked {
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{QUEUES}.{key}");
    let key = key.to_string();
    let Some(got) = got else {
        return look(subject, &json!({"batch": 1, "no_wait": true}), Reading::One { key });
    };
    let body = json!({"batch": 1, "expires": QUIET.as_nanos() as u64});
    let unheard = if got.is_empty() { Unheard::Failed } else { Unheard::Unknown };
    Asked { unheard, ..look(subject, &body, Reading::More { key, got }) }
}

/// Tells a consumer that its message was taken, and asks it to confirm that.
fn taken(at: &str, value: Value, drain: Option<(String, Vec<Value>)>) -> Asked {
    let unheard = match drain {
        // It was delivered, whether it comes again or not.
        None => Unheard::Known(Completion::ok(value.clone())),
        Some(_) => Unheard::Unknown,
    };
    let reading = Reading::Taken { value, drain };
    Asked { subject: at.to_string(), headers: Vec::new(), payload: b"+ACK".to_vec(), unheard, reading }
}

/// The error of the JSON interface.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

#[derive(Debug, Deserialize)]
struct Stored {
    error: Option<Refusal>,
    #[serde(default)]
    seq: u64,
}

#[derive(Debug, Deserialize)]
struct Got {
    error: Option<Refusal>,
    message: Option<Kept>,
}

/// A message of a stream.
#[derive(Debug, Deserialize)]
struct Kept {
    seq: u64,
    /// Left out when empty.
    #[serde(default)]
    data: String,
}

#[derive(Debug, Deserialize)]
struct Info {
    error: Option<Refusal>,
    /// All subjects that fit, in all pages.
    #[serde(default)]
    total: u64,
    state: Option<State>,
}

#[derive(Debug, Deserialize)]
struct State {
    #[serde(default)]
    subjects: BTreeMap<String, u64>,
}

/// Whether a request for something new was answered with success: an error in its own words, if not.
pub fn created(message: &Message) -> Result<(), String> {
    if let Some(status) = message.status {
        return Err(format!("status {status} {}", message.words).trim_end().to_string());
    }
    let answer: Got = parsed(message)?;
    match answer.error {
        None => Ok(()),
        Some(error) => Err(error.description),
    }
}

fn parsed<'a, T: Deserialize<'a>>(message: &'a Message) -> Result<T, String> {
    serde_json::from_slice(&message.payload).map_err(|e| {
        format!("{:?}: {e}", String::from_utf8_lossy(&message.payload[..message.payload.len().min(200)]))
    })
}

/// What an answer means. `Err` is one that cannot be understood.
pub fn read(asked: &Asked, message: &Message) -> Result<Next, String> {
    let done = |completion| Ok(Next::Done(completion));
    let failed = |words: String| Ok(Next::Done(Completion::Fail(words)));
    match &asked.reading {
        Reading::Last { versioned } => match found(message)? {
            Found::Nothing => done(Completion::ok(Value::Null)),
            Found::One(seq, value) if *versioned => {
                done(Completion::ok(Value::list([Value::Int(seq), value])))
            }
            Found::One(_, value) => done(Completion::ok(value)),
            Found::Refused(words) => failed(words),
        },
        Reading::Compare { subject, pair, expected, new } => {
            let (seq, there) = match found(message)? {
                Found::Nothing => (0, Value::Null),
                Found::One(seq, value) => (seq, value),
                Found::Refused(words) => return failed(words),
            };
            if there == *expected {
                let seq = u64::try_from(seq).map_err(|_| format!("a sequence number of {seq}"))?;
                let asked = store(subject.clone(), Some(seq), bytes(new)?, pair.clone(), Some(true), false)?;
                return Ok(Next::Ask(asked));
            }
            done(Completion::Ok { value: pair.clone(), applied: Some(false), observed: Some(there) })
        }
        Reading::Stored { value, applied, versioned } => {
            if message.status == Some(503) {
                return failed("503: nobody answers for the stream".into());
            }
            if let Some(status) = message.status {
                return done(Completion::lost(format!("{status} {}", message.words)));
            }
            let answer: Stored = parsed(message)?;
            match answer.error {
                None => {
                    let seq = i64::try_from(answer.seq).map_err(|e| e.to_string())?;
                    let value = if *versioned {
                        Value::list([Value::Int(seq), value.clone()])
                    } else {
                        value.clone()
                    };
                    done(Completion::Ok { value, applied: *applied, observed: None })
                }
                Some(error) if REFUSED.contains(&error.err_code) => failed(error.description),
                Some(error) => done(Completion::lost(error.description)),
            }
        }
        Reading::Elements(prefix) => {
            if let Some(status) = message.status {
                return failed(format!("{status} {}", message.words));
            }
            let info: Info = parsed(message)?;
            match info.error {
                Some(error) if error.err_code == NO_STREAM => return done(Completion::ok(Value::list([]))),
                Some(error) => return failed(error.description),
                None => {}
            }
            let subjects = info.state.unwrap_or(State { subjects: BTreeMap::new() }).subjects;
            if info.total != subjects.len() as u64 {
                return failed(format!("{} of {} subjects on one page", subjects.len(), info.total));
            }
            let element = |subject: &String| {
                let token = subject.strip_prefix(prefix.as_str()).and_then(unescape);
                let text = token.ok_or_else(|| format!("a subject {subject:?} in another's place"))?;
                value(text.as_bytes())
            };
            let elements = subjects.keys().map(element).collect::<Result<Vec<Value>, String>>()?;
            done(Completion::ok(Value::list(elements)))
        }
        Reading::Consumer(first) => match created(message) {
            Ok(()) => Ok(Next::Ask((**first).clone())),
            Err(words) => failed(words),
        },
        Reading::One { .. } => match message.reply.as_deref() {
            Some(at) => Ok(Next::Ask(taken(at, value(&message.payload)?, None))),
            None if nothing(message) => done(Completion::ok(Value::Null)),
            None => failed(format!("{} {}", message.status.unwrap_or(0), message.words)),
        },
        Reading::More { key, got } => match message.reply.as_deref() {
            Some(at) => {
                let drain = Some((key.clone(), got.clone()));
                Ok(Next::Ask(taken(at, value(&message.payload)?, drain)))
            }
            None if nothing(message) => done(Completion::ok(Value::list(got.clone()))),
            None if got.is_empty() => failed(format!("{} {}", message.status.unwrap_or(0), message.words)),
            None => done(Completion::lost(format!("{} {}", message.status.unwrap_or(0), message.words))),
        },
        Reading::Taken { value, drain } => match drain {
            None => done(Completion::ok(value.clone())),
            Some((key, got)) => {
                let got = got.iter().cloned().chain([value.clone()]).collect();
                Ok(Next::Ask(pull(key, Some(got))))
            }
        },
    }
}

/// Whether a consumer says that it has nothing now: no messages, or none in time.
fn nothing(message: &Message) -> bool {
    matches!(message.status, Some(404 | 408))
}

/// The consumer that an answer shows to exist.
pub fn seen_consumer(asked: &Asked) -> Option<&str> {
    match &asked.reading {
        Reading::One { key } | Reading::More { key, .. } => Some(key),
        _ => None,
    }
}

/// The last message of a subject.
enum Found {
    Nothing,
    One(i64, Value),
    Refused(String),
}

fn found(message: &Message) -> Result<Found, String> {
    let number = |seq: u64| i64::try_from(seq).map_err(|e| e.to_string());
    match message.status {
        Some(404) => return Ok(Found::Nothing),
        Some(status) => return Ok(Found::Refused(format!("{status} {}", message.words))),
        None => {}
    }
    // A direct answer is the message itself.
    if let Some(seq) = message.header("Nats-Sequence") {
        let seq = seq.parse().map_err(|_| format!("a sequence number of {seq:?}"))?;
        return Ok(Found::One(number(seq)?, value(&message.payload)?));
    }
    let answer: Got = parsed(message)?;
    match (answer.error, answer.message) {
        (Some(error), _) if error.err_code == NO_MESSAGE || error.err_code == NO_STREAM => Ok(Found::Nothing),
        (Some(error), _) => Ok(Found::Refused(error.description)),
        (None, Some(kept)) => {
            let data =
                STANDARD.decode(&kept.data).map_err(|e| format!("{:?} is not base64: {e}", kept.data))?;
            Ok(Found::One(number(kept.seq)?, value(&data)?))
        }
        (None, None) => Err("an answer without a message".into()),
    }
}

#[cfg(test)]
mod tests;
