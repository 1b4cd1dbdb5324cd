//! Moments that are made by what the cluster does, not by a clock.

use history::{Event, Kind, Process};

/// What has to happen. A trigger hears events from the moment it was set on.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// A write was acknowledged through a node: the one, or any other than the one.
    Acknowledged {
        /// The node's name.
        node: String,
        /// Whether it must be that node; else any other.
        through: bool,
        /// Functions that count as writes.
        writes: Vec<String>,
    },
    /// A node became primary, or stopped to be.
    RoleChanged,
    /// A node logged a line with this text in it. Somebody must read the logs for it.
    Logged(String),
}

impl Trigger {
    /// What happened, in words, if this event is what was waited for.
    pub fn fires(&self, event: &Event) -> Option<String> {
        match self {
            Trigger::Acknowledged { node, through, writes } => {
                let by = event.node.as_ref()?;
                let client = matches!(event.process, Process::Client(_));
                let write =
                    event.kind == Kind::Ok && event.applied != Some(false) && writes.contains(&event.f);
                let there = (by == node) == *through;
                (client && write && there).then(|| match &event.key {
                    Some(key) => {
                        format!("{} of {key} = {} was acknowledged through {by}", event.f, event.value)
                    }
                    None => format!("{} {} was acknowledged through {by}", event.f, event.value),
                })
            }
            Trigger::Logged(text) => {
                let by = event.node.as_ref()?;
                let nemesis = matches!(event.process, Process::Other(_));
                let line = event.value.as_text().filter(|line| line.contains(text.as_str()))?;
                (nemesis && event.f == "log").then(|| format!("{by} logged: {line}"))
            }
            Trigger::RoleChanged => {
                let nemesis = matches!(event.process, Process::Other(_));
                (nemesis && event.f == "role").then(|| {
                    let roles = event.value.as_text().unwrap_or("nobody is primary");
                    format!("the role changed: {roles}")
                })
            }
        }
    }
}
