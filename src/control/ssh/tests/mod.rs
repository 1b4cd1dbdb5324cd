//! Against a real sshd: who gets in, who does not, and what becomes of commands when the connection does not last.

mod sshd;

use super::{SshHost, SshSettings, Target};
use crate::control::host::{Exit, Host, Trouble};
use sshd::{Sshd, there_is_one};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn soon() -> Instant {
    Instant::now() + LONG
}

#[test]
fn a_command_gives_its_code_its_signal_and_both_outputs() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let host = sshd.host();
    let output = host.exec("cat; echo no >&2; exit 3", b"it's \"so\"\n", soon()).unwrap();
    assert_eq!(output.exit, Exit::Code(3));
    assert_eq!((output.text().as_str(), output.why().as_str()), ("it's \"so\"", "exit 3: no"));
    assert_eq!(host.exec("kill -KILL $$", &[], soon()).unwrap().exit, Exit::Signal("KILL".into()));
    // Its outputs are closed long before it ends.
    assert_eq!(host.exec("exec >&- 2>&-; sleep 0.3; exit 7", &[], soon()).unwrap().exit, Exit::Code(7));
}

#[test]
fn who_shows_the_wrong_key_is_refused_and_told_so() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let stranger = sshd.host_with("stranger", &SshSettings::default());
    let error = stranger.sh("true", LONG).unwrap_err();
    assert_eq!(error.trouble, Trouble::Refused);
    let said = error.to_string();
    assert!(
        said.contains("root is not let in; it takes publickey; tried key ") && said.contains("stranger"),
        "{said}"
    );
    let error = sshd.host_with("absent", &SshSettings::default()).sh("true", LONG).unwrap_err();
    assert!(error.why.contains("absent (No such file"), "{error}");
}

#[test]
fn an_unknown_host_is_refused_unless_it_may_be_remembered_and_a_changed_one_always() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    std::fs::remove_file(sshd.path("known")).unwrap();
    let error = sshd.host().sh("true", LONG).unwrap_err();
    assert_eq!(error.trouble, Trouble::Refused);
    assert!(error.why.contains("its host key is not known (SHA256:"), "{error}");
    assert!(!sshd.path("known").exists(), "it was remembered unasked");

    let accept = SshSettings { accept_new_host_keys: true, ..SshSettings::default() };
    assert_eq!(sshd.host_with("user", &accept).sh("echo in", LONG).unwrap(), "in");
    assert_eq!(sshd.host().sh("echo again", LONG).unwrap(), "again");

    sshd.learn("stranger");
    for settings in [SshSettings::default(), accept] {
        let error = sshd.host_with("user", &settings).sh("true", LONG).unwrap_err();
        assert_eq!(error.trouble, Trouble::Refused);
        assert!(error.why.contains("its host key has changed"), "{error}");
    }
}

#[test]
fn a_hashed_known_host_is_known() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let hashed = Command::new("ssh-keygen").arg("-H").arg("-f").arg(sshd.path("known")).output().unwrap();
    assert!(hashed.status.success());
    assert!(std::fs::read_to_string(sshd.path("known")).unwrap().starts_with("|1|"));
    assert_eq!(sshd.host().sh("echo in", LONG).unwrap(), "in");
    let other =
        SshHost::at("n1", Target { key_name: "n9".into(), ..sshd.target("user") }, &SshSettings::default());
    assert!(other.sh("true", LONG).unwrap_err().why.contains("is not known"));
}

#[test]
fn a_port_where_nobody_listens_or_nobody_speaks_is_an_error_by_the_deadline() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let at = |port| SshHost::at("n1", Target { port, ..sshd.target("user") }, &SshSettings::default());
    let began = Instant::now();
    let error = at(port).exec("true", &[], began + Duration::from_millis(700)).unwrap_err();
    assert_eq!(error.trouble, Trouble::Late, "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(silent);
    let error = at(port).exec("true", &[], soon()).unwrap_err();
    assert_eq!(error.trouble, Trouble::Unreachable);
    assert!(
        error.to_string().contains("n1: connecting to root@127.0.0.1:") && error.why.contains("refused"),
        "{error}"
    );
}

#[test]
fn a_command_that_hangs_is_given_up_at_its_deadline_and_the_next_one_works() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let host = sshd.host();
    host.sh("true", LONG).unwrap();
    let began = Instant::now();
    let error = host.exec("exec sleep 5", &[], began + Duration::from_millis(600)).unwrap_err();
    assert_eq!(error.trouble, Trouble::Late, "{error}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(host.sh("echo still", LONG).unwrap(), "still");
}

#[test]
fn a_node_that_vanishes_in_the_middle_is_an_error_and_a_cut_connection_is_replaced() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let host = sshd.host();
    let error = host.exec("kill -KILL $PPID; sleep 5", &[], soon()).unwrap_err();
    assert_eq!(error.trouble, Trouble::Unreachable, "{error}");
    let server = host.sh("echo $PPID", LONG).unwrap();
    assert_eq!(host.sh("echo $PPID", LONG).unwrap(), server, "the connection is used again");
    assert!(Command::new("kill").args(["-KILL", &server]).status().unwrap().success());
    assert_ne!(host.sh("echo $PPID", LONG).unwrap(), server);
}

#[test]
fn large_outputs_and_inputs_go_by_at_once_and_one_without_end_is_refused() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let host = sshd.host();
    let input = vec![b'x'; 3_000_000];
    let command = "head -c 5000000 /dev/zero >&2; cat; head -c 4000000 /dev/zero";
    let output = host.exec(command, &input, soon()).unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (7_000_000, 5_000_000));
    assert_eq!(output.stdout[..input.len()], input[..]);
    // Who does not want his input does not have to take it.
    assert_eq!(host.exec("exit 4", &input, soon()).unwrap().exit, Exit::Code(4));
    assert!(host.exec("yes", &[], soon()).unwrap_err().why.contains("more than 8 MiB"));
}

#[test]
fn files_go_there_and_come_back() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let host = sshd.host();
    let path = sshd.path("it's a file").display().to_string();
    let bytes: Vec<u8> = (0..9_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    host.upload(&bytes, &path, 0o750, soon()).unwrap();
    let mut back = Vec::new();
    host.download(&path, &mut back, soon()).unwrap();
    assert!(back == bytes, "the bytes have changed on the way");
    assert_eq!(host.sh(&format!("stat -c %a {path:?}"), LONG).unwrap(), "750");
}

#[test]
fn twenty_five_commands_at_once_share_at_most_eight_connections() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let host = sshd.host();
    let servers: BTreeSet<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..25)
            .map(|_| scope.spawn(|| host.sh("sleep 0.1; echo $PPID", Duration::from_secs(60))))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap().unwrap()).collect()
    });
    assert!((2..=8).contains(&servers.len()), "{servers:?}");
}

#[test]
fn the_way_may_lead_over_another_machine() {
    if !there_is_one() {
        return;
    }
    let (gate, inner) = (Sshd::start(), Sshd::start());
    // Both take the key of the inner one.
    std::fs::copy(inner.path("user.pub"), gate.path("authorized")).unwrap();
    let settings = SshSettings { key: Some(inner.path("user")), ..SshSettings::default() };
    let way = Target { known_hosts: vec![gate.path("known")], ..gate.target("user") };
    let way = Target { identities: vec![inner.path("user")], ..way };
    let target = Target { jumps: vec![way], ..inner.target("user") };
    let host = SshHost::at("n1", target.clone(), &settings);
    let output = host.exec("cat; echo $SSH_CONNECTION >&2", &vec![b'y'; 2_000_000], soon()).unwrap();
    assert_eq!(output.stdout.len(), 2_000_000);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&inner.port.to_string()));
    drop(gate);
    // The way is open still; a new one cannot be had.
    let error = SshHost::at("n1", target, &settings).sh("true", LONG).unwrap_err();
    assert!(error.why.contains("on the way, root@127.0.0.1:"), "{error}");
}

#[test]
fn an_agent_is_asked_where_no_key_is_named_and_openssh_is_asked_for_the_way() {
    if !there_is_one() {
        return;
    }
    let sshd = Sshd::start();
    let socket = sshd.path("agent");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let mut agent = agent.unwrap();
    let added = || {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(sshd.path("user")).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null());
        add.status().unwrap().success()
    };
    let deadline = soon();
    while !added() {
        assert!(Instant::now() < deadline, "the agent does not take the key");
        std::thread::sleep(Duration::from_millis(10));
    }
    let config = format!(
        "Host db\n HostName 127.0.0.1\n Port {}\n User root\n IdentityFile none\n IdentityAgent {}\n UserKnownHostsFile {}\n",
        sshd.port,
        socket.display(),
        sshd.path("known").display()
    );
    std::fs::write(sshd.path("client"), config).unwrap();
    let settings = SshSettings { config: Some(sshd.path("client")), ..SshSettings::default() };
    let host = SshHost::new("db", &settings).unwrap();
    let said = host.sh("echo in", LONG);
    let _ = agent.kill();
    let _ = agent.wait();
    assert_eq!(said.unwrap(), "in");
    assert_eq!((host.name(), host.address()), ("db", "127.0.0.1"));
}
