//! The check of a fence inside a transaction.

use sqlx::Connection;

use super::{
    FenceDatabase,
    database::{Seal, Statements},
};
use crate::{
    error::Failure,
    fence::Fence,
    fenced::{FenceError, granted},
};

/// Refuses the transaction of a holder whose lock somebody else got since, and keeps earlier holders out from now on.
///
/// Call it **first** in the transaction and return its error, so that the transaction is rolled back.
/// [`LockGuard::transaction`](crate::LockGuard::transaction) does both. `conn` is a connection inside a transaction: `&mut *tx`.
///
/// # What is guaranteed
///
/// Of two transactions that check one resource, one ends before the other goes on: the fence is a row that stays locked until
/// the commit. So once a holder's check has passed, no earlier holder commits any more, however long it was paused, and
/// whatever an earlier holder did commit is there to be read.
///
/// This needs every writer of the resource to check, and the check to come before the first read: on MySQL in its default
/// isolation, and in `REPEATABLE READ` elsewhere, a transaction reads as of its first read.
///
/// # Errors
///
/// [`FenceError::Fenced`] if a higher fence has written; [`FenceError::NoTransaction`] and the other misuses;
/// [`FenceError::Backend`] where the database refuses, for one because of a deadlock or a serialization failure: begin
/// anew. Nothing of it is written before the commit, so it is never unknown.
///
/// # Cancel safety
///
/// Dropping it leaves the transaction open; roll it back.
///
/// # When the backend is down
///
/// It fails, or waits as long as the pool's time-outs say. It also waits for another transaction on the same resource:
/// bound that with `lock_timeout` and `idle_in_transaction_session_timeout` (PostgreSQL), `innodb_lock_wait_timeout`
/// (MySQL), `busy_timeout` (SQLite).
///
/// # Cost
///
/// One statement, by primary key.
///
/// # Examples
///
#[cfg_attr(feature = "fence-sqlite", doc = "```")]
#[cfg_attr(not(feature = "fence-sqlite"), doc = "```text")]
/// use mainstay_lock::{Fence, FenceError, create_fence_table, fence_guard};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// create_fence_table(&pool).await?;
/// let (paused, successor) = (Fence::new(41), Fence::new(42));
///
/// let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
/// fence_guard(&mut *tx, "order:7", successor).await?;
/// // .. write ..
/// tx.commit().await?;
///
/// let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
/// let refused = fence_guard(&mut *tx, "order:7", paused).await;
/// assert!(matches!(refused, Err(FenceError::Fenced { seen, .. }) if seen == successor));
/// # tx.rollback().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn fence_guard<C>(
    conn: &mut C,
    resource: impl AsRef<str> + Send,
    fence: Fence,
) -> Result<(), FenceError>
where
    C: Connection,
    C::Database: FenceDatabase,
{
    let resource = resource.as_ref();
    usable(resource, fence)?;
    if !conn.is_in_transaction() {
        return Err(FenceError::NoTransaction { resource: resource.to_owned() });
    }
    check::<C::Database>(conn, resource, fence).await
}

/// What can be said without asking the database.
pub(super) fn usable(resource: &str, fence: Fence) -> Result<(), FenceError> {
    let broken = match resource {
        "" => "it is empty".to_owned(),
        _ if resource.len() > LONGEST => {
            format!("it has {} bytes, and {LONGEST} are allowed; hash it", resource.len())
        }
        _ if resource.contains('\0') => "it contains a zero byte".to_owned(),
        _ => return granted(resource, fence),
    };
    Err(FenceError::InvalidResource { rule: broken })
}

pub(super) async fn check<DB: Statements>(
    conn: &mut DB::Connection,
    resource: &str,
    fence: Fence,
) -> Result<(), FenceError> {
    let seen = DB::advance(conn, resource, fence).await.doing("check the fence", resource)?;
    if seen <= fence {
        return Ok(());
    }
    Err(FenceError::Fenced { resource: resource.to_owned(), ours: fence, seen })
}

/// Adds to a driver's error what was being done.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str, resource: &str) -> Result<T, FenceError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str, resource: &str) -> Result<T, FenceError> {
        self.map_err(|error| FenceError::Backend {
            resource: resource.to_owned(),
            doing,
            failure: Failure::new(error),
        })
    }
}

/// A commit that got no answer is unknown.
pub(super) fn commit_failed<DB: Statements>(error: sqlx::Error, resource: &str) -> FenceError {
    let refused = error.as_database_error().is_some_and(|answer| !DB::leaves_open(answer));
    failed(!refused, error, resource)
}

/// The transaction had ended before its commit, or nobody answered, and then it is rolled back.
pub(super) fn unsealed(seal: Seal, error: sqlx::Error, resource: &str) -> FenceError {
    failed(seal.leaves_open && error.as_database_error().is_some(), error, resource)
}

fn failed(unknown: bool, error: sqlx::Error, resource: &str) -> FenceError {
    let (resource, doing, failure) = (resource.to_owned(), "commit", Failure::new(error));
    if unknown {
        return FenceError::Unknown { resource, doing, failure };
    }
    FenceError::Backend { resource, doing, failure }
}

/// In bytes, as wide as the narrowest column.
const LONGEST: usize = 512;
