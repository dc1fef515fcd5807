//! Puts an inbox in front of a service.

use std::fmt;

use mainstay_core::{IntoError, With};
use tower_layer::Layer;

use super::InboxService;
use crate::{Handled, Inbox, OutboxError, dialect::Dialect};
use sqlx::Database;

/// Puts an [`Inbox`] in front of a service of deliveries.
///
/// The layered service takes an [`Incoming`](crate::Incoming) and answers [`Handled`]: the inner service gets a
/// [`Delivery`](crate::Delivery) inside the inbox's transaction, unless its consumer has done the message. It keeps
/// the inner service's error type; errors of the inbox enter by `From`, or by [`on_reject`](Self::on_reject).
///
/// # Fairness
///
/// Nothing is taken before `call`: readiness is the inner service's own.
///
/// # Examples
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```text")]
/// use mainstay_outbox::{Inbox, InboxLayer, Outbox};
/// # fn example(outbox: &Outbox) {
/// let layer = InboxLayer::new(Inbox::new(outbox, "ledger"));
/// # let _: InboxLayer = layer;
/// # }
/// ```
pub struct InboxLayer<DB: Database = sqlx::Sqlite, R = IntoError> {
    inbox: Inbox<DB>,
    reject: R,
}

impl<DB: Dialect> InboxLayer<DB> {
    /// A layer on `inbox`; all services made by it share it.
    pub fn new(inbox: Inbox<DB>) -> Self {
        Self { inbox, reject: IntoError }
    }
}

impl<DB: Dialect, R> InboxLayer<DB, R> {
    /// Decides what an error of the inbox becomes.
    #[must_use]
    pub fn on_reject<F, T, E>(self, reject: F) -> InboxLayer<DB, With<F>>
    where
        F: Fn(OutboxError) -> Result<Handled<T>, E> + Clone,
    {
        InboxLayer { inbox: self.inbox, reject: With(reject) }
    }
}

impl<S, DB: Dialect, R: Clone> Layer<S> for InboxLayer<DB, R> {
    type Service = InboxService<S, DB, R>;

    fn layer(&self, inner: S) -> Self::Service {
        InboxService { inner, inbox: self.inbox.clone(), reject: self.reject.clone() }
    }
}

impl<DB: Database, R: Clone> Clone for InboxLayer<DB, R> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), reject: self.reject.clone() }
    }
}

impl<DB: Database, R> fmt::Debug for InboxLayer<DB, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxLayer").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}
