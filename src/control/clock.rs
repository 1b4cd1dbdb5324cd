//! A node's clocks, seen through a layer that the nemesis can bend.
//!
//! The setting of a node is a file in libfaketime's syntax: `+30s` moves the wall clock, `-1.5s x0.5` also makes both
//! clocks run at half speed. Nothing on the machine itself is touched.
//!
//! ```text
//!   wall clock       = true time + offset, and from the moment of the setting on at `rate`
//!   rate-only clock  = monotonic, at `rate`: it never jumps, and leases are measured by it
//! ```

use nemesis::ClockSetting;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// How long a node goes without looking at its clock file.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// `+30.000000000s x0.5`: a setting as libfaketime writes it.
pub fn to_text(setting: ClockSetting) -> String {
    let sign = if setting.offset_ns < 0 { '-' } else { '+' };
    let ns = setting.offset_ns.unsigned_abs();
    let offset = format!("{sign}{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000);
    if setting.rate == 1.0 { offset } else { format!("{offset} x{}", setting.rate) }
}

/// The setting that a file holds. `Err` says what stands there instead.
pub fn from_text(text: &str) -> Result<ClockSetting, String> {
    let bad = || format!("a clock setting like +30s or -1.5s x0.5 was expected, not {text:?}");
    let mut setting = ClockSetting::default();
    let mut words = text.split_whitespace();
    let Some(offset) = words.next() else { return Ok(setting) };
    let seconds: f64 = offset.strip_suffix('s').unwrap_or(offset).parse().map_err(|_| bad())?;
    let ns = (seconds * 1e9).round();
    if !offset.starts_with(['+', '-']) || !ns.is_finite() || ns.abs() > 9e18 {
        return Err(bad());
    }
    setting.offset_ns = ns as i64;
    if let Some(rate) = words.next() {
        setting.rate = rate.strip_prefix('x').ok_or_else(bad)?.parse().map_err(|_| bad())?;
        if !(setting.rate.is_finite() && setting.rate > 0.0) {
            return Err(bad());
        }
    }
    if words.next().is_some() { Err(bad()) } else { Ok(setting) }
}

/// The clocks of one node.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    setting: ClockSetting,
    looked: Instant,
    /// When `setting` came into force: the true wall clock, and what the rate-only clock showed.
    since: Instant,
    wall_since: SystemTime,
    rated_since: Duration,
}

impl Clock {
    /// The clocks that `file` describes; no file is an honest clock.
    pub fn new(file: &Path) -> Clock {
        let now = Instant::now();
        let inner = Inner {
            setting: ClockSetting::default(),
            looked: now,
            since: now,
            wall_since: SystemTime::now(),
            rated_since: Duration::ZERO,
        };
        let clock = Clock { file: file.to_path_buf(), inner: Mutex::new(inner) };
        clock.look();
        clock
    }

    /// The wall clock: nanoseconds since 1970, as this node believes.
    pub fn wall_ns(&self) -> i64 {
        let inner = self.current(false);
        if inner.setting.rate == 1.0 {
            return unix_ns(SystemTime::now()).saturating_add(inner.setting.offset_ns);
        }
        let elapsed = inner.since.elapsed().as_nanos() as f64 * inner.setting.rate;
        unix_ns(inner.wall_since).saturating_add(inner.setting.offset_ns).saturating_add(elapsed as i64)
    }

    /// The rate-only clock: time since the process started, as this node believes.
    pub fn rated(&self) -> Duration {
        self.current(false).rated()
    }

    /// Reads the file now, whenever it was read last.
    pub fn look(&self) {
        drop(self.current(true));
    }

    fn current(&self, now: bool) -> std::sync::MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().expect("nobody panics while reading a clock");
        if now || inner.looked.elapsed() >= LOOK_EVERY {
            inner.looked = Instant::now();
            // A file that is not there or not readable changes nothing: the controller replaces it in one step.
            let text = std::fs::read_to_string(&self.file).unwrap_or_default();
            if let Ok(setting) = from_text(&text) {
                if setting != inner.setting {
                    inner.rated_since = inner.rated();
                    inner.since = Instant::now();
                    inner.wall_since = SystemTime::now();
                    inner.setting = setting;
                }
            }
        }
        inner
    }
}

impl Inner {
    fn rated(&self) -> Duration {
        self.rated_since + self.since.elapsed().mul_f64(self.setting.rate)
    }
}

/// Nanoseconds since 1970.
pub fn unix_ns(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_survives_its_file() {
        for (offset_ns, rate) in [(0, 1.0), (30_000_000_000, 1.0), (-1_500_000_000, 0.5), (1, 2.0)] {
            let setting = ClockSetting { offset_ns, rate };
            assert_eq!(from_text(&to_text(setting)), Ok(setting), "{}", to_text(setting));
        }
        assert_eq!(from_text("+30s x0.5"), Ok(ClockSetting { offset_ns: 30_000_000_000, rate: 0.5 }));
        for bad in ["30s", "+30m", "+30s 0.5", "+30s x0", "+30s x0.5 y", "+infs", "+30s xNaN"] {
            assert!(from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_wall_clock_jumps_and_the_rate_only_clock_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clock");
        let clock = Clock::new(&file);
        let (wall, rated) = (clock.wall_ns(), clock.rated());
        std::fs::write(&file, "+30s").unwrap();
        clock.look();
        assert!(clock.wall_ns() - wall >= 30_000_000_000);
        assert!(clock.rated() - rated < Duration::from_secs(20));
        std::fs::write(&file, "+0s x1000").unwrap();
        clock.look();
        let (start, before) = (Instant::now(), clock.rated());
        while start.elapsed() < Duration::from_millis(2) {}
        assert!(clock.rated() - before >= Duration::from_secs(2), "a fast clock runs fast");
    }
}
