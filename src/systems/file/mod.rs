//! A system that a file describes: how its nodes are started, found and asked, and which program is its client.
//!
//! ```text
//!   source.rs    the file's text, and where in it something is wrong
//!   shape.rs     its keys, and what is refused          template.rs   {{ node }} and the like
//!   service.rs   the nodes                              keeper.rs     the process that starts and ends clients
//!   pipes.rs     one client's program, asked line by line (calls.rs)
//! ```

mod keeper;
mod pipes;
mod service;
mod shape;
mod source;
mod template;

pub use keeper::keep_main;

use crate::client::{Claim, Running, Start, System, SystemOption};
use crate::control::host::quote;
use crate::exit::Failure;
use shape::{Choice, Description};
use source::Source;
use std::path::{Path, PathBuf};

/// The system of one file.
#[derive(Debug)]
pub struct FileSystem {
    /// The file, as it was typed.
    typed: &'static str,
    /// Where its client's program is looked for.
    dir: PathBuf,
    name: &'static str,
    about: &'static str,
    options: &'static [SystemOption],
    workloads: &'static [&'static str],
    /// As `perjury lab install` takes them.
    packages: &'static str,
    installed: &'static str,
    description: &'static Description,
}

/// Whether a system's name is the path of a file.
pub fn is_path(name: &str) -> bool {
    name.ends_with(".toml") || name.contains('/')
}

/// Reads a system file. It stays in memory as long as the program runs, as the built-in systems do.
///
/// # Errors
/// It cannot be read, or something in it is wrong: file, line and column (64).
pub fn load(typed: &str) -> Result<&'static FileSystem, Failure> {
    let refused = |error: source::FileError| Failure::usage(error.to_string());
    let source = Source::read(Path::new(typed)).map_err(refused)?;
    let taken: Vec<&str> = super::all().iter().map(|system| system.name()).collect();
    let known: Vec<&str> = workloads::all().iter().map(|workload| workload.name()).collect();
    let description = Description::read(&source, &taken, &known).map_err(refused)?;
    let parent = Path::new(typed).parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = std::path::absolute(parent.unwrap_or(Path::new(".")))
        .map_err(|e| Failure::usage(format!("{typed}: {e}")))?;
    Ok(Box::leak(Box::new(FileSystem::new(typed, dir, description))))
}

/// A shell command that ends with 0 where these packages are installed. Where packages are of another kind, and where none
/// is named, only starting the system shows whether it is there.
fn installed(packages: &[String]) -> String {
    if packages.is_empty() {
        return "true".to_string();
    }
    let packages: Vec<String> = packages.iter().map(|package| quote(package)).collect();
    format!(
        "! command -v dpkg-query >/dev/null || for p in {}; do \
         dpkg-query -W -f='${{Status}}' $p 2>/dev/null | grep -q ' installed$' || exit 1; done",
        packages.join(" ")
    )
}

/// Text that lives as long as the program.
fn forever(text: &str) -> &'static str {
    Box::leak(text.to_string().into_boxed_str())
}

impl FileSystem {
    fn new(typed: &str, dir: PathBuf, description: Description) -> FileSystem {
        let option = |choice: &Choice| {
            let values = choice.values.join(", ");
            let about = match (choice.about.as_str(), values.as_str()) {
                (about, "") => about.to_string(),
                ("", values) => values.to_string(),
                (about, values) => format!("{about} ({values})"),
            };
            SystemOption {
                name: forever(&choice.name),
                default: forever(&choice.default),
                about: forever(&about),
            }
        };
        let options: Vec<SystemOption> = description.options.iter().map(option).collect();
        let workloads: Vec<&'static str> = description.workloads.iter().map(|name| forever(name)).collect();
        FileSystem {
            typed: forever(typed),
            dir,
            name: forever(&description.name),
            about: forever(&description.about),
            options: Vec::leak(options),
            workloads: Vec::leak(workloads),
            packages: forever(&description.packages.join(" ")),
            installed: forever(&installed(&description.packages)),
            description: Box::leak(Box::new(description)),
        }
    }

    /// Every option's value. `Err` names one that there is not, or a value that it does not take.
    fn values(&self, with: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let read = super::options::Options::new(self.options, with)?;
        let value = |choice: &Choice| {
            let value = read.text(&choice.name);
            if !choice.values.is_empty() && !choice.values.iter().any(|known| known == value) {
                return Err(format!("{} takes {}, not {value:?}", choice.name, choice.values.join(" or ")));
            }
            Ok((choice.name.clone(), value.to_string()))
        };
        self.description.options.iter().map(value).collect()
    }
}

impl System for FileSystem {
    fn name(&self) -> &'static str {
        self.name
    }

    fn typed(&self) -> &'static str {
        self.typed
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn options(&self) -> &'static [SystemOption] {
        self.options
    }

    fn workloads(&self) -> &'static [&'static str] {
        self.workloads
    }

    fn default_nodes(&self) -> usize {
        self.description.nodes
    }

    fn needs_nodes(&self) -> bool {
        true
    }

    fn packages(&self) -> &'static str {
        self.packages
    }

    fn installed(&self) -> &'static str {
        self.installed
    }

    fn claim(&self, with: &[(String, String)]) -> Result<Claim, String> {
        self.claim_of(self.workloads[0], with)
    }

    fn claim_of(&self, workload: &str, with: &[(String, String)]) -> Result<Claim, String> {
        let values = self.values(with)?;
        let fits = |promise: &&shape::Promise| {
            promise.workload.as_deref().is_none_or(|name| name == workload)
                && promise.with.iter().all(|pair| values.contains(pair))
        };
        let said = self.description.promises.iter().find(fits);
        let text = said.map_or_else(|| "nothing".to_string(), |promise| promise.claim.clone());
        Ok(Claim { text, honest: true })
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        service::start(self, start)
    }
}
