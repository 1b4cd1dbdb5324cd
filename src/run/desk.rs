//! Where faults are injected, proved, healed, and written into the history.

use super::recorder::Recorder;
use history::results::FaultRecord;
use history::{Event, Kind, Phase, Process, Value};
use nemesis::{Claim, Cluster, Drive, Fault, Journal, Site};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of a fault.
pub type FaultId = u32;

/// How long the undoing of a fault may take until it is seen.
pub const HEAL_MAX: Duration = Duration::from_secs(10);

/// All faults of a run.
pub struct Desk {
    journal: Journal,
    recorder: Arc<Recorder>,
    inner: Mutex<Inner>,
    /// What is in force, for whoever only wants to show it: `inner` is held while a probe waits for its answer.
    shown: Mutex<BTreeMap<FaultId, Shown>>,
}

/// A fault in force, for the display.
struct Shown {
    what: String,
    since: Instant,
    /// How long it is meant to last.
    length: Option<Duration>,
}

/// A fault in force, as the display shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its kind and what it did: `clock n3 +30 s`.
    pub what: String,
    /// Since when.
    pub age: Duration,
    /// How much longer it is meant to last, if somebody has planned that.
    pub left: Option<Duration>,
}

#[derive(Default)]
struct Inner {
    open: BTreeMap<FaultId, Open>,
    records: Vec<FaultRecord>,
    hits: Vec<Hit>,
}

/// A fault that is in force, or whose end was not seen yet.
struct Open {
    fault: Box<dyn Fault>,
    since: Instant,
    healing: bool,
}

/// What a fault was aimed at, for judging whether its consequence was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The fault.
    pub fault: FaultId,
    /// Nodes without contact to a majority.
    pub cut_off: Vec<String>,
    /// Whether it was aimed at the primary.
    pub primary: bool,
}

impl Desk {
    /// A desk for a healthy cluster.
    pub fn new(cluster: Arc<dyn Cluster>, recorder: Arc<Recorder>) -> Desk {
        Desk { journal: Journal::new(cluster), recorder, inner: Mutex::default(), shown: Mutex::default() }
    }

    /// The journal holds after a panic; so do the records.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<FaultId, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn site(&self, id: FaultId) -> Site<'_> {
        Site { journal: &self.journal, id }
    }

    /// The names of the nodes.
    pub fn names(&self) -> &[String] {
        self.journal.cluster().nodes()
    }

    /// Does it. An error leaves nothing of it in force.
    pub fn inject(&self, mut fault: Box<dyn Fault>) -> Result<FaultId, String> {
        let mut inner = self.inner();
        let id = inner.records.len() as FaultId + 1;
        let (kind, names) = (fault.kind(), self.names());
        let nodes: Vec<String> = fault.nodes().into_iter().filter_map(|n| names.get(n).cloned()).collect();
        let before = self.recorder.now();
        let injected = fault.inject(&self.site(id));
        let what = injected.clone().unwrap_or_else(|error| format!("failed: {error}"));
        let time = self.write(kind, Some(id), Some(Phase::Inject), &what).unwrap_or(before);
        let since = Instant::now();
        self.shown().insert(id, Shown { what: format!("{kind} {what}"), since, length: None });
        inner.records.push(FaultRecord {
            id,
            kind: kind.to_string(),
            what,
            nodes,
            injected: time,
            bit: None,
            evidence: None,
            healed: None,
            error: injected.clone().err(),
        });
        let cut_off = fault.cut_off().into_iter().filter_map(|n| names.get(n).cloned()).collect();
        inner.hits.push(Hit { fault: id, cut_off, primary: fault.hits_primary() });
        inner.open.insert(id, Open { fault, since, healing: false });
        drop(inner);
        match injected {
            Ok(_) => Ok(id),
            Err(error) => {
                // What was half done is undone; the error that counts is the first.
                let _ = self.begin_heal(id);
                Err(error)
            }
        }
    }

    /// Looks for evidence that a fault bites, and writes down the first. True if there is some, or was before.
    pub fn prove(&self, id: FaultId) -> Result<bool, String> {
        let mut inner = self.inner();
        let at = id as usize - 1;
        if inner.records.get(at).is_none_or(|r| r.bit.is_some()) {
            return Ok(inner.records.get(at).is_some());
        }
        let Some(open) = inner.open.get_mut(&id).filter(|o| !o.healing) else { return Ok(false) };
        let kind = open.fault.kind();
        let Some(evidence) = open.fault.bit(&self.site(id))? else { return Ok(false) };
        let time = self.write(kind, Some(id), Some(Phase::Bit), &evidence);
        inner.records[at].bit = time.or_else(|| Some(self.recorder.now()));
        inner.records[at].evidence = Some(evidence);
        Ok(true)
    }

    /// Looks for evidence until there is some or the time is over.
    pub fn prove_within(&self, id: FaultId, timeout: Duration) -> Result<bool, String> {
        let end = Instant::now() + timeout;
        loop {
            let tried = self.prove(id);
            if matches!(tried, Ok(true)) || Instant::now() >= end {
                return tried;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells a fault of an event.
    pub fn saw(&self, id: FaultId, event: &Event) {
        if let Some(open) = self.inner().open.get_mut(&id) {
            open.fault.saw(event, &self.site(id));
        }
    }

    /// Asks a fault what it wants. `Over` if it is not in force.
    pub fn drive(&self, id: FaultId) -> Result<Drive, String> {
        match self.inner().open.get_mut(&id) {
            Some(open) if !open.healing => open.fault.drive(&self.site(id), open.since.elapsed()),
            Some(_) | None => Ok(Drive::Over),
        }
    }

    /// What faults that are in force have claimed.
    pub fn claims(&self) -> Vec<Claim> {
        self.inner().open.values().flat_map(|o| o.fault.claims()).collect()
    }

    /// Undoes a fault. Whether that is seen is another question.
    pub fn begin_heal(&self, id: FaultId) -> Result<(), String> {
        let mut inner = self.inner();
        let Some(open) = inner.open.get_mut(&id) else { return Ok(()) };
        if !open.healing {
            open.healing = true;
            self.write(open.fault.kind(), Some(id), Some(Phase::Heal), "");
        }
        open.fault.heal(&self.site(id))
    }

    /// Whether a fault that is being healed is seen to be gone.
    pub fn check_healed(&self, id: FaultId) -> Result<bool, String> {
        let mut inner = self.inner();
        let Some(open) = inner.open.get_mut(&id) else { return Ok(true) };
        if !open.healing || self.journal.open().contains(&id) || !open.fault.healed(&self.site(id))? {
            return Ok(false);
        }
        let kind = open.fault.kind();
        let time = self.write(kind, Some(id), Some(Phase::Healed), "");
        inner.open.remove(&id);
        self.shown().remove(&id);
        let record = &mut inner.records[id as usize - 1];
        record.healed = time.or_else(|| Some(self.recorder.now()));
        Ok(true)
    }

    /// Undoes a fault and waits until that is seen.
    pub fn heal(&self, id: FaultId) -> Result<(), String> {
        self.wait_healed(&[id], HEAL_MAX)
    }

    /// Undoes everything and waits until that is seen. The error names all that is left, and is in the records, too.
    pub fn heal_all(&self, timeout: Duration) -> Result<(), String> {
        let open: Vec<FaultId> = self.inner().open.keys().copied().collect();
        let healed = self.wait_healed(&open, timeout);
        // Nothing should be left; but the journal knows more than the faults do.
        healed.and(self.journal.undo_all())
    }

    fn wait_healed(&self, ids: &[FaultId], timeout: Duration) -> Result<(), String> {
        let end = Instant::now() + timeout;
        let mut left: Vec<FaultId> = ids.to_vec();
        loop {
            let mut errors: Vec<(FaultId, String)> = Vec::new();
            left.retain(|&id| match self.begin_heal(id).and_then(|()| self.check_healed(id)) {
                Ok(true) => false,
                Ok(false) => {
                    errors.push((id, "its undoing was not seen".to_string()));
                    true
                }
                Err(error) => {
                    errors.push((id, error));
                    true
                }
            });
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(self.give_up(&errors));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn give_up(&self, errors: &[(FaultId, String)]) -> String {
        let mut inner = self.inner();
        let mut said = Vec::new();
        for (id, error) in errors {
            let record = &mut inner.records[*id as usize - 1];
            let text = format!("healing {} {}: {error}", record.kind, record.what);
            record.error = Some(text.clone());
            said.push(text);
        }
        said.join("; ")
    }

    /// What was done so far.
    pub fn records(&self) -> Vec<FaultRecord> {
        self.inner().records.clone()
    }

    /// What it was aimed at.
    pub fn hits(&self) -> Vec<Hit> {
        self.inner().hits.clone()
    }

    /// How long a fault is meant to last; only shown.
    pub fn lasts(&self, id: FaultId, length: Duration) {
        if let Some(shown) = self.shown().get_mut(&id) {
            shown.length = Some(length);
        }
    }

    /// What is in force. Waits for nobody.
    pub fn in_force(&self) -> Vec<InForce> {
        let in_force = |shown: &Shown| {
            let age = shown.since.elapsed();
            let left = shown.length.map(|length| length.saturating_sub(age));
            InForce { what: shown.what.clone(), age, left }
        };
        self.shown().values().map(in_force).collect()
    }

    /// An event of the nemesis that is no phase of a fault: `trigger`, `role`.
    pub fn event(&self, f: &str, fault: Option<FaultId>, value: &str) {
        self.write(f, fault, None, value);
    }

    /// Writes into the history who takes himself for primary now, with his term, and gives their names.
    pub fn roles(&self, primaries: impl IntoIterator<Item = (usize, u64)>) -> Vec<(String, u64)> {
        let names = self.names();
        let named: Vec<(String, u64)> =
            primaries.into_iter().map(|(node, term)| (names[node].clone(), term)).collect();
        self.event(history::ROLE, None, &history::role_text(&named));
        named
    }

    /// The same, of something that happened on a node.
    pub fn event_of(&self, f: &str, node: usize, value: &str) {
        let mut event = self.made(f, None, None, value);
        event.node = self.names().get(node).cloned();
        // A history that cannot be written is found out by the run itself.
        let _ = self.recorder.record(event);
    }

    /// That the controller itself stood still for so long, until now.
    pub fn stall(&self, length: Duration) {
        let length = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        let event = Event { value: Value::Int(length), ..self.made(history::STALL, None, None, "") };
        let _ = self.recorder.record(event);
    }

    /// The time of the event; none if the history cannot be written, which the run finds out by itself.
    fn write(&self, f: &str, fault: Option<FaultId>, phase: Option<Phase>, value: &str) -> Option<i64> {
        self.recorder.record(self.made(f, fault, phase, value)).ok()
    }

    fn made(&self, f: &str, fault: Option<FaultId>, phase: Option<Phase>, value: &str) -> Event {
        let value = if value.is_empty() { Value::Null } else { Value::text(value) };
        let mut event = Event::client(0, 0, Kind::Info, f, None, value);
        event.process = Process::Other("nemesis".to_string());
        (event.fault, event.phase) = (fault, phase);
        event
    }
}
