//! Dead letters, their history, and who brought them back.

use sqlx::{Row, SqliteConnection};

use super::{due::Touched, rows::dead_row};
use crate::{
    DeathReason, Failed, Filter, MessageId,
    dialect::{Answer, AttemptRow, Audit, AuditRow, DeadRow, Item, Lease},
};

/// Adds an attempt to a message's history.
pub(super) async fn attempt(
    conn: &mut SqliteConnection,
    lease: &Lease,
    now: i64,
    item: &Item,
    failed: &Failed,
) -> Answer<()> {
    sqlx::query(include_str!("sql/attempt_add.sql"))
        .bind(&item.envelope.id.as_bytes()[..])
        .bind(now)
        .bind(failed.class.as_str())
        .bind(&failed.error)
        .bind(&lease.owner)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Stores a message as dead.
pub(super) async fn bury(
    conn: &mut SqliteConnection,
    lease: &Lease,
    now: i64,
    item: &Item,
    (reason, failed): (DeathReason, &Failed),
) -> Answer<()> {
    let envelope = &item.envelope;
    let headers = serde_json::to_string(&envelope.headers).unwrap_or_default();
    sqlx::query(include_str!("sql/dead_put.sql"))
        .bind(item.seq)
        .bind(&envelope.id.as_bytes()[..])
        .bind(&lease.lane)
        .bind(&envelope.topic)
        .bind(envelope.key.as_deref())
        .bind(headers)
        .bind(&envelope.payload[..])
        .bind(envelope.created_at)
        .bind(now)
        .bind(reason.as_str())
        .bind(failed.class.as_str())
        .bind(&failed.error)
        .execute(conn)
        .await
        .map(|_| ())
}

pub(super) async fn page(
    conn: &mut SqliteConnection,
    filter: &Filter,
    after: i64,
    until: i64,
    limit: u32,
) -> Answer<Vec<DeadRow>> {
    let query = sqlx::query(include_str!("sql/dead_page.sql"))
        .bind(after)
        .bind(until)
        .bind(filter.id.map(|id| id.as_bytes().to_vec()))
        .bind(filter.topic.as_deref())
        .bind(filter.key.as_deref())
        .bind(filter.lane.as_deref())
        .bind(filter.class.map(crate::FailureClass::as_str))
        .bind(filter.reason.map(DeathReason::as_str))
        .bind(filter.since)
        .bind(filter.before)
        .bind(limit);
    query.fetch_all(conn).await?.iter().map(dead_row).collect()
}

pub(super) async fn count(conn: &mut SqliteConnection, filter: &Filter) -> Answer<(u64, i64)> {
    let query = sqlx::query(include_str!("sql/dead_count.sql"))
        .bind(filter.id.map(|id| id.as_bytes().to_vec()))
        .bind(filter.topic.as_deref())
        .bind(filter.key.as_deref())
        .bind(filter.lane.as_deref())
        .bind(filter.class.map(crate::FailureClass::as_str))
        .bind(filter.reason.map(DeathReason::as_str))
        .bind(filter.since)
        .bind(filter.before);
    let row = query.fetch_one(conn).await?;
    Ok((row.try_get::<i64, _>(0)?.unsigned_abs(), row.try_get(1)?))
}

pub(super) async fn attempts(
    conn: &mut SqliteConnection,
    id: MessageId,
) -> Answer<Vec<AttemptRow>> {
    let query = sqlx::query(include_str!("sql/attempt_list.sql")).bind(&id.as_bytes()[..]);
    let rows = query.fetch_all(conn).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(AttemptRow {
            n: row.try_get(0)?,
            at: row.try_get(1)?,
            class: row.try_get(2)?,
            error: row.try_get(3)?,
            relay: row.try_get(4)?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn audit_begin(conn: &mut SqliteConnection, audit: &Audit<'_>) -> Answer<i64> {
    let query = sqlx::query(include_str!("sql/redrive_begin.sql"))
        .bind(audit.at)
        .bind(audit.act)
        .bind(audit.operator)
        .bind(audit.reason)
        .bind(audit.filter);
    Ok(query.execute(conn).await?.last_insert_rowid())
}

pub(super) async fn audit_progress(
    conn: &mut SqliteConnection,
    batch: i64,
    moved: u64,
    finished: Option<i64>,
) -> Answer<()> {
    let moved = i64::try_from(moved).unwrap_or(i64::MAX);
    let query = sqlx::query(include_str!("sql/redrive_progress.sql"));
    query.bind(batch).bind(moved).bind(finished).execute(conn).await.map(|_| ())
}

pub(super) async fn audit_page(
    conn: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Answer<Vec<AuditRow>> {
    let query = sqlx::query(include_str!("sql/redrive_list.sql")).bind(after).bind(limit);
    let rows = query.fetch_all(conn).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(AuditRow {
            batch: row.try_get(0)?,
            at: row.try_get(1)?,
            act: row.try_get(2)?,
            operator: row.try_get(3)?,
            reason: row.try_get(4)?,
            filter: row.try_get(5)?,
            moved: row.try_get::<i64, _>(6)?.unsigned_abs(),
            finished_at: row.try_get(7)?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn redrive(conn: &mut SqliteConnection, seq: i64, now: i64) -> Answer<bool> {
    let put = sqlx::query(include_str!("sql/dead_redrive.sql")).bind(seq).bind(now);
    if put.execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(false);
    }
    take(conn, seq).await
}

pub(super) async fn discard(conn: &mut SqliteConnection, seq: i64) -> Answer<bool> {
    let sql = include_str!("sql/due_unstone.sql");
    sqlx::query(sql).bind(seq).execute(&mut *conn).await?;
    take(conn, seq).await
}

/// Removes the dead letter and lets its key go on.
async fn take(conn: &mut SqliteConnection, seq: i64) -> Answer<bool> {
    let query = sqlx::query(include_str!("sql/dead_take.sql")).bind(seq);
    let Some(row) = query.fetch_optional(&mut *conn).await? else { return Ok(false) };
    let (lane, key): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    let mut touched = Touched::default();
    touched.add(key.as_deref());
    touched.promote(conn, &lane).await?;
    Ok(true)
}
