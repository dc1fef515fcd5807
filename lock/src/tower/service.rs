//! The service.

use std::{
    fmt, mem,
    task::{Context, Poll},
};

use mainstay_core::{IntoKey, OnReject};
use tower_service::Service;

use super::{LockLayer, ResponseFuture, call::Call};
use crate::error::LockError;

/// Service made by [`LockLayer`].
#[derive(Clone)]
pub struct Locked<S, K, R> {
    pub(super) inner: S,
    pub(super) layer: LockLayer<K, R>,
}

impl<S, K, R> Locked<S, K, R> {
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

impl<S, K, R, Req, I> Service<Req> for Locked<S, K, R>
where
    S: Service<Req> + Clone,
    K: Fn(&Req) -> I,
    I: IntoKey,
    R: OnReject<LockError, S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Req, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let mut lock = self.layer.locks.lock((self.layer.key)(&request));
        if let Some(wait) = self.layer.wait {
            lock = lock.wait(wait);
        }
        if let Some(lease) = self.layer.lease {
            lock = lock.lease(lease);
        }
        // The one that was asked for readiness makes the call, however long it waits for its lock.
        let fresh = self.inner.clone();
        let readied = mem::replace(&mut self.inner, fresh);
        ResponseFuture::new(lock, self.layer.reject.clone(), Call::new(readied, request))
    }
}

impl<S: fmt::Debug, K, R> fmt::Debug for Locked<S, K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").field("inner", &self.inner).finish_non_exhaustive()
    }
}
