//! This machine as a host: commands are processes of ours. So far for tests alone.

#[cfg(test)]
use super::host::{Host, Output};
use super::host::{HostError, OUTPUT_MAX, Trouble, running};
#[cfg(test)]
use super::program;
use super::program::Unrun;
#[cfg(test)]
use std::process::Command;
use std::time::Instant;

/// This machine, under a node's name.
#[cfg(test)]
#[derive(Clone, Debug)]
pub struct HereHost {
    name: String,
    address: String,
}

#[cfg(test)]
impl HereHost {
    /// A node of that name; others reach it at `address`.
    pub fn new(name: &str, address: &str) -> HereHost {
        HereHost { name: name.to_string(), address: address.to_string() }
    }
}

#[cfg(test)]
impl Host for HereHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn exec(&self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, HostError> {
        let began = Instant::now();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command);
        program::run(shell, stdin, deadline).map_err(|why| unrun(&self.name, command, began, why))
    }
}

/// The error of a program that was run on this machine for a host.
pub fn unrun(host: &str, command: &str, began: Instant, why: Unrun) -> HostError {
    let (why, trouble) = match why {
        Unrun::Failed(why) => (why, Trouble::Failed),
        Unrun::Late => (format!("no answer within {:.1} s", began.elapsed().as_secs_f64()), Trouble::Late),
        Unrun::TooMuch => (format!("it printed more than {} MiB", OUTPUT_MAX >> 20), Trouble::Failed),
    };
    HostError { host: host.to_string(), act: running(command), why, trouble }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::host::Exit;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn here() -> HereHost {
        HereHost::new("n1", "127.0.0.1")
    }

    #[test]
    fn a_command_gives_its_code_or_its_signal_and_both_outputs() {
        let output = here().exec("cat; echo no >&2; exit 3", b"yes", soon()).unwrap();
        assert_eq!(output, Output { exit: Exit::Code(3), stdout: b"yes".into(), stderr: b"no\n".into() });
        assert_eq!(here().exec("kill -KILL $$", &[], soon()).unwrap().exit, Exit::Signal("KILL".into()));
        let error = here().sh("echo one; echo oh no >&2; false", Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().ends_with("exit 1: oh no"), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_ended_at_its_deadline_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let command = format!("sleep 1000 & echo $! >{}; wait", file.display());
        let error = here().exec(&command, &[], Instant::now() + Duration::from_millis(500)).unwrap_err();
        assert_eq!(error.trouble, Trouble::Late);
        let pid: u32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let gone = Instant::now() + Duration::from_secs(10);
        while crate::control::process::state(pid) != nemesis::NodeState::Dead {
            assert!(Instant::now() < gone, "the sleep is still there");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn output_without_end_is_an_error_and_no_memory_is_lost() {
        let error = here().exec("yes", &[], soon()).unwrap_err();
        assert_eq!((error.trouble, error.why.as_str()), (Trouble::Failed, "it printed more than 8 MiB"));
    }

    #[test]
    fn what_was_uploaded_comes_back_by_pieces_with_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it's here").display().to_string();
        let bytes: Vec<u8> = (0..9_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        here().upload(&bytes, &path, 0o640, soon()).unwrap();
        assert_eq!(here().sh(&format!("stat -c %a {path:?}"), Duration::from_secs(20)).unwrap(), "640");
        let mut back = Vec::new();
        assert_eq!(here().download(&path, &mut back, soon()).unwrap(), bytes.len() as u64);
        assert!(back == bytes, "the bytes have changed on the way");
        let error = here().download("/nowhere/x", &mut back, soon()).unwrap_err();
        assert_eq!(error.act, "downloading /nowhere/x");
    }
}
