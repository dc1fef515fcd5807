//! A database for a run.

use mainstay_outbox::{Outbox, sqlite};
use sqlx::{
    SqlitePool,
    sqlite::{SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;

/// The tables of the side that does without us.
const TABLES: &str = include_str!("database.sql");

/// A database in a file of its own, removed when dropped.
#[derive(Debug)]
pub struct Database {
    /// Connections to it.
    pub pool: SqlitePool,
    /// Ours.
    pub outbox: Outbox,
    _dir: TempDir,
}

impl Database {
    /// A new one with all tables, which commits as it is told.
    pub async fn new(synchronous: SqliteSynchronous) -> Self {
        let dir = tempfile::tempdir().expect("there is a place for temporary files");
        let options = sqlite::connect_options(dir.path().join("bench.db")).synchronous(synchronous);
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await;
        let pool = pool.expect("the file can be opened");
        sqlx::raw_sql(TABLES).execute(&pool).await.expect("the tables are new");
        let outbox = Outbox::sqlite(pool.clone());
        outbox.migrate().await.expect("the tables are new");
        Self { pool, outbox, _dir: dir }
    }
}
