//! The pipes to a client's program and back, each used by a deadline.

use super::keeper::Program;
use crate::systems::calls::{NoLine, Wire};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The longest answer.
const LINE_MAX: usize = 64 << 20;

/// Standard input and output of a program, and the program, if it is ours to end.
#[derive(Debug)]
pub struct Pipes {
    input: OwnedFd,
    output: OwnedFd,
    program: Option<Program>,
    /// What has arrived and was not taken yet.
    buffer: Vec<u8>,
    /// Bytes of it in front that hold no end of a line.
    searched: usize,
    /// Whether the program has closed its output.
    closed: bool,
}

impl Pipes {
    /// Those of a program that the keeper has started.
    pub fn of(mut program: Program) -> Result<Pipes, String> {
        let (input, output) = program.pipes()?;
        Pipes::new(input, output, Some(program))
    }

    fn new(input: OwnedFd, output: OwnedFd, program: Option<Program>) -> Result<Pipes, String> {
        for fd in [&input, &output] {
            fcntl_getfl(fd)
                .and_then(|flags| fcntl_setfl(fd, flags | OFlags::NONBLOCK))
                .map_err(|e| format!("the pipe of a client: {e}"))?;
        }
        Ok(Pipes { input, output, program, buffer: Vec::new(), searched: 0, closed: false })
    }
}

impl Pipes {
    /// Puts the greeting back that was taken, for whoever takes the program.
    pub fn greeted(&mut self) {
        let greeting: &[u8] = b"{\"ready\":true}\n";
        self.buffer.splice(..0, greeting.iter().copied());
        self.searched = 0;
    }
}

impl Wire for Pipes {
    fn send(&mut self, line: &str, deadline: Instant) -> Result<(), String> {
        let mut bytes = line.as_bytes();
        while !bytes.is_empty() {
            match write(&self.input, bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !wait(self.input.as_fd(), PollFlags::OUT, deadline).map_err(|e| e.to_string())? {
                        return Err("it has not read its call by the deadline".into());
                    }
                }
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(())
    }

    fn next(&mut self, deadline: Instant) -> Result<String, NoLine> {
        let mut piece = [0; 16 << 10];
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=self.searched + at).collect();
                line.pop();
                self.searched = 0;
                return String::from_utf8(line)
                    .map_err(|_| NoLine::Broken("the client said something that is not UTF-8".into()));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_MAX {
                return Err(NoLine::Broken(format!("the client answers with more than {LINE_MAX} bytes")));
            }
            match read(&self.output, &mut piece) {
                Ok(0) => {
                    self.closed = true;
                    return Err(NoLine::Broken("the client has closed its output".into()));
                }
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => match wait(self.output.as_fd(), PollFlags::IN, deadline) {
                    Ok(true) => {}
                    Ok(false) => return Err(NoLine::Late),
                    Err(e) => return Err(NoLine::Broken(e.to_string())),
                },
                Err(e) => return Err(NoLine::Broken(e.to_string())),
            }
        }
    }

    fn more(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn end(&mut self) -> Option<String> {
        let how = self.program.as_mut()?.end(self.closed)?;
        Some(format!("its program has ended: {how}"))
    }
}

/// Waits until something can be done with it, or has ended; false at the deadline.
fn wait(fd: BorrowedFd<'_>, what: PollFlags, deadline: Instant) -> Result<bool, Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec::try_from(left.max(Duration::from_micros(1))).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::systems::calls::Session;
    use history::{Call, Completion, Value};
    use std::process::{Child, Command, Stdio};

    /// A program of a few lines of shell. It is waited for when the test is over.
    struct Shell(Child);

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn session(script: &str) -> (Session<Pipes>, Shell) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let pipes = Pipes::new(input.into(), output.into(), None).unwrap();
        (Session::new(pipes, &["read"]), Shell(child))
    }

    fn call(f: &str) -> Call {
        Call { f: f.into(), key: Some("x".into()), value: Value::Int(3) }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_program_is_asked_line_by_line() {
        let answers =
            r#"while read -r line; do i=$((i + 1)); echo "{\"id\":$i,\"type\":\"ok\",\"value\":$i}"; done"#;
        let (mut session, _shell) = session(answers);
        for i in 1..=3 {
            assert_eq!(session.invoke(&call("read"), soon()), Completion::ok(Value::Int(i)));
        }
        assert!(session.alive());
    }

    /// Invariant 5: what goes wrong is unknown for a write and did not happen for a read, and nobody is asked twice.
    #[test]
    fn whatever_goes_wrong_ends_the_session_and_nothing_is_asked_again() {
        for script in [
            "exit 3",
            "read -r line; exit 0",
            "read -r line; printf '{\"id\":1,\"type\":'; exit 0",
            "read -r line; echo no; exec sleep 100",
            r#"read -r line; printf '{"id":1,"type":"ok"}\n{"id":2,"type":"ok"}\n'; exec sleep 100"#,
            r#"read -r line; echo '{"id":2,"type":"ok"}'; exec sleep 100"#,
            r#"read -r line; printf '\377\n'; exec sleep 100"#,
        ] {
            for f in ["write", "read"] {
                let (mut session, _shell) = session(script);
                let completion = session.invoke(&call(f), soon());
                match f {
                    "read" => assert!(matches!(completion, Completion::Fail(_)), "{script}: {completion:?}"),
                    _ => {
                        let unknown = matches!(completion, Completion::Info { late: false, .. });
                        assert!(unknown, "{script}: {completion:?}");
                    }
                }
                assert!(!session.alive(), "{script}");
                assert!(matches!(session.invoke(&call(f), soon()), Completion::Fail(_)), "{script}");
            }
        }
    }

    #[test]
    fn an_answer_after_the_deadline_still_completes_its_call_and_no_other_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (go, heard) = (dir.path().join("go"), dir.path().join("heard"));
        let script = format!(
            "while read -r line; do echo \"$line\" >>{}; until [ -e {} ]; do sleep 0.01; done; \
             echo '{{\"id\":1,\"type\":\"ok\"}}'; done",
            heard.display(),
            go.display()
        );
        let (mut session, _shell) = session(&script);
        let first = session.invoke(&call("write"), Instant::now() + Duration::from_millis(50));
        assert!(matches!(first, Completion::Info { late: true, .. }), "{first:?}");
        assert!(!session.alive());
        assert!(matches!(session.invoke(&call("write"), soon()), Completion::Fail(_)));
        std::fs::write(&go, "").unwrap();
        assert_eq!(session.late(soon()), Completion::ok(Value::Int(3)));
        assert_eq!(std::fs::read_to_string(&heard).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_call_that_nobody_reads_ends_at_its_deadline() {
        let (mut session, _shell) = session("exec sleep 100");
        let large = Call { value: Value::text(&"x".repeat(1 << 20)), ..call("write") };
        let completion = session.invoke(&large, Instant::now() + Duration::from_millis(50));
        assert!(matches!(completion, Completion::Info { .. }), "{completion:?}");
        assert!(!session.alive());
    }
}
