//! Begin, fence, body, commit, release.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use mainstay_core::{
    OnReject,
    transaction::{self, Inside},
};
use pin_project_lite::pin_project;
use sqlx::{Database, Pool, Transaction};

use super::{
    FenceDatabase, Tx,
    begin::Begin,
    check::{Doing, check, commit_failed, unsealed, usable},
    slot::Slot,
};
use crate::{
    fence::Fence, fenced::FenceError, guard::LockGuard, held::Watch, lost::Lost, manager::Manager,
    mode::Mode, watch::LostSignal,
};

/// A step that talks to the database.
type Step<T> = Pin<Box<dyn Future<Output = Result<T, FenceError>> + Send>>;

pin_project! {
    /// Future of [`LockGuard::transaction`](crate::LockGuard::transaction).
    ///
    /// It stores the body once, in place; the steps that talk to the database are boxed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the body has ended, everything is rolled back and the lock released; one that was about to begin is
    /// begun to its end for that, in the background. Dropped later, the commit or
    /// rollback goes on to its end in the background, and then the lock is released.
    #[must_use = "nothing happens unless this is awaited, and then the lock is released"]
    pub struct FencedRun<DB: Database, B, F: Future, R> {
        // Before the guard: the transaction is dropped before the lock is released.
        #[pin]
        stage: Stage<DB, B, F, F::Output>,
        guard: Option<LockGuard>,
        manager: Arc<Manager>,
        pool: Pool<DB>,
        resource: Arc<str>,
        margin: Duration,
        reject: R,
    }

    impl<DB: Database, B, F: Future, R> PinnedDrop for FencedRun<DB, B, F, R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let StageProj::Close { step, .. } = this.stage.as_mut().project()
                && let Some(step) = step.take()
            {
                this.manager.spawner().detach(step);
            }
        }
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<DB: Database, B, F, O> {
        Start { body: Option<B> },
        Open { step: Step<Transaction<'static, DB>>, lost: LostSignal, body: Option<B> },
        Work { #[pin] work: Option<Inside<F>>, watch: Watch, slot: Arc<Slot<DB>> },
        Close { step: Option<Step<()>>, output: Option<O> },
        Over,
    }
}

impl<DB: FenceDatabase, B, F: Future, R> FencedRun<DB, B, F, R> {
    pub(super) fn new(guard: LockGuard, pool: Pool<DB>, reject: R, body: B) -> Self {
        Self {
            stage: Stage::Start { body: Some(body) },
            manager: guard.hold().manager().clone(),
            resource: guard.key().as_str().into(),
            margin: guard.hold().lease() / MARGIN,
            guard: Some(guard),
            pool,
            reject,
        }
    }

    /// Checks the fence for another resource than the lock's key: where one database is written under locks of several
    /// namespaces, or one lock stands for several names.
    pub fn resource(mut self, resource: impl Into<Arc<str>>) -> Self {
        self.resource = resource.into();
        self
    }

    /// How much of the lease has to be left for a commit; a tenth of the lease unless told.
    ///
    /// The fence keeps a late commit from doing harm. This keeps it from being sent.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }
}

impl<DB, B, F, R, T, E> Future for FencedRun<DB, B, F, R>
where
    DB: FenceDatabase,
    B: FnOnce(Tx<DB>) -> F,
    F: Future<Output = Result<T, E>>,
    R: OnReject<FenceError, T, E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let refused = loop {
            let Some(guard) = this.guard.as_ref() else {
                // Close => Over
                let StageProj::Close { step: Some(step), output } = this.stage.as_mut().project()
                else {
                    panic!("`FencedRun` polled after completion");
                };
                let closed = ready!(step.as_mut().poll(cx));
                let output = output.take().expect("closed once");
                this.stage.set(Stage::Over);
                return Poll::Ready(match (closed, output) {
                    // The body's own error says more than a rollback that failed.
                    (Ok(()) | Err(_), Err(error)) => Err(error),
                    (Ok(()), Ok(value)) => Ok(value),
                    (Err(error), Ok(_)) => this.reject.on_reject(error),
                });
            };
            match this.stage.as_mut().project() {
                // Start => (Open or Over)
                StageProj::Start { body } => {
                    if guard.hold().terms().mode == Mode::Shared {
                        break FenceError::Shared { key: guard.key().clone() };
                    }
                    let (body, lost) = (body.take(), guard.lost());
                    let begin = Begin::new(this.pool.clone(), this.manager.clone());
                    let open = open(begin, this.resource.clone(), guard.fence());
                    this.stage.set(Stage::Open { step: Box::pin(open), lost, body });
                }
                // Open => (Work or Over)
                StageProj::Open { step, lost, body } => {
                    if let Poll::Ready(reason) = lost.poll_lost(cx) {
                        break FenceError::Lost(guard.hold().lost_by(reason));
                    }
                    match ready!(step.as_mut().poll(cx)) {
                        Ok(open) => {
                            let (tx, slot) = Tx::new(open, guard.fence());
                            let body = body.take().expect("started once");
                            let watch = Watch::new(guard.hold().clone());
                            let work = watch.start(|| transaction::inside(body(tx)));
                            this.stage.set(Stage::Work { work: Some(work), watch, slot });
                        }
                        Err(error) => break error,
                    }
                }
                // Work => (Close or Over)
                StageProj::Work { work, watch, slot } => match ready!(watch.poll_work(work, cx)) {
                    Ok(output) => {
                        let tx = slot.take();
                        let guard = this.guard.take().expect("held until here");
                        let close =
                            Close { guard, resource: this.resource.clone(), margin: *this.margin };
                        let step: Step<()> = match tx {
                            Some(tx) if output.is_ok() => Box::pin(close.commit(tx)),
                            tx => Box::pin(close.roll_back(tx)),
                        };
                        this.stage.set(Stage::Close { step: Some(step), output: Some(output) });
                    }
                    Err(lost) => break FenceError::Lost(lost),
                },
                StageProj::Close { .. } | StageProj::Over => {
                    unreachable!("the guard goes when the body has ended")
                }
            }
        };
        // The transaction first, then the lock.
        this.stage.set(Stage::Over);
        drop(this.guard.take());
        Poll::Ready(this.reject.on_reject(refused))
    }
}

impl<DB: Database, B, F: Future, R> fmt::Debug for FencedRun<DB, B, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut run = f.debug_struct("FencedRun");
        run.field("resource", &self.resource).field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// Opens a transaction in which no earlier holder can be.
async fn open<DB: FenceDatabase>(
    begin: Begin<DB>,
    resource: Arc<str>,
    fence: Fence,
) -> Result<Transaction<'static, DB>, FenceError> {
    if transaction::is_open() {
        return Err(FenceError::Nested { resource: resource.to_string() });
    }
    usable(&resource, fence)?;
    let mut tx = begin.await.doing("begin a transaction", &resource)?;
    match check::<DB>(&mut tx, &resource, fence).await {
        Ok(()) => Ok(tx),
        Err(error) => {
            undo(tx).await;
            Err(error)
        }
    }
}

/// The end of a transaction. It owns all that it needs, so that it can go on by itself.
struct Close {
    guard: LockGuard,
    resource: Arc<str>,
    margin: Duration,
}

impl Close {
    async fn commit<DB: FenceDatabase>(
        self,
        tx: Transaction<'static, DB>,
    ) -> Result<(), FenceError> {
        let committed = self.try_commit(tx).await;
        // Whatever becomes of the release, the transaction is over.
        self.guard.release().await;
        committed
    }

    async fn try_commit<DB: FenceDatabase>(
        &self,
        mut tx: Transaction<'static, DB>,
    ) -> Result<(), FenceError> {
        if let Some(seal) = DB::SEAL
            && let Err(error) = DB::execute(&mut tx, seal.statement).await
        {
            undo(tx).await;
            return Err(unsealed(seal, error, &self.resource));
        }
        if let Err(error) = self.in_time() {
            undo(tx).await;
            return Err(error);
        }
        tx.commit().await.map_err(|error| commit_failed::<DB>(error, &self.resource))
    }

    fn in_time(&self) -> Result<(), FenceError> {
        let (guard, margin) = (&self.guard, self.margin);
        let (key, remaining) = (guard.key().clone(), guard.remaining());
        if !guard.is_held() {
            return Err(FenceError::Lost(Lost::new(key, guard.why_lost())));
        }
        if remaining < margin {
            return Err(FenceError::TooLate { key, remaining, margin });
        }
        Ok(())
    }

    async fn roll_back<DB: FenceDatabase>(
        self,
        tx: Option<Transaction<'static, DB>>,
    ) -> Result<(), FenceError> {
        let escaped = tx.is_none();
        if let Some(tx) = tx {
            undo(tx).await;
        }
        self.guard.release().await;
        if escaped {
            return Err(FenceError::TxEscaped { resource: self.resource.to_string() });
        }
        Ok(())
    }
}

/// Rolls back and waits for it, so that the next holder does not meet this one.
async fn undo<DB: Database>(tx: Transaction<'static, DB>) {
    // A rollback that fails leaves a connection that the pool throws away: undone all the same.
    let _ = tx.rollback().await;
}

/// The part of the lease that has to be left for a commit.
const MARGIN: u32 = 10;
