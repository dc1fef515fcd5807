//! The mark of an open transaction in the current task.
//!
//! A lock taken inside an open transaction is released after a snapshot that is older than the lock:
//! "lock, check, update" then checks yesterday's data. The transaction helpers set this mark and the
//! lock refuses while it is set. A task spawned inside does not inherit it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static OPEN: ();
}

/// Whether the current task is inside an open transaction of a mainstay helper.
pub fn is_open() -> bool {
    OPEN.try_with(|()| ()).is_ok()
}

/// Marks `future` as running inside an open transaction.
pub fn inside<F: Future>(future: F) -> Inside<F> {
    Inside { future: OPEN.scope((), future) }
}

pin_project! {
    /// Future of [`inside`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Inside<F> {
        #[pin]
        future: TaskLocalFuture<(), F>,
    }
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F> fmt::Debug for Inside<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").finish_non_exhaustive()
    }
}
