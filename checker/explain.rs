//! Turns a counterexample into what a person can follow.
