//! One connection to an SSH server: dialled, checked, let in; then one command at a time.
//!
//! libssh2 locks a session for as long as a call of it blocks, so a connection has one user at a time and runs one
//! channel; who wants several commands at once takes several connections (mod.rs).

use super::hostkeys::{self, KnownHost};
use super::target::{SshSettings, Target};
use crate::control::host::{Exit, OUTPUT_MAX, Output, Trouble};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, Channel, KeyboardInteractivePrompt, MethodType, Prompt, Session};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an idle connection may take to open a channel. One that does not answer is dead.
const OPEN: Duration = Duration::from_secs(3);
/// How often a handshake is begun again that the server has cut off: it lets in few at a time (MaxStartups).
const HANDSHAKES: usize = 5;

/// Why something came to nothing.
#[derive(Debug)]
pub struct Broken {
    /// In words.
    pub why: String,
    /// What kind of trouble.
    pub trouble: Trouble,
    /// Whether a command may have reached the host.
    pub sent: bool,
}

impl Broken {
    fn new(trouble: Trouble, why: impl Into<String>) -> Broken {
        Broken { why: why.into(), trouble, sent: false }
    }

    fn session(doing: &str, error: &ssh2::Error) -> Broken {
        let late = std::io::Error::from(ssh2::Error::from_errno(error.code())).kind() == ErrorKind::TimedOut;
        let trouble = if late { Trouble::Late } else { Trouble::Unreachable };
        Broken::new(trouble, format!("{doing}: {}", error.message()))
    }
}

/// A connection. Dropping it closes it without waiting for the other side.
pub struct Connection {
    session: Session,
    wire: OwnedFd,
    /// Whether a command was run on it before, so that it may have died since.
    pub used: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without this, libssh2 would say goodbye and wait for an answer.
        let _ = rustix::net::shutdown(&self.wire, rustix::net::Shutdown::Both);
    }
}

impl Connection {
    /// Dials a target, through the machines on the way if there are any.
    pub fn open(target: &Target, settings: &SshSettings, deadline: Instant) -> Result<Connection, Broken> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let wire = match target.jumps.split_last() {
                None => dial(&target.host, target.port, deadline)?,
                Some((last, before)) => {
                    let last = Target { jumps: before.to_vec(), ..last.clone() };
                    let way = Connection::open(&last, settings, deadline).map_err(|broken| Broken {
                        why: format!("on the way, {}@{}:{}: {}", last.user, last.host, last.port, broken.why),
                        ..broken
                    })?;
                    super::tunnel::open(way, &target.host, target.port, deadline)?
                }
            };
            match shake_hands(wire, target, deadline) {
                // Cut off before a word was said: it is too busy. Nothing was sent.
                Err(broken)
                    if broken.trouble == Trouble::Unreachable
                        && attempt < HANDSHAKES
                        && left(deadline).is_ok() =>
                {
                    std::thread::sleep(Duration::from_millis(50 << attempt).min(left(deadline)?));
                }
                Err(broken) => return Err(broken),
                Ok(connection) => {
                    connection.check_key(target, settings)?;
                    connection.log_in(target, settings, deadline)?;
                    return Ok(connection);
                }
            }
        }
    }

    fn check_key(&self, target: &Target, settings: &SshSettings) -> Result<(), Broken> {
        let refused = |why: String| Broken::new(Trouble::Refused, why);
        let (key, _) = self.session.host_key().ok_or_else(|| refused("it showed no host key".into()))?;
        let known = known(target)?;
        if known.knows(key).map_err(refused)? {
            return Ok(());
        }
        let name = hostkeys::name(&target.key_name, target.port);
        if !settings.accept_new_host_keys {
            let print =
                self.session.host_key_hash(ssh2::HashType::Sha256).map(fingerprint).unwrap_or_default();
            return Err(refused(format!(
                "its host key is not known ({print}); compare it, then add it (ssh-keyscan -p {} {}), or take it \
                 as it is with --accept-new-host-keys",
                target.port, target.host
            )));
        }
        match target.known_hosts.first() {
            Some(file) => {
                known.remember(key, file).map_err(|why| refused(format!("remembering {name}: {why}")))
            }
            None => Ok(()),
        }
    }

    fn log_in(&self, target: &Target, settings: &SshSettings, deadline: Instant) -> Result<(), Broken> {
        let user = &target.user;
        self.patience(deadline)?;
        let offered = match self.session.auth_methods(user) {
            Ok(offered) => offered.to_string(),
            // A server that lets in everybody.
            Err(_) if self.session.authenticated() => return Ok(()),
            Err(error) => return Err(Broken::session("asking how to log in", &error)),
        };
        let mut tried = Vec::new();
        if offered.contains("publickey") {
            if let (None, Some(socket)) = (&settings.key, &target.agent) {
                self.try_agent(user, socket, deadline, &mut tried)?;
            }
            for file in target.identities.iter().filter(|file| settings.key.is_some() || file.is_file()) {
                if self.session.authenticated() {
                    break;
                }
                self.patience(deadline)?;
                if let Err(error) = self.try_key(user, file) {
                    tried.push(format!("key {} ({error})", file.display()));
                }
            }
        }
        if let (Some(password), false) = (&settings.password, self.session.authenticated()) {
            self.patience(deadline)?;
            let said = if offered.contains("password") {
                self.session.userauth_password(user, &password.0)
            } else {
                self.session.userauth_keyboard_interactive(user, &mut SamePassword(&password.0))
            };
            if let Err(error) = said {
                tried.push(format!("password ({})", error.message()));
            }
        }
        if self.session.authenticated() {
            return Ok(());
        }
        left(deadline)?;
        let tried = if tried.is_empty() {
            "nothing: no agent, key or password".to_string()
        } else {
            tried.join(", ")
        };
        Err(Broken::new(Trouble::Refused, format!("{user} is not let in; it takes {offered}; tried {tried}")))
    }

    fn try_key(&self, user: &str, file: &Path) -> Result<(), String> {
        std::fs::File::open(file).map_err(|error| error.to_string())?;
        self.session.userauth_pubkey_file(user, None, file, None).map_err(|error| error.message().to_string())
    }

    fn try_agent(
        &self,
        user: &str,
        socket: &Path,
        deadline: Instant,
        tried: &mut Vec<String>,
    ) -> Result<(), Broken> {
        let keys = self.session.agent().and_then(|mut agent| {
            agent.set_identity_path(socket)?;
            agent.connect()?;
            agent.list_identities()?;
            let keys = agent.identities()?;
            Ok((agent, keys))
        });
        match keys {
            Err(error) => tried.push(format!("agent ({})", error.message())),
            Ok((agent, keys)) => {
                tried.push(format!("agent with {} keys", keys.len()));
                for key in &keys {
                    self.patience(deadline)?;
                    if agent.userauth(user, key).is_ok() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets the next call block until the deadline at most.
    fn patience(&self, deadline: Instant) -> Result<(), Broken> {
        self.session.set_timeout(millis(left(deadline)?));
        Ok(())
    }

    /// A channel to another host, for a tunnel. Consumes the connection: it has no other use then.
    pub fn forward(&self, host: &str, port: u16, deadline: Instant) -> Result<Channel, Broken> {
        self.session.set_blocking(true);
        self.patience(deadline)?;
        self.session
            .channel_direct_tcpip(host, port, None)
            .map_err(|error| Broken::session(&format!("going on to {host}:{port}"), &error))
    }

    /// The session and its socket, to be watched by a tunnel.
    pub fn parts(&self) -> (&Session, &OwnedFd) {
        (&self.session, &self.wire)
    }

    /// Runs a command. After an error the connection is of no more use.
    pub fn exec(&mut self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, Broken> {
        self.session.set_blocking(true);
        let open = if self.used { deadline.min(Instant::now() + OPEN) } else { deadline };
        self.used = true;
        self.patience(open)?;
        let mut channel =
            self.session.channel_session().map_err(|error| Broken::session("opening a channel", &error))?;
        let sent = |broken: Broken| Broken { sent: true, ..broken };
        self.patience(deadline)?;
        let started = channel.exec(command);
        // Whatever comes now, nothing waits any more but for us, not even the end of the channel.
        self.session.set_blocking(false);
        started.map_err(|error| sent(Broken::session("starting it", &error)))?;
        self.pump(&mut channel, stdin, deadline).map_err(sent)
    }

    fn pump(&self, channel: &mut Channel, stdin: &[u8], deadline: Instant) -> Result<Output, Broken> {
        let (mut rest, mut ended) = (stdin, false);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let mut moved = false;
            // Who does not read all of his input has a reason; his exit code says it.
            if !rest.is_empty() && !channel.eof() {
                match channel.write(rest) {
                    Ok(n) => {
                        rest = &rest[n..];
                        moved |= n > 0;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(io("writing to it", &error)),
                }
            }
            if rest.is_empty() && !ended {
                ended = done("ending its input", channel.send_eof())?;
                moved |= ended;
            }
            moved |= take(&mut channel.stream(0), &mut stdout)?;
            moved |= take(&mut channel.stream(1), &mut stderr)?;
            if channel.eof() {
                break;
            }
            if !moved {
                self.wait(deadline)?;
            }
        }
        // Its outputs are closed; the server closes the channel when it has ended, and says before how.
        while !done("waiting for its end", channel.wait_close())? {
            self.wait(deadline)?;
        }
        let signal = channel.exit_signal().ok().and_then(|said| said.exit_signal);
        let code = channel.exit_status();
        while !done("closing the channel", channel.close())? {
            self.wait(deadline)?;
        }
        let exit = match (signal, code) {
            // First: a command that was killed has exit code 0 by libssh2.
            (Some(name), _) => Exit::Signal(name),
            (None, Ok(code)) => Exit::Code(code),
            (None, Err(error)) => return Err(Broken::session("asking how it ended", &error)),
        };
        Ok(Output { exit, stdout, stderr })
    }

    /// Waits until the wire moves, a moment at most: what came for one stream while another was read is seen then.
    fn wait(&self, deadline: Instant) -> Result<(), Broken> {
        let moment = left(deadline)?.min(Duration::from_millis(100));
        let mut flags = PollFlags::IN;
        if matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
            flags |= PollFlags::OUT;
        }
        let timeout = Timespec::try_from(moment).map_err(|e| Broken::new(Trouble::Failed, e.to_string()))?;
        match poll(&mut [PollFd::new(&self.wire, flags)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Broken::new(Trouble::Unreachable, error.to_string())),
        }
    }
}

/// What is known of a target's key.
fn known(target: &Target) -> Result<KnownHost, Broken> {
    KnownHost::read(&target.known_hosts, &hostkeys::name(&target.key_name, target.port))
        .map_err(|why| Broken::new(Trouble::Refused, format!("reading the known hosts: {why}")))
}

fn shake_hands(wire: OwnedFd, target: &Target, deadline: Instant) -> Result<Connection, Broken> {
    let failed = |error: &ssh2::Error| Broken::session("shaking hands", error);
    let mut session = Session::new().map_err(|error| failed(&error))?;
    // A server has several keys, and shows one of a kind that we ask for: one that we know, if we know any.
    let known = known(target)?;
    let supported = session.supported_algs(MethodType::HostKey).unwrap_or_default();
    let wanted = |name: &&str| {
        known.kinds().iter().any(|kind| kind == name || (*kind == "ssh-rsa" && name.starts_with("rsa-sha2")))
    };
    let mut order: Vec<&str> = supported.iter().copied().filter(wanted).collect();
    order.extend(supported.iter().copied().filter(|name| !wanted(name)));
    if !order.is_empty() {
        session.method_pref(MethodType::HostKey, &order.join(",")).map_err(|error| failed(&error))?;
    }
    let twin = wire.try_clone().map_err(|error| Broken::new(Trouble::Failed, error.to_string()))?;
    session.set_tcp_stream(twin);
    session.set_timeout(millis(left(deadline)?));
    let mut connection = Connection { session, wire, used: false };
    connection.session.handshake().map_err(|error| failed(&error))?;
    Ok(connection)
}

fn dial(host: &str, port: u16, deadline: Instant) -> Result<OwnedFd, Broken> {
    let unreachable = |why: String| Broken::new(Trouble::Unreachable, why);
    let addresses = (host, port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let mut last = unreachable("its name has no address".into());
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream.into());
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                last = Broken::new(Trouble::Late, format!("{address}: no answer"));
            }
            Err(error) => last = unreachable(format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// How long until the deadline; an error after it.
pub fn left(deadline: Instant) -> Result<Duration, Broken> {
    match deadline.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(left),
        Some(_) | None => Err(Broken::new(Trouble::Late, "no answer by its deadline")),
    }
}

/// For libssh2, where 0 means for ever.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn io(doing: &str, error: &std::io::Error) -> Broken {
    Broken::new(Trouble::Unreachable, format!("{doing}: {error}"))
}

/// Whether a call that does not wait is done.
fn done(doing: &str, result: Result<(), ssh2::Error>) -> Result<bool, Broken> {
    match result {
        Ok(()) => Ok(true),
        Err(error) => {
            let error = std::io::Error::from(error);
            if error.kind() == ErrorKind::WouldBlock { Ok(false) } else { Err(io(doing, &error)) }
        }
    }
}

/// Takes what is there, and says whether there was anything.
fn take(stream: &mut ssh2::Stream, into: &mut Vec<u8>) -> Result<bool, Broken> {
    let (mut piece, mut moved) = ([0; 32 << 10], false);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(moved),
            Ok(n) if into.len() + n > OUTPUT_MAX => {
                let why = format!("it printed more than {} MiB", OUTPUT_MAX >> 20);
                return Err(Broken::new(Trouble::Failed, why));
            }
            Ok(n) => {
                into.extend_from_slice(&piece[..n]);
                moved = true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(moved),
            Err(error) => return Err(io("reading from it", &error)),
        }
    }
}

/// As OpenSSH shows it: `SHA256:…`.
fn fingerprint(hash: &[u8]) -> String {
    use base64::Engine;
    format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash))
}

/// Answers every question with the password: servers that ask for it this way ask for nothing else.
struct SamePassword<'a>(&'a str);

impl KeyboardInteractivePrompt for SamePassword<'_> {
    fn prompt<'a>(&mut self, _: &str, _: &str, prompts: &[Prompt<'a>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.to_string()).collect()
    }
}

/// A socket as a descriptor, for polling.
pub fn flags(fd: &impl AsFd, flags: PollFlags) -> PollFd<'_> {
    PollFd::new(fd, flags)
}
