//! Networks of other name spaces: sockets in them, for processes that stay where they are.

use super::kernel;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags, move_into_link_name_space,
    move_into_thread_name_spaces,
};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// A network, held by a descriptor: it lives at least as long as this.
#[derive(Debug)]
pub struct Netns(OwnedFd);

/// Does something on a thread of its own, whose name spaces are nobody else's concern.
fn aside<T: Send>(what: &str, act: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".into()).spawn_scoped(scope, act);
        let thread = thread.map_err(|e| format!("{what}: {e}"))?;
        thread.join().unwrap_or_else(|_| Err(format!("{what}: a thread has panicked")))
    })
}

impl Netns {
    /// A new network, in which `setup` is done before anybody else sees it.
    pub fn create<T: Send>(setup: impl FnOnce() -> Result<T, String> + Send) -> Result<(Netns, T), String> {
        aside("making a network", || {
            kernel::unshare(UnshareFlags::NEWNET).map_err(|e| format!("making a network: {e}"))?;
            let link =
                File::open("/proc/thread-self/ns/net").map_err(|e| format!("holding a network: {e}"))?;
            Ok((Netns(link.into()), setup()?))
        })
    }

    /// The network of a process.
    pub fn of(pid: u32) -> Result<Netns, String> {
        let link = File::open(format!("/proc/{pid}/ns/net"));
        link.map(|file| Netns(file.into())).map_err(|e| format!("holding the network of process {pid}: {e}"))
    }

    /// Does something in this network.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
        let fd = self.0.as_fd();
        aside("entering a network", || {
            move_into_link_name_space(fd, Some(LinkNameSpaceType::Network))
                .map_err(|e| format!("entering a network: {e}"))?;
            act()
        })
    }

    /// A connection from here to `to`, with `from` as the address of this side if there are several.
    pub fn dial(&self, from: Option<Ipv4Addr>, to: SocketAddrV4, deadline: Instant) -> io::Result<TcpStream> {
        // Only the socket is made in the network: it stays there, and whoever waits for it waits here.
        let made = self.within(|| Ok(socket())).map_err(io::Error::other)?;
        connected(made?, from, to, deadline)
    }
}

/// The same from the network of this process.
pub fn dial_here(from: Option<Ipv4Addr>, to: SocketAddrV4, deadline: Instant) -> io::Result<TcpStream> {
    connected(socket()?, from, to, deadline)
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}

fn connected(
    socket: OwnedFd,
    from: Option<Ipv4Addr>,
    to: SocketAddrV4,
    deadline: Instant,
) -> io::Result<TcpStream> {
    if let Some(from) = from {
        bind(&socket, &SocketAddrV4::new(from, 0))?;
    }
    match connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(e) => return Err(e.into()),
    }
    wait_connected(&socket, deadline)?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn wait_connected(socket: &OwnedFd, deadline: Instant) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    match rustix::net::sockopt::socket_error(socket)? {
        Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Moves the calling thread, and the children that it will have, into all name spaces of a node.
pub fn enter_all(init: Pid) -> Result<(), String> {
    let failed = |e: rustix::io::Errno| format!("entering the node: {e}");
    let pidfd = pidfd_open(init, PidfdFlags::empty()).map_err(failed)?;
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::CONTROL_GROUP;
    move_into_thread_name_spaces(pidfd.as_fd(), all).map_err(failed)
}
