//! `perjury doctor`: can these nodes be reached, broken and healed? Changes nothing on them.

use crate::cli::DoctorArgs;
use crate::config::no_such;
use crate::control::host::{Host, HostError, quote};
use crate::control::hosts::each;
use crate::control::reach;
use crate::exit::{self, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long one node may take.
const LOOK: Duration = Duration::from_secs(30);

/// What is asked of a node: names and values, a line each. netem is tried in a network that exists for that command only.
const ASK: &str = r#"exec 2>/dev/null
say() { echo "$1=$2"; }
say uid "$(id -u)"
say user "$(id -un)"
say system "$(. /etc/os-release; echo "$PRETTY_NAME")"
say kernel "$(uname -r)"
say caps "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
say control "$SSH_CONNECTION"
if nft list tables >/dev/null; then say firewall nft
elif iptables -w -n -L INPUT >/dev/null; then say firewall iptables
else for t in nft iptables; do command -v $t >/dev/null && say blunt $t; done; fi
for t in setsid timeout bash nc tc ip adjtimex systemctl sudo perl python3 fallocate fsfreeze; do command -v $t >/dev/null && say has-$t yes; done
out=$(unshare --net sh -c 'tc qdisc add dev lo root handle 1: prio && tc qdisc add dev lo parent 1:1 netem delay 1ms' 2>&1) \
  && say netem yes || say netem "no: $(echo "$out" | head -n 1)"
[ -w /run ] && say run yes
grep -q ' cgroup2 ' /proc/mounts && say freezer 'version 2 of cgroups' \
  || { grep ' cgroup ' /proc/mounts | grep -q freezer && say freezer 'version 1 of cgroups'; }
for h in /run/perjury/*/heal; do [ -e "$h" ] && say left "$(ls "${h%/heal}" | grep -c undo)"; done
for u in systemd-timesyncd chrony chronyd ntp ntpd ntpsec openntpd; do systemctl is-active --quiet $u && say keeper $u; done
[ "$(id -u)" = 0 ] || { sudo -n true && say sudo yes; }
true
"#;

/// What a node has said.
struct Facts(BTreeMap<String, String>);

impl Facts {
    fn read(text: &str) -> Facts {
        Facts(
            text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect(),
        )
    }

    fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn has(&self, tool: &str) -> bool {
        self.0.contains_key(&format!("has-{tool}"))
    }

    /// Whether commands have a capability, by its number in `capabilities(7)`.
    fn may(&self, capability: u32) -> bool {
        u64::from_str_radix(self.get("caps"), 16).is_ok_and(|caps| caps >> capability & 1 == 1)
    }

    /// Why commands are not run by root, if they are not.
    fn not_root(&self) -> Option<String> {
        (self.get("uid") != "0").then(|| {
            let way = if self.get("sudo") == "yes" {
                "--sudo gives it"
            } else {
                "sudo asks for a password, or is not there"
            };
            format!("{} is not root ({way})", self.get("user"))
        })
    }

    /// What is lacking for every fault: the host must be able to heal itself.
    fn lacks_for_any(&self) -> Vec<String> {
        let mut lacks: Vec<String> = self.not_root().into_iter().collect();
        if self.get("run") != "yes" && lacks.is_empty() {
            lacks.push("/run cannot be written".into());
        }
        if !self.has("setsid") {
            lacks.push("there is no setsid (package util-linux)".into());
        }
        lacks
    }

    /// What is lacking for a kind of fault.
    fn lacks(&self, kind: &str) -> Vec<String> {
        let mut lacks = self.lacks_for_any();
        let probe = || {
            let there = (self.has("bash") && self.has("timeout")) || self.has("nc");
            (!there).then(|| "there is neither bash with timeout nor nc, to probe links".to_string())
        };
        match kind {
            "partition" => {
                if self.get("firewall").is_empty() && self.get("uid") == "0" {
                    lacks.push(match self.get("blunt") {
                        "" => "there is neither nft nor iptables (packages nftables, iptables)".into(),
                        tool => format!("{tool} is there and does not work"),
                    });
                }
                lacks.extend(probe());
            }
            "packet" => lacks.push("what becomes of packets is counted in a lab only".into()),
            "slow" => {
                if !self.has("tc") || !self.has("ip") {
                    lacks.push("there is no tc (package iproute2)".into());
                } else if let Some(why) = self.get("netem").strip_prefix("no: ") {
                    if self.get("uid") == "0" {
                        lacks.push(format!("the kernel has no netem ({why})"));
                    }
                }
                lacks.extend(probe());
            }
            // CAP_SYS_TIME
            "clock" if self.get("uid") == "0" && !self.may(25) => {
                lacks.push("its clock may not be set (a container?)".into());
            }
            "freeze" if self.get("freezer").is_empty() => {
                lacks.push("there is no freezer (cgroup2, or the freezer of cgroup)".into());
            }
            "power" if !self.has("perl") && !self.has("python3") => {
                lacks.push("there is neither perl nor python3, to end a file system".into());
            }
            "disk-full" if !self.has("fallocate") => {
                lacks.push("there is no fallocate (package util-linux)".into());
            }
            "disk-hang" if !self.has("fsfreeze") => {
                lacks.push("there is no fsfreeze (package util-linux)".into());
            }
            // CAP_KILL
            "pause" | "kill" | "zombie" if self.get("uid") == "0" && !self.may(5) => {
                lacks.push("signals to processes of others are not allowed".into());
            }
            _ => {}
        }
        lacks
    }

    /// What is worth knowing about a fault that can be done.
    fn note(&self, kind: &str) -> String {
        match kind {
            "partition" => format!("by {}", self.get("firewall")),
            "slow" => "by netem".into(),
            "clock" => {
                let keeper = self.get("keeper");
                let stops =
                    if keeper.is_empty() { String::new() } else { format!("stops {keeper} meanwhile; ") };
                let drift =
                    if self.has("adjtimex") { "can drift" } else { "cannot drift (package adjtimex)" };
                format!("{stops}{drift}")
            }
            "freeze" => format!("by the freezer of {}", self.get("freezer")),
            "power" | "disk-hang" => "if the data are a file system of their own".into(),
            "disk-read-only" => "if the data are an ext4 of their own".into(),
            "disk-full" => "by a file beside the data".into(),
            "bit-flip" | "truncate" => "if the system says which of its files matter".into(),
            "member" => "if the system offers it".into(),
            _ => "by signal".into(),
        }
    }
}

/// Looks at the nodes and prints what can be done to them.
pub fn run(args: &DoctorArgs) -> Result<u8, Failure> {
    let names = reach::names(&args.nodes)?;
    if names.is_empty() {
        return Err(Failure::usage("which nodes? --nodes a,b,c"));
    }
    let mut asked: Vec<&str> = Vec::new();
    for kind in &args.nemesis {
        let known = nemesis::kinds();
        let name = kind.split(['@', ':']).next().unwrap_or_default();
        match known.iter().find(|known| **known == name) {
            Some(kind) => asked.push(kind),
            None if kind == "all" => asked.extend(nemesis::usual()),
            None if kind == "none" => asked.clear(),
            None => return Err(no_such("fault", kind, known.iter().copied().chain(["all", "none"]))),
        }
    }
    let hosts = reach::hosts(&names, &args.nodes.ssh)?;
    let (text, lacking) = examine(&hosts, &asked, args.process.as_deref());
    print!("{text}");
    match lacking.is_empty() {
        true => Ok(exit::HOLDS),
        false => Err(Failure::new(exit::CLUSTER, lacking.join("\nperjury: "))),
    }
}

/// What to print, and everything that was asked for and cannot be.
fn examine(hosts: &[Arc<dyn Host>], asked: &[&str], process: Option<&str>) -> (String, Vec<String>) {
    let known: Vec<Result<Facts, HostError>> =
        each(hosts, |_, host| host.sh(ASK, LOOK).map(|said| Facts::read(&said)));
    let reached = reaches(hosts, &known);
    let (mut text, mut lacking) = (String::new(), Vec::new());
    for (at, (host, facts)) in hosts.iter().zip(&known).enumerate() {
        let name = host.name();
        let facts = match facts {
            Ok(facts) => facts,
            Err(error) => {
                text += &format!("{name}\n  cannot be used: {}: {}\n", error.act, error.why);
                lacking.push(error.to_string());
                continue;
            }
        };
        text += &format!(
            "{name}   {} as {}   {}, Linux {}\n",
            host.address(),
            facts.get("user"),
            facts.get("system"),
            facts.get("kernel")
        );
        if facts.0.contains_key("left") {
            text += &format!("  faults of an earlier run are still there: perjury heal --nodes {name}\n");
        }
        if let Some(process) = process {
            let find = crate::control::hosts::process::Finder::Name(process.to_string());
            let state = host.sh(&crate::control::hosts::process::state(&find), LOOK);
            let state = state.unwrap_or_else(|error| error.to_string());
            text += &format!("  process        {process}: {state}\n");
            if state != "running" {
                lacking.push(format!("{name}: looking for the process {process}: {state}"));
            }
        }
        for kind in nemesis::kinds() {
            let lacks = facts.lacks(kind);
            if lacks.is_empty() {
                text += &format!("  {kind:14} yes   {}\n", facts.note(kind));
            } else {
                text += &format!("  {kind:14} no    {}\n", lacks.join("; "));
                if asked.contains(kind) {
                    lacking.push(format!("{name}: {kind}: {}", lacks.join("; ")));
                }
            }
        }
        for other in &reached[at] {
            text += &format!("  does not reach {other}\n");
        }
    }
    (text, lacking)
}

/// For each node, the others that it does not reach at the port of their sshd.
fn reaches(hosts: &[Arc<dyn Host>], known: &[Result<Facts, HostError>]) -> Vec<Vec<String>> {
    let places: Vec<Option<(String, String)>> = hosts
        .iter()
        .zip(known)
        .map(|(host, facts)| {
            let port = facts.as_ref().ok()?.get("control").split_whitespace().nth(3)?.to_string();
            Some((host.address().to_string(), port))
        })
        .collect();
    let asked = each(hosts, |at, host| {
        let mut missing = Vec::new();
        for (other, place) in places.iter().enumerate().filter(|(other, _)| *other != at) {
            let (Some((address, port)), Ok(facts)) = (place, &known[at]) else { continue };
            if !facts.has("bash") || !facts.has("timeout") {
                continue;
            }
            let dial = quote(&format!("exec 3<>/dev/tcp/{address}/{port}"));
            if !host.exec(&format!("timeout 3 bash -c {dial}"), &[], std::time::Instant::now() + LOOK)?.ok() {
                missing.push(format!("{} at {address}:{port}", hosts[other].name()));
            }
        }
        Ok(missing)
    });
    asked.into_iter().map(Result::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let bare = Facts::read(
            "uid=0\nuser=root\ncaps=0000000000000000\nrun=yes\nhas-setsid=yes\nnetem=no: sh: tc: not found\n",
        );
        assert_eq!(bare.lacks("partition").len(), 2);
        assert_eq!(bare.lacks("slow")[0], "there is no tc (package iproute2)");
        assert_eq!(bare.lacks("clock"), ["its clock may not be set (a container?)"]);
        assert_eq!(bare.lacks("pause"), ["signals to processes of others are not allowed"]);
        let user = Facts::read("uid=1000\nuser=me\nhas-setsid=yes\nhas-nc=yes\nsudo=yes\nfirewall=\n");
        assert_eq!(user.lacks("partition"), ["me is not root (--sudo gives it)"]);
        let whole = Facts::read(
            "uid=0\nuser=root\ncaps=000001ffffffffff\nrun=yes\nhas-setsid=yes\nhas-nc=yes\nhas-tc=yes\nhas-ip=yes\n\
             firewall=nft\nnetem=yes\nkeeper=chrony\nfreezer=version 2\nhas-perl=yes\nhas-fallocate=yes\nhas-fsfreeze=yes\n",
        );
        for kind in nemesis::kinds().iter().filter(|kind| nemesis::needs(kind) != nemesis::Needs::Packets) {
            assert_eq!(whole.lacks(kind), [""; 0], "{kind}");
        }
        assert_eq!(whole.note("clock"), "stops chrony meanwhile; cannot drift (package adjtimex)");
    }
}
