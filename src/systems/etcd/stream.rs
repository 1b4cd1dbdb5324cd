//! The stream of a watch: how it is asked for, and what its lines say.

use super::api::{Header, Pair, place, text, under};
use crate::systems::json;
use history::Value;
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// The request to be told of every change below a place, from a revision on (0: from now on).
pub fn watch(key: Option<&Value>, from: i64) -> Result<String, String> {
    let (key, range_end) = under(&place(key)?);
    let create = json!({"key": key, "range_end": range_end, "start_revision": from.to_string(), "progress_notify": true});
    Ok(json!({ "create_request": create }).to_string())
}

/// What a watch is told, a line of its stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// It has begun, when the store had counted so far.
    Created(i64),
    /// These changes, as `[revision, name, value]`, and the last revision of them.
    Events(Vec<Value>, i64),
    /// It has been told of everything up to here.
    Progress(i64),
    /// What it asks for is gone; the first revision that is left.
    Compacted(i64),
    /// It is over.
    Over(String),
}

/// What a line of the stream says. `key` is what is watched.
pub fn heard(line: &[u8], key: Option<&Value>) -> Result<Heard, String> {
    let shown = || String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
    let said: Line = serde_json::from_slice(line).map_err(|e| format!("{:?}: {e}", shown()))?;
    let Some(result) = said.result else {
        let why = said.error.and_then(|error| error.message).unwrap_or_else(shown);
        return Ok(Heard::Over(why));
    };
    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("the revision {text:?} is no number"));
    if result.canceled {
        return match number(&result.compact_revision)? {
            0 => Ok(Heard::Over(format!("the watch was cancelled: {}", result.cancel_reason))),
            left => Ok(Heard::Compacted(left)),
        };
    }
    let counted = number(&result.header.revision)?;
    if result.created {
        return Ok(Heard::Created(counted));
    }
    let prefix = format!("{}/", place(key)?);
    let mut events = Vec::with_capacity(result.events.len());
    let mut last = 0;
    for event in &result.events {
        let at = text(&event.kv.key)?;
        let name = at.strip_prefix(&prefix).ok_or_else(|| format!("a key {at:?} in another's place"))?;
        let name: Json = serde_json::from_str(name).map_err(|e| format!("the key {at:?}: {e}"))?;
        let revision = number(&event.kv.mod_revision)?;
        last = last.max(revision);
        let value = match event.kind.as_str() {
            "PUT" => event.kv.value()?,
            "DELETE" => Value::Null,
            other => return Err(format!("an event of type {other:?}")),
        };
        events.push(Value::list([Value::Int(revision), json::from_json(&name)?, value]));
    }
    Ok(if events.is_empty() { Heard::Progress(counted) } else { Heard::Events(events, last) })
}

#[derive(Debug, Deserialize)]
struct Line {
    result: Option<Watched>,
    error: Option<StreamError>,
}

#[derive(Debug, Deserialize)]
struct StreamError {
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Watched {
    header: Header,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    canceled: bool,
    /// Left out when 0.
    #[serde(default = "zero")]
    compact_revision: String,
    #[serde(default)]
    cancel_reason: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    /// Left out when it is a put.
    #[serde(default = "put", rename = "type")]
    kind: String,
    kv: Pair,
}

fn zero() -> String {
    "0".to_string()
}

fn put() -> String {
    "PUT".to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::etcd::api::bytes;

    /// A line with the header that etcd 3.4.23 sends.
    fn line(revision: i64, rest: &str) -> String {
        format!(
            r#"{{"result":{{"header":{{"cluster_id":"3249","member_id":"3319","revision":"{revision}","raft_term":"2"}}{rest}}}}}"#
        )
    }

    #[test]
    fn the_lines_of_a_recorded_stream_are_understood() {
        let heard = |line: &str| heard(line.as_bytes(), None);
        let key = bytes("perjury/null/\"a\"");
        let event = |revision, value| Value::list([Value::Int(revision), "a".into(), value]);
        assert_eq!(heard(&line(1, r#","created":true"#)), Ok(Heard::Created(1)));
        let kv = format!(
            r#"{{"key":"{key}","create_revision":"2","mod_revision":"2","version":"1","value":"MQ=="}}"#
        );
        let put = line(5, &format!(r#","events":[{{"kv":{kv}}}]"#));
        assert_eq!(heard(&put), Ok(Heard::Events(vec![event(2, Value::Int(1))], 2)));
        let kv = format!(r#"{{"key":"{key}","mod_revision":"3"}}"#);
        let delete = line(3, &format!(r#","events":[{{"type":"DELETE","kv":{kv}}}]"#));
        assert_eq!(heard(&delete), Ok(Heard::Events(vec![event(3, Value::Null)], 3)));
        assert_eq!(heard(&line(8, "")), Ok(Heard::Progress(8)));
        let gone = r#"{"result":{"header":{"member_id":"3319"},"canceled":true,"compact_revision":"5"}}"#;
        assert_eq!(heard(gone), Ok(Heard::Compacted(5)));
        let over = r#"{"result":{"header":{},"canceled":true,"cancel_reason":"no such key"}}"#;
        assert!(matches!(heard(over), Ok(Heard::Over(why)) if why.contains("no such key")));
        let elsewhere = line(3, r#","events":[{"kv":{"key":"cA==","mod_revision":"1"}}]"#);
        for wrong in ["", "7", &elsewhere] {
            assert!(heard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_watch_is_of_what_is_below_its_key() {
        let asked: Json = serde_json::from_str(&watch(Some(&"k1".into()), 7).unwrap()).unwrap();
        assert_eq!(
            asked,
            json!({"create_request": {"key": bytes("perjury/\"k1\"/"), "range_end": bytes("perjury/\"k1\"0"),
                "start_revision": "7", "progress_notify": true}})
        );
    }
}
