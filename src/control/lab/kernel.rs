//! The calls of the kernel that have no safe wrapper: new name spaces, the settings of an interface, the end of a file
//! system.
//!
//! The only file of the controller with `unsafe` in it. What is unsafe about an ioctl is that the kernel takes a pointer
//! on trust: those about interfaces are given an [`Ifreq`] of exactly the size and layout of `struct ifreq`, those about
//! file systems a number of 32 bits, or nothing.
#![allow(unsafe_code)]

use rustix::fs::{Mode, OFlags, open};
use rustix::io;
use rustix::ioctl::{NoArg, Opcode, Setter, Updater, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::UnshareFlags;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

const TUNSETIFF: Opcode = 0x4004_54ca;
const SIOCGIFFLAGS: Opcode = 0x8913;
const SIOCSIFFLAGS: Opcode = 0x8914;
const SIOCSIFADDR: Opcode = 0x8916;
const SIOCSIFNETMASK: Opcode = 0x891c;
const SIOCSIFMTU: Opcode = 0x8922;
const SIOCSIFTXQLEN: Opcode = 0x8943;

const FS_IOC_SHUTDOWN: Opcode = 0x8004_587d;
const FITHAW: Opcode = 0xc004_5878;

/// Without writing the log of the file system out first.
const NO_LOG_FLUSH: u32 = 2;

/// A TUN device: packets of the internet protocol, without a link layer before them.
const IFF_TUN: u16 = 0x0001;
/// No four bytes before each packet either.
const IFF_NO_PI: u16 = 0x1000;
const IFF_UP: u16 = 0x0001;

/// `struct ifreq`: the name of an interface, and one setting of it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Ifreq {
    name: [u8; 16],
    value: [u8; 24],
}

impl Ifreq {
    fn new(name: &str) -> Ifreq {
        let mut request = Ifreq { name: [0; 16], value: [0; 24] };
        // The last byte stays 0: names of interfaces are shorter.
        for (to, from) in request.name[..15].iter_mut().zip(name.bytes()) {
            *to = from;
        }
        request
    }

    fn with(name: &str, value: &[u8]) -> Ifreq {
        let mut request = Ifreq::new(name);
        request.value[..value.len()].copy_from_slice(value);
        request
    }

    /// `struct sockaddr_in` of an address, port 0.
    fn with_address(name: &str, address: Ipv4Addr) -> Ifreq {
        let mut value = [0; 8];
        value[..2].copy_from_slice(&AddressFamily::INET.as_raw().to_ne_bytes());
        value[4..].copy_from_slice(&address.octets());
        Ifreq::with(name, &value)
    }
}

/// Asks the kernel; it may change `request`.
fn request<const OPCODE: Opcode>(fd: impl AsFd, request: &mut Ifreq) -> io::Result<()> {
    // SAFETY: every opcode of this file takes a pointer to a `struct ifreq` and keeps it no longer than the call;
    // `Ifreq` has its size (40 bytes) and layout.
    unsafe { ioctl(fd, Updater::<OPCODE, Ifreq>::new(request)) }
}

/// Moves the calling thread into name spaces of its own. (With `CLONE_NEWPID`: its children to come.)
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors are shared among threads here");
    // SAFETY: unsharing is unsafe only for the table of descriptors, which stays shared.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// A new interface `name` in the network of the calling thread: whatever is written to the descriptor arrives there,
/// and what is sent there is read from it, one packet at a time. It is gone when the descriptor is closed.
pub fn tun(name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let device = open("/dev/net/tun", flags, Mode::empty())?;
    request::<TUNSETIFF>(&device, &mut Ifreq::with(name, &(IFF_TUN | IFF_NO_PI).to_ne_bytes()))?;
    Ok(device)
}

/// Gives an interface of the calling thread's network an address in a network of 256, and switches it on.
pub fn address(name: &str, address: Ipv4Addr) -> io::Result<()> {
    let socket = control()?;
    request::<SIOCSIFADDR>(&socket, &mut Ifreq::with_address(name, address))?;
    let mask = Ipv4Addr::new(255, 255, 255, 0);
    request::<SIOCSIFNETMASK>(&socket, &mut Ifreq::with_address(name, mask))?;
    up(name)
}

/// Switches an interface on.
pub fn up(name: &str) -> io::Result<()> {
    let socket = control()?;
    let mut flags = Ifreq::new(name);
    request::<SIOCGIFFLAGS>(&socket, &mut flags)?;
    let set = u16::from_ne_bytes([flags.value[0], flags.value[1]]) | IFF_UP;
    request::<SIOCSIFFLAGS>(&socket, &mut Ifreq::with(name, &set.to_ne_bytes()))
}

/// The largest packet of an interface in bytes, and how many it holds for a reader who is late.
pub fn sizes(name: &str, packet: u32, queue: u32) -> io::Result<()> {
    let socket = control()?;
    request::<SIOCSIFMTU>(&socket, &mut Ifreq::with(name, &packet.to_ne_bytes()))?;
    request::<SIOCSIFTXQLEN>(&socket, &mut Ifreq::with(name, &queue.to_ne_bytes()))
}

/// Ends the file system that `dir` is on, at once: what has not been synced is dropped, and whatever is asked of it from
/// then on is an error.
pub fn shut_down(dir: impl AsFd) -> io::Result<()> {
    // SAFETY: the kernel reads 32 bits from the pointer, and keeps it no longer than the call.
    unsafe { ioctl(dir, Setter::<FS_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }
}

/// Lets whoever waits for the frozen file system of `dir` go on.
pub fn thaw(dir: impl AsFd) -> io::Result<()> {
    // SAFETY: the kernel does not look at the argument.
    unsafe { ioctl(dir, NoArg::<FITHAW>::new()) }
}

/// Any socket does: settings of interfaces are asked for through one.
fn control() -> io::Result<OwnedFd> {
    socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        assert_eq!((size_of::<Ifreq>(), align_of::<Ifreq>()), (40, 8));
        let request = Ifreq::with_address("eth0", Ipv4Addr::new(10, 77, 0, 3));
        assert_eq!(&request.name[..5], b"eth0\0");
        assert_eq!(&request.value[..8], &[2, 0, 0, 0, 10, 77, 0, 3]);
        assert_eq!(Ifreq::new("a-name-that-is-far-too-long").name[15], 0);
    }
}
