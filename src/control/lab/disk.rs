//! A node's disk: a file system in an image, for its data alone, that can lose its power.
//!
//! The image is a sparse file of the node's layer, behind a loop device that the kernel lets go of when the last mount of
//! it is gone: with the node's last process, at the latest. It writes its log out every five minutes and not, as usual,
//! every five seconds, so that what was not synced is still to be lost.

use super::host::LabHost;
use super::kernel;
use super::switch::Switch;
use crate::control::disk::{LOOK, Mounts, unsynced_gone};
use crate::control::host::{Host, quote};
use crate::control::process;
use nemesis::NodeState;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where a node's disk is mounted; its data directories are parts of it.
pub const BASE: &str = "/var/lib/perjury-disk";
/// Its image.
const IMAGE: &str = "/var/lib/perjury-disk.img";
/// How large it is. Only what is written takes memory.
const SIZE: &str = "3G";
/// How many loop devices a node can see; the kernel gives any of them to any node.
const LOOPS: u32 = 256;
/// How long making, mounting or unmounting it may take.
const ACT: Duration = Duration::from_secs(30);
/// How long the kernel may take to stop or end a process.
const SIGNAL: Duration = Duration::from_secs(5);

/// Gives a node a disk, and puts these directories on it.
pub fn give(host: &LabHost, dirs: &[&str]) -> Result<Mounts, String> {
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("{}: {what}: {e}", host.name());
    let [first, ..] = dirs else { return Err(failed("giving it a disk", &"it names no data for it")) };
    let device = |name: &str, kind: FileType, major: u32, minor: u32| {
        let made = mknodat(
            CWD,
            host.path(&format!("dev/{name}")),
            kind,
            Mode::RUSR | Mode::WUSR,
            makedev(major, minor),
        );
        match made {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(failed(&format!("making /dev/{name}"), &e)),
        }
    };
    device("loop-control", FileType::CharacterDevice, 10, 237)?;
    for n in 0..LOOPS {
        device(&format!("loop{n}"), FileType::BlockDevice, 7, n)?;
    }
    let mut script = format!(
        "command -v mkfs.ext4 >/dev/null || {{ echo 'there is no mkfs.ext4 on this machine (package e2fsprogs)' >&2; exit 1; }}\n\
         set -e\ntruncate -s {SIZE} {IMAGE}\n\
         mkfs.ext4 -q -m 0 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 {IMAGE}\n\
         mkdir -p {BASE}\nmount -t ext4 -o loop,commit=300 {IMAGE} {BASE}\n"
    );
    for (n, dir) in dirs.iter().enumerate() {
        let dir = quote(dir);
        // What the package has put there, and whose it is.
        script += &format!("mkdir -p {dir}\ncp -a {dir} {BASE}/{n}\nmount --bind {BASE}/{n} {dir}\n");
    }
    script += &format!("sync -f {BASE}\n");
    host.sh(&script, ACT).map_err(|error| error.doing("giving it a disk"))?;
    let said = host.sh(LOOK, ACT)?;
    Mounts::read(&said, first).map_err(|why| failed("giving it a disk", &why))
}

/// Waits until it is so of all these processes.
fn wait_for(what: &str, pids: &[u32], seen: impl Fn(u32) -> bool) -> Result<(), String> {
    let deadline = Instant::now() + SIGNAL;
    for &pid in pids {
        while !seen(pid) {
            if Instant::now() > deadline {
                return Err(format!("{what}: process {pid} goes on"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| i32::try_from(*pid).ok().and_then(Pid::from_raw)) {
        // Who has ended meanwhile needs none.
        let _ = kill_process(pid, signal);
    }
}

/// Cuts the power of these nodes at one instant: (its number on the switch, itself, its disk).
///
/// First the cables, so that nobody hears of any process's end; then nobody moves any more; then the file systems end,
/// one after the other without anything in between; then the processes.
pub fn power_loss(switch: &Switch, nodes: &[(usize, LabHost, Mounts)]) -> Result<(), String> {
    let lost = cut(switch, nodes);
    // A machine that is switched on again has its cable.
    nodes.iter().for_each(|(node, _, _)| switch.plug(*node, true));
    lost
}

fn cut(switch: &Switch, nodes: &[(usize, LabHost, Mounts)]) -> Result<(), String> {
    let failed = |host: &LabHost, what: &str, e: &dyn std::fmt::Display| {
        format!("{}: cutting its power: {what}: {e}", host.name())
    };
    let mut disks = Vec::with_capacity(nodes.len());
    for (_, host, mounts) in nodes {
        let disk = File::open(host.path(&mounts.base)).map_err(|e| failed(host, "opening its disk", &e))?;
        disks.push(disk);
    }
    nodes.iter().for_each(|(node, _, _)| switch.plug(*node, false));
    let pids: Vec<u32> = nodes.iter().flat_map(|(_, host, _)| host.processes()).collect();
    signal(&pids, Signal::STOP);
    let stopped = wait_for("stopping", &pids, |pid| {
        process::all_stopped(pid) || process::state(pid) == NodeState::Dead
    });
    let end = || {
        for (_, host, mounts) in nodes {
            let file = host.path(&format!("{}/.perjury-unsynced", mounts.base));
            fs::write(file, "unsynced").map_err(|e| failed(host, "writing what is to be lost", &e))?;
        }
        for ((_, host, _), disk) in nodes.iter().zip(disks) {
            kernel::shut_down(&disk)
                .map_err(|e| failed(host, "ending its file system", &io::Error::from(e)))?;
        }
        Ok::<(), String>(())
    };
    let ended = end();
    // Whatever has become of it, nobody is left standing.
    signal(&pids, Signal::KILL);
    stopped?;
    ended?;
    wait_for("ending", &pids, |pid| process::state(pid) == NodeState::Dead)?;
    for (_, host, mounts) in nodes {
        host.sh(&format!("{}{}", mounts.unmount(), mounts.mount()), ACT)
            .map_err(|error| error.doing("bringing its disk back"))?;
    }
    Ok(())
}

/// Whether the file that was not synced is gone.
pub fn lost(host: &LabHost, mounts: &Mounts) -> Result<bool, String> {
    let said = host.sh(&unsynced_gone(&mounts.base), ACT)?;
    Ok(said == "yes")
}

/// Lets whoever waits for the disk of this root go on: nobody can end who waits for it.
pub fn thaw(root: &Path) {
    // A node without a disk, or one that does not hang, has nothing to thaw.
    if let Ok(disk) = File::open(root.join(BASE.trim_start_matches('/'))) {
        let _ = kernel::thaw(&disk);
    }
}

/// Processes of labs whose keepers were killed, too, and that were killed while they waited for a disk that hangs: the
/// disk is let go, and with it they are.
pub fn sweep() {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let waits = field("State:").is_some_and(|state| state.starts_with('D'));
        let killed = ["SigPnd:", "ShdPnd:"].into_iter().filter_map(field).any(|set| {
            u64::from_str_radix(set, 16).is_ok_and(|set| set & (1 << (Signal::KILL.as_raw() - 1)) != 0)
        });
        let root = entry.path().join("root");
        if waits && killed && root.join(BASE.trim_start_matches('/')).exists() {
            thaw(&root);
        }
    }
}
