//! A container that runs already, behind the port of hosts: commands by `docker exec`, `podman exec` or `kubectl exec`.
//!
//! ```text
//!   --nodes docker:db1,docker:db2,docker:db3          the names of containers
//!   --nodes kubectl:db-0,kubectl:storage/db-1         pods of the current name space, or of another one
//! ```
//!
//! Clients speak to the container's own address, which must be reachable from here. The engine's client is given nothing
//! but the command, and decides by its own configuration which engine or cluster that is.

use super::here::unrun;
use super::host::{Host, HostError, Output};
use super::program;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a container may take to say its address.
const LOOK: Duration = Duration::from_secs(10);

/// The clients that know how to run a command in a container.
const ENGINES: [&str; 3] = ["docker", "podman", "kubectl"];

/// A running container.
#[derive(Debug)]
pub struct ContainerHost {
    name: String,
    program: PathBuf,
    /// What stands before the shell: `exec -i db1`.
    exec: Vec<String>,
    address: OnceLock<String>,
}

impl ContainerHost {
    /// The container that a node's name means, or nothing if it means none: `docker:db1`.
    pub fn named(node: &str) -> Option<Result<ContainerHost, String>> {
        let (engine, container) = node.split_once(':')?;
        let engine = ENGINES.into_iter().find(|known| *known == engine)?;
        Some(ContainerHost::new(node, engine.into(), engine == "kubectl", container))
    }

    fn new(node: &str, program: PathBuf, pod: bool, container: &str) -> Result<ContainerHost, String> {
        let word = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !text.is_empty() && !text.starts_with('-') && text.chars().all(plain)
        };
        let (space, name) = match container.split_once('/') {
            Some((space, name)) if pod => (Some(space), name),
            Some(_) | None => (None, container),
        };
        if !word(name) || !space.is_none_or(word) {
            let expected = if pod { "a pod, or a name space and a pod" } else { "the name of a container" };
            return Err(format!("{node}: expected {expected} after the colon"));
        }
        let mut exec: Vec<String> = ["exec", "-i"].map(str::to_string).into();
        exec.extend(space.map(|space| format!("--namespace={space}")));
        exec.push(name.to_string());
        exec.extend(pod.then(|| "--".to_string()));
        Ok(ContainerHost { name: node.to_string(), program, exec, address: OnceLock::new() })
    }
}

impl Host for ContainerHost {
    fn name(&self) -> &str {
        &self.name
    }

    /// Its first own address. A container that does not tell keeps its name, which then leads nowhere and says so.
    fn address(&self) -> &str {
        self.address.get_or_init(|| {
            let said = self.sh("hostname -i", LOOK).unwrap_or_default();
            said.split_whitespace().next().unwrap_or(&self.name).to_string()
        })
    }

    fn exec(&self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, HostError> {
        let began = Instant::now();
        let mut shell = Command::new(&self.program);
        shell.args(&self.exec).args(["/bin/sh", "-c", command]);
        program::run(shell, stdin, deadline).map_err(|why| unrun(&self.name, command, began, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// A client that writes down how it was called, and runs the command here.
    fn engine(dir: &Path) -> PathBuf {
        let path = dir.join("engine");
        let script = "#!/bin/sh\necho \"$@\" >>\"$0.calls\"\nwhile [ \"$1\" != /bin/sh ]; do shift; done\n\
                      case $3 in 'hostname -i') echo 127.0.0.9 10.0.0.1;; *) exec \"$@\";; esac\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_command_runs_in_the_container_with_its_input_its_output_and_its_exit_code() {
        let dir = tempfile::tempdir().unwrap();
        let host = ContainerHost::new("docker:db1", engine(dir.path()), false, "db1").unwrap();
        let output = host.exec("read x; echo got $x; echo bad >&2; exit 3", b"this\n", soon()).unwrap();
        assert_eq!((output.text().as_str(), output.why().as_str()), ("got this", "exit 3: bad"));
        assert_eq!((host.name(), host.address()), ("docker:db1", "127.0.0.9"));
        host.upload(b"text", &dir.path().join("file").display().to_string(), 0o640, soon()).unwrap();
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"text");
        let late = host.exec("sleep 100", &[], Instant::now() + Duration::from_millis(50)).unwrap_err();
        assert!(
            late.to_string().starts_with("docker:db1: running \"sleep 100\": no answer within"),
            "{late}"
        );
        let pod = ContainerHost::new("kubectl:s/db-0", engine(dir.path()), true, "s/db-0").unwrap();
        assert_eq!(pod.sh("echo in", LOOK).unwrap(), "in");
        let calls = fs::read_to_string(dir.path().join("engine.calls")).unwrap();
        assert!(calls.starts_with("exec -i db1 /bin/sh -c read x"), "{calls}");
        assert!(calls.contains("exec -i --namespace=s db-0 -- /bin/sh -c echo in"), "{calls}");
    }

    #[test]
    fn names_of_machines_mean_no_container_and_bad_names_are_refused() {
        assert!(ContainerHost::named("db1.example.org").is_none());
        assert!(ContainerHost::named("db1:2222").is_none());
        assert!(ContainerHost::named("podman:db1").unwrap().is_ok());
        for bad in ["docker:", "docker:--privileged", "docker:a/b", "kubectl:a/", "kubectl:a b"] {
            let why = ContainerHost::named(bad).unwrap().unwrap_err();
            assert!(why.contains("after the colon"), "{why}");
        }
        let absent = ContainerHost::new("docker:x", "/nonexistent/docker".into(), false, "x").unwrap();
        let error = absent.sh("true", LOOK).unwrap_err().to_string();
        assert!(error.contains("docker:x: running \"true\": starting it: "), "{error}");
    }
}
