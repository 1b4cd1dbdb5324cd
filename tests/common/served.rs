//! `perjury serve` on a port of its own, and stores for it.
#![allow(dead_code)] // each test file uses its part

use crate::common::{perjury, run};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A server on a store; it ends with the test.
pub struct Server {
    /// Its process.
    pub child: Child,
    /// `127.0.0.1:8713`.
    pub address: String,
}

impl Server {
    pub fn start(store: &Path) -> Server {
        let mut child = perjury()
            .args(["serve", "--port", "0"])
            .arg(store)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("no address: {line:?}")).to_string();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        Server { child, address }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends bytes and reads the answer to its end.
    pub fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has heard enough may be gone before all was sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::of(&answer)
    }

    pub fn get(&self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_string(), body: body.to_string() }
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}\n\n{}", self.head, self.body);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// A run that is short, and violated.
pub fn test(store: &Path, seed: &str, more: &[&str]) -> String {
    let args = ["test", "demo-quorum", "register", "--nemesis", "clock", "--seed", seed, "-q", "--store"];
    let limit = if more.contains(&"--time-limit") { &[][..] } else { &["--time-limit", "3s"] };
    let done = run([&args[..], &[store.to_str().unwrap()], limit, more].concat());
    assert!(done.code <= 3, "{}", done.err);
    let latest = fs::read_link(store.join("demo-quorum-register/latest")).unwrap();
    format!("demo-quorum-register/{}", latest.display())
}

/// A store with a finished run that was made by hand, which is quicker.
pub fn made(store: &Path, id: &str, verdict: &str, fingerprint: &str) -> PathBuf {
    let dir = store.join(id);
    fs::create_dir_all(&dir).unwrap();
    let shapes = match fingerprint {
        "" => "[]".to_string(),
        print => format!(
            r#"[{{"kind":"stale-read","fingerprint":"{print}","count":3,"key":"k7","during":"clock"}}]"#
        ),
    };
    let (system, time) = id.split_once('/').unwrap();
    let summary = format!(
        r#"{{"schema":"perjury.summary/1","verdict":"{verdict}","asked":["linearizable"],"system":"{system}","version":"1.0","workload":"register","seed":7,"started":"{time}","interrupted":false,"ops":3462,"duration_ns":20000000000,"anomalies":[],"shapes":{shapes},"faults":["clock"],"setup":"one","reason":""}}"#
    );
    fs::write(dir.join("summary.json"), summary).unwrap();
    fs::write(dir.join("history.jsonl"), "").unwrap();
    dir
}

/// The address of the run that goes on, as soon as there is one.
pub fn running(server: &Server) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let all = server.get("/").expect(200).body;
        if let Some((_, rest)) = all.split_once("live-row\" href=\"") {
            return rest.split('"').next().unwrap().to_string();
        }
        assert!(Instant::now() < deadline, "it is never seen to run");
        std::thread::sleep(Duration::from_millis(50));
    }
}
