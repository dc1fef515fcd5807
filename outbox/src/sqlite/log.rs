//! The log, the schedule, and what is removed from them.

use std::time::Duration;

use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqliteConnection, query_builder::Separated};

use super::due;
use crate::{
    Health, Message, MessageId,
    dialect::{Answer, Purge},
};

/// Rows of one statement: SQLite takes 32,766 parameters at most.
const ROWS: usize = 1000;

pub(super) async fn append(
    conn: &mut SqliteConnection,
    messages: &[(MessageId, &Message)],
    now: i64,
) -> Answer<()> {
    if let [(id, message)] = messages {
        return append_one(conn, *id, message, now).await;
    }
    let (later, at_once): (Vec<_>, Vec<_>) =
        messages.iter().partition(|(_, message)| message.delay.is_some());
    for chunk in at_once.chunks(ROWS) {
        let mut statement = QueryBuilder::<Sqlite>::new(include_str!("sql/log_append_many.sql"));
        statement.push_values(chunk, |mut row, (id, message)| push(&mut row, *id, message, now));
        statement.build().persistent(false).execute(&mut *conn).await?;
    }
    for chunk in later.chunks(ROWS) {
        let mut statement = QueryBuilder::<Sqlite>::new(include_str!("sql/schedule_add_many.sql"));
        statement.push_values(chunk, |mut row, (id, message)| {
            push(&mut row, *id, message, now);
            row.push_bind(due_at(message, now));
        });
        statement.build().persistent(false).execute(&mut *conn).await?;
    }
    Ok(())
}

fn push(row: &mut Separated<'_, Sqlite, &'static str>, id: MessageId, message: &Message, now: i64) {
    row.push_bind(id.as_bytes().to_vec())
        .push_bind(message.lane.clone())
        .push_bind(message.topic.clone())
        .push_bind(message.key_text().map(str::to_owned))
        .push_bind(message.headers_text())
        .push_bind(message.payload.clone())
        .push_bind(now);
}

async fn append_one(
    conn: &mut SqliteConnection,
    id: MessageId,
    message: &Message,
    now: i64,
) -> Answer<()> {
    let sql = match message.delay {
        None => include_str!("sql/log_append.sql"),
        Some(_) => include_str!("sql/schedule_add.sql"),
    };
    let headers = message.headers_text();
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(&id.as_bytes()[..])
        .bind(&message.lane)
        .bind(&message.topic)
        .bind(message.key_text())
        .bind(headers)
        .bind(&message.payload[..])
        .bind(now);
    if message.delay.is_some() {
        query = query.bind(due_at(message, now));
    }
    query.execute(conn).await.map(|_| ())
}

fn due_at(message: &Message, now: i64) -> i64 {
    let delay = message.delay.unwrap_or_default();
    now.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

pub(super) async fn cancel(conn: &mut SqliteConnection, id: MessageId) -> Answer<bool> {
    let id = &id.as_bytes()[..];
    for sql in [include_str!("sql/schedule_cancel.sql"), include_str!("sql/log_cancel.sql")] {
        let done = sqlx::query(AssertSqlSafe(sql)).bind(id).execute(&mut *conn).await?;
        if done.rows_affected() > 0 {
            return Ok(true);
        }
    }
    let row =
        sqlx::query(include_str!("sql/due_cancel.sql")).bind(id).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(false) };
    let (lane, key): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    if let Some(key) = key {
        due::promote(conn, &lane, &key).await?;
    }
    Ok(true)
}

pub(super) async fn purge(conn: &mut SqliteConnection, purge: &Purge<'_>) -> Answer<u64> {
    let log = sqlx::query(include_str!("sql/log_purge.sql"))
        .bind(purge.lane)
        .bind(purge.position)
        .bind(purge.sent_before)
        .bind(purge.limit)
        .execute(&mut *conn)
        .await?;
    let mut gone = log.rows_affected();
    for (sql, before) in [
        (include_str!("sql/attempt_purge.sql"), purge.attempts_before),
        (include_str!("sql/inbox_purge.sql"), purge.inbox_before),
        (include_str!("sql/idempotency_purge.sql"), purge.now),
    ] {
        let query = sqlx::query(AssertSqlSafe(sql)).bind(before).bind(purge.limit);
        gone += query.execute(&mut *conn).await?.rows_affected();
    }
    Ok(gone)
}

pub(super) async fn health(conn: &mut SqliteConnection, now: i64) -> Answer<Health> {
    let row = sqlx::query(include_str!("sql/health.sql")).fetch_one(conn).await?;
    let count = |at: usize| row.try_get::<i64, _>(at).map(i64::unsigned_abs);
    let oldest = |at: usize| row.try_get::<Option<i64>, _>(at);
    let oldest = [oldest(6)?, oldest(7)?].into_iter().flatten().min();
    let age = |at: i64| Duration::from_millis((now - at).max(0).unsigned_abs());
    Ok(Health {
        oldest_unsent: oldest.map(age),
        unsent: count(0)?,
        scheduled: count(1)?,
        retrying: count(2)?,
        parked: count(3)?,
        blocked_keys: count(4)?,
        dead: count(5)?,
    })
}
