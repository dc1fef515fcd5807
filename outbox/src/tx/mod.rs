//! Transactions that belong to the body that runs in them.

mod request;
mod run;
mod slot;

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

pub use request::{TxPlan, TxRequest};
pub use run::Run;
pub(crate) use run::{Opening, Plan, Start, Step};
pub(crate) use slot::Slot;

use crate::{Enqueued, Message, Outbox, OutboxError, dialect::Dialect, gate::OpenTx};
use sqlx::Database;

/// The open transaction of a body.
///
/// Use it as a connection: `&mut *tx` is what sqlx's queries execute on. It goes back to the helper that
/// made it when it is dropped, at the end of the body at the latest; the helper then commits or
/// rolls back.
///
/// # Cancel safety
///
/// If the body's future is dropped, the transaction is rolled back.
pub struct Tx<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
    open: Option<OpenTx<DB>>,
    slot: Arc<Slot<OpenTx<DB>>>,
}

impl<DB: Dialect> Tx<DB> {
    pub(crate) fn new(outbox: Outbox<DB>, open: OpenTx<DB>) -> (Self, Arc<Slot<OpenTx<DB>>>) {
        let slot = Arc::new(Slot::default());
        (Self { outbox, open: Some(open), slot: slot.clone() }, slot)
    }

    /// Stores a message, sent if this transaction commits.
    ///
    /// # Errors
    ///
    /// As [`Outbox::enqueue`].
    pub async fn enqueue(&mut self, message: Message) -> Result<Enqueued, OutboxError> {
        let outbox = self.outbox.clone();
        outbox.enqueue(self, message).await
    }

    /// Stores messages, sent if this transaction commits.
    ///
    /// # Errors
    ///
    /// As [`Outbox::enqueue_many`].
    pub async fn enqueue_many(
        &mut self,
        messages: impl IntoIterator<Item = Message> + Send,
    ) -> Result<Vec<Enqueued>, OutboxError> {
        let outbox = self.outbox.clone();
        outbox.enqueue_many(self, messages).await
    }
}

impl<DB: Database> Deref for Tx<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.open.as_ref().expect("taken by drop alone").tx
    }
}

impl<DB: Database> DerefMut for Tx<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.open.as_mut().expect("taken by drop alone").tx
    }
}

impl<DB: Database> Drop for Tx<DB> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.slot.give_back(open);
        }
    }
}

impl<DB: Database> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
