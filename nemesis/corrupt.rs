//! Damages a file of a stopped node, and starts it again: does it notice?

use crate::cluster::NodeState;
use crate::fault::{Claim, Drive, Fault, Site};
use crate::ports::Damage;
use std::time::Duration;

/// A node that is killed, one of whose files is damaged, and that is started again if it will.
///
/// A node that starts has taken the file for its own: it keeps it. One that refuses, or has ended by the time of healing,
/// gets the file back as it was.
#[derive(Clone, Debug)]
pub struct Corrupt {
    node: usize,
    how: Damage,
    at: u32,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// The file has not been seen to differ.
    Damaged,
    Seen,
    Started,
}

impl Corrupt {
    /// `node`; `at`, in a million parts, says which file and where.
    pub fn new(node: usize, how: Damage, at: u32) -> Corrupt {
        Corrupt { node, how, at, step: Step::Damaged }
    }
}

impl Fault for Corrupt {
    fn kind(&self) -> &'static str {
        match self.how {
            Damage::BitFlip => "bit-flip",
            Damage::Truncate(_) => "truncate",
        }
    }

    fn nodes(&self) -> Vec<usize> {
        vec![self.node]
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Processes]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        // Before anything is done: who has no such files is not killed for nothing.
        site.cluster().files()?;
        site.journal.kill(site.id, self.node, None)?;
        let what = site.journal.damage(site.id, self.node, self.how, self.at)?;
        Ok(format!("{} killed, {what}", site.name(self.node)))
    }

    fn drive(&mut self, site: &Site<'_>, _: Duration) -> Result<Drive, String> {
        Ok(match self.step {
            Step::Damaged => Drive::Busy,
            Step::Seen => {
                self.step = Step::Started;
                let name = site.name(self.node);
                Drive::Fired(match site.journal.try_start(site.id, self.node) {
                    Ok(()) => format!("{name} has started with the damaged file"),
                    Err(why) => format!("{name} does not start with the damaged file ({why})"),
                })
            }
            Step::Started => Drive::Idle,
        })
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        if !site.cluster().files()?.damaged(self.node)? {
            return Ok(None);
        }
        self.step = Step::Seen;
        Ok(Some(format!("{}: the file differs from its copy", site.name(self.node))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        Ok(site.cluster().state(self.node)? != NodeState::Dead)
    }
}
