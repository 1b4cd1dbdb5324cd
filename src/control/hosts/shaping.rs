//! What a host must be told so that packets to named addresses take longer, get lost or arrive twice: netem.
//!
//! Each address gets a band of its own below a `prio` qdisc of ours. A host whose interface has a queueing discipline
//! that somebody has chosen is left alone, with an error.

use nemesis::LinkRule;
use std::fmt::Write;
use std::net::IpAddr;

/// The handle of our root qdisc, by which it is known for ours.
const HANDLE: &str = "7e50";

/// A share in a million, as tc takes it.
fn percent(share: u32) -> String {
    format!("{}%", f64::from(share) / 10_000.0)
}

/// The options of netem for a rule. What passes is for the firewall.
fn netem(rule: &LinkRule) -> String {
    let mut text = String::new();
    let (delay, jitter) = (rule.delay.as_micros(), rule.jitter.as_micros());
    if delay + jitter > 0 || rule.reorder > 0 {
        // Ours is "up to so much more", theirs "more or less". Reordering needs something to overtake.
        let (mean, around) = (delay + jitter / 2, jitter / 2);
        let mean = if rule.reorder > 0 { mean.max(1000) } else { mean };
        let _ = write!(text, " delay {mean}us");
        if around > 0 {
            let _ = write!(text, " {around}us");
        }
    }
    for (name, share) in [
        ("loss", rule.loss),
        ("duplicate", rule.duplicate),
        ("reorder", rule.reorder),
        ("corrupt", rule.corrupt),
    ] {
        if share > 0 {
            let _ = write!(text, " {name} {}", percent(share));
        }
    }
    if rule.rate > 0 {
        let _ = write!(text, " rate {}bps", rule.rate);
    }
    text
}

/// The command that puts these rules in force for packets to these addresses, in place of our earlier ones. It ends with
/// an error that names what is missing, and then has changed nothing.
pub fn shape(rules: &[(Vec<IpAddr>, LinkRule)]) -> String {
    let mut text = String::from(
        "fail() { echo \"$*\" >&2; exit 1; }\n\
         command -v tc >/dev/null || fail 'there is no tc (package iproute2)'\n\
         way() { ip route get $1 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1; }\n",
    );
    text.push_str(&undo());
    let all =
        rules.iter().flat_map(|(peers, _)| peers).map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let bands = rules.len() + 3;
    let _ = write!(
        text,
        "devs=$(for a in {all}; do way $a; done | sort -u)\n[ -n \"$devs\" ] || fail 'there is no route to {all}'\n\
         for d in $devs; do\n\
         case $(tc qdisc show dev $d root | head -n 1) in\n\
         ''|*' noqueue '*|*' mq '*|*' fq '*|*' fq_codel '*|*' pfifo_fast '*) ;;\n\
         *) fail \"$d has a queueing discipline that somebody has chosen: $(tc qdisc show dev $d root | head -n 1)\";; esac\n\
         out=$(tc qdisc add dev $d root handle {HANDLE}: prio bands {bands} priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1 2>&1) \
         || fail \"the kernel does not take prio on $d: $out\"\n"
    );
    for (at, (peers, rule)) in rules.iter().enumerate() {
        let band = at + 4;
        let _ = writeln!(
            text,
            "out=$(tc qdisc add dev $d parent {HANDLE}:{band:x} netem{} 2>&1) \
             || {{ tc qdisc del dev $d root handle {HANDLE}: 2>/dev/null; fail \"the kernel has no netem for $d: $out\"; }}",
            netem(rule)
        );
        for peer in peers {
            let (protocol, kind) = if peer.is_ipv4() { ("ip", "ip") } else { ("ipv6", "ip6") };
            let _ = writeln!(
                text,
                "[ \"$(way {peer})\" != $d ] || tc filter add dev $d parent {HANDLE}: protocol {protocol} prio {band} \
                 u32 match {kind} dst {peer} flowid {HANDLE}:{band:x} || fail \"no filter for {peer} on $d\""
            );
        }
    }
    text.push_str("done\n");
    text
}

/// The command that takes ours away, whether it is there or not.
pub fn undo() -> String {
    format!(
        "for i in /sys/class/net/*; do i=${{i##*/}}\n\
         if tc qdisc show dev $i 2>/dev/null | grep -q ' {HANDLE}: root'; then tc qdisc del dev $i root handle {HANDLE}: || exit 1; fi\n\
         done\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rule_is_said_in_the_words_of_netem() {
        let slow = LinkRule {
            delay: Duration::from_millis(50),
            jitter: Duration::from_millis(20),
            ..LinkRule::default()
        };
        assert_eq!(netem(&slow), " delay 60000us 10000us");
        let bad = LinkRule {
            loss: 200_000,
            duplicate: 5_000,
            reorder: 10_000,
            corrupt: 1,
            rate: 125_000,
            ..LinkRule::default()
        };
        assert_eq!(
            netem(&bad),
            " delay 1000us loss 20% duplicate 0.5% reorder 1% corrupt 0.0001% rate 125000bps"
        );
    }

    #[test]
    fn each_group_of_addresses_has_its_band_and_only_ours_is_removed() {
        let slow = LinkRule { delay: Duration::from_millis(5), ..LinkRule::default() };
        let text =
            shape(&[(vec!["10.0.0.2".parse().unwrap()], slow), (vec!["fd00::3".parse().unwrap()], slow)]);
        for part in [
            "root handle 7e50: prio bands 5 ",
            "parent 7e50:4 netem delay 5000us ",
            "match ip dst 10.0.0.2 flowid 7e50:4",
            "match ip6 dst fd00::3 flowid 7e50:5",
            "has a queueing discipline that somebody has chosen",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
        assert!(
            text.lines().filter(|l| l.contains("qdisc del")).all(|l| l.contains("handle 7e50:")),
            "{text}"
        );
    }
}
