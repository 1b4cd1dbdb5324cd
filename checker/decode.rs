//! What the models share when they decode: refusals that say what was expected, and how to read small lists.

use crate::model::IllFormed;
use history::{Applied, Interner, Op, Outcome, Value, ValueId};

/// The name of the function that `op` calls, or a refusal.
pub(crate) fn function<'a>(values: &'a Interner, op: &Op) -> Result<&'a str, IllFormed> {
    values.get(op.f).as_text().ok_or_else(|| IllFormed {
        expected: "the name of a function".to_string(),
        found: values.get(op.f).to_string(),
        in_completion: false,
    })
}

/// The functions that a model knows by name, with their numbers in a history, so that no name is compared twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Functions<const N: usize> {
    names: [&'static str; N],
    /// [`NO_NUMBER`] until an operation calls it.
    numbers: [ValueId; N],
}

/// What no value has.
const NO_NUMBER: ValueId = ValueId(u32::MAX);

impl<const N: usize> Functions<N> {
    /// None of them was called yet.
    pub(crate) const fn new(names: [&'static str; N]) -> Functions<N> {
        Functions { names, numbers: [NO_NUMBER; N] }
    }

    /// With the numbers that they have already.
    pub(crate) fn learned(mut self, values: &Interner) -> Functions<N> {
        for (name, number) in self.names.iter().zip(&mut self.numbers) {
            *number = values.find(&Value::text(name)).unwrap_or(NO_NUMBER);
        }
        self
    }

    /// Which of them `op` calls; `None` if it is another one, or a refusal.
    #[inline]
    pub(crate) fn which(&mut self, values: &Interner, op: &Op) -> Result<Option<usize>, IllFormed> {
        match self.numbers.iter().position(|&number| number == op.f) {
            Some(which) => Ok(Some(which)),
            None => self.look_up(values, op),
        }
    }

    #[cold]
    fn look_up(&mut self, values: &Interner, op: &Op) -> Result<Option<usize>, IllFormed> {
        let called = function(values, op)?;
        let which = self.names.iter().position(|&name| name == called);
        if let Some(which) = which {
            self.numbers[which] = op.f;
        }
        Ok(which)
    }
}

/// The refusal of a function that the model does not know.
pub(crate) fn unknown(known: &str, found: &str) -> IllFormed {
    IllFormed { expected: known.to_string(), found: format!("function {found}"), in_completion: false }
}

/// The refusal of a value of the invocation (`output` false) or of the completion.
pub(crate) fn refuse(expected: &str, found: &Value, output: bool) -> IllFormed {
    IllFormed { expected: expected.to_string(), found: shorten(&found.to_string()), in_completion: output }
}

/// Refuses `"applied": false` where an operation that was answered `ok` cannot be without effect.
#[inline]
pub(crate) fn must_apply(op: &Op, f: &str) -> Result<(), IllFormed> {
    if op.outcome == Outcome::Ok && op.applied == Applied::No {
        return Err(IllFormed {
            expected: format!("a {f} that took effect, or type fail"),
            found: "applied: false".to_string(),
            in_completion: true,
        });
    }
    Ok(())
}

/// The two elements of a list like `[expected, new]`.
#[inline]
pub(crate) fn pair(values: &mut Interner, id: ValueId, expected: &str) -> Result<[ValueId; 2], IllFormed> {
    if let Some(pair) = values.pair(id) {
        return Ok(pair);
    }
    let (a, b) = match values.get(id).as_list() {
        Some([a, b]) => (a.clone(), b.clone()),
        _ => return Err(refuse(expected, values.get(id), false)),
    };
    Ok([values.intern(&a), values.intern(&b)])
}

/// A text that fits into an error message.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
