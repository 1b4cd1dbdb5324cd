//! One run: clients, faults and the recorder, on one thread each.
