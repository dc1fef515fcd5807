//! Several child orders refund one receipt at once; every refund must be in the sum.
//!
//! With a transaction begun before the lock, each child reads the refunded amount from a snapshot that is older
//! than the lock, and only one refund sticks. With the lock outside the transaction all of them do.

use std::sync::Arc;

use mainstay::{
    lock,
    lock::{LockError, Locks},
    outbox::{Outbox, OutboxError, sqlite},
    transactional,
};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqlitePoolOptions};
use tokio::{sync::Barrier, task::JoinSet};

const CHILDREN: usize = 8;
const RECEIPT: i64 = 1;
const REFUND: i64 = 100;

#[derive(Debug, thiserror::Error)]
enum RefundError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

struct Refunds {
    locks: Locks,
    outbox: Outbox,
    pool: SqlitePool,
    everybody_has_read: Barrier,
}

impl Refunds {
    async fn new(dir: &std::path::Path) -> Arc<Self> {
        let options = sqlite::connect_options(dir.join("refund.sqlite"));
        // The naive children hold a transaction each.
        let connections = u32::try_from(CHILDREN).expect("a few") + 1;
        let pool =
            SqlitePoolOptions::new().max_connections(connections).connect_with(options).await;
        let pool = pool.expect("a database");
        sqlx::query(include_str!("schema.sql")).execute(&pool).await.expect("a table");
        sqlx::query("INSERT INTO receipt (id, paid) VALUES (1, 1000)")
            .execute(&pool)
            .await
            .expect("a receipt");
        let outbox = Outbox::sqlite(pool.clone());
        outbox.migrate().await.expect("the outbox's tables");
        let everybody_has_read = Barrier::new(CHILDREN);
        Arc::new(Self { locks: Locks::in_process(), outbox, pool, everybody_has_read })
    }

    /// As it was: begin, read, lock, write.
    async fn refund_with_the_transaction_outside(&self) -> Result<(), RefundError> {
        let mut tx = self.pool.begin().await?;
        let refunded = read(&mut tx, RECEIPT).await?;
        self.everybody_has_read.wait().await;
        let held = self.locks.lock("receipt:1").await?;
        write(&mut tx, RECEIPT, refunded + REFUND).await?;
        tx.commit().await?;
        held.release().await;
        Ok(())
    }

    #[lock(with = self.locks, key = "receipt:{receipt}", wait = "30s")]
    #[transactional(with = self.outbox, tx = tx)]
    async fn refund(&self, receipt: i64) -> Result<(), RefundError> {
        let refunded = read(&mut tx, receipt).await?;
        write(&mut tx, receipt, refunded + REFUND).await
    }

    async fn refunded(&self) -> i64 {
        let mut connection = self.pool.acquire().await.expect("a connection");
        read(&mut connection, RECEIPT).await.expect("the receipt")
    }
}

async fn read(connection: &mut SqliteConnection, receipt: i64) -> Result<i64, RefundError> {
    Ok(sqlx::query_scalar(include_str!("read.sql")).bind(receipt).fetch_one(connection).await?)
}

async fn write(
    connection: &mut SqliteConnection,
    receipt: i64,
    refunded: i64,
) -> Result<(), RefundError> {
    sqlx::query(include_str!("write.sql")).bind(refunded).bind(receipt).execute(connection).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tx_before_lock_refund() {
    let dir = tempfile::tempdir().expect("a folder");
    let naive = Refunds::new(dir.path()).await;
    let mut children = JoinSet::new();
    for _ in 0..CHILDREN {
        let naive = naive.clone();
        children.spawn(async move { naive.refund_with_the_transaction_outside().await });
    }
    let stuck = children.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(naive.refunded().await, REFUND, "the snapshots are older than the lock");
    assert!(stuck < CHILDREN);

    let dir = tempfile::tempdir().expect("a folder");
    let ours = Refunds::new(dir.path()).await;
    let mut children = JoinSet::new();
    for _ in 0..CHILDREN {
        let ours = ours.clone();
        children.spawn(async move { ours.refund(RECEIPT).await });
    }
    for refund in children.join_all().await {
        refund.expect("a refund");
    }
    assert_eq!(ours.refunded().await, REFUND * i64::try_from(CHILDREN).expect("a few"));
}

#[tokio::test]
async fn a_lock_inside_an_open_transaction_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let refunds = Refunds::new(dir.path()).await;
    let locks = refunds.locks.clone();
    let refused: Result<(), RefundError> = refunds
        .outbox
        .transaction()
        .run(|_tx| async move {
            locks.lock("receipt:1").await?.release().await;
            Ok(())
        })
        .await;
    assert!(matches!(refused, Err(RefundError::Lock(LockError::InsideTransaction { .. }))));
    // The mark ends with the transaction.
    drop(refunds.locks.lock("receipt:1").await.expect("nothing is open, nothing is held"));
}
