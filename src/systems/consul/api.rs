//! What is asked of Consul and what it answers: its key/value store over HTTP, as its documentation tells.

use crate::systems::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use history::{Call, Completion, Value};
use serde::Deserialize;
use serde_json::Value as Json;

/// Under this prefix all keys are ours.
pub const OURS: &str = "perjury/";

/// How reads are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The leader asks a majority whether it leads still.
    Consistent,
    /// The leader answers as long as it believes that it leads.
    Default,
    /// Any server answers from what it has.
    Stale,
}

impl Reads {
    fn parameter(self) -> &'static str {
        match self {
            Reads::Consistent => "?consistent",
            Reads::Default => "",
            Reads::Stale => "?stale",
        }
    }
}

/// A request, and how its answer is to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// `GET` or `PUT`
    pub method: &'static str,
    /// `/v1/kv/…`
    pub path: String,
    /// What is put.
    pub body: Option<String>,
    /// Whether it changes nothing, so that without an answer it did not happen.
    pub pure: bool,
    reading: Reading,
}

#[derive(Clone, Debug, PartialEq)]
enum Reading {
    /// The value of the one key; with its index if that is asked for.
    Value { versioned: bool },
    /// The value of the one key, to be replaced if it is the expected one.
    Compare { key: String, pair: Value, expected: Value, new: Value },
    /// Whether it was put; with what is told of it then.
    Put { value: Value, compares: bool },
    /// The elements of a set: the last parts of the keys.
    Elements(String),
}

/// What an answer leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The call is complete.
    Done(Completion),
    /// This has to be asked as well.
    Ask(Asked),
}

/// Text as a part of a path: all but plain signs as `%` and two digits.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let sign = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(sign).collect()
}

/// Where a key of a history is kept. Keys are JSON, which holds no `/` outside of text, and none inside of it either.
fn place(key: Option<&Value>) -> Result<String, String> {
    let key = key.map_or(Ok(Json::Null), json::to_json)?;
    Ok(format!("{OURS}{}", key.to_string().replace('/', "\\u002f")))
}

/// A key as it stands in a path.
fn path(key: &str) -> String {
    let parts: Vec<String> = key.split('/').map(escape).collect();
    format!("/v1/kv/{}", parts.join("/"))
}

/// A call of `workload` as its first request. `Err` names what is not offered.
pub fn ask(workload: &str, call: &Call, reads: Reads) -> Result<Asked, String> {
    let key = place(call.key.as_ref())?;
    let text = |value: &Value| json::to_json(value).map(|json| json.to_string());
    let versioned = workload == "revision-register";
    match (workload, call.f.as_str()) {
        ("set", "add") => {
            let element = text(&call.value)?.replace('/', "\\u002f");
            Ok(put(&format!("{key}/{element}"), None, String::new(), call.value.clone()))
        }
        ("set", "read") => {
            let prefix = format!("{key}/");
            let join = if reads == Reads::Default {
                "?keys".to_string()
            } else {
                format!("{}&keys", reads.parameter())
            };
            let path = format!("{}{join}", path(&prefix));
            Ok(Asked { method: "GET", path, body: None, pure: true, reading: Reading::Elements(prefix) })
        }
        ("register" | "cas-register" | "revision-register", "read") => {
            Ok(get(&key, reads, Reading::Value { versioned }))
        }
        ("register" | "cas-register" | "revision-register", "write") => {
            Ok(put(&key, None, text(&call.value)?, call.value.clone()))
        }
        ("cas-register", "cas") => {
            let [expected, new] = two(&call.value)?;
            let (pair, expected, new) = (call.value.clone(), expected.clone(), new.clone());
            // Whoever compares wants to know what is there now, however others read.
            Ok(get(&key, Reads::Consistent, Reading::Compare { key: key.clone(), pair, expected, new }))
        }
        ("revision-register", "cas") => {
            let [index, new] = two(&call.value)?;
            let index = index.as_int().filter(|index| *index >= 0).ok_or("an index is a number")?;
            Ok(put(&key, Some(index as u64), text(new)?, new.clone()))
        }
        (_, f) => Err(format!("there is no function {f} here")),
    }
}

fn two(pair: &Value) -> Result<&[Value; 2], String> {
    pair.as_list().and_then(|pair| pair.try_into().ok()).ok_or_else(|| "a cas takes two values".to_string())
}

fn get(key: &str, reads: Reads, reading: Reading) -> Asked {
    let path = format!("{}{}", path(key), reads.parameter());
    Asked { method: "GET", path, body: None, pure: true, reading }
}

/// Puts a value, if `index` is still the key's last one (0: if there is no such key).
fn put(key: &str, index: Option<u64>, body: String, value: Value) -> Asked {
    let condition = index.map_or(String::new(), |index| format!("?cas={index}"));
    let path = format!("{}{condition}", path(key));
    let reading = Reading::Put { value, compares: index.is_some() };
    Asked { method: "PUT", path, body: Some(body), pure: false, reading }
}

/// A key, as it is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    modify_index: i64,
    /// Null when empty.
    value: Option<String>,
}

impl Entry {
    fn value(&self) -> Result<Value, String> {
        let text = STANDARD
            .decode(self.value.as_deref().unwrap_or_default())
            .map_err(|e| format!("{:?} is not base64: {e}", self.value))?;
        let json: Json = serde_json::from_slice(&text)
            .map_err(|e| format!("the value {:?}: {e}", String::from_utf8_lossy(&text)))?;
        json::from_json(&json)
    }
}

/// Whether a refusal says that the request was not done, and never will be: it was found faulty, not allowed or too large.
/// A server without a leader, one that has lost it, and one that had no time for it say nothing of what was proposed.
fn definite(status: u16) -> bool {
    matches!(status, 400 | 401 | 403 | 404 | 405 | 413)
}

/// What an answer means. `Err` is one that cannot be understood.
pub fn read(asked: &Asked, status: u16, body: &[u8]) -> Result<Next, String> {
    let shown = || String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_string();
    let failed = |e: serde_json::Error| format!("status {status}, {:?}: {e}", shown());
    let done = |completion| Ok(Next::Done(completion));
    // There is no such key.
    let missing = asked.pure && status == 404;
    if status != 200 && !missing {
        let words = format!("{status} {}", shown());
        let certain = asked.pure || definite(status);
        return done(if certain { Completion::Fail(words) } else { Completion::lost(words) });
    }
    let entry = || -> Result<Option<Entry>, String> {
        if missing {
            return Ok(None);
        }
        let [entry]: [Entry; 1] = serde_json::from_slice(body).map_err(failed)?;
        Ok(Some(entry))
    };
    match &asked.reading {
        Reading::Value { versioned } => {
            let Some(entry) = entry()? else { return done(Completion::ok(Value::Null)) };
            let value = entry.value()?;
            let index = Value::Int(entry.modify_index);
            done(Completion::ok(if *versioned { Value::list([index, value]) } else { value }))
        }
        Reading::Compare { key, pair, expected, new } => {
            let (index, there) = match entry()? {
                Some(entry) => (entry.modify_index, entry.value()?),
                None => (0, Value::Null),
            };
            if there != *expected {
                return done(Completion::Ok {
                    value: pair.clone(),
                    applied: Some(false),
                    observed: Some(there),
                });
            }
            let index = u64::try_from(index).map_err(|_| format!("an index of {index}"))?;
            Ok(Next::Ask(put(key, Some(index), json::to_json(new)?.to_string(), pair.clone())))
        }
        Reading::Put { value, compares } => {
            let applied: bool = serde_json::from_slice(body).map_err(failed)?;
            match (applied, compares) {
                (true, true) => {
                    done(Completion::Ok { value: value.clone(), applied: Some(true), observed: None })
                }
                (true, false) => done(Completion::ok(value.clone())),
                (false, true) => done(Completion::Fail("another index".into())),
                (false, false) => Err("a put without a condition was not done".into()),
            }
        }
        Reading::Elements(prefix) => {
            let keys: Vec<String> =
                if missing { Vec::new() } else { serde_json::from_slice(body).map_err(failed)? };
            let element = |key: &String| {
                let last = key
                    .strip_prefix(prefix.as_str())
                    .ok_or_else(|| format!("a key {key:?} in another's place"))?;
                let json: Json = serde_json::from_str(last).map_err(|e| format!("the key {key:?}: {e}"))?;
                json::from_json(&json)
            };
            done(Completion::ok(Value::list(
                keys.iter().map(element).collect::<Result<Vec<Value>, String>>()?,
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Answers have the shapes of Consul's documentation; no Consul was there to be asked.
    const ENTRY: &str = r#"[{"CreateIndex":100,"ModifyIndex":200,"LockIndex":200,"Key":"perjury/\"k1\"","Flags":0,"Value":"NQ==","Session":"adf4238a-882b-9ddc-4a9d-5b6758e4159e"}]"#;

    fn first(workload: &str, f: &str, value: Value, reads: Reads) -> Asked {
        ask(workload, &Call { f: f.into(), key: Some("k1".into()), value }, reads).unwrap()
    }

    fn done(asked: &Asked, status: u16, body: &str) -> Completion {
        match read(asked, status, body.as_bytes()).unwrap() {
            Next::Done(completion) => completion,
            Next::Ask(asked) => panic!("it asks on: {asked:?}"),
        }
    }

    #[test]
    fn requests_are_those_of_the_documentation() {
        let look = |reads| first("register", "read", Value::Null, reads).path;
        assert_eq!(look(Reads::Consistent), "/v1/kv/perjury/%22k1%22?consistent");
        assert_eq!(look(Reads::Default), "/v1/kv/perjury/%22k1%22");
        assert_eq!(look(Reads::Stale), "/v1/kv/perjury/%22k1%22?stale");
        let write = first("register", "write", Value::Int(7), Reads::Stale);
        assert_eq!((write.method, write.path.as_str()), ("PUT", "/v1/kv/perjury/%22k1%22"));
        assert_eq!((write.body.as_deref(), write.pure), (Some("7"), false));
        let all = first("set", "read", Value::Null, Reads::Stale);
        assert_eq!(all.path, "/v1/kv/perjury/%22k1%22/?stale&keys");
    }

    #[test]
    fn answers_are_understood() {
        let look = first("register", "read", Value::Null, Reads::Default);
        assert_eq!(done(&look, 200, ENTRY), Completion::ok(Value::Int(5)));
        assert_eq!(done(&look, 404, ""), Completion::ok(Value::Null));
        assert!(matches!(done(&look, 500, "No cluster leader"), Completion::Fail(_)));
        assert!(read(&look, 200, b"no!?").is_err());
        let versioned = first("revision-register", "read", Value::Null, Reads::Default);
        assert_eq!(
            done(&versioned, 200, ENTRY),
            Completion::ok(Value::list([Value::Int(200), Value::Int(5)]))
        );
        let write = first("register", "write", Value::Int(7), Reads::Default);
        assert_eq!(done(&write, 200, "true\n"), Completion::ok(Value::Int(7)));
        assert!(read(&write, 200, b"false").is_err());
    }

    #[test]
    fn only_what_certainly_did_not_happen_has_failed() {
        let write = first("register", "write", Value::Int(7), Reads::Default);
        for (status, words) in
            [(500, "No cluster leader"), (500, "rpc error: leadership lost"), (503, ""), (429, "")]
        {
            assert!(
                matches!(done(&write, status, words), Completion::Info { late: false, .. }),
                "{status} {words}"
            );
        }
        for status in [400, 403, 413] {
            assert!(matches!(done(&write, status, "no"), Completion::Fail(_)), "{status}");
        }
    }

    #[test]
    fn a_cas_reads_first_and_puts_only_after_what_it_has_read() {
        let pair = Value::list([Value::Int(5), Value::Int(6)]);
        let cas = first("cas-register", "cas", pair.clone(), Reads::Stale);
        assert_eq!((cas.path.as_str(), cas.pure), ("/v1/kv/perjury/%22k1%22?consistent", true));
        let Ok(Next::Ask(put)) = read(&cas, 200, ENTRY.as_bytes()) else { panic!("it puts") };
        assert_eq!((put.path.as_str(), put.body.as_deref()), ("/v1/kv/perjury/%22k1%22?cas=200", Some("6")));
        let told =
            |applied, observed| Completion::Ok { value: pair.clone(), applied: Some(applied), observed };
        assert_eq!(done(&put, 200, "true"), told(true, None));
        assert!(matches!(done(&put, 200, "false"), Completion::Fail(_)));
        let absent = done(&cas, 404, "");
        assert_eq!(absent, told(false, Some(Value::Null)));
        let index =
            first("revision-register", "cas", Value::list([Value::Int(0), Value::Int(1)]), Reads::Default);
        assert_eq!(index.path, "/v1/kv/perjury/%22k1%22?cas=0");
    }

    #[test]
    fn a_set_is_read_back_as_it_was_added() {
        let add = first("set", "add", Value::text("a/b"), Reads::Default);
        assert_eq!(add.path, "/v1/kv/perjury/%22k1%22/%22a%5Cu002fb%22");
        let all = first("set", "read", Value::Null, Reads::Default);
        let keys = r#"["perjury/\"k1\"/12","perjury/\"k1\"/\"a\\u002fb\""]"#;
        assert_eq!(done(&all, 200, keys), Completion::ok(Value::list([Value::Int(12), Value::text("a/b")])));
        assert_eq!(done(&all, 404, ""), Completion::ok(Value::list([])));
    }
}
