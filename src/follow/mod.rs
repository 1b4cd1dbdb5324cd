//! Judging while a history is being written.
//!
//! A violation of linearizability that a prefix shows stays one, whatever is written later (safety, Herlihy and Wing 1990):
//!
//! ```text
//!   P0   |--w1--|                    |  later events
//!   P1              |--w2-- …        |         calls without a return yet count as unanswered: perhaps, perhaps never
//!   P2                 |--r→3--|     |  …
//!                                    ^ the prefix
//! ```
//! Suppose the whole has a legal order that keeps real time. Cut that order after the last operation that returned within
//! the prefix. Whatever stands before the cut was invoked within the prefix too, because what was invoked after that return
//! must stand behind it. So the cut order consists of operations of the prefix, has all that returned in it, and takes of
//! the open ones some that the prefix lets happen: it is a legal order of the prefix.
//!
//! Sequential consistency and what lies below it know no real time: a read of something that is only written later is in
//! order there, so a prefix proves nothing against them. They are judged when the history has ended.

mod tail;
mod watch;

pub use tail::Tail;
pub use watch::{Caught, Watcher};
