//! What a handler gets.

use std::{fmt, ops::Deref, sync::Arc};

use crate::{Envelope, Outgoing, Tx, dialect::Dialect};
use sqlx::Database;

/// A message that arrived, before the inbox has judged it.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) redelivered: bool,
}

impl Incoming {
    /// A message of which nobody knows whether it was delivered before: its deliveries are counted.
    pub fn new(envelope: Envelope) -> Self {
        Self { envelope: Arc::new(envelope), redelivered: true }
    }

    /// Says that the transport is certain that this is the first delivery, which saves the commit that
    /// counts it.
    #[must_use]
    pub fn first_delivery(mut self) -> Self {
        self.redelivered = false;
        self
    }
}

impl From<&Outgoing> for Incoming {
    fn from(outgoing: &Outgoing) -> Self {
        Self { envelope: outgoing.envelope.clone(), redelivered: outgoing.redelivered }
    }
}

impl Deref for Incoming {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        &self.envelope
    }
}

/// A message in the hands of its handler, with the transaction that marks it as done.
///
/// What the handler writes through [`tx`](Self::tx) commits together with the inbox row, if the handler returns
/// `Ok`; messages that it enqueues there leave with the same commit.
pub struct Delivery<DB: Database = sqlx::Sqlite> {
    envelope: Arc<Envelope>,
    tx: Tx<DB>,
}

impl<DB: Dialect> Delivery<DB> {
    pub(crate) fn new(envelope: Arc<Envelope>, tx: Tx<DB>) -> Self {
        Self { envelope, tx }
    }

    /// The message.
    pub fn message(&self) -> &Envelope {
        &self.envelope
    }

    /// The inbox's transaction: `&mut **delivery.tx()` is the connection.
    pub fn tx(&mut self) -> &mut Tx<DB> {
        &mut self.tx
    }

    /// Message and transaction, for handlers that need both at once.
    pub fn into_parts(self) -> (Arc<Envelope>, Tx<DB>) {
        (self.envelope, self.tx)
    }
}

impl<DB: Database> Deref for Delivery<DB> {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        &self.envelope
    }
}

impl<DB: Database> fmt::Debug for Delivery<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("message", &self.envelope).finish_non_exhaustive()
    }
}
