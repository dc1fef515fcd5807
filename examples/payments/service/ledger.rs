//! The ledger: a consumer of the event `order.paid`.
//!
//! Its rows commit in the inbox's transaction, so an event that comes again changes nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mainstay::{
    key,
    outbox::{Delivery, HandlerError, Message, OutboxError, Router},
};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

use super::orders::Order;
use crate::{
    Result,
    books::{Book, Entry},
    seam::Mishaps,
};

/// What payments are called.
pub(super) const TOPIC: &str = "order.paid";

/// An order was paid.
#[derive(Debug, Serialize, Deserialize)]
struct Paid {
    order_id: String,
    cents: u64,
}

/// The event of a paid order; those of one customer stay in order.
pub(super) fn paid(order: &Order) -> Result<Message, OutboxError> {
    let event = Paid { order_id: order.id.clone(), cents: order.cents };
    Ok(Message::json(TOPIC, &event)?.key(key!("customer:{}", order.customer)))
}

/// The consumer. A clone is the same ledger.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    mishaps: Arc<Mishaps>,
    fixed: Arc<AtomicBool>,
}

impl Ledger {
    /// A ledger whose handler has a bug, for one order, until it is fixed.
    pub(super) fn new(mishaps: Mishaps) -> Self {
        Self { mishaps: Arc::new(mishaps), fixed: Arc::default() }
    }

    /// Its routes.
    pub(super) fn router(&self) -> Router {
        let ledger = self.clone();
        Router::new().route(TOPIC, move |delivery| ledger.clone().post(delivery))
    }

    async fn post(self, mut delivery: Delivery) -> Result<(), HandlerError> {
        let paid: Paid = delivery.json()?;
        if self.mishaps.is_poison(&paid.order_id) && !self.fixed.load(Ordering::Relaxed) {
            return Err(HandlerError::retryable("the handler cannot digest this event"));
        }
        let cents = i64::try_from(paid.cents).map_err(HandlerError::final_)?;
        sqlx::query(include_str!("sql/post_entry.sql"))
            .bind(&paid.order_id)
            .bind(cents)
            .execute(&mut **delivery.tx())
            .await?;
        Ok(())
    }

    /// Somebody repaired the handler.
    pub(super) fn fix(&self) {
        self.fixed.store(true, Ordering::Relaxed);
    }
}

/// The ledger as it stands.
pub(super) async fn book(pool: &SqlitePool) -> Result<Book> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(include_str!("sql/read_ledger.sql")).fetch_all(pool).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for (order_id, cents) in rows {
        entries.push(Entry { order_id, cents: u64::try_from(cents)? });
    }
    Ok(Book::new("ledger consumer", entries))
}
