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
mod tests {
    use super::*;

    fn manner(workload: &str, direct: bool) -> Manner {
        Manner { workload: workload.to_string(), direct }
    }

    fn call(f: &str, value: Value) -> Call {
        Call { f: f.into(), key: Some("k1".into()), value }
    }

    fn first(workload: &str, f: &str, value: Value) -> Asked {
        ask(&manner(workload, false), &call(f, value), |_| true).unwrap()
    }

    fn plain(payload: &str) -> Message {
        Message { payload: payload.as_bytes().to_vec(), ..Message::default() }
    }

    fn status(status: u16, words: &str) -> Message {
        Message { status: Some(status), words: words.into(), ..Message::default() }
    }

    fn done(asked: &Asked, message: &Message) -> Completion {
        match read(asked, message).unwrap() {
            Next::Done(completion) => completion,
            Next::Ask(asked) => panic!("it asks on: {asked:?}"),
        }
    }

    fn then(asked: &Asked, message: &Message) -> Asked {
        match read(asked, message).unwrap() {
            Next::Ask(asked) => asked,
            Next::Done(completion) => panic!("it is done: {completion:?}"),
        }
    }

    // The answers are those of nats-server 2.9.10.
    const KEPT: &str = r#"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"$KV.perjury.k1","seq":4,"data":"NQ==","time":"2026-11-30T03:57:39.950212197Z"}}"#;
    const WRONG: &str = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 2"},"stream":"KV_perjury","seq":0}"#;

    #[test]
    fn a_register_is_the_last_message_of_its_subject() {
        let write = first("register", "write", Value::Int(7));
        assert_eq!((write.subject.as_str(), write.payload.as_slice()), ("$KV.perjury.k1", &b"7"[..]));
        assert_eq!(write.unheard, Unheard::Unknown);
        assert_eq!(
            done(&write, &plain(r#"{"stream":"KV_perjury", "seq":1}"#)),
            Completion::ok(Value::Int(7))
        );
        let look = first("register", "read", Value::Null);
        assert_eq!(look.subject, "$JS.API.STREAM.MSG.GET.KV_perjury");
        assert_eq!(look.payload, br#"{"last_by_subj":"$KV.perjury.k1"}"#);
        assert_eq!(look.unheard, Unheard::Failed);
        assert_eq!(done(&look, &plain(KEPT)), Completion::ok(Value::Int(5)));
        let missing = r#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#;
        assert_eq!(done(&look, &plain(missing)), Completion::ok(Value::Null));
        let direct = ask(&manner("register", true), &call("read", Value::Null), |_| true).unwrap();
        assert_eq!(direct.subject, "$JS.API.DIRECT.GET.KV_perjury.$KV.perjury.k1");
        let found = Message { headers: vec![("Nats-Sequence".into(), "4".into())], ..plain("5") };
        assert_eq!(done(&direct, &found), Completion::ok(Value::Int(5)));
        assert_eq!(done(&direct, &status(404, "Message Not Found")), Completion::ok(Value::Null));
        assert!(matches!(done(&direct, &status(408, "Bad Request")), Completion::Fail(_)));
    }

    #[test]
    fn only_what_certainly_did_not_happen_has_failed() {
        let write = first("register", "write", Value::Int(7));
        let refused = |code: u64| {
            let error = json!({"error": {"code": 500, "err_code": code, "description": "no"}});
            done(&write, &plain(&error.to_string()))
        };
        for code in [10071, 10008, 10039, 10076] {
            assert!(matches!(refused(code), Completion::Fail(_)), "{code}");
        }
        for code in [10077, 10023, 10000, 0] {
            assert!(matches!(refused(code), Completion::Info { late: false, .. }), "{code}");
        }
        assert!(matches!(done(&write, &status(503, "")), Completion::Fail(_)), "nobody was there to hear it");
        assert!(matches!(done(&write, &status(409, "?")), Completion::Info { .. }));
        assert!(read(&write, &plain("no!?")).is_err());
    }

    #[test]
    fn a_cas_reads_first_and_writes_only_after_what_it_has_read() {
        let pair = Value::list([Value::Int(5), Value::Int(6)]);
        let cas = first("cas-register", "cas", pair.clone());
        assert_eq!(cas.unheard, Unheard::Failed);
        let write = then(&cas, &plain(KEPT));
        assert_eq!(write.headers, [("Nats-Expected-Last-Subject-Sequence", "4".to_string())]);
        assert_eq!((write.payload.as_slice(), &write.unheard), (&b"6"[..], &Unheard::Unknown));
        let applied =
            |applied, observed| Completion::Ok { value: pair.clone(), applied: Some(applied), observed };
        assert_eq!(done(&write, &plain(r#"{"stream":"KV_perjury", "seq":9}"#)), applied(true, None));
        assert!(matches!(done(&write, &plain(WRONG)), Completion::Fail(_)));
        let other = first("cas-register", "cas", Value::list([Value::Int(9), Value::Int(6)]));
        let Completion::Ok { applied, observed, .. } = done(&other, &plain(KEPT)) else {
            panic!("it was told")
        };
        assert_eq!((applied, observed), (Some(false), Some(Value::Int(5))));
        // By version, nothing has to be read.
        let versioned = first("revision-register", "cas", Value::list([Value::Int(4), Value::Int(6)]));
        assert_eq!(versioned.headers, [("Nats-Expected-Last-Subject-Sequence", "4".to_string())]);
        let made = done(&versioned, &plain(r#"{"stream":"KV_perjury", "seq":9}"#));
        let Completion::Ok { value, applied, .. } = made else { panic!("it was done") };
        assert_eq!((value, applied), (Value::list([Value::Int(9), Value::Int(6)]), Some(true)));
    }

    #[test]
    fn a_set_is_read_back_as_it_was_added() {
        let add = first("set", "add", Value::text("a b"));
        assert_eq!(add.subject, "perjury.set.k1.=22a=20b=22");
        let all = first("set", "read", Value::Null);
        let info = r#"{"type":"io.nats.jetstream.api.v1.stream_info_response","total":2,"offset":0,"limit":100000,"state":{"messages":9,"subjects":{"perjury.set.k1.=22a=20b=22":1,"perjury.set.k1.12":1}}}"#;
        let both = Value::list([Value::Int(12), Value::text("a b")]);
        assert_eq!(done(&all, &plain(info)), Completion::ok(both));
        let none = r#"{"total":0,"state":{"messages":0}}"#;
        assert_eq!(done(&all, &plain(none)), Completion::ok(Value::list([])));
        let gone = r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
        assert_eq!(done(&all, &plain(gone)), Completion::ok(Value::list([])));
        let page = info.replace("\"total\":2", "\"total\":3");
        assert!(matches!(done(&all, &plain(&page)), Completion::Fail(_)), "a part of a set is none");
    }

    #[test]
    fn a_message_is_taken_when_it_has_come() {
        let unknown = ask(&manner("delivery", false), &call("dequeue", Value::Null), |_| false).unwrap();
        assert_eq!(unknown.subject, "$JS.API.CONSUMER.DURABLE.CREATE.PERJURY_QUEUE.k1");
        let pull = then(&unknown, &plain(r#"{"type":"…","stream_name":"PERJURY_QUEUE","name":"k1"}"#));
        assert_eq!(pull, first("delivery", "dequeue", Value::Null));
        assert_eq!(pull.subject, "$JS.API.CONSUMER.MSG.NEXT.PERJURY_QUEUE.k1");
        let message = Message { reply: Some("$JS.ACK.PERJURY_QUEUE.k1.1.1.1.9.2".into()), ..plain("12") };
        let ack = then(&pull, &message);
        assert_eq!(
            (ack.subject.as_str(), ack.payload.as_slice()),
            ("$JS.ACK.PERJURY_QUEUE.k1.1.1.1.9.2", &b"+ACK"[..])
        );
        assert_eq!(ack.unheard, Unheard::Known(Completion::ok(Value::Int(12))));
        assert_eq!(done(&ack, &plain("")), Completion::ok(Value::Int(12)));
        assert_eq!(done(&pull, &status(404, "No Messages")), Completion::ok(Value::Null));
        assert!(matches!(done(&pull, &status(409, "Consumer Deleted")), Completion::Fail(_)));
        assert!(matches!(done(&pull, &status(503, "")), Completion::Fail(_)));
    }

    #[test]
    fn a_drain_goes_on_until_nothing_comes() {
        let drain = first("delivery", "drain", Value::Null);
        assert_eq!(drain.unheard, Unheard::Failed);
        let message = Message { reply: Some("$JS.ACK.a".into()), ..plain("1") };
        let ack = then(&drain, &message);
        assert_eq!(ack.unheard, Unheard::Unknown, "it may have taken some and told nobody");
        let more = then(&ack, &plain(""));
        assert_eq!(more.unheard, Unheard::Unknown);
        assert_eq!(
            done(&more, &status(408, "Request Timeout")),
            Completion::ok(Value::list([Value::Int(1)]))
        );
        assert!(matches!(done(&more, &status(409, "Consumer Deleted")), Completion::Info { .. }));
        assert!(matches!(done(&drain, &status(409, "Consumer Deleted")), Completion::Fail(_)));
    }

    #[test]
    fn every_key_has_a_place_of_its_own_that_is_one_token() {
        let keys = [
            Value::text("k1"),
            Value::Int(1),
            Value::text("1"),
            Value::text("a.b"),
            Value::text("*"),
            Value::text(""),
            Value::Null,
        ];
        let mut places: Vec<String> = keys.iter().map(|key| place(Some(key)).unwrap()).collect();
        assert!(
            places.iter().all(|p| p.bytes().all(|b| b.is_ascii_alphanumeric() || b"=-_".contains(&b))),
            "{places:?}"
        );
        places.sort();
        places.dedup();
        assert_eq!(places.len(), keys.len());
        assert_eq!(unescape(&escape("a.b *>=é")).as_deref(), Some("a.b *>=é"));
    }
}
