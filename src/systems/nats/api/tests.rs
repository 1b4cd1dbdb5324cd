//! Requests as JetStream takes them, and its answers as they were recorded.

use super::*;

fn manner(workload: &str, direct: bool) -> Manner {
    Manner { workload: workload.to_string(), direct }
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.into(), key: Some("k1".into()), value }
}

fn first(workload: &str, f: &str, value: Value) -> Asked {
    ask(&manner(workload, false), &call(f, value), |_| true).unwrap()
}

fn plain(payload: &str) -> Message {
    Message { payload: payload.as_bytes().to_vec(), ..Message::default() }
}

fn status(status: u16, words: &str) -> Message {
    Message { status: Some(status), words: words.into(), ..Message::default() }
}

fn done(asked: &Asked, message: &Message) -> Completion {
    match read(asked, message).unwrap() {
        Next::Done(completion) => completion,
        Next::Ask(asked) => panic!("it asks on: {asked:?}"),
    }
}

fn then(asked: &Asked, message: &Message) -> Asked {
    match read(asked, message).unwrap() {
        Next::Ask(asked) => asked,
        Next::Done(completion) => panic!("it is done: {completion:?}"),
    }
}

// The answers are those of nats-server 2.9.10.
const KEPT: &str = r#"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"$KV.perjury.k1","seq":4,"data":"NQ==","time":"2026-11-30T03:57:39.950212197Z"}}"#;
const WRONG: &str = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 2"},"stream":"KV_perjury","seq":0}"#;

#[test]
fn a_register_is_the_last_message_of_its_subject() {
    let write = first("register", "write", Value::Int(7));
    assert_eq!((write.subject.as_str(), write.payload.as_slice()), ("$KV.perjury.k1", &b"7"[..]));
    assert_eq!(write.unheard, Unheard::Unknown);
    assert_eq!(done(&write, &plain(r#"{"stream":"KV_perjury", "seq":1}"#)), Completion::ok(Value::Int(7)));
    let look = first("register", "read", Value::Null);
    assert_eq!(look.subject, "$JS.API.STREAM.MSG.GET.KV_perjury");
    assert_eq!(look.payload, br#"{"last_by_subj":"$KV.perjury.k1"}"#);
    assert_eq!(look.unheard, Unheard::Failed);
    assert_eq!(done(&look, &plain(KEPT)), Completion::ok(Value::Int(5)));
    let missing = r#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#;
    assert_eq!(done(&look, &plain(missing)), Completion::ok(Value::Null));
    let direct = ask(&manner("register", true), &call("read", Value::Null), |_| true).unwrap();
    assert_eq!(direct.subject, "$JS.API.DIRECT.GET.KV_perjury.$KV.perjury.k1");
    let found = Message { headers: vec![("Nats-Sequence".into(), "4".into())], ..plain("5") };
    assert_eq!(done(&direct, &found), Completion::ok(Value::Int(5)));
    assert_eq!(done(&direct, &status(404, "Message Not Found")), Completion::ok(Value::Null));
    assert!(matches!(done(&direct, &status(408, "Bad Request")), Completion::Fail(_)));
}

#[test]
fn only_what_certainly_did_not_happen_has_failed() {
    let write = first("register", "write", Value::Int(7));
    let refused = |code: u64| {
        let error = json!({"error": {"code": 500, "err_code": code, "description": "no"}});
        done(&write, &plain(&error.to_string()))
    };
    for code in [10071, 10008, 10039, 10076] {
        assert!(matches!(refused(code), Completion::Fail(_)), "{code}");
    }
    for code in [10077, 10023, 10000, 0] {
        assert!(matches!(refused(code), Completion::Info { late: false, .. }), "{code}");
    }
    assert!(matches!(done(&write, &status(503, "")), Completion::Fail(_)), "nobody was there to hear it");
    assert!(matches!(done(&write, &status(409, "?")), Completion::Info { .. }));
    assert!(read(&write, &plain("no!?")).is_err());
}

#[test]
fn a_cas_reads_first_and_writes_only_after_what_it_has_read() {
    let pair = Value::list([Value::Int(5), Value::Int(6)]);
    let cas = first("cas-register", "cas", pair.clone());
    assert_eq!(cas.unheard, Unheard::Failed);
    let write = then(&cas, &plain(KEPT));
    assert_eq!(write.headers, [("Nats-Expected-Last-Subject-Sequence", "4".to_string())]);
    assert_eq!((write.payload.as_slice(), &write.unheard), (&b"6"[..], &Unheard::Unknown));
    let applied =
        |applied, observed| Completion::Ok { value: pair.clone(), applied: Some(applied), observed };
    assert_eq!(done(&write, &plain(r#"{"stream":"KV_perjury", "seq":9}"#)), applied(true, None));
    assert!(matches!(done(&write, &plain(WRONG)), Completion::Fail(_)));
    let other = first("cas-register", "cas", Value::list([Value::Int(9), Value::Int(6)]));
    let Completion::Ok { applied, observed, .. } = done(&other, &plain(KEPT)) else { panic!("it was told") };
    assert_eq!((applied, observed), (Some(false), Some(Value::Int(5))));
    // By version, nothing has to be read.
    let versioned = first("revision-register", "cas", Value::list([Value::Int(4), Value::Int(6)]));
    assert_eq!(versioned.headers, [("Nats-Expected-Last-Subject-Sequence", "4".to_string())]);
    let made = done(&versioned, &plain(r#"{"stream":"KV_perjury", "seq":9}"#));
    let Completion::Ok { value, applied, .. } = made else { panic!("it was done") };
    assert_eq!((value, applied), (Value::list([Value::Int(9), Value::Int(6)]), Some(true)));
}

#[test]
fn a_set_is_read_back_as_it_was_added() {
    let add = first("set", "add", Value::text("a b"));
    assert_eq!(add.subject, "perjury.set.k1.=22a=20b=22");
    let all = first("set", "read", Value::Null);
    let info = r#"{"type":"io.nats.jetstream.api.v1.stream_info_response","total":2,"offset":0,"limit":100000,"state":{"messages":9,"subjects":{"perjury.set.k1.=22a=20b=22":1,"perjury.set.k1.12":1}}}"#;
    let both = Value::list([Value::Int(12), Value::text("a b")]);
    assert_eq!(done(&all, &plain(info)), Completion::ok(both));
    let none = r#"{"total":0,"state":{"messages":0}}"#;
    assert_eq!(done(&all, &plain(none)), Completion::ok(Value::list([])));
    let gone = r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
    assert_eq!(done(&all, &plain(gone)), Completion::ok(Value::list([])));
    let page = info.replace("\"total\":2", "\"total\":3");
    assert!(matches!(done(&all, &plain(&page)), Completion::Fail(_)), "a part of a set is none");
}

#[test]
fn a_message_is_taken_when_it_has_come() {
    let unknown = ask(&manner("delivery", false), &call("dequeue", Value::Null), |_| false).unwrap();
    assert_eq!(unknown.subject, "$JS.API.CONSUMER.DURABLE.CREATE.PERJURY_QUEUE.k1");
    let pull = then(&unknown, &plain(r#"{"type":"…","stream_name":"PERJURY_QUEUE","name":"k1"}"#));
    assert_eq!(pull, first("delivery", "dequeue", Value::Null));
    assert_eq!(pull.subject, "$JS.API.CONSUMER.MSG.NEXT.PERJURY_QUEUE.k1");
    let message = Message { reply: Some("$JS.ACK.PERJURY_QUEUE.k1.1.1.1.9.2".into()), ..plain("12") };
    let ack = then(&pull, &message);
    assert_eq!(
        (ack.subject.as_str(), ack.payload.as_slice()),
        ("$JS.ACK.PERJURY_QUEUE.k1.1.1.1.9.2", &b"+ACK"[..])
    );
    assert_eq!(ack.unheard, Unheard::Known(Completion::ok(Value::Int(12))));
    assert_eq!(done(&ack, &plain("")), Completion::ok(Value::Int(12)));
    assert_eq!(done(&pull, &status(404, "No Messages")), Completion::ok(Value::Null));
    assert!(matches!(done(&pull, &status(409, "Consumer Deleted")), Completion::Fail(_)));
    assert!(matches!(done(&pull, &status(503, "")), Completion::Fail(_)));
}

#[test]
fn a_drain_goes_on_until_nothing_comes() {
    let drain = first("delivery", "drain", Value::Null);
    assert_eq!(drain.unheard, Unheard::Failed);
    let message = Message { reply: Some("$JS.ACK.a".into()), ..plain("1") };
    let ack = then(&drain, &message);
    assert_eq!(ack.unheard, Unheard::Unknown, "it may have taken some and told nobody");
    let more = then(&ack, &plain(""));
    assert_eq!(more.unheard, Unheard::Unknown);
    assert_eq!(done(&more, &status(408, "Request Timeout")), Completion::ok(Value::list([Value::Int(1)])));
    assert!(matches!(done(&more, &status(409, "Consumer Deleted")), Completion::Info { .. }));
    assert!(matches!(done(&drain, &status(409, "Consumer Deleted")), Completion::Fail(_)));
}

#[test]
fn every_key_has_a_place_of_its_own_that_is_one_token() {
    let keys = [
        Value::text("k1"),
        Value::Int(1),
        Value::text("1"),
        Value::text("a.b"),
        Value::text("*"),
        Value::text(""),
        Value::Null,
    ];
    let mut places: Vec<String> = keys.iter().map(|key| place(Some(key)).unwrap()).collect();
    assert!(
        places.iter().all(|p| p.bytes().all(|b| b.is_ascii_alphanumeric() || b"=-_".contains(&b))),
        "{places:?}"
    );
    places.sort();
    places.dedup();
    assert_eq!(places.len(), keys.len());
    assert_eq!(unescape(&escape("a.b *>=é")).as_deref(), Some("a.b *>=é"));
}
