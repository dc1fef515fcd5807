//! What each consumer has done.

use sqlx::{Row, SqliteConnection};

use crate::{MessageId, dialect::Answer};

pub(super) async fn count(
    conn: &mut SqliteConnection,
    consumer: &str,
    id: MessageId,
    now: i64,
) -> Answer<(u32, bool)> {
    let query = sqlx::query(include_str!("sql/inbox_count.sql"));
    let row = query.bind(consumer).bind(&id.as_bytes()[..]).bind(now).fetch_one(conn).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

pub(super) async fn uncount(
    conn: &mut SqliteConnection,
    consumer: &str,
    id: MessageId,
) -> Answer<()> {
    let query = sqlx::query(include_str!("sql/inbox_uncount.sql"));
    query.bind(consumer).bind(&id.as_bytes()[..]).execute(conn).await.map(|_| ())
}

pub(super) async fn enter(
    conn: &mut SqliteConnection,
    consumer: &str,
    id: MessageId,
    now: i64,
) -> Answer<bool> {
    let query = sqlx::query(include_str!("sql/inbox_enter.sql"));
    let done = query.bind(consumer).bind(&id.as_bytes()[..]).bind(now).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}
