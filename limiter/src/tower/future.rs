use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use mainstay_core::OnReject;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Acquire, LimitError, run::Inside};

pin_project! {
    /// Future of [`Limited`](super::Limited).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, then gives its slot or its place in the queue back.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Req, R>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, S::Future, Req, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, Req, R> {
        // => Calling | Done
        // Boxed, as is the refusal: only who waits or is refused pays for the room it takes.
        Waiting { acquire: Box<Acquire>, service: S, request: Option<Req>, reject: R },
        // The call is dropped before its slot is given back: fields drop in order.
        Calling { #[pin] future: F, inside: Inside },
        Refused { error: Option<Box<LimitError>>, reject: R },
        Done,
    }
}

impl<S, Req, R> ResponseFuture<S, Req, R>
where
    S: Service<Req>,
{
    #[inline]
    pub(super) fn calling(future: S::Future, inside: Inside) -> Self {
        Self { state: State::Calling { future, inside } }
    }

    pub(super) fn refused(error: LimitError, reject: R) -> Self {
        Self { state: State::Refused { error: Some(Box::new(error)), reject } }
    }

    pub(super) fn waiting(acquire: Acquire, service: S, request: Req, reject: R) -> Self {
        Self {
            state: State::Waiting {
                acquire: Box::new(acquire),
                service,
                request: Some(request),
                reject,
            },
        }
    }
}

impl<S, Req, R> Future for ResponseFuture<S, Req, R>
where
    S: Service<Req>,
    R: OnReject<LimitError, S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Waiting { acquire, service, request, reject } => {
                    match (ready!(Pin::new(acquire).poll(cx)), request.take()) {
                        (Ok(permit), Some(request)) => {
                            let inside = Inside::new(permit);
                            let future = inside.enter(|| service.call(request));
                            State::Calling { future, inside }
                        }
                        (Ok(_), None) => State::Done,
                        (Err(error), _) => {
                            let output = reject.on_reject(error);
                            state.set(State::Done);
                            return Poll::Ready(output);
                        }
                    }
                }
                StateProj::Calling { future, inside } => {
                    let output = ready!(inside.poll(future, cx));
                    state.set(State::Done);
                    return Poll::Ready(output);
                }
                StateProj::Refused { error, reject } => match error.take() {
                    Some(error) => return Poll::Ready(reject.on_reject(*error)),
                    None => State::Done,
                },
                // Polled after it was done, which a future may answer as it likes.
                StateProj::Done => return Poll::Pending,
            };
            state.set(next);
        }
    }
}

impl<S, Req, R> fmt::Debug for ResponseFuture<S, Req, R>
where
    S: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Waiting { .. } => "waiting",
            State::Calling { .. } => "calling",
            State::Refused { .. } => "refused",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
