//! The future of a call.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use mainstay_core::OnReject;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{error::LockError, request::LockRequest, run::Run};

pin_project! {
    /// Future of [`Locked`](super::Locked): waits for the lock, calls the service, releases.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it leaves the queue and the service is not called; dropped during the call, it
    /// drops the call and then releases.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S: Service<Req>, Req, R> {
        #[pin]
        run: Run<Call<S, Req>, R>,
    }
}

impl<S: Service<Req>, Req, R> ResponseFuture<S, Req, R>
where
    R: OnReject<LockError, S::Response, S::Error>,
{
    pub(super) fn new(lock: LockRequest, reject: R, call: Call<S, Req>) -> Self {
        Self { run: Run::new(lock.into_future(), reject, call) }
    }
}

impl<S, Req, R> Future for ResponseFuture<S, Req, R>
where
    S: Service<Req>,
    R: OnReject<LockError, S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().run.poll(cx)
    }
}

impl<S: Service<Req>, Req, R> fmt::Debug for ResponseFuture<S, Req, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// A call that is made when it is first polled.
    pub(super) struct Call<S: Service<Req>, Req> {
        pending: Option<(S, Req)>,
        #[pin]
        response: Option<S::Future>,
    }
}

impl<S: Service<Req>, Req> Call<S, Req> {
    pub(super) fn new(service: S, request: Req) -> Self {
        Self { pending: Some((service, request)), response: None }
    }
}

impl<S: Service<Req>, Req> Future for Call<S, Req> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some((mut service, request)) = this.pending.take() {
            this.response.set(Some(service.call(request)));
        }
        match this.response.as_pin_mut() {
            Some(response) => response.poll(cx),
            None => Poll::Pending,
        }
    }
}
