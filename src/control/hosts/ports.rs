//! What can be done to hosts beyond links, signals and clocks: disks, files, single daemons, the freezer, members, logs.
//!
//! As everything on a host, each act is written down with its undoing on the host itself, before it is done.

use super::ledger::{ACT, Thing};
use super::process::{self, Finder};
use super::{ChangeMembers, HostCluster, Known, LOOK, Node, all};
use crate::control::disk::{self, Mounts};
use crate::control::host::{Host, HostError, quote};
use crate::control::{damage, freezer};
use nemesis::{Cluster, Damage, DiskState, Disks, Files, Freezer, Logs, Members, NodeState, Parts};
use std::time::{Duration, Instant};

/// How long a change of the members may take: it may have to wait for a leader.
const CHANGE: Duration = Duration::from_secs(20);
/// How many bytes of a log are given at once.
const LOG_MAX: u64 = 1 << 20;

impl HostCluster {
    pub(super) fn state_of(&self, host: &dyn Host, finder: &Finder) -> Result<NodeState, String> {
        let said = host.sh(&process::state(finder), LOOK)?;
        process::read_state(&said)
            .ok_or_else(|| host.failed("looking for its process", &format!("it said {said:?}")).into())
    }

    /// Stops processes of a node.
    pub(super) fn stop(&self, node: usize, finder: &Finder) -> Result<(), String> {
        let host = self.host(node)?;
        let mut known = self.lock(node);
        let listed = host.sh(&process::list(finder), LOOK)?;
        if listed.is_empty() {
            return Err(host.failed("pausing", "it has no process").into());
        }
        self.opened(host, &mut known)?;
        // Those of an earlier pause are still to be resumed.
        let both = format!("{} {listed}", known.stopped);
        known.stopped = both.trim().to_string();
        let undo = process::resume(&known.stopped);
        let about = format!("stopping {listed}");
        self.ledger.act(host, Thing::Stop, &about, &undo, &process::stop(&listed), "")?;
        Ok(())
    }

    /// Kills processes of a node.
    pub(super) fn end(&self, node: usize, finder: &Finder, about: &str) -> Result<(), String> {
        let host = self.host(node)?;
        let undo = self.start_again(node, finder, about)?;
        let mut known = self.lock(node);
        self.opened(host, &mut known)?;
        self.ledger.act(host, Thing::Start, about, &undo, &process::kill(finder), "")?;
        Ok(())
    }

    /// The command that starts a node's processes again, if those of `finder` are dead.
    fn start_again(&self, node: usize, finder: &Finder, act: &str) -> Result<String, String> {
        let (host, service) = (self.host(node)?, self.service(node)?);
        let start = service.start.as_ref().ok_or_else(|| {
            String::from(host.failed(act, "how it is started again is not known, so it is left alone"))
        })?;
        // Somebody else's start is not ours to make.
        let ours = finder.owner().map_or(String::new(), |owner| format!("{} || exit 0\n", owner.holds()));
        Ok(format!("{ours}case $(\n{}) in dead) ;; *) exit 0;; esac\n{start}\n", process::state(finder)))
    }

    fn known(&self, node: usize) -> Result<&Known, String> {
        Ok(&self.service(node)?.known)
    }

    fn data(&self, node: usize) -> Result<&str, String> {
        let data = self.known(node)?.data.as_deref();
        data.ok_or_else(|| format!("{}: where its data are is not known", self.names[node]))
    }

    /// The file system of a node's data, which must be one of its own.
    fn mounts(&self, node: usize, known: &mut Node) -> Result<Mounts, String> {
        if let Some(mounts) = &known.mounts {
            return Ok(mounts.clone());
        }
        let (host, data) = (self.host(node)?, self.data(node)?);
        let said = host.sh(disk::LOOK, LOOK)?;
        let mounts = Mounts::read(&said, data)
            .map_err(|why| String::from(host.failed("looking for a disk of its own", &why)))?;
        known.mounts = Some(mounts.clone());
        Ok(mounts)
    }

    /// Where files are written to fill or try the disk: a disk of its own, or else whatever the data are on.
    fn base(&self, node: usize, known: &mut Node) -> Result<String, String> {
        match self.mounts(node, known) {
            Ok(mounts) => Ok(mounts.base),
            Err(_) => Ok(self.data(node)?.to_string()),
        }
    }

    fn on(&self, node: usize, act: &str, script: &str) -> Result<String, String> {
        Ok(self.host(node)?.sh(script, ACT).map_err(|error| error.doing(act))?)
    }

    fn finder_of(&self, node: usize, part: &str) -> Result<&Finder, String> {
        let parts = &self.known(node)?.parts;
        let found = parts.iter().find(|(name, _)| name == part);
        found.map(|(_, finder)| finder).ok_or_else(|| format!("there is no part {part:?} of a node"))
    }

    /// What is done to one node to cut its power, and how it is undone.
    fn cut_power(&self, node: usize, host: &dyn Host) -> Result<(), HostError> {
        let mut known = self.lock(node);
        let failed = |why: String| host.failed("cutting its power", &why);
        let finder = &self.service(node).map_err(failed)?.finder;
        let mounts = self.mounts(node, &mut known).map_err(failed)?;
        let start = self.start_again(node, finder, "cutting its power").map_err(failed)?;
        let listed = host.sh(&process::list(finder), LOOK)?;
        self.opened(host, &mut known)?;
        self.ledger.act(host, Thing::Start, "starting it again", &start, "true", "")?;
        // Nobody moves any more when the file system ends; what is killed after that has seen no error.
        let act = format!(
            "(\n{}) || true\n{}(\n{}) || bad=1\n(\n{}) || exit 1\n{}{}[ -z \"$bad\" ] || exit 1\n",
            process::stop(&listed),
            disk::write_unsynced(&mounts.base),
            disk::shut_down(&mounts.base),
            process::kill(finder),
            mounts.unmount(),
            mounts.mount()
        );
        // After a failure half-way what is still stopped is killed, so that nobody holds the disk.
        let undo = format!("(\n{}) >/dev/null 2>&1\n{}", self.kill_stopped(finder), mounts.mount());
        let cut = self.ledger.act(host, Thing::Disk, "cutting its power", &undo, &act, "");
        if cut.is_err() {
            // Nobody will ask whether it is gone.
            let _ = host.sh(&disk::unsynced_gone(&mounts.base), LOOK);
        }
        cut?;
        self.ledger.undo(host, Thing::Disk)
    }

    /// Kills the processes of a service if they are stopped.
    fn kill_stopped(&self, finder: &Finder) -> String {
        format!("case $(\n{}) in stopped)\n{};; esac\n", process::state(finder), process::kill(finder))
    }
}

impl Disks for HostCluster {
    fn power_loss(&self, nodes: &[usize]) -> Result<(), String> {
        let lost =
            super::each(
                &self.hosts,
                |at, host| {
                    if nodes.contains(&at) { self.cut_power(at, host) } else { Ok(()) }
                },
            );
        all(lost).map(drop)
    }

    fn unsynced_gone(&self, node: usize) -> Result<bool, String> {
        let base = self.mounts(node, &mut self.lock(node))?.base;
        Ok(self.on(node, "looking for what was not synced", &disk::unsynced_gone(&base))? == "yes")
    }

    fn set_disk(&self, node: usize, state: DiskState) -> Result<(), String> {
        let host = self.host(node)?;
        let mut known = self.lock(node);
        if state == DiskState::Healthy {
            if known.opened {
                self.ledger.undo(host, Thing::Disk)?;
            }
            known.disk = None;
            return Ok(());
        }
        if known.disk.is_some() {
            return Err(host.failed("hurting its disk", "it is hurt already").into());
        }
        let finder = &self.service(node)?.finder;
        // Who could not write has perhaps ended.
        let start = format!("(\n{})\n", self.start_again(node, finder, "hurting its disk")?);
        let (about, act, undo) = match state {
            DiskState::Full => {
                let base = self.base(node, &mut known)?;
                ("filling its disk", disk::fill(&base), disk::empty(&base))
            }
            DiskState::Hung => {
                let base = self.mounts(node, &mut known)?.base;
                ("hanging its disk", disk::hang(&base), disk::go_on(&base))
            }
            DiskState::ReadOnly | DiskState::Healthy => {
                let mounts = self.mounts(node, &mut known)?;
                mounts
                    .can_turn_read_only()
                    .map_err(|why| String::from(host.failed("turning its disk read-only", &why)))?;
                // Who has it open must end before it can be mounted again.
                let kill = format!("(\n{}) || exit 1\n", process::kill(finder));
                let again = format!("{kill}{}{}", mounts.unmount(), mounts.mount());
                ("turning its disk read-only", disk::turn_read_only(&mounts.base), again)
            }
        };
        self.opened(host, &mut known)?;
        known.disk = Some(state);
        self.ledger.act(host, Thing::Disk, about, &format!("{undo}{start}"), &act, "")?;
        Ok(())
    }

    fn disk(&self, node: usize) -> Result<DiskState, String> {
        let base = self.base(node, &mut self.lock(node))?;
        let said = self.on(node, "writing to its disk", &disk::probe(&base))?;
        disk::read_probe(&said).map_err(|why| format!("{}: writing to its disk: {why}", self.names[node]))
    }
}

impl Files for HostCluster {
    fn damage(&self, node: usize, how: Damage, at: u32) -> Result<String, String> {
        let (host, finder) = (self.host(node)?, &self.service(node)?.finder);
        if self.state_of(host, finder)? != NodeState::Dead {
            return Err(host.failed("damaging a file", "its processes are not dead").into());
        }
        let mut known = self.lock(node);
        self.opened(host, &mut known)?;
        let files: Vec<&str> = self.known(node)?.files.iter().map(String::as_str).collect();
        let undo = format!(
            "case $(\n{}) in dead)\n{};; *)\n{};; esac\n",
            process::state(finder),
            damage::mend(true),
            damage::mend(false)
        );
        let act = damage::damage(&files, how, at);
        Ok(self.ledger.act(host, Thing::Damage, "damaging a file", &undo, &act, "")?)
    }

    fn damaged(&self, node: usize) -> Result<bool, String> {
        Ok(self.on(node, "comparing a file", &damage::differs())? == "yes")
    }

    fn mend(&self, node: usize, restore: bool) -> Result<(), String> {
        self.on(node, "mending a file", &damage::mend(restore))?;
        if self.lock(node).opened {
            self.ledger.undo(self.host(node)?, Thing::Damage)?;
        }
        Ok(())
    }
}

impl Parts for HostCluster {
    fn parts(&self) -> Vec<String> {
        let parts = self.services.first().map(|service| service.known.parts.iter());
        parts.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    fn pause_part(&self, node: usize, part: &str) -> Result<(), String> {
        self.stop(node, self.finder_of(node, part)?)
    }

    fn resume_part(&self, node: usize, _: &str) -> Result<(), String> {
        self.resume(node)
    }

    fn kill_part(&self, node: usize, part: &str) -> Result<(), String> {
        self.end(node, self.finder_of(node, part)?, &format!("killing {part}"))
    }

    fn start_part(&self, node: usize, part: &str) -> Result<(), String> {
        let (host, finder) = (self.host(node)?, self.finder_of(node, part)?);
        if self.state_of(host, finder)? == NodeState::Dead {
            let start = self.start_again(node, finder, &format!("starting {part}"))?;
            host.sh(&start, super::START).map_err(|error| error.doing(&format!("starting {part}")))?;
        }
        if self.lock(node).opened {
            self.ledger.undo(host, Thing::Start)?;
        }
        Ok(())
    }

    fn part_state(&self, node: usize, part: &str) -> Result<NodeState, String> {
        self.state_of(self.host(node)?, self.finder_of(node, part)?)
    }
}

impl HostCluster {
    /// Hosts may be parts of one machine, with one freezer.
    fn group(&self, node: usize) -> String {
        format!("perjury_{}_{node}", self.ledger.id)
    }
}

impl Freezer for HostCluster {
    fn freeze(&self, node: usize) -> Result<(), String> {
        let (host, finder) = (self.host(node)?, &self.service(node)?.finder);
        let mut known = self.lock(node);
        let pids = |listed: &str| -> String {
            let pids = listed.split_whitespace().filter_map(|p| p.split(':').next());
            pids.collect::<Vec<_>>().join(" ")
        };
        let mut listed = host.sh(&process::list(finder), LOOK)?;
        if listed.is_empty() {
            return Err(host.failed("freezing", "it has no process").into());
        }
        self.opened(host, &mut known)?;
        let undo = freezer::thaw(&self.group(node));
        // Once more for those that were born before their parents froze.
        loop {
            let act = freezer::freeze(&self.group(node), &pids(&listed));
            self.ledger.act(host, Thing::Freeze, "freezing it", &undo, &act, "")?;
            known.frozen = true;
            let now = host.sh(&process::list(finder), LOOK)?;
            if now == listed {
                return Ok(());
            }
            listed = now;
        }
    }

    fn thaw(&self, node: usize) -> Result<(), String> {
        let mut known = self.lock(node);
        if known.opened {
            self.ledger.undo(self.host(node)?, Thing::Freeze)?;
        }
        known.frozen = false;
        Ok(())
    }

    fn frozen(&self, node: usize) -> Result<bool, String> {
        Ok(self.on(node, "asking the freezer", &freezer::frozen(&self.group(node)))? == "yes")
    }
}

impl HostCluster {
    fn changing(&self) -> Result<&dyn ChangeMembers, String> {
        let members = self.members.get().map(|members| &**members);
        members.ok_or_else(|| "this system offers no change of its members".to_string())
    }

    fn change(&self, node: usize, act: &str, ask: impl Fn() -> Result<(), String>) -> Result<(), String> {
        let deadline = Instant::now() + CHANGE;
        loop {
            match ask() {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() >= deadline => {
                    return Err(format!("{}: {act}: {why}", self.names[node]));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

impl Members for HostCluster {
    fn leave(&self, node: usize) -> Result<(), String> {
        let (members, data) = (self.changing()?, [self.data(node)?.to_string()]);
        self.change(node, "taking it out", || members.leave(node))?;
        self.kill(node)?;
        self.on(node, "removing its data", &disk::forget(&data)).map(drop)
    }

    fn join(&self, node: usize) -> Result<(), String> {
        let members = self.changing()?;
        self.change(
            node,
            "taking it in",
            || {
                if members.member(node)? { Ok(()) } else { members.join(node) }
            },
        )?;
        self.start(node)
    }

    fn member(&self, node: usize) -> Result<bool, String> {
        self.changing()?.member(node)
    }
}

impl Logs for HostCluster {
    fn count(&self, node: usize) -> usize {
        self.known(node).map_or(0, |known| known.logs.len())
    }

    fn log(&self, node: usize, which: usize, from: Option<u64>) -> Result<(u64, Vec<u8>), String> {
        let log = self.known(node)?.logs.get(which);
        let log = quote(log.ok_or_else(|| format!("{}: where its log is is not known", self.names[node]))?);
        let host = self.host(node)?;
        // It waits for more for half a second: a question takes longer than a look.
        let script = match from {
            None => format!("wc -c <{log}\n"),
            Some(from) => format!(
                "i=0; while n=$(wc -c <{log}) && [ $n -eq {from} ] && [ $i -lt 10 ]; do i=$((i + 1)); sleep 0.05 2>/dev/null || sleep 1; done\n\
                 echo $n; [ $n -le {from} ] || tail -c +{} {log} | head -c {LOG_MAX}\n",
                from + 1
            ),
        };
        let output = host.exec(&script, &[], Instant::now() + LOOK)?;
        let output = host.done(output)?;
        let failed = |why: &str| String::from(host.failed("reading its log", why));
        let end = output.stdout.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| failed("it did not say how long it is"))?;
        let length = String::from_utf8_lossy(&output.stdout[..end]).trim().parse::<u64>();
        let length = length.map_err(|_| failed("it did not say how long it is"))?;
        let bytes = output.stdout[end + 1..].to_vec();
        Ok(match from {
            Some(from) if length > from => (from + bytes.len() as u64, bytes),
            Some(_) | None => (length, Vec::new()),
        })
    }
}
