//! An sshd for each node of a lab that stays, with a key made for it: what is reached over SSH is tested over SSH.

use super::host::LabHost;
use crate::control::host::Host;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long it may take to make a key, or for an sshd to listen.
const START: Duration = Duration::from_secs(10);

/// Starts them. In `keys` are then `id` (the key to log in as root with), `host` (everybody's host key), `known_hosts` and
/// `config` (for OpenSSH's client: names and addresses of the nodes).
pub fn start(hosts: &[LabHost], keys: &Path) -> Result<(), String> {
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("{}: {what}: {e}", keys.display());
    // What was left of a lab that was killed is another lab's.
    let _ = fs::remove_dir_all(keys);
    fs::create_dir_all(keys).map_err(|e| failed("making it", &e))?;
    let shut = fs::Permissions::from_mode(0o700);
    fs::set_permissions(keys, shut).map_err(|e| failed("making it", &e))?;
    for key in ["id", "host"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "perjury lab", "-f"])
            .arg(keys.join(key))
            .output()
            .map_err(|e| failed("ssh-keygen (package openssh-client)", &e))?;
        if !made.status.success() {
            return Err(failed("ssh-keygen", &String::from_utf8_lossy(&made.stderr).trim()));
        }
    }
    let read = |file: &str| fs::read_to_string(keys.join(file)).map_err(|e| failed(file, &e));
    let (host_key, host_public, public) = (read("host")?, read("host.pub")?, read("id.pub")?);
    // More sessions than a stock sshd takes: a lab is for trying things.
    let config = "Port 22\nHostKey /etc/ssh/perjury_host_key\nAuthorizedKeysFile /etc/ssh/perjury_authorized\n\
                  StrictModes no\nUsePAM no\nUseDNS no\nPidFile /run/perjury-sshd.pid\nPermitRootLogin prohibit-password\n\
                  PasswordAuthentication no\nMaxStartups 200\nSubsystem sftp internal-sftp\n";
    let script = format!(
        "command -v /usr/sbin/sshd >/dev/null || {{ echo 'there is no sshd on this machine (package openssh-server)' >&2; exit 1; }}\n\
         set -e\numask 077\nmkdir -p /etc/ssh /run/sshd\n\
         cat >/etc/ssh/perjury_host_key <<'EOF'\n{host_key}EOF\n\
         cat >/etc/ssh/perjury_authorized <<'EOF'\n{public}EOF\n\
         cat >/etc/ssh/perjury_sshd_config <<'EOF'\n{config}EOF\n\
         /usr/sbin/sshd -f /etc/ssh/perjury_sshd_config -E /var/log/perjury-sshd.log </dev/null >/dev/null 2>&1\n\
         i=0; until bash -c 'exec 3<>/dev/tcp/127.0.0.1/22' 2>/dev/null; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.05; done\n"
    );
    let (mut known, mut client) = (String::new(), String::new());
    for host in hosts {
        host.exec(&script, &[], Instant::now() + START)
            .and_then(|output| host.done(output))
            .map_err(|error| error.doing("starting its sshd"))?;
        known += &format!("{},{} {host_public}", host.name(), host.address());
        client += &format!("Host {}\n HostName {}\n", host.name(), host.address());
    }
    let at = |file: &str| keys.join(file).display().to_string();
    client += &format!(
        "Host *\n User root\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n",
        at("id"),
        at("known_hosts")
    );
    for (file, text) in [("known_hosts", known), ("config", client)] {
        fs::write(keys.join(file), text).map_err(|e| failed(file, &e))?;
    }
    Ok(())
}

/// How a node is reached, in two lines.
pub fn how(keys: &Path, address: Ipv4Addr) -> String {
    let keys = keys.display();
    format!(
        "by SSH: ssh -F {keys}/config n1 (root@{address}, key {keys}/id)\n\
         perjury test SYSTEM --nodes n1,n2,… --ssh-config {keys}/config"
    )
}
