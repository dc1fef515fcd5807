//! The service.

use std::{
    fmt, mem,
    task::{Context, Poll, ready},
};

use mainstay_core::{Classify, OnReject};
use tower_service::Service;

use super::ResponseFuture;
use crate::{Breaker, BreakerError, permit::Admitted};

/// Service made by [`BreakerLayer`](crate::BreakerLayer).
pub struct BreakerService<S, C, R> {
    inner: S,
    breaker: Breaker,
    classify: C,
    reject: R,
    ready: bool,
}

impl<S, C, R> BreakerService<S, C, R> {
    pub(super) fn new(inner: S, breaker: Breaker, classify: C, reject: R) -> Self {
        Self { inner, breaker, classify, reject, ready: false }
    }

    /// The service behind the breaker.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind the breaker, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service without the breaker.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn admit(&mut self) -> Result<Admitted, BreakerError> {
        if mem::take(&mut self.ready) {
            self.breaker.admit()
        } else {
            // A breaker that closed since `poll_ready` still refuses: the inner service was not asked.
            Err(self.breaker.inner().refuse_late())
        }
    }
}

/// A clone has not been asked for readiness, so it must not inherit it.
impl<S: Clone, C: Clone, R: Clone> Clone for BreakerService<S, C, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            breaker: self.breaker.clone(),
            classify: self.classify.clone(),
            reject: self.reject.clone(),
            ready: false,
        }
    }
}

impl<S, C, R, Req> Service<Req> for BreakerService<S, C, R>
where
    S: Service<Req>,
    C: Classify<S::Response, S::Error> + Clone,
    R: OnReject<BreakerError, S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A breaker that refuses answers at once, whatever the inner service is doing.
        self.ready = false;
        if !self.breaker.inner().refuses() {
            ready!(self.inner.poll_ready(cx))?;
            self.ready = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        match self.admit() {
            Ok(mut admitted) => {
                let future = admitted.during(|| self.inner.call(req));
                ResponseFuture::called(future, admitted, self.classify.clone())
            }
            Err(refusal) => ResponseFuture::refused(refusal, self.reject.clone()),
        }
    }
}

impl<S: fmt::Debug, C, R> fmt::Debug for BreakerService<S, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService")
            .field("inner", &self.inner)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
