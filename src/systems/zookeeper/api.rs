//! What is asked of ZooKeeper and what it answers: calls as requests, one after the other, and answers as outcomes.
//!
//! ```text
//!   register       /perjury/KEY               data: the value
//!   set            /perjury/KEY/ELEMENT       a node for each element
//!   lock           /perjury/KEY/h0000000007   ephemeral and sequential: the lowest number holds the lock
//!                  /perjury/KEY               data: [token, value] of the guarded resource
//! ```

use super::jute::Reader;
use super::wire::{Answer, Making, Request, Session};
use crate::systems::dialogue::Next as Step;
use crate::systems::json;
use history::{Call, Completion, Value};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where everything of ours is.
pub const ROOT: &str = "/perjury";
/// What reads that come after a write of their own write to. No key has this name: texts begin with a quotation mark.
pub const BARRIER: &str = "/perjury/barrier";

type Next = Step<Session>;

/// How a read makes sure that it is not late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Not at all: from what the server has.
    Local,
    /// By a `sync` before it.
    Sync,
    /// By a write before it, which a majority takes, and which this server has applied when it answers.
    Write,
}

/// What sessions are told by the options.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// How reads are done.
    pub reads: Reads,
    /// Whether the guarded resource compares tokens.
    pub fencing: bool,
}

/// What a session must remember: its locks, by token, as the paths of their nodes.
pub type Held = Arc<Mutex<HashMap<i64, String>>>;

/// There is no node of that path.
pub const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
/// There is a node of that path.
pub const NODE_EXISTS: i32 = -110;

/// What an error is called, and whether it says that the request was not done, and never will be.
///
/// A session that has expired or moved, a connection that the server itself has lost and time that ran out say nothing of
/// a write that may have been proposed before.
fn meaning(error: i32) -> (String, bool) {
    let (name, definite) = match error {
        -2 => ("runtime inconsistency", false),
        -4 => ("connection loss", false),
        -5 => ("marshalling error", true),
        -6 => ("unimplemented", true),
        -7 => ("operation timeout", false),
        -8 => ("bad arguments", true),
        NO_NODE => ("no node", true),
        -102 => ("not authorised", true),
        BAD_VERSION => ("bad version", true),
        -108 => ("no children for ephemeral nodes", true),
        NODE_EXISTS => ("node exists", true),
        -111 => ("not empty", true),
        -112 => ("session expired", false),
        -114 => ("invalid access list", true),
        -115 => ("authentication failed", true),
        -118 => ("session moved", false),
        -119 => ("not allowed on a read-only server", true),
        other => return (format!("error {other}"), false),
    };
    (name.to_string(), definite)
}

/// What an error is called.
pub fn error_name(error: i32) -> String {
    meaning(error).0
}

/// The end of a call whose change was refused, or of which nobody knows.
fn refused(error: i32) -> Result<Next, String> {
    let (why, definite) = meaning(error);
    Ok(Next::Done(if definite { Completion::Fail(why) } else { Completion::lost(why) }))
}

/// The end of a call whose question was refused: nothing has happened.
fn unread(error: i32) -> Result<Next, String> {
    Ok(Next::fail(meaning(error).0))
}

/// A name as part of a path: letters, digits, `-` and `_` as they are, any other byte by its number.
pub fn name(text: &str) -> String {
    let mut name = String::with_capacity(text.len() + 4);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name
}

/// What [`name`] was made of.
fn unname(name: &str) -> Result<String, String> {
    let wrong = || format!("the name {name:?}");
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        if byte == b'%' {
            let (digits, more) = rest.split_at_checked(2).ok_or_else(wrong)?;
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            rest = more;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Where a key of a history is kept.
fn place(key: Option<&Value>) -> Result<String, String> {
    let key = key.map_or(Ok(Json::Null), json::to_json)?;
    Ok(format!("{ROOT}/{}", name(&key.to_string())))
}

fn data(value: &Value) -> Result<Vec<u8>, String> {
    Ok(json::to_json(value)?.to_string().into_bytes())
}

fn value(data: &[u8]) -> Result<Value, String> {
    let json: Json = serde_json::from_slice(data)
        .map_err(|e| format!("the data {:?}: {e}", String::from_utf8_lossy(&data[..data.len().min(200)])))?;
    json::from_json(&json)
}

/// The numbers of a node that anybody here asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    /// The transaction that made the node.
    made: i64,
    /// How often its data was replaced.
    version: i32,
}

impl Stat {
    fn read(reader: &mut Reader<'_>) -> Result<Stat, String> {
        let (made, _changed, _made_at, _changed_at) =
            (reader.long()?, reader.long()?, reader.long()?, reader.long()?);
        Ok(Stat { made, version: reader.int()? })
    }
}

/// A node's data and numbers, from the answer to a question for its data.
fn found(answer: &Answer) -> Result<(Value, Stat), String> {
    let mut reader = Reader::new(&answer.body);
    let value = value(reader.buffer()?)?;
    Ok((value, Stat::read(&mut reader)?))
}

/// `then`, with whatever the reads of this dialect do before.
fn caught_up(reads: Reads, path: &str, then: impl FnOnce() -> Next + Send + 'static) -> Next {
    let before = match reads {
        Reads::Local => return then(),
        Reads::Sync => Request::Sync { path: path.to_string() },
        Reads::Write => Request::SetData { path: BARRIER.to_string(), data: Vec::new(), version: -1 },
    };
    // What is written to the barrier is nothing that a history tells of.
    Next::look(before, move |answer| if answer.error == 0 { Ok(then()) } else { unread(answer.error) })
}

/// Asks for a node; `then` is told its data and numbers, or that there is none.
fn look_up(
    reads: Reads,
    path: String,
    then: impl FnOnce(Option<(Value, Stat)>) -> Result<Next, String> + Send + 'static,
) -> Next {
    let asked = Request::GetData { path: path.clone() };
    caught_up(reads, &path, move || {
        Next::look(asked, move |answer| match answer.error {
            0 => then(Some(found(&answer)?)),
            NO_NODE => then(None),
            error => unread(error),
        })
    })
}

/// Makes a node; `made` is told its numbers, `exists` goes on where there is one already.
fn create(
    path: String,
    data: Vec<u8>,
    made: impl FnOnce(Stat) -> Result<Next, String> + Send + 'static,
    exists: impl FnOnce() -> Result<Next, String> + Send + 'static,
) -> Next {
    Next::change(Request::Create { path, data, making: Making::Persistent }, move |answer| {
        match answer.error {
            0 => {
                let mut reader = Reader::new(&answer.body);
                reader.text()?;
                made(Stat::read(&mut reader)?)
            }
            NODE_EXISTS => exists(),
            error => refused(error),
        }
    })
}

/// Replaces the data of a node of this version; `set` is told its numbers, `not` the refusal.
fn replace(
    path: String,
    data: Vec<u8>,
    version: i32,
    set: impl FnOnce(Stat) -> Result<Next, String> + Send + 'static,
    not: impl FnOnce(i32) -> Result<Next, String> + Send + 'static,
) -> Next {
    Next::change(Request::SetData { path, data, version }, move |answer| match answer.error {
        0 => set(Stat::read(&mut Reader::new(&answer.body))?),
        error @ (NO_NODE | BAD_VERSION) => not(error),
        error => refused(error),
    })
}

/// Replaces the data of a node, or makes it: nodes are never removed, so that after "there is none" and "there is one"
/// there is one.
fn write(
    path: String,
    data: Vec<u8>,
    done: impl FnOnce(Stat) -> Result<Next, String> + Send + Clone + 'static,
) -> Next {
    let (again, then, last) = (data.clone(), done.clone(), done.clone());
    let (second, third) = (path.clone(), path.clone());
    replace(path, data, -1, done, move |_| {
        let third_data = again.clone();
        Ok(create(second, again, then, move || Ok(replace(third, third_data, -1, last, refused))))
    })
}

/// A call that has been done with this result.
fn done(value: Value) -> impl FnOnce(Stat) -> Result<Next, String> + Send + Clone + 'static {
    move |_| Ok(Next::ok(value))
}

/// A compare-and-set that compared false.
fn untrue(value: Value, observed: Option<Value>) -> Next {
    Next::Done(Completion::Ok { value, applied: Some(false), observed })
}

/// A version of a history: 0 is a node that is not there.
fn version(stat: Stat) -> Value {
    Value::Int(i64::from(stat.version) + 1)
}

fn pair(value: &Value) -> Result<(Value, Value), String> {
    match value.as_list() {
        Some([first, second]) => Ok((first.clone(), second.clone())),
        _ => Err(format!("expected a pair, found {value}")),
    }
}

/// A call of `workload` as its first request. `Err` names what is not offered.
pub fn begin(workload: &str, call: &Call, dialect: Dialect, held: &Held) -> Result<Next, String> {
    let path = place(call.key.as_ref())?;
    let (reads, said) = (dialect.reads, call.value.clone());
    match (workload, call.f.as_str()) {
        ("set", "add") => add(path, &said),
        ("set", "read") => Ok(elements(reads, path)),
        ("versioned-register", "read") => Ok(look_up(reads, path, |found| {
            let none = || Value::list([Value::Int(0), Value::Null]);
            Ok(Next::ok(found.map_or_else(none, |(value, stat)| Value::list([version(stat), value]))))
        })),
        ("versioned-register", "write") => {
            let bytes = data(&said)?;
            Ok(write(path, bytes, move |stat| Ok(Next::ok(Value::list([version(stat), said])))))
        }
        ("versioned-register", "cas") => versioned_cas(path, said),
        ("lock", "acquire") => Ok(acquire(path, held.clone(), true)),
        ("lock", "release") => release(&said, held),
        ("lock", "read") => {
            let token = said.as_int().ok_or("a guarded read shows its token")?;
            if !dialect.fencing {
                return Ok(look_up(reads, path, move |found| {
                    let there = found.map_or(Ok(Value::Null), |(pair, _)| self::pair(&pair).map(|p| p.1))?;
                    Ok(Next::ok(Value::list([Value::Int(token), there])))
                }));
            }
            Ok(fenced(path, token, said, |there| there))
        }
        ("lock", "write") => {
            let (token, new) = pair(&said)?;
            let token = token.as_int().ok_or("a guarded write shows its token")?;
            if !dialect.fencing {
                let bytes = data(&said)?;
                return Ok(write(path, bytes, done(said)));
            }
            Ok(fenced(path, token, said, move |_| new))
        }
        ("register" | "cas-register", "read") => {
            Ok(look_up(reads, path, |found| Ok(Next::ok(found.map_or(Value::Null, |(value, _)| value)))))
        }
        ("register" | "cas-register", "write") => Ok(write(path, data(&said)?, done(said))),
        ("cas-register", "cas") => cas(reads, path, said),
        (_, f) => Err(format!("there is no function {f} here")),
    }
}

/// Adds an element, and makes its set first if there is none.
fn add(set: String, element: &Value) -> Result<Next, String> {
    let path = format!("{set}/{}", name(&json::to_json(element)?.to_string()));
    let make = |element: Value, path: String, or: Box<dyn FnOnce() -> Result<Next, String> + Send>| {
        let again = element.clone();
        Next::change(Request::Create { path, data: Vec::new(), making: Making::Persistent }, move |answer| {
            match answer.error {
                0 => Ok(Next::ok(element)),
                // Somebody has added it before.
                NODE_EXISTS => Ok(Next::ok(again)),
                NO_NODE => or(),
                error => refused(error),
            }
        })
    };
    let (element, later, again) = (element.clone(), element.clone(), path.clone());
    Ok(make(
        element,
        path,
        Box::new(move || {
            let (first, other) = (again.clone(), later.clone());
            Ok(create(
                set,
                b"null".to_vec(),
                move |_| Ok(make(later, again, Box::new(|| refused(NO_NODE)))),
                move || Ok(make(other, first, Box::new(|| refused(NO_NODE)))),
            ))
        }),
    ))
}

/// The elements of a set.
fn elements(reads: Reads, path: String) -> Next {
    let asked = Request::Children { path: path.clone() };
    caught_up(reads, &path, move || {
        Next::look(asked, |answer| match answer.error {
            0 => {
                let element = |name: &&str| value(unname(name)?.as_bytes());
                let names = Reader::new(&answer.body).texts()?;
                let elements = names.iter().map(element).collect::<Result<Vec<Value>, String>>()?;
                Ok(Next::ok(Value::list(elements)))
            }
            NO_NODE => Ok(Next::ok(Value::list([]))),
            error => unread(error),
        })
    })
}

/// Compares values: it looks the node up, and replaces it if it still has the version that was seen.
fn cas(reads: Reads, path: String, said: Value) -> Result<Next, String> {
    let (expected, new) = pair(&said)?;
    let bytes = data(&new)?;
    Ok(look_up(reads, path.clone(), move |found| {
        let applied = said.clone();
        let swapped =
            move |_| Ok(Next::Done(Completion::Ok { value: applied, applied: Some(true), observed: None }));
        let changed = "the node has changed between the look and the write";
        match found {
            Some((value, stat)) if value == expected => {
                Ok(replace(path, bytes, stat.version, swapped, move |_| Ok(Next::fail(changed))))
            }
            None if expected == Value::Null => {
                Ok(create(path, bytes, swapped, move || Ok(Next::fail(changed))))
            }
            other => {
                let there = other.map_or(Value::Null, |(value, _)| value);
                Ok(untrue(said, Some(there)))
            }
        }
    }))
}

/// Compares versions, which is one request.
fn versioned_cas(path: String, said: Value) -> Result<Next, String> {
    let (expected, new) = pair(&said)?;
    let expected = expected.as_int().ok_or("a cas expects a version")?;
    let (bytes, kept) = (data(&new)?, said);
    let made = move |stat| Ok(Next::ok(Value::list([version(stat), new])));
    if expected == 0 {
        return Ok(create(path, bytes, made, move || Ok(untrue(kept, None))));
    }
    let before = i32::try_from(expected - 1).map_err(|_| format!("there is no version {expected}"))?;
    if before < 0 {
        // −1 would be any version.
        return Err(format!("there is no version {expected}"));
    }
    Ok(replace(path, bytes, before, made, move |_| Ok(untrue(kept, None))))
}

/// Asks for the lock: a node of our own, which holds it if no other has a lower number, and is taken away again if not.
/// `first` says whether the lock's own node may still be missing.
fn acquire(lock: String, held: Held, first: bool) -> Next {
    let ours = format!("{lock}/h");
    let asked = Request::Create { path: ours, data: Vec::new(), making: Making::EphemeralSequential };
    Next::change(asked, move |answer| match answer.error {
        0 => {
            let mut reader = Reader::new(&answer.body);
            let mine = reader.text()?.to_string();
            let token = Stat::read(&mut reader)?.made;
            // This server has applied our own transaction, and so everything before it: whoever is ahead of us is seen.
            Ok(Next::look(Request::Children { path: lock }, move |answer| {
                if answer.error != 0 {
                    return unread(answer.error);
                }
                let last = mine.rsplit('/').next().unwrap_or_default();
                let names = Reader::new(&answer.body).texts()?;
                if !names.contains(&last) {
                    return Ok(Next::fail("the session has expired: its node is gone"));
                }
                if names.iter().all(|name| last <= *name) {
                    held.lock().unwrap_or_else(PoisonError::into_inner).insert(token, mine);
                    return Ok(Next::ok(Value::Int(token)));
                }
                // Not "somebody holds it": whoever is ahead of us may be about to give up, too. Whether our node goes now or
                // with its session, nobody believes to hold anything by it.
                Ok(Next::look(Request::Delete { path: mine }, |answer| match answer.error {
                    0 | NO_NODE => Ok(Next::fail("somebody is ahead in the queue")),
                    error => unread(error),
                }))
            }))
        }
        NO_NODE if first => {
            let (path, other, more) = (lock.clone(), lock.clone(), held.clone());
            Ok(create(
                path,
                b"[0,null]".to_vec(),
                move |_| Ok(acquire(lock, held, false)),
                move || Ok(acquire(other, more, false)),
            ))
        }
        error => refused(error),
    })
}

fn release(token: &Value, held: &Held) -> Result<Next, String> {
    let number = token.as_int().ok_or("a release shows its token")?;
    let mine = held.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    let Some(path) = mine else { return Ok(Next::fail("this session holds no such lock")) };
    let token = token.clone();
    Ok(Next::change(Request::Delete { path }, move |answer| match answer.error {
        0 => Ok(Next::ok(token)),
        // Its session has expired.
        NO_NODE => Ok(untrue(token, None)),
        error => refused(error),
    }))
}

/// Shows a token to the guarded resource, and leaves there what `new` makes of the value that was there.
fn fenced(path: String, token: i64, said: Value, new: impl FnOnce(Value) -> Value + Send + 'static) -> Next {
    // The version says whether it was late.
    look_up(Reads::Local, path.clone(), move |found| {
        let Some((there, stat)) = found else { return Ok(Next::fail("the lock has never been taken")) };
        let (largest, value) = pair(&there)?;
        if largest.as_int().is_some_and(|largest| token < largest) {
            return Ok(untrue(said, None));
        }
        let next = Value::list([Value::Int(token), new(value)]);
        let (bytes, shown) = (data(&next)?, done(next));
        let changed = |_| Ok(Next::fail("the resource has changed between the look and the write"));
        Ok(replace(path, bytes, stat.version, shown, changed))
    })
}
