//! Running work under a lock: acquire, work, release.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use mainstay_core::OnReject;
use pin_project_lite::pin_project;

use crate::{acquire::Acquire, error::LockError, guard::LockGuard, held::Watch, release::Release};

pin_project! {
    /// Future of [`LockRequest::run`](crate::LockRequest::run).
    ///
    /// The work is stored once, in place. It starts when the lock is there, and the output is returned
    /// when the lock is given back.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it leaves the queue. Dropped while it works, it drops the work, then releases in the
    /// background. Dropped while it releases, the release goes ahead and the output is lost.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<F: Future, R> {
        // Before the stage: the work is dropped before the guard is.
        #[pin]
        work: Option<F>,
        stage: Stage<F::Output>,
        reject: R,
    }
}

enum Stage<O> {
    Acquire(Acquire),
    Work(LockGuard, Watch),
    Release(Release, Option<O>),
    Done,
}

impl<F: Future, R> Run<F, R> {
    pub(crate) fn new(acquire: Acquire, reject: R, work: F) -> Self {
        Self { work: Some(work), stage: Stage::Acquire(acquire), reject }
    }
}

impl<F, R, T, E> Future for Run<F, R>
where
    F: Future<Output = Result<T, E>>,
    R: OnReject<LockError, T, E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let refused = match this.stage {
                // Acquire => (Work or Done)
                Stage::Acquire(acquire) => match ready!(Pin::new(acquire).poll(cx)) {
                    Ok(guard) => {
                        let watch = Watch::new(guard.hold().clone());
                        *this.stage = Stage::Work(guard, watch);
                        continue;
                    }
                    Err(error) => error,
                },
                // Work => (Release or Done)
                Stage::Work(guard, watch) => {
                    match ready!(watch.poll_work(this.work.as_mut(), cx)) {
                        Ok(output) => {
                            let release = guard.release();
                            *this.stage = Stage::Release(release, Some(output));
                            continue;
                        }
                        Err(lost) => lost.into(),
                    }
                }
                // Release => Done. The work is done, whatever became of the lock meanwhile.
                Stage::Release(release, output) => {
                    ready!(Pin::new(release).poll(cx));
                    if let Some(output) = output.take() {
                        *this.stage = Stage::Done;
                        return Poll::Ready(output);
                    }
                    return Poll::Pending;
                }
                Stage::Done => return Poll::Pending,
            };
            this.work.set(None);
            *this.stage = Stage::Done;
            return Poll::Ready(this.reject.on_reject(refused));
        }
    }
}

impl<F: Future, R> fmt::Debug for Run<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
