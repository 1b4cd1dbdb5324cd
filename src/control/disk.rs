//! What is done to the disk below a node's data, as shell text: it loses its power, fills, hangs, turns read-only.
//!
//! The disk is a file system that is mounted at the data and nowhere else that matters: what happens to it must not
//! happen to the machine. In a lab it is an image behind a loop device; on a host, whatever its owner has mounted there.

use super::host::quote;
use nemesis::DiskState;
use std::fmt::Write;

/// Prints what [`Mounts::read`] reads.
pub const LOOK: &str = "cat /proc/self/mountinfo\nfor f in /sys/block/loop*/loop/backing_file; do\n\
                        [ -r $f ] || continue; d=${f#/sys/block/}; echo \"image /dev/${d%%/*} $(cat $f)\"; done\ntrue\n";

/// A file that is written before the power goes, and not synced.
const UNSYNCED: &str = ".perjury-unsynced";
/// A file that takes what is left of a disk.
const FILL: &str = ".perjury-full";
/// A file that is written to find out what a disk does.
const PROBE: &str = ".perjury-probe";

/// A file system, and everywhere that it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounts {
    kind: String,
    /// The device, or the image behind a loop device.
    source: String,
    image: bool,
    options: String,
    /// Where its root is mounted.
    pub base: String,
    /// What of it is mounted elsewhere, and where.
    binds: Vec<(String, String)>,
}

/// Options that the kernel shows and does not take, or that say how a file system is just now.
const NOT_OPTIONS: [&str; 6] = ["rw", "ro", "seclabel", "abort", "emergency_ro", "shutdown"];

impl Mounts {
    /// Finds the file system that is mounted exactly at `dir`, from what [`LOOK`] has printed.
    ///
    /// # Errors
    /// There is none, or it is mounted in a way that could not be made again.
    pub fn read(said: &str, dir: &str) -> Result<Mounts, String> {
        // ID PARENT DEVICE ROOT TARGET OPTIONS TAG… - KIND SOURCE OPTIONS
        struct Line<'a> {
            device: &'a str,
            root: &'a str,
            target: &'a str,
            kind: &'a str,
            source: &'a str,
            options: &'a str,
        }
        fn line(line: &str) -> Option<Line<'_>> {
            let (at, what) = line.split_once(" - ")?;
            let (at, what): (Vec<&str>, Vec<&str>) = (at.split(' ').collect(), what.split(' ').collect());
            let [_, _, device, root, target, ..] = at[..] else { return None };
            let [kind, source, options, ..] = what[..] else { return None };
            Some(Line { device, root, target, kind, source, options })
        }
        let lines: Vec<Line<'_>> = said.lines().filter_map(line).collect();
        let own = lines.iter().rfind(|line| line.target == dir).ok_or_else(|| {
            format!("{dir} is not a file system of its own, so that it could be hurt and the machine not")
        })?;
        let all: Vec<&Line<'_>> = lines.iter().filter(|line| line.device == own.device).collect();
        let base = all.iter().find(|line| line.root == "/").ok_or_else(|| {
            format!(
                "{dir} is a part of a file system whose root is not mounted, so it could not be mounted again"
            )
        })?;
        if ["/", "/boot", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var"]
            .contains(&base.target)
        {
            return Err(format!("the file system of {dir} is also that of {}", base.target));
        }
        if all.iter().any(|line| [line.root, line.target, line.source].concat().contains('\\')) {
            return Err(format!("the file system of {dir} is mounted at names with blanks in them"));
        }
        let image = said.lines().find_map(|line| {
            let (device, image) = line.strip_prefix("image ")?.split_once(' ')?;
            (device == own.source).then_some(image)
        });
        let options: Vec<&str> =
            own.options.split(',').filter(|option| !NOT_OPTIONS.contains(option)).collect();
        Ok(Mounts {
            kind: own.kind.to_string(),
            source: image.unwrap_or(own.source).to_string(),
            image: image.is_some(),
            options: options.join(","),
            base: base.target.to_string(),
            binds: all
                .iter()
                .filter(|line| line.target != base.target)
                .map(|line| (line.root.to_string(), line.target.to_string()))
                .collect(),
        })
    }

    /// The command that mounts it everywhere, where it is not mounted. Waits for nothing.
    pub fn mount(&self) -> String {
        let there = "there() { grep -q \" $1 \" /proc/self/mountinfo; }\n";
        let options: Vec<&str> = [if self.image { "loop" } else { "" }, &self.options]
            .into_iter()
            .filter(|option| !option.is_empty())
            .collect();
        let options = if options.is_empty() { String::new() } else { format!("-o {} ", options.join(",")) };
        let base = quote(&self.base);
        let mut text = format!(
            "{there}there {base} || mount -t {} {options}{} {base} || exit 1\n",
            quote(&self.kind),
            quote(&self.source)
        );
        for (root, target) in &self.binds {
            let _ = writeln!(
                text,
                "there {0} || mount --bind {1} {0} || exit 1",
                quote(target),
                quote(&format!("{}{root}", self.base))
            );
        }
        text
    }

    /// The command that unmounts it everywhere, for which nobody may have a file open on it: who has been killed needs a
    /// moment to let go.
    pub fn unmount(&self) -> String {
        let targets = self.binds.iter().rev().map(|(_, target)| target).chain([&self.base]);
        let targets: Vec<String> = targets.map(|target| quote(target)).collect();
        format!(
            "for t in {}; do i=0\nwhile grep -q \" $t \" /proc/self/mountinfo; do\n\
             out=$(umount $t 2>&1) && continue\n\
             i=$((i + 1)); [ $i -lt 250 ] || {{ echo \"unmounting: $out\" >&2; exit 1; }}\n\
             sleep 0.02 2>/dev/null || sleep 1; done; done\n",
            targets.join(" ")
        )
    }

    /// What is needed to make it read-only while files are open.
    pub fn can_turn_read_only(&self) -> Result<(), String> {
        match self.kind.as_str() {
            "ext4" => Ok(()),
            kind => Err(format!(
                "only ext4 turns read-only while files are open on it, and {} is {kind}",
                self.base
            )),
        }
    }
}

/// Removes files and directories. One that is a file system of its own stays, and only what is in it goes.
pub fn forget(paths: &[String]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| quote(path)).collect();
    format!(
        "bad=0; for d in {}; do\n\
         if grep -q \" $d \" /proc/self/mountinfo; then find $d -mindepth 1 ! -path \"$d/lost+found*\" -delete || bad=1\n\
         else rm -rf -- $d || bad=1; fi; done; [ $bad = 0 ]\n",
        paths.join(" ")
    )
}

/// Writes out what was written below `dir`, as far as that is there.
pub fn sync(dir: &str) -> String {
    format!("[ ! -e {0} ] || sync -f {0} 2>/dev/null || sync\n", quote(dir))
}

/// Writes the file that a loss of power is to take.
pub fn write_unsynced(base: &str) -> String {
    format!("printf unsynced >{}\n", quote(&format!("{base}/{UNSYNCED}")))
}

/// Prints whether the file's content is gone, and removes what is left of it.
pub fn unsynced_gone(base: &str) -> String {
    // Its name may have come to the disk with what others have synced in the same moment; what was in it has not.
    let file = quote(&format!("{base}/{UNSYNCED}"));
    format!("if [ -s {file} ]; then echo no; else echo yes; fi\nrm -f {file}\n")
}

/// Ends a file system at once: whatever has not been synced is dropped, and everything after that is an error.
///
/// The kernel has a call for it (FS_IOC_SHUTDOWN, without flushing the log), and no usual tool makes it.
pub fn shut_down(base: &str) -> String {
    let base = quote(base);
    let perl = r#"open(my $f, "<", $ARGV[0]) or die "$!\n"; my $how = pack("L", 2); ioctl($f, 0x8004587d, $how) or die "$!\n""#;
    let python = "import fcntl, os, struct, sys\n\
                  fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
    format!(
        "if command -v perl >/dev/null; then perl -e {} {base} || exit 1\n\
         elif command -v python3 >/dev/null; then python3 -c {} {base} || exit 1\n\
         else echo 'there is neither perl nor python3, to end a file system (FS_IOC_SHUTDOWN)' >&2; exit 1; fi\n",
        quote(perl),
        quote(python)
    )
}

/// Takes all that is left of a disk.
pub fn fill(base: &str) -> String {
    let file = quote(&format!("{base}/{FILL}"));
    format!(
        "command -v fallocate >/dev/null || {{ echo 'there is no fallocate (package util-linux)' >&2; exit 1; }}\n\
         : >{file} || exit 1\nat=0\nfor s in 1073741824 67108864 4194304 262144 16384 4096; do\n\
         while fallocate -o $at -l $s {file} 2>/dev/null; do at=$((at + s)); done; done\n\
         [ $at -gt 0 ] || {{ echo 'this file system gives no space ahead of time (fallocate)' >&2; exit 1; }}\n"
    )
}

/// Gives it back. No error if there is nothing.
pub fn empty(base: &str) -> String {
    format!("rm -f {}\n", quote(&format!("{base}/{FILL}")))
}

/// Makes whoever writes wait.
pub fn hang(base: &str) -> String {
    format!(
        "command -v fsfreeze >/dev/null || {{ echo 'there is no fsfreeze (package util-linux)' >&2; exit 1; }}\n\
         fsfreeze -f {}\n",
        quote(base)
    )
}

/// Lets them go on. No error if nobody waits.
pub fn go_on(base: &str) -> String {
    // One that is not frozen is none of ours; what else may be wrong with it is seen by a probe.
    format!("fsfreeze -u {} 2>/dev/null\ntrue\n", quote(base))
}

/// Makes an ext4 read-only, for files that are open, too: as it does by itself when it meets an error.
pub fn turn_read_only(base: &str) -> String {
    format!("mount -o remount,abort {}\n", quote(base))
}

/// Prints what the disk does: `healthy`, `full`, `hung`, `read-only`, or what else was said about it.
pub fn probe(base: &str) -> String {
    let file = quote(&format!("{base}/{PROBE}"));
    // Who waits for a disk cannot be told to stop: it writes by itself, and removes its file when it may.
    let write = format!(
        "if out=$(LC_ALL=C dd if=/dev/zero of={file} bs=4096 count=4 2>&1); then s=healthy; else\n\
         case $out in *'No space left'*) s=full;; *'Read-only'*) s=read-only;; *) s=\"$out\";; esac; fi\n\
         rm -f {file}; [ ! -e \"$1\" ] || echo $s >\"$1\""
    );
    format!(
        "t=/run/perjury-probe.$$; : >$t || exit 1\n\
         setsid sh -c {} probe $t >/dev/null 2>&1 </dev/null &\n\
         i=0; while [ ! -s $t ] && [ $i -lt 40 ]; do i=$((i + 1)); sleep 0.02 2>/dev/null || sleep 1; done\n\
         if [ -s $t ]; then cat $t; else echo hung; fi\nrm -f $t\n",
        quote(&write)
    )
}

/// What [`probe`] has printed.
pub fn read_probe(said: &str) -> Result<DiskState, String> {
    match said.trim() {
        "healthy" => Ok(DiskState::Healthy),
        "full" => Ok(DiskState::Full),
        "hung" => Ok(DiskState::Hung),
        "read-only" => Ok(DiskState::ReadOnly),
        other => Err(format!("writing a file said {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "22 1 0:21 / / rw - overlay overlay rw,lowerdir=/x\n\
        40 22 7:3 / /var/lib/perjury-disk rw,relatime - ext4 /dev/loop3 rw,commit=300\n\
        41 22 7:3 /1 /var/lib/etcd rw,relatime - ext4 /dev/loop3 rw,commit=300\n\
        42 22 8:1 / /srv/db rw,noatime shared:1 - xfs /dev/sda1 rw,attr2\n\
        43 22 8:2 /data /srv/part rw - ext4 /dev/sda2 rw\n\
        44 22 8:3 / /var rw - ext4 /dev/sda3 rw\n\
        45 22 8:3 /x /srv/x rw - ext4 /dev/sda3 rw\n\
        image /dev/loop3 /var/lib/perjury-disk.img\n";

    #[test]
    fn a_disk_is_unmounted_everywhere_and_mounted_again_as_it_was() {
        let mounts = Mounts::read(SAID, "/var/lib/etcd").unwrap();
        assert_eq!(mounts.base, "/var/lib/perjury-disk");
        let (off, on) = (mounts.unmount(), mounts.mount());
        assert!(off.contains("for t in /var/lib/etcd /var/lib/perjury-disk; do"), "{off}");
        for part in [
            "mount -t ext4 -o loop,commit=300 /var/lib/perjury-disk.img /var/lib/perjury-disk ",
            "mount --bind /var/lib/perjury-disk/1 /var/lib/etcd ",
        ] {
            assert!(on.contains(part), "{part}\nis not in\n{on}");
        }
        let xfs = Mounts::read(SAID, "/srv/db").unwrap();
        assert!(xfs.mount().contains("mount -t xfs -o attr2 /dev/sda1 /srv/db "), "{}", xfs.mount());
        assert!(xfs.can_turn_read_only().unwrap_err().contains("only ext4"));
    }

    #[test]
    fn what_is_the_machine_s_own_is_left_alone() {
        for (dir, words) in [
            ("/var/lib/other", "not a file system of its own"),
            ("/srv/part", "whose root is not mounted"),
            ("/srv/x", "also that of /var"),
            ("/", "also that of /"),
        ] {
            let why = Mounts::read(SAID, dir).unwrap_err();
            assert!(why.contains(words), "{dir}: {why}");
        }
    }
}
