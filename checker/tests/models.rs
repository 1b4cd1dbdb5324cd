//! What each model makes of what a history may say: the table in `docs/architecture.md`.

use checker::{FailedCas, JudgeError, Judged, Limits, ModelName, NilRead, Property, Spec, auto_model, judge};
use history::results::Answer;
use history::{Value, sketch};
use std::sync::atomic::{AtomicBool, AtomicU64};

fn spec(model: ModelName) -> Spec {
    Spec { model, initial: None, failed_cas: FailedCas::Drop, nil_read: NilRead::Observe }
}

fn judged(spec: &Spec, drawn: &str) -> Result<Judged, JudgeError> {
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let limits = Limits { stop: &stop, bytes: 1 << 28, threads: 1, states: &states, progress: None };
    judge(&mut sketch(drawn), spec, Property::Linearizable, &limits)
}

#[track_caller]
fn holds(spec: &Spec, drawn: &str) {
    let judged = judged(spec, drawn).expect("well-formed");
    assert_eq!(judged.judgement.answer, Answer::Holds, "{drawn}\n{judged:?}");
}

#[track_caller]
fn violated(spec: &Spec, drawn: &str) {
    let judged = judged(spec, drawn).expect("well-formed");
    assert_eq!(judged.judgement.answer, Answer::Violated, "{drawn}");
}

#[track_caller]
fn refused(spec: &Spec, drawn: &str, expected: &str) {
    match judged(spec, drawn) {
        Err(JudgeError::Malformed(malformed)) => {
            assert!(malformed.expected.contains(expected), "{malformed}");
            assert!(malformed.line > 0, "{malformed}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_register_holds_what_was_written_last() {
    let register = spec(ModelName::Register);
    holds(&register, "P0 |-r-|  |-w1-|  |-r1-|");
    violated(&register, "P0 |-w1-|  |-w2-|  |-r1-|");
    violated(&register, "P0 |-w1-|  |-r-|");
}

#[test]
fn a_failed_write_did_not_happen_and_an_unanswered_one_may_surface_later() {
    let register = spec(ModelName::Register);
    violated(&register, "P0 |-w1-!  |-r1-|");
    holds(&register, "P0 |-w1-~\n P1         |-r-|  |-r1-|");
    violated(&register, "P0 |-w1-~\n P1         |-r1-|  |-r-|");
}

#[test]
fn keys_are_judged_one_by_one() {
    let register = spec(ModelName::Register);
    let result = judged(&register, "P0 |-x:w1-|  |-y:r-|  |-x:r2-|").expect("well-formed");
    assert_eq!(result.judgement.scope, "per key");
    let answers: Vec<_> = result.judgement.objects.iter().map(|o| (o.keys[0].as_str(), o.answer)).collect();
    assert_eq!(answers, [("x", Answer::Violated), ("y", Answer::Holds)]);
    assert_eq!(result.violations.len(), 1);
}

#[test]
fn the_initial_value_can_be_given() {
    let mut register = spec(ModelName::Register);
    violated(&register, "P0 |-r7-|");
    register.initial = Some(Value::Int(7));
    holds(&register, "P0 |-r7-|");
}

#[test]
fn a_null_read_is_an_observation_unless_it_says_nothing() {
    let mut register = spec(ModelName::Register);
    violated(&register, "P0 |-w1-|  |-r-|");
    register.nil_read = NilRead::Unknown;
    holds(&register, "P0 |-w1-|  |-r-|");
}

#[test]
fn a_register_without_cas_knows_no_cas() {
    refused(&spec(ModelName::Register), "P0 |-c12-|", "read or write");
}

#[test]
fn a_cas_replaces_what_it_expects() {
    let cas = spec(ModelName::CasRegister);
    holds(&cas, "P0 |-w1-|  |-c12-|  |-r2-|");
    violated(&cas, "P0 |-w1-|  |-c23-|");
    refused(&cas, "P0 |-cas(3)-|", "[expected, new]");
}

#[test]
fn a_cas_that_compared_false_found_something_else() {
    let cas = spec(ModelName::CasRegister);
    violated(&cas, "P0 |-w1-|  |-c12x-|");
    holds(&cas, "P0 |-w1-|  |-c21x-|");
}

#[test]
fn a_failed_cas_says_nothing_unless_it_is_taken_as_an_observation() {
    let mut cas = spec(ModelName::CasRegister);
    let lie = "P0 |-w1-|  |-c12-!";
    holds(&cas, lie);
    cas.failed_cas = FailedCas::IfStated;
    holds(&cas, lie);
    cas.failed_cas = FailedCas::Observe;
    violated(&cas, lie);
}

#[test]
fn how_a_failed_cas_is_taken_depends_on_who_wrote_the_file() {
    assert_eq!(FailedCas::auto("porcupine-log"), FailedCas::Observe);
    assert_eq!(FailedCas::auto("jsonl"), FailedCas::Drop);
    assert_eq!(FailedCas::auto("jepsen-edn"), FailedCas::IfStated);
}

#[test]
fn transactions_join_the_keys_that_they_touch() {
    let multi = spec(ModelName::MultiRegister);
    let drawn = r#"
        P0 |-txn([["write","x",1],["write","y",1]])-|
        P1                                             |-txn([["read","x",null]])=[["read","x",1]]-|
        P2                                             |-txn([["read","z",null]])=[["read","z",null]]-|"#;
    let result = judged(&multi, drawn).expect("well-formed");
    let keys: Vec<_> = result.judgement.objects.iter().map(|o| o.keys.clone()).collect();
    assert_eq!(keys, [vec!["x", "y"], vec!["z"]]);
    holds(&multi, drawn);
    violated(
        &multi,
        r#"P0 |-txn([["write","x",1],["write","y",1]])-|  |-txn([["r","x",null],["r","y",null]])=[["r","x",1],["r","y",null]]-|"#,
    );
}

#[test]
fn a_transaction_reads_its_own_writes() {
    let multi = spec(ModelName::MultiRegister);
    holds(&multi, r#"P0 |-txn([["w","x",1],["r","x",null]])=[["w","x",1],["r","x",1]]-|"#);
    violated(&multi, r#"P0 |-txn([["w","x",1],["r","x",null]])=[["w","x",1],["r","x",null]]-|"#);
    refused(&multi, r#"P0 |-txn([["w","x",1]])=[["w","x",2]]-|"#, "the answers to");
    refused(&multi, r#"P0 |-txn([["append","x",1]])-|"#, "read");
}

#[test]
fn several_registers_start_as_a_map_says() {
    let mut multi = spec(ModelName::MultiRegister);
    multi.initial = Some(Value::from_json(r#"{"x":0,"5":7}"#).expect("JSON"));
    holds(&multi, r#"P0 |-txn([["r","x",null],["r",5,null]])=[["r","x",0],["r",5,7]]-|"#);
    multi.initial = Some(Value::Int(3));
    assert!(matches!(judged(&multi, "P0 |-txn([])-|"), Err(JudgeError::Spec(_))));
}

#[test]
fn a_missing_key_is_the_empty_string() {
    let kv = spec(ModelName::Kv);
    holds(&kv, r#"P0 |-get(null)=""-|  |-get(null)=null-|"#);
    holds(&kv, r#"P0 |-append("a")-|  |-append("b")-|  |-get(null)="ab"-|  |-put("c")-|  |-get(null)="c"-|"#);
    violated(&kv, r#"P0 |-append("a")-|  |-append("b")-|  |-get(null)="ba"-|"#);
    refused(&kv, "P0 |-put([1])-|", "a string");
}

#[test]
fn a_set_keeps_what_was_added() {
    let set = spec(ModelName::Set);
    holds(&set, "P0 |-read(null)=[]-|  |-add(1)-|  |-add(2)-|  |-read(null)=[2,1]-|");
    violated(&set, "P0 |-add(1)-|  |-read(null)=[]-|");
    violated(&set, "P0 |-add(1)-|  |-read(null)=[1,2]-|");
    violated(&set, "P0 |-add(1)-|  |-read(null)=[1,1]-|");
    refused(&set, "P0 |-read(null)=7-|", "a list");
}

#[test]
fn a_queue_gives_back_in_order() {
    let queue = spec(ModelName::Queue);
    holds(&queue, "P0 |-enqueue(1)-|  |-enqueue(2)-|  |-dequeue(null)=1-|");
    violated(&queue, "P0 |-enqueue(1)-|  |-enqueue(2)-|  |-dequeue(null)=2-|");
    violated(&queue, "P0 |-enqueue(1)-|  |-dequeue(null)=null-|");
    refused(&queue, "P0 |-enqueue(null)-|", "other than null");
}

#[test]
fn an_unheard_dequeue_may_have_taken_the_first() {
    let queue = spec(ModelName::Queue);
    holds(
        &queue,
        "P0 |-enqueue(1)-|  |-enqueue(2)-|  |-dequeue(null)~\n P1                                                        |-dequeue(null)=2-|",
    );
}

#[test]
fn a_counter_is_the_sum_of_what_was_added() {
    let counter = spec(ModelName::Counter);
    holds(&counter, "P0 |-add(2)-|  |-add(-1)-|  |-read(null)=1-|");
    violated(&counter, "P0 |-add(2)-|  |-read(null)=0-|");
    let max = i64::MAX;
    holds(&counter, &format!("P0 |-add({max})-|  |-add({max})-|  |-add(-{max})-|  |-read(null)={max}-|"));
    refused(&counter, r#"P0 |-add("many")-|"#, "a whole number");
}

#[test]
fn only_the_holder_gives_a_mutex_back() {
    let mutex = spec(ModelName::Mutex);
    holds(
        &mutex,
        "P0 |-acquire(null)-|  |-release(null)-|\n P1                                       |-acquire(null)-|",
    );
    violated(&mutex, "P0 |-acquire(null)-|\n P1                     |-acquire(null)-|");
    violated(&mutex, "P0 |-acquire(null)-|\n P1                     |-release(null)-|");
}

#[test]
fn tokens_only_grow() {
    let lock = spec(ModelName::Lock);
    holds(&lock, "P0 |-acquire(null)=1-|\n P1                      |-acquire(null)=2-|");
    violated(&lock, "P0 |-acquire(null)=2-|\n P1                      |-acquire(null)=2-|");
    refused(&lock, r#"P0 |-acquire(null)="a"-|"#, "token");
}

#[test]
fn the_resource_refuses_old_tokens() {
    let lock = spec(ModelName::Lock);
    holds(&lock, "P0 |-write([1,5])-|  |-write([2,6])-|  |-read(2)=[2,6]-|");
    violated(&lock, "P0 |-write([2,6])-|  |-write([1,5])-|");
    violated(&lock, "P0 |-write([2,6])-|  |-read(2)=[2,5]-|");
}

#[test]
fn the_smallest_model_that_knows_every_function_is_taken() {
    let model = |drawn: &str| auto_model(&sketch(drawn)).map(|(model, _)| model);
    assert_eq!(model("P0 |-w1-|  |-r1-|"), Ok(ModelName::Register));
    assert_eq!(model("P0 |-w1-|  |-c12-|"), Ok(ModelName::CasRegister));
    assert_eq!(model("P0 |-acquire(null)-|"), Ok(ModelName::Mutex));
    assert_eq!(model("P0 |-acquire(null)=1-|  |-write([1,2])-|"), Ok(ModelName::Lock));
    assert_eq!(model("P0 |-dequeue(null)-|"), Ok(ModelName::Queue));
    let candidates = model("P0 |-add(1)-|  |-read(null)-|").expect_err("not unique");
    assert!(candidates.contains("set") && candidates.contains("counter"), "{candidates}");
    assert!(model("P0 |-fly(1)-|").is_err());
}

#[test]
fn an_empty_history_is_legal_in_every_model() {
    for model in ModelName::all() {
        holds(&spec(model), "");
    }
}

#[test]
fn versions_grow_by_one_or_only_grow() {
    let (by_one, growing) = (spec(ModelName::VersionedRegister), spec(ModelName::RevisionRegister));
    let one_then_three = "P0 |-write(7)=[1,7]-|  |-write(8)=[3,8]-|  |-read(null)=[3,8]-|";
    violated(&by_one, one_then_three);
    holds(&growing, one_then_three);
    for both in [&by_one, &growing] {
        holds(both, "P0 |-r-|  |-write(7)=[1,7]-|  |-cas([1,8])=[2,8]-|  |-read(null)=[2,8]-|");
        violated(both, "P0 |-write(7)=[2,7]-|  |-write(8)=[1,8]-|");
        violated(both, "P0 |-write(7)=[1,7]-|  |-write(8)=[2,8]-|  |-cas([1,9])=[3,9]-|");
        // Nobody was told version 2, but somebody may have made it.
        holds(both, "P0 |-write(7)=[1,7]-|  |-read(null)=[2,8]-|\n P1 |-write(8)-~");
        violated(both, "P0 |-write(7)=[1,7]-|  |-read(null)=[2,8]-|  |-r-|\n P1 |-write(8)-~");
        refused(both, "P0 |-read(null)=7-|", "version");
    }
}

#[test]
fn offsets_count_what_was_appended() {
    let (log, list) = (spec(ModelName::AppendLog), spec(ModelName::ListAppend));
    holds(&log, "P0 |-append(7)=0-|  |-append(8)=1-|  |-read(0)=7-|  |-read(2)=null-|  |-read(null)=[7,8]-|");
    violated(&log, "P0 |-append(7)=0-|  |-append(8)=2-|");
    violated(&log, "P0 |-append(7)=0-|  |-append(8)=1-|  |-read(1)=null-|");
    violated(&log, "P0 |-append(7)=0-|\n P1      |-append(8)=0-|");
    refused(&log, "P0 |-append(7)=true-|", "offset");
    holds(&list, "P0 |-append(7)-|  |-append(8)-|  |-read(null)=[7,8]-|");
    violated(&list, "P0 |-append(7)-|  |-append(8)-|  |-read(null)=[8,7]-|");
    violated(&list, "P0 |-append(7)-|  |-read(null)=[]-|");
}

#[test]
fn a_ticket_is_given_once() {
    let sum = spec(ModelName::FetchAdd);
    holds(&sum, "P0 |-fetch-add(null)=0-|  |-fetch-add(2)=1-|  |-add-fetch(1)=4-|  |-read(null)=4-|");
    violated(&sum, "P0 |-fetch-add(null)=0-|\n P1 |-fetch-add(null)=0-|");
    violated(&sum, "P0 |-fetch-add(null)=0-|  |-fetch-add(null)=2-|");
    holds(&sum, "P0 |-fetch-add(null)=0-|  |-fetch-add(null)=2-|\n P1 |-fetch-add(null)-~");
}

#[test]
fn ids_are_different_and_may_be_asked_to_grow() {
    let (unique, growing) = (spec(ModelName::UniqueIds), spec(ModelName::MonotonicIds));
    holds(&unique, "P0 |-generate(null)=8-|  |-generate(null)=7-|");
    violated(&unique, "P0 |-generate(null)=7-|  |-generate(null)=8-|  |-generate(null)=7-|");
    violated(&growing, "P0 |-generate(null)=2-|  |-generate(null)=1-|");
    holds(&growing, "P0 |-generate(null)=2-|\n P1 |-generate(null)=1-|");
}

#[test]
fn what_is_put_in_comes_out_once_and_in_the_order_of_the_container() {
    let (bag, stack, queue) = (spec(ModelName::Bag), spec(ModelName::Stack), spec(ModelName::PriorityQueue));
    holds(
        &bag,
        "P0 |-enqueue(1)-|  |-enqueue(2)-|  |-dequeue(null)=2-|  |-dequeue(null)=1-|  |-dequeue(null)-|",
    );
    violated(&bag, "P0 |-enqueue(1)-|  |-dequeue(null)=1-|  |-dequeue(null)=1-|");
    violated(&bag, "P0 |-enqueue(1)-|  |-dequeue(null)-|");
    holds(
        &stack,
        "P0 |-push(1)-|  |-push(2)-|  |-peek(null)=2-|  |-pop(null)=2-|  |-pop(null)=1-|  |-pop(null)-|",
    );
    violated(&stack, "P0 |-push(1)-|  |-push(2)-|  |-pop(null)=1-|");
    holds(&queue, "P0 |-insert(2)-|  |-insert(1)-|  |-peek(null)=1-|  |-delete-min(null)=1-|");
    violated(&queue, "P0 |-insert(2)-|  |-insert(1)-|  |-delete-min(null)=2-|");
    refused(&queue, "P0 |-insert(true)-|", "whole number");
    refused(&stack, "P0 |-push(null)-|", "null");
}

#[test]
fn a_message_may_come_twice_but_not_never() {
    let delivery = spec(ModelName::Delivery);
    holds(
        &delivery,
        "P0 |-enqueue(1)-|  |-dequeue(null)-|  |-dequeue(null)=1-|  |-dequeue(null)=1-|  |-drain(null)=[]-|",
    );
    holds(&delivery, "P0 |-enqueue(1)-|  |-drain(null)=[1]-|  |-drain(null)=[1]-|");
    violated(&delivery, "P0 |-enqueue(1)-|  |-enqueue(2)-|  |-drain(null)=[2]-|");
    violated(&delivery, "P0 |-enqueue(1)-|  |-drain(null)=[1,2]-|");
    holds(&delivery, "P0 |-enqueue(1)-~\n P1             |-drain(null)=[]-|");
}

#[test]
fn each_element_of_a_set_is_judged_for_itself() {
    let set = spec(ModelName::ElementSet);
    let drawn =
        "P0 |-add(1)=true-|  |-add(2)=true-|  |-remove(1)=true-|  |-contains(1)=true-|  |-contains(2)=true-|";
    let result = judged(&set, drawn).expect("well-formed");
    let answers: Vec<_> = result.judgement.objects.iter().map(|o| (o.keys[0].as_str(), o.answer)).collect();
    assert_eq!(answers, [("1", Answer::Violated), ("2", Answer::Holds)]);
    holds(&set, "P0 |-s:add(1)=true-|  |-t:add(1)=true-|  |-s:add(1)=false-|  |-t:remove(1)-|");
    refused(&set, "P0 |-contains(1)=1-|", "true or false");
}

#[test]
fn a_semaphore_gives_out_no_more_permits_than_it_has() {
    let mut semaphore = spec(ModelName::Semaphore);
    let two = "P0 |-acquire(null)-|\n P1                  |-acquire(null)-|";
    violated(&semaphore, two);
    semaphore.initial = Some(Value::Int(2));
    holds(&semaphore, two);
}

#[test]
fn a_watch_is_told_of_every_change_from_where_it_began() {
    let watch = spec(ModelName::Watch);
    let store = "P0 |-put([11,1])=5-|  |-put([12,2])=7-|  |-delete(11)=8-|  ";
    let all = "[[5,11,1],[7,12,2],[8,11,null]]";
    holds(&watch, &format!("{store}|-watch(1)=[8,{all}]-|  |-watch(9)=[9,[]]-|  |-catch-up(2)=[8,{all}]-|"));
    // It may lag behind, begin anywhere, or be told that what it asks for is gone.
    holds(&watch, &format!("{store}|-watch(6)=[7,[[7,12,2]]]-|  |-watch(null)=[8,[[8,11,null]]]-|"));
    holds(&watch, &format!("{store}|-watch(null)=[8,[]]-|  |-watch(9)=[8,[]]-|"));
    // What is yet to come may be asked for, and nothing is said by hearing nothing of it.
    holds(&watch, "P0 |-watch(9)=[8,[]]-|  |-put([11,1])=5-|");
    violated(&watch, "P0 |-watch(8)=[8,[]]-|  |-put([11,1])=5-|");
    violated(&watch, &format!("{store}|-watch(1)=[8,[[5,11,1],[8,11,null]]]-|"));
    violated(&watch, &format!("{store}|-watch(null)=[8,[[5,11,1],[8,11,null]]]-|"));
    violated(&watch, &format!("{store}|-catch-up(1)=[7,[[5,11,1],[7,12,2]]]-|"));
    violated(&watch, &format!("{store}|-watch(6)=[8,{all}]-|"));
    violated(&watch, &format!("{store}|-watch(7)=[7,[[7,12,3]]]-|"));
    // Of three deletes two may have happened, and nothing was there for one that was told so.
    let unheard =
        "P1 |-delete(11)-~\n P2 |-delete(11)-~\n P3 |-delete(11)-~\n P0 |-put([11,1])=5-|  |-delete(12)-|  ";
    holds(&watch, &format!("{unheard}|-watch(5)=[9,[[5,11,1],[6,11,null],[9,11,null]]]-|"));
    violated(
        &watch,
        &format!("{unheard}|-watch(1)=[9,[[3,11,null],[5,11,1],[6,11,null],[8,11,null],[9,11,null]]]-|"),
    );
    refused(&watch, "P0 |-put([11,null])=1-|", "null");
    refused(&watch, "P0 |-put([11,1])-|", "revision");
    refused(&watch, "P0 |-watch(1)=[1]-|", "[upto,");
}

#[test]
fn what_only_a_person_can_know_is_asked_for() {
    let model = |drawn: &str| auto_model(&sketch(drawn));
    for (drawn, taken) in [
        ("P0 |-append(7)-|  |-read(null)=[7]-|", ModelName::ListAppend),
        ("P0 |-fetch-add(1)=0-|", ModelName::FetchAdd),
        ("P0 |-generate(null)=0-|", ModelName::UniqueIds),
        ("P0 |-push(1)-|", ModelName::Stack),
        ("P0 |-insert(1)-|", ModelName::PriorityQueue),
        ("P0 |-enqueue(1)-|  |-drain(null)=[1]-|", ModelName::Delivery),
        ("P0 |-add(1)=true-|  |-contains(1)=true-|", ModelName::ElementSet),
        ("P0 |-put([11,1])=1-|  |-watch(1)=[1,[[1,11,1]]]-|", ModelName::Watch),
        ("P0 |-put(1)-|", ModelName::Kv),
    ] {
        let (model, assumed) = model(drawn).expect("one model");
        assert_eq!((model, assumed.len()), (taken, 1), "{assumed:?}");
    }
    let versions = "P0 |-write(7)=[1,7]-|  |-read(null)=[1,7]-|";
    for (drawn, named) in
        [(versions, "versioned-register"), ("P0 |-append(7)=0-|  |-read(null)=[7]-|", "append-log")]
    {
        let (_, assumed) = model(drawn).expect("one model");
        assert!(assumed.iter().any(|said| said.contains(named)), "{assumed:?}");
    }
}
