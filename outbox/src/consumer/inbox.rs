//! Every message once per consumer.

use std::{fmt, ops::ControlFlow, sync::Arc};

use mainstay_core::{IntoError, OnReject};

use super::{Delivery, HandlerError, Incoming};
use crate::{
    Envelope, Event, MessageId, Outbox, OutboxError, Tx,
    dialect::Dialect,
    error::During,
    gate::OpenTx,
    tx::{Opening, Plan, Run, Start, Step},
};
use sqlx::Database;

/// The memory of one consumer: which messages it has done.
///
/// The row that says "done" commits in the transaction in which the handler writes, so a message has its
/// effect once however often it is delivered.
///
/// A delivery that may not be the first is counted, and the count committed, before the handler runs. A message
/// whose deliveries are begun and never come to an end, as when the handler kills its process, is
/// refused as final once they exceed [`OutboxConfig::max_deliveries`](crate::OutboxConfig::max_deliveries).
///
/// # Cost
///
/// One transaction for a first delivery; one more for a delivery that may not be the first. A duplicate
/// costs the latter alone.
pub struct Inbox<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
    consumer: Arc<str>,
}

/// What an inbox did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled<T = ()> {
    /// The handler ran and its transaction committed.
    Done(T),
    /// The consumer had done this message before; the handler did not run.
    Duplicate,
}

impl<DB: Dialect> Inbox<DB> {
    /// The inbox of `consumer`. The name is stored with every message: keep it.
    pub fn new(outbox: &Outbox<DB>, consumer: impl Into<Arc<str>>) -> Self {
        Self { outbox: outbox.clone(), consumer: consumer.into() }
    }

    /// The consumer's name.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Runs `handler` unless this consumer has done the message.
    ///
    /// # Errors
    ///
    /// The handler's, after which nothing of it is stored; by `From` those of the inbox.
    ///
    /// # Cancel safety
    ///
    /// See [`Run`].
    pub fn handle<H, F, T, E>(
        &self,
        incoming: &Incoming,
        handler: H,
    ) -> Run<DB, WithDelivery<H>, InboxPlan<DB, IntoError>>
    where
        H: FnOnce(Delivery<DB>) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<OutboxError>,
    {
        let body = WithDelivery { envelope: incoming.envelope.clone(), handler };
        self.run(incoming, IntoError, body)
    }

    pub(crate) fn run<B: Start<DB>, R>(
        &self,
        incoming: &Incoming,
        reject: R,
        body: B,
    ) -> Run<DB, B, InboxPlan<DB, R>> {
        let plan = InboxPlan {
            inbox: self.clone(),
            id: incoming.id(),
            counted: incoming.redelivered,
            reject,
        };
        let open = open(self.clone(), incoming.id(), incoming.redelivered);
        Run::new(self.outbox.clone(), plan, open, body)
    }

    /// Counts a delivery in a commit of its own; `true` if the message is done.
    async fn count(&self, id: MessageId) -> Result<bool, OutboxError> {
        let now = self.outbox.now();
        let mut open = self.outbox.begin().await?;
        let counted = DB::inbox_count(open.conn(), &self.consumer, id, now).await;
        let (deliveries, done) = counted.during("count a delivery")?;
        open.commit().await?;
        let most = self.outbox.config().max_deliveries;
        if !done && deliveries > most {
            return Err(OutboxError::TooManyDeliveries { id, deliveries });
        }
        Ok(done)
    }

    async fn enter(&self, id: MessageId) -> Result<Opening<DB>, OutboxError> {
        let now = self.outbox.now();
        let mut open = self.outbox.begin().await?;
        let entered = DB::inbox_enter(open.conn(), &self.consumer, id, now).await;
        if entered.during("mark a message as done")? {
            return Ok(Opening::Proceed(open));
        }
        open.roll_back().await;
        Ok(Opening::Done)
    }

    /// The handler came to an end, so what was counted was no crash.
    async fn uncount(&self, id: MessageId) -> Result<(), OutboxError> {
        let mut open = self.outbox.begin().await?;
        let done = DB::inbox_uncount(open.conn(), &self.consumer, id).await;
        done.during("take a counted delivery back")?;
        open.commit().await
    }
}

async fn open<DB: Dialect>(
    inbox: Inbox<DB>,
    id: MessageId,
    count: bool,
) -> Result<Opening<DB>, OutboxError> {
    let found =
        if count && inbox.count(id).await? { Opening::Done } else { inbox.enter(id).await? };
    if matches!(found, Opening::Done) {
        inbox.outbox.event(&Event::DuplicateAbsorbed { id });
    }
    Ok(found)
}

impl<DB: Database> Clone for Inbox<DB> {
    fn clone(&self) -> Self {
        Self { outbox: self.outbox.clone(), consumer: self.consumer.clone() }
    }
}

impl<DB: Database> fmt::Debug for Inbox<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

/// A handler and the message it will get. Names the type of [`Inbox::handle`]'s future.
pub struct WithDelivery<H> {
    envelope: Arc<Envelope>,
    handler: H,
}

impl<DB, H, F> Start<DB> for WithDelivery<H>
where
    DB: Dialect,
    H: FnOnce(Delivery<DB>) -> F,
    F: Future,
{
    type Future = F;

    fn start(self, tx: Tx<DB>) -> F {
        (self.handler)(Delivery::new(self.envelope, tx))
    }
}

impl<H> fmt::Debug for WithDelivery<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithDelivery").field("message", &self.envelope).finish_non_exhaustive()
    }
}

/// Commits inbox row and effect together. Names the type of [`Inbox::handle`]'s future.
pub struct InboxPlan<DB: Dialect, R> {
    inbox: Inbox<DB>,
    id: MessageId,
    counted: bool,
    reject: R,
}

impl<DB, R, T, E> Plan<DB, Result<T, E>> for InboxPlan<DB, R>
where
    DB: Dialect,
    R: OnReject<OutboxError, Handled<T>, E>,
{
    type Output = Result<Handled<T>, E>;

    fn opened(
        &mut self,
        opening: Result<Opening<DB>, OutboxError>,
    ) -> ControlFlow<Self::Output, OpenTx<DB>> {
        match opening {
            Ok(Opening::Proceed(open)) => ControlFlow::Continue(open),
            Ok(Opening::Done) => ControlFlow::Break(Ok(Handled::Duplicate)),
            Ok(Opening::Claimed(..) | Opening::Stored(_)) => {
                unreachable!("an inbox stores no results")
            }
            Err(error) => ControlFlow::Break(self.reject.on_reject(error)),
        }
    }

    fn close(&mut self, open: OpenTx<DB>, out: &Result<T, E>) -> Step<Result<(), OutboxError>> {
        let (inbox, id, counted, commit) = (self.inbox.clone(), self.id, self.counted, out.is_ok());
        Box::pin(async move {
            if commit {
                open.commit().await?;
                inbox.outbox.wake();
                return Ok(());
            }
            open.roll_back().await;
            if counted { inbox.uncount(id).await } else { Ok(()) }
        })
    }

    fn finish(
        &mut self,
        closed: Result<(), OutboxError>,
        out: Result<T, E>,
    ) -> Result<Handled<T>, E> {
        match (closed, out) {
            (_, Err(error)) => Err(error),
            (Ok(()), Ok(value)) => Ok(Handled::Done(value)),
            (Err(error), Ok(_)) => self.reject.on_reject(error),
        }
    }
}

impl<DB: Dialect, R> fmt::Debug for InboxPlan<DB, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxPlan").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A handler's panic, as far as it can be told.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}

/// A panic is an attempt like any other failure.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> HandlerError {
    HandlerError::retryable(panic_text(panic))
}
