use std::{
    fmt, mem,
    task::{Context, Poll},
};

use mainstay_core::{IntoError, OnReject};
use tower_service::Service;

use super::{
    future::ResponseFuture,
    pick::{Pick, Terms},
};
use crate::{LimitError, Permit, ResolvedScopes, acquire, run::Inside};

/// Service made by [`LimitLayer`](super::LimitLayer).
#[derive(Clone)]
pub struct Limited<S, P, R = IntoError> {
    pub(super) inner: S,
    pub(super) pick: P,
    pub(super) reject: R,
    pub(super) terms: Terms,
}

impl<S, P, R> Limited<S, P, R> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the service out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, P, R: Clone> Limited<S, P, R> {
    fn enter<Req>(&mut self, permit: Permit, request: Req) -> ResponseFuture<S, Req, R>
    where
        S: Service<Req>,
    {
        let inside = Inside::new(permit);
        let future = inside.enter(|| self.inner.call(request));
        ResponseFuture::calling(future, inside)
    }

    /// Lets a call in that has more to do than to count, or makes it wait.
    #[inline(never)]
    fn ask<Req>(&mut self, scopes: ResolvedScopes, request: Req) -> ResponseFuture<S, Req, R>
    where
        S: Service<Req>,
    {
        let mut acquire = self.terms.request(scopes).into_future();
        match acquire.start() {
            Some(Ok(permit)) => self.enter(permit, request),
            Some(Err(error)) => ResponseFuture::refused(error, self.reject.clone()),
            None => {
                // The inner service answered ready, its clone did not: the one that did goes along.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(acquire, ready, request, self.reject.clone())
            }
        }
    }
}

impl<S, P, R, Req> Service<Req> for Limited<S, P, R>
where
    S: Service<Req> + Clone,
    P: Pick<Req>,
    R: OnReject<LimitError, S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Req, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let scopes = match self.pick.pick(&request) {
            Ok(scopes) => scopes,
            Err(error) => return ResponseFuture::refused(error, self.reject.clone()),
        };
        // Most calls find room. They need no request, and their future is made where it is stored.
        match acquire::try_fast(scopes, self.terms.weight()) {
            Ok(permit) => ResponseFuture::calling(self.inner.call(request), Inside::plain(permit)),
            Err(scopes) => self.ask(scopes, request),
        }
    }
}

impl<S: fmt::Debug, P: fmt::Debug, R> fmt::Debug for Limited<S, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited")
            .field("inner", &self.inner)
            .field("pick", &self.pick)
            .finish_non_exhaustive()
    }
}
