//! A leader that stands still while others go on, and is asked something at the moment it wakes up.

use crate::cluster::NodeState;
use crate::fault::{Asked, Claim, Drive, Fault, Site};
use crate::trigger::Trigger;
use history::{Event, Kind, Process, Value};
use std::collections::HashSet;
use std::time::Duration;

/// Pause the leader; wait until another node has acknowledged a write that began after the pause; ask the leader for
/// what was written, on a session that was opened before; wake it up at least 50 ms later.
///
/// ```text
///   leader   ──────|SIGSTOP                           SIGCONT|── → v0 ?   it believes that it still leads
///   others              |elect|  |--write v1--|ok                         trigger: acknowledged elsewhere
///   client                                       |---- read ────────…|
/// ```
/// Calls from before the pause are merely concurrent with the write, and any answer to them is legal.
#[derive(Clone, Debug)]
pub struct Zombie {
    node: usize,
    primary: bool,
    writes: Vec<String>,
    /// How long to wait for the write.
    patience: Duration,
    /// Processes whose call began after the pause.
    began: HashSet<i64>,
    step: Step,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Waiting,
    /// The words of the trigger, and the key that was written.
    Seen(String, Option<Value>),
    Asking(Option<Value>),
    /// Asked at this time after the injection.
    Asked(Duration),
    /// Nobody else acknowledged anything.
    GaveUp,
}

/// The least time between the request and the awakening: long enough for the request to lie in the leader's socket.
const LIE_IN_WAIT: Duration = Duration::from_millis(50);

impl Zombie {
    /// `node` sleeps; `primary` says whether it is one; `writes` are the functions that count; `patience` is how long
    /// to wait for an acknowledged write before the leader is woken up without having been asked.
    pub fn new(node: usize, primary: bool, writes: &[&str], patience: Duration) -> Zombie {
        let writes = writes.iter().map(|w| w.to_string()).collect();
        Zombie { node, primary, writes, patience, began: HashSet::new(), step: Step::Waiting }
    }
}

impl Fault for Zombie {
    fn kind(&self) -> &'static str {
        "zombie"
    }

    fn nodes(&self) -> Vec<usize> {
        vec![self.node]
    }

    fn hits_primary(&self) -> bool {
        self.primary
    }

    fn claims(&self) -> Vec<Claim> {
        // With links cut as well, nobody else could acknowledge anything.
        vec![Claim::Processes, Claim::Reach]
    }

    fn needs_sessions(&self) -> Vec<usize> {
        vec![self.node]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        site.journal.pause(site.id, self.node, None)?;
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("{}{primary} stopped until others have written", site.name(self.node)))
    }

    fn saw(&mut self, event: &Event, site: &Site<'_>) {
        let Process::Client(process) = event.process else { return };
        if event.kind == Kind::Invoke {
            self.began.insert(process);
            return;
        }
        let trigger = Trigger::Acknowledged {
            node: site.name(self.node).to_string(),
            through: false,
            writes: self.writes.clone(),
        };
        if self.step == Step::Waiting && self.began.contains(&process) {
            if let Some(words) = trigger.fires(event) {
                self.step = Step::Seen(words, event.key.clone());
            }
        }
    }

    fn drive(&mut self, site: &Site<'_>, elapsed: Duration) -> Result<Drive, String> {
        let _ = site;
        Ok(match self.step.clone() {
            Step::Waiting if elapsed < self.patience => Drive::Busy,
            Step::Waiting => {
                self.step = Step::GaveUp;
                Drive::Over
            }
            Step::Seen(words, key) => {
                self.step = Step::Asking(key);
                Drive::Fired(words)
            }
            Step::Asking(key) => {
                self.step = Step::Asked(elapsed);
                Drive::Ask(Asked { node: self.node, key, timeout: LIE_IN_WAIT + Duration::from_secs(1) })
            }
            Step::Asked(at) if elapsed < at + LIE_IN_WAIT => Drive::Busy,
            Step::Asked(_) | Step::GaveUp => Drive::Over,
        })
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        // It has bitten when the trap was set: stopped, and asked after another node had acknowledged a write.
        let asked = matches!(self.step, Step::Asked(_));
        let stopped = asked && site.cluster().state(self.node)? == NodeState::Stopped;
        Ok(stopped.then(|| format!("{}: process state T, and asked after the write", site.name(self.node))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        Ok(site.cluster().state(self.node)? != NodeState::Stopped)
    }
}
