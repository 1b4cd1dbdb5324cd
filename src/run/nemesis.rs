//! The thread of the nemesis: carries out the schedule, proves every fault, answers its wishes, undoes it.

use super::desk::FaultId;
use super::progress::Progress;
use super::recorder::Watch;
use super::stage::{Handle, Session, Stage, StageError};
use history::{Kind, Process};
use nemesis::{Asked, Claim, Cue, Drive, Fault, Planned, Trigger};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often faults are looked after, at least.
const TICK: Duration = Duration::from_millis(10);
/// How often it is tried to prove a fault, or its end.
const PROBE: Duration = Duration::from_millis(100);
/// How often roles are asked for.
const ROLES: Duration = Duration::from_millis(250);
/// How long the next fault waits until the cluster serves again after the last one. What serves nobody is not hurt by
/// anything, and some systems need many seconds; but one that does not come back is hurt while it does not, too.
const RECOVERY: Duration = Duration::from_secs(20);
/// How much longer a fault may stay that has not been seen to bite yet.
const UNPROVED: Duration = Duration::from_millis(1500);
/// Sessions for a fault that asks a node something.
const ASKERS: usize = 2;

/// Carries out `planned` until `stop`. Whatever is in force then is left to be healed by the stage.
pub(super) fn haunt(stage: &Stage, planned: Vec<Planned>, stop: &AtomicBool, progress: &Progress) {
    let mut haunting = Haunting {
        stage,
        progress,
        watch: stage.watch(),
        start: Instant::now(),
        due: VecDeque::new(),
        armed: Vec::new(),
        active: Vec::new(),
        healing: Vec::new(),
        primaries: None,
        roles_at: Instant::now(),
        healed: None,
        lost: Duration::ZERO,
        paused: None,
        left_out: 0,
    };
    let mut planned = VecDeque::from(planned);
    while !stop.load(Ordering::SeqCst) && !stage.recorder().broken() {
        haunting.obey();
        while let Some(late) = planned.front().and_then(|p| haunting.start.elapsed().checked_sub(p.at)) {
            if haunting.recovering() {
                // All that is planned comes so much later.
                haunting.lost = haunting.lost.max(late);
                break;
            }
            if late < haunting.lost {
                break;
            }
            let Some(due) = planned.pop_front() else { break };
            if haunting.paused.is_some() {
                haunting.left_out += 1;
            } else if due.wanted.cue.is_some() {
                haunting.arm(due);
            } else {
                haunting.due.push_back((due, None));
            }
        }
        if !haunting.recovering() {
            haunting.begin_due();
        }
        haunting.listen();
        haunting.look_after();
        haunting.see_healed();
        haunting.ask_roles();
        progress.next_fault(planned.front().map(|p| (p.wanted.kind, p.at + haunting.lost)));
    }
    haunting.go_on();
    for armed in &haunting.armed {
        stage.note(format!("What {} waits for did not happen any more.", armed.planned.wanted));
    }
    for active in haunting.active {
        active.askers.into_iter().for_each(|a| stage.close(a.session));
    }
}

struct Haunting<'a> {
    stage: &'a Stage,
    progress: &'a Progress,
    watch: Watch,
    start: Instant,
    /// Their time has come, but something that they would disturb is in force; with the node that they are aimed at.
    due: VecDeque<(Planned, Option<usize>)>,
    /// Their time has come, but what they wait for has not happened.
    armed: Vec<Armed>,
    active: Vec<Active>,
    healing: Vec<(FaultId, Instant)>,
    /// Who was primary when it was last asked; none before.
    primaries: Option<BTreeSet<(usize, u64)>>,
    roles_at: Instant,
    /// When a fault was healed, if nobody was served since.
    healed: Option<Instant>,
    /// How much later than planned faults come, because the cluster had to recover first.
    lost: Duration,
    /// Since when somebody wants no faults.
    paused: Option<Duration>,
    /// Faults that were planned for the time since then.
    left_out: usize,
}

/// A fault that waits for its cue.
struct Armed {
    planned: Planned,
    trigger: Trigger,
    /// The node that it is aimed at, if the cue does not say.
    aim: Option<usize>,
}

/// A fault in force.
struct Active {
    id: FaultId,
    since: Instant,
    length: Duration,
    bit: bool,
    proved_at: Instant,
    askers: Vec<Asker>,
}

/// A session for what a fault wants to be asked.
struct Asker {
    session: Session,
    node: usize,
    open: Option<Handle>,
}

impl Asker {
    fn new(session: Session, node: usize) -> Asker {
        Asker { session, node, open: None }
    }

    /// Whether no call of it is open.
    fn free(&mut self) -> bool {
        if self.open.as_ref().is_some_and(|h| h.wait_for(Duration::ZERO).is_some()) {
            self.open = None;
        }
        self.open.is_none()
    }
}

fn clash(a: &[Claim], b: &[Claim]) -> bool {
    a.iter().any(|x| b.contains(x))
}

impl Haunting<'_> {
    /// Does what somebody at the keyboard wants.
    fn obey(&mut self) {
        let wishes = self.progress.wishes();
        if wishes.heal.swap(false, Ordering::SeqCst) {
            let seconds = self.start.elapsed().as_secs_f64();
            self.stage.note(format!(
                "At {seconds:.1} s somebody asked for healing: {} ended early.",
                self.active.len()
            ));
            // They are healed as if their time had come.
            self.active.iter_mut().for_each(|active| (active.length, active.bit) = (Duration::ZERO, true));
            self.due.clear();
        }
        match (wishes.pause.load(Ordering::SeqCst), self.paused) {
            (true, None) => {
                self.paused = Some(self.start.elapsed());
                self.left_out = self.due.len() + self.armed.len();
                self.due.clear();
                self.armed.clear();
                self.progress.paused(true);
            }
            (false, Some(_)) => self.go_on(),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Ends a pause, if there is one.
    fn go_on(&mut self) {
        if let Some(since) = self.paused.take() {
            let (from, to) = (since.as_secs_f64(), self.start.elapsed().as_secs_f64());
            self.stage.note(format!(
                "From {from:.1} s to {to:.1} s somebody paused the faults: {} planned ones were left out.",
                self.left_out
            ));
            self.progress.paused(false);
        }
    }

    /// Whether the cluster has not served anybody since the last fault was healed, and has time left for it.
    fn recovering(&self) -> bool {
        self.healed.is_some_and(|healed| healed.elapsed() < RECOVERY)
    }

    /// Injects what is due, the oldest first, as far as nothing in force stands in its way.
    fn begin_due(&mut self) {
        let mut later = VecDeque::new();
        while let Some((planned, at)) = self.due.pop_front() {
            if let Err(planned) = self.begin(planned, at) {
                later.push_back((planned, at));
            }
        }
        self.due = later;
    }

    /// Waits for the cue of a fault whose time has come. One of a sort at a time.
    fn arm(&mut self, planned: Planned) {
        let Some(cue) = planned.wanted.cue.clone() else { return };
        if self.armed.iter().any(|armed| armed.planned.wanted == planned.wanted) {
            return;
        }
        let cluster = self.stage.running().cluster();
        let names = cluster.nodes();
        let writes: Vec<String> = self.stage.workload().writes().iter().map(|w| w.to_string()).collect();
        let (trigger, aim) = match cue {
            // Nobody has that name, so any node is another.
            Cue::Write => (Trigger::Acknowledged { node: String::new(), through: false, writes }, None),
            Cue::OtherWrite => {
                let aim = nemesis::primary(cluster).unwrap_or(planned.seed as usize % names.len());
                (Trigger::Acknowledged { node: names[aim].clone(), through: false, writes }, Some(aim))
            }
            Cue::Role => (Trigger::RoleChanged, None),
            Cue::Log(text) => {
                if let Err(error) = self.stage.want_log(&text) {
                    self.stage.note(format!("{} waits in vain: {error}.", planned.wanted));
                    return;
                }
                (Trigger::Logged(text), None)
            }
        };
        self.progress.event(&format!("{} waits for its cue", planned.wanted));
        self.armed.push(Armed { planned, trigger, aim });
    }

    /// Lets loose whatever has waited for this event.
    fn cue(&mut self, event: &history::Event) {
        let names = self.stage.desk().names();
        let mut at = 0;
        while at < self.armed.len() {
            let Some(words) = self.armed[at].trigger.fires(event) else {
                at += 1;
                continue;
            };
            let Armed { planned, trigger, aim } = self.armed.remove(at);
            let there = event.node.as_ref().and_then(|node| names.iter().position(|name| name == node));
            let aim = match trigger {
                Trigger::RoleChanged => nemesis::primary(self.stage.running().cluster()),
                Trigger::Acknowledged { .. } | Trigger::Logged(_) => aim.or(there),
            };
            self.stage.trigger(None, &words);
            self.progress.event(&words);
            if let Err(planned) = self.begin(planned, aim) {
                self.due.push_back((planned, aim));
            }
        }
    }

    /// `Err` gives back what has to wait.
    fn begin(&mut self, planned: Planned, at: Option<usize>) -> Result<(), Planned> {
        let desk = self.stage.desk();
        let writes = self.stage.workload().writes();
        let cluster = self.stage.running().cluster();
        // Looking at claims first costs nothing; drawing a fault asks the nodes for their roles.
        let busy = desk.claims();
        let wanted = &planned.wanted;
        if clash(nemesis::claims(wanted.kind), &busy) {
            return Err(planned);
        }
        let fault = match nemesis::make(wanted, planned.nth, planned.seed, cluster, writes, at) {
            Ok(fault) => fault,
            Err(error) => {
                self.stage.note(format!("No {wanted} could be drawn: {error}."));
                return Ok(());
            }
        };
        if clash(&fault.claims(), &busy) {
            return Err(planned);
        }
        let Ok(askers) = self.open_askers(&*fault) else {
            // Perhaps that node is never asked anything by clients: the next draw is another.
            return Err(Planned { seed: planned.seed.wrapping_add(1), ..planned });
        };
        match desk.inject(fault) {
            Ok(id) => {
                let what = desk.records().get(id as usize - 1).map(|r| r.what.clone()).unwrap_or_default();
                self.progress.event(&format!("{} {what}", planned.wanted.kind));
                let now = Instant::now();
                let length = planned.length;
                desk.lasts(id, length);
                self.active.push(Active {
                    id,
                    since: now,
                    length,
                    bit: false,
                    proved_at: now - PROBE,
                    askers,
                });
            }
            Err(error) => {
                self.progress.event(&format!("{} failed: {error}", planned.wanted));
                askers.into_iter().for_each(|a| self.stage.close(a.session));
            }
        }
        Ok(())
    }

    /// Opens the sessions that a fault needs to have been opened before it.
    fn open_askers(&self, fault: &dyn Fault) -> Result<Vec<Asker>, StageError> {
        let mut askers: Vec<Asker> = Vec::new();
        for node in fault.needs_sessions() {
            for _ in 0..ASKERS {
                match self.stage.open(node) {
                    Ok(session) => askers.push(Asker::new(session, node)),
                    Err(error) => {
                        askers.into_iter().for_each(|a| self.stage.close(a.session));
                        return Err(error);
                    }
                }
            }
        }
        Ok(askers)
    }

    /// Hears what has happened; this is also how time passes here.
    fn listen(&mut self) {
        let mut next = self.watch.next(TICK);
        while let Some(event) = next {
            self.active.iter().for_each(|a| self.stage.desk().saw(a.id, &event));
            if event.kind == Kind::Ok && matches!(event.process, Process::Client(_)) {
                self.healed = None;
            }
            self.cue(&event);
            next = self.watch.ready();
        }
    }

    fn look_after(&mut self) {
        let mut over = Vec::new();
        for at in 0..self.active.len() {
            let mut drive = self.stage.desk().drive(self.active[at].id);
            if let Ok(Drive::Ask(asked)) = &drive {
                self.ask(at, asked);
                // Looking after the others may take longer than a fault waits before it asks again: one that always
                // asks would never be over.
                drive = self.stage.desk().drive(self.active[at].id);
                self.active[at].bit |= self.stage.desk().prove(self.active[at].id).unwrap_or(false);
            }
            let active = &mut self.active[at];
            // The first proof is looked for at once: the last moment of a short fault may be too late.
            if !active.bit && active.proved_at.elapsed() >= PROBE {
                active.proved_at = Instant::now();
                // A node that cannot be asked now is asked again.
                active.bit = self.stage.desk().prove(active.id).unwrap_or(false);
            }
            let age = active.since.elapsed();
            let long = age >= active.length && (active.bit || age >= active.length + UNPROVED);
            match drive {
                Ok(Drive::Busy) => {}
                Ok(Drive::Idle) if !long => {}
                Ok(Drive::Idle | Drive::Over) => over.push(at),
                Ok(Drive::Fired(words)) => {
                    self.stage.trigger(Some(active.id), &words);
                    self.progress.event(&words);
                }
                // Again at once: the next look is soon enough.
                Ok(Drive::Ask(_)) => {}
                Err(error) => {
                    self.stage.note(format!("Fault {}: {error}.", active.id));
                    over.push(at);
                }
            }
        }
        for at in over.into_iter().rev() {
            let active = self.active.remove(at);
            if let Err(error) = self.stage.desk().begin_heal(active.id) {
                // It stays in the journal, and is tried again.
                self.progress.event(&format!("healing: {error}"));
            }
            self.healing.push((active.id, Instant::now() - PROBE));
            self.healed = Some(Instant::now());
            active.askers.into_iter().for_each(|a| self.stage.close(a.session));
        }
    }

    /// Makes the request that a fault in force wants to be made.
    fn ask(&mut self, at: usize, asked: &Asked) {
        let active = &mut self.active[at];
        // A fault that needs no sessions from before it gets them when it asks.
        while active.askers.iter().filter(|a| a.node == asked.node).count() < ASKERS {
            let Ok(session) = self.stage.session(asked.node) else { break };
            active.askers.push(Asker::new(session, asked.node));
        }
        let call = self.stage.workload().fresh(asked.key.as_ref());
        for asker in active.askers.iter_mut().filter(|a| a.node == asked.node) {
            if asker.free() {
                asker.open = Some(self.stage.call(asker.session, call.clone(), asked.timeout));
            }
        }
    }

    fn see_healed(&mut self) {
        let (stage, progress) = (self.stage, self.progress);
        self.healing.retain_mut(|(id, tried)| {
            if tried.elapsed() < PROBE {
                return true;
            }
            *tried = Instant::now();
            match stage.desk().begin_heal(*id).and_then(|()| stage.desk().check_healed(*id)) {
                Ok(true) => {
                    let kind = stage.desk().records().get(*id as usize - 1).map(|r| r.kind.clone());
                    progress.event(&format!("healed {}", kind.unwrap_or_default()));
                    false
                }
                // A node that is paused or dead by another fault cannot tell; it is asked again.
                Ok(false) | Err(_) => true,
            }
        });
    }

    /// Writes into the history who takes himself for primary, whenever that changes.
    fn ask_roles(&mut self) {
        if self.roles_at.elapsed() < ROLES {
            return;
        }
        self.roles_at = Instant::now();
        let primaries: BTreeSet<(usize, u64)> = self.stage.primaries().into_iter().collect();
        // A system without the role never has one; that there is none any more is worth a line.
        let before = self.primaries.as_ref();
        if before == Some(&primaries) || (primaries.is_empty() && before.is_none()) {
            return;
        }
        let named = self.stage.desk().roles(primaries.iter().copied());
        let words = history::role_text(&named);
        self.progress.primaries(named.into_iter().map(|(node, _)| node).collect());
        if self.primaries.is_some() {
            self.progress.event(&words);
        }
        self.primaries = Some(primaries);
    }
}
