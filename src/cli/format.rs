//! `--format` and `--output`: how results are printed, and the files that they are written to besides.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::str::FromStr;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormatArg {
    /// For a person.
    Human,
    /// For a person who listens: sentences without columns.
    Narrated,
    /// `results.json`, one document per history.
    Json,
    /// JUnit's XML, one document for all histories.
    Junit,
    /// For a person, with annotations for GitHub Actions; and a summary of the job, if it has one.
    Github,
    /// SARIF 2.1.0, one document for all histories.
    Sarif,
}

/// How progress is shown while something runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgressArg {
    /// In place on a terminal, lines elsewhere and where CI is set.
    Auto,
    /// In place.
    Bar,
    /// A line every ten seconds, and one for each event.
    Lines,
    /// A line of JSON every second, and one for each event.
    Json,
    /// Nothing.
    None,
}

/// `--format`
#[derive(Clone, Debug, Default, Args)]
pub struct FormatArgs {
    /// How to print: human unless told; narrated where PERJURY_NARRATED is set, github where GITHUB_ACTIONS is true.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// For sarif: the file of the repository that results are shown at; the history unless told.
    #[arg(long, value_name = "FILE")]
    pub sarif_anchor: Option<String>,
}

/// A file to write results to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What to write.
    pub format: OutputFormat,
    /// The file.
    pub path: PathBuf,
}

/// What can be written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// What `--format` prints. For `github`, the summary of the job in Markdown.
    Printed(FormatArg),
    /// A trace for Perfetto and chrome://tracing.
    ChromeTrace,
}

/// The names, for errors.
pub const OUTPUT_FORMATS: [&str; 7] =
    ["human", "narrated", "json", "junit", "github", "sarif", "chrome-trace"];

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        let expected = || {
            format!(
                "expected FORMAT=FILE, where FORMAT is one of {}, found {text:?}",
                OUTPUT_FORMATS.join(", ")
            )
        };
        let (name, path) = text.split_once('=').ok_or_else(expected)?;
        let format = match name {
            "chrome-trace" | "perfetto" => OutputFormat::ChromeTrace,
            name => OutputFormat::Printed(FormatArg::from_str(name, false).map_err(|_| expected())?),
        };
        if path.is_empty() || path == "-" {
            return Err(format!("expected a file after {name}=; --format {name} prints"));
        }
        Ok(Output { format, path: path.into() })
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Output, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_format_and_a_file() {
        let output: Output = "junit=out/a=b.xml".parse().expect("well-formed");
        assert_eq!(output.path, PathBuf::from("out/a=b.xml"));
        assert_eq!(output.format, OutputFormat::Printed(FormatArg::Junit));
        for name in OUTPUT_FORMATS {
            assert!(format!("{name}=x").parse::<Output>().is_ok(), "{name}");
        }
        for wrong in ["", "junit", "junit=", "xml=x", "=x", "json=-"] {
            assert!(wrong.parse::<Output>().is_err(), "{wrong}");
        }
    }
}
