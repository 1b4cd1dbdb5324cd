//! The kernel's freezer of process groups, as shell text: version 2, or version 1 where that is what there is.
//!
//! Processes are put into a group of ours, which is then frozen. Of version 2 a frozen process can still be killed; of
//! version 1 only a thawed one.

/// The group of a name, in whichever hierarchy there is: `$dir`, and `$v` for its version.
fn prelude(group: &str) -> String {
    format!(
        "root=$(sed -n 's/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p' /proc/mounts | head -n 1); v=2\n\
         if [ -z \"$root\" ]; then v=1\n\
         root=$(sed -n 's/^[^ ]* \\([^ ]*\\) cgroup [^ ]*freezer.*/\\1/p' /proc/mounts | head -n 1); fi\n\
         [ -n \"$root\" ] || {{ echo 'there is no freezer (cgroup2, or the freezer of cgroup)' >&2; exit 1; }}\n\
         dir=$root/{group}\n"
    )
}

/// Moves these processes (`PID PID …`) into the group and freezes it; returns when the kernel says that it is. Their
/// children to come are frozen, too. Where each was before is kept beside the group's name in `/run`.
pub fn freeze(group: &str, pids: &str) -> String {
    format!(
        "{}mkdir -p $dir || exit 1\n: >>/run/{group}.from\n\
         for p in {pids}; do\n\
         if [ $v = 2 ]; then was=$(sed -n 's/^0:://p' /proc/$p/cgroup 2>/dev/null)\n\
         else was=$(sed -n 's/^[0-9]*:[^:]*freezer[^:]*://p' /proc/$p/cgroup 2>/dev/null); fi\n\
         [ -n \"$was\" ] || continue\n\
         case $was in */{group}) ;; *) echo \"$p $was\" >>/run/{group}.from;; esac\n\
         echo $p >$dir/cgroup.procs 2>/dev/null || [ ! -e /proc/$p ] || {{ echo \"process $p cannot be moved\" >&2; exit 1; }}; done\n\
         if [ $v = 2 ]; then echo 1 >$dir/cgroup.freeze || exit 1; else echo FROZEN >$dir/freezer.state || exit 1; fi\n\
         i=0; until {FROZEN}; do i=$((i + 1))\n\
         [ $i -lt 150 ] || {{ echo 'the processes do not freeze' >&2; exit 1; }}; sleep 0.02 2>/dev/null || sleep 1; done\n",
        prelude(group)
    )
}

/// Whether `$dir` is frozen.
const FROZEN: &str = "{ [ $v = 2 ] && grep -qx 'frozen 1' $dir/cgroup.events; } 2>/dev/null || \
                      { [ $v = 1 ] && grep -qx FROZEN $dir/freezer.state; } 2>/dev/null";

/// Lets them go on, moves them to where they were, and removes the group. No error if there is none.
pub fn thaw(group: &str) -> String {
    format!(
        "{}[ -d $dir ] || exit 0\n\
         if [ $v = 2 ]; then echo 0 >$dir/cgroup.freeze || exit 1; else echo THAWED >$dir/freezer.state || exit 1; fi\n\
         i=0; while [ -d $dir ]; do\n\
         for p in $(cat $dir/cgroup.procs); do was=$(sed -n \"s/^$p //p\" /run/{group}.from 2>/dev/null | head -n 1)\n\
         echo $p >$root${{was%/}}/cgroup.procs 2>/dev/null || echo $p >$root/cgroup.procs 2>/dev/null; done\n\
         rmdir $dir 2>/dev/null && break\n\
         i=$((i + 1)); [ $i -lt 150 ] || {{ echo \"$dir cannot be removed\" >&2; exit 1; }}; sleep 0.02 2>/dev/null || sleep 1; done\n\
         rm -f /run/{group}.from\n",
        prelude(group)
    )
}

/// Prints `yes` if the group is frozen.
pub fn frozen(group: &str) -> String {
    format!("{}if {FROZEN}; then echo yes; else echo no; fi\n", prelude(group))
}
