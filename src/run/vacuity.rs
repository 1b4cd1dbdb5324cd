//! Whether a run tested anything: a green verdict over a history in which nothing happened is no verdict.

use super::desk::Hit;
use history::results::FaultRecord;
use history::{Applied, FaultEvent, History, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
use std::collections::{BTreeMap, HashMap};
use workloads::Workload;

/// How much there must be of everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Successful reads.
    pub ok_reads: usize,
    /// Share of keys on which operations of two processes overlapped, 0 to 1.
    pub contended_keys: f64,
    /// Reads, while a fault was in force or within a second after it, that returned another process's write.
    pub fault_reads: usize,
    /// Requests to nodes that a partition had cut off from the majority.
    pub minority_asked: usize,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { ok_reads: 100, contended_keys: 0.5, fault_reads: 20, minority_asked: 20 }
    }
}

/// How long a fault is still felt after it was healed and somebody was served again, in nanoseconds.
const AFTERMATH_NS: i64 = 1_000_000_000;
/// How long after that, for a fault at the primary, a change of roles still counts as its consequence, in nanoseconds.
const ROLE_NS: i64 = 5_000_000_000;

/// Why a run tested too little to mean anything, one sentence each; nothing if it did not.
///
/// `requested` are the kinds of fault that were asked for. O(ops), and for reads near faults O(ops of their key).
pub fn vacuous(
    history: &History,
    workload: &dyn Workload,
    requested: &[&str],
    faults: &[FaultRecord],
    hits: &[Hit],
    thresholds: &Thresholds,
) -> Vec<String> {
    let seen = Seen { history, workload, faults, hits };
    let mut said = Vec::new();
    let reads = seen.reads().count();
    if reads < thresholds.ok_reads {
        said.push(format!("Only {reads} reads were answered; {} are needed.", thresholds.ok_reads));
    }
    let (contended, keys) = seen.contended();
    if (contended as f64) < thresholds.contended_keys * keys as f64 {
        let percent = thresholds.contended_keys * 100.0;
        said.push(format!("On only {contended} of {keys} keys operations of two processes overlapped; {percent:.0} % are needed."));
    }
    for kind in requested {
        if !faults.iter().any(|f| f.kind == *kind && f.bit.is_some()) {
            let tried = faults.iter().filter(|f| f.kind == *kind).count();
            said.push(format!("No fault of the kind {kind} was seen to bite ({tried} injected)."));
        }
    }
    if !requested.is_empty() {
        let near = seen.reads_near_faults(thresholds.fault_reads);
        if near < thresholds.fault_reads {
            said.push(format!(
                "Only {near} reads during a fault or within a second after it returned another process's write; {} are needed.",
                thresholds.fault_reads
            ));
        }
        said.extend(seen.minority_unasked(thresholds.minority_asked));
        said.extend(seen.role_unchanged());
        said.extend(seen.lease_kept());
    }
    said
}

struct Seen<'a> {
    history: &'a History,
    workload: &'a dyn Workload,
    faults: &'a [FaultRecord],
    hits: &'a [Hit],
}

impl Seen<'_> {
    fn value(&self, id: ValueId) -> &Value {
        self.history.values.get(id)
    }

    fn is_one_of(&self, op: &Op, functions: &[&str]) -> bool {
        self.value(op.f).as_text().is_some_and(|f| functions.contains(&f))
    }

    /// Answered operations that show what others did.
    fn reads(&self) -> impl Iterator<Item = &Op> {
        let observes = self.workload.observes();
        let answered = |op: &&Op| op.outcome == Outcome::Ok && op.applied != Applied::No;
        self.history.ops.iter().filter(answered).filter(|op| self.is_one_of(op, observes))
    }

    /// Keys on which operations of two processes overlapped, and all keys.
    fn contended(&self) -> (usize, usize) {
        let mut keys: BTreeMap<ValueId, (u32, u32, bool)> = BTreeMap::new();
        for op in &self.history.ops {
            let (ret, process, contended) = keys.entry(op.key).or_insert((0, op.process, false));
            *contended |= *process != op.process && op.invoke < *ret;
            // An operation that was never answered overlaps everything after it, which proves nothing.
            if op.ret != NEVER && op.ret > *ret {
                (*ret, *process) = (op.ret, op.process);
            }
        }
        (keys.values().filter(|(_, _, contended)| *contended).count(), keys.len())
    }

    /// When a fault that bit was felt.
    fn felt(&self, fault: &FaultRecord) -> Option<(i64, i64)> {
        fault.bit?;
        Some((fault.injected, self.over(fault).saturating_add(AFTERMATH_NS)))
    }

    /// When a fault was over: healed, and a request that was made after that was answered. Some systems need seconds
    /// until they have found together again, and what they answer first is what the fault has left behind.
    fn over(&self, fault: &FaultRecord) -> i64 {
        let Some(healed) = fault.healed else { return i64::MAX };
        let served =
            |op: &&Op| op.outcome == Outcome::Ok && op.invoke_time >= healed && op.ret_time != NO_TIME;
        self.history.ops.iter().filter(served).map(|op| op.ret_time).min().unwrap_or(healed)
    }

    /// Counts no further than `enough`.
    fn reads_near_faults(&self, enough: usize) -> usize {
        let spans: Vec<(i64, i64)> = self.faults.iter().filter_map(|f| self.felt(f)).collect();
        let mut writes: HashMap<ValueId, Vec<&Op>> = HashMap::new();
        for op in self.history.ops.iter().filter(|op| self.is_one_of(op, self.workload.writes())) {
            writes.entry(op.key).or_default().push(op);
        }
        let near = |op: &Op| {
            op.ret_time != NO_TIME
                && spans.iter().any(|&(from, to)| op.ret_time >= from && op.invoke_time <= to)
        };
        let shows_others = |read: &Op| {
            let f = |write: &Op| self.value(write.f).as_text().unwrap_or("");
            let shows = |w: &&&Op| self.workload.shows(self.value(read.output), f(w), self.value(w.input));
            let of_key = writes.get(&read.key).map_or(&[][..], Vec::as_slice);
            of_key.iter().filter(|w| w.invoke < read.ret).any(|w| w.process != read.process && shows(&w))
        };
        self.reads().filter(|op| near(op) && shows_others(op)).take(enough).count()
    }

    /// The other side of a partition must have been asked, or that it does not answer was never tried.
    fn minority_unasked(&self, enough: usize) -> Option<String> {
        let mut cut_off = false;
        let mut asked = 0;
        for hit in self.hits.iter().filter(|h| !h.cut_off.is_empty()) {
            let Some(fault) = self.faults.iter().find(|f| f.id == hit.fault && f.bit.is_some()) else {
                continue;
            };
            cut_off = true;
            let until = fault.healed.unwrap_or(i64::MAX);
            let there = |op: &&Op| {
                let node = self.value(op.node).as_text().unwrap_or("");
                op.invoke_time >= fault.injected
                    && op.invoke_time <= until
                    && hit.cut_off.iter().any(|n| n == node)
            };
            asked += self.history.ops.iter().filter(there).count();
        }
        (cut_off && asked < enough).then(|| {
            format!("Nodes that were cut off from the majority were asked only {asked} times meanwhile; {enough} are needed.")
        })
    }

    /// Faults at the primary must have moved the role at least once, where there is one.
    fn role_unchanged(&self) -> Option<String> {
        let at_primary: Vec<&FaultRecord> = self
            .hits
            .iter()
            .filter(|h| h.primary)
            .filter_map(|h| self.faults.iter().find(|f| f.id == h.fault && f.bit.is_some()))
            .collect();
        let changed = |fault: &&FaultRecord| {
            let until = self.over(fault).saturating_add(ROLE_NS);
            let within = |e: &&FaultEvent| e.time > fault.injected && e.time <= until;
            // That nobody is primary any more is no move.
            let moved = |e: &FaultEvent| history::primaries(e).is_some_and(|nodes| !nodes.is_empty());
            self.history.faults.iter().filter(within).any(moved)
        };
        (!at_primary.is_empty() && !at_primary.iter().any(changed))
            .then(|| "Faults hit the primary, but the role never changed.".to_string())
    }

    /// A lock that nobody ever lost to a lease was not tested as one.
    fn lease_kept(&self) -> Option<String> {
        if self.workload.name() != "lock" {
            return None;
        }
        let mut holder: HashMap<ValueId, u32> = HashMap::new();
        for op in self.history.ops.iter().filter(|op| op.outcome == Outcome::Ok && op.applied != Applied::No)
        {
            match self.value(op.f).as_text() {
                Some("acquire") => {
                    let before = holder.insert(op.key, op.process);
                    if before.is_some() {
                        return None;
                    }
                }
                Some("release") => drop(holder.remove(&op.key)),
                Some(_) | None => {}
            }
        }
        Some("No lease ever expired: every holder released the lock before the next one got it.".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::{Event, Kind};

    const MS: i64 = 1_000_000;

    /// `writes` writes by process 0, each read by process 1 while the next is being written, one every 10 ms.
    fn busy(writes: i64) -> History {
        let mut events = Vec::new();
        for i in 0..writes {
            let (at, key) = (i * 10 * MS, || Some(Value::text(&format!("k{}", i / 20))));
            let mut push = |t, process, kind, f: &str, value: i64| {
                let value = if value == 0 { Value::Null } else { Value::Int(value) };
                let mut event = Event::client(at + t * MS, process, kind, f, key(), value);
                event.node = Some(format!("n{}", process + 1));
                events.push(event);
            };
            push(0, 0, Kind::Invoke, "write", i + 1);
            push(1, 1, Kind::Invoke, "read", 0);
            push(2, 0, Kind::Ok, "write", i + 1);
            push(3, 1, Kind::Ok, "read", i + 1);
        }
        history::pair(events).expect("well-formed")
    }

    fn fault(kind: &str, from_ms: i64, to_ms: i64, bit: bool) -> FaultRecord {
        FaultRecord {
            id: 1,
            kind: kind.to_string(),
            what: String::new(),
            nodes: Vec::new(),
            injected: from_ms * MS,
            bit: bit.then_some(from_ms * MS),
            evidence: None,
            healed: Some(to_ms * MS),
            error: None,
        }
    }

    fn check(history: &History, faults: &[FaultRecord], hits: &[Hit], expected: &[&str]) {
        let kinds: Vec<&str> = faults.iter().map(|f| f.kind.as_str()).collect();
        let workload = workloads::find("register").expect("there is a register");
        let said = vacuous(history, workload, &kinds, faults, hits, &Thresholds::default());
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{said:?} does not contain {expected:?}");
        }
    }

    #[test]
    fn a_busy_run_under_a_fault_that_bit_is_not_vacuous() {
        check(&busy(120), &[fault("clock", 100, 400, true)], &[], &[]);
    }

    #[test]
    fn few_reads_are_too_few() {
        check(&busy(40), &[fault("clock", 100, 400, true)], &[], &["Only 40 reads"]);
    }

    #[test]
    fn a_fault_that_never_bit_was_none() {
        check(
            &busy(120),
            &[fault("clock", 100, 400, false)],
            &[],
            &["kind clock was seen to bite (1 injected)", "Only 0 reads during"],
        );
    }

    #[test]
    fn a_fault_in_the_quiet_after_the_last_read_tested_nothing() {
        check(&busy(120), &[fault("clock", 5000, 6000, true)], &[], &["Only 0 reads during"]);
    }

    #[test]
    fn a_minority_that_was_not_asked_says_nothing() {
        let faults = [fault("partition", 100, 200, true)];
        let hit = |node: &str| Hit { fault: 1, cut_off: vec![node.to_string()], primary: false };
        check(&busy(120), &faults, &[hit("n3")], &["asked only 0 times"]);
        check(&busy(120), &[fault("partition", 100, 500, true)], &[hit("n2")], &[]);
    }

    #[test]
    fn a_primary_that_stayed_primary_was_not_hit() {
        let hit = Hit { fault: 1, cut_off: Vec::new(), primary: true };
        check(&busy(120), &[fault("pause", 100, 400, true)], &[hit], &["the role never changed"]);
    }

    #[test]
    fn keys_that_one_process_has_to_itself_show_nothing() {
        let mut events = Vec::new();
        for i in 0..120 {
            let key = || Some(Value::Int(i / 10));
            events.push(Event::client(i * 2, 0, Kind::Invoke, "read", key(), Value::Null));
            events.push(Event::client(i * 2 + 1, 0, Kind::Ok, "read", key(), Value::Null));
        }
        let history = history::pair(events).expect("well-formed");
        check(&history, &[], &[], &["On only 0 of 12 keys"]);
    }
}
