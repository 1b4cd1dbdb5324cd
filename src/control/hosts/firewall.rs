//! What a host must be told so that bytes from named addresses do not arrive: a table or chain of our own, nothing else.
//!
//! The rules of others are neither read nor touched, and undoing ours is removing the table. Links are cut where they
//! end, so that one direction alone can be. What the controller says to the host by SSH always passes.

use nemesis::Pass;
use std::fmt::Write;
use std::net::IpAddr;

/// What a host has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `nft`: the whole table changes at one instant.
    Nft,
    /// `iptables` and `ip6tables`: the whole chain does.
    Iptables,
}

/// Bytes from these addresses, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where they come from, or go to where `out`.
    pub peers: Vec<IpAddr>,
    /// Whether it is about what the host sends.
    pub out: bool,
    /// Stalled or closed.
    pub pass: Pass,
}

/// The connection by which the controller speaks to a host, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where it comes from.
    pub from: IpAddr,
    /// The port that it comes to.
    pub port: u16,
}

impl Control {
    /// From the four words of `$SSH_CONNECTION`.
    pub fn parse(text: &str) -> Option<Control> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [from, _, _, port] => Some(Control { from: from.parse().ok()?, port: port.parse().ok()? }),
            _ => None,
        }
    }
}

/// Our table's or chain's name. At most 28 bytes, for iptables.
fn name(id: &str) -> String {
    format!("perjury_{id}")
}

impl Tool {
    /// The command and its input that put these cuts in force, in place of our earlier ones.
    pub fn cut(self, id: &str, cuts: &[Cut], control: Option<&Control>) -> (String, String) {
        match self {
            Tool::Nft => ("nft -f -".to_string(), nft(id, cuts, control)),
            Tool::Iptables => iptables(id, cuts, control),
        }
    }

    /// The command that takes ours away, whether it is there or not.
    pub fn undo(self, id: &str) -> String {
        let name = name(id);
        match self {
            Tool::Nft => format!(
                "nft delete table inet {name} 2>/dev/null\n\
                 if nft list tables | grep -qx 'table inet {name}'; then echo 'the table is still there' >&2; exit 1; fi\n"
            ),
            Tool::Iptables => format!(
                "for t in iptables ip6tables; do\n\
                 command -v $t >/dev/null || continue\n\
                 for h in INPUT:i OUTPUT:o; do\n\
                 c={name}${{h#*:}}\n\
                 while $t -w -D ${{h%:*}} -j $c 2>/dev/null; do :; done\n\
                 $t -w -F $c 2>/dev/null; $t -w -X $c 2>/dev/null\n\
                 if $t -w -n -L $c >/dev/null 2>&1; then echo \"the chain $c is still there\" >&2; exit 1; fi\n\
                 done\ndone\n"
            ),
        }
    }
}

fn nft(id: &str, cuts: &[Cut], control: Option<&Control>) -> String {
    let name = name(id);
    // Added before it is deleted: there may be none yet. The whole file is one transaction.
    let mut text = format!("add table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n");
    for (out, hook) in [(false, "input"), (true, "output")] {
        let _ =
            writeln!(text, "  chain {hook} {{\n    type filter hook {hook} priority -150; policy accept;");
        let (end, port) = if out { ("daddr", "sport") } else { ("saddr", "dport") };
        if let Some(control) = control {
            let family = family(&control.from);
            let _ = writeln!(text, "    {family} {end} {} tcp {port} {} accept", control.from, control.port);
        }
        for cut in cuts.iter().filter(|cut| cut.out == out) {
            for v6 in [false, true] {
                let peers: Vec<String> =
                    cut.peers.iter().filter(|peer| peer.is_ipv6() == v6).map(ToString::to_string).collect();
                let (Some(first), peers) = (cut.peers.iter().find(|p| p.is_ipv6() == v6), peers.join(", "))
                else {
                    continue;
                };
                let family = family(first);
                if cut.pass == Pass::Close {
                    let _ = writeln!(
                        text,
                        "    {family} {end} {{ {peers} }} meta l4proto tcp reject with tcp reset"
                    );
                }
                if cut.pass != Pass::Flow {
                    let _ = writeln!(text, "    {family} {end} {{ {peers} }} drop");
                }
            }
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

fn family(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

fn iptables(id: &str, cuts: &[Cut], control: Option<&Control>) -> (String, String) {
    let name = name(id);
    let mut files = Vec::new();
    for v6 in [false, true] {
        let mut text = format!("*filter\n:{name}i - [0:0]\n:{name}o - [0:0]\n");
        for (out, chain, end, port) in [(false, "i", "-s", "--dport"), (true, "o", "-d", "--sport")] {
            if let Some(control) = control.filter(|control| control.from.is_ipv6() == v6) {
                let Control { from, port: number } = control;
                let _ = writeln!(text, "-A {name}{chain} {end} {from} -p tcp {port} {number} -j RETURN");
            }
            for cut in cuts.iter().filter(|cut| cut.out == out) {
                for peer in cut.peers.iter().filter(|peer| peer.is_ipv6() == v6) {
                    if cut.pass == Pass::Close {
                        let _ = writeln!(
                            text,
                            "-A {name}{chain} {end} {peer} -p tcp -j REJECT --reject-with tcp-reset"
                        );
                    }
                    if cut.pass != Pass::Flow {
                        let _ = writeln!(text, "-A {name}{chain} {end} {peer} -j DROP");
                    }
                }
            }
        }
        text.push_str("COMMIT\n");
        files.push(text);
    }
    // A host without IPv6 has no ip6tables that works, and needs none unless it has such peers.
    let needs6 = cuts.iter().any(|cut| cut.peers.iter().any(IpAddr::is_ipv6));
    let tools: &[&str] = if needs6 { &["iptables", "ip6tables"] } else { &["iptables"] };
    let mut command = String::from("set -e\n");
    for (tool, text) in tools.iter().zip(&files) {
        let _ = write!(command, "{tool}-restore -w --noflush <<'END'\n{text}END\n");
        for (hook, chain) in [("INPUT", "i"), ("OUTPUT", "o")] {
            let _ = writeln!(
                command,
                "{tool} -w -C {hook} -j {name}{chain} 2>/dev/null || {tool} -w -I {hook} 1 -j {name}{chain}"
            );
        }
    }
    (command, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts() -> Vec<Cut> {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        vec![
            Cut { peers: vec![ip("10.0.0.2"), ip("10.0.0.3"), ip("fd00::2")], out: false, pass: Pass::Stall },
            Cut { peers: vec![ip("10.0.0.9")], out: true, pass: Pass::Close },
        ]
    }

    fn control() -> Control {
        Control::parse("10.0.0.254 50000 10.0.0.1 2222").unwrap()
    }

    #[test]
    fn nft_gets_one_table_of_ours_in_one_transaction() {
        let (command, text) = Tool::Nft.cut("ab", &cuts(), Some(&control()));
        assert_eq!(command, "nft -f -");
        assert_eq!(
            text,
            "add table inet perjury_ab\ndelete table inet perjury_ab\ntable inet perjury_ab {\n\
             \x20 chain input {\n    type filter hook input priority -150; policy accept;\n\
             \x20   ip saddr 10.0.0.254 tcp dport 2222 accept\n    ip saddr { 10.0.0.2, 10.0.0.3 } drop\n\
             \x20   ip6 saddr { fd00::2 } drop\n  }\n\
             \x20 chain output {\n    type filter hook output priority -150; policy accept;\n\
             \x20   ip daddr 10.0.0.254 tcp sport 2222 accept\n\
             \x20   ip daddr { 10.0.0.9 } meta l4proto tcp reject with tcp reset\n    ip daddr { 10.0.0.9 } drop\n  }\n}\n"
        );
    }

    #[test]
    fn iptables_gets_chains_of_ours_and_no_rule_of_others_is_flushed() {
        let (command, _) = Tool::Iptables.cut("ab", &cuts(), Some(&control()));
        for line in [
            "-A perjury_abi -s 10.0.0.254 -p tcp --dport 2222 -j RETURN",
            "-A perjury_abi -s 10.0.0.2 -j DROP",
            "-A perjury_abi -s fd00::2 -j DROP",
            "-A perjury_abo -d 10.0.0.9 -p tcp -j REJECT --reject-with tcp-reset",
            "iptables -w -C INPUT -j perjury_abi 2>/dev/null || iptables -w -I INPUT 1 -j perjury_abi",
        ] {
            assert!(command.lines().any(|l| l == line), "{line}\nis not in\n{command}");
        }
        for text in [command, Tool::Iptables.undo("ab")] {
            let flushes = |l: &&str| l.contains("-F") && !l.contains("-F $c");
            assert_eq!(text.lines().filter(flushes).count(), 0, "{text}");
        }
    }
}
