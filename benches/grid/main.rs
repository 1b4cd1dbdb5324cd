//! `cargo bench`: the grid of histories that other checkers were measured on, made from seeds.
//!
//! ```text
//! cargo bench --bench grid                     every case, three seeds
//! cargo bench --bench grid -- stale            cases whose name contains "stale"
//! cargo bench --bench grid -- --seeds 10 --instructions --big
//! cargo bench --bench grid -- --files cas-register a.log b.log     these files, one after the other in one process
//! ```
//!
//! Each history is read and judged in a process of its own; times are processor seconds, the median over the seeds,
//! with the worst beside it. `docs/performance.md` says how to run other checkers on the same files.

mod generate;
mod measure;

use checker::{ModelName, Property};
use generate::{Recipe, generate};
use history::results::Answer;
use measure::{Asked, Taken};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

struct Case {
    recipe: Recipe,
    /// Takes gigabytes: only with `--big`.
    big: bool,
}

const fn case(recipe: Recipe) -> Case {
    Case { recipe, big: false }
}

const fn info(recipe: Recipe, info: f64) -> Recipe {
    Recipe { info, ..recipe }
}

const fn stale(recipe: Recipe) -> Recipe {
    Recipe { stale: true, ..recipe }
}

const fn keys(recipe: Recipe, keys: u32) -> Recipe {
    Recipe { keys, ..recipe }
}

const CASES: &[Case] = &[
    case(Recipe::new(1_000, 10, 5)),
    case(Recipe::new(10_000, 10, 5)),
    case(Recipe::new(100_000, 5, 5)),
    case(Recipe::new(1_000_000, 5, 5)),
    case(Recipe::new(10_000, 20, 5)),
    case(Recipe::new(1_000, 50, 5)),
    case(Recipe::new(1_000, 100, 5)),
    case(Recipe::new(100_000, 10, 0)),
    case(Recipe::new(1_000_000, 20, 0)),
    Case { recipe: Recipe::new(10_000_000, 20, 0), big: true },
    case(info(Recipe::new(10_000, 10, 5), 0.01)),
    case(info(Recipe::new(10_000, 10, 0), 0.05)),
    case(stale(Recipe::new(1_000, 10, 5))),
    case(stale(Recipe::new(1_000, 20, 5))),
    case(stale(Recipe::new(100_000, 10, 0))),
    case(stale(info(Recipe::new(1_000, 5, 5), 0.01))),
    case(stale(info(Recipe::new(1_000, 5, 5), 0.05))),
    case(stale(info(Recipe::new(1_000, 10, 5), 0.05))),
    case(keys(Recipe::new(100_000, 10, 5), 1_000)),
    case(keys(Recipe::new(1_000_000, 10, 5), 10_000)),
];

struct Options {
    wanted: Vec<String>,
    seeds: u64,
    instructions: bool,
    big: bool,
    threads: usize,
    /// Keeps the histories here, for other checkers.
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--one", file, model, property, threads] => one(file, model, property, threads),
        ["--bench", "--files", model, ref recorded @ ..] | ["--files", model, ref recorded @ ..] => {
            files(model, recorded)
        }
        _ => options(&args).and_then(|options| grid(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grid: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one(file: &str, model: &str, property: &str, threads: &str) -> io::Result<()> {
    let wrong = || io::Error::other("--one FILE MODEL PROPERTY THREADS");
    let asked = Asked {
        model: ModelName::find(model).ok_or_else(wrong)?,
        property: Property::all().into_iter().find(|p| p.name() == property).ok_or_else(wrong)?,
        threads: threads.parse().map_err(|_| wrong())?,
    };
    measure::here(Path::new(file), asked)
}

/// Recorded histories, in one process on one thread: what a checker that is called a thousand times takes for each.
fn files(model: &str, recorded: &[&str]) -> io::Result<()> {
    let model = ModelName::find(model).ok_or_else(|| io::Error::other(format!("no model {model}")))?;
    let asked = Asked { model, property: Property::Linearizable, threads: 1 };
    let taken: Vec<Taken> =
        recorded.iter().map(|file| measure::taken(Path::new(file), asked)).collect::<io::Result<_>>()?;
    let of = |answer| taken.iter().filter(|one| one.answer == answer).count();
    let (holds, violated) = (of(Answer::Holds), of(Answer::Violated));
    let (check, read): (f64, f64) =
        taken.iter().fold((0.0, 0.0), |(check, read), one| (check + one.check, read + one.read));
    println!(
        "{} files: {holds} hold, {violated} violated, {} undecided; check {:.1} ms (again: {:.1}), read {:.1} ms of processor time",
        taken.len(),
        taken.len() - holds - violated,
        check * 1e3,
        taken.iter().map(|one| one.again).sum::<f64>() * 1e3,
        read * 1e3
    );
    if let Some((slowest, file)) =
        taken.iter().zip(recorded).max_by(|(a, _), (b, _)| a.check.total_cmp(&b.check))
    {
        println!("slowest: {file}: {:.2} ms, {} configurations", slowest.check * 1e3, slowest.states);
    }
    Ok(())
}

fn options(args: &[String]) -> io::Result<Options> {
    let mut options =
        Options { wanted: Vec::new(), seeds: 3, instructions: false, big: false, threads: 1, keep: None };
    let mut args = args.iter();
    let number = |value: Option<&String>, name: &str| -> io::Result<u64> {
        let parsed = value.and_then(|value| value.parse().ok());
        parsed.ok_or_else(|| io::Error::other(format!("{name} takes a number")))
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // What cargo itself says.
            "--bench" => {}
            "--seeds" => options.seeds = number(args.next(), arg)?.max(1),
            "--threads" => options.threads = number(args.next(), arg)? as usize,
            "--instructions" => options.instructions = true,
            "--big" => options.big = true,
            "--keep" => options.keep = args.next().map(PathBuf::from),
            flag if flag.starts_with('-') => return Err(io::Error::other(format!("unknown option {flag}"))),
            name => options.wanted.push(name.to_string()),
        }
    }
    Ok(options)
}

fn grid(options: &Options) -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = options.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder)?;
    println!(
        "{:44} {:>9} {:>19} {:>9} {:>19} {:>8} {:>7} {:>10}  method",
        "history",
        "answer",
        "check, CPU s (worst)",
        "again",
        "read, CPU s (worst)",
        "peak MB",
        "core",
        "M instr."
    );
    for Case { recipe, big } in CASES {
        let name = recipe.name();
        let wanted = options.wanted.is_empty() || options.wanted.iter().any(|part| name.contains(part));
        if !wanted || (*big && !options.big) {
            continue;
        }
        row(*recipe, &name, folder, options)?;
    }
    Ok(())
}

fn row(recipe: Recipe, name: &str, folder: &Path, options: &Options) -> io::Result<()> {
    let asked =
        Asked { model: ModelName::CasRegister, property: Property::Linearizable, threads: options.threads };
    let expected = if recipe.stale { Answer::Violated } else { Answer::Holds };
    let mut taken: Vec<Taken> = Vec::new();
    let mut counted = None;
    for seed in 1..=options.seeds {
        let file = folder.join(format!("{}-{seed}.jsonl", name.replace([' ', '='], "-")));
        let mut out = BufWriter::new(std::fs::File::create(&file)?);
        generate(recipe, seed, &mut out)?;
        out.flush()?;
        let one = measure::apart(&file, asked)?;
        if one.answer != expected && one.answer != Answer::Undecided {
            let said =
                format!("{name}, seed {seed}: {:?}, but it was made so that it is {expected:?}", one.answer);
            return Err(io::Error::other(said));
        }
        if options.instructions && seed == 1 && recipe.ops <= 100_000 {
            counted = measure::instructions(&file, asked)?;
        }
        taken.push(one);
        if options.keep.is_none() {
            std::fs::remove_file(&file)?;
        }
    }
    let undecided = taken.iter().filter(|one| one.answer == Answer::Undecided).count();
    let answer = match undecided {
        0 => format!("{expected:?}").to_lowercase(),
        n => format!("{n} undecided"),
    };
    let (check, check_worst) = middle_and_worst(taken.iter().map(|one| one.check));
    let (again, _) = middle_and_worst(taken.iter().map(|one| one.again));
    let (read, read_worst) = middle_and_worst(taken.iter().map(|one| one.read));
    let peak = taken.iter().map(|one| one.peak).max().unwrap_or(0) / 1024;
    let core = taken.iter().map(|one| one.core).max().filter(|core| *core > 0);
    println!(
        "{name:44} {answer:>9} {check:>10.4} ({check_worst:.4}) {again:>9.4} {read:>10.4} ({read_worst:.4}) {peak:>8} {:>7} {:>10}  {}",
        core.map_or(String::new(), |core| core.to_string()),
        counted.map_or(String::new(), |n| format!("{:.1}", n as f64 / 1e6)),
        taken[0].methods.join(", "),
    );
    Ok(())
}

fn middle_and_worst(seconds: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = seconds.collect();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}
