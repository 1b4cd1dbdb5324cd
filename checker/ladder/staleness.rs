//! How old was the oldest value that was read?
//!
//! ```text
//!   P0  |--w 1--| |--w 2--|      |--w 3--|
//!   P1                     ◀──────────────── age ────▶|--r 1--|      at least 2 versions old
//!                                        (w 2 returned: since then, 1 was replaced for certain)
//! ```
//! A write is *certainly newer* than the version that a read saw if it was sent after that version's write had returned, and
//! *in time* if it had returned when the read was sent. A read is as many versions old as there are such writes, and has been
//! out of date since the first of them returned. Both are lower bounds for what the system did: the k of k-atomicity (Aiyer,
//! Alvisi and Bazzi 2005) is more than the versions, and the Δ of Δ-atomicity (Golab, Li and Shah 2011) at least the age.
//! In a linearizable history both are zero.

use super::events::{Act, Events, From};
use history::results::Staleness;
use history::{History, NEVER, NO_TIME, ValueId};

/// The staleness of the reads of a history that name their writes. O(n log n), and for the most stale read the writes that
/// it missed.
pub(super) fn staleness(history: &History, events: &Events) -> Staleness {
    let mut found = Staleness::default();
    let mut of_key: Vec<(Vec<u32>, Vec<u32>)> = vec![Default::default(); events.keys as usize];
    for (number, event) in (0..).zip(&events.list) {
        let (writes, reads) = &mut of_key[event.key as usize];
        if event.act == Act::Write { writes.push(number) } else { reads.push(number) }
    }
    for (writes, reads) in &mut of_key {
        writes.sort_unstable_by_key(|&w| events.at(w).invoke);
        // The first to return of those that were sent no earlier.
        let mut first = vec![u32::MAX; writes.len()];
        let mut best = u32::MAX;
        for (i, &w) in writes.iter().enumerate().rev() {
            let returned = |w: u32| if w == u32::MAX { NEVER } else { events.at(w).ret };
            if events.at(w).ret < returned(best) {
                best = w;
            }
            first[i] = best;
        }
        for &read in reads.iter() {
            let event = events.at(read);
            let sent_after = match event.act {
                Act::Read(From::Write(w)) if events.at(w).ret == NEVER => continue,
                Act::Read(From::Write(w)) => {
                    let ret = events.at(w).ret;
                    writes.partition_point(|&other| events.at(other).invoke < ret)
                }
                Act::Read(From::Initial) => 0,
                Act::Read(From::Nowhere) | Act::Write => continue,
            };
            found.reads += 1;
            let Some(&newer) = first.get(sent_after) else { continue };
            if newer == u32::MAX || events.at(newer).ret >= event.invoke {
                continue;
            }
            found.stale_reads += 1;
            let sent_before = writes.partition_point(|&other| events.at(other).invoke < event.invoke);
            let (op, newer) =
                (&history.ops[event.source as usize], &history.ops[events.at(newer).source as usize]);
            let known = op.invoke_time != NO_TIME && newer.ret_time != NO_TIME;
            let age = known.then(|| op.invoke_time.saturating_sub(newer.ret_time));
            found.age_ns = found.age_ns.max(age);
            // No more than this: most need not be counted.
            if (sent_before - sent_after) as u64 <= found.versions {
                continue;
            }
            let missed = &writes[sent_after..sent_before];
            let versions = missed.iter().filter(|&&w| events.at(w).ret < event.invoke).count() as u64;
            if versions > found.versions {
                found.versions = versions;
                found.line = op.invoke_line;
                found.key = (op.key != ValueId::NULL).then(|| history.values.get(op.key).to_string());
            }
        }
    }
    found
}
