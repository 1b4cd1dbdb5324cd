//! How the processes of a service are found on a host, stopped, killed and looked at: as shell text.

use crate::control::host::quote;
use nemesis::NodeState;

/// How the processes of a service are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finder {
    /// Every process of this name, as `/proc/PID/comm` has it: at most 15 bytes.
    Name(String),
    /// The processes whose numbers stand in these files, and all that descend from them. Where the start of the process
    /// stands behind its number ([`write_down`]), it must agree: numbers are given again.
    PidFiles(Vec<String>),
    /// The same of processes that a run has started: none, once another run has.
    Ours(Vec<String>, Owner),
}

/// Whose the processes are that are started on a host: the file says which run's. The next run of the same system takes
/// the files, the ports and the data of the one before; what that one had to undo is then none of its business any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Where it stands.
    pub file: String,
    /// The run, as it stands there: the name of its ledger.
    pub run: String,
}

impl Owner {
    /// A command that ends with exit code 0 as long as they are the run's.
    pub fn holds(&self) -> String {
        format!("[ \"$(cat {} 2>/dev/null)\" = {} ]", quote(&self.file), quote(&self.run))
    }

    /// Makes them the run's.
    pub fn take(&self) -> String {
        format!("printf %s {1} >{0}.new && mv {0}.new {0}", quote(&self.file), quote(&self.run))
    }
}

impl Finder {
    /// Whose the processes are, if that is known.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Finder::Ours(_, owner) => Some(owner),
            Finder::Name(_) | Finder::PidFiles(_) => None,
        }
    }
}

/// Starts a process by a command that prints its number in its last line, and leaves number and start in a file.
pub fn write_down(start: &str, file: &str) -> String {
    let file = quote(file);
    // The start is the 20th word after the name, which is in brackets and may hold anything. One that has ended has none.
    format!(
        "p=$(\n{start}\n) || exit 1\np=$(printf '%s\\n' \"$p\" | tail -n 1); set --\n\
         {{ s=; read -r s </proc/$p/stat && {{ set -f; set -- ${{s##*) }}; set +f; }}; }} 2>/dev/null\n\
         echo \"$p ${{20:-0}}\" >{file}.new && mv {file}.new {file}\n"
    )
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
        Finder::PidFiles(files) | Finder::Ours(files, _) => {
            let files: Vec<String> = files.iter().map(|file| quote(file)).collect();
            let ours = finder.owner().map_or(String::new(), |owner| format!("{} && ", owner.holds()));
            format!(
                "all=; {ours}for f in {}; do p=; b=; read -r p b r <$f\n\
                 [ -n \"$p\" ] && alive $p && [ ${{b:-$since}} = $since ] && all=\"$all $p\"; done\n{FAMILY}",
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
        Finder::PidFiles(files) | Finder::Ours(files, _) => {
            let files: Vec<String> = files.iter().map(|file| quote(file)).collect();
            let ours = finder.owner().map_or(String::new(), |owner| format!("{} && ", owner.holds()));
            format!("{ours}rm -f {}; ", files.join(" "))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::here::HereHost;
    use crate::control::host::Host;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn processes_are_a_run_s_until_another_run_has_started_its_own_and_a_number_alone_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let at = |file: &str| dir.path().join(file).display().to_string();
        let host = HereHost::new("n1", "127.0.0.1");
        let owner = |run: &str| Owner { file: at("owner"), run: run.into() };
        let ours = |run: &str| Finder::Ours(vec![at("pid")], owner(run));
        let start = write_down("setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!", &at("pid"));
        let sh = |script: &str| host.sh(script, LONG).unwrap();
        let state_for = |run: &str| read_state(&sh(&state(&ours(run)))).unwrap();
        sh(&format!("{}\n{start}", owner("1").take()));
        assert_eq!(state_for("1"), NodeState::Running);
        // The next run ends what there is, whose ever it is.
        sh(&format!("{}\n{}", owner("2").take(), kill(&Finder::PidFiles(vec![at("pid")]))));
        sh(&start);
        assert_eq!((state_for("1"), state_for("2")), (NodeState::Dead, NodeState::Running));
        sh(&kill(&ours("1")));
        assert_eq!(state_for("2"), NodeState::Running);
        // Its number is another process's by now.
        let written = std::fs::read_to_string(at("pid")).unwrap();
        let (pid, began) = written.trim().split_once(' ').unwrap();
        let later = began.parse::<u64>().unwrap() - 1;
        std::fs::write(at("pid"), format!("{pid} {later}\n")).unwrap();
        assert_eq!(state_for("2"), NodeState::Dead);
        std::fs::write(at("pid"), &written).unwrap();
        sh(&kill(&ours("2")));
        assert_eq!(state_for("2"), NodeState::Dead);
        assert!(!dir.path().join("pid").exists());
        // One that has ended at once, and one that could not be started.
        sh(&write_down("true & p=$!; wait $p; echo $p", &at("pid")));
        assert_eq!(state_for("2"), NodeState::Dead);
        let why = host.sh(&write_down("echo 7; echo no >&2; exit 3", &at("pid")), LONG).unwrap_err();
        assert!(why.to_string().contains("no"), "{why}");
    }
}
