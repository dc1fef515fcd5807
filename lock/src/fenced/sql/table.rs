//! The table of fences: making it, keeping it small.

use std::time::Duration;

use sqlx::Pool;

use super::{FenceDatabase, check::Doing};
use crate::fenced::FenceError;

/// Makes the table `mainstay_fence` on SQLite, for those who migrate by hand.
#[cfg(feature = "fence-sqlite")]
pub const FENCE_TABLE_SQLITE: &str = include_str!("../../../migrations/sqlite/0001_fence.sql");

/// Makes the table `mainstay_fence` on PostgreSQL, for those who migrate by hand.
#[cfg(feature = "fence-postgres")]
pub const FENCE_TABLE_POSTGRES: &str = include_str!("../../../migrations/postgres/0001_fence.sql");

/// Makes the table `mainstay_fence` on MySQL and MariaDB, for those who migrate by hand.
#[cfg(feature = "fence-mysql")]
pub const FENCE_TABLE_MYSQL: &str = include_str!("../../../migrations/mysql/0001_fence.sql");

/// The shortest time for which [`purge_fences`] keeps a fence: as long as a hold lasts unless told otherwise.
pub const LEAST_FENCE_RETENTION: Duration = Duration::from_secs(3_600);

/// Makes the table `mainstay_fence` if it is missing. Safe to call at every start, by any number of processes.
///
/// # Errors
///
/// [`FenceError::Backend`].
pub async fn create_fence_table<DB: FenceDatabase>(pool: &Pool<DB>) -> Result<(), FenceError> {
    const DOING: &str = "make the table of fences";
    let mut conn = pool.acquire().await.doing(DOING, TABLE)?;
    if DB::execute(&mut conn, DB::TABLE).await.is_ok() {
        return Ok(());
    }
    // On PostgreSQL one of two that make a table at once is refused, and finds it the second time.
    DB::execute(&mut conn, DB::TABLE).await.doing(DOING, TABLE)
}

/// Forgets fences that nobody has written for `older_than`, at most `limit` of them; gives how many.
///
/// # What is lost
///
/// With its row gone, a resource lets every fence pass. A holder that was paused for longer than `older_than` and then
/// writes is **not** refused. Choose a time that no transaction, pause or restored machine outlives: days, not minutes.
/// Times are judged by the database's clock.
///
/// # Errors
///
/// [`FenceError::InvalidRetention`] below [`LEAST_FENCE_RETENTION`], and [`FenceError::Backend`]: some may be gone.
///
/// # Cancel safety
///
/// Dropped half-way, what is forgotten is forgotten.
///
/// # Cost
///
/// One read of the table that locks nothing, and a short statement for every fence that goes. A fence that is written
/// meanwhile stays.
pub async fn purge_fences<DB: FenceDatabase>(
    pool: &Pool<DB>,
    older_than: Duration,
    limit: u32,
) -> Result<u64, FenceError> {
    const DOING: &str = "forget old fences";
    if older_than < LEAST_FENCE_RETENTION {
        let least = LEAST_FENCE_RETENTION;
        return Err(FenceError::InvalidRetention { given: older_than, least });
    }
    // Beyond a century a database's arithmetic of dates may fail, and nothing is so old.
    let seconds = older_than.as_secs().min(CENTURY);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let mut conn = pool.acquire().await.doing(DOING, TABLE)?;
    let mut gone = 0;
    for resource in DB::aged(&mut conn, seconds, limit.into()).await.doing(DOING, TABLE)? {
        gone += DB::forget(&mut conn, &resource, seconds).await.doing(DOING, &resource)?;
    }
    Ok(gone)
}

const TABLE: &str = "mainstay_fence";
const CENTURY: u64 = 100 * 366 * 24 * 3_600;
