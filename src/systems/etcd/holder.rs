//! A user of etcd's lock: a process of its own on a node, which can be stopped in the middle of its work.
//!
//! ```text
//!   client ─▶ holder ──▶ its node's member     lease of 2 s, kept alive in the background; /v3/lock/lock; the revision
//!                                              at which the lock's key was made is the token
//!                   └──▶ the guarded resource, which is a key of etcd, too
//! ```
//!
//! * Without fencing the resource is read and put. Whoever sleeps longer than his lease and then writes, writes.
//! * With it, each access shows the token in a transaction: the resource remembers the largest that it has been shown,
//!   and refuses smaller ones.
//!
//! A client is one connection, and speaks the lines of `calls.rs`. Nothing is asked of etcd twice. When a client goes, its
//! leases are not kept any longer; etcd ends them.

use super::api;
use crate::control::lines::Lines;
use crate::systems::calls;
use crate::systems::http::{Connection, NoAnswer};
use crate::systems::json;
use history::{Call, Completion, Value};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long etcd may take to answer. Whoever asked a holder has given up long before.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a lock that somebody else holds is waited for.
const WAIT: Duration = Duration::from_millis(300);

/// What a holder is told when it is started.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Where its clients find it.
    pub port: u16,
    /// Its member.
    pub member: SocketAddr,
    /// Seconds until a lease that is not kept alive is over.
    pub ttl: u64,
    /// Whether the resource compares tokens.
    pub fencing: bool,
}

impl Config {
    /// The arguments that say it.
    pub fn arguments(&self) -> [String; 4] {
        let fencing = if self.fencing { "on" } else { "off" };
        [self.port.to_string(), self.member.to_string(), self.ttl.to_string(), fencing.to_string()]
    }

    fn read(args: &[String]) -> Option<Config> {
        let [port, member, ttl, fencing] = args else { return None };
        let (port, member) = (port.parse().ok()?, member.parse().ok()?);
        Some(Config { port, member, ttl: ttl.parse().ok()?, fencing: fencing == "on" })
    }
}

/// The main function of a holder: `perjury etcd-holder PORT MEMBER TTL on|off`.
pub fn holder_main(args: &[String]) -> ExitCode {
    let Some(config) = Config::read(args) else { return ExitCode::from(64) };
    let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, config.port)) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("listening at port {}: {e}", config.port);
            return ExitCode::FAILURE;
        }
    };
    for stream in listener.incoming().flatten() {
        let served = std::thread::Builder::new().name("client".into()).spawn(move || serve(stream, config));
        if let Err(e) = served {
            eprintln!("a client cannot be served: {e}");
        }
    }
    ExitCode::SUCCESS
}

fn serve(stream: TcpStream, config: Config) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut lines = Lines::new(stream);
    let mut holder = Holder { config, member: None, leases: HashMap::new() };
    while let Ok(line) = lines.next(None) {
        let Ok((id, call)) = calls::heard(&line) else { return };
        let completion = holder.perform(&call).unwrap_or_else(Trouble::into);
        if answers.write_all(calls::reply(id, &completion).as_bytes()).is_err() {
            return;
        }
    }
}

/// Why something did not come about.
enum Trouble {
    /// It did not happen, ever.
    Not(String),
    /// It may have.
    Unknown(String),
}

impl From<Trouble> for Completion {
    fn from(trouble: Trouble) -> Completion {
        match trouble {
            Trouble::Not(why) => Completion::Fail(why),
            Trouble::Unknown(why) => Completion::lost(why),
        }
    }
}

impl Trouble {
    /// The same, of something that is undone whatever became of it.
    fn undone(self) -> Trouble {
        match self {
            Trouble::Not(why) | Trouble::Unknown(why) => Trouble::Not(why),
        }
    }
}

/// What one client has.
struct Holder {
    config: Config,
    /// One connection, made when it is needed and left when it is broken.
    member: Option<Connection>,
    /// By the key of the history.
    leases: HashMap<String, Held>,
}

/// A lock that the client had when it was last looked at.
struct Held {
    lease: String,
    /// The lock's key, as it travels.
    key: String,
    token: i64,
    /// Dropped, it ends the thread that keeps the lease alive.
    _alive: Sender<()>,
}

impl Holder {
    fn perform(&mut self, call: &Call) -> Result<Completion, Trouble> {
        let key = api::place(call.key.as_ref()).map_err(Trouble::Not)?;
        match (call.f.as_str(), &call.value) {
            ("acquire", _) => self.acquire(&key),
            ("release", Value::Int(token)) => self.release(&key, *token, &call.value),
            ("read", Value::Int(token)) => self.access(&key, *token, None, &call.value),
            ("write", Value::List(pair)) => match &pair[..] {
                [Value::Int(token), new] => self.access(&key, *token, Some(new), &call.value),
                _ => Err(Trouble::Not("a write takes a token and a value".into())),
            },
            (f, value) => Err(Trouble::Not(format!("there is no {f} of {value} here"))),
        }
    }

    /// Asks the member once.
    fn ask(&mut self, path: &str, body: &Json, patience: Duration) -> Result<Json, Trouble> {
        let deadline = Instant::now() + patience;
        let mut member = match self.member.take() {
            Some(member) => member,
            None => connect(self.config.member).map_err(Trouble::Not)?,
        };
        member.post(path, &body.to_string(), deadline).map_err(|e| Trouble::Unknown(e.to_string()))?;
        let answer = member.answer(deadline).map_err(|why| match why {
            NoAnswer::Late => Trouble::Unknown(format!("{path}: no answer")),
            NoAnswer::Broken(why) => Trouble::Unknown(format!("{path}: {why}")),
        })?;
        if !answer.last {
            self.member = Some(member);
        }
        if answer.status != 200 {
            let refusal = api::refusal(answer.status, &answer.body).map_err(Trouble::Unknown)?;
            let (words, definite) = refusal;
            return Err(if definite { Trouble::Not(words) } else { Trouble::Unknown(words) });
        }
        serde_json::from_slice(&answer.body).map_err(|e| Trouble::Unknown(format!("{path}: {e}")))
    }

    /// A lease, then the lock. Whatever goes wrong before it is had is undone with the lease.
    fn acquire(&mut self, key: &str) -> Result<Completion, Trouble> {
        self.leases.remove(key);
        if self.config.fencing {
            // The resource has been shown no token yet, and says so.
            let at = api::bytes(&resource(key, "token"));
            let first = json!({
                "compare": [{"key": at, "target": "VERSION", "result": "EQUAL", "version": "0"}],
                "success": [{"requestPut": {"key": at, "value": api::bytes(&padded(0))}}],
            });
            self.ask("/v3/kv/txn", &first, PATIENCE).map_err(Trouble::undone)?;
        }
        let granted = self.ask("/v3/lease/grant", &json!({"TTL": self.config.ttl.to_string()}), PATIENCE);
        let granted = granted.map_err(Trouble::undone)?;
        let lease = granted["ID"].as_str().unwrap_or_default().to_string();
        let alive = keep_alive(self.config, lease.clone());
        let had = self.lock(key, &lease);
        match had {
            Ok((lock, token)) => {
                self.leases.insert(key.to_string(), Held { lease, key: lock, token, _alive: alive });
                Ok(Completion::ok(Value::Int(token)))
            }
            Err(why) => {
                drop(alive);
                // With the lease goes its place in the queue, or the lock itself.
                match self.ask("/v3/lease/revoke", &json!({"ID": lease}), PATIENCE) {
                    Ok(_) => Err(why.undone()),
                    // It has ended by itself, and they with it.
                    Err(Trouble::Not(words)) if words.contains("lease not found") => Err(why.undone()),
                    Err(_) => Err(why),
                }
            }
        }
    }

    /// The lock's key and its token.
    fn lock(&mut self, key: &str, lease: &str) -> Result<(String, i64), Trouble> {
        let name = api::bytes(&format!("{key}/lock"));
        let locked = self.ask("/v3/lock/lock", &json!({"name": name, "lease": lease}), WAIT)?;
        let lock = locked["key"].as_str().unwrap_or_default().to_string();
        let found = self.ask("/v3/kv/range", &json!({"key": lock}), PATIENCE)?;
        let token = found["kvs"][0]["create_revision"].as_str().and_then(|text| text.parse().ok());
        Ok((
            lock,
            token.ok_or_else(|| Trouble::Unknown("the lease was over before the lock was had".into()))?,
        ))
    }

    fn release(&mut self, key: &str, token: i64, said: &Value) -> Result<Completion, Trouble> {
        let Some(held) = self.leases.remove(key).filter(|held| held.token == token) else {
            return Err(Trouble::Not(format!("this client has no lock with the token {token}")));
        };
        let body = json!({
            "compare": [{"key": held.key, "target": "CREATE", "result": "EQUAL", "create_revision": token.to_string()}],
            "success": [{"requestDeleteRange": {"key": held.key}}],
        });
        let done = self.ask("/v3/kv/txn", &body, PATIENCE)?;
        let mine = done["succeeded"].as_bool().unwrap_or(false);
        // The lease has nothing left to hold; if nobody hears this, it ends by itself.
        let _ = self.ask("/v3/lease/revoke", &json!({"ID": held.lease}), PATIENCE);
        let applied = if mine { None } else { Some(false) };
        Ok(Completion::Ok { value: said.clone(), applied, observed: None })
    }

    /// Reads the resource, or replaces what it holds.
    fn access(
        &mut self,
        key: &str,
        token: i64,
        new: Option<&Value>,
        said: &Value,
    ) -> Result<Completion, Trouble> {
        let (at, shown) = (api::bytes(&resource(key, "value")), api::bytes(&resource(key, "token")));
        let act = match new {
            Some(new) => {
                json!({"requestPut": {"key": at, "value": api::encoded(new).map_err(Trouble::Not)?}})
            }
            None => json!({"requestRange": {"key": at}}),
        };
        let body = if self.config.fencing {
            json!({
                "compare": [{"key": shown, "target": "VALUE", "result": "LESS", "value": api::bytes(&padded(token + 1))}],
                "success": [{"requestPut": {"key": shown, "value": api::bytes(&padded(token))}}, act],
                "failure": [{"requestRange": {"key": shown}}],
            })
        } else {
            json!({"success": [act]})
        };
        let done = self.ask("/v3/kv/txn", &body, PATIENCE)?;
        let last = done["responses"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
        let value = &last["response_range"]["kvs"][0]["value"];
        if !done["succeeded"].as_bool().unwrap_or(false) {
            let larger =
                value.as_str().and_then(|text| api::text(text).ok()).and_then(|text| text.parse().ok());
            let observed = larger.map(Value::Int);
            return Ok(Completion::Ok { value: said.clone(), applied: Some(false), observed });
        }
        if new.is_some() {
            return Ok(Completion::ok(said.clone()));
        }
        let holds = match value.as_str() {
            None => Value::Null,
            Some(text) => decoded(text).map_err(Trouble::Unknown)?,
        };
        Ok(Completion::ok(Value::list([Value::Int(token), holds])))
    }
}

fn decoded(bytes: &str) -> Result<Value, String> {
    let json: Json = serde_json::from_str(&api::text(bytes)?).map_err(|e| e.to_string())?;
    json::from_json(&json)
}

fn resource(key: &str, what: &str) -> String {
    format!("{key}/guarded/{what}")
}

/// A token as text whose order is that of numbers.
fn padded(token: i64) -> String {
    format!("{token:020}")
}

fn connect(member: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect_timeout(&member, PATIENCE).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    Ok(Connection::new(stream, &member.to_string()))
}

/// Keeps a lease alive until the sender is dropped, by a connection of its own.
fn keep_alive(config: Config, lease: String) -> Sender<()> {
    let (alive, ended) = channel::<()>();
    let body = json!({"ID": lease}).to_string();
    let pause = Duration::from_millis(config.ttl * 1000 / 4);
    let keep = move || {
        let mut member: Option<Connection> = None;
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
            let deadline = Instant::now() + pause;
            let mut connection = match member.take().map_or_else(|| connect(config.member), Ok) {
                Ok(connection) => connection,
                Err(_) => continue,
            };
            let asked = connection.post("/v3/lease/keepalive", &body, deadline).is_ok();
            if asked && connection.answer(deadline).is_ok_and(|answer| !answer.last) {
                member = Some(connection);
            }
        }
    };
    if let Err(e) = std::thread::Builder::new().name("keep-alive".into()).spawn(keep) {
        eprintln!("a lease is not kept alive: {e}");
    }
    alive
}
