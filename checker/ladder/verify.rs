//! The small verifier of the ladder: nothing is reported before this has accepted its evidence. It shares nothing with
//! what finds the evidence but the events.

use super::events::{Act, Events, From};
use super::proof::{Proof, Step, Why};
use super::rung::Rung;
use history::NEVER;

fn read_of(events: &Events, event: u32) -> Option<From> {
    match events.at(event).act {
        Act::Read(from) => Some(from),
        Act::Write => None,
    }
}

/// Each event once, and each session in its order.
fn permutation(events: &Events, order: &[u32]) -> Result<(), String> {
    if order.len() != events.list.len() {
        return Err(format!("the order has {} of {} events", order.len(), events.list.len()));
    }
    let mut next = events.start.clone();
    for &event in order {
        let session = events.list.get(event as usize).ok_or("an event that is not there")?.session;
        if next[session as usize] != event {
            return Err(format!("event {event} is out of turn in its session"));
        }
        next[session as usize] += 1;
    }
    Ok(())
}

/// A view: an order of everything that keeps sessions (and, if `causal`, has every read after its source), in which each
/// read of `session` saw the last write to its key. O(n).
pub(super) fn view(events: &Events, session: u32, causal: bool, order: &[u32]) -> Result<(), String> {
    permutation(events, order)?;
    let mut last: Vec<Option<u32>> = vec![None; events.keys as usize];
    let mut done = vec![false; events.list.len()];
    for &event in order {
        let at = events.at(event);
        match at.act {
            Act::Write => last[at.key as usize] = Some(event),
            Act::Read(from) => {
                if at.session == session && last[at.key as usize].map_or(From::Initial, From::Write) != from {
                    return Err(format!("event {event} did not see the last write before it"));
                }
                if let (From::Write(w), true) = (from, causal) {
                    if !done[w as usize] {
                        return Err(format!("event {event} comes before the write that it saw"));
                    }
                }
            }
        }
        done[event as usize] = true;
    }
    Ok(())
}

/// Causality in the order given (each event after its causes), and each read right: for convergence, it saw the last write
/// in `order` that it knows of; else, it knows of none between. O(n · sessions · log n).
pub(super) fn causality(events: &Events, convergent: bool, order: &[u32]) -> Result<(), String> {
    permutation(events, order)?;
    let width = events.sessions();
    let mut turn = vec![u32::MAX; events.list.len()];
    // Per session, what its latest event knows; per write, what it knew.
    let mut knows: Vec<Vec<u32>> = events.start[..width].iter().map(|_| vec![0; width]).collect();
    let mut knew: Vec<u32> = Vec::new();
    let mut row_of = vec![u32::MAX; events.list.len()];
    for (i, &event) in (0u32..).zip(order) {
        let at = events.at(event);
        let session = at.session as usize;
        turn[event as usize] = i;
        if let Act::Read(From::Write(w)) = at.act {
            let row = row_of[w as usize];
            if row == u32::MAX {
                return Err(format!("event {event} comes before the write that it saw"));
            }
            let row = &knew[row as usize * width..][..width];
            knows[session].iter_mut().zip(row).for_each(|(mine, its)| *mine = (*mine).max(*its));
        }
        knows[session][session] = events.place(event) + 1;
        match at.act {
            Act::Write => {
                row_of[event as usize] = (knew.len() / width) as u32;
                knew.extend(&knows[session]);
            }
            Act::Read(from) => {
                for &writer in events.writers(at.key) {
                    let Some(known) = events.last_write(writer, knows[session][writer.session as usize])
                    else {
                        continue;
                    };
                    let fine = match from {
                        From::Write(w) if known == w => true,
                        From::Write(w) if convergent => turn[known as usize] < turn[w as usize],
                        From::Write(w) => {
                            let row = &knew[row_of[known as usize] as usize * width..][..width];
                            row[events.at(w).session as usize] <= events.place(w)
                        }
                        From::Initial | From::Nowhere => false,
                    };
                    if !fine {
                        return Err(format!("event {event} should have seen {known}"));
                    }
                }
                if from == From::Nowhere {
                    return Err(format!("event {event} saw what nobody wrote"));
                }
            }
        }
    }
    Ok(())
}

/// An order of the versions of each key in which a session rung holds: `place` has the place of each write. O(n + keys).
pub(super) fn versions(events: &Events, rung: Rung, place: &[u32]) -> Result<(), String> {
    // Per key: the session that was there last, its latest version read and the latest of its own.
    let mut seen: Vec<(u32, i64, i64)> = vec![(u32::MAX, -1, -1); events.keys as usize];
    distinct(events, place)?;
    for (number, event) in (0..).zip(&events.list) {
        let version = match event.act {
            Act::Write => i64::from(place[number as usize]),
            Act::Read(From::Write(w)) => i64::from(place[w as usize]),
            Act::Read(From::Initial) => -1,
            Act::Read(From::Nowhere) => return Err(format!("event {number} saw what nobody wrote")),
        };
        let (session, read, wrote) = &mut seen[event.key as usize];
        if *session != event.session {
            (*session, *read, *wrote) = (event.session, -1, -1);
        }
        let is_read = event.act != Act::Write;
        let monotonic =
            matches!(rung, Rung::MonotonicReads | Rung::MonotonicWrites | Rung::WritesFollowReads);
        let fine = (!(monotonic && is_read) || version >= *read)
            && (!matches!(rung, Rung::MonotonicWrites | Rung::ReadYourWrites) || is_read || version > *wrote)
            && (rung != Rung::WritesFollowReads || is_read || version > *read)
            && (rung != Rung::ReadYourWrites || !is_read || version >= *wrote);
        if !fine {
            return Err(format!("event {number} is too old for its session"));
        }
        let latest = if is_read { read } else { wrote };
        *latest = (*latest).max(version);
    }
    Ok(())
}

fn distinct(events: &Events, place: &[u32]) -> Result<(), String> {
    let mut places: Vec<u32> = (0..)
        .zip(&events.list)
        .filter(|(_, e)| e.act == Act::Write)
        .map(|(w, _): (u32, _)| place[w as usize])
        .collect();
    places.sort_unstable();
    if places.windows(2).any(|two| two[0] == two[1]) {
        return Err("two writes have the same place".to_string());
    }
    Ok(())
}

/// An order of the writes of each key in which the key is a regular register. O(n log n).
pub(super) fn regular(events: &Events, place: &[u32]) -> Result<(), String> {
    distinct(events, place)?;
    let mut of_key: Vec<Vec<u32>> = vec![Vec::new(); events.keys as usize];
    for (number, event) in (0..).zip(&events.list) {
        of_key[event.key as usize].push(number);
    }
    for of_key in of_key {
        let writes = || of_key.iter().map(|&e| (e, events.at(e))).filter(|(_, e)| e.act == Act::Write);
        // The latest place among the writes that had returned by then, and the first among those sent after it.
        let mut returned: Vec<(u32, i64)> = writes()
            .filter(|(_, e)| e.ret != NEVER)
            .map(|(w, e)| (e.ret, i64::from(place[w as usize])))
            .collect();
        returned.sort_unstable();
        let mut latest = -1;
        returned.iter_mut().for_each(|(_, p)| {
            latest = latest.max(*p);
            *p = latest;
        });
        let mut sent: Vec<(u32, i64)> =
            writes().map(|(w, e)| (e.invoke, i64::from(place[w as usize]))).collect();
        sent.sort_unstable();
        let mut first = i64::MAX;
        sent.iter_mut().rev().for_each(|(_, p)| {
            first = first.min(*p);
            *p = first;
        });
        for &number in &of_key {
            let event = events.at(number);
            let version = match event.act {
                Act::Write => i64::from(place[number as usize]),
                Act::Read(From::Write(w)) => i64::from(place[w as usize]),
                Act::Read(From::Initial) => -1,
                Act::Read(From::Nowhere) => return Err(format!("event {number} saw what nobody wrote")),
            };
            let before = returned.partition_point(|&(ret, _)| ret < event.invoke);
            let after = sent.partition_point(|&(invoke, _)| invoke <= event.ret);
            let too_old = before > 0 && returned[before - 1].1 > version;
            let too_new = event.ret != NEVER && after < sent.len() && sent[after].1 <= version;
            if too_old || too_new {
                return Err(format!("event {number} was not current while it ran"));
            }
        }
    }
    Ok(())
}

/// Whether `proof` shows that `events` do not have `rung`. O(size of the proof, squared).
pub(super) fn proof(events: &Events, rung: Rung, proof: &Proof) -> Result<(), String> {
    if let Some(read) = proof.nowhere {
        let nowhere = read_of(events, read) == Some(From::Nowhere);
        return if nowhere { Ok(()) } else { Err(format!("somebody wrote what event {read} saw")) };
    }
    for (number, step) in proof.steps.iter().enumerate() {
        if step.uses.iter().any(|&used| used >= number) {
            return Err(format!("step {number} builds on a later one"));
        }
        if !valid(events, rung, proof, step) {
            return Err(format!("step {number} does not follow: {step:?}"));
        }
    }
    let circle: Option<Vec<&Step>> = proof.circle.iter().map(|&step| proof.steps.get(step)).collect();
    let circle = circle.filter(|circle| !circle.is_empty()).ok_or("there is no circle")?;
    let closed = (0..circle.len()).all(|i| circle[i].to == circle[(i + 1) % circle.len()].from);
    if !closed {
        return Err("the circle is not closed".to_string());
    }
    scope(events, rung, proof, &circle)
}

/// Whether a step holds by itself, given the steps that it builds on.
fn valid(events: &Events, rung: Rung, proof: &Proof, step: &Step) -> bool {
    let (from, to) = (events.at(step.from), events.at(step.to));
    match step.why {
        Why::Session => !per_key(rung) && from.session == to.session && step.from < step.to,
        Why::Source => !per_key(rung) && to.act == Act::Read(From::Write(step.from)),
        Why::Initial => from.act == Act::Read(From::Initial) && to.act == Act::Write && from.key == to.key,
        Why::Overwritten { reader } => {
            let path: Vec<&Step> = step.uses.iter().map(|&used| &proof.steps[used]).collect();
            let leads = !path.is_empty()
                && path[0].from == step.from
                && path[path.len() - 1].to == reader
                && path.windows(2).all(|two| two[0].to == two[1].from);
            !per_key(rung)
                && leads
                && from.act == Act::Write
                && from.key == to.key
                && step.from != step.to
                && read_of(events, reader) == Some(From::Write(step.to))
        }
        Why::Versions { first, second } => {
            let (a, b) = (events.at(first), events.at(second));
            let version = |event: u32| match events.at(event).act {
                Act::Write => Some(event),
                Act::Read(From::Write(w)) => Some(w),
                Act::Read(From::Initial | From::Nowhere) => None,
            };
            let ends = version(first) == Some(step.from)
                && match version(second) {
                    Some(w) => w == step.to,
                    None => second == step.to && b.act == Act::Read(From::Initial),
                };
            let kinds = (a.act == Act::Write, b.act == Act::Write);
            let session = a.session == b.session && first < second;
            let real_time = a.ret < b.invoke;
            let (write, read) = (true, false);
            // Whether the rung demands it, and whether it demands two different versions.
            let (demanded, strict) = match (rung, kinds) {
                (Rung::ReadYourWrites, k) => (session && k.0 == write, k.1),
                (Rung::MonotonicReads, k) => (session && k == (read, read), false),
                (Rung::MonotonicWrites, k) => (session && (k == (read, read) || k == (write, write)), k.1),
                (Rung::WritesFollowReads, k) => (session && (k == (read, read) || k == (read, write)), k.1),
                (Rung::Regular, k) => (real_time && k != (read, read), k.1),
                (
                    Rung::Linearizable
                    | Rung::Sequential
                    | Rung::Coherence
                    | Rung::CausalConvergence
                    | Rung::CausalMemory
                    | Rung::Causal
                    | Rung::Pram,
                    _,
                ) => (false, false),
            };
            demanded && ends && a.key == b.key && (strict || step.from != step.to)
        }
    }
}

fn per_key(rung: Rung) -> bool {
    match rung {
        Rung::Regular
        | Rung::ReadYourWrites
        | Rung::MonotonicReads
        | Rung::MonotonicWrites
        | Rung::WritesFollowReads => true,
        Rung::Linearizable
        | Rung::Sequential
        | Rung::Coherence
        | Rung::CausalConvergence
        | Rung::CausalMemory
        | Rung::Causal
        | Rung::Pram => false,
    }
}

/// Whether the steps together speak of what the rung promises together: one read, one session, or everybody.
fn scope(events: &Events, rung: Rung, proof: &Proof, circle: &[&Step]) -> Result<(), String> {
    let plain = |step: &Step| matches!(step.why, Why::Session | Why::Source);
    let by_causality = |step: &Step| step.uses.iter().all(|&used| plain(&proof.steps[used]));
    let beyond: Vec<&&Step> = circle.iter().filter(|step| !plain(step)).collect();
    // Whose reads are counted on.
    let mut sessions: Vec<u32> = Vec::new();
    for step in &proof.steps {
        match step.why {
            Why::Overwritten { reader } => sessions.push(events.at(reader).session),
            Why::Initial => sessions.push(events.at(step.from).session),
            Why::Source if rung == Rung::Pram => sessions.push(events.at(step.to).session),
            Why::Source | Why::Session | Why::Versions { .. } => {}
        }
    }
    sessions.sort_unstable();
    sessions.dedup();
    let initial = circle.iter().any(|step| step.why == Why::Initial);
    let fine = match rung {
        Rung::Causal => beyond.len() <= 1 && beyond.iter().all(|step| by_causality(step)),
        Rung::CausalConvergence => proof.steps.iter().all(by_causality) && (!initial || beyond.len() == 1),
        Rung::CausalMemory | Rung::Pram => sessions.len() <= 1,
        // One key, in one order of its versions: each step was looked at. A first version has nothing before it.
        Rung::Regular
        | Rung::ReadYourWrites
        | Rung::MonotonicReads
        | Rung::MonotonicWrites
        | Rung::WritesFollowReads => true,
        Rung::Linearizable | Rung::Sequential | Rung::Coherence => false,
    };
    if fine { Ok(()) } else { Err("the steps do not speak of one thing".to_string()) }
}
