//! What a lab can do beyond links, signals and clocks: disks, files, single daemons, the freezer, members, logs.

use super::{LabCluster, families};
use crate::control::disk::{self, Mounts};
use crate::control::host::Host;
use crate::control::lab::Lab;
use crate::control::lab::disk::{lost, power_loss};
use crate::control::lab::host::LabHost;
use crate::control::{damage, process};
use crate::systems::service::{Service, Way};
use nemesis::{Cluster, Damage, DiskState, Disks, Files, Freezer, Logs, Members, NodeState, Parts};
use rustix::process::Signal;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

/// How long a command about a disk or a file may take.
const ACT: Duration = Duration::from_secs(20);
/// How long a change of the members may take: it may have to wait for a leader.
const CHANGE: Duration = Duration::from_secs(20);
/// How many bytes of a log are given at once.
const LOG_MAX: u64 = 1 << 20;

impl<S: Service> LabCluster<S> {
    fn mounts(&self, node: usize) -> Result<&Mounts, String> {
        self.disks.get(node).ok_or_else(|| format!("there is no disk of node number {node}"))
    }

    fn on(&self, node: usize, act: &str, script: &str) -> Result<String, String> {
        Ok(self.lab()?.host(node).sh(script, ACT).map_err(|error| error.doing(act))?)
    }

    /// The number of a part, and the processes that belong to it.
    fn part(&self, name: &str) -> Result<usize, String> {
        self.parts
            .iter()
            .position(|part| part.name == name)
            .ok_or_else(|| format!("there is no part {name:?} of a node"))
    }

    /// Asks another node that runs, one after the other until one has an answer.
    fn by_another<T>(&self, node: usize, act: impl Fn(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        let lab = self.lab()?;
        let mut why = "no other node runs".to_string();
        for other in (0..self.names.len()).filter(|other| *other != node) {
            if self.state(other)? != NodeState::Running {
                continue;
            }
            match self.over(&lab, other, &act) {
                Ok(value) => return Ok(value),
                Err(said) => why = format!("{} says: {said}", self.names[other]),
            }
        }
        Err(why)
    }

    /// The same until it works.
    fn change(
        &self,
        node: usize,
        act: &str,
        ask: impl Fn(&Way<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let deadline = Instant::now() + CHANGE;
        loop {
            match self.by_another(node, &ask) {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() >= deadline => return Err(self.failed(node, act, &why)),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

impl<S: Service> Disks for LabCluster<S> {
    fn power_loss(&self, nodes: &[usize]) -> Result<(), String> {
        let lab: Arc<Lab> = self.lab()?;
        // In their order, so that two losses at a time cannot wait for each other.
        let mut sorted = nodes.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut held: Vec<MutexGuard<'_, super::Node>> = Vec::with_capacity(sorted.len());
        let mut all: Vec<(usize, LabHost, Mounts)> = Vec::with_capacity(sorted.len());
        for &node in &sorted {
            held.push(self.node(node)?);
            all.push((node, lab.host(node), self.mounts(node)?.clone()));
        }
        let lost = power_loss(lab.switch(), &all);
        for node in &mut held {
            node.daemons.iter_mut().for_each(|(_, pid)| *pid = 0);
        }
        lost
    }

    fn unsynced_gone(&self, node: usize) -> Result<bool, String> {
        lost(&self.lab()?.host(node), self.mounts(node)?)
    }

    fn set_disk(&self, node: usize, state: DiskState) -> Result<(), String> {
        let mounts = self.mounts(node)?;
        let base = &mounts.base;
        let before = self.node(node)?.disk;
        match (state, before) {
            (DiskState::Healthy, None) => return Ok(()),
            (DiskState::Healthy, Some(DiskState::Full)) => {
                self.on(node, "emptying its disk", &disk::empty(base))?;
            }
            (DiskState::Healthy, Some(DiskState::ReadOnly)) => {
                // What it had written is gone with its log; who had it open must end first.
                self.kill(node)?;
                let again = format!("{}{}", mounts.unmount(), mounts.mount());
                self.on(node, "making its disk writable", &again)?;
            }
            (DiskState::Healthy, Some(DiskState::Hung | DiskState::Healthy)) => {
                self.on(node, "letting its disk go on", &disk::go_on(base))?;
            }
            (wanted, before) => {
                if before.is_some() {
                    return Err(self.failed(node, "hurting its disk", "it is hurt already"));
                }
                // Written down before it is done: what was half done is undone.
                self.node(node)?.disk = Some(wanted);
                match wanted {
                    DiskState::Full => self.on(node, "filling its disk", &disk::fill(base))?,
                    DiskState::Hung => self.on(node, "hanging its disk", &disk::hang(base))?,
                    DiskState::ReadOnly => mounts.can_turn_read_only().and_then(|()| {
                        self.on(node, "turning its disk read-only", &disk::turn_read_only(base))
                    })?,
                    DiskState::Healthy => String::new(),
                };
                return Ok(());
            }
        }
        self.node(node)?.disk = None;
        Ok(())
    }

    fn disk(&self, node: usize) -> Result<DiskState, String> {
        let said = self.on(node, "writing to its disk", &disk::probe(&self.mounts(node)?.base))?;
        disk::read_probe(&said).map_err(|why| self.failed(node, "writing to its disk", &why))
    }
}

impl<S: Service> Files for LabCluster<S> {
    fn damage(&self, node: usize, how: Damage, at: u32) -> Result<String, String> {
        if self.state(node)? != NodeState::Dead {
            return Err(self.failed(node, "damaging a file", "its processes are not dead"));
        }
        let files = self.service.files();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        self.on(node, "damaging a file", &damage::damage(&files, how, at))
    }

    fn damaged(&self, node: usize) -> Result<bool, String> {
        Ok(self.on(node, "comparing a file", &damage::differs())? == "yes")
    }

    fn mend(&self, node: usize, restore: bool) -> Result<(), String> {
        self.on(node, "mending a file", &damage::mend(restore)).map(drop)
    }
}

impl<S: Service> Parts for LabCluster<S> {
    fn parts(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.name.clone()).collect()
    }

    fn pause_part(&self, node: usize, part: &str) -> Result<(), String> {
        let (number, held) = (self.part(part)?, self.node(node)?);
        if held.family_of(number).is_empty() {
            return Err(self.failed(node, &format!("pausing {part}"), "it has no process"));
        }
        self.stop_families(node, &format!("pausing {part}"), || held.family_of(number)).map(drop)
    }

    fn resume_part(&self, node: usize, part: &str) -> Result<(), String> {
        let (number, held, act) = (self.part(part)?, self.node(node)?, format!("resuming {part}"));
        let mut families = held.family_of(number);
        // Who starts others goes on last, so that nobody is started and missed.
        families.reverse();
        self.signal(node, &families, &act, Signal::CONT)?;
        self.wait_for(node, &act, || families.iter().all(|p| process::state(*p) != NodeState::Stopped))
    }

    fn kill_part(&self, node: usize, part: &str) -> Result<(), String> {
        let (number, mut held, act) = (self.part(part)?, self.node(node)?, format!("killing {part}"));
        let families = self.stop_families(node, &act, || held.family_of(number))?;
        held.daemons.iter_mut().filter(|(of, _)| *of == number).for_each(|(_, pid)| *pid = 0);
        self.signal(node, &families, &act, Signal::KILL)?;
        self.wait_for(node, &act, || families.iter().all(|p| process::state(*p) == NodeState::Dead))
    }

    fn start_part(&self, node: usize, part: &str) -> Result<(), String> {
        let number = self.part(part)?;
        if self.part_state(node, part)? != NodeState::Dead {
            return Ok(());
        }
        self.launch(&*self.lab()?, node, number, false)?;
        let setting = self.node(node)?.clock;
        if setting == nemesis::ClockSetting::default() { Ok(()) } else { self.set_clock(node, setting) }
    }

    fn part_state(&self, node: usize, part: &str) -> Result<NodeState, String> {
        let (number, held) = (self.part(part)?, self.node(node)?);
        let pid = held.daemons.iter().find(|(of, _)| *of == number).map_or(0, |(_, pid)| *pid);
        Ok(match pid {
            0 => NodeState::Dead,
            pid => match process::state(pid) {
                NodeState::Running if held.frozen => NodeState::Stopped,
                state => state,
            },
        })
    }
}

impl super::Node {
    /// The processes of one part.
    fn family_of(&self, part: usize) -> Vec<u32> {
        families(self.daemons.iter().filter(|(of, pid)| *of == part && *pid != 0).map(|(_, pid)| *pid))
    }
}

impl<S: Service> Freezer for LabCluster<S> {
    fn freeze(&self, node: usize) -> Result<(), String> {
        let mut held = self.node(node)?;
        if held.state() == NodeState::Dead {
            return Err(self.failed(node, "freezing", "it has no process"));
        }
        // So that its state is known to be one that cannot answer, whatever comes of it.
        held.frozen = true;
        self.lab()?.freeze(node)
    }

    fn thaw(&self, node: usize) -> Result<(), String> {
        let mut held = self.node(node)?;
        self.lab()?.thaw(node)?;
        held.frozen = false;
        Ok(())
    }

    fn frozen(&self, node: usize) -> Result<bool, String> {
        self.lab()?.frozen(node)
    }
}

impl<S: Service> Members for LabCluster<S> {
    fn leave(&self, node: usize) -> Result<(), String> {
        self.change(node, "taking it out", |other| self.service.leave(other, node))?;
        self.kill(node)?;
        self.on(node, "removing its data", &disk::forget(&self.service.data())).map(drop)
    }

    fn join(&self, node: usize) -> Result<(), String> {
        self.change(node, "taking it in", |other| {
            if self.service.member(other, node)? { Ok(()) } else { self.service.join(other, node) }
        })?;
        self.start(node)
    }

    fn member(&self, node: usize) -> Result<bool, String> {
        self.by_another(node, |other| self.service.member(other, node))
            .map_err(|why| self.failed(node, "asking whether it is a member", &why))
    }
}

impl<S: Service> Logs for LabCluster<S> {
    fn count(&self, _: usize) -> usize {
        self.service.logs().len()
    }

    fn log(&self, node: usize, which: usize, from: Option<u64>) -> Result<(u64, Vec<u8>), String> {
        let logs = self.service.logs();
        let path = logs.get(which).ok_or_else(|| self.failed(node, "reading its log", "it has none"))?;
        let failed = |e: std::io::Error| self.failed(node, &format!("reading {path}"), &e.to_string());
        let mut file = File::open(self.lab()?.host(node).path(path)).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let Some(from) = from.filter(|from| *from < length) else { return Ok((length, Vec::new())) };
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(LOG_MAX).read_to_end(&mut bytes).map_err(failed)?;
        Ok((from + bytes.len() as u64, bytes))
    }
}
