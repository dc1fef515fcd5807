//! SQLite.

use sqlx::{Error, Sqlite, SqliteConnection, error::DatabaseError};

use super::{
    FENCE_TABLE_SQLITE, FenceDatabase,
    database::{Seal, Statements},
};
use crate::fence::Fence;

impl FenceDatabase for Sqlite {}

impl Statements for Sqlite {
    const TABLE: &'static str = FENCE_TABLE_SQLITE;
    // A transaction that begins by reading and then wants to write fails at once when another writer was faster.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    // Here a commit of what was undone is refused.
    const SEAL: Option<Seal> = None;

    async fn advance(
        conn: &mut SqliteConnection,
        resource: &str,
        fence: Fence,
    ) -> Result<Fence, Error> {
        let sql = sqlx::query_scalar(include_str!("sqlite/advance.sql"));
        sql.bind(resource).bind(fence).fetch_one(conn).await
    }

    async fn aged(
        conn: &mut SqliteConnection,
        seconds: i64,
        limit: i64,
    ) -> Result<Vec<String>, Error> {
        let sql = sqlx::query_scalar(include_str!("sqlite/aged.sql"));
        sql.bind(seconds).bind(limit).fetch_all(conn).await
    }

    async fn forget(
        conn: &mut SqliteConnection,
        resource: &str,
        seconds: i64,
    ) -> Result<u64, Error> {
        let sql = sqlx::query(include_str!("sqlite/forget.sql"));
        Ok(sql.bind(resource).bind(seconds).execute(conn).await?.rows_affected())
    }

    async fn execute(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(sql).execute(conn).await.map(drop)
    }

    fn leaves_open(answer: &(dyn DatabaseError + 'static)) -> bool {
        // The low byte of an extended result code is the primary one: 10 is a failed read or write of the file.
        let code = answer.code().and_then(|code| code.parse::<u32>().ok());
        code.is_none_or(|code| code & 0xff == 10)
    }
}
