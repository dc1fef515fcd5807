//! Running work inside a permit.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mainstay_core::OnReject;
use pin_project_lite::pin_project;

use crate::{acquire::Acquire, error::LimitError, permit::Permit, reentry::Node};

pin_project! {
    /// Future of [`PermitRequest::run`](crate::PermitRequest::run). The work is stored once, in place.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the call is in leaves the queue. Dropping it later drops the work first,
    /// then gives the slot back.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<F, R> {
        #[pin]
        work: F,
        stage: Stage,
        reject: R,
    }
}

enum Stage {
    Entering(Acquire),
    Working(Inside),
    Done,
}

impl<F, R> Run<F, R> {
    pub(crate) fn new(acquire: Acquire, reject: R, work: F) -> Self {
        Self { work, stage: Stage::Entering(acquire), reject }
    }
}

impl<F, R, T, E> Future for Run<F, R>
where
    F: Future<Output = Result<T, E>>,
    R: OnReject<LimitError, T, E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Stage::Entering(acquire) = this.stage {
            match ready!(Pin::new(acquire).poll(cx)) {
                Ok(permit) => *this.stage = Stage::Working(Inside::new(permit)),
                Err(error) => {
                    *this.stage = Stage::Done;
                    return Poll::Ready(this.reject.on_reject(error));
                }
            }
        }
        let Stage::Working(inside) = this.stage else {
            // Polled after it was done, which a future may answer as it likes.
            return Poll::Pending;
        };
        let output = ready!(inside.poll(this.work.as_mut(), cx));
        *this.stage = Stage::Done;
        Poll::Ready(output)
    }
}

impl<F, R> fmt::Debug for Run<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Entering(_) => "entering",
            Stage::Working(_) => "working",
            Stage::Done => "done",
        };
        f.debug_struct("Run").field("stage", &stage).finish_non_exhaustive()
    }
}

/// A permit around work that is polled.
pub(crate) struct Inside {
    /// The work's scope, if calls of this kind are reentrant.
    node: Option<Arc<Node>>,
    _permit: Permit,
}

impl Inside {
    /// For a permit of a limiter, whose calls are not reentrant, or of a slot the task has already.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn plain(permit: Permit) -> Self {
        Self { node: None, _permit: permit }
    }

    pub(crate) fn new(mut permit: Permit) -> Self {
        let reentrant = permit.scopes().core().roll.is_some() && !permit.is_reentrant();
        let node = reentrant.then(|| Node::nested(permit.share()));
        Self { node, _permit: permit }
    }

    #[inline]
    pub(crate) fn poll<F: Future>(
        &self,
        work: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.enter(|| work.poll(cx))
    }

    /// Runs a part of the work.
    #[inline]
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.node {
            Some(node) => node.enter(work),
            None => work(),
        }
    }
}
