//! Sequential consistency: one order for all keys that keeps every process in its own order.
