//! What systems that speak SQL have in common: a statement for each call, a session that sends it, and what the answer
//! means.
//!
//! ```text
//!   call ─▶ statement.rs ─▶ session.rs ─▶ postgres/wire.rs, galera/wire.rs ─▶ reply.rs ─▶ outcome
//! ```

mod reply;
mod session;
mod socket;
mod statement;

pub use reply::{Refusal, Reply, Rows};
pub use session::{Access, query, session};
pub use socket::{ANSWER_MAX, Socket};
pub use statement::{Dialect, TABLES, create};

/// A clock that said `told` (in microseconds, cut off) at some time between `before` and `after`, which are in
/// nanoseconds: the least offset of it that explains this, in nanoseconds.
pub fn least_offset(told: i64, before: i64, after: i64) -> i64 {
    let (low, high) = (told * 1000 - after, (told + 1) * 1000 - before);
    if low > 0 { low } else { high.min(0) }
}
