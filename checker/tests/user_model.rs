//! The example of a model of one's own does what its page in the documentation says.

#[path = "../examples/max_register.rs"]
mod example;

#[test]
fn a_model_of_ones_own_judges_a_history_and_shows_the_few_operations_that_matter() {
    let story = example::story().expect("the example is in order");
    assert_eq!(
        story,
        "4 states and 500 histories looked at\nnot linearizable:\n  process 0: raise 1\n  process 1: raise 3\n  \
         process 2: read → 3\n  process 2: read → 1\n"
    );
    example::main().expect("it prints the same");
}
