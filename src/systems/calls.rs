//! Calls as lines of JSON, and a session that makes them: how a program that is not part of this one is asked.
//!
//! ```text
//!   → {"id":1,"f":"write","key":"x","value":3}      ← {"id":1,"type":"ok"}
//!   → {"id":2,"f":"read","key":"x","value":null}    ← {"id":2,"type":"ok","value":3}
//!                                                   ← {"id":2,"type":"fail","error":"…"}     did not happen, ever
//!                                                   ← {"id":2,"type":"info","error":"…"}     may have happened
//! ```
//! A session is over at the first thing that is not the answer to its open call: an end, something else, or silence until
//! the deadline. It is never asked again.

use crate::client::Client;
use crate::control::lines::{self, Lines};
use crate::systems::json;
use history::{Call, Completion};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Lines to somebody and back.
pub trait Wire: Send {
    /// Sends a line with its end. An error does not say how much of it was read.
    fn send(&mut self, line: &str, deadline: Instant) -> Result<(), String>;
    /// The next line without its end. After [`NoLine::Late`] it may be asked for again.
    fn next(&mut self, deadline: Instant) -> Result<String, NoLine>;
    /// Whether more has arrived than was taken.
    fn more(&self) -> bool;
    /// Ends it, and says what the other side had come to, if that is known. Nothing to do the second time.
    fn end(&mut self) -> Option<String>;
}

/// Why there is no line.
#[derive(Debug)]
pub enum NoLine {
    /// The deadline came first.
    Late,
    /// There will be none.
    Broken(String),
}

/// A wire that is a connection.
#[derive(Debug)]
pub struct Socket(Lines<TcpStream>);

impl Socket {
    /// Over a connection on which nothing was said yet.
    pub fn new(stream: TcpStream) -> Socket {
        Socket(Lines::new(stream))
    }
}

impl Wire for Socket {
    fn send(&mut self, line: &str, deadline: Instant) -> Result<(), String> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let stream = self.0.socket();
        let sent = stream.set_write_timeout(Some(left)).and_then(|()| (&*stream).write_all(line.as_bytes()));
        sent.map_err(|e| e.to_string())
    }

    fn next(&mut self, deadline: Instant) -> Result<String, NoLine> {
        self.0.next(Some(deadline)).map_err(|why| match why {
            lines::NoLine::Late => NoLine::Late,
            lines::NoLine::Closed(why) => NoLine::Broken(why),
        })
    }

    fn more(&self) -> bool {
        self.0.more()
    }

    fn end(&mut self) -> Option<String> {
        // One that is broken is as good as closed.
        let _ = self.0.socket().shutdown(std::net::Shutdown::Both);
        None
    }
}

/// A session of a client process.
#[derive(Debug)]
pub struct Session<W> {
    wire: W,
    /// Functions without effect.
    reads: &'static [&'static str],
    next: u64,
    alive: bool,
    /// The call that is open, if its deadline has passed without an answer.
    open: Option<(u64, Call)>,
}

/// What is said of a call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    id: u64,
    r#type: Kind,
    /// Left out: that of the call.
    #[serde(default, deserialize_with = "there")]
    value: Option<Json>,
    #[serde(default)]
    error: Option<Json>,
    /// Of a comparison: whether it held.
    #[serde(default)]
    applied: Option<bool>,
    /// What was there instead.
    #[serde(default, deserialize_with = "there")]
    observed: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Ok,
    Fail,
    Info,
}

/// A null that stands there is not one that was left out.
fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl<W: Wire> Session<W> {
    /// A session over a wire on which nothing was said yet. `reads` are the functions without effect.
    pub fn new(wire: W, reads: &'static [&'static str]) -> Session<W> {
        Session { wire, reads, next: 1, alive: true, open: None }
    }

    fn answer(&mut self, id: u64, call: Call, deadline: Instant) -> Completion {
        let line = match self.wire.next(deadline) {
            Ok(line) => line,
            Err(NoLine::Late) => {
                self.open = Some((id, call));
                return Completion::Info { error: "no answer by the deadline".into(), late: true };
            }
            Err(NoLine::Broken(why)) => return self.broken(&call, why),
        };
        self.open = None;
        match understood(&line, id, &call) {
            Ok(_) if self.wire.more() => {
                self.broken(&call, "the client has said more than it was asked".into())
            }
            // A read that nobody knows the end of had no effect, so it did not happen.
            Ok(Completion::Info { error, .. }) if self.pure(&call) => Completion::Fail(error),
            Ok(completion) => completion,
            Err(why) => {
                let shown: String = line.chars().take(200).collect();
                self.broken(&call, format!("the client said {shown:?}: {why}"))
            }
        }
    }

    /// The session is over, and nobody will ever hear what became of the call.
    fn broken(&mut self, call: &Call, why: String) -> Completion {
        self.alive = false;
        self.open = None;
        let why = match self.wire.end() {
            Some(how) => format!("{why} ({how})"),
            None => why,
        };
        if self.pure(call) { Completion::Fail(why) } else { Completion::lost(why) }
    }

    fn pure(&self, call: &Call) -> bool {
        self.reads.contains(&call.f.as_str())
    }
}

impl<W: Wire> Client for Session<W> {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive || self.open.is_some() {
            return Completion::Fail("the session is over".into());
        }
        let id = self.next;
        let line = match line_of(id, call) {
            Ok(line) => line,
            Err(why) => return Completion::Fail(why),
        };
        self.next += 1;
        match self.wire.send(&line, deadline) {
            Ok(()) => self.answer(id, call.clone(), deadline),
            Err(why) => self.broken(call, format!("telling the client: {why}")),
        }
    }

    fn late(&mut self, until: Instant) -> Completion {
        match self.open.take() {
            Some((id, call)) => self.answer(id, call, until),
            None => Completion::lost("no call is open"),
        }
    }

    fn alive(&self) -> bool {
        self.alive && self.open.is_none()
    }
}

/// Whether a line is a greeting: what a program says first, when it is ready to be asked.
pub fn greeting(line: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Greeting {
        ready: bool,
    }
    serde_json::from_str::<Greeting>(line).is_ok_and(|greeting| greeting.ready)
}

/// What an answer says of the call with this number.
fn understood(line: &str, id: u64, call: &Call) -> Result<Completion, String> {
    let said: Said = serde_json::from_str(line).map_err(|e| e.to_string())?;
    if said.id != id {
        return Err(format!("that is no answer to call {id}"));
    }
    let error = || match &said.error {
        None | Some(Json::Null) => "the client gave no reason".to_string(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Ok(match said.r#type {
        Kind::Fail => Completion::Fail(error()),
        Kind::Info => Completion::lost(error()),
        Kind::Ok => Completion::Ok {
            value: said.value.as_ref().map_or(Ok(call.value.clone()), json::from_json)?,
            applied: said.applied,
            observed: said.observed.as_ref().map(json::from_json).transpose()?,
        },
    })
}

/// A call as a line, with its end.
fn line_of(id: u64, call: &Call) -> Result<String, String> {
    let key = call.key.as_ref().map_or(Ok(Json::Null), json::to_json)?;
    let value = json::to_json(&call.value)?;
    Ok(format!("{}\n", json!({"id": id, "f": call.f, "key": key, "value": value})))
}

/// A call as the other side hears it.
#[derive(Debug, Deserialize)]
struct Heard {
    id: u64,
    f: String,
    #[serde(default)]
    key: Json,
    #[serde(default)]
    value: Json,
}

/// The number of a call, and the call, from its line.
pub fn heard(line: &str) -> Result<(u64, Call), String> {
    let Heard { id, f, key, value } = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let key = (!key.is_null()).then(|| json::from_json(&key)).transpose()?;
    Ok((id, Call { f, key, value: json::from_json(&value)? }))
}

/// The answer to a call as a line, with its end.
pub fn reply(id: u64, completion: &Completion) -> String {
    let mut said = json!({"id": id});
    match completion {
        Completion::Ok { value, applied, observed } => {
            let plain = |value| json::to_json(value).unwrap_or(Json::Null);
            (said["type"], said["value"]) = ("ok".into(), plain(value));
            if let Some(applied) = applied {
                said["applied"] = (*applied).into();
            }
            if let Some(observed) = observed {
                said["observed"] = plain(observed);
            }
        }
        Completion::Fail(error) => (said["type"], said["error"]) = ("fail".into(), error.as_str().into()),
        Completion::Info { error, .. } => {
            (said["type"], said["error"]) = ("info".into(), error.as_str().into());
        }
    }
    format!("{said}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use history::Value;

    fn call(f: &str, value: Value) -> Call {
        Call { f: f.into(), key: Some("x".into()), value }
    }

    #[test]
    fn an_answer_is_one_to_its_own_call_in_the_words_that_there_are() {
        let write = call("write", Value::Int(3));
        let answer = |line: &str| understood(line, 7, &write);
        assert_eq!(answer(r#"{"id":7,"type":"ok"}"#), Ok(Completion::ok(Value::Int(3))));
        assert_eq!(answer(r#"{"id":7,"type":"ok","value":null}"#), Ok(Completion::ok(Value::Null)));
        assert_eq!(answer(r#"{"id":7,"type":"fail","error":"no"}"#), Ok(Completion::Fail("no".into())));
        assert_eq!(
            answer(r#"{"id":7,"type":"info","error":{"code":4}}"#),
            Ok(Completion::lost(r#"{"code":4}"#))
        );
        let (applied, observed) = (Some(false), Some(Value::Null));
        assert_eq!(
            answer(r#"{"id":7,"type":"ok","applied":false,"observed":null}"#),
            Ok(Completion::Ok { value: Value::Int(3), applied, observed })
        );
        for wrong in [
            "",
            "7",
            r#"{"id":6,"type":"ok"}"#,
            r#"{"id":7}"#,
            r#"{"id":7,"type":"okay"}"#,
            r#"{"id":7,"type":"ok","valeu":3}"#,
            r#"{"id":7,"type":"ok","value":1.5}"#,
            r#"{"id":7,"type":"ok"} and more"#,
        ] {
            assert!(answer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_asks_once_and_says_failed_only_where_nothing_can_have_happened() {
        conforms(&Protocol {
            open: |stream, _| Ok(Box::new(Session::new(Socket::new(stream), &["read"]))),
            hello: |_| {},
            requests: |seen| seen.iter().filter(|&&byte| byte == b'\n').count(),
            written: b"{\"id\":1,\"type\":\"ok\"}\n".to_vec(),
            unclear: b"{\"id\":1,\"type\":\"info\",\"error\":\"who knows\"}\n".to_vec(),
            nonsense: b"no!?\n".to_vec(),
        });
    }

    #[test]
    fn both_sides_mean_the_same() {
        let asked = call("cas", Value::list([Value::Null, Value::Int(3)]));
        assert_eq!(heard(&line_of(7, &asked).unwrap()), Ok((7, asked.clone())));
        let (value, observed) = (asked.value.clone(), Some(Value::Int(4)));
        for completion in [
            Completion::ok(Value::Null),
            Completion::Ok { value, applied: Some(false), observed },
            Completion::Fail("no".into()),
            Completion::lost("who knows"),
        ] {
            assert_eq!(understood(&reply(7, &completion), 7, &asked), Ok(completion));
        }
    }

    #[test]
    fn a_greeting_says_that_it_is_ready_and_nothing_else() {
        assert!(greeting(r#"{"ready": true}"#));
        for wrong in ["", "ready", "{}", r#"{"ready":false}"#, r#"{"ready":true,"id":1}"#] {
            assert!(!greeting(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_call_is_one_line() {
        let line = line_of(2, &call("write", Value::text("two\nlines"))).unwrap();
        assert_eq!(line, "{\"f\":\"write\",\"id\":2,\"key\":\"x\",\"value\":\"two\\nlines\"}\n");
    }
}
