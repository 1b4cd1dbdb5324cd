//! A way through a machine to the next: a channel of one connection is the wire of another.

use super::connection::{Broken, Connection, flags};
use crate::control::host::Trouble;
use rustix::event::{PollFlags, Timespec, poll};
use ssh2::Channel;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// How many bytes wait in a tunnel, in each direction.
const PIECE: usize = 64 << 10;

/// Opens a tunnel through `way` and gives our end of it. It closes when that end is closed, or when the way breaks.
pub fn open(way: Connection, host: &str, port: u16, deadline: Instant) -> Result<OwnedFd, Broken> {
    let channel = way.forward(host, port, deadline)?;
    let failed =
        |error: std::io::Error| Broken { why: error.to_string(), trouble: Trouble::Failed, sent: false };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    theirs.set_nonblocking(true).map_err(failed)?;
    way.parts().0.set_blocking(false);
    std::thread::Builder::new()
        .name("tunnel".into())
        .spawn(move || {
            let end = pump(&way, channel, &theirs);
            // Whoever reads from the tunnel sees it end, whatever the reason was.
            let _ = theirs.shutdown(Shutdown::Both);
            drop((way, end));
        })
        .map_err(failed)?;
    Ok(ours.into())
}

/// Bytes on their way in one direction.
struct Buffer {
    bytes: Vec<u8>,
    /// The source has ended.
    ended: bool,
}

impl Buffer {
    fn new() -> Buffer {
        Buffer { bytes: Vec::with_capacity(PIECE), ended: false }
    }

    /// Takes what is there if it has nothing left to give. `Ok(true)` if something came.
    fn fill(&mut self, from: &mut impl Read) -> std::io::Result<bool> {
        if self.ended || !self.bytes.is_empty() {
            return Ok(false);
        }
        self.bytes.resize(PIECE, 0);
        let read = from.read(&mut self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.ended = true;
                Ok(true)
            }
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn drain(&mut self, into: &mut impl Write) -> std::io::Result<bool> {
        if self.bytes.is_empty() {
            return Ok(false);
        }
        match into.write(&self.bytes) {
            Ok(n) => {
                self.bytes.drain(..n);
                Ok(n > 0)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Carries bytes to and fro until either end has ended. Gives the channel back, to be dropped after its wire.
fn pump(way: &Connection, mut channel: Channel, mut ours: &UnixStream) -> std::io::Result<Channel> {
    let (session, wire) = way.parts();
    let (mut out, mut back) = (Buffer::new(), Buffer::new());
    loop {
        let mut moved = out.fill(&mut ours)?;
        moved |= out.drain(&mut channel)?;
        moved |= back.fill(&mut channel)?;
        moved |= back.drain(&mut ours)?;
        // An SSH connection has no use for half a wire.
        if (out.ended && out.bytes.is_empty()) || (back.ended && back.bytes.is_empty()) {
            return Ok(channel);
        }
        if moved {
            continue;
        }
        let mut on_wire = PollFlags::IN;
        if matches!(session.block_directions(), ssh2::BlockDirections::Outbound | ssh2::BlockDirections::Both)
        {
            on_wire |= PollFlags::OUT;
        }
        let mut on_ours = PollFlags::empty();
        on_ours.set(PollFlags::IN, out.bytes.is_empty());
        on_ours.set(PollFlags::OUT, !back.bytes.is_empty());
        let moment = Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut [flags(wire, on_wire), flags(&ours, on_ours)], Some(&moment)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
