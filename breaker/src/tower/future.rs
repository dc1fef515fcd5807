//! The response future.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use mainstay_core::{Classify, OnReject};
use pin_project_lite::pin_project;

use crate::{BreakerError, permit::Admitted, run::judge};

pin_project! {
    /// Future of [`BreakerService`](crate::BreakerService).
    ///
    /// # Cancel safety
    ///
    /// As [`Run`](crate::Run); the breaker was asked when the service was called.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C, R> {
        #[pin]
        state: State<F, C, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, C, R> {
        Called { #[pin] future: F, admitted: Admitted, classify: C },
        Refused { refusal: Option<BreakerError>, reject: R },
    }
}

impl<F, C, R> ResponseFuture<F, C, R> {
    pub(super) fn called(future: F, admitted: Admitted, classify: C) -> Self {
        Self { state: State::Called { future, admitted, classify } }
    }

    pub(super) fn refused(refusal: BreakerError, reject: R) -> Self {
        Self { state: State::Refused { refusal: Some(refusal), reject } }
    }
}

impl<F, C, R, T, E> Future for ResponseFuture<F, C, R>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    R: OnReject<BreakerError, T, E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { future, admitted, classify } => {
                let result = ready!(admitted.during(|| future.poll(cx)));
                judge(admitted, classify, None, &result);
                Poll::Ready(result)
            }
            StateProj::Refused { refusal, reject } => {
                let refusal = refusal.take().expect("a future is not polled after it is done");
                Poll::Ready(reject.on_reject(refusal))
            }
        }
    }
}

impl<F, C, R> fmt::Debug for ResponseFuture<F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
