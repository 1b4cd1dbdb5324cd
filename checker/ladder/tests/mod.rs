//! Every rung against its definition, every arrow of the diagram, and a history for every arrow that is missing.

mod definitions;

use super::events::{Act, Event, Events, From};
use super::rung::Rung;
use super::{Ladder, Limit, Outcome, decide, shrink};
use crate::explain::explain;
use crate::judge::{Limits, judge};
use crate::spec::{ModelName, Spec};
use definitions::{Does, Op, Ops, has, held};
use history::results::Answer;
use history::{Applied, History, Outcome as Told, Value, ValueId};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The events of a tiny history.
fn events(ops: &Ops) -> Events {
    let mut by_session: Vec<usize> = (0..ops.len()).collect();
    by_session.sort_by_key(|&i| ops[i].session);
    let place = |i: usize| by_session.iter().position(|&j| j == i).expect("each once") as u32;
    let event = |&i: &usize| Event {
        session: ops[i].session,
        key: ops[i].key,
        act: match ops[i].does {
            Does::Write => Act::Write,
            Does::Read(None) => Act::Read(From::Initial),
            Does::Read(Some(w)) => Act::Read(From::Write(place(w))),
        },
        source: i as u32,
        invoke: ops[i].invoke,
        ret: ops[i].ret,
    };
    Events::of_list(by_session.iter().map(event).collect(), 3, 2)
}

fn decided(events: &Events, rung: Rung) -> Outcome {
    let never = AtomicBool::new(false);
    decide(events, rung, &Limit { stop: &never, bytes: 1 << 30 })
        .unwrap_or_else(|why| panic!("the verifier refuses the evidence for {}: {why}", rung.name()))
}

/// The rungs that this room decides.
fn weak() -> impl Iterator<Item = Rung> {
    let searched = [Rung::Linearizable, Rung::Sequential, Rung::Coherence];
    Rung::all().into_iter().filter(move |rung| !searched.contains(rung))
}

/// `0 wx1 0-3 · 1 rx1 1-2`: session, what it did, invocation and return; `rx0` is a read of the initial value.
fn parse(text: &str) -> Vec<Op> {
    let parts: Vec<Vec<&str>> = text.split('·').map(|op| op.split_whitespace().collect()).collect();
    let writes = |what: &str| parts.iter().position(|op| op[1] == what.replacen('r', "w", 1));
    let number = |text: &str| text.parse().expect("a number");
    parts
        .iter()
        .map(|op| {
            let (invoke, ret) = op[2].split_once('-').expect("an interval");
            Op {
                session: number(op[0]),
                key: u32::from(op[1].as_bytes()[1] - b'x'),
                does: match op[1].as_bytes()[0] {
                    b'w' => Does::Write,
                    _ => Does::Read(writes(op[1])),
                },
                invoke: number(invoke),
                ret: number(ret),
            }
        })
        .collect()
}

/// The inverse of [`parse`].
fn text(ops: &Ops) -> String {
    let one = |(i, op): (usize, &Op)| {
        let key = ["x", "y"][op.key as usize];
        let did = match op.does {
            Does::Write => format!("w{key}{}", i + 1),
            Does::Read(from) => format!("r{key}{}", from.map_or(0, |w| w + 1)),
        };
        format!("{} {did} {}-{}", op.session, op.invoke, op.ret)
    };
    ops.iter().enumerate().map(one).collect::<Vec<_>>().join(" · ")
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// A random history of 2 to 7 operations; reads see any write to their key, or the initial value.
fn random(dice: &mut Dice) -> Vec<Op> {
    let (sessions, keys, n) = (1 + dice.below(3), 1 + dice.below(2), 2 + dice.below(7));
    let mut clocks = [0u32; 3];
    let mut ops: Vec<Op> = (0..n)
        .map(|_| {
            let session = dice.below(sessions);
            let invoke = clocks[session] + 1 + dice.below(4) as u32 * 3;
            let ret = invoke + 1 + dice.below(6) as u32 * 3;
            clocks[session] = ret;
            let does = if dice.below(2) == 0 { Does::Write } else { Does::Read(None) };
            Op { session: session as u32, key: dice.below(keys) as u32, does, invoke, ret }
        })
        .collect();
    let writes: Vec<usize> = (0..n).filter(|&i| ops[i].does == Does::Write).collect();
    for i in 0..n {
        let mine: Vec<usize> = writes.iter().copied().filter(|&w| ops[w].key == ops[i].key).collect();
        if ops[i].does != Does::Write && !mine.is_empty() && dice.below(4) > 0 {
            ops[i].does = Does::Read(Some(mine[dice.below(mine.len())]));
        }
    }
    ops
}

fn cases(default: u64) -> u64 {
    if std::env::var_os("PERJURY_LONG").is_some() { 1_500_000 } else { default }
}

#[test]
fn every_rung_is_decided_as_its_definition_says() {
    let mut dice = Dice(0x51ed_270b_0a1f_39c5);
    let mut violated = [0u64; 12];
    for case in 0..cases(6_000) {
        let ops = random(&mut dice);
        let events = events(&ops);
        for rung in weak() {
            let holds = matches!(decided(&events, rung), Outcome::Holds(_));
            assert_eq!(holds, has(&ops, rung), "case {case}, {}: {}", rung.name(), text(&ops));
            violated[rung as usize] += u64::from(!holds);
        }
    }
    assert!(weak().all(|rung| violated[rung as usize] > 100), "too few violations: {violated:?}");
}

#[test]
fn a_small_proof_stands_by_itself_and_needs_each_of_its_reads() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    for case in 0..cases(3_000) / 3 {
        let ops = random(&mut dice);
        let events = events(&ops);
        for rung in weak() {
            let Outcome::Violated(proof) = decided(&events, rung) else { continue };
            let small = shrink(&events, rung, proof).expect("the verifier accepts");
            assert!(small.minimal);
            let core: Vec<u32> = small.old.iter().map(|&event| events.at(event).source).collect();
            let kept = |but: Option<u32>| -> Vec<Op> {
                let mut at: Vec<usize> =
                    core.iter().filter(|&&i| Some(i) != but).map(|&i| i as usize).collect();
                at.sort_unstable();
                let moved = |w: usize| at.iter().position(|&i| i == w).expect("sources are kept");
                at.iter()
                    .map(|&i| match ops[i].does {
                        Does::Read(Some(w)) => Op { does: Does::Read(Some(moved(w))), ..ops[i] },
                        Does::Read(None) | Does::Write => ops[i],
                    })
                    .collect()
            };
            assert!(!has(&kept(None), rung), "case {case}, {}: {}", rung.name(), text(&ops));
            for &read in core.iter().filter(|&&i| ops[i as usize].does != Does::Write) {
                assert!(has(&kept(Some(read)), rung), "case {case}, {}: {}", rung.name(), text(&ops));
            }
        }
    }
}

#[test]
fn what_has_a_rung_has_all_that_it_implies() {
    let mut dice = Dice(0xfeed_beef_0bad_cafe);
    for case in 0..cases(6_000) {
        let ops = random(&mut dice);
        let held = held(&ops);
        for rung in Rung::all() {
            let implied = held.iter().any(|&stronger| stronger.reaches(rung));
            assert!(!implied || held.contains(&rung), "case {case}, {}: {}", rung.name(), text(&ops));
        }
    }
}

/// Histories with all the rungs that they have: together they show that no arrow is missing from the diagram.
const SEPARATING: [(&str, &[Rung]); 10] = {
    use Rung::{
        Causal, CausalConvergence, CausalMemory, Coherence, MonotonicReads, MonotonicWrites, Pram,
        ReadYourWrites, Regular, Sequential, WritesFollowReads,
    };
    [
        (
            // Reads from each other, without a cause that came first.
            "1 ry3 1-14 · 0 rx4 4-17 · 0 wy3 27-34 · 1 wx4 18-31",
            &[Pram, Coherence, WritesFollowReads, MonotonicWrites, MonotonicReads, ReadYourWrites],
        ),
        (
            // Two sessions see two writes in opposite orders.
            "0 rx3 4-14 · 2 wx2 4-11 · 1 wx3 10-23 · 1 rx3 30-46 · 2 rx2 18-25 · 0 rx2 18-28 · 2 rx3 29-39",
            &[Regular, CausalMemory, Causal, Pram, ReadYourWrites],
        ),
        (
            // A session sees its own write, another one, and its own again.
            "2 wx1 10-11 · 1 wx2 1-8 · 1 rx1 9-22 · 2 rx2 18-19 · 2 rx1 29-33",
            &[Causal, WritesFollowReads, MonotonicWrites, MonotonicReads],
        ),
        (
            // The second write of a session is seen before the first, while it is under way.
            "0 wx1 4-8 · 0 wx2 9-25 · 1 rx2 1-17 · 1 rx1 18-34",
            &[Regular, WritesFollowReads, MonotonicReads, ReadYourWrites],
        ),
        (
            // What will be written is read.
            "1 rx2 4-5 · 0 wx2 7-20",
            &[
                Sequential,
                CausalConvergence,
                CausalMemory,
                Causal,
                Pram,
                Coherence,
                WritesFollowReads,
                MonotonicWrites,
                MonotonicReads,
                ReadYourWrites,
            ],
        ),
        (
            // The same in one session.
            "0 rx2 7-17 · 0 wx2 21-31",
            &[MonotonicWrites, MonotonicReads, ReadYourWrites],
        ),
        (
            // Two sessions write, and each sees the other's write after its own.
            "1 wx1 4-11 · 0 wx2 4-17 · 0 rx1 27-34 · 1 rx2 12-25",
            &[CausalMemory, Causal, Pram, WritesFollowReads, MonotonicWrites, MonotonicReads],
        ),
        (
            // The second message is there, the first is not.
            "0 wy1 7-14 · 1 rx4 1-8 · 1 ry0 15-22 · 0 wx4 15-25",
            &[Coherence, WritesFollowReads, MonotonicWrites, MonotonicReads, ReadYourWrites],
        ),
        (
            // The store buffer.
            "1 wy1 4-8 · 0 wx2 10-14 · 0 ry0 24-25 · 1 rx0 9-19",
            &[
                CausalConvergence,
                CausalMemory,
                Causal,
                Pram,
                Coherence,
                WritesFollowReads,
                MonotonicWrites,
                MonotonicReads,
                ReadYourWrites,
            ],
        ),
        (
            // One order of all writes for everybody, and yet no order for the third session: y 3 comes after x 2, so that
            // x 4 must come after x 2 as it is still there, and before it as y was not there yet.
            "0 wy1 1-2 · 0 wx2 3-4 · 0 wy3 5-6 · 1 wx4 1-2 · 2 rx4 7-8 · 2 ry0 9-10 · 2 ry3 11-12 · 2 rx4 13-14",
            &[
                CausalConvergence,
                Causal,
                Coherence,
                WritesFollowReads,
                MonotonicWrites,
                MonotonicReads,
                ReadYourWrites,
            ],
        ),
    ]
};

#[test]
fn no_arrow_is_missing_from_the_diagram() {
    let mut missing: Vec<(Rung, Rung)> = Vec::new();
    for a in Rung::all() {
        missing.extend(Rung::all().into_iter().filter(|&b| !a.reaches(b)).map(|b| (a, b)));
    }
    for (history, rungs) in SEPARATING {
        let ops = parse(history);
        let held = held(&ops);
        assert_eq!(held, rungs, "{history}");
        let events = events(&ops);
        for rung in weak() {
            let holds = matches!(decided(&events, rung), Outcome::Holds(_));
            assert_eq!(holds, held.contains(&rung), "{history}: {}", rung.name());
        }
        missing.retain(|(a, b)| !held.contains(a) || held.contains(b));
    }
    assert!(missing.is_empty(), "nothing shows that these do not follow: {missing:?}");
}

/// The same history as it would be read from a file, with unique values.
fn history(ops: &Ops) -> History {
    let mut history = History::default();
    let [read, write] = ["read", "write"].map(|f| history.values.intern(&Value::text(f)));
    let keys = ["x", "y"].map(|key| history.values.intern(&Value::text(key)));
    let mut value = |w: usize| history.values.intern(&Value::Int(w as i64 + 1));
    // Calls before returns where both are at one instant.
    let moments = |i: usize| [(ops[i].invoke, false, i), (ops[i].ret, true, i)];
    let mut ranks: Vec<(u32, bool, usize)> = (0..ops.len()).flat_map(moments).collect();
    ranks.sort_unstable();
    let rank = |moment| ranks.iter().position(|&m| m == moment).expect("each once") as u32;
    let mut at: Vec<usize> = (0..ops.len()).collect();
    at.sort_by_key(|&i| (ops[i].invoke, i));
    for i in at {
        let (f, input, output) = match ops[i].does {
            Does::Write => (write, value(i), value(i)),
            Does::Read(from) => (read, ValueId::NULL, from.map_or(ValueId::NULL, &mut value)),
        };
        let [invoke, ret] = moments(i).map(rank);
        history.ops.push(history::Op {
            invoke,
            ret,
            process: ops[i].session,
            f,
            key: keys[ops[i].key as usize],
            input,
            output,
            outcome: Told::Ok,
            applied: Applied::Unsaid,
            observed: None,
            error: ValueId::NULL,
            node: ValueId::NULL,
            session: ops[i].session,
            invoke_time: i64::from(ops[i].invoke),
            ret_time: i64::from(ops[i].ret),
            invoke_line: 1,
            ret_line: 2,
        });
    }
    history.processes = vec![0, 1, 2];
    history.ranks = ranks.len() as u32;
    history
}

#[test]
fn a_judgement_of_any_rung_is_its_definition_and_its_violation_is_told_in_a_circle() {
    let mut dice = Dice(0x0dd_ba11_c0ff_ee11);
    let spec = Spec::new(ModelName::Register, "jsonl");
    for case in 0..cases(3_000) / 10 {
        let ops = random(&mut dice);
        let mut history = history(&ops);
        let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
        let limits = Limits { stop: &stop, bytes: 1 << 30, threads: 1, states: &states, progress: None };
        let mut answers = Vec::new();
        for rung in Rung::all() {
            let judged = judge(&mut history, &spec, rung, &limits).expect("a judgement");
            let wanted = if has(&ops, rung) { Answer::Holds } else { Answer::Violated };
            let where_ = format!("case {case}, {}: {}", rung.name(), text(&ops));
            assert_eq!(judged.judgement.answer, wanted, "{where_}");
            answers.push((rung, judged.judgement.answer));
            for violation in &judged.violations {
                let anomaly = explain(&history, &spec, rung, &violation.counterexample, 1);
                assert_eq!(anomaly.property, rung.name());
                if !rung.is_searched() {
                    assert!(anomaly.minimal && anomaly.circle.len() >= 3, "{where_}: {anomaly:?}");
                    assert_eq!(anomaly.circle.first(), anomaly.circle.last());
                    for edge in &anomaly.edges {
                        assert!(edge.uses.iter().all(|&n| n < edge.n), "{where_}");
                    }
                }
            }
        }
        // The sets are what the answers say, and say all of them.
        let ladder = Ladder::of(&mut history, &spec).expect("reads and writes");
        let place = ladder.place(&history, &answers);
        let named = |names: &[String]| -> Vec<Rung> {
            names.iter().map(|name| Rung::find(name).expect("a rung")).collect()
        };
        let (strongest, weakest) = (named(&place.holds), named(&place.violated));
        for (rung, answer) in answers {
            assert_eq!(answer == Answer::Holds, strongest.iter().any(|s| s.reaches(rung)));
            assert_eq!(answer == Answer::Violated, weakest.iter().any(|&w| rung.reaches(w)));
        }
        assert!(place.undecided.is_empty());
        let stale = place.staleness.expect("reads name their writes");
        let linearizable = has(&ops, Rung::Linearizable);
        assert!(!linearizable || stale.stale_reads == 0, "case {case}: {}", text(&ops));
    }
}

/// The judgement of a drawn history.
fn judged(sketch: &str, model: ModelName, rung: Rung) -> (history::results::Judgement, Option<String>) {
    let mut history = history::sketch(sketch);
    let spec = Spec::new(model, "jsonl");
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let limits = Limits { stop: &stop, bytes: 1 << 30, threads: 1, states: &states, progress: None };
    let judged = judge(&mut history, &spec, rung, &limits).expect("a judgement");
    let kind = judged
        .violations
        .first()
        .map(|violation| explain(&history, &spec, rung, &violation.counterexample, 1).kind);
    (judged.judgement, kind)
}

#[test]
fn a_value_that_was_written_twice_leaves_a_rung_open_unless_the_rest_violates_it() {
    let reused = "
        P0 |-w1-| |-w2-| |-w1-|
        P1                      |-r1-| |-r2-|";
    let (judgement, _) = judged(reused, ModelName::Register, Rung::MonotonicReads);
    assert_eq!(judgement.answer, Answer::Undecided);
    assert!(judgement.objects[0].reason.contains("more than once"), "{:?}", judgement.objects[0]);
    let worse = "
        P0 |-w1-| |-w2-| |-w1-| |-w3-|
        P1                             |-r1-| |-r3-| |-r2-|";
    let (judgement, _) = judged(worse, ModelName::Register, Rung::MonotonicWrites);
    assert_eq!(judgement.answer, Answer::Violated);
}

#[test]
fn an_unanswered_write_happened_if_somebody_saw_it() {
    let seen = "
        P0 |-w1-~
        P1        |-r1-| |-r-|";
    let (judgement, kind) = judged(seen, ModelName::Register, Rung::MonotonicReads);
    assert_eq!((judgement.answer, kind.as_deref()), (Answer::Violated, Some("non-monotonic")));
    let unseen = "
        P0 |-w1-~
        P1        |-r-| |-r-|";
    assert_eq!(judged(unseen, ModelName::Register, Rung::CausalMemory).0.answer, Answer::Holds);
}

#[test]
fn a_cas_is_a_read_and_then_a_write_and_other_models_are_not_spoken_of() {
    let lost = "
        P0 |-w1-| |-c12-| |-r1-|";
    let (judgement, kind) = judged(lost, ModelName::CasRegister, Rung::ReadYourWrites);
    assert_eq!((judgement.answer, kind.as_deref()), (Answer::Violated, Some("not-read-your-writes")));
    let counter = "
        P0 |-add(1)-| |-read()=1-|";
    let (judgement, _) = judged(counter, ModelName::Counter, Rung::Causal);
    assert_eq!(judgement.answer, Answer::Undecided);
    assert!(judgement.objects[0].reason.contains("model counter"), "{:?}", judgement.objects[0]);
    assert_eq!(judged(counter, ModelName::Counter, Rung::Coherence).0.answer, Answer::Holds);
}

#[test]
fn the_oldest_value_read_was_two_versions_old() {
    let mut history = history::sketch(
        "
        P0 |-w1-| |-w2-| |-w3-| |-----w4-----|
        P1                        |-r1-| |-r3-|",
    );
    let spec = Spec::new(ModelName::Register, "jsonl");
    let ladder = Ladder::of(&mut history, &spec).expect("reads and writes");
    let stale = ladder.staleness(&history).expect("reads and writes");
    // Times are columns: write 2 returned in the 24th, and the read of 1 was sent in the 35th.
    let age = stale.age_ns.map(|age| age / 1_000_000);
    assert_eq!((stale.reads, stale.stale_reads, stale.versions, age), (2, 1, 2, Some(11)));
}
