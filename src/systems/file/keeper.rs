//! The keeper of the clients: a child process that starts the programs of a system file's clients, each in a process
//! group of its own, and ends them: one when its session ends, all when the controller is gone, however it went.
//!
//! ```text
//!   controller ══packets══ keeper ──┬── client of process 0
//!        ╚═════════pipes═══════════════╝        the keeper gets their far ends along with the order, and hands them on
//! ```
//!
//! It stands in the network in which clients are (in a lab, behind the lab's switch), and so do those that it starts.

use crate::control::lab::node::ourselves;
use crate::control::process;
use nemesis::NodeState;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_timeout;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest packet: a command of the system file with its arguments.
const PACKET_MAX: usize = 64 << 10;
/// How long the controller waits for the keeper, which only forks and signals.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a program may take to end after it has closed its output.
const ENDING: Duration = Duration::from_millis(200);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// Start a program; its standard input and output come along.
    Start { command: Vec<String>, dir: PathBuf, log: PathBuf },
    /// Kill the group of the program with this number, and say how it had ended if it had. If it is `closing`, it is about
    /// to end by itself, and is waited for a moment.
    End { pid: u32, closing: bool },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// The number of its process.
    Started(u32),
    /// How it had ended by itself; null if it still ran.
    Ended(Option<String>),
    Failed(String),
}

/// The controller's hold on the keeper. Dropping it ends every program.
#[derive(Debug)]
pub struct Keeper {
    /// `None` once it is dismissed.
    active: Mutex<Option<(Child, OwnedFd)>>,
    /// Where programs are started.
    dir: PathBuf,
    /// Where they write what is not for us.
    log: PathBuf,
}

/// A program that runs. Dropping it kills it, and whatever it has started.
#[derive(Debug)]
pub struct Program {
    keeper: Arc<Keeper>,
    pid: u32,
    /// Its standard input and output, until somebody has taken them.
    pipes: Option<(OwnedFd, OwnedFd)>,
    ended: bool,
}

impl Keeper {
    /// Starts a keeper by `spawn`, which chooses its network. Programs run in `dir`, and `log` gets their standard error.
    pub fn start(
        dir: &Path,
        log: &Path,
        spawn: impl FnOnce(&mut Command) -> Result<Child, String>,
    ) -> Result<Arc<Keeper>, String> {
        let failed = |e: Errno| format!("starting the keeper of the clients: {e}");
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(failed)?;
        set_socket_timeout(&ours, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE)).map_err(failed)?;
        let mut command = ourselves(&["client-keep"]);
        command
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal goes to the whole foreground group: clients must outlive it, to be healed and asked.
            .process_group(0);
        let child = spawn(&mut command)?;
        let (dir, log) = (dir.to_path_buf(), log.to_path_buf());
        Ok(Arc::new(Keeper { active: Mutex::new(Some((child, ours))), dir, log }))
    }

    /// Starts a program.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn run(self: &Arc<Keeper>, command: Vec<String>) -> Result<Program, String> {
        let failed = |e: Errno| format!("making a pipe: {e}");
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (their_input, input) = rustix::pipe::pipe_with(flags).map_err(failed)?;
        let (output, their_output) = rustix::pipe::pipe_with(flags).map_err(failed)?;
        let order = Order::Start { command, dir: self.dir.clone(), log: self.log.clone() };
        match self.order(&order, &[their_input.as_fd(), their_output.as_fd()])? {
            Answer::Started(pid) => {
                let (keeper, pipes) = (self.clone(), Some((input, output)));
                Ok(Program { keeper, pid, pipes, ended: false })
            }
            Answer::Failed(why) => Err(why),
            Answer::Ended(_) => Err("the keeper of the clients has misunderstood".into()),
        }
    }

    fn order(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<Answer, String> {
        let packet = serde_json::to_vec(order).expect("plain data");
        if packet.len() > PACKET_MAX {
            return Err(format!("the client's command has more than {PACKET_MAX} bytes"));
        }
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, socket) = active.as_ref().ok_or("the cluster has ended")?;
        let failed = |e: Errno| format!("the keeper of the clients is gone: {e}");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            along.push(SendAncillaryMessage::ScmRights(fds));
        }
        sendmsg(socket, &[IoSlice::new(&packet)], &mut along, SendFlags::NOSIGNAL).map_err(failed)?;
        let mut answer = vec![0; PACKET_MAX];
        let (length, _) = recv(socket, &mut answer, RecvFlags::empty()).map_err(failed)?;
        serde_json::from_slice(&answer[..length]).map_err(|e| format!("the keeper of the clients: {e}"))
    }

    /// Ends every program and the keeper. Nothing to do the second time.
    pub fn dismiss(&self) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, socket)) = active {
            // Closing the socket is the order; the keeper ends when the last program has.
            drop(socket);
            let _ = child.wait();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.dismiss();
    }
}

impl Program {
    /// Its standard input and output, once.
    pub fn pipes(&mut self) -> Result<(OwnedFd, OwnedFd), String> {
        self.pipes.take().ok_or_else(|| "the pipes of a client are somebody else's".to_string())
    }

    /// Kills it, and says how it had ended by itself, if it had. Whoever has closed its output is about to.
    pub fn end(&mut self, closing: bool) -> Option<String> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        match self.keeper.order(&Order::End { pid: self.pid, closing }, &[]) {
            Ok(Answer::Ended(how)) => how,
            // Whoever has ended the keeper has ended the program.
            Ok(Answer::Started(_) | Answer::Failed(_)) | Err(_) => None,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// The main function of the keeper: `perjury client-keep`, with a socket to its controller as standard input.
pub fn keep_main(_args: &[String]) -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(70) };
    let mut programs: BTreeMap<u32, Child> = BTreeMap::new();
    // Whatever ends this loop, the programs are ended after it.
    while let Some((order, fds)) = receive(&socket) {
        let answer = obey(&mut programs, order, fds).unwrap_or_else(Answer::Failed);
        let packet = serde_json::to_vec(&answer).expect("plain data");
        if send(&socket, &packet, SendFlags::NOSIGNAL).is_err() {
            break;
        }
    }
    for child in programs.values_mut() {
        kill(child);
    }
    for child in programs.values_mut() {
        let _ = child.wait();
    }
    ExitCode::SUCCESS
}

/// The next order with its descriptors; none when the controller is gone.
fn receive(socket: &OwnedFd) -> Option<(Order, Vec<OwnedFd>)> {
    let mut packet = vec![0; PACKET_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut along = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut along, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(_) => return None,
            Ok(got) => break got,
        }
    };
    let mut fds = Vec::new();
    for message in along.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if got.bytes == 0 {
        return None;
    }
    Some((serde_json::from_slice(&packet[..got.bytes]).ok()?, fds))
}

fn obey(programs: &mut BTreeMap<u32, Child>, order: Order, fds: Vec<OwnedFd>) -> Result<Answer, String> {
    match order {
        Order::Start { command, dir, log } => {
            let [input, output]: [OwnedFd; 2] = fds.try_into().map_err(|_| "two descriptors come along")?;
            let [program, arguments @ ..] = &command[..] else { return Err("the command is empty".into()) };
            let errors = OpenOptions::new().create(true).append(true).open(&log);
            let errors = errors.map_err(|e| format!("{}: {e}", log.display()))?;
            // A path is the file's own; a plain name is looked up as a shell does.
            let path = if program.contains('/') { dir.join(program) } else { program.into() };
            let child = Command::new(path)
                .args(arguments)
                .current_dir(&dir)
                .stdin(input)
                .stdout(output)
                .stderr(errors)
                .process_group(0)
                .spawn()
                .map_err(|e| format!("starting the client {program:?}: {e}"))?;
            let pid = child.id();
            programs.insert(pid, child);
            Ok(Answer::Started(pid))
        }
        Order::End { pid, closing } => {
            let Some(mut child) = programs.remove(&pid) else {
                return Err("there is no such program".into());
            };
            // Looked at, not waited for: until then its group cannot be another's, and somebody in it may still live.
            let dead = || process::state(pid) == NodeState::Dead;
            let moment = Instant::now() + ENDING;
            while closing && !dead() && Instant::now() < moment {
                std::thread::sleep(Duration::from_millis(1));
            }
            let ended = dead();
            kill(&child);
            let status = child.wait().map_err(|e| e.to_string())?;
            let how = ended.then(|| match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or(0)),
            });
            Ok(Answer::Ended(how))
        }
    }
}

/// Kills a program's group, while its number is still its own: before it is waited for.
fn kill(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Whoever is gone needs no signal.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}
