//! `perjury list`: what there is, read from the registries themselves.

use crate::cli::Listing;
use crate::exit::{self, Failure};
use crate::{casebook, show, systems};
use checker::{ModelName, Rung};
use history::Format;
use std::fmt::Write;

/// Prints one registry.
pub fn run(what: Listing) -> Result<u8, Failure> {
    let text = match what {
        Listing::Systems => systems_text(),
        Listing::Workloads => {
            table(workloads::all().iter().map(|workload| (workload.name(), workload.about())))
        }
        Listing::Faults => table(nemesis::kinds().iter().map(|kind| (*kind, nemesis::about(kind)))),
        Listing::Models => table(ModelName::all().iter().map(|model| (model.name(), model.about()))),
        Listing::Properties => table(Rung::all().iter().map(|rung| (rung.name(), rung.about()))),
        Listing::Formats => table(Format::all().iter().map(|format| (format.name(), format.about()))),
        Listing::Kinds => table(checker::kinds::kinds().iter().map(|kind| (kind.name, kind.sentence))),
        Listing::Cases => {
            let all = casebook::cases().iter().chain(casebook::real::cases());
            table(all.map(|case| (case.name, case.about)))
        }
    };
    show::out(&text);
    Ok(exit::HOLDS)
}

fn table<'a>(rows: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let width = rows.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.fold(String::new(), |mut text, (name, about)| {
        let _ = writeln!(text, "{name:width$}  {about}");
        text
    })
}

fn systems_text() -> String {
    let mut text = String::new();
    for system in systems::all() {
        let _ = writeln!(text, "{}: {}", system.name(), system.about());
        let _ = writeln!(
            text,
            "  workloads: {}; {} nodes",
            system.workloads().join(", "),
            system.default_nodes()
        );
        for option in system.options() {
            let _ = writeln!(text, "  --with {}={}: {}", option.name, option.default, option.about);
        }
        for with in system.configurations() {
            let with: Vec<(String, String)> =
                with.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let shown: Vec<String> = with.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let shown = if shown.is_empty() { "bare".to_string() } else { shown.join(" ") };
            // A registry that names a configuration which its own system refuses is caught by a test.
            if let Ok(claim) = system.claim(&with) {
                // Only of a specimen is it known.
                let truth = match (system.needs_nodes(), claim.honest) {
                    (true, _) => "",
                    (false, true) => " (keeps it)",
                    (false, false) => " (lies)",
                };
                let _ = writeln!(text, "  {shown}: claims {}{truth}", claim.text);
            }
        }
        text.push('\n');
    }
    text.push_str("A system of your own: perjury test ./mydb.toml, a file that says how to start it and which program is its client\n(docs/systems/files.md, docs/tutorials/your-own-system.md).\n");
    text
}
