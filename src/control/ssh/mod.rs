//! A node reached over SSH.
//!
//! ```text
//!   exec ──▶ pool ──▶ connection ──channel──▶ sh -c '…'            one channel a connection, one user a connection
//!              │          └── tunnel ── connection to a jump host  for each machine on the way
//!              └── at most 8 connections to a node; a dead one is replaced as long as nothing was sent on it
//! ```

mod connection;
mod hostkeys;
mod target;
#[cfg(test)]
mod tests;
mod tunnel;

pub use target::{Secret, SshSettings, Target};

use super::host::{Host, HostError, Output, quote, running};
use connection::{Broken, Connection};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many connections to a node at most, each with one channel: below the ten that sshd lets in at once unasked.
const CONNECTIONS: usize = 8;

/// A node reached over SSH.
pub struct SshHost {
    name: String,
    target: Target,
    settings: SshSettings,
    pool: Mutex<Pool>,
    freed: Condvar,
}

/// Connections to a node.
#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Idle ones and those in use.
    open: usize,
}

/// Somebody's right to a connection. Dropping it without giving the connection back makes room for another.
struct Taken<'a> {
    host: &'a SshHost,
    connection: Option<Connection>,
}

impl SshHost {
    /// A node by what was typed for it: `db3`, `admin@10.0.0.3:2222`, an alias. Does not connect yet.
    pub fn new(text: &str, settings: &SshSettings) -> Result<SshHost, String> {
        Ok(SshHost::at(text, Target::resolve(text, settings)?, settings))
    }

    /// A node whose way is known.
    fn at(name: &str, target: Target, settings: &SshSettings) -> SshHost {
        let (settings, pool) = (settings.clone(), Mutex::default());
        SshHost { name: name.to_string(), target, settings, pool, freed: Condvar::new() }
    }

    /// Where it is and who we are there: `root@10.0.0.3:22`.
    pub fn place(&self) -> String {
        format!("{}@{}:{}", self.target.user, self.target.host, self.target.port)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection, or room for a new one.
    fn take(&self, deadline: Instant) -> Result<Taken<'_>, Broken> {
        let mut pool = self.pool();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(Taken { host: self, connection: Some(connection) });
            }
            if pool.open < CONNECTIONS {
                pool.open += 1;
                return Ok(Taken { host: self, connection: None });
            }
            let left = connection::left(deadline)?;
            pool = self.freed.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn try_exec(&self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, Broken> {
        loop {
            let mut taken = self.take(deadline)?;
            let mut connection = match taken.connection.take() {
                Some(connection) => connection,
                None => Connection::open(&self.target, &self.settings, deadline)?,
            };
            let used = connection.used;
            match connection.exec(command, stdin, deadline) {
                Ok(output) => {
                    taken.connection = Some(connection);
                    return Ok(output);
                }
                // It has died since it was last used, and nothing was sent: the others of that time are no better.
                Err(broken) if used && !broken.sent => {
                    let mut pool = self.pool();
                    pool.open -= pool.idle.len();
                    let dead = std::mem::take(&mut pool.idle);
                    drop(pool);
                    drop(dead);
                }
                Err(broken) => return Err(broken),
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut pool = self.host.pool();
        match self.connection.take() {
            Some(connection) => pool.idle.push(connection),
            None => pool.open -= 1,
        }
        self.host.freed.notify_one();
    }
}

impl Host for SshHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> &str {
        &self.target.host
    }

    fn exec(&self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, HostError> {
        // The login shell may be any; what runs is sh.
        // sudo forgets by which connection we came, and a fault must know, so as not to cut it.
        let sudo = "sudo -n -- env \"SSH_CONNECTION=$SSH_CONNECTION\" ";
        let sudo = if self.settings.sudo { sudo } else { "" };
        let whole = format!("exec {sudo}sh -c {}", quote(command));
        self.try_exec(&whole, stdin, deadline).map_err(|broken| HostError {
            host: self.name.clone(),
            act: if broken.sent { running(command) } else { format!("connecting to {}", self.place()) },
            why: broken.why,
            trouble: broken.trouble,
        })
    }
}
