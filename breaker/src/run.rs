//! Running the work of a call.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mainstay_core::{Classify, KeyError, OnReject};
use pin_project_lite::pin_project;

use crate::{Breaker, BreakerError, CallPermit, call::Marks, permit::Admitted};

pin_project! {
    /// Future of [`CallRequest::run`]: the work, stored once, behind a breaker.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its first poll, nothing happened. Dropped later, the work is dropped and a trial
    /// permit is free again at once; the call counts as unknown if it ran as long as
    /// [`BreakerConfig::dropped`] says, else it says nothing. A panic of the work is a failure.
    ///
    /// [`CallRequest::run`]: crate::CallRequest::run
    /// [`BreakerConfig::dropped`]: crate::BreakerConfig::dropped
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<F, C, R> {
        #[pin]
        work: F,
        call: Asked,
        polled: bool,
        classify: C,
        reject: R,
        marks: Option<Arc<Marks>>,
    }
}

/// A call through a breaker, or through a key that is none.
pub(crate) enum Asked {
    Breaker(Admitted),
    // Boxed, because the likely case is small and this one is a mistake in the program.
    InvalidKey(Box<KeyError>),
}

impl Asked {
    #[inline]
    fn ask(&mut self) -> Result<(), BreakerError> {
        match self {
            Self::Breaker(admitted) => admitted.ask(),
            Self::InvalidKey(error) => Err((**error).clone().into()),
        }
    }

    pub(crate) fn into_permit(mut self) -> Result<CallPermit, BreakerError> {
        self.ask()?;
        match self {
            Self::Breaker(admitted) => Ok(CallPermit::new(admitted)),
            Self::InvalidKey(error) => Err((*error).into()),
        }
    }

    pub(crate) fn breaker(&self) -> Option<&Breaker> {
        match self {
            Self::Breaker(admitted) => Some(admitted.breaker()),
            Self::InvalidKey(_) => None,
        }
    }
}

impl From<Result<Breaker, KeyError>> for Asked {
    fn from(found: Result<Breaker, KeyError>) -> Self {
        match found {
            Ok(breaker) => Self::Breaker(Admitted::new(breaker)),
            Err(error) => Self::InvalidKey(Box::new(error)),
        }
    }
}

impl<F, C, R> Run<F, C, R> {
    #[inline]
    pub(crate) fn new(
        call: Asked,
        classify: C,
        marks: Option<Arc<Marks>>,
        reject: R,
        work: F,
    ) -> Self {
        Self { work, call, polled: false, classify, reject, marks }
    }
}

impl<F, C, R, T, E> Future for Run<F, C, R>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    R: OnReject<BreakerError, T, E>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if !*this.polled {
            *this.polled = true;
            if let Err(refusal) = this.call.ask() {
                return Poll::Ready(this.reject.on_reject(refusal));
            }
        }
        let Asked::Breaker(admitted) = this.call else {
            unreachable!("a key that is none was refused")
        };
        let marks = this.marks.as_deref();
        if let Some(marks) = marks {
            marks.set_trial(admitted.is_trial());
        }
        let result = ready!(admitted.during(|| this.work.poll(cx)));
        judge(admitted, this.classify, marks, &result);
        Poll::Ready(result)
    }
}

/// Takes note of how the work went. A classifier that panics leaves a dropped call behind.
pub(crate) fn judge<T, E>(
    admitted: &mut Admitted,
    classify: &impl Classify<T, E>,
    marks: Option<&Marks>,
    result: &Result<T, E>,
) {
    let marked = marks.and_then(Marks::outcome);
    let outcome = marked.unwrap_or_else(|| classify.classify(result.as_ref()));
    admitted.end(outcome, marks.and_then(Marks::hint));
}

impl<F, C, R> fmt::Debug for Run<F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
