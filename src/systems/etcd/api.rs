//! What is asked of etcd and what it answers: the JSON form of its third API, which every etcd since 3.4 serves at /v3.

use crate::systems::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use history::{Call, Completion, Value};
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// A call as a request, and how its answer is to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// `/v3/kv/put`
    pub path: &'static str,
    /// The body.
    pub body: String,
    /// Whether it changes nothing, so that without an answer it did not happen.
    pub pure: bool,
    reading: Reading,
}

/// How an answer is read.
#[derive(Clone, Debug, PartialEq)]
enum Reading {
    /// The value of the one key.
    Value,
    /// The elements of a set: the last parts of the keys.
    Elements(String),
    /// Nothing but that it was done.
    Done(Value),
    /// Whether the comparison held; the value that stood there instead.
    Compared(Value),
    /// Version and value of the one key.
    Version,
    /// That the value was put, and what stood there before: its version is the one before ours.
    Put(Value),
    /// Whether the version was the expected one; version and value that stood there instead.
    ComparedVersion(Value),
    /// How often keys were put, all together.
    Puts,
    /// The revision that the change made; none, if it changed nothing.
    Revision,
    /// How far the store has counted.
    Current,
}

/// Bytes as they travel.
pub fn bytes(text: &str) -> String {
    STANDARD.encode(text)
}

/// What bytes say that have travelled.
pub fn text(bytes: &str) -> Result<String, String> {
    let decoded = STANDARD.decode(bytes).map_err(|e| format!("{bytes:?} is not base64: {e}"))?;
    String::from_utf8(decoded).map_err(|e| format!("{bytes:?}: {e}"))
}

/// A value of a history as it is kept.
pub fn encoded(value: &Value) -> Result<String, String> {
    json::to_json(value).map(|json| bytes(&json.to_string()))
}

/// Where a key of a history is kept. Keys are JSON, which holds no `/` outside of text.
pub fn place(key: Option<&Value>) -> Result<String, String> {
    let key = key.map_or(Ok(Json::Null), json::to_json)?;
    Ok(format!("perjury/{}", key.to_string().replace('/', "\\u002f")))
}

/// The body of a request to remove every key that any of our runs has written.
pub fn ours() -> String {
    json!({"key": bytes("perjury/"), "range_end": bytes(&after("perjury/"))}).to_string()
}

/// The first key after all that begin with `prefix`, which ends in `/`: that sign's successor in its place.
fn after(prefix: &str) -> String {
    format!("{}0", &prefix[..prefix.len() - 1])
}

/// A call of `workload` as a request. `Err` names what is not offered.
pub fn ask(workload: &str, call: &Call, serializable: bool) -> Result<Asked, String> {
    let key = place(call.key.as_ref())?;
    let at = bytes(&key);
    let asked = |path, body: Json, pure, reading| Ok(Asked { path, body: body.to_string(), pure, reading });
    match (workload, call.f.as_str()) {
        ("set", "add") => {
            let element = json::to_json(&call.value)?;
            let body = json!({"key": bytes(&format!("{key}/{element}")), "value": ""});
            asked("/v3/kv/put", body, false, Reading::Done(call.value.clone()))
        }
        ("set", "read") => {
            let prefix = format!("{key}/");
            let body = json!({"key": bytes(&prefix), "range_end": bytes(&after(&prefix)), "keys_only": true,
                "serializable": serializable});
            asked("/v3/kv/range", body, true, Reading::Elements(prefix))
        }
        ("versioned-register", "read") => {
            asked("/v3/kv/range", json!({"key": at, "serializable": serializable}), true, Reading::Version)
        }
        ("versioned-register", "write") => {
            let body = json!({"key": at, "value": encoded(&call.value)?, "prev_kv": true});
            asked("/v3/kv/put", body, false, Reading::Put(call.value.clone()))
        }
        ("versioned-register", "cas") => {
            let [expected, new] = two(&call.value)?;
            let version = expected.as_int().ok_or("a cas expects the number of a version")?;
            let body = json!({
                "compare": [{"key": at, "target": "VERSION", "result": "EQUAL", "version": version.to_string()}],
                "success": [{"requestPut": {"key": at, "value": encoded(new)?}}],
                "failure": [{"requestRange": {"key": at}}],
            });
            asked("/v3/kv/txn", body, false, Reading::ComparedVersion(call.value.clone()))
        }
        ("counter", "add") => {
            // etcd counts how often a key was put; one transaction puts as many keys as the counter grows by, at once.
            let amount = call.value.as_int().filter(|amount| (1..=ADD_MAX).contains(amount));
            let amount = amount.ok_or_else(|| format!("a counter in etcd grows by 1 to {ADD_MAX}"))?;
            let put = |n| json!({"requestPut": {"key": bytes(&format!("{key}/{n}")), "value": ""}});
            let puts: Vec<Json> = (1..=amount).map(put).collect();
            asked("/v3/kv/txn", json!({ "success": puts }), false, Reading::Done(call.value.clone()))
        }
        ("counter", "read") => {
            let (from, to) = under(&key);
            let body = json!({"key": from, "range_end": to, "keys_only": true, "serializable": serializable});
            asked("/v3/kv/range", body, true, Reading::Puts)
        }
        ("watch", "put") => {
            let [name, value] = two(&call.value)?;
            let at = bytes(&format!("{key}/{}", named(name)?));
            let body = json!({"key": at, "value": encoded(value)?});
            asked("/v3/kv/put", body, false, Reading::Revision)
        }
        ("watch", "delete") => {
            let at = bytes(&format!("{key}/{}", named(&call.value)?));
            asked("/v3/kv/deleterange", json!({ "key": at }), false, Reading::Revision)
        }
        // Always asked of a majority: it must not be behind what was acknowledged.
        ("watch", CURRENT) => {
            let (from, to) = under(&key);
            let body = json!({"key": from, "range_end": to, "count_only": true});
            asked("/v3/kv/range", body, true, Reading::Current)
        }
        (_, "read" | "get") => {
            asked("/v3/kv/range", json!({"key": at, "serializable": serializable}), true, Reading::Value)
        }
        (_, "write" | "put") => {
            let body = json!({"key": at, "value": encoded(&call.value)?});
            asked("/v3/kv/put", body, false, Reading::Done(call.value.clone()))
        }
        (_, "cas") => {
            let [expected, new] = two(&call.value)?;
            let compare = if *expected == Value::Null {
                json!({"key": at, "target": "VERSION", "result": "EQUAL", "version": "0"})
            } else {
                json!({"key": at, "target": "VALUE", "result": "EQUAL", "value": encoded(expected)?})
            };
            let body = json!({
                "compare": [compare],
                "success": [{"requestPut": {"key": at, "value": encoded(new)?}}],
                "failure": [{"requestRange": {"key": at}}],
            });
            asked("/v3/kv/txn", body, false, Reading::Compared(call.value.clone()))
        }
        (_, f) => Err(format!("there is no function {f} here")),
    }
}

/// The most that a counter grows by at once: etcd takes 128 requests in a transaction.
const ADD_MAX: i64 = 100;

/// What a session asks on its own account: how far the store has counted.
pub const CURRENT: &str = "current";

/// The range of the keys below a place.
pub(super) fn under(place: &str) -> (String, String) {
    let prefix = format!("{place}/");
    (bytes(&prefix), bytes(&after(&prefix)))
}

/// A name below a place: JSON, which holds no `/` outside of text.
fn named(name: &Value) -> Result<String, String> {
    Ok(json::to_json(name)?.to_string().replace('/', "\\u002f"))
}

fn two(value: &Value) -> Result<&[Value; 2], String> {
    let pair = value.as_list().and_then(|pair| pair.try_into().ok());
    pair.ok_or_else(|| "a cas takes two values".to_string())
}

/// A key and its value.
#[derive(Debug, Deserialize)]
pub(super) struct Pair {
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    value: String,
    /// How often it was put since it was made. Left out when 0.
    #[serde(default)]
    version: String,
    /// When it was changed last.
    #[serde(default)]
    pub(super) mod_revision: String,
}

impl Pair {
    pub(super) fn value(&self) -> Result<Value, String> {
        let text = text(&self.value)?;
        let json: Json = serde_json::from_str(&text).map_err(|e| format!("the value {text:?}: {e}"))?;
        json::from_json(&json)
    }

    fn version(&self) -> Result<i64, String> {
        self.version.parse().map_err(|_| format!("the version {:?} is no number", self.version))
    }
}

#[derive(Debug, Default, Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Pair>,
}

impl Range {
    /// The value of the first key; null is no key.
    fn value(&self) -> Result<Value, String> {
        self.kvs.first().map_or(Ok(Value::Null), Pair::value)
    }

    /// Version and value of the first key; null is no key.
    fn versioned(&self) -> Result<Value, String> {
        let pair = |pair: &Pair| Ok(versioned(pair.version()?, pair.value()?));
        self.kvs.first().map_or(Ok(Value::Null), pair)
    }
}

fn versioned(version: i64, value: Value) -> Value {
    Value::list([Value::Int(version), value])
}

#[derive(Debug, Deserialize)]
struct Put {
    /// What was there before; left out when nothing was.
    prev_kv: Option<Pair>,
}

#[derive(Debug, Deserialize)]
struct Changed {
    header: Header,
    /// How many keys were deleted; left out when none was, and by a put.
    #[serde(default)]
    deleted: String,
}

#[derive(Debug, Deserialize)]
struct Txn {
    /// Left out when false.
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<Response>,
}

#[derive(Debug, Deserialize)]
struct Response {
    response_range: Option<Range>,
}

/// An error of the server, in the words of gRPC.
#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error: String,
}

impl Refusal {
    /// Whether it says that the request was not done, and never will be.
    ///
    /// Time that ran out and a server that cannot be had (no leader, the leader changed, the server stops) say nothing of
    /// what was proposed before. A lack of space is told after the write was applied.
    fn definite(&self) -> bool {
        match self.code {
            // Invalid argument, not found, failed precondition, out of range, not implemented; not allowed.
            3 | 5 | 9 | 11 | 12 | 7 | 16 => true,
            8 => self.message.contains("too many requests"),
            _ => false,
        }
    }
}

/// What a server says that does not do what it was asked, and whether it certainly never will. `Err` is one that cannot
/// be understood.
pub fn refusal(status: u16, body: &[u8]) -> Result<(String, bool), String> {
    let shown = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let refusal: Refusal =
        serde_json::from_slice(body).map_err(|e| format!("status {status}, {:?}: {e}", shown()))?;
    let definite = refusal.definite();
    Ok((if refusal.message.is_empty() { refusal.error } else { refusal.message }, definite))
}

/// What an answer means. `Err` is one that cannot be understood.
pub fn read(asked: &Asked, status: u16, body: &[u8]) -> Result<Completion, String> {
    let shown = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let failed = |e: serde_json::Error| format!("status {status}, {:?}: {e}", shown());
    if status != 200 {
        let (words, definite) = refusal(status, body)?;
        let certain = asked.pure || definite;
        return Ok(if certain { Completion::Fail(words) } else { Completion::lost(words) });
    }
    match &asked.reading {
        Reading::Value => {
            let range: Range = serde_json::from_slice(body).map_err(failed)?;
            range.value().map(Completion::ok)
        }
        Reading::Elements(prefix) => {
            let range: Range = serde_json::from_slice(body).map_err(failed)?;
            let element = |pair: &Pair| {
                let key = text(&pair.key)?;
                let last =
                    key.strip_prefix(prefix).ok_or_else(|| format!("a key {key:?} in another's place"))?;
                let json: Json = serde_json::from_str(last).map_err(|e| format!("the key {key:?}: {e}"))?;
                json::from_json(&json)
            };
            let elements = range.kvs.iter().map(element).collect::<Result<Vec<Value>, String>>()?;
            Ok(Completion::ok(Value::list(elements)))
        }
        Reading::Done(value) => {
            serde_json::from_slice::<serde_json::Map<String, Json>>(body).map_err(failed)?;
            Ok(Completion::ok(value.clone()))
        }
        Reading::Puts => {
            let range: Range = serde_json::from_slice(body).map_err(failed)?;
            let mut sum = 0;
            for pair in &range.kvs {
                sum += pair.version()?;
            }
            Ok(Completion::ok(Value::Int(sum)))
        }
        Reading::Revision => {
            let changed: Changed = serde_json::from_slice(body).map_err(failed)?;
            let nothing = asked.path.ends_with("deleterange") && matches!(changed.deleted.as_str(), "" | "0");
            let made = if nothing { Value::Null } else { Value::Int(changed.header.revision()?) };
            Ok(Completion::ok(made))
        }
        Reading::Current => {
            let changed: Changed = serde_json::from_slice(body).map_err(failed)?;
            Ok(Completion::ok(Value::Int(changed.header.revision()?)))
        }
        Reading::Version => {
            let range: Range = serde_json::from_slice(body).map_err(failed)?;
            range.versioned().map(Completion::ok)
        }
        Reading::Put(value) => {
            let put: Put = serde_json::from_slice(body).map_err(failed)?;
            let before = put.prev_kv.map_or(Ok(0), |before| before.version())?;
            Ok(Completion::ok(versioned(before + 1, value.clone())))
        }
        Reading::ComparedVersion(value) => {
            let txn: Txn = serde_json::from_slice(body).map_err(failed)?;
            let [expected, new] = two(value)?;
            if txn.succeeded {
                let made = expected.as_int().unwrap_or_default() + 1;
                let value = versioned(made, new.clone());
                return Ok(Completion::Ok { value, applied: Some(true), observed: None });
            }
            let there = txn.responses.into_iter().find_map(|response| response.response_range);
            let observed = Some(there.unwrap_or_default().versioned()?);
            Ok(Completion::Ok { value: value.clone(), applied: Some(false), observed })
        }
        Reading::Compared(value) => {
            let txn: Txn = serde_json::from_slice(body).map_err(failed)?;
            if txn.succeeded {
                return Ok(Completion::Ok { value: value.clone(), applied: Some(true), observed: None });
            }
            let there = txn.responses.into_iter().find_map(|response| response.response_range);
            let observed = Some(there.unwrap_or_default().value()?);
            Ok(Completion::Ok { value: value.clone(), applied: Some(false), observed })
        }
    }
}

/// What a member says about itself.
#[derive(Debug, Deserialize)]
pub struct Status {
    header: Header,
    #[serde(default)]
    leader: String,
    #[serde(default, rename = "raftTerm")]
    term: String,
}

/// What stands before every answer.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    member_id: String,
    /// How far the store had counted. Left out when 0.
    #[serde(default = "zero")]
    pub(super) revision: String,
}

fn zero() -> String {
    "0".to_string()
}

impl Header {
    fn revision(&self) -> Result<i64, String> {
        let counted = self.revision.parse().ok().filter(|&counted: &i64| counted > 0);
        counted.ok_or_else(|| format!("the revision {:?} is none", self.revision))
    }
}

impl Status {
    /// From an answer of `/v3/maintenance/status`.
    pub fn read(body: &[u8]) -> Result<Status, String> {
        serde_json::from_slice(body).map_err(|e| format!("its status: {e}"))
    }

    /// Whether it takes itself for the leader.
    pub fn leads(&self) -> bool {
        !self.leader.is_empty() && self.leader == self.header.member_id
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.term.parse().unwrap_or(0)
    }
}

/// The members in an answer of `/v3/cluster/member/list`: the number of each, and where the others reach it.
pub fn members(body: &[u8]) -> Result<Vec<(String, Vec<String>)>, String> {
    #[derive(Deserialize)]
    struct List {
        members: Vec<Member>,
    }
    #[derive(Deserialize)]
    struct Member {
        #[serde(rename = "ID")]
        id: String,
        #[serde(rename = "peerURLs", default)]
        peer_urls: Vec<String>,
    }
    let list: List = serde_json::from_slice(body).map_err(|e| format!("its members: {e}"))?;
    Ok(list.members.into_iter().map(|member| (member.id, member.peer_urls)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(f: &str, value: Value) -> Call {
        Call { f: f.into(), key: Some("k1".into()), value }
    }

    fn answer(f: &str, value: Value, status: u16, body: &str) -> Completion {
        read(&ask("register", &call(f, value), false).unwrap(), status, body.as_bytes()).unwrap()
    }

    #[test]
    fn requests_are_those_that_etcd_knows() {
        let put = ask("register", &call("write", Value::Int(7)), false).unwrap();
        assert_eq!(
            (put.path, put.body.as_str()),
            ("/v3/kv/put", r#"{"key":"cGVyanVyeS8iazEi","value":"Nw=="}"#)
        );
        let stale = ask("register", &call("read", Value::Null), true).unwrap();
        assert_eq!(stale.body, r#"{"key":"cGVyanVyeS8iazEi","serializable":true}"#);
        assert!(ask("register", &call("append", Value::Null), false).is_err());
    }

    #[test]
    fn answers_of_a_recorded_server_are_understood() {
        // etcd 3.4.23.
        let header = r#""header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"2"}"#;
        let none = format!("{{{header}}}");
        assert_eq!(answer("read", Value::Null, 200, &none), Completion::ok(Value::Null));
        let some = format!(r#"{{{header},"kvs":[{{"key":"cGVyanVyeS8iazEi","value":"Nw=="}}],"count":"1"}}"#);
        assert_eq!(answer("read", Value::Null, 200, &some), Completion::ok(Value::Int(7)));
        let cas = Value::list([Value::Int(7), Value::Int(8)]);
        let swapped = format!(r#"{{{header},"succeeded":true,"responses":[{{"response_put":{{}}}}]}}"#);
        let applied =
            |applied, observed| Completion::Ok { value: cas.clone(), applied: Some(applied), observed };
        assert_eq!(answer("cas", cas.clone(), 200, &swapped), applied(true, None));
        let found = r#"{"response_range":{"kvs":[{"key":"cGVyanVyeS8iazEi","value":"OQ=="}],"count":"1"}}"#;
        let kept = format!(r#"{{{header},"responses":[{found}]}}"#);
        assert_eq!(answer("cas", cas.clone(), 200, &kept), applied(false, Some(Value::Int(9))));
    }

    #[test]
    fn versions_are_those_of_the_key() {
        let answer = |f: &str, value: Value, body: &str| {
            let asked = ask("versioned-register", &call(f, value), false).unwrap();
            read(&asked, 200, body.as_bytes()).unwrap()
        };
        let pair = |version: i64, value: i64| Value::list([Value::Int(version), Value::Int(value)]);
        let kv = |version: &str, value: &str| {
            format!(
                r#"{{"key":"cGVyanVyeS8iazEi","mod_revision":"9","version":"{version}","value":"{value}"}}"#
            )
        };
        assert_eq!(answer("read", Value::Null, "{}"), Completion::ok(Value::Null));
        let seen = format!(r#"{{"kvs":[{}],"count":"1"}}"#, kv("4", "Nw=="));
        assert_eq!(answer("read", Value::Null, &seen), Completion::ok(pair(4, 7)));
        assert_eq!(answer("write", Value::Int(8), r#"{"header":{}}"#), Completion::ok(pair(1, 8)));
        let replaced = format!(r#"{{"prev_kv":{}}}"#, kv("4", "Nw=="));
        assert_eq!(answer("write", Value::Int(8), &replaced), Completion::ok(pair(5, 8)));
        let done = r#"{"succeeded":true,"responses":[{"response_put":{}}]}"#;
        let (value, applied) = (pair(3, 8), Some(true));
        assert_eq!(answer("cas", pair(2, 8), done), Completion::Ok { value, applied, observed: None });
        let found = format!(r#"{{"responses":[{{"response_range":{seen}}}]}}"#);
        let (applied, observed) = (Some(false), Some(pair(4, 7)));
        assert_eq!(
            answer("cas", pair(2, 8), &found),
            Completion::Ok { value: pair(2, 8), applied, observed }
        );
    }

    #[test]
    fn only_what_certainly_did_not_happen_has_failed() {
        let refused = |code: i64, message: &str| {
            answer("write", Value::Int(1), 503, &json!({"code": code, "message": message}).to_string())
        };
        for (code, message) in [
            (14, "etcdserver: request timed out"),
            (14, "etcdserver: leader changed"),
            (14, "etcdserver: no leader"),
            (4, "context deadline exceeded"),
            (8, "etcdserver: mvcc: database space exceeded"),
            (2, "unknown"),
            (13, "internal"),
        ] {
            assert!(matches!(refused(code, message), Completion::Info { late: false, .. }), "{message}");
        }
        for (code, message) in [(3, "etcdserver: key is not provided"), (8, "etcdserver: too many requests")]
        {
            assert!(matches!(refused(code, message), Completion::Fail(_)), "{message}");
        }
        let read = answer("read", Value::Null, 503, r#"{"code":14,"message":"etcdserver: no leader"}"#);
        assert!(matches!(read, Completion::Fail(_)), "a read without an answer did not happen");
    }

    #[test]
    fn a_counter_is_how_often_its_keys_were_put() {
        let add = ask("counter", &call("add", Value::Int(2)), false).unwrap();
        let put = |key: &str| json!({"requestPut": {"key": bytes(key), "value": ""}});
        let puts = json!({"success": [put("perjury/\"k1\"/1"), put("perjury/\"k1\"/2")]});
        assert_eq!((add.path, add.body), ("/v3/kv/txn", puts.to_string()));
        for wrong in [Value::Int(0), Value::Int(-1), Value::Int(101), Value::Null] {
            assert!(ask("counter", &call("add", wrong), false).is_err());
        }
        let sum = ask("counter", &call("read", Value::Null), false).unwrap();
        assert_eq!(read(&sum, 200, b"{}").unwrap(), Completion::ok(Value::Int(0)));
        let kvs = r#"{"kvs":[{"key":"YQ==","version":"4"},{"key":"Yg==","version":"3"}]}"#;
        assert_eq!(read(&sum, 200, kvs.as_bytes()).unwrap(), Completion::ok(Value::Int(7)));
    }

    #[test]
    fn a_change_tells_its_revision_and_a_delete_of_nothing_tells_none() {
        let answer = |f: &str, value: Value, body: &str| {
            read(&ask("watch", &call(f, value), false).unwrap(), 200, body.as_bytes())
        };
        let header = r#""header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"2"}"#;
        let change = Value::list(["a/b".into(), Value::Int(7)]);
        let put = ask("watch", &call("put", change.clone()), false).unwrap();
        let at = bytes("perjury/\"k1\"/\"a\\u002fb\"");
        assert_eq!(put.body, json!({"key": at, "value": "Nw=="}).to_string());
        let done = format!("{{{header}}}");
        assert_eq!(answer("put", change.clone(), &done), Ok(Completion::ok(Value::Int(3))));
        assert!(answer("put", change, "{}").is_err(), "a put without a revision says nothing");
        assert_eq!(answer("delete", "a".into(), &done), Ok(Completion::ok(Value::Null)));
        let deleted = format!(r#"{{{header},"deleted":"1"}}"#);
        assert_eq!(answer("delete", "a".into(), &deleted), Ok(Completion::ok(Value::Int(3))));
        assert_eq!(answer(CURRENT, Value::Null, &done), Ok(Completion::ok(Value::Int(3))));
    }

    #[test]
    fn a_set_is_read_back_as_it_was_added() {
        let add = ask("set", &call("add", Value::Int(12)), false).unwrap();
        assert_eq!(add.body, json!({"key": bytes("perjury/\"k1\"/12"), "value": ""}).to_string());
        let all = ask("set", &call("read", Value::Null), false).unwrap();
        let kvs = json!({"kvs": [{"key": bytes("perjury/\"k1\"/12")}, {"key": bytes("perjury/\"k1\"/3")}]});
        let seen = read(&all, 200, kvs.to_string().as_bytes()).unwrap();
        assert_eq!(seen, Completion::ok(Value::list([Value::Int(12), Value::Int(3)])));
        assert_eq!(after("perjury/\"k1\"/"), "perjury/\"k1\"0");
    }
}
