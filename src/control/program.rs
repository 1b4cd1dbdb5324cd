//! Runs a program of this machine to its end, with a deadline and bounded output.

use super::host::{Exit, OUTPUT_MAX, Output};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Why a program came to nothing.
#[derive(Debug)]
pub enum Unrun {
    /// It could not be started, or not be talked to.
    Failed(String),
    /// It, or somebody who holds its outputs, was not finished by the deadline. Its process group was killed.
    Late,
    /// It printed more than is taken. Its process group was killed.
    TooMuch,
}

/// Runs `command` in a process group of its own, writes `stdin` to it, and takes what it prints until it has ended and
/// both its outputs are closed.
pub fn run(mut command: Command, stdin: &[u8], deadline: Instant) -> Result<Output, Unrun> {
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| Unrun::Failed(format!("starting it: {error}")))?;
    let mut child = Group(child);
    match pump(&mut child.0, stdin, deadline) {
        Ok((stdout, stderr)) => Ok(Output { exit: child.wait(deadline)?, stdout, stderr }),
        Err(why) => {
            // The child may have ended and left somebody behind; as it is not buried yet, the group is still ours.
            child.kill();
            Err(why)
        }
    }
}

/// A child that is the first of its process group. Dropping it kills the group, unless the child has ended and is buried.
struct Group(Child);

impl Group {
    fn wait(&mut self, deadline: Instant) -> Result<Exit, Unrun> {
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => {
                    return Ok(match (status.code(), status.signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, Some(signal)) => Exit::Signal(signal_name(signal)),
                        (None, None) => return Err(Unrun::Failed("it ended without a status".into())),
                    });
                }
                Ok(None) if Instant::now() >= deadline => return Err(Unrun::Late),
                // It has closed its outputs, so it is about to end; a program that goes on is rare and may wait.
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(Unrun::Failed(format!("waiting for it: {error}"))),
            }
        }
    }
}

impl Group {
    /// Only before the child is buried: afterwards its number may be somebody else's.
    fn kill(&self) {
        if let Some(pid) = Pid::from_raw(self.0.id() as i32) {
            // Whoever is gone already needs no signal.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

/// Writes to and reads from a child by one thread; returns when both outputs are closed.
fn pump(child: &mut Child, stdin: &[u8], deadline: Instant) -> Result<(Vec<u8>, Vec<u8>), Unrun> {
    let broken = |error: std::io::Error| Unrun::Failed(format!("talking to it: {error}"));
    let mut input: Option<(ChildStdin, &[u8])> = child.stdin.take().map(|pipe| (pipe, stdin));
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let fds = [
        input.as_ref().map(|(pipe, _)| pipe.as_fd()),
        out.as_ref().map(AsFd::as_fd),
        err.as_ref().map(AsFd::as_fd),
    ];
    for fd in fds.into_iter().flatten() {
        let flags = fcntl_getfl(fd).map_err(|e| broken(e.into()))?;
        fcntl_setfl(fd, flags | OFlags::NONBLOCK).map_err(|e| broken(e.into()))?;
    }
    loop {
        if let Some((pipe, rest)) = &mut input {
            match pipe.write(rest) {
                Ok(n) => *rest = &rest[n..],
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // Who does not read all of his input has a reason; his exit code says it.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => *rest = &[],
                Err(e) => return Err(broken(e)),
            }
            if rest.is_empty() {
                input = None;
            }
        }
        take(&mut out, &mut stdout)?;
        take(&mut err, &mut stderr)?;
        if out.is_none() && err.is_none() {
            return Ok((stdout, stderr));
        }
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        else {
            return Err(Unrun::Late);
        };
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(3);
        polled.extend(input.as_ref().map(|(pipe, _)| PollFd::from_borrowed_fd(fd(pipe), PollFlags::OUT)));
        polled.extend(out.as_ref().map(|pipe| PollFd::from_borrowed_fd(fd(pipe), PollFlags::IN)));
        polled.extend(err.as_ref().map(|pipe| PollFd::from_borrowed_fd(fd(pipe), PollFlags::IN)));
        let timeout =
            Timespec::try_from(left).map_err(|_| Unrun::Failed("the deadline is too far".into()))?;
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(broken(e.into())),
        }
    }
}

fn fd(pipe: &impl AsFd) -> BorrowedFd<'_> {
    pipe.as_fd()
}

/// Takes what is there; `None` when it is closed.
fn take<R: Read>(pipe: &mut Option<R>, into: &mut Vec<u8>) -> Result<(), Unrun> {
    let Some(open) = pipe else { return Ok(()) };
    let mut piece = [0; 64 << 10];
    loop {
        match open.read(&mut piece) {
            Ok(0) => {
                *pipe = None;
                return Ok(());
            }
            Ok(n) if into.len() + n > OUTPUT_MAX => return Err(Unrun::TooMuch),
            Ok(n) => into.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(Unrun::Failed(format!("reading from it: {e}"))),
        }
    }
}

/// `KILL` for 9: what SSH calls it, too.
fn signal_name(signal: i32) -> String {
    let known = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::ILL, "ILL"),
        (Signal::ABORT, "ABRT"),
        (Signal::FPE, "FPE"),
        (Signal::KILL, "KILL"),
        (Signal::BUS, "BUS"),
        (Signal::SEGV, "SEGV"),
        (Signal::PIPE, "PIPE"),
        (Signal::ALARM, "ALRM"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ];
    let name = known.iter().find(|(known, _)| known.as_raw() == signal);
    name.map_or_else(|| signal.to_string(), |(_, name)| (*name).to_string())
}
