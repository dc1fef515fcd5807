//! A call that was let out.

use std::{fmt, time::Duration};

use mainstay_core::{Classify, Outcome};

use crate::{Breaker, BreakerError, inner::Ticket};

/// A call that is to be made, is on its way, or has ended. Stored once: a call costs no moves.
///
/// Dropped on its way, its future was dropped.
pub(crate) struct Admitted {
    breaker: Breaker,
    /// There is one while the call is on its way.
    ticket: Option<Ticket>,
}

impl Admitted {
    /// A call that has not been asked for.
    #[inline]
    pub(crate) fn new(breaker: Breaker) -> Self {
        Self { breaker, ticket: None }
    }

    #[inline]
    pub(crate) fn with_ticket(breaker: Breaker, ticket: Ticket) -> Self {
        Self { breaker, ticket: Some(ticket) }
    }

    /// Asks for the call.
    #[inline]
    pub(crate) fn ask(&mut self) -> Result<(), BreakerError> {
        self.ticket = Some(self.breaker.inner().admit()?);
        Ok(())
    }

    #[inline]
    pub(crate) fn end(&mut self, outcome: Outcome, hint: Option<Duration>) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.inner().finish(ticket, outcome, hint);
        }
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    pub(crate) fn is_on_its_way(&self) -> bool {
        self.ticket.is_some()
    }

    pub(crate) fn is_trial(&self) -> bool {
        self.ticket.is_some_and(|ticket| ticket.trial() != 0)
    }

    /// Runs code of the call; if it panics, the call has failed.
    ///
    /// A future that panicked is often dropped long after the panic, so its drop says nothing about it.
    #[inline]
    pub(crate) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        struct FailedUnlessDisarmed<'a>(Option<&'a mut Admitted>);

        impl Drop for FailedUnlessDisarmed<'_> {
            fn drop(&mut self) {
                if let Some(admitted) = self.0.take() {
                    admitted.end(Outcome::Failure, None);
                }
            }
        }

        let mut panic = FailedUnlessDisarmed(Some(self));
        let output = work();
        panic.0 = None;
        output
    }
}

impl Drop for Admitted {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.inner().dropped(ticket);
        }
    }
}

/// Leave for one call, from [`Breaker::try_admit`]: tell it how the call went.
///
/// # Cancel safety
///
/// Dropped while a panic unwinds, it counts as a failure. Dropped otherwise, it is a call whose caller
/// lost interest: unknown if it ran as long as [`BreakerConfig::dropped`] says, else nothing. A trial
/// permit is free again at once.
///
/// # Examples
///
/// ```
/// use mainstay_breaker::{Breaker, Outcome};
///
/// let bank = Breaker::new("bank");
/// let permit = bank.try_admit()?;
/// // .. call the bank ..
/// permit.finish(Outcome::Success);
/// # Ok::<(), mainstay_breaker::BreakerError>(())
/// ```
///
/// [`BreakerConfig::dropped`]: crate::BreakerConfig::dropped
#[must_use = "dropping a permit counts as a call that was cut off"]
pub struct CallPermit {
    admitted: Admitted,
    hint: Option<Duration>,
    unwinding: bool,
}

impl CallPermit {
    #[inline]
    pub(crate) fn new(admitted: Admitted) -> Self {
        Self { admitted, hint: None, unwinding: std::thread::panicking() }
    }

    /// The other side asked not to be called for `wait` (`Retry-After`): if the breaker opens on this
    /// call, it stays open at least so long, within the configured limit.
    pub fn retry_after(&mut self, wait: Duration) {
        self.hint = Some(wait);
    }

    /// Whether this is a trial call.
    pub fn is_trial(&self) -> bool {
        self.admitted.is_trial()
    }

    /// Ends the call.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        self.admitted.end(outcome, self.hint);
    }

    /// Ends the call with the outcome that `classify` finds in `result`, and returns the result.
    ///
    /// # Errors
    ///
    /// The error in `result`.
    pub fn finish_with<T, E>(
        self,
        result: Result<T, E>,
        classify: &impl Classify<T, E>,
    ) -> Result<T, E> {
        self.finish(classify.classify(result.as_ref()));
        result
    }
}

impl Drop for CallPermit {
    #[inline]
    fn drop(&mut self) {
        // A permit taken in a destructor that runs while a panic unwinds has nothing to do with it.
        if self.admitted.is_on_its_way() && !self.unwinding && std::thread::panicking() {
            self.admitted.end(Outcome::Failure, None);
        }
    }
}

impl fmt::Debug for CallPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallPermit").field("is_trial", &self.is_trial()).finish_non_exhaustive()
    }
}
