//! Running work for as long as a lock is held.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{hold::Hold, lost::Lost, scope::Scope, watch::LostSignal};

pin_project! {
    /// Future of [`LockGuard::run`](crate::LockGuard::run): the work's output, or [`Lost`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the work; the guard still holds the lock.
    #[must_use = "futures do nothing unless polled"]
    pub struct WhileHeld<F> {
        #[pin]
        work: Option<F>,
        watch: Watch,
    }
}

impl<F> WhileHeld<F> {
    pub(crate) fn new(hold: Arc<Hold>, work: F) -> Self {
        Self { work: Some(work), watch: Watch::new(hold) }
    }
}

impl<F: Future> Future for WhileHeld<F> {
    type Output = Result<F::Output, Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.watch.poll_work(this.work, cx)
    }
}

impl<F> fmt::Debug for WhileHeld<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhileHeld").finish_non_exhaustive()
    }
}

/// Polls work inside a lock's scope until it is done or the lock is lost.
pub(crate) struct Watch {
    hold: Arc<Hold>,
    scope: Scope,
    lost: LostSignal,
}

impl Watch {
    pub(crate) fn new(hold: Arc<Hold>) -> Self {
        let lost = LostSignal::new(Some(hold.clone()));
        Self { scope: Scope::with(hold.clone()), hold, lost }
    }

    /// Makes the work inside the lock's scope.
    #[cfg(feature = "fence-sqlx")]
    pub(crate) fn start<R>(&self, make: impl FnOnce() -> R) -> R {
        self.scope.enter(make)
    }

    /// Drops the work where it stands if the lock is gone.
    pub(crate) fn poll_work<F: Future>(
        &mut self,
        mut work: Pin<&mut Option<F>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Lost>> {
        if let Poll::Ready(reason) = self.lost.poll_lost(cx) {
            self.scope.enter(|| work.set(None));
            return Poll::Ready(Err(self.hold.lost_by(reason)));
        }
        let Some(running) = work.as_mut().as_pin_mut() else { return Poll::Pending };
        let poll = self.scope.enter(|| running.poll(cx));
        if poll.is_ready() {
            work.set(None);
        }
        poll.map(Ok)
    }
}
