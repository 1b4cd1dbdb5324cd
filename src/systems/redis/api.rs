//! What is asked of Redis and what it answers: each call is one request, and each change is atomic in the server.

use super::link::{Link, Request};
use super::resp::{Reply, request};
use super::slots::slot;
use crate::systems::dialogue::Next as Step;
use crate::systems::json;
use history::{Call, Completion, Value};
use serde_json::Value as Json;

/// What the name of each of our keys begins with.
pub const OURS: &str = "perjury/";

type Next = Step<Link>;

/// What sessions are told by the options.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// How long a lock is held without a word, in milliseconds.
    pub lease: u64,
    /// Whether the guarded resource compares tokens.
    pub fencing: bool,
}

/// Compares the value and replaces it; tells what was there instead. An empty expectation is a key that is missing.
const CAS: &str = "local there = redis.call('GET', KEYS[1]) \
    if (there or '') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return {1} end \
    return {0, there}";

/// SET NX PX, with a token that grows: {token}, or nothing if somebody holds the lock.
const ACQUIRE: &str = "local token = (tonumber(redis.call('GET', KEYS[2])) or 0) + 1 \
    if not redis.call('SET', KEYS[1], token, 'NX', 'PX', ARGV[1]) then return false end \
    redis.call('SET', KEYS[2], token) return token";

/// Deletes the lock if it is still held with this token: 1 or 0.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Shows a token to the resource, which lets in nobody whose token is smaller than the largest that it has seen: the
/// value, or false.
const GUARDED_READ: &str = "local largest = tonumber(redis.call('HGET', KEYS[1], 'token')) or 0 \
    if tonumber(ARGV[1]) < largest then return false end \
    redis.call('HSET', KEYS[1], 'token', ARGV[1]) return redis.call('HGET', KEYS[1], 'value') or 'null'";

/// The same, and writes: 1 or 0.
const GUARDED_WRITE: &str = "local largest = tonumber(redis.call('HGET', KEYS[1], 'token')) or 0 \
    if tonumber(ARGV[1]) < largest then return 0 end \
    redis.call('HSET', KEYS[1], 'token', ARGV[1], 'value', ARGV[2]) return 1";

/// Errors that say that the request was not done, and never will be: it was refused before it was done. (TIMEOUT, of a
/// proxy, and whatever is not known here say nothing.)
const REFUSALS: [&str; 18] = [
    "READONLY",
    "MOVED",
    "ASK",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "TRYAGAIN",
    "MASTERDOWN",
    "LOADING",
    "MISCONF",
    "NOREPLICAS",
    "NOAUTH",
    "NOPERM",
    "WRONGTYPE",
    "OOM",
    "BUSY",
    "NOSCRIPT",
    "EXECABORT",
    "ERR",
];

/// Errors after which the session is over: this server is not, or not any more, the one to ask.
const ELSEWHERE: [&str; 5] = ["READONLY", "MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN"];

/// What an error means for a change.
fn refused(error: &str, pure: bool) -> Next {
    // An error inside of a script is told with the script's own word before it, or with its own word first.
    let word = error.split([' ', ':']).next().unwrap_or_default();
    let certain = pure || REFUSALS.contains(&word);
    let completion =
        if certain { Completion::Fail(error.to_string()) } else { Completion::lost(error.to_string()) };
    if ELSEWHERE.contains(&word) { Next::Over(completion) } else { Next::Done(completion) }
}

/// What one request is: its words, and whether it changes nothing.
struct Words {
    words: Vec<Vec<u8>>,
    pure: bool,
}

impl Words {
    /// The first of its keys: they are all in one slot.
    fn key(&self) -> Option<&[u8]> {
        let at = if self.words.first().is_some_and(|word| word == b"EVAL") { 3 } else { 1 };
        self.words.get(at).map(Vec::as_slice)
    }
}

fn words<const N: usize>(pure: bool, words: [&str; N]) -> Words {
    Words { words: words.iter().map(|word| word.as_bytes().to_vec()).collect(), pure }
}

/// A request whose answer is read by `then`, unless it is an error.
fn asked(words: Words, then: impl FnOnce(Reply) -> Result<Completion, String> + Send + 'static) -> Next {
    let parts: Vec<&[u8]> = words.words.iter().map(Vec::as_slice).collect();
    let pure = words.pure;
    let request = Request { bytes: request(&parts), slot: words.key().map_or(0, slot) };
    let read = move |reply| match reply {
        Reply::Error(error) => Ok(refused(&error, pure)),
        reply => then(reply).map(Next::Done),
    };
    if pure { Next::look(request, read) } else { Next::change(request, read) }
}

fn value(reply: &Reply) -> Result<Value, String> {
    if *reply == Reply::Nil {
        return Ok(Value::Null);
    }
    let text = reply.text()?;
    let json: Json = serde_json::from_str(text).map_err(|e| format!("the value {text:?}: {e}"))?;
    json::from_json(&json)
}

/// A key of a history as the name of a key, in braces: keys that belong to it are in one slot of a cluster.
pub fn place(key: Option<&Value>) -> Result<String, String> {
    let key = key.map_or(Ok(Json::Null), json::to_json)?;
    // The first closing brace would end the tag.
    Ok(format!("{OURS}{{{}}}", key.to_string().replace('{', "\\u007b").replace('}', "\\u007d")))
}

fn text(value: &Value) -> Result<String, String> {
    json::to_json(value).map(|json| json.to_string())
}

fn pair(value: &Value) -> Result<(&Value, &Value), String> {
    match value.as_list() {
        Some([first, second]) => Ok((first, second)),
        _ => Err(format!("expected a pair, found {value}")),
    }
}

fn token(value: &Value) -> Result<i64, String> {
    value.as_int().ok_or_else(|| format!("expected a token, found {value}"))
}

/// Something that was done, without more to say.
fn done(
    said: Value,
    right: impl Fn(&Reply) -> bool + Send + 'static,
) -> impl FnOnce(Reply) -> Result<Completion, String> {
    move |reply| {
        if right(&reply) { Ok(Completion::ok(said)) } else { Err(format!("an unexpected {}", reply.shown())) }
    }
}

fn is_int(reply: &Reply) -> bool {
    matches!(reply, Reply::Int(_))
}

fn compared(value: Value, applied: bool, observed: Option<Value>) -> Completion {
    Completion::Ok { value, applied: Some(applied), observed }
}

/// A call of `workload` as its request. `Err` names what is not offered.
pub fn begin(workload: &str, call: &Call, dialect: Dialect) -> Result<Next, String> {
    let key = place(call.key.as_ref())?;
    let said = call.value.clone();
    let read = |reply: Reply| value(&reply).map(Completion::ok);
    Ok(match (workload, call.f.as_str()) {
        ("set", "add") => asked(words(false, ["SADD", &key, &text(&said)?]), done(said, is_int)),
        ("set", "read") => asked(words(true, ["SMEMBERS", &key]), |reply| {
            let elements = reply.list()?.iter().map(value).collect::<Result<Vec<Value>, String>>()?;
            Ok(Completion::ok(Value::list(elements)))
        }),
        ("counter", "add") => {
            let amount = said.as_int().ok_or_else(|| format!("expected a number, found {said}"))?;
            asked(words(false, ["INCRBY", &key, &amount.to_string()]), done(said, is_int))
        }
        ("counter", "read") => asked(words(true, ["GET", &key]), |reply| {
            let sum = value(&reply)?;
            Ok(Completion::ok(if sum == Value::Null { Value::Int(0) } else { sum }))
        }),
        ("queue", "enqueue") => asked(words(false, ["LPUSH", &key, &text(&said)?]), done(said, is_int)),
        ("queue", "dequeue") => asked(words(false, ["RPOP", &key]), read),
        ("lock", f) => lock(f, &key, said, dialect)?,
        ("register" | "cas-register", "read") => asked(words(true, ["GET", &key]), read),
        ("register" | "cas-register", "write") => {
            let right = |reply: &Reply| matches!(reply, Reply::Word(word) if word == "OK");
            asked(words(false, ["SET", &key, &text(&said)?]), done(said, right))
        }
        ("cas-register", "cas") => {
            let (expected, new) = pair(&said)?;
            let expected = if *expected == Value::Null { String::new() } else { text(expected)? };
            asked(words(false, ["EVAL", CAS, "1", &key, &expected, &text(new)?]), move |reply| {
                match reply.part(0)?.int()? {
                    1 => Ok(compared(said, true, None)),
                    // Lua's false ends a list: what is not there is not told.
                    _ => {
                        let there = reply.list()?.get(1).map_or(Ok(Value::Null), value)?;
                        Ok(compared(said, false, Some(there)))
                    }
                }
            })
        }
        (_, f) => return Err(format!("there is no function {f} here")),
    })
}

fn lock(f: &str, key: &str, said: Value, dialect: Dialect) -> Result<Next, String> {
    let (held, count, resource) = (format!("{key}/lock"), format!("{key}/token"), format!("{key}/resource"));
    Ok(match f {
        "acquire" => {
            let lease = dialect.lease.to_string();
            asked(words(false, ["EVAL", ACQUIRE, "2", &held, &count, &lease]), |reply| match reply {
                Reply::Nil => Ok(compared(Value::Null, false, None)),
                reply => Ok(Completion::ok(Value::Int(reply.int()?))),
            })
        }
        "release" => {
            let ours = token(&said)?.to_string();
            asked(words(false, ["EVAL", RELEASE, "1", &held, &ours]), move |reply| {
                // The lease was over before.
                Ok(if reply.int()? == 1 { Completion::ok(said) } else { compared(said, false, None) })
            })
        }
        "read" => {
            let shown = token(&said)?;
            let words = if dialect.fencing {
                words(false, ["EVAL", GUARDED_READ, "1", &resource, &shown.to_string()])
            } else {
                words(true, ["HGET", &resource, "value"])
            };
            let fencing = dialect.fencing;
            asked(words, move |reply| match reply {
                Reply::Nil if fencing => Ok(compared(said, false, None)),
                reply => Ok(Completion::ok(Value::list([said, value(&reply)?]))),
            })
        }
        "write" => {
            let (shown, new) = pair(&said)?;
            let (shown, new) = (token(shown)?.to_string(), text(new)?);
            let words = if dialect.fencing {
                words(false, ["EVAL", GUARDED_WRITE, "1", &resource, &shown, &new])
            } else {
                words(false, ["HSET", &resource, "value", &new])
            };
            let fencing = dialect.fencing;
            asked(words, move |reply| {
                let refused = fencing && reply.int()? == 0;
                Ok(if refused { compared(said, false, None) } else { Completion::ok(said) })
            })
        }
        _ => return Err(format!("there is no function {f} here")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect { lease: 2000, fencing: true };

    fn call(f: &str, value: Value) -> Call {
        Call { f: f.into(), key: Some("k1".into()), value }
    }

    /// What is asked, and what `reply` makes of it.
    fn answer(workload: &str, f: &str, value: Value, reply: Reply) -> (String, Completion) {
        let mut asked = String::new();
        let next = begin(workload, &call(f, value), DIALECT).unwrap();
        let completion = next.play(|request| {
            asked = String::from_utf8_lossy(&request.bytes).into_owned();
            reply.clone()
        });
        (asked, completion.unwrap())
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    fn pair(a: i64, b: i64) -> Value {
        Value::list([Value::Int(a), Value::Int(b)])
    }

    #[test]
    fn requests_are_those_that_redis_knows() {
        let (asked, done) = answer("register", "write", Value::Int(7), Reply::Word("OK".into()));
        assert_eq!(asked, "*3\r\n$3\r\nSET\r\n$14\r\nperjury/{\"k1\"}\r\n$1\r\n7\r\n");
        assert_eq!(done, Completion::ok(Value::Int(7)));
        assert!(begin("register", &call("append", Value::Null), DIALECT).is_err());
        let braces = place(Some(&Value::text("a}{b"))).unwrap();
        assert_eq!(braces.matches(['{', '}']).count(), 2, "{braces}");
        assert_eq!(slot(braces.as_bytes()), slot(format!("{braces}/lock").as_bytes()));
    }

    #[test]
    fn answers_are_understood() {
        let ok = |workload, f, value, reply| answer(workload, f, value, reply).1;
        assert_eq!(ok("register", "read", Value::Null, Reply::Nil), Completion::ok(Value::Null));
        assert_eq!(ok("register", "read", Value::Null, bulk("7")), Completion::ok(Value::Int(7)));
        assert_eq!(ok("counter", "read", Value::Null, Reply::Nil), Completion::ok(Value::Int(0)));
        assert_eq!(ok("queue", "dequeue", Value::Null, Reply::Nil), Completion::ok(Value::Null));
        let set = Reply::List(vec![bulk("3"), bulk("12")]);
        assert_eq!(ok("set", "read", Value::Null, set), Completion::ok(pair(3, 12)));
        let cas = |reply| ok("cas-register", "cas", pair(7, 8), Reply::List(reply));
        assert_eq!(cas(vec![Reply::Int(1)]), compared(pair(7, 8), true, None));
        let found = vec![Reply::Int(0), bulk("9")];
        assert_eq!(cas(found), compared(pair(7, 8), false, Some(Value::Int(9))));
        // A list of Lua ends before what is not there.
        assert_eq!(cas(vec![Reply::Int(0)]), compared(pair(7, 8), false, Some(Value::Null)));
        let lock = |f, value, reply| ok("lock", f, value, reply);
        assert_eq!(lock("acquire", Value::Null, Reply::Nil), compared(Value::Null, false, None));
        assert_eq!(lock("acquire", Value::Null, Reply::Int(4)), Completion::ok(Value::Int(4)));
        assert_eq!(lock("release", Value::Int(4), Reply::Int(0)), compared(Value::Int(4), false, None));
        assert_eq!(
            lock("read", Value::Int(4), bulk("null")),
            Completion::ok(Value::list([4.into(), Value::Null]))
        );
        assert_eq!(lock("read", Value::Int(4), Reply::Nil), compared(Value::Int(4), false, None));
        assert_eq!(lock("write", pair(4, 5), Reply::Int(0)), compared(pair(4, 5), false, None));
        let nonsense = begin("register", &call("write", Value::Int(1)), DIALECT).unwrap();
        assert!(nonsense.play(|_| Reply::Int(1)).is_err());
    }

    #[test]
    fn only_what_certainly_did_not_happen_has_failed_and_a_server_that_is_not_asked_any_more_ends_the_session()
     {
        let refused =
            |f: &str, error: &str| answer("register", f, Value::Int(1), Reply::Error(error.into())).1;
        for error in [
            "READONLY You can't write against a read only replica.",
            "READONLY You can't write against a read only replica. script: 1, on @user_script:1.",
            "MOVED 3999 127.0.0.1:6381",
            "CLUSTERDOWN The cluster is down",
            "LOADING Redis is loading the dataset in memory",
            "MISCONF Errors writing to the AOF file: No space left on device",
            "NOREPLICAS Not enough good replicas to write.",
        ] {
            assert!(matches!(refused("write", error), Completion::Fail(_)), "{error}");
        }
        for error in ["TIMEOUT", "UNKILLABLE", "something new"] {
            assert!(matches!(refused("write", error), Completion::Info { late: false, .. }), "{error}");
            assert!(matches!(refused("read", error), Completion::Fail(_)), "{error}");
        }
        let over = |error: &str| matches!(super::refused(error, false), Next::Over(_));
        assert!(over("MOVED 3999 127.0.0.1:6381") && over("READONLY no") && !over("MISCONF disk"));
    }
}
