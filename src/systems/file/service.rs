//! The nodes of a system that a file describes: its scripts, filled in for each node, and its clients' programs.

use super::FileSystem;
use super::keeper::Keeper;
use super::pipes::Pipes;
use super::shape::{Description, Found, dir_of};
use super::template::{Facts, Template};
use crate::client::{Client, Running, Start};
use crate::control::clock::unix_ns;
use crate::control::host::quote;
use crate::control::hosts::process::{self, Finder};
use crate::systems::calls::{self, NoLine, Session, Wire};
use crate::systems::daemons;
use crate::systems::service::{Door, Part, Service, Way};
use nemesis::Role;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How long a script that asks a node something may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the first program of a node may take to be ready.
const GREETING: Duration = Duration::from_secs(20);
/// How often a starting process is looked for, 50 ms apart.
const LOOKS: u32 = 300;

/// Starts the system, or finds it.
pub fn start(system: &FileSystem, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
    let with = system.values(start.with)?;
    let reads = workloads::find(start.workload).map_or(&[][..], |workload| workload.reads());
    let log = start.dir.join("clients.log");
    let source = std::fs::read(system.typed).map_err(|e| format!("{}: {e}", system.typed))?;
    let copy = start.dir.join("system.toml");
    std::fs::write(&copy, source).map_err(|e| format!("{}: {e}", copy.display()))?;
    daemons::start(system, start, |nodes| {
        let description = system.description;
        let facts = Facts {
            name: description.name.clone(),
            dir: dir_of(&description.name),
            ports: description.ports.clone(),
            nodes,
            with,
            workload: start.workload.to_string(),
            ..Facts::default()
        };
        let (dir, keeper, starting) = (system.dir.clone(), Mutex::default(), Mutex::default());
        Ok(Described { description, facts, dir, log, reads, keeper, starting })
    })
}

/// A system file with the nodes that it is filled in for.
struct Described {
    description: &'static Description,
    facts: Facts,
    /// Where the client's program is started.
    dir: PathBuf,
    log: PathBuf,
    /// Functions of the workload without effect.
    reads: &'static [&'static str],
    /// Made when the first client is, in the network in which clients are.
    keeper: Mutex<Option<Arc<Keeper>>>,
    /// By node: programs that were started for a client and are not taken yet. One that takes longer to start than a
    /// call may take is there for the next.
    starting: Mutex<HashMap<usize, VecDeque<Pipes>>>,
}

impl Described {
    /// A script of a node. What cannot be filled in becomes a script that fails and says so.
    fn script(&self, template: &Template, node: usize, first: bool) -> String {
        let facts = Facts { node, first, ..self.facts.clone() };
        template.render(&facts).unwrap_or_else(|why| format!("echo {} >&2\nexit 1", quote(&why)))
    }

    fn ask(&self, template: &Template, way: &Way<'_>) -> Result<String, String> {
        way.sh(&self.script(template, way.node, false), PATIENCE)
    }

    /// What the start script, and a daemon that redirects nothing, print.
    fn start_log(&self) -> String {
        format!("/var/log/perjury-{}.log", self.description.name)
    }

    fn keeper(&self, door: &Door<'_>) -> Result<Arc<Keeper>, String> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &*keeper {
            return Ok(keeper.clone());
        }
        let made = Keeper::start(&self.dir, &self.log, |command| door.spawn(command))?;
        *keeper = Some(made.clone());
        Ok(made)
    }

    fn starting(&self) -> MutexGuard<'_, HashMap<usize, VecDeque<Pipes>>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A program that has greeted, by `deadline`.
    fn program(&self, door: &Door<'_>, deadline: Instant) -> Result<Pipes, String> {
        let taken = self.starting().entry(door.node).or_default().pop_front();
        let mut pipes = match taken {
            Some(pipes) => pipes,
            None => {
                let facts = Facts { node: door.node, ..self.facts.clone() };
                let command = self.description.command.iter().map(|argument| argument.render(&facts));
                Pipes::of(self.keeper(door)?.run(command.collect::<Result<Vec<String>, String>>()?)?)?
            }
        };
        let why = match pipes.next(deadline) {
            Ok(line) if calls::greeting(&line) => return Ok(pipes),
            Ok(line) => format!("expected {{\"ready\":true}} first, found {:?}", shortened(&line)),
            Err(NoLine::Late) => {
                self.starting().entry(door.node).or_default().push_back(pipes);
                return Err("the client's program has not said yet that it is ready".to_string());
            }
            Err(NoLine::Broken(why)) => why,
        };
        let ended = pipes.end().map_or(String::new(), |how| format!(" ({how})"));
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last =
            said.trim_end().lines().last().map_or(String::new(), |last| format!(": {}", shortened(last)));
        Err(format!("the client's program: {why}{ended}{last}"))
    }
}

fn shortened(line: &str) -> String {
    line.chars().take(200).collect()
}

/// Shell text that prints the number of the process, as soon as there is one: of several, the oldest.
fn find(found: &Found, log: &str) -> String {
    let (finder, name) = match found {
        Found::Name(name) => (Finder::Name(name.clone()), name),
        Found::PidFile(file) => (Finder::PidFiles(vec![file.clone()]), file),
    };
    let list = process::list(&finder);
    let look = format!("(\n{list}\n) | tr ' ' '\\n' | grep : | sort -t: -k2n | sed -n '1s/:.*//p'");
    let (what, log) = (quote(&format!("no process by {name}")), quote(log));
    format!(
        "look() {{\n{look}\n}}\ni=0\nwhile :; do p=$(look); [ -n \"$p\" ] && break\n\
         i=$((i + 1)); [ $i -lt {LOOKS} ] || {{ echo {what}: \"$(tail -n 1 {log})\" >&2; exit 1; }}\n\
         sleep 0.05 2>/dev/null || sleep 1; done\necho $p\n"
    )
}

impl Service for Described {
    fn parts(&self) -> Vec<Part> {
        let name = match &self.description.found {
            Found::Name(name) => name,
            // Whoever runs it himself (--no-db) is found by name, so it had better have one.
            Found::PidFile(_) => &self.description.name,
        };
        vec![Part::named(&self.description.name, name)]
    }

    fn prepare(&self, node: usize) -> Option<String> {
        let dir = quote(&self.facts.dir);
        let setup = self.description.setup.as_ref().map(|setup| self.script(setup, node, true));
        Some(format!("mkdir -p {dir} && cd {dir} && (\n{}\n)\n", setup.as_deref().unwrap_or("true")))
    }

    fn start_command(&self, node: usize, _part: usize, new: bool) -> String {
        let (dir, log) = (quote(&self.facts.dir), self.start_log());
        let forget = match &self.description.found {
            // It would name the process before this one.
            Found::PidFile(file) => format!("rm -f {}\n", quote(file)),
            Found::Name(_) => String::new(),
        };
        format!(
            "cd {dir} || exit 1\n{forget}(\n{}\n) >>{log} 2>&1 </dev/null || {{ tail -n 1 {log} >&2; exit 1; }}\n{}",
            self.script(&self.description.start, node, new),
            find(&self.description.found, &log),
            log = quote(&log),
        )
    }

    /// The last of its ports.
    fn peer_port(&self) -> u16 {
        self.description.ports.last().copied().unwrap_or_default()
    }

    fn logs(&self) -> Vec<String> {
        [&[self.start_log()], &self.description.logs[..]].concat()
    }

    fn data(&self) -> Vec<String> {
        std::iter::once(&self.facts.dir).chain(&self.description.data).cloned().collect()
    }

    /// By a connection: that it serves may take other nodes, which may be dead.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        way.dial(self.peer_port(), deadline).map(drop)
    }

    fn serves(&self, way: &Way<'_>, _deadline: Instant) -> Result<(), String> {
        // A script takes its time to start; how long is waited in all is not its own business.
        self.ask(&self.description.ready, way).map(drop)
    }

    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        let Some(role) = &self.description.role else { return Ok(None) };
        read_role(&self.ask(role, way)?).map(Some)
    }

    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let Some(clock) = &self.description.clock else { return Ok(None) };
        let before = unix_ns(SystemTime::now());
        let said = self.ask(clock, way)?;
        let after = unix_ns(SystemTime::now());
        offset(said.trim(), before, after).map(Some)
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        match &self.description.version {
            Some(version) => Ok(self.ask(version, way)?.trim().to_string()),
            None => Ok(String::new()),
        }
    }

    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        match &self.description.clear {
            Some(clear) => self.ask(clear, way).map(drop),
            None => Err(
                "the system file does not say how (node.clear), and what is left would be taken for writes \
                         that nobody made"
                    .into(),
            ),
        }
    }

    /// One program for each node is started beforehand, so that one that cannot be is found out here.
    fn try_client(&self, door: &Door<'_>) -> Result<(), String> {
        let mut pipes = self.program(door, Instant::now() + GREETING)?;
        pipes.greeted();
        self.starting().entry(door.node).or_default().push_back(pipes);
        Ok(())
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        Ok(Box::new(Session::new(self.program(door, door.deadline)?, self.reads)))
    }

    fn end(&self) {
        self.starting().clear();
        if let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take() {
            keeper.dismiss();
        }
    }
}

/// `primary 7`, `replica 7`; without a term it is 0.
fn read_role(said: &str) -> Result<Role, String> {
    let mut words = said.split_whitespace();
    let primary = match words.next() {
        Some("primary") => true,
        Some("replica") => false,
        _ => return Err(format!("expected `primary TERM` or `replica TERM`, found {said:?}")),
    };
    let term = words.next().map_or(Ok(0), str::parse);
    let term = term.map_err(|_| format!("expected a number behind the role, found {said:?}"))?;
    Ok(Role { primary, term })
}

/// What a clock that says this is off by: of what the time between asking and hearing allows, the least.
fn offset(said: &str, before: i64, after: i64) -> Result<i64, String> {
    let (seconds, fraction) = said.split_once('.').unwrap_or((said, ""));
    let wrong = || format!("expected the seconds since 1970, found {said:?}");
    let whole: i64 = seconds.parse().map_err(|_| wrong())?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = digits.parse().map_err(|_| wrong())?;
    let told = whole.checked_mul(1_000_000_000).and_then(|s| s.checked_add(nanoseconds)).ok_or_else(wrong)?;
    // What it does not write it may have left out.
    let unwritten = 10_i64.pow(9 - fraction.chars().count().min(9) as u32) - 1;
    let (low, high) = (told - after, told + unwritten - before);
    Ok(if low > 0 { low } else { high.min(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_a_word_and_a_term() {
        assert_eq!(read_role("primary 7\n"), Ok(Role { primary: true, term: 7 }));
        assert_eq!(read_role("replica"), Ok(Role { primary: false, term: 0 }));
        for wrong in ["", "leader 7", "primary seven", "primary -1"] {
            assert!(read_role(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_clock_is_off_by_no_more_than_it_must_be() {
        let at = |seconds: f64| (seconds * 1e9) as i64;
        assert_eq!(offset("100", at(100.7), at(100.71)), Ok(0));
        assert_eq!(offset("100.705", at(100.7), at(100.71)), Ok(0));
        assert_eq!(offset("130", at(100.0), at(100.5)), Ok(at(29.5)));
        assert_eq!(offset("70.5", at(100.5), at(101.0)), Ok(at(70.5) + 99_999_999 - at(100.5)));
        for wrong in ["", "now", "1e9", "1.x", "99999999999999"] {
            assert!(offset(wrong, 0, 0).is_err(), "{wrong}");
        }
    }

    /// The script that finds a started process, on this machine.
    #[test]
    fn a_process_is_found_by_its_file_when_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("pid"), dir.path().join("log"));
        std::fs::write(&log, "").unwrap();
        let look = find(&Found::PidFile(file.display().to_string()), &log.display().to_string());
        let mut sleeper = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        std::fs::write(&file, format!("{}\n", sleeper.id())).unwrap();
        let output = std::process::Command::new("/bin/sh").args(["-c", &look]).output().unwrap();
        let (id, said) = (sleeper.id(), String::from_utf8_lossy(&output.stdout).trim().to_string());
        let _ = sleeper.kill();
        let _ = sleeper.wait();
        assert_eq!(said, id.to_string(), "{output:?}");
    }
}
