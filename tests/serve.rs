//! `perjury serve` through a socket: what it shows, whom it answers, and where it does not lead.

mod common;
#[path = "common/served.rs"]
mod served;

use common::run;
use served::{Server, made, running, test};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn runs_are_listed_searched_opened_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (test(dir.path(), "7", &[]), test(dir.path(), "8", &["--rate", "200"]));
    made(dir.path(), "other/20260101T000000Z", "valid", "");
    let server = Server::start(dir.path());
    let all = server.get("/").expect(200);
    for word in [&first, &second, "other/20260101T000000Z", "3 runs"] {
        assert!(all.body.replace('\u{a0}', " ").contains(word), "{word}: {}", all.body);
    }
    assert!(all.header("Content-Security-Policy").starts_with("default-src 'none'"));
    let found = server.get("/?q=system%3Aother").expect(200).body;
    assert!(found.contains("other/20260101T000000Z") && !found.contains(&second));

    let page = server.get(&format!("/run/{second}/")).expect(200);
    assert!(page.body.contains("files/report.html") && page.body.contains("history.jsonl"), "{}", page.body);
    let latest = server.get("/run/demo-quorum-register/latest/").expect(302);
    assert_eq!(latest.header("Location"), format!("/run/{second}/"));
    let report = server.get(&format!("/run/{second}/files/report.html")).expect(200);
    assert_eq!(report.body, fs::read_to_string(dir.path().join(&second).join("report.html")).unwrap());
    assert!(report.header("Content-Security-Policy").starts_with("sandbox"));
    let history = server.get(&format!("/run/{second}/files/history.jsonl")).expect(200);
    assert_eq!(history.body, fs::read_to_string(dir.path().join(&second).join("history.jsonl")).unwrap());
    assert_eq!(history.header("Content-Type"), "text/plain; charset=utf-8");

    let side = server.get(&format!("/compare?run={first}&run={second}")).expect(200).body;
    for word in ["rate", "200", "<svg", "clock", "seen in"] {
        assert!(side.contains(word), "{word}: {side}");
    }
    server.get(&format!("/compare?run={first}")).expect(400);
    server.get(&format!("/compare?run={first}&run=no/such")).expect(404);
}

#[test]
fn a_shape_is_counted_over_all_runs_of_its_setup() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..40 {
        let id = format!("demo/20260101T0000{n:02}Z");
        let bad = n % 13 == 5;
        made(dir.path(), &id, if bad { "invalid" } else { "valid" }, if bad { "9f2c" } else { "" });
    }
    let server = Server::start(dir.path());
    let page = server.get("/run/demo/20260101T000005Z/").expect(200).body;
    assert!(
        page.contains("seen in 3 of 40 runs (7.5 %, 95 % interval 1.57 to 20.4 %); 39 clean runs"),
        "{page}"
    );
    let trend = server.get("/").expect(200).body;
    assert!(trend.contains("state invalid"), "{trend}");
}

#[test]
fn only_this_machine_is_answered_and_only_looking_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), "demo/20260101T000000Z", "valid", "");
    let server = Server::start(dir.path());
    let with =
        |line: &str, host: &str| server.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    with("GET /", "localhost:1").expect(200);
    with("GET /", "evil.example").expect(421);
    with("GET /", &format!("{}.evil.example", server.address)).expect(421);
    server.send(b"GET / HTTP/1.1\r\n\r\n").expect(400);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(with(&format!("{method} /"), "localhost").expect(405).header("Allow"), "GET, HEAD");
    }
    let head = with("HEAD /", "localhost").expect(200);
    assert!(head.body.is_empty() && head.header("Content-Length").parse::<u64>().unwrap() > 1000);
    server.send(b"\x16\x03\x01\x02\x00\x01\x00").expect(400);
    server
        .send(&[b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".as_slice(), &[b'a'; 40_000]].concat())
        .expect(431);
    server.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc").expect(413);
    let all = server.get("/").expect(200);
    for absent in ["Access-Control", "Set-Cookie", "Server: "] {
        assert!(!all.head.contains(absent), "{}", all.head);
    }
}

#[test]
fn no_address_leads_out_of_the_store() {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("secret"), "the secret").unwrap();
    let store = outer.path().join("store");
    let run = made(&store, "demo/20260101T000000Z", "valid", "");
    fs::create_dir(run.join("n1")).unwrap();
    fs::write(run.join("n1/node.log"), "<script>alert(1)</script>").unwrap();
    fs::write(run.join(".hidden"), "the secret").unwrap();
    symlink("../../../secret", run.join("link")).unwrap();
    symlink("../../..", run.join("up")).unwrap();
    symlink("../..", store.join("demo/away")).unwrap();
    symlink("../../secret", store.join("demo/latest")).unwrap();
    symlink(outer.path(), store.join("outside")).unwrap();
    let server = Server::start(&store);
    let base = "/run/demo/20260101T000000Z/files";
    let log = server.get(&format!("{base}/n1/node.log")).expect(200);
    assert_eq!(log.header("Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(log.header("X-Content-Type-Options"), "nosniff");
    for target in [
        "/../secret",
        "/run/../../secret",
        "/run/demo/../../secret/",
        "/run/demo/20260101T000000Z/files/../../../../secret",
        "/run/demo/20260101T000000Z/files/%2e%2e/%2e%2e/%2e%2e/secret",
        "/run/demo/20260101T000000Z/files/..%2f..%2f..%2fsecret",
        "/run/demo/20260101T000000Z/files/link",
        "/run/demo/20260101T000000Z/files/up/secret",
        "/run/demo/away/files/secret",
        "/run/outside/store/files/secret",
        "/run/demo/latest/",
        "/run/demo/20260101T000000Z/files/.hidden",
        "/run/demo/20260101T000000Z/files/history.jsonl%00",
        "/run/demo/20260101T000000Z/files/n1",
        "/run/demo/20260101T000000Z/files//secret",
        "/run/demo/20260101T000000Z/files/n1%5cnode.log",
        "/etc/passwd",
        "//etc/passwd",
        "http://localhost/run",
        "/compare?run=..%2Fsecret&run=demo%2F20260101T000000Z",
        "/compare?run=demo/away&run=demo/20260101T000000Z",
    ] {
        let answer = server.get(target);
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.head);
        assert!(!answer.body.contains("the secret"), "{target}");
    }
}

#[test]
fn what_a_run_is_called_never_becomes_markup() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), "<img src=x onerror=alert(1)>/\"'&<b>", "invalid", "<i>");
    let server = Server::start(dir.path());
    let all = server.get("/?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%20-x").expect(200).body;
    let listed = server.get("/").expect(200).body;
    let page =
        server.get("/run/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E/%22%27%26%3Cb%3E/").expect(200).body;
    for body in [&all, &listed, &page] {
        assert!(
            !body.contains("<img src=x")
                && !body.contains("<script>alert")
                && !body.contains("<b>")
                && !body.contains("<i>"),
            "{body}"
        );
    }
}

#[test]
fn a_running_test_is_told_as_it_goes_and_becomes_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let store = dir.path().to_path_buf();
    let testing = std::thread::spawn(move || test(&store, "7", &["--time-limit", "5s"]));
    let link = running(&server);
    assert!(server.get(&link).expect(200).body.contains("/-/live.js"));
    let mut stream = server.connect();
    write!(stream, "GET {link}events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let (mut names, mut ids): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for line in lines.by_ref() {
        let line = line.unwrap();
        if let Some(name) = line.strip_prefix("event: ") {
            names.push(name.to_string());
        }
        if let Some(id) = line.strip_prefix("id: ") {
            ids.push(id.to_string());
        }
        if let Some(data) = line.strip_prefix("data: ") {
            let _: serde_json::Value =
                serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        }
        if ids.len() == 6 {
            // Whoever comes back is told what he missed, and not everything again.
            let mut again = server.connect();
            write!(
                again,
                "GET {link}events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {}\r\n\r\n",
                ids[2]
            )
            .unwrap();
            let first = BufReader::new(again)
                .lines()
                .map(Result::unwrap)
                .find(|line| line.starts_with("id: "))
                .unwrap();
            assert_eq!(first, format!("id: {}", ids[3]));
        }
    }
    assert_eq!(names[0], "hello");
    for name in ["tick", "state", "fault", "anomaly", "done"] {
        assert!(names.iter().any(|other| other == name), "{name} is missing: {names:?}");
    }
    assert_eq!(names.last().unwrap(), "done");
    let id = testing.join().unwrap();
    assert_eq!(link, format!("/run/{id}/"));
    assert!(server.get(&link).expect(200).body.contains("files/report.html"));
    server.get(&format!("{link}events")).expect(404);
}

#[test]
fn many_connections_are_bounded_and_idle_ones_do_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), "demo/20260101T000000Z", "valid", "");
    let server = Server::start(dir.path());
    let idle: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    server.get("/").expect(200);
    let more: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.get("/").status != 503 {
        assert!(Instant::now() < deadline, "there is no bound");
    }
    drop((idle, more));
    while server.get("/").status != 200 {
        assert!(Instant::now() < deadline, "it does not recover");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_is_how_it_ends_and_a_taken_port_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    assert!(server.get("/").expect(200).body.contains("No run fits"));
    let port = server.address.split(':').nth(1).unwrap().to_string();
    let taken = run(["serve", "--port", &port, dir.path().to_str().unwrap()]).expect(69);
    assert!(taken.err.contains("--port 0"), "{}", taken.err);
    run(["serve", "--port", "0", dir.path().join("none").to_str().unwrap()]).expect(64);
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
