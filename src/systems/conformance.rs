//! What every client must be, held against a server that goes wrong in every way: it asks once, on one connection, and
//! says *failed* only where nothing can have happened.
//!
//! ```text
//!   hello ◀─▶ hello              as far as the protocol has one
//!   request ─▶                   the only one, on the only connection, whatever the server does next:
//!     closed before it is read, after it, after half an answer; nonsense, two answers, a refusal that says nothing; late
//! ```

use crate::client::Client;
use history::{Call, Completion, Value};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How a server of some protocol behaves, and how a client of it is made.
pub struct Protocol {
    /// A client over this connection, which is to be open by then.
    pub open: fn(TcpStream, Instant) -> Result<Box<dyn Client>, String>,
    /// What the server does when it is called, before the first request.
    pub hello: fn(&mut TcpStream),
    /// How many whole requests these bytes are. What keeps a session alive, or ends it, is none.
    pub requests: fn(&[u8]) -> usize,
    /// The answer to the first request, if that is a write of 3 to the key x of a register.
    pub written: Vec<u8>,
    /// An answer to any request that says neither that it was done nor that it was not.
    pub unclear: Vec<u8>,
    /// Bytes that are no answer to anything.
    pub nonsense: Vec<u8>,
}

/// What the server does with the one request that it accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stub {
    ClosesBeforeReading,
    ClosesAfterReading,
    ClosesAfterHalfAnAnswer,
    SaysNonsense,
    SaysTwoThings,
    IsUnclear,
    AnswersLate,
}

/// Reads until nothing more comes, or until there is one request; what came, and whether the other side has gone.
fn listen(stream: &mut TcpStream, protocol: &Protocol, seen: &mut Vec<u8>, one: bool) {
    let mut piece = [0; 4096];
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    while !(one && (protocol.requests)(seen) == 1) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => seen.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
            Err(e) => panic!("the client neither asks nor goes: {e}"),
        }
    }
}

/// Serves one connection; the number of connections and of requests that it ever saw.
fn serve(stub: Stub, protocol: &Protocol, listener: &TcpListener, asked: &Receiver<()>) -> (usize, usize) {
    let (mut stream, _) = listener.accept().unwrap();
    (protocol.hello)(&mut stream);
    let mut seen = Vec::new();
    if stub != Stub::ClosesBeforeReading {
        listen(&mut stream, protocol, &mut seen, true);
        let written = &protocol.written;
        let answer = match stub {
            Stub::ClosesBeforeReading | Stub::ClosesAfterReading => Vec::new(),
            Stub::ClosesAfterHalfAnAnswer => written[..written.len() - 1].to_vec(),
            Stub::SaysNonsense => protocol.nonsense.clone(),
            Stub::SaysTwoThings => written.repeat(2),
            Stub::IsUnclear => protocol.unclear.clone(),
            Stub::AnswersLate => {
                asked.recv().unwrap();
                written.clone()
            }
        };
        stream.write_all(&answer).unwrap();
        if !matches!(stub, Stub::ClosesAfterReading | Stub::ClosesAfterHalfAnAnswer) {
            // The connection stays open: whatever the client does next, it must not ask again.
            listen(&mut stream, protocol, &mut seen, false);
        }
    }
    drop(stream);
    listener.set_nonblocking(true).unwrap();
    (1 + usize::from(listener.accept().is_ok()), (protocol.requests)(&seen))
}

fn check(protocol: &Protocol, stub: Stub, f: &str) -> Completion {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (ask, asked) = channel();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(stub, protocol, &listener, &{ asked }));
        let soon = Instant::now() + Duration::from_secs(5);
        let call = Call { f: f.into(), key: Some("x".into()), value: Value::Int(3) };
        let mut client = (protocol.open)(TcpStream::connect(address).unwrap(), soon).unwrap();
        let completion = if stub == Stub::AnswersLate {
            let first = client.invoke(&call, Instant::now() + Duration::from_millis(20));
            assert!(matches!(first, Completion::Info { late: true, .. }), "{first:?}");
            assert!(!client.alive(), "no other call may be made on this session");
            assert!(matches!(client.invoke(&call, soon), Completion::Fail(_)));
            ask.send(()).unwrap();
            client.late(soon)
        } else {
            let completion = client.invoke(&call, soon);
            // An answer that says nothing about the request says nothing about the session either.
            assert!(!client.alive() || stub == Stub::IsUnclear, "{stub:?}");
            assert!(!client.alive() || !matches!(completion, Completion::Ok { .. }), "{stub:?}");
            if !client.alive() {
                assert!(matches!(client.invoke(&call, soon), Completion::Fail(_)));
            }
            completion
        };
        drop(client);
        let (connections, requests) = server.join().unwrap();
        assert_eq!(connections, 1, "{stub:?}: a client never dials again");
        assert!(requests <= 1, "{stub:?}: a client never asks again, and {requests} requests came");
        completion
    })
}

/// Holds a client against every stub.
///
/// # Panics
/// If it is not what a client must be.
pub fn conforms(protocol: &Protocol) {
    for stub in [
        Stub::ClosesBeforeReading,
        Stub::ClosesAfterReading,
        Stub::ClosesAfterHalfAnAnswer,
        Stub::SaysNonsense,
        Stub::SaysTwoThings,
        Stub::IsUnclear,
    ] {
        let write = check(protocol, stub, "write");
        assert!(matches!(write, Completion::Info { late: false, .. }), "{stub:?}: {write:?}");
        let read = check(protocol, stub, "read");
        assert!(matches!(read, Completion::Fail(_)), "{stub:?}: {read:?}");
    }
    let late = check(protocol, Stub::AnswersLate, "write");
    assert_eq!(late, Completion::ok(Value::Int(3)), "an answer after the deadline still completes its call");
}
