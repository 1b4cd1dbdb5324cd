//! The kinds of anomaly: what each is called, says and means.
//!
//! A core gets the first kind whose rule applies. The rules look at the whole history of the core's keys where they
//! speak of "no read" or "nobody"; "before" is real time for linearizability and the order of one client for sequential
//! consistency. *Older* than a write W is a value whose every possible writer came before W (or which was written once,
//! and read before W was sent).
//!
//! | n | kind | rule: the core has … |
//! |---|---|---|
//! | 1 | `phantom-value` | a read of a value that is not the initial one and that nobody ever sent |
//! | 2 | `read-of-failed-write` | a read of a value of which every write was reported as failed |
//! | 3 | `read-of-future` | a read of a value of which every write was sent after it |
//! | 4 | `double-cas`, `lost-update` | two successful replacements (cas, transactions) of one value that was there once |
//! | 5 | `store-buffer` | two clients, each with a write of one key and then a read of the other that misses the other's write |
//! | 6 | `opposite-orders` | two readers, of whom each saw a write that the other missed or saw later, the writes being otherwise unordered |
//! | 7 | `lost-write` | an acknowledged write of a value written once, which no completed read of the history returned; a later read is older, and so are the final reads (the last two agree, and the last from every server, its own or two, is older), or else all reads between it and the first newer one, from its own server and another |
//! | 8 | `not-read-your-writes` | a read of something older than an acknowledged write that its own session had sent before |
//! | 9 | `non-monotonic` | a read of something older than what its own session had read before |
//! | 10 | `stale-read` | a read of something older than a write acknowledged before it was sent |
//! | 11 | `inversion` | a read of something older than what another session had read before |
//! | 12 | `stale-read` | a circle whose last reason is a read that missed a write |
//! | 13 | `generic` | none of these |
//!
//! Transactions over several registers: after 3 `intermediate-read` (a value that everyone who wrote it replaced in the same
//! transaction); after 6 `interleaved-writes` (two unordered transactions wrote two keys, and a third saw one of each), and,
//! where neither real time nor the order of a client takes part in the circle, `circular-flow` (everyone saw what the one
//! before wrote), `read-skew` (one missed what another wrote, of which it saw something, or which somebody before it saw) and
//! `write-skew` (two missed what the other wrote, and both wrote).
//! Registers with versions: the same, where what was there is the version with its value, and *older* is a smaller version.
//! After 4 stands `duplicate-id` (two were told that they made the same version), after 11 `id-went-back` (a later one made
//! a version that is not larger), and then
//! `skipped-id` (one by one, and fewer can have come before it than its version counts).
//! Sets: 1–3 by element; `double-cas` (more adds were told that an element was not there, or more removes that it was, than
//! it can have been); `set-lost` (an acknowledged element is in none of the final reads, those sent after the last
//! acknowledgement, or else the last one, and nobody removes it); `set-resurrected` (seen after an acknowledged removal,
//! with no add that may have come between); 8; `set-stale` (missing, but in a final read); 6; 9; 11.
//! Lists: 1–3 by element; `duplicate-append` (one read has twice what was appended once); `duplicate-id` (one offset given
//! twice); 7 as `set-lost`; `incompatible-order` (two answers differ about what stands where, or where something stands);
//! 8, 10 as `set-stale`; 9; 11; `id-went-back` (an offset that is not larger than one given before); `skipped-id`.
//! Queues and what is like them: `phantom-message` (1, 2), 3, `duplicate-delivery` (taken twice, put in once; not where
//! delivery is at least once), `lost-message` (acknowledged, taken by nobody, no taking unanswered, yet passed over, or
//! missing in a drain), `set-resurrected` (seen by a peek after it was taken), `reordered-message` (first in, first out),
//! `out-of-turn` (a stack, a priority queue: another was due), `false-empty` (nothing was found while something was in).
//! Watches: `rewound-watch` (an answer has a revision before the one that it was asked from), `repeated-event` (an answer has
//! one revision twice, or answers have more revisions of one change than it was written), `reordered-event` (an answer goes
//! back), `changed-event` (another change than the write of that revision, or than another answer has there), 1–3 by event,
//! `duplicate-id`, `lost-event` (an answer lacks a revision between its first and its last, or one acknowledged before a
//! catch-up that ends earlier), `id-went-back` (also a revision that an answer had gone past).
//! Sums: `lost-update` (two additions found one sum, and none is negative), `counter-out-of-range`, 9, 11.
//! Ids: `duplicate-id`, `id-went-back`. Semaphores: `permits-exceeded` (those surely got by then, less those that may have
//! been given back, are more than there are).
//! Locks: `stale-write-accepted` (a token let in after a larger one), `lock-shared` (two clients had both got the lock
//! before either sent its release). A string that is appended to is always `generic`.

/// A kind of anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `stale-read`, as in [`history::results::Anomaly::kind`].
    pub name: &'static str,
    /// What happened, as it follows `Not linearizable:`. Without capital and full stop.
    pub sentence: &'static str,
    /// A paragraph: what it means, and what usually causes it.
    pub meaning: &'static str,
    /// A small drawn history that shows it.
    pub example: &'static str,
}

/// All kinds, the worst first: what was acknowledged and is gone, then what two clients disagree about, then what is
/// merely late.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// The kind of that name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// How bad a kind is: 0 is the worst. Anomalies are listed in this order. Unknown names come last.
pub fn rank(name: &str) -> usize {
    KINDS.iter().position(|kind| kind.name == name).unwrap_or(KINDS.len())
}

const KINDS: [Kind; 41] = [
    Kind {
        name: "lost-write",
        sentence: "an acknowledged write disappeared",
        meaning: "A client was told that its write had succeeded, and no read ever returned it: later reads returned what \
                  was there before. Usual causes: versions by wall clocks that disagree, so that a write with a slow clock \
                  loses against an older one; a failover to a replica that had not received it; a heal after a split \
                  brain that throws one side away.",
        example: "P0  |-write 1-|\n\
                  P1               |-write 2: ok-|\n\
                  P1                                |-read → 1-|\n\
                  P2                                              |-read → 1-|    and so for ever\n",
    },
    Kind {
        name: "set-lost",
        sentence: "an acknowledged element vanished",
        meaning: "An element was added and acknowledged, and the final reads of the set do not have it. The causes are \
                  those of a lost write; in a set no later write can hide them.",
        example: "P0  |-add 1: ok-|\n\
                  P1                 |-add 2: ok-|\n\
                  P2                                |-read → [2]-|                1 is gone\n",
    },
    Kind {
        name: "lost-message",
        sentence: "an acknowledged message was never delivered",
        meaning: "A message was put in and acknowledged, nobody ever took it out, and a later dequeue found the queue empty \
                  or took a message that stood behind it. Usual causes: acknowledging before the message is on disk or on \
                  a second node, and a crash or failover after that.",
        example: "P0  |-enqueue 1: ok-|\n\
                  P1                     |-dequeue → null-|                       1 is gone\n",
    },
    Kind {
        name: "lost-event",
        sentence: "a watcher was told that it had everything, and an event was missing",
        meaning: "A watch delivers every change, in order: whoever was told of a later one, or that there are no more, has \
                  been told of all before. This one lacked a change that had been acknowledged, or that another watcher was \
                  told of. Usual causes: a watcher that is moved between queues while events are dropped, a snapshot or a \
                  compaction that skips events, a progress notification that overtakes events.",
        example: "P0  |-put a 1 → 5-| |-put a 2 → 6-|\n\
                  P1                                  |-watch from 5 up to 6 → [6: a = 2]-|   where is 5?\n",
    },
    Kind {
        name: "stale-write-accepted",
        sentence: "a guarded resource accepted a write under an older token",
        meaning: "A client whose lock had passed to somebody else wrote to the resource behind the lock, and was let in \
                  after the new holder. Usual cause: the holder was paused for longer than its lease, and the resource \
                  does not compare fencing tokens.",
        example: "P0  |-acquire → 33-|     …paused…              |-write [33 a]: ok-|\n\
                  P1                     |-acquire → 34-| |-write [34 b]: ok-|    33 comes too late\n",
    },
    Kind {
        name: "lock-shared",
        sentence: "two clients held the same lock",
        meaning: "A client was given the lock before its holder had asked to give it back. Usual causes: a lease that ended \
                  while its holder was paused or cut off, or a lock service that gave it out on both sides of a partition.",
        example: "P0  |-acquire: ok-|                        |-release-|\n\
                  P1                   |-acquire: ok-|                            both hold it\n",
    },
    Kind {
        name: "double-cas",
        sentence: "two clients both succeeded in replacing the same value",
        meaning: "Two compare-and-set operations expected the same value, which was there only once, and both succeeded. \
                  One of them compared with something that was already replaced. Usual causes: comparing on a stale \
                  replica, two leaders, a proposal that was repeated after it had already been applied.",
        example: "P0  |-write 1-|\n\
                  P1               |-cas 1 → 2: ok-|\n\
                  P2                                  |-cas 1 → 3: ok-|           1 was gone\n",
    },
    Kind {
        name: "lost-update",
        sentence: "two transactions both replaced the same value, and one update is lost",
        meaning: "Two transactions read the same value, which was there only once, and both replaced it: the second did not \
                  build on the first.",
        example: "P0  |-read x → 1, write x 2-|\n\
                  P1     |-read x → 1, write x 3-|                                built on 1 as well\n",
    },
    Kind {
        name: "interleaved-writes",
        sentence: "the writes of two transactions were interleaved",
        meaning: "Two transactions wrote the same two keys, and a read has one key from the one and the other key from the \
                  other: whichever of them came last should have left both. Also called a dirty write, G0. Usual cause: \
                  writes that are applied key by key, without a lock or an order over all keys of a transaction.",
        example: "P0  |-write x 1, write y 1-|\n\
                  P1    |-write x 2, write y 2-|\n\
                  P2                              |-read x → 1, read y → 2-|      a mixture\n",
    },
    Kind {
        name: "intermediate-read",
        sentence: "a transaction read a value that the transaction which wrote it also replaced",
        meaning: "The value was written and replaced within one transaction, so nobody else should ever have seen it. Also \
                  called G1b. Usual causes: reads of uncommitted data, writes that are sent to replicas one by one.",
        example: "P0  |-write x 1, write x 2-|\n\
                  P1     |-read x → 1-|                                           only on the way to 2\n",
    },
    Kind {
        name: "circular-flow",
        sentence: "two transactions each saw what the other wrote",
        meaning: "Each read what the other had written, so each must have come before the other. Also called circular \
                  information flow, G1c. Usual cause: reads of uncommitted data.",
        example: "P0  |-read x → 1, write y 1-|\n\
                  P1    |-read y → 1, write x 1-|\n",
    },
    Kind {
        name: "read-skew",
        sentence: "a transaction saw a part of another transaction and missed the rest",
        meaning: "It read one value that the other had written and, of another key, the value from before it. Also called \
                  a fractured read, G-single. Usual causes: reads that are not taken from one snapshot, keys on several \
                  shards that become visible one after the other.",
        example: "P0  |-write x 1, write y 1-|\n\
                  P1    |-read x → 1, read y → 0-|\n",
    },
    Kind {
        name: "write-skew",
        sentence: "two transactions each replaced what the other had read",
        meaning: "Each read a key, and wrote the key that the other read; neither saw the other's write. Run one after the \
                  other, the second would have. Also called G2-item. Usual cause: snapshot isolation, which compares only \
                  the keys that are written.",
        example: "P0  |-read x → 0, write y 1-|\n\
                  P1    |-read y → 0, write x 1-|\n",
    },
    Kind {
        name: "permits-exceeded",
        sentence: "more clients held a permit at once than there are permits",
        meaning: "More acquires of a semaphore had succeeded than there are permits, even if every release that had been \
                  sent took effect. Usual causes: those of a shared lock, and permits of crashed holders that were given \
                  out again.",
        example: "P0  |-acquire-|\n\
                  P1               |-acquire-|\n\
                  P2                            |-acquire-|                       of 2 permits\n",
    },
    Kind {
        name: "duplicate-id",
        sentence: "the same id, version or offset was given out twice",
        meaning: "Two operations were told that they had made the same number, which only one can have made. Usual causes: \
                  two leaders that count side by side, a counter kept in memory that a crash set back, ids cut from \
                  clocks.",
        example: "P0  |-generate → 7-|\n\
                  P1                    |-generate → 7-|\n",
    },
    Kind {
        name: "duplicate-append",
        sentence: "something that was appended once is there twice",
        meaning: "A read of a list or log has an entry at two places, and it was appended once. Usual cause: an append that \
                  was retried, by the client's library or between servers, although the first try had taken effect.",
        example: "P0  |-append 1-|\n\
                  P1                |-read → [1 1]-|\n",
    },
    Kind {
        name: "phantom-value",
        sentence: "a client read a value that nobody ever wrote",
        meaning: "The value was in no request of any client and is not the initial one. Usual causes: corruption, values of \
                  an earlier run, one key's value under another key, a client that mixes up answers.",
        example: "P0  |-write 1-|\n\
                  P1               |-read → 7-|                                   who wrote 7?\n",
    },
    Kind {
        name: "phantom-message",
        sentence: "a message came out that was never put in",
        meaning: "A client took out a message that nobody sent, or whose sending was reported as failed.",
        example: "P0  |-enqueue 1-|\n\
                  P1                 |-dequeue → 7-|                              who put 7 in?\n",
    },
    Kind {
        name: "read-of-failed-write",
        sentence: "a client read a value whose write was reported as failed",
        meaning: "The client that wrote it was told that it did not happen, ever. Usual causes: an error that should have \
                  been reported as unknown, or a transaction that was rolled back after others had seen it.",
        example: "P0  |-write 1: fail-|\n\
                  P1                     |-read → 1-|                             so it did happen\n",
    },
    Kind {
        name: "read-of-future",
        sentence: "a client read a value before anyone had sent it",
        meaning: "The read had returned before the only write of this value was sent. No system can do that; look at the \
                  clients, at values that are not unique, or at how the history was recorded.",
        example: "P0  |-read → 1-|\n\
                  P1                |-write 1-|\n",
    },
    Kind {
        name: "duplicate-delivery",
        sentence: "a message was delivered twice",
        meaning: "Two clients took out the same message, which had been put in once. Usual causes: redelivery after a \
                  lost acknowledgement or a failover; many queues promise no more than at-least-once.",
        example: "P0  |-enqueue 1-|\n\
                  P1                 |-dequeue → 1-|\n\
                  P2                                   |-dequeue → 1-|            a second time\n",
    },
    Kind {
        name: "changed-event",
        sentence: "a watcher was told of a change that is not the one made at that revision",
        meaning: "An event carries a revision, and at that revision something else was written, or another watcher was told of \
                  something else there; or the change was acknowledged with another revision. Usual causes: members whose \
                  revisions have come apart, events that are read from a store which was restored meanwhile.",
        example: "P0  |-put a 1 → 5-|\n\
                  P1                   |-watch from 5 up to 5 → [5: a = 2]-|      that was 1\n",
    },
    Kind {
        name: "rewound-watch",
        sentence: "a watch went back in time",
        meaning: "It was asked to go on from a revision and delivered events from before it, which its watcher may have had \
                  already and acted on. Usual causes: a member that was restored from a snapshot and serves its watchers from \
                  there, a watch at a revision that the member has not reached yet.",
        example: "P0  |-watch from 9 up to 10 → [7: a = 1, 10: a = 3]-|           it had asked for 9 and later\n",
    },
    Kind {
        name: "repeated-event",
        sentence: "an event was delivered twice",
        meaning: "One watch was told of one revision twice, or one change came with more revisions than it was written. Usual \
                  causes: events that are sent again after a slow watcher was moved to another queue, a client that resumes at \
                  the wrong revision and hides it, a write that took effect twice.",
        example: "P0  |-watch from 5 up to 6 → [5: a = 1, 5: a = 1, 6: a = 2]-|\n",
    },
    Kind {
        name: "reordered-event",
        sentence: "a watch delivered events out of order",
        meaning: "Revisions within one watch went back. Usual causes: two queues that serve one watcher, a member that was \
                  restored from an older state while it was watched.",
        example: "P0  |-watch from 5 up to 7 → [6: a = 2, 5: a = 1, 7: a = 3]-|\n",
    },
    Kind {
        name: "set-resurrected",
        sentence: "an element came back after its removal",
        meaning: "An element was removed or taken out, that was acknowledged, nobody can have put it in again, and a later \
                  answer has it. Usual causes: a replica that missed the removal and repairs the others, removals that are \
                  forgotten before every replica has heard of them.",
        example: "P0  |-add 1-| |-remove 1: ok-|\n\
                  P1                               |-contains 1 → true-|\n",
    },
    Kind {
        name: "incompatible-order",
        sentence: "two answers about one list disagree about its order",
        meaning: "Of two reads of a list that only grows, neither is the beginning of the other; or an append was told another \
                  place than a read shows. Usual causes: two leaders that append side by side, entries that are moved after \
                  they were acknowledged.",
        example: "P0  |-append 1---------|\n\
                  P1  |-append 2---------|\n\
                  P2                        |-read → [1 2]-|\n\
                  P3                        |-read → [2 1]-|\n",
    },
    Kind {
        name: "id-went-back",
        sentence: "an id, version or offset was not larger than one given out before",
        meaning: "Numbers that should grow did not: an operation that was sent after another had been answered made a smaller \
                  one. Usual causes: ranges of numbers that servers hold in stock, a failover to a replica that lags behind, \
                  clocks.",
        example: "P0  |-generate → 8-|\n\
                  P1                    |-generate → 5-|\n",
    },
    Kind {
        name: "reordered-message",
        sentence: "messages changed order",
        meaning: "A message that was put in first came out after one that was put in later. Usual causes: redelivery, or \
                  several partitions behind one name.",
        example: "P0  |-enqueue 1-| |-enqueue 2-|\n\
                  P1                               |-dequeue → 2-| |-dequeue → 1-|\n",
    },
    Kind {
        name: "skipped-id",
        sentence: "a version or offset that was given out leaves a gap",
        meaning: "Versions or offsets that count one by one reached a number although too few others were made, or can have \
                  been made, before it. Usual causes: writes that took effect twice, entries that another client or the \
                  system itself put there, answers of another key; or versions that do not count one by one.",
        example: "P0  |-append a → 0-|\n\
                  P1                    |-append b → 2-|                          what is at 1?\n",
    },
    Kind {
        name: "out-of-turn",
        sentence: "an element came out although another was due before it",
        meaning: "A stack gave out what was not on top, or a priority queue what was not the smallest: the one that was due had \
                  been put in and acknowledged before, and nobody had taken it. Usual causes: several servers with a part \
                  each, or an element that becomes visible only later.",
        example: "P0  |-insert 1-| |-insert 2-|\n\
                  P1                             |-delete-min → 2-|               1 was due\n",
    },
    Kind {
        name: "counter-out-of-range",
        sentence: "the counter was read as a value that the increments do not allow",
        meaning: "The sum is less than what had been acknowledged before the read, or more than everything that had been \
                  sent. Usual causes: lost increments, or increments that were retried and applied twice.",
        example: "P0  |-add 1: ok-|\n\
                  P1                 |-read → 0-|                                 at least 1\n",
    },
    Kind {
        name: "not-read-your-writes",
        sentence: "a client did not see its own write",
        meaning: "A session read something older than what it had itself written and been told was done. Usual cause: reads \
                  from a replica that has not yet applied the write, without a token that makes it wait.",
        example: "P0  |-write 1-|\n\
                  P1               |-write 2: ok-| |-read → 1-|                   where is its 2?\n",
    },
    Kind {
        name: "non-monotonic",
        sentence: "one client saw the value go backwards",
        meaning: "A session read a value and then an older one. Usual causes: it moved to a replica that lags behind, or \
                  reads are spread over replicas.",
        example: "P0  |-write 1-| |-write 2------------------------|\n\
                  P1                  |-read → 2-| |-read → 1-|                   back again\n",
    },
    Kind {
        name: "inversion",
        sentence: "one client read the new value, and a later read by another returned the old one",
        meaning: "While a write was under way (or after it got no reply), one client already saw it; then another, who asked \
                  after the first had its answer, did not. Usual causes: quorum reads that do not write back what they \
                  found, or a standby that shows a write before the primary does.",
        example: "P0  |-write 1-| |-write 2----------------------------|\n\
                  P1                  |-read → 2-|\n\
                  P2                                |-read → 1-|                  back again\n",
    },
    Kind {
        name: "store-buffer",
        sentence: "two clients each wrote one key and then missed the other's write",
        meaning: "Each wrote its own key and then read the other's key as it was before. In any one order, whoever read last \
                  should have seen the other's write. It takes two keys: each key alone looks right. Usual cause: writes \
                  that are acknowledged before they reach the replica where the other client reads.",
        example: "P0  |-write x 1-| |-read y → 0-|\n\
                  P1  |-write y 1-| |-read x → 0-|\n",
    },
    Kind {
        name: "opposite-orders",
        sentence: "two readers saw two writes in opposite orders",
        meaning: "One reader saw the first write and not yet the second, another the second and not yet the first. Also \
                  called independent reads of independent writes, or a long fork. Usual cause: replicas that apply writes \
                  of different clients in different orders.",
        example: "P0  |-write x 1-|\n\
                  P1  |-write y 1-|\n\
                  P2  |-read x → 1-| |-read y → 0-|\n\
                  P3  |-read y → 1-| |-read x → 0-|\n",
    },
    Kind {
        name: "stale-read",
        sentence: "a client read a value after it had been overwritten",
        meaning: "The read was sent after a newer write had been acknowledged, and returned what that write had replaced. \
                  Usual causes: a deposed leader that answers from its own memory, a replica that lags behind, a cache.",
        example: "P0  |-write 1-| |-write 2: ok-|\n\
                  P1                               |-read → 1-|                   too old\n",
    },
    Kind {
        name: "false-empty",
        sentence: "a client found nothing although an acknowledged element was there",
        meaning: "A client asked after an element had been put in and acknowledged, before anyone took it out, and was told \
                  that there is nothing. Later it did come. Usual causes: those of a stale read; a queue in several parts of \
                  which only one was asked.",
        example: "P0  |-enqueue 1: ok-|\n\
                  P1                     |-dequeue → null-|                       not yet\n\
                  P2                                         |-dequeue → 1-|\n",
    },
    Kind {
        name: "set-stale",
        sentence: "an acknowledged element stayed invisible for a while",
        meaning: "A read was sent after an add had been acknowledged and did not have the element, though later reads did. \
                  The causes are those of a stale read.",
        example: "P0  |-add 1: ok-|\n\
                  P1                 |-read → []-|                                not yet\n\
                  P1                                |-read → [1]-|\n",
    },
    Kind {
        name: "generic",
        sentence: "some operations cannot be put in any order that the model allows",
        meaning: "None of the patterns with a name fits. The table of orders is the proof: every order that the property \
                  allows is in it, with the operation at which it breaks.",
        example: "P0  |-put a-|\n\
                  P1             |-append b-|\n\
                  P2                            |-get → a-|                       should be ab\n",
    },
];
