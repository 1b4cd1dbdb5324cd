//! A place on this machine to browse runs, to compare them, and to watch one that goes on.
//!
//! Bound to loopback, answers nobody who asked for another host (a page elsewhere that points its own name here), only
//! shows (GET and HEAD), follows no symlink, and bounds everything: connections, heads, times, files.
//!
//! ```text
//!   listener ──connection──▶ thread: http::read ──▶ routes ──▶ index │ run │ compare │ files ──▶ http::write
//!                                                     └──────▶ live ──▶ events until the run has ended
//! ```

mod files;
mod http;
mod index;
mod live;
mod routes;
mod telling;

use crate::exit::{self, Failure};
use files::Dir;
use index::Index;
use live::Hub;
use routes::{Answer, Site};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Connections at once, streams of events among them.
const CONNECTIONS_MAX: usize = 64;
/// How soon the end is noticed.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A server that is bound and not yet serving.
pub struct Server {
    listener: TcpListener,
    site: Arc<Site>,
}

impl Server {
    /// Binds to a port of 127.0.0.1; 0 takes any that is free.
    ///
    /// # Errors
    /// The store is no directory (64), or the port is taken (69).
    pub fn bind(store: &Path, port: u16) -> Result<Server, Failure> {
        let dir = Dir::open(store)
            .map_err(|error| Failure::usage(format!("{}: opening the store: {error}", store.display())))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            Failure::new(
                exit::CLUSTER,
                format!("{address}: binding: {error} (--port 0 takes any that is free)"),
            )
        })?;
        let site = Site {
            store: store.to_path_buf(),
            dir,
            index: Mutex::new(Index::default()),
            hub: Hub::default(),
        };
        Ok(Server { listener, site: Arc::new(site) })
    }

    /// Where it is.
    ///
    /// # Errors
    /// The system does not say (70).
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        self.listener
            .local_addr()
            .map_err(|error| Failure::new(exit::BUG, format!("the bound address: {error}")))
    }

    /// Serves until `stop`.
    pub fn serve(self, stop: &AtomicBool) {
        let open = Arc::new(AtomicUsize::new(0));
        while !stop.load(Ordering::SeqCst) {
            let mut waiting = [PollFd::new(&self.listener, PollFlags::IN)];
            // An interruption is a reason to look at `stop`, nothing more.
            let _ = poll(&mut waiting, Some(&LOOK));
            // A connection that was given up meanwhile is nobody's error.
            let Ok((stream, _)) = self.listener.accept() else { continue };
            let Some(place) = Place::take(&open) else {
                // It fits into the socket's buffer, so this waits for nobody.
                let _ = http::write(&stream, http::Response::plain(503, "too many connections"), false);
                continue;
            };
            let site = self.site.clone();
            let serve = move || {
                let _place = place;
                connection(&site, &stream);
            };
            // Without a thread the connection is dropped, which its other end sees.
            let _ = std::thread::Builder::new().name("connection".into()).spawn(serve);
        }
    }
}

/// A connection that counts until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    /// Nothing if there are enough.
    fn take(open: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(open.clone());
        let before = open.fetch_add(1, Ordering::SeqCst);
        (before < CONNECTIONS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One request, and its answer.
fn connection(site: &Site, stream: &TcpStream) {
    // Nobody can be told of an error here but whoever is gone.
    let _ = stream.set_nonblocking(false);
    let Ok(asked) = http::read(stream) else { return };
    let (answer, head_only) = match asked {
        Ok(request) => (routes::answer(site, &request), request.head_only),
        Err(http::Refused(status, why)) => (Answer::Whole(http::Response::plain(status, why)), false),
    };
    let _ = match answer {
        Answer::Whole(response) => http::write(stream, response, head_only),
        Answer::Events(watching, after) => {
            if head_only {
                http::begin_events(stream)
            } else {
                routes::stream(stream, &watching, after)
            }
        }
    };
}
