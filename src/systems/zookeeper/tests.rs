//! Calls against a server in memory that keeps nodes as ZooKeeper does.

use super::Config;
use super::api::{self, Dialect, Held, Reads};
use super::jute::Writer;
use super::wire::{Answer, Making, Request};
use history::{Call, Completion, Value};
use std::collections::BTreeMap;

/// Nodes, with their data, their versions, the transactions that made them and how many children they ever had.
#[derive(Default)]
struct Tree {
    nodes: BTreeMap<String, (Vec<u8>, i32, i64, u32)>,
    zxid: i64,
    /// Every request, by its kind.
    asked: Vec<&'static str>,
    /// What the next requests are answered instead.
    errors: Vec<i32>,
}

fn stat(writer: Writer, made: i64, version: i32) -> Vec<u8> {
    let numbers = writer.long(made).long(0).long(0).long(0).int(version).int(0).int(0).long(0).int(0).int(0);
    numbers.long(0).frame().split_off(4)
}

impl Tree {
    fn new() -> Tree {
        let nodes = [api::ROOT, api::BARRIER].map(|path| (path.to_string(), (Vec::new(), 0, 0, 0)));
        Tree { nodes: nodes.into(), ..Tree::default() }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let body = match self.errors.pop() {
            Some(error) if error != 0 => Err(error),
            _ => self.body(request),
        };
        match body {
            Ok(body) => Answer { error: 0, body },
            Err(error) => Answer { error, body: Vec::new() },
        }
    }

    fn body(&mut self, request: &Request) -> Result<Vec<u8>, i32> {
        match request {
            Request::Create { path, data, making } => {
                self.asked.push("create");
                let parent = path.rsplit_once('/').unwrap().0;
                let (_, _, _, children) = self.nodes.get_mut(parent).ok_or(-101)?;
                let path = match making {
                    Making::Persistent => path.clone(),
                    Making::EphemeralSequential => format!("{path}{children:010}"),
                };
                *children += 1;
                if self.nodes.contains_key(&path) {
                    return Err(-110);
                }
                self.zxid += 1;
                self.nodes.insert(path.clone(), (data.clone(), 0, self.zxid, 0));
                Ok(stat(Writer::default().text(&path), self.zxid, 0))
            }
            Request::Delete { path } => {
                self.asked.push("delete");
                self.nodes.remove(path).map(|_| Vec::new()).ok_or(-101)
            }
            Request::GetData { path } => {
                self.asked.push("get");
                let (data, version, made, _) = self.nodes.get(path).ok_or(-101)?;
                Ok(stat(Writer::default().buffer(data), *made, *version))
            }
            Request::SetData { path, data, version } => {
                self.asked.push("set");
                let node = self.nodes.get_mut(path).ok_or(-101)?;
                if *version != -1 && *version != node.1 {
                    return Err(-103);
                }
                node.0.clone_from(data);
                node.1 += 1;
                Ok(stat(Writer::default(), node.2, node.1))
            }
            Request::Children { path } => {
                self.asked.push("children");
                self.nodes.get(path).ok_or(-101)?;
                let below = format!("{path}/");
                let names: Vec<&str> =
                    self.nodes.keys().filter_map(|node| node.strip_prefix(&below)).collect();
                let count = Writer::default().int(names.len() as i32);
                Ok(names.iter().fold(count, |writer, name| writer.text(name)).frame().split_off(4))
            }
            Request::Sync { path } => {
                self.asked.push("sync");
                Ok(Writer::default().text(path).frame().split_off(4))
            }
        }
    }
}

/// A session of a workload with a tree.
struct Session<'a> {
    workload: &'a str,
    dialect: Dialect,
    held: Held,
}

impl Session<'_> {
    fn new(workload: &str) -> Session<'_> {
        Session { workload, dialect: Dialect { reads: Reads::Local, fencing: false }, held: Held::default() }
    }

    fn does(&self, tree: &mut Tree, f: &str, value: impl Into<Value>) -> Completion {
        let call = Call { f: f.into(), key: Some("a/b".into()), value: value.into() };
        let next = api::begin(self.workload, &call, self.dialect, &self.held).unwrap();
        next.play(|request| tree.answer(request)).unwrap()
    }
}

fn pair(a: impl Into<Value>, b: impl Into<Value>) -> Value {
    Value::list([a.into(), b.into()])
}

fn compared(value: Value, applied: bool, observed: Option<Value>) -> Completion {
    Completion::Ok { value, applied: Some(applied), observed }
}

#[test]
fn a_register_is_made_by_its_first_write() {
    let (mut tree, session) = (Tree::new(), Session::new("register"));
    assert_eq!(session.does(&mut tree, "read", ()), Completion::ok(Value::Null));
    assert_eq!(session.does(&mut tree, "write", 7), Completion::ok(Value::Int(7)));
    assert_eq!(session.does(&mut tree, "write", 8), Completion::ok(Value::Int(8)));
    assert_eq!(session.does(&mut tree, "read", ()), Completion::ok(Value::Int(8)));
    assert_eq!(tree.asked, ["get", "set", "create", "set", "get"]);
    assert!(tree.nodes.contains_key("/perjury/%22a%2fb%22"), "{:?}", tree.nodes.keys());
}

#[test]
fn reads_are_preceded_by_what_the_options_say() {
    for (reads, asked) in [(Reads::Sync, ["sync", "get"]), (Reads::Write, ["set", "get"])] {
        let (mut tree, mut session) = (Tree::new(), Session::new("register"));
        session.dialect.reads = reads;
        assert_eq!(session.does(&mut tree, "read", ()), Completion::ok(Value::Null));
        assert_eq!(tree.asked, asked);
        tree.errors = vec![-4];
        let lost = session.does(&mut tree, "read", ());
        assert_eq!(lost, Completion::Fail("connection loss".into()), "a read does not go on without it");
    }
}

#[test]
fn versions_count_from_the_making_of_a_node() {
    let (mut tree, session) = (Tree::new(), Session::new("versioned-register"));
    let ok = |version: i64, value: i64| Completion::ok(pair(version, value));
    assert_eq!(session.does(&mut tree, "read", ()), Completion::ok(pair(0, ())));
    assert_eq!(session.does(&mut tree, "cas", pair(3, 5)), compared(pair(3, 5), false, None));
    assert_eq!(session.does(&mut tree, "cas", pair(0, 5)), ok(1, 5));
    assert_eq!(session.does(&mut tree, "cas", pair(0, 6)), compared(pair(0, 6), false, None));
    assert_eq!(session.does(&mut tree, "write", 7), ok(2, 7));
    assert_eq!(session.does(&mut tree, "cas", pair(2, 8)), ok(3, 8));
    assert_eq!(session.does(&mut tree, "cas", pair(2, 9)), compared(pair(2, 9), false, None));
    assert_eq!(session.does(&mut tree, "read", ()), ok(3, 8));
}

#[test]
fn a_cas_of_values_writes_only_what_it_has_compared() {
    let (mut tree, session) = (Tree::new(), Session::new("cas-register"));
    let swap = |from: Value, to: i64| pair(from, to);
    assert_eq!(
        session.does(&mut tree, "cas", swap(4.into(), 5)),
        compared(pair(4, 5), false, Some(Value::Null))
    );
    assert_eq!(session.does(&mut tree, "cas", swap(().into(), 5)), compared(pair((), 5), true, None));
    assert_eq!(session.does(&mut tree, "cas", swap(5.into(), 6)), compared(pair(5, 6), true, None));
    assert_eq!(
        session.does(&mut tree, "cas", swap(5.into(), 7)),
        compared(pair(5, 7), false, Some(Value::Int(6)))
    );
    // Somebody else comes between the look and the write.
    tree.errors = vec![-103, 0];
    assert!(matches!(session.does(&mut tree, "cas", swap(6.into(), 7)), Completion::Fail(_)));
}

#[test]
fn a_set_has_a_node_for_each_element() {
    let (mut tree, session) = (Tree::new(), Session::new("set"));
    assert_eq!(session.does(&mut tree, "read", ()), Completion::ok(Value::list([])));
    for element in [12, 3, 12] {
        assert_eq!(session.does(&mut tree, "add", element), Completion::ok(Value::Int(element)));
    }
    assert_eq!(session.does(&mut tree, "add", "x/y"), Completion::ok("x/y".into()));
    let all = Value::list(["x/y".into(), Value::Int(12), Value::Int(3)]);
    assert_eq!(session.does(&mut tree, "read", ()), Completion::ok(all));
}

#[test]
fn the_lowest_number_holds_the_lock_and_whoever_is_behind_gives_up() {
    let (mut tree, one, two) = (Tree::new(), Session::new("lock"), Session::new("lock"));
    let Completion::Ok { value: Value::Int(first), .. } = one.does(&mut tree, "acquire", ()) else {
        panic!()
    };
    assert!(matches!(two.does(&mut tree, "acquire", ()), Completion::Fail(_)));
    assert_eq!(one.does(&mut tree, "read", first), Completion::ok(pair(first, ())));
    assert_eq!(one.does(&mut tree, "write", pair(first, 1)), Completion::ok(pair(first, 1)));
    assert!(matches!(two.does(&mut tree, "release", first), Completion::Fail(_)), "it is not his");
    assert_eq!(one.does(&mut tree, "release", first), Completion::ok(Value::Int(first)));
    let Completion::Ok { value: Value::Int(second), .. } = two.does(&mut tree, "acquire", ()) else {
        panic!()
    };
    assert!(second > first);
    // The session has expired: its node is gone.
    tree.nodes.retain(|path, _| !path.contains("/h"));
    assert_eq!(two.does(&mut tree, "release", second), compared(Value::Int(second), false, None));
}

#[test]
fn a_fenced_resource_refuses_smaller_tokens_than_it_has_seen() {
    let (mut tree, mut one, mut two) = (Tree::new(), Session::new("lock"), Session::new("lock"));
    let Completion::Ok { value: Value::Int(first), .. } = one.does(&mut tree, "acquire", ()) else {
        panic!()
    };
    tree.nodes.retain(|path, _| !path.contains("/h"));
    let Completion::Ok { value: Value::Int(second), .. } = two.does(&mut tree, "acquire", ()) else {
        panic!()
    };
    // Without fencing, it takes anything.
    assert_eq!(two.does(&mut tree, "write", pair(second, 1)), Completion::ok(pair(second, 1)));
    assert_eq!(one.does(&mut tree, "write", pair(first, 2)), Completion::ok(pair(first, 2)));
    (one.dialect.fencing, two.dialect.fencing) = (true, true);
    assert_eq!(two.does(&mut tree, "read", second), Completion::ok(pair(second, 2)));
    assert_eq!(one.does(&mut tree, "write", pair(first, 3)), compared(pair(first, 3), false, None));
    assert_eq!(one.does(&mut tree, "read", first), compared(Value::Int(first), false, None));
    assert_eq!(two.does(&mut tree, "write", pair(second, 3)), Completion::ok(pair(second, 3)));
}

#[test]
fn only_what_certainly_did_not_happen_has_failed() {
    for error in [-4, -7, -112, -118, -1, -2, -3, -99] {
        let (mut tree, session) = (Tree::new(), Session::new("register"));
        tree.errors = vec![error];
        let write = session.does(&mut tree, "write", 1);
        assert!(matches!(write, Completion::Info { late: false, .. }), "{error}: {write:?}");
        tree.errors = vec![error];
        let read = session.does(&mut tree, "read", ());
        assert!(matches!(read, Completion::Fail(_)), "{error}: a read without an answer did not happen");
    }
    for error in [-102, -115, -119, -6, -8] {
        let (mut tree, session) = (Tree::new(), Session::new("register"));
        tree.errors = vec![error];
        assert!(matches!(session.does(&mut tree, "write", 1), Completion::Fail(_)), "{error}");
    }
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    let session = Session::new("register");
    let call = Call { f: "read".into(), key: Some("x".into()), value: Value::Null };
    for body in [&b""[..], b"\0\0\0\x09abc", b"\0\0\0\x02{]"] {
        let next = api::begin("register", &call, session.dialect, &session.held).unwrap();
        assert!(next.play(|_| Answer { error: 0, body: body.to_vec() }).is_err(), "{body:?}");
    }
    let append = Call { f: "append".into(), ..call };
    assert!(api::begin("register", &append, session.dialect, &session.held).is_err());
}

#[test]
fn options_are_read_and_bad_ones_named() {
    let with = |name: &str, value: &str| Config::new(&[(name.to_string(), value.to_string())]);
    assert_eq!(with("reads", "write").unwrap().reads, Reads::Write);
    assert!(with("reads", "quorum").unwrap_err().contains("local or sync or write"));
    assert!(with("session", "10").unwrap_err().contains("500"));
    assert!(with("leader", "n1").unwrap_err().contains("there is no option leader"));
}
