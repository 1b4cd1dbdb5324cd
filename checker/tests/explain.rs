//! Each kind of anomaly as a small history and everything that is said about it, compared as text.

mod explain_sketch;

use checker::explain::explain;
use checker::{ModelName, Property};
use explain_sketch::{core_of, history, show, spec};

/// The explanation of a sketch whose operations with a `*` are the core, as text.
fn told(model: ModelName, property: Property, sketch: &str) -> String {
    let history = history(sketch);
    show(&explain(&history, &spec(model, &history), property, &core_of(sketch), 1))
}

fn check(model: ModelName, property: Property, sketch: &str, expected: &str) {
    let told = told(model, property, sketch);
    let clean =
        |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(clean(&told), clean(expected), "\n{told}");
}

#[test]
fn a_read_after_the_new_value_was_read_by_another_is_an_inversion() {
    check(
        ModelName::Register,
        Property::Linearizable,
        "
        * 3  n5 402 409 write k7 41
        * 11 n2 431 ?1431 write k7 42
        * 6  n2 452 458 read k7 null -> 42
        * 14 n5 463 466 read k7 null -> 41
        ",
        "
        inversion: one client read the new value, and a later read by another returned the old one
        0.463 s into the run, client 14 read k7 = 41 from node n5, although client 6 had already read the newer k7 = 42 \
        from node n2 and finished 5 ms earlier. Client 11's write of 42 (B) got no reply within 1 s: it did happen, as \
        others saw it. Four operations are enough to prove it.
        1 A before B: A returned 22 ms before B was sent
        2 B before C: C read 42, and only B ever wrote 42 (so B did happen)
        3 C before D: C returned 5 ms before D was sent
        4 D before B: D read 41, only A ever wrote 41, and B comes after A (1) and replaces it
        circle B < C < D < B
        A | C: it read 42, but k7 holds 41 (3)
        A B C | D: it read 41, but k7 holds 42 (1)
        states null or 41 / 41 / 41 or 42 / 41 or 42 / 42 / 42 !
        ",
    );
}
