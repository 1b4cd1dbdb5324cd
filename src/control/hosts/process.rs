//! How the processes of a service are found on a host, stopped, killed and looked at: as shell text.

use crate::control::host::quote;
use nemesis::NodeState;

/// How the processes of a service are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finder {
    /// Every process of this name, as `/proc/PID/comm` has it: at most 15 bytes.
    Name(String),
    /// The processes whose numbers stand in these files, and all that descend from them.
    PidFiles(Vec<String>),
}

/// Prints the processes in `$all` and everything that descends from them: the second word after the name is the parent.
const FAMILY: &str = r#"[ -n "$all" ] && {
kin="$all "; more=1
table=$(for f in /proc/[0-9]*/stat; do s=; read -r s <$f || continue
  set -f; set -- ${s%% *} ${s##*) }; set +f; echo $1:$3; done)
while [ -n "$more" ]; do more=
  for e in $table; do
    case "$kin" in *" ${e%:*} "*) ;; *" ${e#*:} "*) kin="$kin${e%:*} "; more=1 ;; esac
  done
done
for p in $kin; do echo $p; done; }"#;

/// `pids`, which prints the service's processes, and what else the scripts below use.
fn prelude(finder: &Finder) -> String {
    let find = match finder {
        // A longer name is cut off by the kernel.
        Finder::Name(name) => format!(
            "name={}\nfor f in /proc/[0-9]*/comm; do n=; read -r n <$f; [ \"$n\" = \"$name\" ] && {{ f=${{f%/comm}}; echo ${{f#/proc/}}; }}; done",
            quote(&name.chars().take(15).collect::<String>())
        ),
        Finder::PidFiles(files) => {
            let files: Vec<String> = files.iter().map(|file| quote(file)).collect();
            format!(
                "all=; for f in {}; do p=; read -r p <$f; [ -n \"$p\" ] && alive $p && all=\"$all $p\"; done\n{FAMILY}",
                files.join(" ")
            )
        }
    };
    // The state is the first word after the name, which is in brackets and may hold anything; the start is the 20th.
    format!(
        "stat() {{ s=; read -r s <$1 || return 1; set -f; set -- ${{s##*) }}; set +f; state=$1; since=${{20}}; }}\n\
         alive() {{ stat /proc/$1/stat && [ $state != Z ] && [ $state != X ]; }}\n\
         pids() {{ {{ {find}\n}} 2>/dev/null | while read -r p; do [ $p != $$ ] && alive $p && echo $p; done; }}\n\
         moment() {{ sleep 0.02 2>/dev/null || sleep 1; }}\n"
    )
}

/// Prints `running`, `stopped` or `dead`.
pub fn state(finder: &Finder) -> String {
    format!(
        "{{ {}all=$(pids); [ -n \"$all\" ] || {{ echo dead; exit 0; }}\n\
         for p in $all; do for t in /proc/$p/task/*/stat; do stat $t || continue\n\
         case $state in T|t|X|Z) ;; *) echo running; exit 0;; esac; done; done; echo stopped; }} 2>/dev/null\n",
        prelude(finder)
    )
}

/// What `state` has printed.
pub fn read_state(text: &str) -> Option<NodeState> {
    match text.trim() {
        "running" => Some(NodeState::Running),
        "stopped" => Some(NodeState::Stopped),
        "dead" => Some(NodeState::Dead),
        _ => None,
    }
}

/// Prints `PID:START` of each process, in one line.
pub fn list(finder: &Finder) -> String {
    format!(
        "{}for p in $(pids); do stat /proc/$p/stat && echo $p:$since; done 2>/dev/null | tr '\\n' ' '\n",
        prelude(finder)
    )
}

/// Stops these processes (as `list` has printed them), and waits until every thread stands still.
pub fn stop(listed: &str) -> String {
    let none = prelude(&Finder::PidFiles(Vec::new()));
    format!(
        "{none}{}for p in {listed}; do ours $p && kill -STOP ${{p%:*}}; done\ni=0\nwhile :; do moving=\n\
         for p in {listed}; do for t in /proc/${{p%:*}}/task/*/stat; do stat $t 2>/dev/null || continue\n\
         case $state in T|t|X|Z) ;; *) moving=1;; esac; done; done\n\
         [ -n \"$moving\" ] || exit 0; i=$((i + 1)); [ $i -lt 150 ] || break; moment; done\n\
         echo 'the signal has had no effect' >&2; exit 1\n",
        ours()
    )
}

/// Lets these processes go on, those of them that are still the same.
pub fn resume(listed: &str) -> String {
    let none = prelude(&Finder::PidFiles(Vec::new()));
    format!("{none}{}for p in {listed}; do ours $p && kill -CONT ${{p%:*}}; done\ntrue\n", ours())
}

/// Kills the processes, and waits until they are gone.
pub fn kill(finder: &Finder) -> String {
    // The number may be another process's soon.
    let forget = match finder {
        Finder::Name(_) => String::new(),
        Finder::PidFiles(files) => files.iter().map(|file| format!("rm -f {}; ", quote(file))).collect(),
    };
    format!(
        "{}i=0\nwhile :; do all=$(pids); [ -n \"$all\" ] || {{ {forget}exit 0; }}\n\
         kill -STOP $all 2>/dev/null; all=\"$all $(pids)\"; kill -KILL $all 2>/dev/null\n\
         i=$((i + 1)); [ $i -lt 250 ] || break; moment; done\n\
         echo 'the signal has had no effect' >&2; exit 1\n",
        prelude(finder)
    )
}

/// A number may be another process's by now; its start tells.
fn ours() -> &'static str {
    "ours() { alive ${1%:*} 2>/dev/null && [ $since = ${1#*:} ]; }\n"
}
