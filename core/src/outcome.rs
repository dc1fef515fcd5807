//! What a result says about the one who gave it.

use serde::{Deserialize, Serialize};

/// What is known after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not done, and the other side is to blame.
    Failure,
    /// The request was sent and no answer says what became of it. It may have been done:
    /// ask before doing it again.
    Unknown,
    /// It says nothing about the other side's health: a refusal of our own, a caller's mistake.
    Ignored,
}

impl Outcome {
    /// Whether it counts against the other side's health: a failure or an unknown outcome.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failure | Self::Unknown)
    }
}

/// Maps a result to an [`Outcome`].
///
/// Closures `Fn(Result<&T, &E>) -> Outcome` are classifiers.
///
/// # Examples
///
/// ```
/// use mainstay_core::{Classify, Outcome};
///
/// let by_status = |result: Result<&u16, &std::io::Error>| match result {
///     Ok(200..=299) => Outcome::Success,
///     Ok(500..=599) => Outcome::Failure,
///     Ok(_) => Outcome::Ignored,
///     Err(_) => Outcome::Unknown,
/// };
/// assert_eq!(by_status.classify(Ok(&503)), Outcome::Failure);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not classify `Result<{T}, {E}>`",
    note = "pass a closure `|result: Result<&{T}, &{E}>| -> Outcome`"
)]
pub trait Classify<T, E> {
    /// Judges `result`.
    fn classify(&self, result: Result<&T, &E>) -> Outcome;
}

#[diagnostic::do_not_recommend]
impl<F, T, E> Classify<T, E> for F
where
    F: Fn(Result<&T, &E>) -> Outcome,
{
    fn classify(&self, result: Result<&T, &E>) -> Outcome {
        self(result)
    }
}

/// `Ok` is a success, `Err` a failure: right where every error means that nothing was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrIsFailure;

impl<T, E> Classify<T, E> for ErrIsFailure {
    fn classify(&self, result: Result<&T, &E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure,
        }
    }
}
