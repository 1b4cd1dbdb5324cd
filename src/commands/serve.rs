//! `perjury serve`: browse runs, compare them, watch one that goes on.

use crate::cli::ServeArgs;
use crate::exit::{self, Failure};
use crate::serve::Server;
use crate::show;
use crate::signals::Signals;

/// Serves until Ctrl-C, which is how it ends.
pub fn run(args: &ServeArgs, signals: &Signals) -> Result<u8, Failure> {
    let server = Server::bind(&args.store, args.port)?;
    show::out(&format!("http://{}/\n", server.address()?));
    eprintln!("{}: only from this machine, only to look; Ctrl-C ends it", args.store.display());
    server.serve(&signals.stop);
    Ok(exit::HOLDS)
}
