//! Shell scripts and files of configuration: how a node of Galera is readied and started.

use super::wire;

/// To clients, and to the other nodes.
pub const PORT: u16 = 3306;
pub const PEER_PORT: u16 = 4567;
/// Where a node that comes back hears what it has missed.
const CATCH_UP_PORT: u16 = 4568;

pub const DATA: &str = "/var/lib/perjury-galera";
pub const LOG: &str = "/var/log/perjury-galera.log";
const SOCKET: &str = "/var/lib/perjury-galera/run/mysqld.sock";
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

/// Whether all of it is installed, copying to a new node included.
pub const INSTALLED: &str = "command -v mariadbd mariadb-install-db rsync socat >/dev/null && \
                             test -e /usr/lib/galera/libgalera_smm.so";

/// How the group finds out that somebody is gone, in seconds rather than in tens of them; who waits for a majority waits on.
const PROVIDER_OPTIONS: [&str; 8] = [
    "gcache.size=32M",
    "evs.keepalive_period=PT0.5S",
    "evs.inactive_check_period=PT0.25S",
    "evs.suspect_timeout=PT3S",
    "evs.inactive_timeout=PT5S",
    "evs.install_timeout=PT5S",
    "gmcast.peer_timeout=PT3S",
    "pc.wait_prim_timeout=PT1H",
];

/// Who does what a person would do who runs such a group. A group that has lost its majority finds together by itself
/// only if nobody of its last whole view has been started anew since; else it waits for somebody to say that it may go
/// on. It may when all nodes are there: then nobody else can be going on without them. Arguments: a server's process and
/// the number of all nodes.
const OPERATOR: &str = "\
waited=0
while grep -qx mariadbd /proc/$1/comm 2>/dev/null; do
    sleep 2
    state=$(mariadb -S SOCKET -NBe \"SHOW STATUS WHERE Variable_name IN ('wsrep_cluster_size', 'wsrep_cluster_status')\" 2>/dev/null | cut -f 2 | paste -s -d ' ')
    if [ \"$state\" = \"$2 non-Primary\" ]; then waited=$((waited + 1)); else waited=0; fi
    if [ $waited = 2 ]; then
        echo \"$(date '+%F %T') perjury: all $2 nodes are here, and none may go on: telling them to\"
        mariadb -S SOCKET -e \"SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'\"
    fi
done
";

/// The nodes, and what is wanted of them.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `innodb_flush_log_at_trx_commit`
    pub flush: u8,
    /// Name and address of each.
    pub members: Vec<(String, String)>,
}

impl Setup {
    /// Readies a node before a new cluster starts. The first one gets a database; the others copy it.
    pub fn prepare(&self, node: usize) -> String {
        let mut script = format!(
            "set -e\nmkdir -p {DATA}/db {DATA}/run\nchown mysql: {DATA} {DATA}/db {DATA}/run\nchmod 755 {DATA}\n\
             cat >{DATA}/my.cnf <<'PERJURY'\n{}PERJURY\n",
            self.settings(node)
        );
        let operator = OPERATOR.replace("SOCKET", SOCKET);
        script.push_str(&format!("cat >{DATA}/operator.sh <<'PERJURY'\n{operator}PERJURY\n"));
        if node == 0 {
            // A user without a password, who may do everything in one database and nothing elsewhere.
            script.push_str(&format!(
                "cat >{DATA}/user.sql <<'PERJURY'\n\
                 CREATE DATABASE {db};\n\
                 INSERT INTO mysql.global_priv VALUES ('%', '{user}', \
                 '{{\"access\":0,\"plugin\":\"mysql_native_password\",\"authentication_string\":\"\"}}');\n\
                 INSERT INTO mysql.db (Host, Db, User, Select_priv, Insert_priv, Update_priv, Delete_priv, \
                 Create_priv, Drop_priv) VALUES ('%', '{db}', '{user}', 'Y', 'Y', 'Y', 'Y', 'Y', 'Y');\n\
                 PERJURY\n\
                 mariadb-install-db --defaults-file={DATA}/my.cnf --auth-root-authentication-method=normal \
                 --skip-test-db --extra-file={DATA}/user.sql >>{LOG} 2>&1\n",
                db = wire::DATABASE,
                user = wire::USER,
            ));
        }
        script
    }

    /// Starts a node. One that was killed first looks how far its data have come, so that it need not copy all of it.
    pub fn start(&self, node: usize, new: bool) -> String {
        let mut script = format!("cd /\nrm -f {DATA}/db/*.pid {DATA}/run/*\n");
        let mut more = String::new();
        if new && node == 0 {
            more.push_str("--wsrep-new-cluster");
        } else if !new {
            script.push_str(&format!(
                "AT=$(mariadbd --defaults-file={DATA}/my.cnf --wsrep-recover --log-error={DATA}/run/recover.log \
                 >/dev/null 2>&1; sed -n 's/.*WSREP: Recovered position: *//p' {DATA}/run/recover.log | tail -n 1)\n"
            ));
            more.push_str("${AT:+--wsrep-start-position=$AT}");
        }
        script.push_str(&format!(
            "setsid mariadbd --defaults-file={DATA}/my.cnf {more} >>{LOG} 2>&1 </dev/null &\nSERVER=$!\n\
             setsid sh {DATA}/operator.sh $SERVER {} >>{LOG} 2>&1 </dev/null &\necho $SERVER\n",
            self.members.len()
        ));
        script
    }

    fn settings(&self, node: usize) -> String {
        let (name, address) = &self.members[node];
        let all: Vec<&str> = self.members.iter().map(|(_, address)| address.as_str()).collect();
        let flush = self.flush;
        format!(
            "[mysqld]
user=mysql
datadir={DATA}/db
socket={SOCKET}
pid-file={DATA}/run/mysqld.pid
bind-address=0.0.0.0
port={PORT}
skip-name-resolve
max_connections=300
binlog_format=ROW
default_storage_engine=InnoDB
character-set-server=utf8mb4
collation-server=utf8mb4_bin
innodb_autoinc_lock_mode=2
innodb_buffer_pool_size=32M
innodb_log_file_size=8M
innodb_flush_log_at_trx_commit={flush}
performance_schema=OFF
wsrep_on=ON
wsrep_provider={PROVIDER}
wsrep_cluster_name=perjury
wsrep_cluster_address=gcomm://{}
wsrep_node_address={address}
wsrep_node_name={name}
wsrep_sst_method=rsync
wsrep_provider_options=\"gmcast.listen_addr=tcp://{address}:{PEER_PORT};ist.recv_addr={address}:{CATCH_UP_PORT};{}\"
",
            all.join(","),
            PROVIDER_OPTIONS.join(";")
        )
    }
}
