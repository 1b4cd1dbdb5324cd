//! `perjury test`: run, judge, report.

use crate::cli::parse::quoted;
use crate::cli::{FormatArgs, Output, OutputFormat, ProgressArg, TestArgs};
use crate::client::{Place, System};
use crate::commands::place;
use crate::conclude::{self, Concluded, Purpose, stage_failure, unwritten};
use crate::config::{self, no_such};
use crate::exit::{self, Failure};
use crate::output::Sink;
use crate::run::{ProgressMode, RunConfig, Thresholds};
use crate::signals::Signals;
use crate::store::Run;
use crate::systems;
use checker::Rung;
use history::results::{RunInfo, Verdict};
use nemesis::{Needs, Wanted};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;
use workloads::Workload;

/// A configuration in which nothing is left open.
struct Resolved {
    config: RunConfig,
    thresholds: Thresholds,
    timeout: Duration,
    test_count: u32,
    store: PathBuf,
    quiet: bool,
    format: FormatArgs,
    output: Vec<Output>,
}

/// Runs the tests; the worst verdict is the exit code.
pub fn run(args: TestArgs, signals: &Signals) -> Result<u8, Failure> {
    let resolved = resolve(config::with_file(args)?)?;
    let traced = resolved.output.iter().any(|output| output.format == OutputFormat::ChromeTrace);
    if resolved.test_count > 1 && traced {
        return Err(Failure::usage("--output chrome-trace=FILE takes one run at a time"));
    }
    let mut sink = Sink::new(&resolved.format, &resolved.output, &[], resolved.quiet)?.with_faults();
    let played = all(&resolved, &mut sink, signals);
    // What was concluded is written, whatever became of the last run.
    sink.finish()?;
    let (codes, unhealed) = played?;
    match unhealed {
        Some(error) => Err(Failure::new(exit::CLUSTER, format!("the cluster could not be healed: {error}"))),
        None if signals.stopped() => Ok(exit::INTERRUPTED),
        None => Ok(exit::worst(codes)),
    }
}

/// All runs, one after the other: their exit codes, and why the cluster could not be healed, if it could not.
fn all(
    resolved: &Resolved,
    sink: &mut Sink<'_>,
    signals: &Signals,
) -> Result<(Vec<u8>, Option<String>), Failure> {
    let mut codes = Vec::new();
    let mut unhealed = None;
    for number in 0..resolved.test_count {
        let config = RunConfig {
            seed: resolved.config.seed.wrapping_add(u64::from(number)),
            ..resolved.config.clone()
        };
        let (verdict, healed) = one(&config, resolved, sink, signals)?;
        codes.push(exit::code(verdict));
        unhealed = unhealed.or(healed);
        if signals.stopped() {
            break;
        }
    }
    Ok((codes, unhealed))
}

/// One run from its start to its last line. The second value says why the cluster could not be healed, if it could not.
fn one(
    config: &RunConfig,
    resolved: &Resolved,
    sink: &mut Sink<'_>,
    signals: &Signals,
) -> Result<(Verdict, Option<String>), Failure> {
    let (system, workload) = (config.system, config.workload);
    let run =
        Run::create(&resolved.store, system.name(), workload.name()).map_err(|error| unwritten(&error))?;
    let _held = run.hold().map_err(|error| unwritten(&error))?;
    if !resolved.quiet {
        eprintln!("seed {}   {}", config.seed, run.dir().display());
    }
    let lines = lines(config, resolved);
    run.write_config(&toml(&lines)).map_err(|error| unwritten(&error))?;
    let info = info(config, resolved, &lines)?;
    let record = crate::run::run(config, run.dir(), &signals.stop).map_err(stage_failure)?;
    let unhealed = record.unhealed.clone();
    let mut kinds: Vec<&'static str> = config.nemesis.iter().map(|wanted| wanted.kind).collect();
    kinds.dedup();
    let purpose = Purpose {
        workload,
        nemesis: &kinds,
        thresholds: Some(&resolved.thresholds),
        question: conclude::question(workload, resolved.timeout)?,
        info,
    };
    let Concluded { results, history, unwritten } =
        conclude::conclude(&run, record, purpose, &signals.skip, resolved.quiet)?;
    let paths = run.paths(&results);
    let verdict = results.verdict;
    sink.take(results, paths, Some(&history))?;
    unwritten.map_or(Ok((verdict, unhealed)), Err)
}

fn resolve(args: TestArgs) -> Result<Resolved, Failure> {
    let system: &'static dyn System = match args.system.as_deref() {
        None => systems::all()[0],
        Some(path) if systems::file::is_path(path) => systems::file::load(path)?,
        Some(name) => systems::find(name)
            .ok_or_else(|| no_such("system", name, systems::all().iter().map(|system| system.name())))?,
    };
    let offered = system.workloads();
    let name = args.workload.as_deref().unwrap_or(offered[0]);
    let workload: &'static dyn Workload = workloads::find(name)
        .ok_or_else(|| no_such("workload", name, workloads::all().iter().map(|workload| workload.name())))?;
    if !offered.contains(&name) {
        let offered = offered.join(", ");
        return Err(Failure::usage(format!(
            "{} does not offer the workload {name} (it offers: {offered})",
            system.name()
        )));
    }
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one("perjury") >> 16);
    let mut config = RunConfig::new(system, workload, seed);
    config.with = args.with.clone();
    system.claim(&config.with).map_err(Failure::usage)?;
    place::resolve(&args, system, &mut config)?;
    if let Some(text) = &args.concurrency {
        config.concurrency = concurrency(text, config.nodes)?;
    }
    if let Some(rate) = args.rate {
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(Failure::usage(format!("--rate: expected requests per second, found {rate}")));
        }
        config.rate = rate;
    }
    config.keys = args.keys.unwrap_or(config.keys).max(1);
    if let Some(ops) = args.ops_per_key {
        config.ops_per_key = u32::try_from(ops.max(1)).unwrap_or(u32::MAX);
    }
    config.time_limit = args.time_limit.map_or(config.time_limit, |span| span.0);
    config.op_timeout = args.op_timeout.map_or(config.op_timeout, |span| span.0);
    config.nemesis_interval = args.nemesis_interval.map_or(config.nemesis_interval, |span| span.0);
    if let Some(kinds) = &args.nemesis {
        config.nemesis = wanted(kinds, config.nodes, &config.place)?;
    } else {
        config.nemesis.retain(|wanted| nemesis::nodes_min(wanted.kind) <= config.nodes);
    }
    place::give_disks(&mut config);
    place::check_faults(&config)?;
    config.progress = match args.progress {
        _ if args.quiet => ProgressMode::Quiet,
        None | Some(ProgressArg::Auto) => ProgressMode::Auto,
        Some(ProgressArg::Bar) => ProgressMode::Bar,
        Some(ProgressArg::Lines) => ProgressMode::Lines,
        Some(ProgressArg::Json) => ProgressMode::Json,
        Some(ProgressArg::None) => ProgressMode::Quiet,
    };
    let asked = conclude::question(workload, Duration::ZERO)?;
    config.watch = asked.asked.contains(&Rung::Linearizable).then_some(asked.spec);
    if args.fail_fast {
        let question = conclude::question(workload, Duration::ZERO)?;
        if !question.asked.contains(&Rung::Linearizable) {
            return Err(Failure::usage(format!(
                "--fail-fast: the workload {name} does not ask for linearizable, and nothing else can be seen before the end"
            )));
        }
        config.fail_fast = Some(question.spec);
    }
    let usual = Thresholds::default();
    Ok(Resolved {
        config,
        thresholds: Thresholds {
            ok_reads: args.min_ok_reads.unwrap_or(usual.ok_reads),
            fault_reads: args.min_fault_reads.unwrap_or(usual.fault_reads),
            contended_keys: args.min_contended_keys.unwrap_or(usual.contended_keys),
            ..usual
        },
        timeout: args.timeout.map_or(Duration::from_secs(60), |span| span.0),
        test_count: args.test_count.unwrap_or(1).max(1),
        store: args.store.unwrap_or_else(|| "store".into()),
        quiet: args.quiet,
        format: FormatArgs { format: args.format, sarif_anchor: args.sarif_anchor },
        output: args.output,
    })
}

fn concurrency(text: &str, nodes: usize) -> Result<usize, Failure> {
    let (number, per) = match text.strip_suffix('n') {
        Some("") => ("1", nodes),
        Some(number) => (number, nodes),
        None => (text, 1),
    };
    match number.parse::<usize>() {
        Ok(number) if (1..=10_000).contains(&number.saturating_mul(per)) => Ok(number * per),
        Ok(_) | Err(_) => Err(Failure::usage(format!(
            "--concurrency: expected 1 to 10000 clients, as in 10 or 2n, found {text:?}"
        ))),
    }
}

/// The faults that were asked for, as far as nodes in such a place can have them.
fn wanted(names: &[String], nodes: usize, place: &Place) -> Result<Vec<Wanted>, Failure> {
    let mut all = Vec::new();
    let possible = |kind: &str| nemesis::nodes_min(kind) <= nodes && lacks(kind, place).is_none();
    for name in names {
        match name.as_str() {
            "none" => all.clear(),
            "all" => {
                let usual = nemesis::usual().iter().filter(|kind| possible(kind));
                all.extend(usual.filter_map(|kind| Wanted::plain(kind)));
            }
            name => {
                let wanted =
                    Wanted::parse(name).map_err(|why| Failure::usage(format!("--nemesis: {why}")))?;
                let known = nemesis::kinds().iter().copied().chain(["all", "none"]);
                let wanted = wanted.ok_or_else(|| no_such("fault", name, known))?;
                let (kind, needed) = (wanted.kind, nemesis::nodes_min(wanted.kind));
                if needed > nodes {
                    return Err(Failure::usage(format!(
                        "--nemesis: {kind} needs {needed} nodes, and there are {nodes}"
                    )));
                }
                if let Some(why) = lacks(kind, place) {
                    return Err(Failure::usage(format!("--nemesis: {kind} needs {why}")));
                }
                all.push(wanted);
            }
        }
    }
    all.dedup();
    Ok(all)
}

/// What a kind of fault needs that no node in such a place has.
fn lacks(kind: &str, place: &Place) -> Option<&'static str> {
    match (nemesis::needs(kind), place) {
        (Needs::Packets, Place::Here | Place::Hosts(_)) => {
            Some("links that carry packets: those of a lab (--lab N)")
        }
        (Needs::Nodes | Needs::Disks, Place::Here) => {
            Some("nodes that are machines, or look like some (--nodes a,b,c or --lab N)")
        }
        _ => None,
    }
}

/// The resolved configuration, by the names of the flags: what `config.toml` holds and the report shows.
fn lines(config: &RunConfig, resolved: &Resolved) -> Vec<(String, toml::Value)> {
    let text = |text: &str| toml::Value::String(text.to_string());
    let number = |n: usize| toml::Value::Integer(n as i64);
    let span = |d: Duration| toml::Value::String(crate::cli::parse::Span(d).to_string());
    let seed =
        i64::try_from(config.seed).map_or_else(|_| text(&config.seed.to_string()), toml::Value::Integer);
    let mut lines = vec![
        ("system", text(config.system.typed())),
        ("workload", text(config.workload.name())),
        ("concurrency", text(&config.concurrency.to_string())),
        ("rate", toml::Value::Float(config.rate)),
        ("keys", number(config.keys)),
        ("ops-per-key", number(config.ops_per_key as usize)),
        ("time-limit", span(config.time_limit)),
        ("op-timeout", span(config.op_timeout)),
        ("nemesis", toml::Value::Array(config.nemesis.iter().map(|w| text(&w.to_string())).collect())),
        ("nemesis-interval", span(config.nemesis_interval)),
        ("seed", seed),
        ("fail-fast", toml::Value::Boolean(config.fail_fast.is_some())),
        ("timeout", span(resolved.timeout)),
        ("min-ok-reads", number(resolved.thresholds.ok_reads)),
        ("min-fault-reads", number(resolved.thresholds.fault_reads)),
        ("min-contended-keys", toml::Value::Float(resolved.thresholds.contended_keys)),
    ];
    let (place, tables) = place::lines(config);
    lines.splice(2..2, place);
    lines.extend(tables);
    let with: toml::Table =
        config.with.iter().map(|(key, value)| (key.clone(), text(shown(key, value)))).collect();
    if !with.is_empty() {
        lines.push(("with", toml::Value::Table(with)));
    }
    lines.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// The value of an option of a system, as it may stand in files and reports that are passed on: no secret.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_lowercase();
    let within = ["pass", "secret", "credential"].iter().any(|word| name.contains(word));
    let last = name.rsplit(['-', '_']).next().unwrap_or_default();
    if within || matches!(last, "token" | "key" | "apikey") { "***" } else { value }
}

fn toml(lines: &[(String, toml::Value)]) -> String {
    let mut text = String::from("# Run it again: perjury test --config THIS-FILE\n");
    for (key, value) in lines {
        match value {
            toml::Value::Table(table) => {
                let _ = write!(text, "\n[{key}]\n{table}");
            }
            value => {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
    }
    text
}

fn info(
    config: &RunConfig,
    resolved: &Resolved,
    lines: &[(String, toml::Value)],
) -> Result<RunInfo, Failure> {
    let plain = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    Ok(RunInfo {
        system: config.system.name().to_string(),
        version: String::new(),
        claims: config.system.claim_of(config.workload.name(), &config.with).map_err(Failure::usage)?.text,
        workload: config.workload.name().to_string(),
        nodes: Vec::new(),
        seed: config.seed,
        started: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        zero: None,
        ahead: Vec::new(),
        stride: None,
        interrupted: false,
        config: lines.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        command: command(config, resolved),
        environment: crate::environment::facts(),
        notes: Vec::new(),
    })
}

/// The command that runs it again: only what is not the default.
fn command(config: &RunConfig, resolved: &Resolved) -> String {
    let usual = RunConfig::new(config.system, config.workload, config.seed);
    let mut text = format!("perjury test {} {}", quoted(config.system.typed()), config.workload.name());
    text.push_str(&place::flags(config, usual.nodes));
    let mut flag = |differs: bool, name: &str, value: String| {
        if differs {
            let _ = write!(text, " --{name} {value}");
        }
    };
    let span = |d: Duration| crate::cli::parse::Span(d).to_string();
    for (key, value) in &config.with {
        flag(true, "with", quoted(&format!("{key}={}", shown(key, value))));
    }
    flag(config.concurrency != 2 * config.nodes, "concurrency", config.concurrency.to_string());
    flag(config.rate != usual.rate, "rate", config.rate.to_string());
    flag(config.keys != usual.keys, "keys", config.keys.to_string());
    flag(config.ops_per_key != usual.ops_per_key, "ops-per-key", config.ops_per_key.to_string());
    flag(config.time_limit != usual.time_limit, "time-limit", span(config.time_limit));
    flag(config.op_timeout != usual.op_timeout, "op-timeout", span(config.op_timeout));
    let nemesis: Vec<String> = config.nemesis.iter().map(ToString::to_string).collect();
    let nemesis = if nemesis.is_empty() { "none".to_string() } else { quoted(&nemesis.join(",")) };
    flag(config.nemesis != usual.nemesis, "nemesis", nemesis);
    flag(
        config.nemesis_interval != usual.nemesis_interval,
        "nemesis-interval",
        span(config.nemesis_interval),
    );
    let thresholds = Thresholds::default();
    let chosen = &resolved.thresholds;
    flag(chosen.ok_reads != thresholds.ok_reads, "min-ok-reads", chosen.ok_reads.to_string());
    flag(chosen.fault_reads != thresholds.fault_reads, "min-fault-reads", chosen.fault_reads.to_string());
    let share = chosen.contended_keys;
    flag(share != thresholds.contended_keys, "min-contended-keys", share.to_string());
    flag(true, "seed", config.seed.to_string());
    if config.fail_fast.is_some() {
        text.push_str(" --fail-fast");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_looks_like_a_secret_is_written_nowhere() {
        for name in ["password", "DB_PASSWORD", "api-key", "access_token", "client-secret", "passphrase"] {
            assert_eq!(shown(name, "hunter2"), "***", "{name}");
        }
        for name in ["reads", "keys", "tokens", "monkey", "lease"] {
            assert_eq!(shown(name, "10"), "10", "{name}");
        }
    }
}
