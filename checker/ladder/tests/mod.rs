//! Every rung against its definition, every arrow of the diagram, and a history for every arrow that is missing.

mod definitions;

use super::events::{Act, Event, Events, From};
use super::rung::Rung;
use super::{Limit, Outcome, decide, shrink};
use definitions::{Does, Op, Ops, has, held};
use std::sync::atomic::AtomicBool;

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
    let (sessions, keys, n) = (1 + dice.below(3), 1 + dice.below(2), 2 + dice.below(6));
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

#[test]
#[ignore = "finds histories for the test below"]
fn hunt() {
    let mut dice = Dice(0xabad_1dea_5eed_0001);
    let mut best: std::collections::BTreeMap<Vec<Rung>, Vec<Op>> = Default::default();
    for _ in 0..cases(400_000) {
        let ops = random(&mut dice);
        let entry = best.entry(held(&ops)).or_insert_with(|| ops.clone());
        if ops.len() < entry.len() {
            *entry = ops;
        }
    }
    let mut open: Vec<(Rung, Rung)> = Vec::new();
    for a in Rung::all() {
        open.extend(Rung::all().into_iter().filter(|&b| !a.reaches(b)).map(|b| (a, b)));
    }
    while !open.is_empty() {
        let covers =
            |held: &Vec<Rung>| open.iter().filter(|(a, b)| held.contains(a) && !held.contains(b)).count();
        let Some((held, ops)) = best.iter().max_by_key(|(held, ops)| (covers(held), 100 - ops.len())) else {
            break;
        };
        if covers(held) == 0 {
            break;
        }
        println!("(\"{}\", &{:?}),", text(ops), held);
        let held = held.clone();
        open.retain(|(a, b)| !(held.contains(a) && !held.contains(b)));
    }
    println!("no history for {open:?}; {} classes", best.len());
}
