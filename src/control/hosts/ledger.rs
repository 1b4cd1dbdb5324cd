//! What is applied to a host, kept on the host itself: for every act the script that undoes it, written before the act.
//!
//! ```text
//!   /run/perjury/ID/10-net.undo … 90-end.undo      one script a thing; each may be run at any time, any number of times
//!                   lease                         until when, in seconds since the host was started
//!                   heal                          runs all of them in order, and removes what was undone
//! ```
//!
//! Whoever finds the directory can heal the host: the run itself, `perjury heal` from another process, or the watch that
//! the host keeps by itself, when nobody has renewed the lease in time. A restart of the host empties `/run`, and undoes
//! the same things.

use crate::control::host::{Host, HostError, quote};
use std::time::{Duration, Instant};

/// Where the ledgers of a host are.
pub const DIR: &str = "/run/perjury";
/// How long one act may take.
pub const ACT: Duration = Duration::from_secs(20);
/// The exit code that says that a ledger is gone.
const GONE: i32 = 75;

/// Undoes everything in order. The first line of each script says what it is about.
const HEAL: &str = r#"#!/bin/sh
# Undoes what Perjury has done to this host: sh heal
cd "$(dirname "$0")" || exit 1
bad=0
for f in *.undo; do
  [ -e "$f" ] || continue
  if out=$(sh "./$f" 2>&1); then head -n 1 "$f"; rm -f "./$f"
  else echo "$(head -n 1 "$f"): $out" >&2; bad=1; fi
done
[ $bad = 0 ] || exit 1
rm -f ./*.undo ./*.new lease heal
d=$PWD; cd / && rmdir "$d" 2>/dev/null; rmdir /run/perjury 2>/dev/null
exit 0
"#;

/// Heals when the lease has run out. Ends when the ledger is gone; after a failure it tries again for a while.
const WATCH: &str = r#"cd / || exit 1
tries=0
while [ -d "$1" ]; do
  read now rest </proc/uptime
  read until <"$1/lease" 2>/dev/null || until=0
  if [ "${now%.*}" -ge "$until" ]; then
    sh "$1/heal" >/dev/null 2>&1 && exit 0
    tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1
  fi
  sleep 1
done
"#;

/// A thing of a host that can be changed and must be changed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// Which addresses are heard.
    Net,
    /// How long packets take.
    Shape,
    /// What the clock says.
    Clock,
    /// Who keeps the clock.
    Ntp,
    /// What the disk does.
    Disk,
    /// Processes that are frozen.
    Freeze,
    /// Processes that stand still.
    Stop,
    /// A file that is damaged.
    Damage,
    /// Processes that are gone.
    Start,
    /// Processes that we have started.
    End,
}

impl Thing {
    /// Healed in this order: a process that is started behind a cut cable would not be seen to answer, and one that waits
    /// for a disk can neither go on nor end.
    fn file(self) -> &'static str {
        match self {
            Thing::Net => "10-net",
            Thing::Shape => "15-shape",
            Thing::Clock => "20-clock",
            Thing::Ntp => "25-ntp",
            Thing::Disk => "30-disk",
            Thing::Freeze => "40-freeze",
            Thing::Stop => "50-stop",
            Thing::Damage => "60-damage",
            Thing::Start => "70-start",
            Thing::End => "90-end",
        }
    }
}

/// The ledger of one run on its hosts.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Eight hexadecimal digits.
    pub id: String,
    /// How long a host waits for news of the controller before it heals itself.
    pub lease: Duration,
}

impl Ledger {
    fn dir(&self) -> String {
        format!("{DIR}/{}", self.id)
    }

    /// Opens the ledger on a host, and sets the host's watch over it.
    pub fn open(&self, host: &dyn Host) -> Result<(), HostError> {
        let (dir, lease) = (self.dir(), self.lease.as_secs().max(1));
        let command = format!(
            "set -e\numask 077\nmkdir -p {dir}\ncat >{dir}/heal\nread now rest </proc/uptime\n\
             echo $((${{now%.*}} + {lease})) >{dir}/lease\n\
             setsid sh -c {} perjury-watch {dir} >/dev/null 2>&1 </dev/null &\n",
            quote(WATCH)
        );
        let output = host.exec(&command, HEAL.as_bytes(), Instant::now() + ACT)?;
        host.done(output).map(drop).map_err(|error| error.doing(&format!("opening {dir}")))
    }

    /// Says that the controller is still there.
    pub fn renew(&self, host: &dyn Host, patience: Duration) -> Result<(), HostError> {
        let (dir, lease) = (self.dir(), self.lease.as_secs().max(1));
        let command = format!(
            "cd {dir} 2>/dev/null || exit {GONE}\nread now rest </proc/uptime\n\
             echo $((${{now%.*}} + {lease})) >lease.new && mv lease.new lease\n"
        );
        self.run(host, "renewing its lease", &command, &[], Instant::now() + patience).map(drop)
    }

    /// Writes down how to undo an act, and does it: `act` is a command whose standard input is `input`.
    pub fn act(
        &self,
        host: &dyn Host,
        thing: Thing,
        about: &str,
        undo: &str,
        act: &str,
        input: &str,
    ) -> Result<String, HostError> {
        let (dir, file) = (self.dir(), thing.file());
        let about = about.replace('\n', " ");
        let script = quote(&format!("# {about}\n{undo}"));
        let command = format!(
            "cd {dir} 2>/dev/null || exit {GONE}\n\
             printf %s {script} >{file}.new && mv {file}.new {file}.undo || exit 1\n{act}"
        );
        self.run(host, &about, &command, input.as_bytes(), Instant::now() + ACT)
    }

    /// Undoes a thing, and crosses it out. No error if there is nothing to undo.
    pub fn undo(&self, host: &dyn Host, thing: Thing) -> Result<(), HostError> {
        let (dir, file) = (self.dir(), thing.file());
        let command = format!(
            "cd {dir} 2>/dev/null || exit 0\n[ -e {file}.undo ] || exit 0\nsh ./{file}.undo && rm -f {file}.undo\n"
        );
        self.run(host, &format!("undoing {file}"), &command, &[], Instant::now() + ACT).map(drop)
    }

    /// Undoes everything of this run, and closes the ledger. Gives what was undone, a line each.
    pub fn close(&self, host: &dyn Host) -> Result<String, HostError> {
        let dir = self.dir();
        let command = format!("[ -e {dir}/heal ] || exit 0\nsh {dir}/heal\n");
        self.run(host, "healing", &command, &[], Instant::now() + 3 * ACT)
    }

    fn run(
        &self,
        host: &dyn Host,
        act: &str,
        command: &str,
        input: &[u8],
        by: Instant,
    ) -> Result<String, HostError> {
        let named = |error: HostError| error.doing(act);
        let output = host.exec(command, input, by).map_err(named)?;
        if output.exit == crate::control::host::Exit::Code(GONE) {
            let why =
                "its ledger is gone: its lease ran out and it has healed itself, or somebody has healed it";
            return Err(host.failed(act, why));
        }
        host.done(output).map(|output| output.text()).map_err(named)
    }
}

/// Undoes everything of every run on a host, whoever did it. Gives what was undone, a line each.
pub fn heal_all(host: &dyn Host, deadline: Instant) -> Result<String, HostError> {
    let command = format!(
        "bad=0\nfor h in {DIR}/*/heal; do [ -e \"$h\" ] || continue; sh \"$h\" || bad=1; done\nexit $bad\n"
    );
    let named = |error: HostError| error.doing("healing");
    let output = host.exec(&command, &[], deadline).map_err(named)?;
    host.done(output).map(|output| output.text()).map_err(named)
}
