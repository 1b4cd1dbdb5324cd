//! Hosts for a test: network name spaces of our own behind a bridge, an sshd in each, and a keeper that removes all of it
//! when the test ends, however it ends.

use crate::control::host::Host;
use crate::control::ssh::{SshHost, SshSettings};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Whether hosts can be made here. Says so if not.
pub fn can_be_made() -> bool {
    let tool = |name: &str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().any(|d| fs::metadata(format!("{d}/{name}")).is_ok())
    };
    let missing: Vec<&str> =
        ["sshd", "ip", "nft", "iptables", "ssh-keygen", "setsid"].into_iter().filter(|t| !tool(t)).collect();
    let root = rustix::process::geteuid().is_root();
    if !missing.is_empty() || !root {
        eprintln!("skipped: needs root and {missing:?}");
    }
    missing.is_empty() && root
}

/// Networks of tests that run at the same time in one process; other processes take another third byte.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// Hosts n1, n2 … Dropping it ends them.
pub struct Net {
    pub dir: tempfile::TempDir,
    name: String,
    third: u8,
    /// Removes everything when its standard input closes, and then ends.
    keeper: Child,
    sshds: Vec<Child>,
    count: u8,
}

impl Drop for Net {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        for sshd in &mut self.sshds {
            let _ = sshd.wait();
        }
    }
}

fn run(script: &str) {
    let output = Command::new("sh").arg("-ec").arg(script).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

impl Net {
    /// Makes `count` hosts. `path` is what commands find their programs by.
    pub fn new(count: u8, path: &str) -> Net {
        let pid = std::process::id();
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let third = (pid as u8).wrapping_mul(7).wrapping_add(serial);
        let name = format!("pj{:x}-{serial}", pid & 0xfffff);
        let dir = tempfile::tempdir().unwrap();
        let spaces = (0..=count).map(|n| format!("{name}-{n}")).collect::<Vec<_>>().join(" ");
        // Whoever still runs in a name space would keep it: they are ended first, by number.
        let clean = format!(
            "cat >/dev/null\nfor s in {spaces}; do for p in $(ip netns pids $s 2>/dev/null); do kill -KILL $p 2>/dev/null; done\n\
             ip netns del $s 2>/dev/null; done\nip link del {name}r 2>/dev/null\ntrue\n"
        );
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(clean).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C at the terminal ends the test; the keeper still has to work then.
        let keeper = keeper.process_group(0).spawn().unwrap();
        let mut net = Net { dir, name: name.clone(), third, keeper, sshds: Vec::new(), count };
        run(&format!(
            "mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f {0}; ssh-keygen -q -t ed25519 -N '' -f {1}; cp {1}.pub {2}",
            at2(&net, "host"),
            at2(&net, "user"),
            at2(&net, "authorized")
        ));
        let hub = format!("{name}-0");
        run(&format!(
            "ip netns add {hub}; ip -n {hub} link add name hub0 type bridge; ip -n {hub} link set hub0 up\n\
             ip link add {name}r type veth peer name uplink netns {hub}; ip -n {hub} link set uplink master hub0; ip -n {hub} link set uplink up\n\
             ip addr add 10.213.{third}.254/24 dev {name}r; ip link set {name}r up"
        ));
        for n in 1..=count {
            let space = format!("{name}-{n}");
            run(&format!(
                "ip netns add {space}; ip -n {space} link set lo up\n\
                 ip -n {space} link add eth0 type veth peer name p{n} netns {hub}; ip -n {hub} link set p{n} master hub0\n\
                 ip -n {hub} link set p{n} up; ip -n {space} addr add 10.213.{third}.{n}/24 dev eth0; ip -n {space} link set eth0 up"
            ));
            let config = format!(
                "Port 22\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n\
                 UseDNS no\nSetEnv PATH={path}\n",
                at2(&net, "host"),
                at2(&net, "authorized")
            );
            fs::write(net.dir.path().join(format!("config{n}")), config).unwrap();
            // Each has its own /run, where the ledger is and the locks of the tools, and its own places for data.
            let inside = format!(
                "for d in /run /var/lib /var/log; do mount -t tmpfs tmpfs $d; done && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f {}",
                at2(&net, &format!("config{n}"))
            );
            let mut sshd = Command::new("ip");
            sshd.args(["netns", "exec", &space, "unshare", "--mount", "sh", "-c", &inside]);
            let log = fs::File::create(net.dir.path().join(format!("log{n}"))).unwrap();
            // The keeper ends it.
            let sshd = sshd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
            net.sshds.push(sshd);
        }
        let public = fs::read_to_string(net.dir.path().join("host.pub")).unwrap();
        let mut known = fs::File::create(net.dir.path().join("known")).unwrap();
        let mut config = String::new();
        for n in 1..=count {
            let address = net.address(n);
            writeln!(known, "{address} {public}").unwrap();
            config += &format!("Host n{n}\n HostName {address}\n");
        }
        config += &format!(
            "Host *\n User root\n IdentityFile {}\n IdentityAgent none\n UserKnownHostsFile {}\n",
            at2(&net, "user"),
            at2(&net, "known")
        );
        fs::write(net.dir.path().join("client"), config).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        for n in 1..=count {
            while std::net::TcpStream::connect((net.address(n), 22)).is_err() {
                assert!(Instant::now() < deadline, "no sshd on n{n}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        net
    }

    pub fn address(&self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.third, n)
    }

    /// The name space of a host.
    pub fn space(&self, n: u8) -> String {
        format!("{}-{n}", self.name)
    }

    /// OpenSSH's configuration for these hosts.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// The hosts over SSH.
    pub fn hosts(&self) -> Vec<Arc<dyn Host>> {
        hosts(&self.config(), self.count)
    }

    /// Runs a command in a host, without SSH.
    pub fn inside(&self, n: u8, script: &str) -> String {
        let output =
            Command::new("ip").args(["netns", "exec", &self.space(n), "sh", "-c", script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Hosts n1 to n`count` of a configuration.
pub fn hosts(config: &std::path::Path, count: u8) -> Vec<Arc<dyn Host>> {
    let settings = SshSettings { config: Some(config.to_path_buf()), ..SshSettings::default() };
    let host = |n| Arc::new(SshHost::new(&format!("n{n}"), &settings).unwrap()) as Arc<dyn Host>;
    (1..=count).map(host).collect()
}

fn at2(net: &Net, file: &str) -> String {
    net.dir.path().join(file).display().to_string()
}
