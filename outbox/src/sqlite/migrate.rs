//! Brings the schema up to date.

use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use crate::dialect::Answer;

/// Numbered scripts; never edited once released.
const SCRIPTS: &[&str] = &[include_str!("../../migrations/sqlite/0001_outbox.sql")];

pub(super) const NEWEST: i64 = SCRIPTS.len() as i64;

/// Applies what is missing and returns the version found; a newer schema is left alone.
pub(super) async fn run(tx: &mut Transaction<'static, Sqlite>, now: i64) -> Answer<i64> {
    sqlx::query(include_str!("sql/schema_create.sql")).execute(&mut **tx).await?;
    let found: i64 =
        sqlx::query_scalar(include_str!("sql/schema_version.sql")).fetch_one(&mut **tx).await?;
    for (version, script) in (1_i64..).zip(SCRIPTS).filter(|(version, _)| *version > found) {
        sqlx::raw_sql(AssertSqlSafe(*script)).execute(&mut **tx).await?;
        sqlx::query(include_str!("sql/schema_applied.sql"))
            .bind(version)
            .bind(now)
            .execute(&mut **tx)
            .await?;
    }
    Ok(found)
}
