//! Shell scripts and files of configuration: how PostgreSQL, Patroni and etcd are readied and started on a node.

use super::config::{Config, Mode};

/// Of PostgreSQL.
pub const PORT: u16 = 5432;
/// Of etcd, to its clients and to the other members.
const ETCD_PORT: u16 = 2379;
pub const ETCD_PEER_PORT: u16 = 2380;
/// Of Patroni, where it says what it knows.
const PATRONI_PORT: u16 = 8008;

pub const DATA: &str = "/var/lib/perjury-postgres";
pub const LOG: &str = "/var/log/perjury-postgres.log";
pub const PATRONI_LOG: &str = "/var/log/perjury-patroni.log";
pub const ETCD_LOG: &str = "/var/log/perjury-postgres-etcd.log";
/// Of Patroni's store, which is run by root.
pub const ETCD_DATA: &str = "/var/lib/perjury-postgres-etcd";

/// Whether there is any version of the server.
pub const INSTALLED: &str = "ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1";

/// Debian keeps the programs of each version in a place of their own; the latest one is taken.
const PROGRAMS: &str = "P=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)\n";

/// Whether Patroni is there, its store, and what it needs for either.
pub const PATRONI_INSTALLED: &str =
    "command -v patroni etcd python3 >/dev/null && python3 -c 'import etcd, psycopg2'";

/// Runs what follows as the user that PostgreSQL insists on, in a directory that it may read.
const AS_POSTGRES: &str = "setpriv --reuid=postgres --regid=postgres --init-groups \
                           env -i PATH=/usr/bin:/bin HOME=/var/lib/perjury-postgres LC_ALL=C.UTF-8";

/// What every server is set to, in any mode. A peer that is not heard of is given up after three seconds, so that a
/// connection does not sleep on long after its cut has healed.
const SETTINGS: [(&str, &str); 12] = [
    ("max_connections", "200"),
    ("max_wal_senders", "10"),
    ("wal_level", "replica"),
    ("hot_standby", "on"),
    ("wal_log_hints", "on"),
    ("wal_keep_size", "512MB"),
    ("wal_sender_timeout", "3s"),
    ("wal_receiver_timeout", "3s"),
    ("wal_receiver_status_interval", "1s"),
    ("wal_retrieve_retry_interval", "500ms"),
    ("shared_buffers", "32MB"),
    ("lc_messages", "C"),
];

/// The process that Patroni and its PostgreSQL descend from. Patroni lets go of the server that it starts, so that it
/// outlives it: here this process inherits it, so that it can be found, and is no child of Patroni's. It starts Patroni
/// when it is told to (SIGHUP), again too, and buries the dead. Arguments: its own file, Patroni's, a command.
const KEEPER: &str = "\
import ctypes, os, signal, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
wanted = {signal.SIGHUP, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)

def tell(name, number):
    with open(name + '.new', 'w') as file:
        file.write(str(number))
    os.rename(name + '.new', name)

tell(sys.argv[1], os.getpid())
while True:
    if signal.sigwait(wanted) == signal.SIGHUP:
        child = os.fork()
        if child == 0:
            os.setsid()
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execvp(sys.argv[3], sys.argv[3:])
        tell(sys.argv[2], child)
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass
";

/// The nodes, and what is wanted of them.
#[derive(Clone, Debug)]
pub struct Setup {
    pub config: Config,
    /// Name and address of each.
    pub members: Vec<(String, String)>,
}

impl Setup {
    /// Readies a node before a new cluster starts.
    pub fn prepare(&self, node: usize) -> String {
        let mut script = format!(
            "set -e\n{PROGRAMS}mkdir -p {DATA}\nchown postgres: {DATA}\nchmod 700 {DATA}\ncd {DATA}\n\
             : >{LOG}\nchown postgres: {LOG}\n"
        );
        match self.config.mode {
            Mode::Patroni => {
                script.push_str(&format!(
                    "{PATRONI_INSTALLED} || {{ echo 'patroni is not installed, or not all that it needs: etcd, \
                     python3-etcd, python3-psycopg2' >&2; exit 1; }}\n"
                ));
                script.push_str(&file("patroni.yml", &self.patroni(node)));
                script.push_str(&file("keeper.py", KEEPER));
            }
            // A standby begins as a copy of the primary.
            Mode::Single | Mode::Sync | Mode::Async if node > 0 => {}
            Mode::Single | Mode::Sync | Mode::Async => {
                script.push_str(&format!(
                    "{AS_POSTGRES} $P/initdb -D {DATA}/db -U postgres -A trust -E UTF8 --locale=C \
                     --no-instructions >>{LOG} 2>&1\n"
                ));
                let mut settings: String =
                    SETTINGS.iter().map(|(name, value)| format!("{name} = '{value}'\n")).collect();
                settings.push_str(&format!(
                    "listen_addresses = '*'\nport = {PORT}\nunix_socket_directories = '{DATA}'\n\
                     log_line_prefix = '%m [%p] '\n"
                ));
                let standbys: Vec<&str> =
                    self.members.iter().skip(1).map(|(name, _)| name.as_str()).collect();
                if self.config.mode == Mode::Sync && !standbys.is_empty() {
                    let names = format!("ANY 1 ({})", standbys.join(", "));
                    settings.push_str(&format!("synchronous_standby_names = '{names}'\n"));
                }
                script.push_str(&append("db/postgresql.conf", &settings));
                let from_anywhere = "host all all all trust\nhost replication all all trust\n";
                script.push_str(&append("db/pg_hba.conf", from_anywhere));
            }
        }
        script
    }

    /// Starts PostgreSQL without Patroni.
    pub fn start_postgres(&self, node: usize, new: bool) -> String {
        let (name, _) = &self.members[node];
        let primary = &self.members[0].1;
        let mut script = format!("{PROGRAMS}cd {DATA}\n");
        let mut more = String::new();
        if node > 0 {
            let from = format!("host={primary} port={PORT} user=postgres application_name={name}");
            if new {
                script.push_str(&format!(
                    "{AS_POSTGRES} $P/pg_basebackup -D {DATA}/db -d '{from}' -X stream -c fast \
                     >>{LOG} 2>&1 || exit 1\ntouch db/standby.signal\nchown postgres: db/standby.signal\n"
                ));
            }
            more = format!("-c primary_conninfo='{from}'");
        }
        // Nobody of an earlier life is there any more, though a number may be somebody else's now.
        script.push_str(&format!(
            "rm -f db/postmaster.pid\n\
             setsid {AS_POSTGRES} $P/postgres -D {DATA}/db -c cluster_name={name} {more} >>{LOG} 2>&1 </dev/null &\n\
             echo $!\n"
        ));
        script
    }

    /// Starts the process that Patroni and PostgreSQL will descend from.
    pub fn start_keeper(&self) -> String {
        format!(
            "cd {DATA}\nrm -f keeper.pid patroni.pid db/postmaster.pid\n\
             setsid {AS_POSTGRES} python3 keeper.py keeper.pid patroni.pid patroni patroni.yml \
             >>{PATRONI_LOG} 2>&1 </dev/null &\necho $!\n"
        )
    }

    /// Starts Patroni, which starts PostgreSQL, unless it runs already.
    pub fn start_patroni(&self) -> String {
        let there = |file: &str| {
            format!(
                "for i in $(seq 100); do [ -s {file} ] && break; sleep 0.1; done\n\
                 [ -s {file} ] || {{ echo 'there is no {file}' >&2; exit 1; }}\n"
            )
        };
        format!(
            "cd {DATA}\n{}rm -f patroni.pid\nkill -HUP $(cat keeper.pid)\n{}cat patroni.pid\necho\n",
            there("keeper.pid"),
            there("patroni.pid")
        )
    }

    /// Starts Patroni's store.
    pub fn start_etcd(&self, node: usize) -> String {
        let (name, address) = &self.members[node];
        let all: Vec<String> = self
            .members
            .iter()
            .map(|(name, address)| format!("{name}=http://{address}:{ETCD_PEER_PORT}"))
            .collect();
        format!(
            "cd /\nsetsid etcd --name {name} --data-dir {ETCD_DATA} \
             --listen-peer-urls http://{address}:{ETCD_PEER_PORT} \
             --initial-advertise-peer-urls http://{address}:{ETCD_PEER_PORT} \
             --listen-client-urls http://{address}:{ETCD_PORT} \
             --advertise-client-urls http://{address}:{ETCD_PORT} \
             --initial-cluster {} --initial-cluster-state new --initial-cluster-token perjury-postgres \
             --logger zap --log-outputs stderr >>{ETCD_LOG} 2>&1 </dev/null &\necho $!\n",
            all.join(",")
        )
    }

    fn patroni(&self, node: usize) -> String {
        let (name, address) = &self.members[node];
        let stores: Vec<String> =
            self.members.iter().map(|(_, address)| format!("\"{address}:{ETCD_PORT}\"")).collect();
        let settings: String =
            SETTINGS.iter().map(|(name, value)| format!("        {name}: \"{value}\"\n")).collect();
        let (waits, strict) = self.config.waits;
        format!(
            "scope: perjury
name: {name}
restapi: {{listen: \"0.0.0.0:{PATRONI_PORT}\", connect_address: \"{address}:{PATRONI_PORT}\"}}
etcd3: {{hosts: [{}]}}
bootstrap:
  dcs:
    ttl: 6
    loop_wait: 1
    retry_timeout: 2
    maximum_lag_on_failover: 1048576
    synchronous_mode: {waits}
    synchronous_mode_strict: {strict}
    postgresql:
      use_pg_rewind: true
      parameters:
{settings}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, data-checksums, {{auth-host: trust}}, {{auth-local: trust}}]
  pg_hba: [\"local all all trust\", \"host all all all trust\", \"host replication all all trust\"]
postgresql:
  listen: \"0.0.0.0:{PORT}\"
  connect_address: \"{address}:{PORT}\"
  data_dir: {DATA}/db
  bin_dir: BIN_DIR
  pgpass: {DATA}/pgpass
  authentication: {{superuser: {{username: postgres}}, replication: {{username: postgres}}, rewind: {{username: postgres}}}}
  parameters: {{unix_socket_directories: {DATA}}}
watchdog: {{mode: \"off\"}}
",
            stores.join(", ")
        )
    }
}

/// Writes a file in the current directory, with the place of PostgreSQL's programs in it.
fn file(name: &str, text: &str) -> String {
    format!("sed \"s|BIN_DIR|$P|\" >{name} <<'PERJURY'\n{text}PERJURY\nchmod 644 {name}\n")
}

fn append(name: &str, text: &str) -> String {
    format!("cat >>{name} <<'PERJURY'\n{text}PERJURY\n")
}
