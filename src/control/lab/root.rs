//! The files of a node: everything of this machine to read, and a layer of its own in memory for what it writes.

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Where the layer is mounted before it becomes the root: an empty directory that every machine has.
const LAYER: &str = "/mnt";
/// Directories that may be file systems of their own, which an overlay of the root does not show.
const OTHERS: [&str; 6] = ["usr", "var", "opt", "etc", "srv", "home"];
/// Character devices: name, permission bits, major, minor.
const DEVICES: [(&str, u32, u32, u32); 7] = [
    ("null", 0o666, 1, 3),
    ("zero", 0o666, 1, 5),
    ("full", 0o666, 1, 7),
    ("random", 0o666, 1, 8),
    ("urandom", 0o666, 1, 9),
    ("tty", 0o666, 5, 0),
    ("fuse", 0o600, 10, 229),
];
/// What in /proc would change the machine and not the node.
const PROC_OF_ALL: [&str; 3] = ["proc/sys", "proc/sysrq-trigger", "proc/irq"];

/// Becomes the root of this process's mount name space: an overlay of the machine's root with a layer of `megabytes`
/// in memory. Nothing of it exists outside that name space, so it is gone with its last process. With `groups`, the groups
/// of processes below this one's are where a machine has them.
pub fn enter(name: &str, hosts: &[(String, Ipv4Addr)], megabytes: u64, groups: bool) -> Result<(), String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|e| format!("making mounts private: {e}"))?;
    let others: Vec<&str> = OTHERS.iter().copied().filter(|dir| is_mount(&format!("/{dir}"))).collect();
    file_system("tmpfs", LAYER, &format!("size={megabytes}m,mode=755"))?;
    let root = format!("{LAYER}/root");
    make_dir(&root)?;
    overlay("", &root)?;
    for other in others {
        overlay(other, &format!("{root}/{other}"))?;
    }
    let at = |path: &str| format!("{root}/{path}");
    file_system("proc", &at("proc"), "")?;
    let read_only = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("sysfs", at("sys").as_str(), "sysfs", read_only, None)
        .map_err(|e| format!("mounting /sys: {e}"))?;
    if groups {
        file_system("cgroup2", &at("sys/fs/cgroup"), "")?;
    }
    for path in PROC_OF_ALL.iter().filter(|path| Path::new(&at(path)).exists()) {
        let path = at(path);
        mount_bind(&path, &path)
            .and_then(|()| mount_remount(&path, MountFlags::BIND | MountFlags::RDONLY, c""))
            .map_err(|e| format!("making {path} read-only: {e}"))?;
    }
    devices(&at("dev"))?;
    file_system("tmpfs", &at("run"), "mode=755")?;
    file_system("tmpfs", &at("tmp"), "mode=1777")?;
    for dir in ["run/lock", "run/user", "run/sshd"] {
        make_dir(&at(dir))?;
    }
    identity(&root, name, hosts)?;
    chdir(root.as_str()).map_err(|e| format!("entering the root: {e}"))?;
    // The old root is put over the new one and taken away from there: it needs no directory to be put in.
    pivot_root(".", ".").map_err(|e| format!("changing the root: {e}"))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| format!("leaving the old root: {e}"))?;
    chdir("/").map_err(|e| format!("entering the root: {e}"))
}

/// Whether something is mounted exactly there.
fn is_mount(path: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(path))
}

fn overlay(of: &str, at: &str) -> Result<(), String> {
    let layer = format!("{LAYER}/layer-{of}");
    let (upper, work) = (format!("{layer}/upper"), format!("{layer}/work"));
    make_dir(&upper)?;
    make_dir(&work)?;
    // Who asks for a sync would wait for the machine's disk, too.
    file_system("overlay", at, &format!("lowerdir=/{of},upperdir={upper},workdir={work}"))
}

fn file_system(kind: &str, at: &str, options: &str) -> Result<(), String> {
    let failed = |e: &dyn std::fmt::Display| format!("mounting a {kind} at {at}: {e}");
    let options = CString::new(options).map_err(|e| failed(&e))?;
    mount(kind, at, kind, MountFlags::empty(), options.as_c_str()).map_err(|e| failed(&e))
}

fn devices(dev: &str) -> Result<(), String> {
    file_system("tmpfs", dev, "mode=755,size=1m")?;
    let failed = |name: &str, e: &dyn std::fmt::Display| format!("making /dev/{name}: {e}");
    for (name, mode, major, minor) in DEVICES {
        let path = format!("{dev}/{name}");
        let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(mode));
        mknodat(CWD, &path, kind, mode, makedev(major, minor)).map_err(|e| failed(name, &e))?;
        // The mask of this process took some of the bits away.
        fs::set_permissions(&path, fs::Permissions::from_mode(mode.as_raw_mode()))
            .map_err(|e| failed(name, &e))?;
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(to, format!("{dev}/{name}")).map_err(|e| failed(name, &e))?;
    }
    make_dir(&format!("{dev}/pts"))?;
    make_dir(&format!("{dev}/shm"))?;
    file_system("devpts", &format!("{dev}/pts"), "newinstance,ptmxmode=0666,mode=620")?;
    file_system("tmpfs", &format!("{dev}/shm"), "mode=1777")
}

/// The node's name, and the names of the others.
fn identity(root: &str, name: &str, hosts: &[(String, Ipv4Addr)]) -> Result<(), String> {
    let mut table = String::from("127.0.0.1 localhost\n");
    for (host, address) in hosts {
        let _ = writeln!(table, "{address} {host}");
    }
    // There is no way out, so there is nobody to ask for a name; and dotfiles of this machine's user are not the node's.
    for (path, text) in [("hostname", format!("{name}\n")), ("hosts", table), ("resolv.conf", String::new())]
    {
        let path = format!("{root}/etc/{path}");
        // It may be a link to somewhere else.
        let _ = fs::remove_file(&path);
        fs::write(&path, text).map_err(|e| format!("writing {path}: {e}"))?;
    }
    for file in [".bashrc", ".profile", ".bash_profile", ".bash_login"] {
        let _ = fs::remove_file(format!("{root}/root/{file}"));
    }
    Ok(())
}

fn make_dir(path: &str) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("making {path}: {e}"))
}
