//! What a server says to a statement, whichever protocol it says it in.

use history::Completion;

/// Everything that a server said to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Of each statement of the request that was done, in order.
    pub results: Vec<Rows>,
    /// Why the rest of it was not done.
    pub error: Option<Refusal>,
    /// What it said beside that.
    pub warnings: Vec<Refusal>,
    /// Whether the server ends the session with it.
    pub last: bool,
}

/// What one statement gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Its rows, of which `None` are nulls.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows it has changed, or selected.
    pub affected: u64,
}

impl Rows {
    /// The first value of the first row; none is null.
    pub fn first(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// An error or a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `40001`, or `1213`
    pub code: String,
    /// What it says.
    pub words: String,
}

impl Refusal {
    /// Code and words.
    pub fn text(&self) -> String {
        format!("{} ({})", self.words, self.code)
    }
}

impl Reply {
    /// The one result of a request of one statement. `Err` if it was refused.
    pub fn rows(&self) -> Result<&Rows, String> {
        match (&self.error, self.results.last()) {
            (Some(refusal), _) => Err(refusal.text()),
            (None, Some(rows)) => Ok(rows),
            (None, None) => Err("an answer without a result".into()),
        }
    }

    /// What became of a call, if the reply says it was not done as asked: it failed where it changes nothing, or where
    /// `definite` says that such a refusal undoes everything; else it is unknown. A warning beside a change says that it
    /// is not what it seems: a standby that was to have it may not, for instance.
    pub fn refused(&self, pure: bool, definite: fn(&Refusal) -> bool) -> Option<Completion> {
        match (&self.error, self.warnings.first()) {
            (Some(refusal), _) if pure || definite(refusal) => Some(Completion::Fail(refusal.text())),
            (Some(refusal), _) => Some(Completion::lost(refusal.text())),
            (None, Some(warning)) if !pure => Some(Completion::lost(warning.text())),
            (None, _) => None,
        }
    }
}
