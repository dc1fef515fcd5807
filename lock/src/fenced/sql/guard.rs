//! Transactions under a lock.

use mainstay_core::{IntoError, OnReject};
use sqlx::Pool;

use super::{FenceDatabase, FencedRun, Tx};
use crate::{fenced::FenceError, guard::LockGuard};

impl LockGuard {
    /// Runs `body` in a transaction under this lock, and then releases the lock.
    ///
    /// In this order: begin, check the fence, run the body, look at the lease, commit, release. It commits if the body says
    /// `Ok`, and rolls back if it says `Err`. The fence is checked for the lock's own key, unless told
    /// [otherwise](FencedRun::resource); the table is made by [`create_fence_table`](crate::create_fence_table).
    ///
    /// Inside the body the lock is re-entered as in [`scope`](Self::scope). Any other lock is refused with
    /// [`LockError::InsideTransaction`](crate::LockError::InsideTransaction): take all locks first. Statements that fail
    /// have to fail the body: on PostgreSQL an error undoes what came before, on MySQL a deadlock does, and there a statement
    /// such as `CREATE TABLE` commits it. A body that says `Ok` after that is answered with an error, never with `Ok`.
    ///
    /// # What is guaranteed
    ///
    /// - What the body reads was committed by the holders before, and no earlier holder commits any more; see
    ///   [`fence_guard`](crate::fence_guard).
    /// - The lock is not released before the transaction has ended, not even if the future is dropped during its commit.
    /// - If the lock is lost, the body is dropped at its next await and nothing is committed.
    /// - `Ok` means committed. The body's own error means rolled back. Of ours, only [`FenceError::Unknown`] leaves open
    ///   whether it committed; a lost answer is never called a failure, nor a failed release after a commit an error.
    ///
    /// # Errors
    ///
    /// The body's own, and by `From`: [`FenceError`].
    ///
    /// # Cancel safety
    ///
    /// | dropped while it .. | transaction | lock |
    /// |---|---|---|
    /// | begins, or checks the fence | rolled back in the background | released |
    /// | runs the body | rolled back in the background | released |
    /// | commits or rolls back | goes on to its end in the background | released after it |
    /// | releases | is over | the release goes ahead |
    ///
    /// On MySQL and MariaDB, sqlx 0.9 may lose a connection of its pool for good if this is dropped while a statement is
    /// prepared: nothing is left open in the database, but a place in the pool is gone. Where callers go away often, run
    /// it in a task of its own.
    ///
    /// # When the backend is down
    ///
    /// If the database does not answer, the call waits as long as the pool and the driver do, and at most for as long as the
    /// lock is held, but for an answer to its commit: that is waited for. If the lock's backend does not answer, the
    /// lock is lost when its lease ends.
    ///
    /// # Cost
    ///
    /// Round trips: begin, fence, commit, beside the body's own; one more on PostgreSQL and MySQL, which would otherwise say
    /// yes to the commit of what they undid; and the release. Some boxes, but never around the body.
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "fence-sqlite", doc = "```")]
    #[cfg_attr(not(feature = "fence-sqlite"), doc = "```text")]
    /// use mainstay_lock::{FenceError, LockError, Locks, create_fence_table, key};
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// enum RefundError {
    ///     #[error(transparent)]
    ///     Lock(#[from] LockError),
    ///     #[error(transparent)]
    ///     Fence(#[from] FenceError),
    ///     #[error(transparent)]
    ///     Sql(#[from] sqlx::Error),
    /// }
    ///
    /// async fn refund(locks: &Locks, pool: &sqlx::SqlitePool, receipt: i64) -> Result<i64, RefundError> {
    ///     let guard = locks.lock(key!("receipt:{}", receipt)).await?;
    ///     guard.transaction(pool, |mut tx| async move {
    ///         let sql = "UPDATE receipt SET refunded = refunded + 100 WHERE id = ? RETURNING refunded";
    ///         Ok(sqlx::query_scalar(sql).bind(receipt).fetch_one(&mut *tx).await?)
    ///     }).await
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # sqlx::raw_sql("CREATE TABLE receipt (id INTEGER PRIMARY KEY, refunded INTEGER); INSERT INTO receipt VALUES (1, 0)")
    /// #     .execute(&pool).await?;
    /// create_fence_table(&pool).await?;
    /// let locks = Locks::in_process();
    /// let (one, two) = tokio::join!(refund(&locks, &pool, 1), refund(&locks, &pool, 1));
    /// assert_eq!(one?.max(two?), 200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transaction<DB, B, F, T, E>(
        self,
        pool: &Pool<DB>,
        body: B,
    ) -> FencedRun<DB, B, F, IntoError>
    where
        DB: FenceDatabase,
        B: FnOnce(Tx<DB>) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<FenceError>,
    {
        self.transaction_or(IntoError, pool, body)
    }

    /// As [`transaction`](Self::transaction), with `reject` deciding what this crate's errors become.
    pub fn transaction_or<DB, B, F, T, E, R>(
        self,
        reject: R,
        pool: &Pool<DB>,
        body: B,
    ) -> FencedRun<DB, B, F, R>
    where
        DB: FenceDatabase,
        B: FnOnce(Tx<DB>) -> F,
        F: Future<Output = Result<T, E>>,
        R: OnReject<FenceError, T, E>,
    {
        FencedRun::new(self, pool.clone(), reject, body)
    }
}
