//! What an exact method claims is held against the verifier.

use super::*;
use crate::exact::Exact;
use crate::model::IllFormed;
use history::{Interner, NEVER, Op};

/// Operations add up, to no more than `most`; its exact method claims whatever it is told to.
#[derive(Clone)]
struct Liar {
    most: u32,
    claims: Finding,
}

impl Model for Liar {
    type State = u32;
    type Op = u32;

    fn decode(&mut self, _: &mut Interner, _: &Op) -> Result<Option<u32>, IllFormed> {
        Ok(None)
    }

    fn init(&self) -> u32 {
        0
    }

    fn step(&self, &state: &u32, op: u32, out: &mut impl FnMut(u32)) {
        if state + op <= self.most {
            out(state + op);
        }
    }

    fn exact(&self, _: &[ObjOp<u32>], _: &AtomicBool) -> Option<Exact> {
        Some(Exact { method: "lie", found: self.claims.clone() })
    }

    fn describe_op(&self, _: &Interner, op: u32) -> String {
        op.to_string()
    }

    fn describe_state(&self, _: &Interner, state: &u32) -> String {
        state.to_string()
    }

    fn describe_conflict(&self, _: &Interner, _: &u32, op: u32, _: &str) -> String {
        op.to_string()
    }
}

fn part(most: u32, claims: Finding) -> Part {
    let op = |invoke, ret, source| ObjOp { invoke, ret, process: source, source, op: 1 };
    let ops = vec![op(0, 2, 0), op(1, NEVER, 1), op(3, 4, 2)];
    let object = Object { keys: Vec::new(), problem: Problem { model: Liar { most, claims }, ops } };
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let limits = Limits { stop: &stop, bytes: 1 << 20, threads: 1, states: &states, progress: None };
    linearizable(&object, &limits, 1 << 20, &|_| ()).expect("a verdict")
}

#[test]
fn what_an_exact_method_finds_is_a_verdict_only_where_the_verifier_accepts_it() {
    let honest = part(2, Finding::Order(vec![0, 2]));
    assert_eq!((honest.method, honest.disagreement), ("lie", None));
    let honest = part(1, Finding::Violated { fatal: 2, core: vec![0, 2] });
    assert_eq!((honest.method, honest.disagreement), ("lie", None));
    assert!(matches!(honest.verdict, Verdict::Invalid(c) if c.fatal == Some(2)));

    // An order that turns real time round, one that lacks an answered operation, one that is not legal.
    for (most, order) in [(2, vec![2, 0]), (2, vec![0, 1]), (2, vec![0, 1, 2])] {
        let caught = part(most, Finding::Order(order));
        assert_eq!(caught.method, "search");
        assert!(matches!(caught.verdict, Verdict::Valid(_)));
        assert!(caught.disagreement.is_some_and(|what| what.contains("lie")));
    }
    // There is an order, and it says there is none.
    let caught = part(2, Finding::Violated { fatal: 2, core: vec![0, 2] });
    assert_eq!(caught.method, "search");
    assert!(matches!(caught.verdict, Verdict::Valid(_)) && caught.disagreement.is_some());
}

/// Before anything is decoded: neither takes more time with a longer history, nor memory.
#[test]
fn where_nothing_is_left_to_spend_nothing_is_looked_at() {
    let mut lines = String::new();
    for i in 0..70_000 {
        for kind in ["invoke", "ok"] {
            lines += &format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"write\",\"value\":{}}}\n", i % 3);
        }
    }
    let bytes = Box::new(std::io::Cursor::new(lines));
    let mut history = history::read("h", bytes, &Default::default()).expect("a history");
    let spec = Spec::new(crate::ModelName::Register, history.source.format);
    for (stopped, bytes, reason) in [(true, 1 << 30, "stopped"), (false, 10_000, "memory limit")] {
        for property in [Property::Linearizable, Property::Sequential] {
            let (stop, states) = (AtomicBool::new(stopped), AtomicU64::new(0));
            let limits = Limits { stop: &stop, bytes, threads: 1, states: &states, progress: None };
            let judged = judge(&mut history, &spec, property, &limits).expect("a judgement");
            assert_eq!(judged.judgement.answer, Answer::Undecided);
            let object = &judged.judgement.objects[0];
            assert!(object.reason.starts_with(reason), "{}", object.reason);
            assert_eq!((object.ops, object.method.as_str()), (70_000, "none"));
        }
    }
}
