//! Regular registers: one order of the writes of each key that keeps real time, and each read returns the last write before
//! it, or one that was under way (Lamport 1986 for one writer; Shao, Pierce and Welch, SIAM J. Comput. 2011, MWReg for many).
//!
//! What ABD still gives when its reads do not write back: a read may see the new value and a later one the old, as long as
//! the write between them is under way.
//!
//! ```text
//!   P0  |--w 1--| |--------------w 2--------------|
//!   P1               |-r 2-|  |-r 1-|                  regular, not linearizable: no write returned in between
//! ```
//! A write is older than another if it had returned when the other was sent. A version is no newer than the one that a read
//! saw which was sent after it had been acknowledged, and older than every write that was sent after a read of it had
//! returned. O(n log n + n c) for c writes under way at once.

use super::events::{Act, Events, From};
use super::proof::{Proof, Step, Why};
use super::versions::{Ages, initial, pair};
use super::{Limit, Outcome};
use history::NEVER;

/// Decides whether every key is a regular register.
pub(super) fn decide(events: &Events, limit: &Limit<'_>) -> Outcome {
    let mut of_key: Vec<Vec<u32>> = vec![Vec::new(); events.keys as usize];
    // Per write, the reader that was sent last and the one that returned first.
    let mut last_reader: Vec<Option<u32>> = vec![None; events.list.len()];
    let mut first_reader: Vec<Option<u32>> = vec![None; events.list.len()];
    let mut initial_reader: Vec<Option<u32>> = vec![None; events.keys as usize];
    let later = |a: u32, b: Option<u32>| b.is_none_or(|b| events.at(b).invoke < events.at(a).invoke);
    for (number, event) in (0..).zip(&events.list) {
        match event.act {
            Act::Write => of_key[event.key as usize].push(number),
            Act::Read(From::Nowhere) => return Outcome::Violated(Proof::nowhere(number)),
            Act::Read(From::Initial) => {
                let reader = &mut initial_reader[event.key as usize];
                if later(number, *reader) {
                    *reader = Some(number);
                }
            }
            Act::Read(From::Write(w)) => {
                let reader = &mut last_reader[w as usize];
                if later(number, *reader) {
                    *reader = Some(number);
                }
                let reader = &mut first_reader[w as usize];
                if reader.is_none_or(|reader| events.at(reader).ret > event.ret) {
                    *reader = Some(number);
                }
            }
        }
    }
    let mut ages = Ages::new(events);
    for (key, writes) in of_key.iter().enumerate() {
        if let Some(proof) =
            one_key(&mut ages, events, writes, &last_reader, &first_reader, initial_reader[key])
        {
            return Outcome::Violated(proof);
        }
    }
    ages.order(limit)
}

fn one_key(
    ages: &mut Ages<'_>,
    events: &Events,
    writes: &[u32],
    last_reader: &[Option<u32>],
    first_reader: &[Option<u32>],
    initial_reader: Option<u32>,
) -> Option<Proof> {
    let mut returned: Vec<u32> = writes.iter().copied().filter(|&w| events.at(w).ret != NEVER).collect();
    returned.sort_unstable_by_key(|&w| events.at(w).ret);
    let before = |invoke: u32| returned.partition_point(|&w| events.at(w).ret < invoke);
    if let Some(reader) = initial_reader {
        if before(events.at(reader).invoke) > 0 {
            return Some(initial(returned[0], returned[0], reader));
        }
    }
    // After the first i + 1 writes that returned.
    let mut done: Vec<u32> = Vec::with_capacity(returned.len());
    for &w in &returned {
        let joint = ages.joint(done.last().copied());
        ages.enters(w, joint, w);
        done.push(joint);
    }
    // Before all writes that were sent last: the joint of each is before it and before that of the next.
    let mut sent: Vec<u32> = writes.to_vec();
    sent.sort_unstable_by_key(|&w| events.at(w).invoke);
    let mut open: Vec<u32> = Vec::with_capacity(sent.len());
    for &w in sent.iter().rev() {
        let joint = ages.joint(None);
        ages.leaves(joint, w, w);
        if let Some(&next) = open.last() {
            ages.through(joint, next);
        }
        open.push(joint);
    }
    open.reverse();
    let mut place = rustc_hash::FxHashMap::default();
    for (i, &w) in returned.iter().enumerate() {
        place.insert(w, i);
    }
    for &w in writes {
        let write = events.at(w);
        if let Some(last) = before(write.invoke).checked_sub(1) {
            ages.leaves(done[last], w, w);
        }
        if let Some(reader) = last_reader[w as usize] {
            let count = before(events.at(reader).invoke);
            // It need not come after itself: after those that returned before it, and each that returned later.
            let own = place.get(&w).copied().unwrap_or(usize::MAX).min(count);
            if let Some(last) = own.checked_sub(1) {
                ages.leaves(done[last], w, reader);
            }
            for &other in returned.iter().take(count).skip(own.saturating_add(1)) {
                if events.at(other).invoke > write.ret {
                    return Some(pair(w, other, (w, other), (other, reader)));
                }
                ages.older(other, w, other, reader);
            }
        }
        if let Some(reader) = first_reader[w as usize] {
            let ret = events.at(reader).ret;
            if write.invoke > ret {
                let why = Why::Versions { first: reader, second: w };
                return Some(Proof::circle(vec![Step { from: w, to: w, why, uses: Vec::new() }]));
            }
            let first = sent.partition_point(|&other| events.at(other).invoke <= ret);
            if first < sent.len() {
                ages.enters(w, open[first], reader);
            }
        }
    }
    None
}
