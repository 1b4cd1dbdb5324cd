//! Ctrl-C: the first ends the test and still judges it, the second skips judging. Nothing skips healing.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What the signals have asked for so far.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Set by the first: stop what is running.
    pub stop: Arc<AtomicBool>,
    /// Set by the second: do not judge any more.
    pub skip: Arc<AtomicBool>,
}

impl Signals {
    /// Starts to listen for SIGINT, SIGTERM and SIGHUP. Call once.
    ///
    /// # Errors
    /// If the operating system refuses to install a handler.
    pub fn install() -> std::io::Result<Signals> {
        let signals = Signals::default();
        let seen = Arc::new(AtomicUsize::new(0));
        let mut queue = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let flags = signals.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for _ in queue.forever() {
                flags.stop.store(true, Ordering::SeqCst);
                if seen.fetch_add(1, Ordering::SeqCst) > 0 {
                    flags.skip.store(true, Ordering::SeqCst);
                }
            }
        })?;
        Ok(signals)
    }

    /// Whether anything was asked for.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
