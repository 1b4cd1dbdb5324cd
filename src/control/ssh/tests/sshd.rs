//! A real sshd on the loopback, with its own keys and configuration, for one test.

use super::super::{SshHost, SshSettings, Target};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SSHD: &str = "/usr/sbin/sshd";

/// Whether there is an sshd here and we may run it. Says so if not.
pub fn there_is_one() -> bool {
    let there = fs::metadata(SSHD).is_ok() && rustix::process::geteuid().is_root();
    if !there {
        eprintln!("skipped: no {SSHD} here (package openssh-server), or not root");
    }
    there
}

/// A server. Dropping it ends it.
pub struct Sshd {
    child: Child,
    pub dir: tempfile::TempDir,
    pub port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(file: &std::path::Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
    assert!(made.unwrap().success(), "ssh-keygen");
}

impl Sshd {
    /// Starts one on a free port, which lets root in with the key `user` of its directory, and waits until it listens.
    pub fn start() -> Sshd {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for key in ["host", "user", "stranger"] {
            keygen(&at(key));
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        // Only the package's init script makes it, and sshd insists on it.
        fs::create_dir_all("/run/sshd").unwrap();
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let config = format!(
                "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
                 PidFile none\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
                at("host").display(),
                at("authorized").display()
            );
            fs::write(at("config"), config).unwrap();
            let log = fs::File::create(at("log")).unwrap();
            let mut command = Command::new(SSHD);
            command
                .args(["-D", "-e", "-f"])
                .arg(at("config"))
                .stdin(Stdio::null())
                .stderr(log)
                .process_group(0);
            let mut child = command.spawn().unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            // Somebody else may have taken the port meanwhile; then it ends at once.
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    let sshd = Sshd { child, dir, port };
                    sshd.learn("host");
                    return sshd;
                }
                assert!(Instant::now() < deadline, "sshd does not listen");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        panic!("sshd: {}", fs::read_to_string(dir.path().join("log")).unwrap());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes one of the directory's keys the known one of this server.
    pub fn learn(&self, key: &str) {
        let public = fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        fs::write(self.path("known"), format!("[127.0.0.1]:{} {public}", self.port)).unwrap();
    }

    /// The way there, with this key.
    pub fn target(&self, key: &str) -> Target {
        Target {
            host: "127.0.0.1".into(),
            port: self.port,
            user: "root".into(),
            identities: vec![self.path(key)],
            agent: None,
            known_hosts: vec![self.path("known")],
            key_name: "127.0.0.1".into(),
            jumps: Vec::new(),
        }
    }

    pub fn host_with(&self, key: &str, settings: &SshSettings) -> SshHost {
        let settings = SshSettings { key: Some(self.path(key)), ..settings.clone() };
        SshHost::at("n1", self.target(key), &settings)
    }

    /// A host that is let in.
    pub fn host(&self) -> SshHost {
        self.host_with("user", &SshSettings::default())
    }
}
