//! Connections with the settings that this engine needs.

use std::{path::Path, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{OutboxError, error::During};

/// Connect options for one SQLite file, made if it is missing: write-ahead log, so that readers do not
/// wait for the writer; five seconds of patience for writers of other processes; foreign keys.
///
/// With `synchronous = FULL`, as set here, a commit survives a power cut. `NORMAL` is some ten times
/// faster and survives the death of the process, but a power cut may take the last commits with it:
///
/// ```
/// use mainstay_outbox::sqlite::connect_options;
/// use sqlx::sqlite::SqliteSynchronous;
///
/// let fast = connect_options("orders.db").synchronous(SqliteSynchronous::Normal);
/// # let _ = fast;
/// ```
pub fn connect_options(path: impl AsRef<Path>) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
}

/// A pool of eight connections made by [`connect_options`].
///
/// Any pool will do if its connections use the write-ahead log and a busy time-out and there are at
/// least two of them. One of them writes at a time; the others read.
///
/// # Errors
///
/// [`OutboxError::Database`] if the file cannot be opened.
pub async fn pool(path: impl AsRef<Path>) -> Result<SqlitePool, OutboxError> {
    let options = connect_options(path);
    SqlitePoolOptions::new().max_connections(8).connect_with(options).await.during("open the file")
}
