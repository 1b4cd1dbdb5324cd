//! A host that does nothing but write down what it is told, and what the clock fault tells it.

use super::super::process::Finder;
use super::super::{HostCluster, Known, Service};
use crate::control::host::{Exit, Host, HostError, Output};
use nemesis::{ClockSetting, Cluster};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A host of which only the memory is real.
#[derive(Default)]
struct Recording {
    told: Mutex<Vec<String>>,
}

impl Host for Recording {
    fn name(&self) -> &str {
        "n1"
    }

    fn address(&self) -> &str {
        "192.0.2.1"
    }

    fn exec(&self, command: &str, _: &[u8], _: Instant) -> Result<Output, HostError> {
        self.told.lock().unwrap().push(command.to_string());
        // The answers of a host with chrony, an hour after its start.
        let said = match command {
            c if c.contains("is-active") => "chrony\n".to_string(),
            c if c.contains("echo $(date +%s%N)") => "1700000000000000000 360000\n".to_string(),
            c if c.contains("date +%s%N") => "1700000000000000000\n".to_string(),
            _ => String::new(),
        };
        Ok(Output { exit: Exit::Code(0), stdout: said.into_bytes(), stderr: Vec::new() })
    }
}

#[test]
fn a_clock_is_saved_and_its_keeper_stopped_before_it_is_set_and_all_of_it_is_undone_in_order() {
    let host = Arc::new(Recording::default());
    let service = Service {
        finder: Finder::Name("db".into()),
        start: None,
        ready: None,
        port: 1,
        known: Known::default(),
    };
    let lease = Duration::from_secs(3600);
    let cluster = HostCluster::new(vec![host.clone()], vec![service], "00000003", lease, None).unwrap();
    host.told.lock().unwrap().clear();
    cluster.set_clock(0, ClockSetting { offset_ns: 30_000_000_000, rate: 1.0 }).unwrap();
    cluster.set_clock(0, ClockSetting { offset_ns: -1, rate: 1.0 }).unwrap();
    cluster.set_clock(0, ClockSetting::default()).unwrap();
    let told = host.told.lock().unwrap().clone();
    let undo = |file: &str| {
        format!(
            "cd /run/perjury/00000003 2>/dev/null || exit 0\n[ -e {file}.undo ] || exit 0\nsh ./{file}.undo && rm -f {file}.undo\n"
        )
    };
    let enter = "cd /run/perjury/00000003 2>/dev/null || exit 75\n";
    let set = |offset: i64| {
        format!(
            "read up rest </proc/uptime; s=${{up%.*}}; c=${{up#*.}}; c=${{c#0}}\n\
             t=$((1700000000000000000 + (s * 100 + ${{c:-0}} - 360000) * 10000000 + {offset}))\n\
             date -s \"@$((t / 1000000000)).$(printf %09d $((t % 1000000000)))\" >/dev/null\n"
        )
    };
    let clock = |offset: i64| {
        format!(
            "{enter}printf %s '# setting its clock\nif command -v adjtimex >/dev/null; then adjtimex --tick 10000 || exit 1; fi\n{}' \
             >20-clock.new && mv 20-clock.new 20-clock.undo || exit 1\n{}",
            set(0),
            set(offset)
        )
    };
    let keeper = format!(
        "{enter}printf %s '# stopping chrony\nsystemctl start chrony\n' >25-ntp.new && mv 25-ntp.new 25-ntp.undo || exit 1\n\
         systemctl stop chrony\n"
    );
    assert!(told[0].contains("mkdir -p /run/perjury/00000003"), "{}", told[0]);
    assert!(told[1].contains("is-active") && told[3].contains("echo $(date +%s%N)"), "{told:#?}");
    let expected = [keeper, clock(30_000_000_000), clock(-1), undo("20-clock"), undo("25-ntp")];
    let got: Vec<String> = [2, 4, 5, 6, 7].iter().map(|&at: &usize| told[at].clone()).collect();
    assert_eq!(got, expected);
    assert_eq!(told.len(), 8);
}
