//! `perjury`: the command line and the controller behind it.

mod cached;
mod casebook;
mod certificate;
mod checking;
mod cli;
mod client;
mod commands;
mod conclude;
mod config;
mod consequences;
mod content;
mod control;
mod environment;
mod excerpts;
mod exit;
mod faults;
mod follow;
mod further;
mod judging;
mod not_tested;
mod output;
mod passes;
mod run;
mod screen;
mod serve;
mod shards;
mod show;
mod signals;
mod store;
mod subject;
mod systems;

use clap::Parser;
use clap::error::ErrorKind;
use cli::{Cli, Command};
use exit::Failure;
use signals::Signals;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Nodes and guards of the demo cluster are this same binary; they are not for people, so clap never sees them.
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.first().map(String::as_str) {
        Some("demo-node") => return systems::demo::node_main(&args[1..]),
        Some("lab-keep") => return control::lab::node::keep_main(&args[1..]),
        Some("lab-init") => return control::lab::node::init_main(&args[1..]),
        Some("lab-enter") => return control::lab::node::enter_main(&args[1..]),
        Some("lab-inside") => return control::lab::node::inside_main(&args[1..]),
        Some("lab-hold") => return control::lab::detached::hold_main(&args[1..]),
        Some("etcd-holder") => return systems::etcd::holder_main(&args[1..]),
        Some("redis-holder") => return systems::redis::holder_main(&args[1..]),
        Some("client-keep") => return systems::file::keep_main(&args[1..]),
        Some("guard") => return control::guard_main(&args[1..]),
        Some(_) | None => {}
    }
    match Cli::try_parse() {
        Ok(cli) => exit::report(dispatch(cli.command)),
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(exit::USAGE),
            }
        }
    }
}

fn dispatch(command: Command) -> Result<u8, Failure> {
    let signals = || {
        Signals::install()
            .map_err(|error| Failure::new(exit::BUG, format!("installing signal handlers: {error}")))
    };
    match command {
        Command::Test(args) => commands::test::run(*args, &signals()?),
        Command::Check(args) => commands::check::run(&args, &signals()?),
        Command::Explain(args) => commands::explain::run(&args, &signals()?),
        Command::Report(args) => commands::report::run(&args, &signals()?),
        Command::Gallery { dir, all } => commands::gallery::run(&dir, all, &signals()?),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Merge(args) => commands::merge::run(&args, &signals()?),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Serve(args) => commands::serve::run(&args, &signals()?),
        Command::Casebook(args) => commands::casebook::run(&args, &signals()?),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Heal(args) => commands::heal::run(&args),
        Command::Lab(args) => commands::lab::run(args),
        Command::List { what } => commands::list::run(what),
        Command::Completions { shell } => commands::manual::completions(shell),
        Command::Man => commands::manual::man(),
    }
}
