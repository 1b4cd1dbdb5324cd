//! What clients do, and which properties must hold afterwards.
//!
//! A [`Workload`] names a model and the properties that its histories must have, and makes a [`Plan`]: generators that
//! a scheduler asks, one call at a time, what a free worker shall do next. No I/O, no clock, and no randomness but the
//! seed's: the same answers at the same times get the same calls.
//!
//! ```text
//!            Context { time, free workers }
//!  scheduler ──────────────────────────────▶ Generator::next ──▶ Call | Wait | Done
//!       └──────────── Told { call, completion } ──▶ Generator::told
//! ```

mod cas_register;
mod combine;
mod counter;
mod delivery;
mod draw;
mod generator;
mod keys;
mod kv;
mod lock;
mod queue;
mod register;
mod set;
#[cfg(test)]
mod simulate;
mod versioned_register;
mod watch;
mod workload;

pub use combine::{
    Limit, Mix, Phases, Reserve, Stagger, TimeLimit, limit, mix, phases, reserve, stagger, time_limit,
};
pub use draw::Rng;
pub use generator::{Ask, Context, Each, Generator, Next, Slot, Told, each};
pub use keys::{FinalReads, KeysUsed, PerKey};
pub use workload::{Options, Plan, Workload, all, find};
