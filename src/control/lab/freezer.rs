//! The kernel's freezer for whole nodes: a group of processes of ours, in version 2 of cgroups or in version 1.
//!
//! A frozen process of version 2 can be killed; one of version 1 cannot, before it is thawed: so whoever ends a node thaws
//! it first. A group is named after the process that holds the node, and is gone with it; what was left behind because
//! that process was killed, too, is taken away by the next command about labs.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::{Errno, read, write};
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long the kernel may take to freeze or thaw.
const ACT: Duration = Duration::from_secs(5);
/// What the names of our groups begin with.
const PREFIX: &str = "perjury-lab-";

/// The root of a hierarchy of groups. It is a descriptor, so that it is there for who has left these mounts behind.
#[derive(Debug)]
pub struct Freezer {
    root: OwnedFd,
    second: bool,
}

impl Freezer {
    /// The hierarchy of this machine.
    ///
    /// # Errors
    /// There is none.
    pub fn find() -> Result<Freezer, String> {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let at = |wanted: &dyn Fn(&str, &str) -> bool| {
            mounts.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let [_, at, kind, options, ..] = fields[..] else { return None };
                wanted(kind, options).then(|| at.to_string())
            })
        };
        let second = at(&|kind, _| kind == "cgroup2");
        let first = at(&|kind, options| kind == "cgroup" && options.split(',').any(|o| o == "freezer"));
        let (path, second) = match (second, first) {
            (Some(path), _) => (path, true),
            (None, Some(path)) => (path, false),
            (None, None) => {
                return Err("there is no freezer here (cgroup2, or the freezer of cgroup)".into());
            }
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path.as_str(), flags, Mode::empty()).map_err(|e| format!("{path}: {e}"))?;
        Ok(Freezer { root, second })
    }

    /// The group of the node that this process holds.
    pub fn group(keeper: u32, began: u64) -> String {
        format!("{PREFIX}{keeper}-{began}")
    }

    /// The group in which that node itself is, where it has groups of its own.
    pub fn home_of_node(keeper: u32, began: u64) -> String {
        format!("{PREFIX}{keeper}-{began}-node")
    }

    /// Whether it is version 2.
    pub fn second(&self) -> bool {
        self.second
    }

    /// Makes a group and moves this process into it; gives where it was. Nothing is done with version 1.
    pub fn enter(&self, group: &str) -> Result<Option<String>, Errno> {
        if !self.second {
            return Ok(None);
        }
        let home = self.home();
        mkdirat(&self.root, group, Mode::RWXU)?;
        self.put(&format!("{group}/cgroup.procs"), "0")?;
        Ok(Some(home))
    }

    /// Moves this process to where it was.
    pub fn leave(&self, home: &str) -> Result<(), Errno> {
        self.put(&format!("{home}cgroup.procs"), "0").or_else(|_| self.put("cgroup.procs", "0"))
    }

    /// Moves this process to where another one is, if that is the group of a node. Nothing is done with version 1.
    pub fn join(&self, other: i32) -> Result<(), Errno> {
        let groups = fs::read_to_string(format!("/proc/{other}/cgroup")).unwrap_or_default();
        let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        match group.filter(|group| self.second && group.starts_with(PREFIX)) {
            Some(group) => self.put(&format!("{group}/cgroup.procs"), "0"),
            None => Ok(()),
        }
    }

    fn put(&self, file: &str, text: &str) -> Result<(), Errno> {
        let file = openat(&self.root, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        write(&file, text.as_bytes()).map(drop)
    }

    fn get(&self, file: &str) -> Result<String, Errno> {
        let file = openat(&self.root, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match read(&file, &mut piece)? {
                0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
                n => text.extend_from_slice(&piece[..n]),
            }
        }
    }

    /// Freezes processes, asking for them again until all are in the group: some may be born meanwhile.
    pub fn freeze(&self, group: &str, processes: impl Fn() -> Vec<u32>) -> Result<(), String> {
        let failed = |e: Errno| format!("freezing: {e}");
        match mkdirat(&self.root, group, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
        self.set(group, true).map_err(failed)?;
        let deadline = Instant::now() + ACT;
        loop {
            let there = self.get(&format!("{group}/cgroup.procs")).map_err(failed)?;
            let there: Vec<u32> = there.lines().filter_map(|line| line.parse().ok()).collect();
            let missing: Vec<u32> = processes().into_iter().filter(|pid| !there.contains(pid)).collect();
            if missing.is_empty() && self.frozen(group) {
                return Ok(());
            }
            for pid in missing {
                match self.put(&format!("{group}/cgroup.procs"), &pid.to_string()) {
                    // It has ended.
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(e) => return Err(failed(e)),
                }
            }
            if Instant::now() > deadline {
                return Err(format!("freezing: not all were frozen within {} s", ACT.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn set(&self, group: &str, frozen: bool) -> Result<(), Errno> {
        match (self.second, frozen) {
            (true, true) => self.put(&format!("{group}/cgroup.freeze"), "1"),
            (true, false) => self.put(&format!("{group}/cgroup.freeze"), "0"),
            (false, true) => self.put(&format!("{group}/freezer.state"), "FROZEN"),
            (false, false) => self.put(&format!("{group}/freezer.state"), "THAWED"),
        }
    }

    /// Whether the kernel says that all of the group is frozen.
    pub fn frozen(&self, group: &str) -> bool {
        let (file, line) = if self.second {
            (format!("{group}/cgroup.events"), "frozen 1")
        } else {
            (format!("{group}/freezer.state"), "FROZEN")
        };
        self.get(&file).is_ok_and(|text| text.lines().any(|l| l == line))
    }

    /// The groups in a group.
    fn inside(&self, group: &str) -> Vec<String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(&self.root, group, flags, Mode::empty()).and_then(Dir::read_from);
        let entries = dir.into_iter().flat_map(|dir| dir.flatten());
        let names = entries.filter(|entry| entry.file_type() == FileType::Directory);
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "." && name != "..").map(|name| format!("{group}/{name}")).collect()
    }

    /// Lets the group go on, and what is in it, and removes it; its processes are where this one is. No error if there is
    /// none.
    pub fn thaw(&self, group: &str) -> Result<(), String> {
        let failed = |e: Errno| format!("thawing: {e}");
        self.inside(group).iter().try_for_each(|inside| self.thaw(inside))?;
        match self.set(group, false) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(failed(e)),
        }
        let home = self.home();
        let deadline = Instant::now() + ACT;
        loop {
            let there = self.get(&format!("{group}/cgroup.procs")).unwrap_or_default();
            for pid in there.lines() {
                // Who has ended needs no home, and a group that is not there any more is as good as the root.
                let _ =
                    self.put(&format!("{home}cgroup.procs"), pid).or_else(|_| self.put("cgroup.procs", pid));
            }
            match unlinkat(&self.root, group, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::BUSY) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Err(e) => return Err(failed(e)),
            }
        }
    }

    /// The group of this process, as a prefix of its files.
    fn home(&self) -> String {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let ours = groups.lines().find_map(|line| {
            let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else { return None };
            let this = if self.second {
                controllers.is_empty()
            } else {
                controllers.split(',').any(|c| c == "freezer")
            };
            this.then(|| path.trim_start_matches('/').to_string())
        });
        ours.filter(|path| !path.is_empty()).map_or(String::new(), |path| format!("{path}/"))
    }

    /// Thaws and removes the groups of nodes that nobody holds any more.
    pub fn sweep(&self, lives: impl Fn(u32, u64) -> bool) {
        let Ok(dir) = Dir::read_from(&self.root) else { return };
        for entry in dir.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let holder = name.strip_prefix(PREFIX).map(|rest| rest.strip_suffix("-node").unwrap_or(rest));
            let holder = holder.and_then(|rest| rest.split_once('-'));
            let holder = holder.and_then(|(pid, began)| Some((pid.parse().ok()?, began.parse().ok()?)));
            if holder.is_some_and(|(pid, began)| !lives(pid, began)) {
                // It is tried again by the next command.
                let _ = self.thaw(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_frozen_with_its_child_and_goes_on() {
        let Ok(freezer) = Freezer::find() else {
            eprintln!("skipped: there is no freezer");
            return;
        };
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let group = Freezer::group(child.id(), 0);
        assert!(!freezer.frozen(&group));
        let frozen = freezer.freeze(&group, || vec![child.id()]).map(|()| freezer.frozen(&group));
        // Nobody holds it.
        freezer.sweep(|pid, _| pid != child.id());
        let thawed = !freezer.frozen(&group);
        let gone = freezer.thaw(&group);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((frozen, thawed, gone), (Ok(true), true, Ok(())));
        assert_eq!(freezer.get(&format!("{group}/cgroup.procs")), Err(Errno::NOENT));
    }
}
