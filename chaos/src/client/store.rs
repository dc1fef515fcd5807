//! The store that checks fences.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::Result;

/// What the driver makes before clients come.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");
const COUNT: &str = include_str!("count.sql");

/// Counters in PostgreSQL, each guarded by the highest fence that it has seen.
pub(crate) struct Store {
    pool: PgPool,
}

impl Store {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let options =
            PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(30));
        Ok(Self { pool: options.connect(url).await? })
    }

    /// Counts one more under `key`. False if a higher fence was there.
    ///
    /// One statement that commits by itself: a client that is stopped in the middle keeps no row locked.
    pub(crate) async fn count(&self, key: &str, fence: i64) -> sqlx::Result<bool> {
        let counted = sqlx::query(COUNT).bind(key).bind(fence).execute(&self.pool).await?;
        Ok(counted.rows_affected() == 1)
    }
}
