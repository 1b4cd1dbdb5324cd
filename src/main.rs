//! `perjury`: the command line and the controller behind it.

mod client;
mod control;
mod run;
mod store;
mod systems;

fn main() -> std::process::ExitCode {
    // Nodes and guards of the demo cluster are this same binary; they are not for people, so clap never sees them.
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("demo-node") => systems::demo::node_main(&args[1..]),
        Some("guard") => control::guard_main(&args[1..]),
        _ => std::process::ExitCode::SUCCESS,
    }
}
