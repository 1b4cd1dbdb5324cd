//! `demo-lock`: a holder that sleeps.

use super::*;

#[test]
fn a_holder_that_was_stopped_overwrites_its_successor_unless_the_store_checks_tokens() {
    for fencing in ["off", "on"] {
        let bench = start("demo-lock", 2, "lock", &[("fencing", fencing), ("ttl-ms", "1000")]);
        assert_eq!(bench.cluster().nodes(), ["n1", "n2", "lock", "store"]);
        assert!(bench.running.open(0, 2, soon()).is_err(), "clients talk to holders");
        let pair = |token: i64, value: Value| Value::list([Value::Int(token), value]);
        let (mut first, mut second) = (bench.open(0), bench.open(1));
        assert_eq!(first.invoke(&call("acquire", Value::Null), soon()), is(1));
        let held = second.invoke(&call("acquire", Value::Null), soon());
        assert!(matches!(held, Completion::Ok { applied: Some(false), .. }), "{held:?}");
        assert_eq!(first.invoke(&call("read", 1), soon()), Completion::ok(pair(1, Value::Null)));
        bench.cluster().pause(0).unwrap();
        wait_for("the lock expires", || second.invoke(&call("acquire", Value::Null), soon()) == is(2));
        assert_eq!(second.invoke(&call("read", 2), soon()), Completion::ok(pair(2, Value::Null)));
        assert_eq!(
            second.invoke(&call("write", pair(2, 1.into())), soon()),
            Completion::ok(pair(2, 1.into()))
        );
        let stale = call("write", pair(1, 1.into()));
        let waiting = first.invoke(&stale, Instant::now() + Duration::from_millis(1));
        assert!(matches!(waiting, Completion::Info { late: true, .. }), "{waiting:?}");
        bench.cluster().resume(0).unwrap();
        let accepted = first.late(soon());
        let refused = matches!(accepted, Completion::Ok { applied: Some(false), .. });
        assert_eq!(refused, fencing == "on", "{accepted:?}");
        let lost = second.invoke(&call("release", 1), soon());
        assert!(matches!(lost, Completion::Ok { applied: Some(false), .. }), "token 1 is not the last");
        assert_eq!(second.invoke(&call("release", 2), soon()), is(2));
    }
}
