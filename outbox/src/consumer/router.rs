//! Which handler gets which topic.

use std::{collections::HashMap, fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};

use super::{Delivery, Handled, HandlerError, Inbox, Incoming, inbox::panicked};
use crate::dialect::Dialect;
use sqlx::Database;

type Handler<DB> =
    Arc<dyn Fn(Delivery<DB>) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync>;

/// Handlers by topic.
///
/// A handler that panics is caught; the panic counts as a retryable attempt.
///
/// # Examples
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```text")]
/// use mainstay_outbox::{Delivery, HandlerError, Router};
///
/// async fn book(mut delivery: Delivery) -> Result<(), HandlerError> {
///     let order: u64 = delivery.json()?;
///     // .. sqlx::query("INSERT ..").bind(order).execute(&mut **delivery.tx()).await?; ..
///     # let _ = (order, delivery.tx());
///     Ok(())
/// }
///
/// let router = Router::new().route("order.paid", book);
/// # let _: Router = router;
/// ```
pub struct Router<DB: Database = sqlx::Sqlite> {
    routes: HashMap<String, Handler<DB>>,
    fallback: Option<Handler<DB>>,
}

impl<DB: Dialect> Router<DB> {
    /// A router without routes.
    pub fn new() -> Self {
        Self { routes: HashMap::new(), fallback: None }
    }

    /// Sends messages of `topic` to `handler`; a second route for a topic replaces the first.
    #[must_use]
    pub fn route<H, F>(mut self, topic: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Delivery<DB>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.routes.insert(topic.into(), boxed(handler));
        self
    }

    /// Sends messages without a route to `handler`.
    #[must_use]
    pub fn fallback<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Delivery<DB>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.fallback = Some(boxed(handler));
        self
    }

    /// Whether a message of `topic` has a handler.
    pub fn handles(&self, topic: &str) -> bool {
        self.fallback.is_some() || self.routes.contains_key(topic)
    }

    /// Passes a message through `inbox` to its handler; `None` if it has none.
    ///
    /// # Errors
    ///
    /// The handler's and the inbox's.
    pub async fn handle(
        &self,
        inbox: &Inbox<DB>,
        incoming: &Incoming,
    ) -> Result<Option<Handled>, HandlerError> {
        let found = self.routes.get(incoming.topic()).or(self.fallback.as_ref());
        let Some(handler) = found.cloned() else { return Ok(None) };
        let guarded = move |delivery| async move {
            let work = AssertUnwindSafe(async move { handler(delivery).await });
            work.catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
        };
        inbox.handle(incoming, guarded).await.map(Some)
    }
}

fn boxed<DB, H, F>(handler: H) -> Handler<DB>
where
    DB: Dialect,
    H: Fn(Delivery<DB>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    Arc::new(move |delivery| handler(delivery).boxed())
}

impl<DB: Dialect> Default for Router<DB> {
    fn default() -> Self {
        Self::new()
    }
}

impl<DB: Database> Clone for Router<DB> {
    fn clone(&self) -> Self {
        Self { routes: self.routes.clone(), fallback: self.fallback.clone() }
    }
}

impl<DB: Database> fmt::Debug for Router<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("topics", &self.routes.keys())
            .field("fallback", &self.fallback.is_some())
            .finish()
    }
}
