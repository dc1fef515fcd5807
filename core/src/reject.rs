//! What a refused call returns.

use std::fmt;

/// Decides what a call returns that was refused with a rejection of type `R`.
///
/// [`IntoError`] uses `From`; [`With`] asks a closure.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot turn a `{R}` into this call's result",
    label = "the call's error type is not `From<{R}>`",
    note = "implement `From<{R}>` for the error type, or say what a refused call returns with `on_reject`"
)]
pub trait OnReject<R, T, E> {
    /// Makes the result of a refused call.
    ///
    /// # Errors
    ///
    /// Whatever the caller of the refused call should see.
    fn on_reject(&self, rejection: R) -> Result<T, E>;
}

/// Returns rejections as errors, through `From`.
#[derive(Clone, Copy, Debug, Default)]
pub struct IntoError;

#[diagnostic::do_not_recommend]
impl<R, T, E: From<R>> OnReject<R, T, E> for IntoError {
    fn on_reject(&self, rejection: R) -> Result<T, E> {
        Err(rejection.into())
    }
}

/// Returns what a closure makes of the rejection.
#[derive(Clone, Copy)]
pub struct With<F>(pub F);

impl<R, T, E, F> OnReject<R, T, E> for With<F>
where
    F: Fn(R) -> Result<T, E>,
{
    fn on_reject(&self, rejection: R) -> Result<T, E> {
        (self.0)(rejection)
    }
}

impl<F> fmt::Debug for With<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("With(..)")
    }
}
