//! MySQL and MariaDB.

use sqlx::{Error, MySql, MySqlConnection, error::DatabaseError, mysql::MySqlDatabaseError};

use super::{
    FENCE_TABLE_MYSQL, FenceDatabase,
    database::{Seal, Statements},
};
use crate::fence::Fence;

impl FenceDatabase for MySql {}

impl Statements for MySql {
    const TABLE: &'static str = FENCE_TABLE_MYSQL;
    // Two statements in one round trip. A deadlock undoes the whole transaction, and a statement that commits
    // implicitly ends it; whatever follows would be written without one. The savepoint goes with it, and that shows.
    const BEGIN: &'static str = "START TRANSACTION; SAVEPOINT mainstay_fence";
    const SEAL: Option<Seal> =
        Some(Seal { statement: "RELEASE SAVEPOINT mainstay_fence", leaves_open: true });

    async fn advance(
        conn: &mut MySqlConnection,
        resource: &str,
        fence: Fence,
    ) -> Result<Fence, Error> {
        let sql = sqlx::query(include_str!("mysql/advance.sql"));
        let done = sql.bind(resource.as_bytes()).bind(fence).execute(conn).await?;
        i64::try_from(done.last_insert_id())
            .map(Fence::new)
            .map_err(|error| Error::Decode(error.into()))
    }

    async fn aged(
        conn: &mut MySqlConnection,
        seconds: i64,
        limit: i64,
    ) -> Result<Vec<String>, Error> {
        let sql = sqlx::query_scalar(include_str!("mysql/aged.sql"));
        let names: Vec<Vec<u8>> = sql.bind(seconds).bind(limit).fetch_all(conn).await?;
        Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    async fn forget(
        conn: &mut MySqlConnection,
        resource: &str,
        seconds: i64,
    ) -> Result<u64, Error> {
        let sql = sqlx::query(include_str!("mysql/forget.sql"));
        Ok(sql.bind(resource.as_bytes()).bind(seconds).execute(conn).await?.rows_affected())
    }

    async fn execute(conn: &mut MySqlConnection, sql: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(sql).execute(conn).await.map(drop)
    }

    fn leaves_open(answer: &(dyn DatabaseError + 'static)) -> bool {
        // An error during the commit itself, a server that shuts down, a session that is killed.
        let answer = answer.try_downcast_ref::<MySqlDatabaseError>();
        answer.is_none_or(|answer| matches!(answer.number(), 1053 | 1180 | 1317 | 1927))
    }
}
