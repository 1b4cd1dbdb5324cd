//! What is decided in columns, from the history on, is what the slower way decides, and its orders are legal for that.

use checker::certify::replay;
use checker::register::Register;
use checker::testing::Rng;
use checker::{FailedCas, Judged, Limits, ModelName, NilRead, Property, Spec, build, judge, judge_model};
use history::results::Answer;
use history::{History, ReadOptions, ValueId};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A history of registers with different values: a few clients, `keys` keys (none named, if 0), operations that fail and
/// some that are never answered, and now and then a read of something else.
fn history(rng: &mut Rng, keys: usize) -> History {
    let clients = 2 + rng.below(4);
    let mut text = String::new();
    let mut cells: BTreeMap<usize, String> = BTreeMap::new();
    let (mut process, mut next) = ((0..clients).collect::<Vec<_>>(), clients);
    // Per client: key, function, what it asks, what it will be told.
    let mut open: Vec<Option<(usize, &str, String, Option<String>)>> = vec![None; clients];
    let (mut fresh, lies) = (0, rng.once_in(2));
    for step in 0..30 + rng.below(300) {
        let at = rng.below(clients);
        let event = |text: &mut String, kind: &str, key: usize, process: usize, f: &str, value: &str| {
            let key = if keys == 0 { String::new() } else { format!(r#""key":"k{key}","#) };
            let line = format!(r#"{{"process":{process},"type":"{kind}","f":"{f}",{key}"value":{value}}}"#);
            writeln!(text, "{line}").expect("text grows");
        };
        match open[at].take() {
            None => {
                let key = if keys == 0 { 0 } else { rng.below(keys) };
                let now = cells.get(&key).cloned().unwrap_or("null".to_string());
                fresh += 1;
                let (f, asked) = match rng.below(4) {
                    0 | 1 => ("read", "null".to_string()),
                    2 => ("write", fresh.to_string()),
                    _ => ("cas", format!("[{now},{fresh}]")),
                };
                event(&mut text, "invoke", key, process[at], f, &asked);
                open[at] = Some((key, f, asked, None));
            }
            Some((key, f, asked, None)) => {
                let cell = cells.entry(key).or_insert("null".to_string());
                let told = match f {
                    "read" if lies && rng.once_in(40) => rng.below(fresh + 2).to_string(),
                    "read" => cell.clone(),
                    _ if rng.once_in(12) => "fail".to_string(),
                    "write" => {
                        *cell = asked.clone();
                        asked.clone()
                    }
                    _ => {
                        let (from, to) = asked[1..asked.len() - 1].split_once(',').expect("a pair");
                        if from == cell.as_str() {
                            *cell = to.to_string();
                            asked.clone()
                        } else {
                            "fail".to_string()
                        }
                    }
                };
                open[at] = Some((key, f, asked, Some(told)));
            }
            Some((key, f, asked, Some(told))) => {
                let (kind, value) = match told.as_str() {
                    _ if rng.once_in(25) => ("info", &asked),
                    "fail" => ("fail", &asked),
                    _ => ("ok", &told),
                };
                event(&mut text, kind, key, process[at], f, value);
                if kind == "info" {
                    process[at] = next;
                    next += 1;
                }
            }
        }
        assert!(step < 400);
    }
    history::read("made", Box::new(std::io::Cursor::new(text.into_bytes())), &ReadOptions::default())
        .expect("a history")
}

fn limited<T>(threads: usize, ask: impl FnOnce(&Limits<'_>) -> T) -> T {
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    ask(&Limits { stop: &stop, bytes: 1 << 30, threads, states: &states, progress: None })
}

#[test]
fn columns_decide_as_problems_do() {
    let (mut rng, mut seen) = (Rng(3), BTreeMap::new());
    for round in 0..1_500 {
        let keys = rng.pick(&[0, 1, 3, 40]);
        let mut history = history(&mut rng, keys);
        let spec = Spec::new(ModelName::CasRegister, history.source.format);
        let threads = 1 + round % 3;
        let ours: Judged =
            limited(threads, |limits| judge(&mut history, &spec, Property::Linearizable, limits))
                .expect("well-formed");
        let model = Register::new(ValueId::NULL, true, FailedCas::Drop, NilRead::Observe);
        let theirs = limited(1, |limits| {
            judge_model(&mut history, model, "cas-register", Property::Linearizable, limits)
        })
        .expect("well-formed");
        assert_eq!(ours.judgement.answer, theirs.judgement.answer, "{keys} keys: {:?}", history.ops);
        assert_eq!(ours.keys, theirs.keys);
        let sizes = |judged: &Judged| {
            judged.judgement.objects.iter().map(|o| (o.ops, o.unknown, o.keys.clone())).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&ours), sizes(&theirs));
        assert_eq!(ours.judgement.scope, theirs.judgement.scope);
        let built = build::<Register>(&mut history, &spec).expect("well-formed");
        for (object, witness) in built.objects.iter().zip(&ours.witnesses) {
            if let Some(witness) = witness {
                replay(&object.problem, &witness.order, Property::Linearizable).expect("a legal order");
            }
        }
        let method = ours.judgement.objects[0].method.clone();
        *seen.entry((ours.judgement.answer == Answer::Holds, method)).or_insert(0) += 1;
    }
    let by_zones = seen.get(&(true, "zones".to_string())).copied().unwrap_or(0);
    assert!(by_zones > 500 && seen.keys().any(|(holds, _)| !holds), "{seen:?}");
}
