//! A watcher against a member that says what a test wants.

use super::*;
use crate::systems::conformance::{Protocol, conforms};
use crate::systems::etcd::api::bytes;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CREATED: &str = r#"{"result":{"header":{"revision":"8"},"created":true}}"#;

/// A line as it travels, in a chunk of its own.
fn chunk(line: &str) -> String {
    format!("{:x}\r\n{line}\n\r\n", line.len() + 1)
}

fn event(revision: i64, value: i64) -> String {
    let (key, value) = (bytes("perjury/null/\"a\""), bytes(&value.to_string()));
    format!(
        r#"{{"result":{{"header":{{"revision":"9"}},"events":[{{"kv":{{"key":"{key}","mod_revision":"{revision}","value":"{value}"}}}}]}}}}"#
    )
}

fn told(revision: i64, value: i64) -> Value {
    Value::list([Value::Int(revision), "a".into(), Value::Int(value)])
}

fn watch(f: &str, from: Option<i64>) -> Call {
    Call { f: f.into(), key: None, value: from.map_or(Value::Null, Value::Int) }
}

/// What the member does after it has said something on the stream.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Closes,
    StaysOpen,
}

/// A watcher whose stream says `said` once it was asked; the thread ends with everything that it was asked.
fn watcher(said: String, then: Then) -> (Watcher, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let member = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while !seen.ends_with(b"}}") {
            match stream.read(&mut piece).unwrap() {
                0 => break,
                n => seen.extend_from_slice(&piece[..n]),
            }
        }
        // Whoever has gone does not listen.
        let _ = stream.write_all(said.as_bytes());
        if then == Then::StaysOpen {
            while let Ok(n) = stream.read(&mut piece) {
                if n == 0 {
                    break;
                }
                seen.extend_from_slice(&piece[..n]);
            }
        }
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "a client never dials again");
        String::from_utf8(seen).unwrap()
    });
    let connection = || Connection::new(TcpStream::connect(address).unwrap(), "n1");
    let stream = connection();
    // Nothing is written in these tests: any socket does.
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let writes = Connection::new(TcpStream::connect(unused.local_addr().unwrap()).unwrap(), "n1");
    (Watcher::new(writes, stream), member)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn answer(upto: i64, events: &[Value]) -> Completion {
    Completion::ok(Value::list([Value::Int(upto), Value::list(events.to_vec())]))
}

#[test]
fn a_stream_is_opened_once_and_goes_on_from_where_it_was() {
    let said = [HEAD.to_string(), chunk(CREATED), chunk(&event(5, 1)), chunk(&event(7, 2))].concat();
    let (mut watcher, member) = watcher(said, Then::StaysOpen);
    let mut events = Vec::new();
    let mut next = 5;
    while next < 8 {
        let Completion::Ok { value, .. } = watcher.invoke(&watch("watch", Some(next)), soon()) else {
            panic!("an answer");
        };
        let [Value::Int(upto), brought] = value.as_list().unwrap() else { panic!("{value}") };
        events.extend(brought.as_list().unwrap().to_vec());
        next = upto + 1;
    }
    assert_eq!(events, [told(5, 1), told(7, 2)]);
    // Silence is answered in time, with nothing.
    let begun = Instant::now();
    assert_eq!(watcher.invoke(&watch("watch", Some(8)), soon()), answer(7, &[]));
    assert!(begun.elapsed() < IDLE * 3 && watcher.alive());
    let short = Instant::now() + Duration::from_millis(200);
    assert_eq!(watcher.invoke(&watch("watch", Some(8)), short), answer(7, &[]));
    assert!(Instant::now() < short, "before its deadline");
    // Another place needs another session.
    assert!(matches!(watcher.invoke(&watch("watch", Some(5)), soon()), Completion::Fail(_)));
    assert!(!watcher.alive());
    assert!(matches!(watcher.invoke(&watch("watch", Some(8)), soon()), Completion::Fail(_)));
    drop(watcher);
    let seen = member.join().unwrap();
    assert_eq!(seen.matches("POST ").count(), 1, "{seen}");
    assert!(seen.contains(r#""start_revision":"5""#), "{seen}");
}

#[test]
fn from_now_on_is_where_the_store_has_counted_to() {
    let (mut watcher, member) = watcher([HEAD, &chunk(CREATED)].concat(), Then::StaysOpen);
    assert_eq!(watcher.invoke(&watch("watch", None), soon()), answer(8, &[]));
    assert_eq!(watcher.invoke(&watch("watch", Some(9)), soon()), answer(8, &[]));
    drop(watcher);
    assert!(member.join().unwrap().contains(r#""start_revision":"0""#));
}

#[test]
fn what_a_broken_stream_has_brought_is_the_answer_and_without_it_nothing_was_seen() {
    let half = chunk(&event(9, 1));
    let half = &half[..half.len() / 2];
    let progress = chunk(r#"{"result":{"header":{"revision":"12"}}}"#);
    let delete = format!(
        r#"{{"result":{{"header":{{"revision":"9"}},"events":[{{"type":"DELETE","kv":{{"key":"{}","mod_revision":"9"}}}}]}}}}"#,
        bytes("perjury/null/\"a\"")
    );
    let deleted = Value::list([Value::Int(9), "a".into(), Value::Null]);
    let gone = r#"{"result":{"header":{},"canceled":true,"compact_revision":"20"}}"#;
    let refused =
        Completion::Ok { value: Value::Int(9), applied: Some(false), observed: Some(Value::Int(20)) };
    let error = r#"{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}"#;
    let elsewhere = event(9, 1).replace(&bytes("perjury/null/\"a\""), &bytes("perjury/x/\"a\""));
    for (said, expected) in [
        (String::new(), None),
        ([HEAD, half].concat(), None),
        ([HEAD, &chunk(CREATED)].concat(), None),
        ([HEAD, &chunk(CREATED), half].concat(), None),
        ([HEAD, &chunk(CREATED), &chunk(&event(9, 1)), half].concat(), Some(answer(9, &[told(9, 1)]))),
        ([HEAD, &chunk(CREATED), &chunk(&event(9, 1)), "0\r\n\r\n"].concat(), Some(answer(9, &[told(9, 1)]))),
        ([HEAD, &chunk(CREATED), &chunk(&delete), &progress].concat(), Some(answer(12, &[deleted]))),
        ([HEAD, &chunk(CREATED), &chunk(gone)].concat(), Some(refused.clone())),
        ([HEAD, &chunk(gone)].concat(), Some(refused)),
        ([HEAD, &chunk(error)].concat(), None),
        ([HEAD, &chunk(CREATED), &chunk(error)].concat(), None),
        ([HEAD, &chunk(CREATED), &chunk(CREATED)].concat(), None),
        ([HEAD, &chunk(CREATED), &chunk(&elsewhere)].concat(), None),
        ([HEAD, &chunk(&event(9, 1))].concat(), None),
        ([HEAD, &chunk("no!?")].concat(), None),
        ("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno".to_string(), None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_string(), None),
    ] {
        let (mut watcher, member) = watcher(said.clone(), Then::Closes);
        let completion = watcher.invoke(&watch("watch", Some(9)), soon());
        match expected {
            Some(expected) => assert_eq!(completion, expected, "{said}"),
            None => assert!(matches!(completion, Completion::Fail(_)), "{said}: {completion:?}"),
        }
        assert!(!watcher.alive() || watcher_sees_the_end(&mut watcher), "{said}");
        drop(watcher);
        assert!(member.join().unwrap().matches("POST ").count() <= 1);
    }
}

/// A stream whose end had not arrived with the answer: the next call finds it, and the session is over.
fn watcher_sees_the_end(watcher: &mut Watcher) -> bool {
    let Stream::Open(open) = &watcher.stream else { return false };
    let next = watch("watch", Some(open.next));
    matches!(watcher.invoke(&next, soon()), Completion::Fail(_)) && !watcher.alive()
}

#[test]
fn to_have_caught_up_takes_a_member_that_is_in_touch() {
    // The other connection leads to nobody, so nothing is claimed, though the stream is silent.
    let (mut watcher, member) = watcher([HEAD, &chunk(CREATED)].concat(), Then::StaysOpen);
    let deadline = Instant::now() + Duration::from_millis(300);
    let completion = watcher.invoke(&watch("catch-up", Some(9)), deadline);
    assert!(matches!(completion, Completion::Fail(_)), "{completion:?}");
    assert!(!watcher.alive());
    drop(watcher);
    member.join().unwrap();
}

/// A session on one connection, whose reads are watches.
struct OnOne(Watcher);

impl Client for OnOne {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        let (f, value) = match call.f.as_str() {
            "read" => ("watch", Value::Int(3)),
            _ => ("put", Value::list(["x".into(), call.value.clone()])),
        };
        self.0.invoke(&Call { f: f.into(), key: None, value }, deadline)
    }

    fn late(&mut self, until: Instant) -> Completion {
        self.0.late(until)
    }

    fn alive(&self) -> bool {
        self.0.alive()
    }
}

#[test]
fn a_session_asks_once_and_in_doubt_says_that_it_does_not_know() {
    let answer = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    conforms(&Protocol {
        open: |stream, _| {
            let same = stream.try_clone().map_err(|e| e.to_string())?;
            Ok(Box::new(OnOne(Watcher::new(Connection::new(same, "n1"), Connection::new(stream, "n1")))))
        },
        hello: |_| {},
        requests: |seen| {
            let text = String::from_utf8_lossy(seen);
            let begun = text.matches("POST ").count();
            begun.saturating_sub(usize::from(!text.trim_end().ends_with('}')))
        },
        written: answer("200 OK", r#"{"header":{"revision":"3"}}"#),
        unclear: answer("503 No\r\nConnection: close", r#"{"code":14,"message":"etcdserver: no leader"}"#),
        nonsense: answer("200 OK", "no!?"),
    });
}
