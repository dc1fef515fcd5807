//! The transaction helper.

use std::{fmt, ops::ControlFlow};

use mainstay_core::{IntoError, OnReject};

use super::{Opening, Plan, Run, Step, Tx};
use crate::{Outbox, OutboxError, dialect::Dialect, gate::OpenTx};
use sqlx::Database;

/// A transaction about to be opened, made by [`Outbox::transaction`].
#[must_use = "a transaction is opened by `run`"]
pub struct TxRequest<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
}

impl<DB: Dialect> TxRequest<DB> {
    pub(crate) fn new(outbox: Outbox<DB>) -> Self {
        Self { outbox }
    }

    /// Runs `body` in a transaction: commits if it returns `Ok`, rolls back if it returns `Err` or is
    /// dropped, and wakes the relays after the commit.
    ///
    /// The transaction is a writing one from its start, so it never fails half-way because another
    /// writer was faster. Writers of one process take turns, first come, first served.
    ///
    /// # Errors
    ///
    /// The body's own, and by `From`: [`OutboxError::Busy`], [`OutboxError::Nested`],
    /// [`OutboxError::Database`]; [`OutboxError::CommitUnknown`] if no answer came to the commit.
    ///
    /// # Cancel safety
    ///
    /// See [`Run`].
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "sqlite", doc = "```")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```text")]
    /// # use mainstay_outbox::{Message, Outbox, OutboxError};
    /// async fn pay(outbox: &Outbox) -> Result<(), OutboxError> {
    ///     let paid = Message::json("order.paid", &7)?;
    ///     outbox.transaction().run(|mut tx| async move {
    ///         // .. sqlx::query("UPDATE ..").execute(&mut *tx) ..
    ///         tx.enqueue(paid).await?;
    ///         Ok(())
    ///     }).await
    /// }
    /// ```
    pub fn run<B, F, T, E>(self, body: B) -> Run<DB, B, TxPlan<DB, IntoError>>
    where
        B: FnOnce(Tx<DB>) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<OutboxError>,
    {
        self.run_or(IntoError, body)
    }

    /// As [`run`](Self::run), with `reject` deciding what this crate's errors become.
    pub fn run_or<R, B, F, T, E>(self, reject: R, body: B) -> Run<DB, B, TxPlan<DB, R>>
    where
        R: OnReject<OutboxError, T, E>,
        B: FnOnce(Tx<DB>) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let outbox = self.outbox.clone();
        let open = async move { outbox.begin().await.map(Opening::Proceed) };
        Run::new(self.outbox.clone(), TxPlan { outbox: self.outbox, reject }, open, body)
    }
}

impl<DB: Database> fmt::Debug for TxRequest<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxRequest").finish_non_exhaustive()
    }
}

/// Commits on `Ok`. Names the type of [`TxRequest::run`]'s future.
pub struct TxPlan<DB: Dialect, R> {
    outbox: Outbox<DB>,
    reject: R,
}

impl<DB, R, T, E> Plan<DB, Result<T, E>> for TxPlan<DB, R>
where
    DB: Dialect,
    R: OnReject<OutboxError, T, E>,
{
    type Output = Result<T, E>;

    fn opened(
        &mut self,
        opening: Result<Opening<DB>, OutboxError>,
    ) -> ControlFlow<Self::Output, OpenTx<DB>> {
        match opening {
            Ok(Opening::Proceed(open)) => ControlFlow::Continue(open),
            Ok(Opening::Claimed(..) | Opening::Stored(_) | Opening::Done) => {
                unreachable!("a plain transaction has nothing stored")
            }
            Err(error) => ControlFlow::Break(self.reject.on_reject(error)),
        }
    }

    fn close(&mut self, open: OpenTx<DB>, out: &Result<T, E>) -> Step<Result<(), OutboxError>> {
        let (outbox, commit) = (self.outbox.clone(), out.is_ok());
        Box::pin(async move {
            if !commit {
                open.roll_back().await;
                return Ok(());
            }
            open.commit().await?;
            outbox.wake();
            Ok(())
        })
    }

    fn finish(&mut self, closed: Result<(), OutboxError>, out: Result<T, E>) -> Result<T, E> {
        match (closed, out) {
            // The body's own error says more than a rollback that failed.
            (Ok(()) | Err(_), Err(error)) => Err(error),
            (Ok(()), Ok(value)) => Ok(value),
            (Err(error), Ok(_)) => self.reject.on_reject(error),
        }
    }
}

impl<DB: Dialect, R> fmt::Debug for TxPlan<DB, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TxPlan")
    }
}
