//! The kinds of anomaly, by name.
