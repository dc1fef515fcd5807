//! How is an order paid once, however often and from wherever it is asked for?
//!
//! ```text
//! cargo run --example order_payment --features fence-sqlite
//! cargo run --example order_payment --features fence-sqlite,redis -- --redis redis://127.0.0.1/
//! ```
//!
//! Lock the order, check, pay: under `#[lock]` one at a time, and the fence of the lock is checked in the very
//! transaction that pays. So a process that was paused between its check and its write, and lost the lock
//! meanwhile, pays nothing when it wakes up.

mod common;

use std::sync::Arc;

use common::{Result, locks};
use mainstay::{
    lock,
    lock::{Fence, FenceError, LockError, Locks, create_fence_table, fence_guard},
};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokio::task::JoinSet;

const ORDER: i64 = 7;
const CLICKS: usize = 16;

#[derive(Debug, thiserror::Error)]
enum PayError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

#[derive(Debug, PartialEq, Eq)]
enum Receipt {
    Paid { fence: Fence },
    PaidBefore,
}

struct Payments {
    locks: Locks,
    pool: SqlitePool,
}

impl Payments {
    /// One at a time for each order, among all processes that share the locks.
    #[lock(with = self.locks, key = "order:{order}", wait = "30s", guard = lock)]
    async fn pay(&self, order: i64, cents: i64) -> Result<Receipt, PayError> {
        self.pay_under(lock.fence(), order, cents).await
    }

    async fn pay_under(&self, fence: Fence, order: i64, cents: i64) -> Result<Receipt, PayError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        // First: from here on no earlier holder of the lock commits any more.
        fence_guard(&mut *tx, format!("order:{order}"), fence).await?;
        let paid: Option<i64> = sqlx::query_scalar("SELECT cents FROM payment WHERE order_id = ?")
            .bind(order)
            .fetch_optional(&mut *tx)
            .await?;
        if paid.is_some() {
            return Ok(Receipt::PaidBefore);
        }
        sqlx::query("INSERT INTO payment (order_id, cents) VALUES (?, ?)")
            .bind(order)
            .bind(cents)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Receipt::Paid { fence })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    run(common::redis().as_deref()).await
}

pub(crate) async fn run(redis: Option<&str>) -> Result<()> {
    let payments = Arc::new(Payments { locks: locks(redis)?, pool: database().await? });
    let mut clicks = JoinSet::new();
    for _ in 0..CLICKS {
        let payments = payments.clone();
        clicks.spawn(async move { payments.pay(ORDER, 1_250).await });
    }
    let mut receipts = Vec::new();
    for receipt in clicks.join_all().await {
        receipts.push(receipt?);
    }
    let fences = receipts.iter().filter_map(|receipt| match receipt {
        Receipt::Paid { fence } => Some(*fence),
        Receipt::PaidBefore => None,
    });
    let [fence] = fences.collect::<Vec<_>>()[..] else {
        return Err(format!("one click was to pay: {receipts:?}").into());
    };
    println!("{CLICKS} clicks: one paid under fence {fence}, the others were told so");

    // One that was paused since before: its lock is lost, and it does not know.
    let paused = Fence::new(fence.get() - 1);
    let late = payments.pay_under(paused, ORDER, 1_250).await;
    if !matches!(&late, Err(PayError::Fence(error)) if error.is_fenced()) {
        return Err(format!("an old holder was to be refused, not {late:?}").into());
    }
    println!("a holder paused since before is refused: its fence is {paused}");

    let booked: i64 =
        sqlx::query_scalar("SELECT SUM(cents) FROM payment").fetch_one(&payments.pool).await?;
    if booked != 1_250 {
        return Err(format!("{booked} cents are booked for an order of 1250").into());
    }
    Ok(())
}

/// In memory, on one connection: every statement finds it there.
async fn database() -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE payment (order_id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)")
        .execute(&pool)
        .await?;
    create_fence_table(&pool).await?;
    Ok(pool)
}
