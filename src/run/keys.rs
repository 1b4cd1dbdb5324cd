//! Keys that change a run while it goes on: enough, heal now, no more faults for a while.
//!
//! Read only where a person sits: stdin and stderr are a terminal, and this process is in its foreground. The terminal
//! is put back as it was, however the run ends.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use std::io::{IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What somebody has asked for so far.
#[derive(Debug, Default)]
pub struct Wishes {
    /// `s`: end the run, heal, read a last time, judge, explain.
    pub enough: AtomicBool,
    /// `h`: heal what is in force; whoever does it takes the wish back.
    pub heal: AtomicBool,
    /// `p`: inject nothing, until it is pressed again.
    pub pause: AtomicBool,
    /// `t`: show the state of affairs now.
    pub status: AtomicBool,
}

/// The keyboard, while a run goes on.
pub struct Keys {
    before: Termios,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    /// Listens until it is dropped; nothing where nobody sits. `q` is a Ctrl-C.
    pub fn listen(wishes: &Arc<Wishes>, stop: &Arc<AtomicBool>) -> Option<Keys> {
        let stdin = std::io::stdin();
        // Whoever changes a terminal from its background is stopped.
        let mine = || tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == getpgrp());
        if !stdin.is_terminal() || !std::io::stderr().is_terminal() || !mine() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut keys = before.clone();
        // One key at a time, and not shown; Ctrl-C stays what it is.
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &keys).ok()?;
        let mut listening = Keys { before, done: Arc::default(), thread: None };
        let (wishes, stop, done) = (wishes.clone(), stop.clone(), listening.done.clone());
        // Without a thread there are no keys, and the terminal is put back.
        let thread =
            std::thread::Builder::new().name("keys".into()).spawn(move || read(&wishes, &stop, &done));
        listening.thread = Some(thread.ok()?);
        Some(listening)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn read(wishes: &Wishes, stop: &AtomicBool, done: &AtomicBool) {
    let wait = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let mut bytes = [0; 16];
    while !done.load(Ordering::SeqCst) {
        let stdin = std::io::stdin();
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut waiting, Some(&wait)) {
            Ok(0) | Err(_) => continue,
            Ok(_) => {}
        }
        match stdin.lock().read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes[..count].iter().for_each(|key| pressed(*key, wishes, stop)),
        }
    }
}

fn pressed(key: u8, wishes: &Wishes, stop: &AtomicBool) {
    match key.to_ascii_lowercase() {
        b's' => wishes.enough.store(true, Ordering::SeqCst),
        b'h' => wishes.heal.store(true, Ordering::SeqCst),
        b'p' => {
            wishes.pause.fetch_xor(true, Ordering::SeqCst);
        }
        b't' => wishes.status.store(true, Ordering::SeqCst),
        b'q' => stop.store(true, Ordering::SeqCst),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_meaning() {
        let (wishes, stop) = (Wishes::default(), AtomicBool::new(false));
        let is = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        b"Phx".iter().for_each(|key| pressed(*key, &wishes, &stop));
        assert!(is(&wishes.pause) && is(&wishes.heal) && !is(&wishes.enough) && !is(&stop));
        b"psq".iter().for_each(|key| pressed(*key, &wishes, &stop));
        assert!(!is(&wishes.pause) && is(&wishes.enough) && is(&stop));
    }
}
