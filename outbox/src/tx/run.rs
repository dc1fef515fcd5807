//! Runs a body between opening and closing a transaction.

use std::{
    fmt,
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mainstay_core::transaction::{Inside, inside};
use pin_project_lite::pin_project;

use super::{Slot, Tx};
use crate::{ClaimToken, Outbox, OutboxError, dialect::Dialect, gate::OpenTx};

/// A step that talks to the database.
pub(crate) type Step<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What opening a transaction found.
#[derive(Debug)]
#[expect(unnameable_types, reason = "sealed: part of `Plan`")]
pub enum Opening<DB: Dialect> {
    /// The body may run in it.
    Proceed(OpenTx<DB>),
    /// The body may run in it, and its result is stored under a key.
    Claimed(OpenTx<DB>, Box<ClaimToken<DB>>),
    /// A result was stored before: the body does not run.
    Stored(Vec<u8>),
    /// This was done before and left no result: the body does not run.
    Done,
}

/// How a helper opens and closes, and what it makes of the body's output.
#[expect(unnameable_types, reason = "sealed: the helpers of this crate are its only users")]
pub trait Plan<DB: Dialect, Out> {
    /// What the whole call returns.
    type Output;

    /// Decides whether the body runs.
    fn opened(
        &mut self,
        opening: Result<Opening<DB>, OutboxError>,
    ) -> ControlFlow<Self::Output, OpenTx<DB>>;

    /// Closes the transaction after the body.
    fn close(&mut self, open: OpenTx<DB>, out: &Out) -> Step<Result<(), OutboxError>>;

    /// The call's result.
    fn finish(&mut self, closed: Result<(), OutboxError>, out: Out) -> Self::Output;
}

/// A body that is started with a transaction.
#[expect(unnameable_types, reason = "sealed: closures, and services behind the inbox layer")]
pub trait Start<DB: Dialect> {
    /// The work.
    type Future: Future;

    /// Begins the work.
    fn start(self, tx: Tx<DB>) -> Self::Future;
}

impl<DB: Dialect, B, F> Start<DB> for B
where
    B: FnOnce(Tx<DB>) -> F,
    F: Future,
{
    type Future = F;

    fn start(self, tx: Tx<DB>) -> F {
        self(tx)
    }
}

pin_project! {
    /// Future of a body that runs inside a transaction: of [`TxRequest::run`](crate::TxRequest::run),
    /// [`IdempotentRequest::run`](crate::IdempotentRequest::run) and [`Inbox::handle`](crate::Inbox::handle).
    ///
    /// It stores the body once, in place; the steps that talk to the database are boxed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the commit was sent, everything is rolled back. Dropped while the commit is under
    /// way, either all of it happened or nothing.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<DB: Dialect, B: Start<DB>, P> {
        outbox: Outbox<DB>,
        plan: P,
        #[pin]
        stage: Stage<DB, B, B::Future, <B::Future as Future>::Output>,
    }
}

pin_project! {
    #[project = StageProj]
    #[project_replace = StageOwned]
    enum Stage<DB: Dialect, B, F, Out> {
        Open { step: Step<Result<Opening<DB>, OutboxError>>, body: Option<B> },
        Work { #[pin] work: Inside<F>, slot: Arc<Slot<OpenTx<DB>>> },
        Close { step: Step<Result<(), OutboxError>>, out: Option<Out> },
        Over,
    }
}

impl<DB: Dialect, B: Start<DB>, P> Run<DB, B, P> {
    pub(crate) fn new(
        outbox: Outbox<DB>,
        plan: P,
        open: impl Future<Output = Result<Opening<DB>, OutboxError>> + Send + 'static,
        body: B,
    ) -> Self {
        Self { outbox, plan, stage: Stage::Open { step: Box::pin(open), body: Some(body) } }
    }
}

impl<DB, B, P> Future for Run<DB, B, P>
where
    DB: Dialect,
    B: Start<DB>,
    P: Plan<DB, <B::Future as Future>::Output>,
{
    type Output = P::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<P::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProj::Open { step, body } => {
                    let opening = ready!(step.as_mut().poll(cx));
                    match this.plan.opened(opening) {
                        ControlFlow::Continue(open) => {
                            let (tx, slot) = Tx::new(this.outbox.clone(), open);
                            let body = body.take().expect("started once");
                            let work = inside(body.start(tx));
                            this.stage.set(Stage::Work { work, slot });
                        }
                        ControlFlow::Break(output) => {
                            this.stage.set(Stage::Over);
                            return Poll::Ready(output);
                        }
                    }
                }
                StageProj::Work { work, slot } => {
                    let out = ready!(work.poll(cx));
                    let slot = slot.clone();
                    // What the body kept alive goes first: the transaction may be among it.
                    this.stage.set(Stage::Over);
                    let step = match slot.take() {
                        Some(open) => this.plan.close(open, &out),
                        None => Box::pin(async { Err(OutboxError::TxEscaped) }),
                    };
                    this.stage.set(Stage::Close { step, out: Some(out) });
                }
                StageProj::Close { step, out } => {
                    let closed = ready!(step.as_mut().poll(cx));
                    let out = out.take().expect("closed once");
                    this.stage.set(Stage::Over);
                    return Poll::Ready(this.plan.finish(closed, out));
                }
                StageProj::Over => panic!("`Run` polled after completion"),
            }
        }
    }
}

impl<DB: Dialect, B: Start<DB>, P> fmt::Debug for Run<DB, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
