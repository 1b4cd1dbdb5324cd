//! `perjury man` and `perjury completions`: made from the same definition as `--help`.

use crate::cli::Cli;
use crate::exit::{self, Failure};
use crate::show;
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the man page: one page for the program, followed by one section per command.
pub fn man() -> Result<u8, Failure> {
    let mut page = Vec::new();
    let command = Cli::command();
    let mut render = |man: clap_mangen::Man| {
        man.render(&mut page)
            .map_err(|error| Failure::new(exit::RESULTS, format!("writing the man page: {error}")))
    };
    render(clap_mangen::Man::new(command.clone()))?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let title = format!("perjury-{}", sub.get_name());
        render(clap_mangen::Man::new(sub.clone()).title(title))?;
    }
    show::out(&String::from_utf8_lossy(&page));
    Ok(exit::HOLDS)
}

/// Prints a completion script.
pub fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "perjury", &mut script);
    show::out(&String::from_utf8_lossy(&script));
    Ok(exit::HOLDS)
}
