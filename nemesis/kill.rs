//! Kills processes with SIGKILL and starts them again: whatever was not on disk is gone.

use crate::cluster::NodeState;
use crate::fault::{Claim, Drive, Fault, Site};
use crate::pause::{state, whom};
use crate::trigger::Trigger;
use history::Event;
use std::time::Duration;

/// Nodes that die, or one daemon of several on each, at once or on a cue, and are started again when it is healed.
#[derive(Clone, Debug)]
pub struct Kill {
    nodes: Vec<usize>,
    primary: bool,
    part: Option<String>,
    cue: Cue,
}

/// When it strikes.
#[derive(Clone, Debug)]
enum Cue {
    AtOnce,
    /// With the latest moment, after the injection.
    On(Trigger, Duration),
    Fired(String),
    Done,
}

impl Kill {
    /// These nodes, at once; `primary` says that the primary is among them.
    pub fn new(nodes: Vec<usize>, primary: bool) -> Kill {
        Kill { nodes, primary, part: None, cue: Cue::AtOnce }
    }

    /// These nodes, when `trigger` fires, or after `latest` if it does not.
    pub fn on(nodes: Vec<usize>, primary: bool, trigger: Trigger, latest: Duration) -> Kill {
        Kill { nodes, primary, part: None, cue: Cue::On(trigger, latest) }
    }

    /// Only this part of each node: `patroni`, and not its `postgres`.
    pub fn part(self, part: &str) -> Kill {
        Kill { part: Some(part.to_string()), ..self }
    }

    fn strike(&mut self, site: &Site<'_>) -> Result<(), String> {
        for &node in &self.nodes {
            site.journal.kill(site.id, node, self.part.as_deref())?;
        }
        Ok(())
    }

    fn whom(&self, site: &Site<'_>) -> String {
        whom(site, &self.nodes, self.part.as_deref())
    }
}

impl Fault for Kill {
    fn kind(&self) -> &'static str {
        "kill"
    }

    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn hits_primary(&self) -> bool {
        self.primary && self.part.is_none()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Processes]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        let primary = if self.primary { " (primary)" } else { "" };
        let names = self.whom(site);
        match &self.cue {
            Cue::On(..) => Ok(format!("{names}{primary} to be killed on its cue")),
            Cue::AtOnce | Cue::Fired(_) | Cue::Done => {
                self.strike(site)?;
                self.cue = Cue::Done;
                Ok(format!("{names}{primary} killed"))
            }
        }
    }

    fn saw(&mut self, event: &Event, _: &Site<'_>) {
        if let Cue::On(trigger, _) = &self.cue {
            if let Some(words) = trigger.fires(event) {
                self.cue = Cue::Fired(words);
            }
        }
    }

    fn drive(&mut self, site: &Site<'_>, elapsed: Duration) -> Result<Drive, String> {
        match std::mem::replace(&mut self.cue, Cue::Done) {
            Cue::On(trigger, latest) if elapsed < latest => {
                self.cue = Cue::On(trigger, latest);
                Ok(Drive::Busy)
            }
            Cue::On(..) => {
                self.strike(site)?;
                Ok(Drive::Fired(format!("{} killed, without its cue", self.whom(site))))
            }
            Cue::Fired(words) => {
                self.strike(site)?;
                Ok(Drive::Fired(format!("{words}; {} killed", self.whom(site))))
            }
            Cue::AtOnce | Cue::Done => Ok(Drive::Idle),
        }
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        for &node in &self.nodes {
            if state(site, node, self.part.as_deref())? != NodeState::Dead {
                return Ok(None);
            }
        }
        Ok(Some(format!("{}: no process", self.whom(site))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        for &node in &self.nodes {
            if state(site, node, self.part.as_deref())? == NodeState::Dead {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
