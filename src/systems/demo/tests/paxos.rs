//! `demo-paxos`, asked and hurt.

use super::*;

fn cas(client: &mut dyn Client, expected: i64, new: i64, deadline: Instant) -> Completion {
    client.invoke(&call("cas", Value::list([Value::Int(expected), Value::Int(new)])), deadline)
}

#[test]
fn a_compare_and_set_that_compares_false_says_what_it_saw() {
    let bench = start("demo-paxos", 3, "cas-register", &[]);
    let (mut a, mut b) = (bench.open(0), bench.open(2));
    assert_eq!(read(&mut *a), Completion::ok(Value::Null));
    assert_eq!(write(&mut *a, 1), is(1));
    let refused = cas(&mut *b, 7, 8, soon());
    let pair = |a: i64, b: i64| Value::list([Value::Int(a), Value::Int(b)]);
    assert_eq!(
        refused,
        Completion::Ok { value: pair(7, 8), applied: Some(false), observed: Some(Value::Int(1)) }
    );
    assert_eq!(cas(&mut *b, 1, 2, soon()), Completion::ok(pair(1, 2)));
    assert_eq!(read(&mut *a), is(2));
}

/// Counts up through `node` by compare-and-set until told to stop: the numbers that it was told it has counted.
fn count_up(bench: &Bench, node: usize, stop: &std::sync::atomic::AtomicBool) -> Vec<i64> {
    let mut counted = Vec::new();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let moment = || Instant::now() + Duration::from_millis(500);
        let Ok(mut client) = bench.running.open(0, node, moment()) else { continue };
        while client.alive() && !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let Completion::Ok { value, .. } = client.invoke(&call("read", Value::Null), moment()) else {
                break;
            };
            let seen = value.as_int().unwrap();
            if let Completion::Ok { applied: None, .. } = cas(&mut *client, seen, seen + 1, moment()) {
                counted.push(seen + 1);
            }
        }
    }
    counted
}

#[test]
fn no_number_is_counted_twice_whatever_happens_to_a_minority() {
    let bench = start("demo-paxos", 3, "cas-register", &[]);
    assert_eq!(write(&mut *bench.open(0), 0), is(0));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let counted = std::thread::scope(|scope| {
        let (bench, stop) = (&bench, &stop);
        let workers: Vec<_> = (0..6).map(|i| scope.spawn(move || count_up(bench, i % 3, stop))).collect();
        for round in 0..9 {
            let node = round % 3;
            let seen = || read(&mut *bench.open((node + 1) % 3));
            match round / 3 {
                0 => bench.cluster().pause(node).unwrap(),
                1 => bench.cluster().kill(node).unwrap(),
                _ => bench.isolate(node, if round == 7 { Pass::Close } else { Pass::Stall }),
            }
            let before = seen();
            wait_for("the others go on", || seen() != before);
            bench.cluster().resume(node).unwrap();
            bench.cluster().start(node).unwrap();
            bench.isolate(node, Pass::Flow);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let mut numbers = counted.clone();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), counted.len(), "a number was counted twice");
    let Completion::Ok { value, .. } = read(&mut *bench.open(0)) else { panic!("healed, and no answer") };
    assert!(value.as_int() >= numbers.last().copied(), "{value} after {:?}", numbers.last());
    assert!(counted.len() > 20, "{}", counted.len());
}
