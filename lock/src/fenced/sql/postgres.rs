//! PostgreSQL.

use sqlx::{
    Error, PgConnection, Postgres,
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};

use super::{
    FENCE_TABLE_POSTGRES, FenceDatabase,
    database::{Seal, Statements},
};
use crate::fence::Fence;

impl FenceDatabase for Postgres {}

impl Statements for Postgres {
    const TABLE: &'static str = FENCE_TABLE_POSTGRES;
    const BEGIN: &'static str = "BEGIN";
    // The commit of a transaction with a failed statement in it is answered with a yes that means no.
    const SEAL: Option<Seal> = Some(Seal { statement: "SELECT 1", leaves_open: false });

    async fn advance(
        conn: &mut PgConnection,
        resource: &str,
        fence: Fence,
    ) -> Result<Fence, Error> {
        let sql = sqlx::query_scalar(include_str!("postgres/advance.sql"));
        sql.bind(resource).bind(fence).fetch_one(conn).await
    }

    async fn aged(conn: &mut PgConnection, seconds: i64, limit: i64) -> Result<Vec<String>, Error> {
        let sql = sqlx::query_scalar(include_str!("postgres/aged.sql"));
        sql.bind(interval(seconds)).bind(limit).fetch_all(conn).await
    }

    async fn forget(conn: &mut PgConnection, resource: &str, seconds: i64) -> Result<u64, Error> {
        let sql = sqlx::query(include_str!("postgres/forget.sql"));
        Ok(sql.bind(resource).bind(interval(seconds)).execute(conn).await?.rows_affected())
    }

    async fn execute(conn: &mut PgConnection, sql: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(sql).execute(conn).await.map(drop)
    }

    fn leaves_open(answer: &(dyn DatabaseError + 'static)) -> bool {
        // An ordinary error undoes the transaction; a session that is ended says nothing about it.
        let answer = answer.try_downcast_ref::<PgDatabaseError>();
        answer
            .is_none_or(|answer| answer.severity() != PgSeverity::Error || answer.code() == "40003")
    }
}

/// `make_interval` counts its seconds in floating point.
fn interval(seconds: i64) -> f64 {
    seconds as f64
}
