//! The layered service.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use mainstay_core::{IntoError, OnReject};
use tower_service::Service;

use crate::{
    Delivery, Envelope, Handled, Inbox, InboxPlan, Incoming, OutboxError, Run, Tx,
    dialect::Dialect, tx::Start,
};
use sqlx::Database;

/// Service made by [`InboxLayer`](crate::InboxLayer).
pub struct InboxService<S, DB: Database = sqlx::Sqlite, R = IntoError> {
    pub(super) inner: S,
    pub(super) inbox: Inbox<DB>,
    pub(super) reject: R,
}

impl<S, DB, R> Service<Incoming> for InboxService<S, DB, R>
where
    S: Service<Delivery<DB>> + Clone,
    DB: Dialect,
    R: OnReject<OutboxError, Handled<S::Response>, S::Error> + Clone,
{
    type Response = Handled<S::Response>;
    type Error = S::Error;
    type Future = Run<DB, ServiceBody<S>, InboxPlan<DB, R>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        // The service that was asked for readiness goes with the call, its clone stays.
        let clone = self.inner.clone();
        let service = mem::replace(&mut self.inner, clone);
        let body = ServiceBody { service, envelope: incoming.envelope.clone() };
        self.inbox.run(&incoming, self.reject.clone(), body)
    }
}

impl<S: Clone, DB: Database, R: Clone> Clone for InboxService<S, DB, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), inbox: self.inbox.clone(), reject: self.reject.clone() }
    }
}

impl<S, DB: Database, R> fmt::Debug for InboxService<S, DB, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxService").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

/// A readied service and the message it will get. Names the type of [`InboxService`]'s future.
pub struct ServiceBody<S> {
    service: S,
    envelope: Arc<Envelope>,
}

impl<S, DB> Start<DB> for ServiceBody<S>
where
    S: Service<Delivery<DB>>,
    DB: Dialect,
{
    type Future = S::Future;

    fn start(mut self, tx: Tx<DB>) -> S::Future {
        self.service.call(Delivery::new(self.envelope, tx))
    }
}

impl<S> fmt::Debug for ServiceBody<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBody").field("message", &self.envelope).finish_non_exhaustive()
    }
}
