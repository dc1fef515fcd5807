//! Asking for a call.

use std::{
    fmt,
    future::{IntoFuture, Ready, ready},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use mainstay_core::{Classify, ErrIsFailure, IntoError, OnReject, Outcome};

use crate::{Breaker, BreakerError, CallPermit, Reason, Run, recovery::millis, run::Asked};

/// A call to be made; nothing happens before it is run or awaited.
///
/// Awaited, it gives a [`CallPermit`].
#[must_use = "a request does nothing until it is run or awaited"]
pub struct CallRequest<C = ErrIsFailure> {
    call: Asked,
    classify: C,
    marks: OnceLock<Arc<Marks>>,
}

impl CallRequest {
    #[inline]
    pub(crate) fn new(call: Asked) -> Self {
        Self { call, classify: ErrIsFailure, marks: OnceLock::new() }
    }
}

impl<C> CallRequest<C> {
    /// Judges results with `classify`. Default: [`ErrIsFailure`].
    ///
    /// Time-outs that may hide a success are best called [`Outcome::Unknown`], refusals of the
    /// caller's own making [`Outcome::Ignored`].
    pub fn classify<D>(self, classify: D) -> CallRequest<D> {
        CallRequest { call: self.call, classify, marks: self.marks }
    }

    /// A handle for the body of the work: it can overrule the classifier and pass on a `Retry-After`.
    ///
    /// # Cost
    ///
    /// The first handle of a request allocates.
    pub fn handle(&self) -> CallHandle {
        let marks = self.marks.get_or_init(Arc::default).clone();
        CallHandle { marks, breaker: self.call.breaker().map(Breaker::share) }
    }

    /// Runs `work` if the breaker lets it, and takes note of how it went.
    ///
    /// The breaker is asked when the future is first polled.
    #[inline]
    pub fn run<F, T, E>(self, work: F) -> Run<F, C, IntoError>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        IntoError: OnReject<BreakerError, T, E>,
    {
        self.run_or(IntoError, work)
    }

    /// As [`run`](Self::run); a refused call returns what `reject` makes of the refusal.
    #[inline]
    pub fn run_or<F, T, E, R>(self, reject: R, work: F) -> Run<F, C, R>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        R: OnReject<BreakerError, T, E>,
    {
        Run::new(self.call, self.classify, self.marks.into_inner(), reject, work)
    }
}

impl<C> IntoFuture for CallRequest<C> {
    type Output = Result<CallPermit, BreakerError>;
    type IntoFuture = Ready<Self::Output>;

    /// Asks the breaker at once.
    fn into_future(self) -> Self::IntoFuture {
        ready(self.call.into_permit())
    }
}

impl<C> fmt::Debug for CallRequest<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRequest").field("breaker", &self.call.breaker()).finish_non_exhaustive()
    }
}

/// Lets the body of a call say more about it than its result does.
#[derive(Clone)]
pub struct CallHandle {
    marks: Arc<Marks>,
    breaker: Option<Breaker>,
}

impl CallHandle {
    /// Overrules the classifier; the last word counts.
    pub fn mark(&self, outcome: Outcome) {
        self.marks.outcome.store(code(outcome), Ordering::Relaxed);
    }

    /// The other side asked not to be called for `wait` (`Retry-After`): if the breaker opens on this
    /// call, it stays open at least so long, within the configured limit.
    pub fn retry_after(&self, wait: Duration) {
        self.marks.hint.store(millis(wait).max(1), Ordering::Relaxed);
    }

    /// Whether this is a trial call.
    pub fn is_trial(&self) -> bool {
        self.marks.trial.load(Ordering::Relaxed)
    }

    /// Why the breaker is not closed, if it is not: what a trial call is up against.
    pub fn open_reason(&self) -> Option<Reason> {
        self.breaker.as_ref().and_then(|breaker| breaker.snapshot().reason)
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle").field("is_trial", &self.is_trial()).finish_non_exhaustive()
    }
}

/// What the body of a call said.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    outcome: AtomicU8,
    /// Milliseconds; zero is nothing.
    hint: AtomicU64,
    trial: AtomicBool,
}

impl Marks {
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        Some(match self.outcome.load(Ordering::Relaxed) {
            1 => Outcome::Success,
            2 => Outcome::Failure,
            3 => Outcome::Unknown,
            4 => Outcome::Ignored,
            _ => return None,
        })
    }

    pub(crate) fn hint(&self) -> Option<Duration> {
        let hint = self.hint.load(Ordering::Relaxed);
        (hint != 0).then(|| Duration::from_millis(hint))
    }

    pub(crate) fn set_trial(&self, trial: bool) {
        self.trial.store(trial, Ordering::Relaxed);
    }
}

fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Success => 1,
        Outcome::Failure => 2,
        Outcome::Unknown => 3,
        Outcome::Ignored => 4,
    }
}
