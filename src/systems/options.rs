//! Reading `--with key=value` against a table of what there is.

use crate::client::SystemOption;

/// The options of a system, looked up by name.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    table: &'a [SystemOption],
    with: &'a [(String, String)],
}

impl<'a> Options<'a> {
    /// `Err` if `with` names an option that is not in `table`.
    pub fn new(table: &'a [SystemOption], with: &'a [(String, String)]) -> Result<Options<'a>, String> {
        for (name, _) in with {
            if !table.iter().any(|o| o.name == name) {
                let names: Vec<&str> = table.iter().map(|o| o.name).collect();
                return Err(format!("there is no option {name}; there are {}", names.join(", ")));
            }
        }
        Ok(Options { table, with })
    }

    /// The value of an option; the last one said wins, and one that is not said has its default.
    ///
    /// # Panics
    /// If the table has no such option.
    pub fn text(&self, name: &str) -> &'a str {
        let said = self.with.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let default = || self.table.iter().find(|o| o.name == name).map(|o| o.default);
        said.or_else(default).expect("an option of the table")
    }

    /// The value as one of a few words.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, String> {
        let text = self.text(name);
        choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            format!("{name} takes {}, not {text:?}", words.join(" or "))
        })
    }

    /// `on` or `off`.
    pub fn switch(&self, name: &str) -> Result<bool, String> {
        self.choice(name, &[("on", true), ("off", false)])
    }

    /// A whole number in a range.
    pub fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
        let text = self.text(name);
        text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
            format!("{name} takes a number from {} to {}, not {text:?}", range.start(), range.end())
        })
    }
}
