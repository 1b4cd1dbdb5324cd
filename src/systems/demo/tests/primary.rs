//! `demo-primary`: failover, leases, and the corners that it cuts.

use super::*;

/// The node that takes itself for the primary, other than `not`, once there is one.
fn primary_but(bench: &Bench, not: Option<usize>) -> usize {
    let n = bench.cluster().nodes().len();
    let leads = |i: usize| matches!(bench.cluster().role(i), Ok(Some(role)) if role.primary);
    let mut found = None;
    wait_for("a primary", || {
        found = (0..n).find(|&i| Some(i) != not && leads(i));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_new_primary_has_everything_that_a_quorum_had() {
    let bench = start("demo-primary", 3, "register", &[]);
    let old = primary_but(&bench, None);
    assert_eq!(write(&mut *bench.open((old + 1) % 3), 1), is(1), "any node takes a write to the primary");
    bench.cluster().kill(old).unwrap();
    let new = primary_but(&bench, Some(old));
    let mut client = bench.open(new);
    assert_eq!(read(&mut *client), is(1));
    assert_eq!(write(&mut *client, 2), is(2));
    bench.cluster().start(old).unwrap();
    wait_for("the old one follows", || read(&mut *bench.open(old)) == is(2));
}

#[test]
fn an_asynchronous_primary_acknowledges_alone_and_its_write_is_gone_after_the_failover() {
    let bench = start("demo-primary", 3, "set", &[("replication", "async")]);
    let add = |node: usize, value: i64| bench.open(node).invoke(&call("add", value), soon());
    let old = primary_but(&bench, None);
    assert_eq!(add(old, 1), is(1));
    wait_for("1 is everywhere", || {
        (0..3).all(|i| read(&mut *bench.open(i)) == Completion::ok(Value::list([1.into()])))
    });
    bench.isolate(old, Pass::Stall);
    let new = primary_but(&bench, Some(old));
    assert_eq!(add(old, 2), is(2), "two primaries");
    assert_eq!(add(new, 3), is(3), "two primaries");
    bench.isolate(old, Pass::Flow);
    let survivors = Completion::ok(Value::list([1.into(), 3.into()]));
    wait_for("one primary", || (0..3).all(|i| read(&mut *bench.open(i)) == survivors));
}

/// Stops the primary, lets another acknowledge a write, and asks the sleeper to read: what it says when it wakes up.
fn zombie(with: &[(&str, &str)]) -> Vec<Completion> {
    let bench = start("demo-primary", 3, "register", with);
    let old = primary_but(&bench, None);
    let mut idle: Vec<_> = (0..3).map(|_| bench.open(old)).collect();
    assert_eq!(write(&mut *bench.open(old), 1), is(1));
    bench.cluster().pause(old).unwrap();
    let new = primary_but(&bench, Some(old));
    assert_eq!(write(&mut *bench.open(new), 2), is(2));
    let moment = Instant::now() + Duration::from_millis(1);
    for client in &mut idle {
        assert!(matches!(
            client.invoke(&call("read", Value::Null), moment),
            Completion::Info { late: true, .. }
        ));
    }
    bench.cluster().resume(old).unwrap();
    idle.iter_mut().map(|client| client.late(soon())).collect()
}

#[test]
fn a_primary_that_slept_through_its_deposition_reads_what_was_overwritten() {
    let stale = |answers: Vec<Completion>| answers.contains(&is(1));
    assert!((0..10).any(|_| stale(zombie(&[("reads", "primary")]))));
    for _ in 0..3 {
        assert!(!stale(zombie(&[])), "a lease that has run out forbids it");
    }
}

#[test]
fn a_slow_clock_keeps_a_lease_beyond_its_end() {
    let bench = start("demo-primary", 3, "register", &[]);
    let old = primary_but(&bench, None);
    let mut client = bench.open(old);
    assert_eq!(write(&mut *client, 1), is(1));
    bench.cluster().set_clock(old, ClockSetting { offset_ns: 0, rate: 0.1 }).unwrap();
    assert_eq!(read(&mut *client), is(1));
    bench.isolate(old, Pass::Stall);
    let new = primary_but(&bench, Some(old));
    assert_eq!(write(&mut *bench.open(new), 2), is(2));
    assert_eq!(read(&mut *client), is(1));
}

#[test]
fn a_session_at_a_replica_sees_its_own_writes_only_if_they_go_through_it() {
    for (tokens, seen) in [("on", 2), ("off", 1)] {
        let bench = start("demo-primary", 3, "register", &[("reads", "replica"), ("tokens", tokens)]);
        assert_eq!(primary_but(&bench, None), 0);
        let mut session = bench.open(2);
        assert_eq!(write(&mut *session, 1), is(1));
        wait_for("1 has arrived", || read(&mut *session) == is(1));
        let slow = LinkRule { delay: Duration::from_millis(100), ..LinkRule::default() };
        bench.cluster().set_links(&[(Link { from: End::Node(0), to: End::Node(2) }, slow)]).unwrap();
        assert_eq!(write(&mut *session, 2), is(2));
        assert_eq!(read(&mut *session), is(seen), "tokens={tokens}");
    }
}

#[test]
fn objects_of_every_workload_do_what_their_names_say() {
    let ok = Completion::ok;
    let list = |values: &[i64]| Value::list(values.iter().map(|&v| Value::Int(v)));
    let cases: [(&str, &[(&str, Value, Completion)]); 4] = [
        (
            "kv",
            &[
                ("get", Value::Null, ok(Value::Null)),
                ("put", "a".into(), ok("a".into())),
                ("append", "b".into(), ok("b".into())),
                ("get", Value::Null, ok("ab".into())),
            ],
        ),
        (
            "set",
            &[
                ("read", Value::Null, ok(list(&[]))),
                ("add", 2.into(), is(2)),
                ("add", 1.into(), is(1)),
                ("add", 2.into(), is(2)),
                ("read", Value::Null, ok(list(&[2, 1]))),
            ],
        ),
        (
            "queue",
            &[
                ("enqueue", 1.into(), is(1)),
                ("enqueue", 2.into(), is(2)),
                ("dequeue", Value::Null, is(1)),
                ("dequeue", Value::Null, is(2)),
                ("dequeue", Value::Null, ok(Value::Null)),
            ],
        ),
        (
            "counter",
            &[
                ("read", Value::Null, is(0)),
                ("add", 5.into(), is(5)),
                ("add", (-2).into(), is(-2)),
                ("read", Value::Null, is(3)),
            ],
        ),
    ];
    for (workload, steps) in cases {
        let bench = start("demo-primary", 1, workload, &[]);
        let mut client = bench.open(0);
        for (f, value, expected) in steps {
            assert_eq!(client.invoke(&call(f, value.clone()), soon()), *expected, "{workload}: {f} {value}");
        }
        assert!(matches!(client.invoke(&call("jump", 1), soon()), Completion::Fail(_)));
    }
}
