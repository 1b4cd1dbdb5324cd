//! What a host must be told so that its wall clock is wrong, and right again.
//!
//! The host's time since its start goes on through all of it: the right time is what the clock said when it was saved,
//! plus what has passed since. So every setting starts from the truth, and none adds to an earlier one. The kernel tells
//! that time to a hundredth of a second; who needs it closer has a daemon for it, which is started again at the end.

use crate::control::host::{Host, HostError};
use nemesis::ClockSetting;
use std::time::{Duration, Instant, SystemTime};

/// Daemons that keep the time. Those that run are stopped first, or they would heal the fault.
const KEEPERS: &str = "systemd-timesyncd chrony chronyd ntp ntpd ntpsec openntpd";

/// Prints the daemons that run, if the clock may be set at all (CAP_SYS_TIME): what was refused could not be undone.
pub fn keepers() -> String {
    format!(
        "c=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status 2>/dev/null)\n\
         [ -z \"$c\" ] || [ $((0x$c >> 25 & 1)) = 1 ] || {{ echo 'it may not be set there (a container?)' >&2; exit 1; }}\n\
         command -v systemctl >/dev/null || exit 0\n\
         for u in {KEEPERS}; do systemctl is-active --quiet $u 2>/dev/null && echo $u; done; true\n"
    )
}

/// Stops daemons, and what starts them again. The same daemon may have two names.
pub fn stop_keepers(running: &str) -> (String, String) {
    let names = running.split_whitespace().collect::<Vec<_>>().join(" ");
    (format!("systemctl stop {names}\n"), format!("systemctl start {names}\n"))
}

/// A host's clock minus ours, in nanoseconds. Nothing, if it is less than half of the time that asking takes: then nobody
/// knows.
pub fn ahead(host: &dyn Host, patience: Duration) -> Result<i64, HostError> {
    let ours = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
    // The first question may have to open a connection.
    let mut best: Option<(i64, i64)> = None;
    for _ in 0..2 {
        let (began, before) = (Instant::now(), ours());
        let said = host.sh("date +%s%N", patience)?;
        let took = began.elapsed().as_nanos() as i64;
        let theirs: i64 =
            said.parse().map_err(|_| host.failed("reading its clock", &format!("it said {said:?}")))?;
        if best.is_none_or(|(least, _)| took < least) {
            best = Some((took, theirs - (before + took / 2)));
        }
    }
    Ok(best.filter(|(took, ahead)| ahead.abs() > took / 2).map_or(0, |(_, ahead)| ahead))
}

/// Prints what the clock says and how long the host has run, in nanoseconds and hundredths: what is saved.
pub fn save() -> &'static str {
    "read up rest </proc/uptime; echo $(date +%s%N) ${up%.*}${up#*.}\n"
}

/// What was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Nanoseconds since 1970.
    pub wall_ns: i64,
    /// Hundredths of a second since the host was started.
    pub up_cs: i64,
}

impl Saved {
    /// What `save` has printed.
    pub fn parse(text: &str) -> Option<Saved> {
        let (wall, up) = text.trim().split_once(' ')?;
        // A leading zero is not octal here.
        Some(Saved { wall_ns: wall.parse().ok()?, up_cs: up.trim().parse().ok()? })
    }

    /// Sets the clock to the truth plus `offset_ns`.
    fn step(self, offset_ns: i64) -> String {
        let Saved { wall_ns, up_cs } = self;
        format!(
            "read up rest </proc/uptime; s=${{up%.*}}; c=${{up#*.}}; c=${{c#0}}\n\
             t=$(({wall_ns} + (s * 100 + ${{c:-0}} - {up_cs}) * 10000000 + {offset_ns}))\n\
             date -s \"@$((t / 1000000000)).$(printf %09d $((t % 1000000000)))\" >/dev/null\n"
        )
    }

    /// The commands that make the clock wrong in this way.
    ///
    /// # Errors
    /// A rate that no kernel has: its clock can be made to run at 0.9 to 1.1 of its speed.
    pub fn set(self, setting: ClockSetting) -> Result<String, String> {
        if !(0.9..=1.1).contains(&setting.rate) {
            return Err(format!(
                "a host's clock can be made to run at 0.9 to 1.1 of its speed, not at {}",
                setting.rate
            ));
        }
        let mut text = String::new();
        if setting.rate != 1.0 {
            // 10000 ticks of the kernel's clock are honest.
            let tick = (setting.rate * 10_000.0).round() as i64;
            text.push_str("command -v adjtimex >/dev/null || { echo 'there is no adjtimex (package adjtimex)' >&2; exit 1; }\n");
            text.push_str(&format!("adjtimex --tick {tick} || exit 1\n"));
        }
        text.push_str(&self.step(setting.offset_ns));
        Ok(text)
    }

    /// The commands that make it right again.
    pub fn undo(self) -> String {
        let tick = "if command -v adjtimex >/dev/null; then adjtimex --tick 10000 || exit 1; fi\n";
        format!("{tick}{}", self.step(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This machine's clock is not for tests: what would be set is printed instead.
    fn would_set(script: &str) -> Option<i64> {
        let script = format!("date() {{ echo \"$2\"; }}\n{}", script.replace(" >/dev/null\n", "\n"));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (seconds, nanos) = text.trim().strip_prefix('@')?.split_once('.')?;
        assert_eq!(nanos.len(), 9, "{text}");
        Some(seconds.parse::<i64>().ok()? * 1_000_000_000 + nanos.parse::<i64>().ok()?)
    }

    #[test]
    fn a_clock_is_set_to_the_truth_plus_the_offset_and_back_to_the_truth() {
        let saved = std::process::Command::new("sh").arg("-c").arg(save()).output().unwrap();
        let saved = Saved::parse(&String::from_utf8(saved.stdout).unwrap()).unwrap();
        let truth =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
        for offset_ns in [30_000_000_000, -30_000_000_000, 7] {
            let script = saved.set(ClockSetting { offset_ns, rate: 1.0 }).unwrap();
            let before = truth();
            let set = would_set(&script).unwrap();
            // As close as the kernel tells, and as long as the shell took.
            assert!(
                (before + offset_ns - 20_000_000..truth() + offset_ns + 20_000_000).contains(&set),
                "{offset_ns}"
            );
        }
        let before = truth();
        let healed = would_set(&saved.undo().replace("adjtimex --tick", "true")).unwrap();
        assert!((before - 20_000_000..truth() + 20_000_000).contains(&healed));
    }

    #[test]
    fn a_rate_that_no_kernel_has_is_refused() {
        let saved = Saved { wall_ns: 1, up_cs: 1 };
        assert!(saved.set(ClockSetting { offset_ns: 0, rate: 2.0 }).unwrap_err().contains("0.9 to 1.1"));
        let text = saved.set(ClockSetting { offset_ns: 0, rate: 0.95 }).unwrap();
        assert!(text.contains("adjtimex --tick 9500"), "{text}");
    }
}
