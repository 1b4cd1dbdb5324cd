//! From flags, `PERJURY_…` variables and `perjury.toml` to one resolved configuration of a test.

use crate::cli::{SshArgs, TestArgs};
use crate::exit::Failure;
use std::path::Path;

/// The options file that is read when no other is named.
const DEFAULT_FILE: &str = "perjury.toml";

/// What was typed, completed by the options file. Flags and variables win over the file, key by key.
///
/// # Errors
/// A file that was named and cannot be read, is no TOML, or has a key that does not exist (exit code 64).
pub fn with_file(flags: TestArgs) -> Result<TestArgs, Failure> {
    let path = match &flags.config {
        Some(path) => path.clone(),
        None if Path::new(DEFAULT_FILE).is_file() => DEFAULT_FILE.into(),
        None => return Ok(flags),
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::usage(format!("{}: reading the options file: {error}", path.display())))?;
    let file: TestArgs = toml::from_str(&text).map_err(|error| {
        let suggestion = suggestion(error.message()).map(|name| format!("; did you mean {name:?}?"));
        Failure::usage(format!(
            "{}: {}{}",
            path.display(),
            error.to_string().trim_end(),
            suggestion.unwrap_or_default()
        ))
    })?;
    Ok(merge(flags, file))
}

fn merge(flags: TestArgs, file: TestArgs) -> TestArgs {
    let mut with = file.with;
    for (key, value) in flags.with {
        with.retain(|(other, _)| *other != key);
        with.push((key, value));
    }
    TestArgs {
        system: flags.system.or(file.system),
        workload: flags.workload.or(file.workload),
        // Whoever names nodes in one way means no others.
        nodes_file: flags.nodes_file.clone().or(if flags.nodes.is_some() { None } else { file.nodes_file }),
        nodes: flags.nodes.or(if flags.nodes_file.is_some() { None } else { file.nodes }),
        no_db: flags.no_db || file.no_db,
        ssh: SshArgs {
            username: flags.ssh.username.or(file.ssh.username),
            ssh_private_key: flags.ssh.ssh_private_key.or(file.ssh.ssh_private_key),
            ssh_port: flags.ssh.ssh_port.or(file.ssh.ssh_port),
            ssh_config: flags.ssh.ssh_config.or(file.ssh.ssh_config),
            accept_new_host_keys: flags.ssh.accept_new_host_keys || file.ssh.accept_new_host_keys,
            sudo: flags.ssh.sudo || file.ssh.sudo,
            ask_ssh_password: flags.ssh.ask_ssh_password,
        },
        lab: flags.lab.or(file.lab),
        capture: flags.capture.or(file.capture),
        disk: flags.disk || file.disk,
        link_delay: flags.link_delay.or(file.link_delay),
        with,
        concurrency: flags.concurrency.or(file.concurrency),
        rate: flags.rate.or(file.rate),
        keys: flags.keys.or(file.keys),
        ops_per_key: flags.ops_per_key.or(file.ops_per_key),
        time_limit: flags.time_limit.or(file.time_limit),
        op_timeout: flags.op_timeout.or(file.op_timeout),
        nemesis: flags.nemesis.or(file.nemesis),
        nemesis_interval: flags.nemesis_interval.or(file.nemesis_interval),
        seed: flags.seed.or(file.seed),
        test_count: flags.test_count.or(file.test_count),
        store: flags.store.or(file.store),
        format: flags.format.or(file.format),
        progress: flags.progress.or(file.progress),
        output: if flags.output.is_empty() { file.output } else { flags.output },
        sarif_anchor: flags.sarif_anchor.or(file.sarif_anchor),
        fail_fast: flags.fail_fast || file.fail_fast,
        timeout: flags.timeout.or(file.timeout),
        min_ok_reads: flags.min_ok_reads.or(file.min_ok_reads),
        min_fault_reads: flags.min_fault_reads.or(file.min_fault_reads),
        min_contended_keys: flags.min_contended_keys.or(file.min_contended_keys),
        config: flags.config,
        quiet: flags.quiet,
    }
}

/// The known key nearest to the unknown one of serde's message: ``unknown field `sed`, expected one of `seed`, …``.
fn suggestion(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    if !message.starts_with("unknown field") {
        return None;
    }
    nearest(unknown, quoted)
}

/// The candidate that is most like `word`, if any is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `no such system "demo-qorum"; did you mean "demo-quorum"? There are: …`
pub fn no_such<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Failure {
    let hint =
        nearest(word, known.clone()).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
    let all: Vec<&str> = known.into_iter().collect();
    Failure::usage(format!("no such {what}: {word:?}{hint} (there are: {})", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let error = toml::from_str::<TestArgs>("sed = 7").unwrap_err();
        assert_eq!(suggestion(error.message()), Some("seed"));
    }

    #[test]
    fn flags_win_over_the_file_key_by_key() {
        let flags = TestArgs { seed: Some(7), with: vec![("w".into(), "1".into())], ..TestArgs::default() };
        let file: TestArgs =
            toml::from_str("seed = 1\nsystem = \"demo-quorum\"\ntime-limit = \"5s\"\n[with]\nw = 2\nr = 1\n")
                .unwrap();
        let merged = merge(flags, file);
        assert_eq!(merged.seed, Some(7));
        assert_eq!(merged.system.as_deref(), Some("demo-quorum"));
        assert_eq!(merged.with, [("r".to_string(), "1".to_string()), ("w".to_string(), "1".to_string())]);
    }
}
