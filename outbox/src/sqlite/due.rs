//! Retried and parked messages; which of them is the head of its key.

use std::collections::BTreeSet;

use sqlx::{Row, SqliteConnection};

use super::rows::due_item;
use crate::dialect::{Answer, Item, Lease};

/// Keys whose order a transaction touched; heads are chosen once, at its end.
#[derive(Debug, Default)]
pub(super) struct Touched(BTreeSet<String>);

impl Touched {
    pub(super) fn add(&mut self, key: Option<&str>) {
        self.0.extend(key.map(str::to_owned));
    }

    pub(super) async fn promote(self, conn: &mut SqliteConnection, lane: &str) -> Answer<()> {
        for key in self.0 {
            demote(conn, lane, &key).await?;
            promote(conn, lane, &key).await?;
        }
        Ok(())
    }
}

/// Makes the earliest message of a key its head.
pub(super) async fn promote(conn: &mut SqliteConnection, lane: &str, key: &str) -> Answer<()> {
    let sql = include_str!("sql/due_promote.sql");
    sqlx::query(sql).bind(lane).bind(key).execute(conn).await.map(|_| ())
}

/// Makes a head step back behind an earlier message that returned.
pub(super) async fn demote(conn: &mut SqliteConnection, lane: &str, key: &str) -> Answer<()> {
    let sql = include_str!("sql/due_demote.sql");
    sqlx::query(sql).bind(lane).bind(key).execute(conn).await.map(|_| ())
}

/// Claims what may be sent now: one suspect alone, or heads with some of their followers.
pub(super) async fn claim(
    conn: &mut SqliteConnection,
    lane: &str,
    now: i64,
    limit: u32,
) -> Answer<Vec<Item>> {
    let mut items = match suspect(conn, lane).await? {
        Some(item) => vec![item],
        None => heads(conn, lane, now, limit).await?,
    };
    let alone = items.iter().any(|item| item.claims > 0);
    if !alone {
        for at in 0..items.len() {
            let left = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
            let more = followers(conn, &items[at], (lane, now), left).await?;
            items.extend(more);
        }
    }
    if !items.is_empty() {
        let claimed: Vec<i64> = items.iter().map(|item| item.seq).collect();
        let claimed = serde_json::json!(claimed).to_string();
        sqlx::query(include_str!("sql/due_claim.sql")).bind(claimed).execute(conn).await?;
    }
    Ok(items)
}

async fn suspect(conn: &mut SqliteConnection, lane: &str) -> Answer<Option<Item>> {
    let row =
        sqlx::query(include_str!("sql/due_suspect.sql")).bind(lane).fetch_optional(conn).await?;
    row.as_ref().map(due_item).transpose()
}

async fn heads(conn: &mut SqliteConnection, lane: &str, now: i64, limit: u32) -> Answer<Vec<Item>> {
    let query = sqlx::query(include_str!("sql/due_heads.sql")).bind(lane).bind(now).bind(limit);
    query.fetch_all(conn).await?.iter().map(due_item).collect()
}

/// Messages of the head's key that may be sent right after it.
async fn followers(
    conn: &mut SqliteConnection,
    head: &Item,
    (lane, now): (&str, i64),
    limit: u32,
) -> Answer<Vec<Item>> {
    let Some(key) = head.envelope.key.as_deref().filter(|_| limit > 0) else {
        return Ok(Vec::new());
    };
    let query = sqlx::query(include_str!("sql/due_followers.sql"))
        .bind(lane)
        .bind(key)
        .bind(head.seq)
        .bind(limit)
        .bind(now);
    let mut items = Vec::new();
    for row in query.fetch_all(conn).await? {
        if row.try_get("stops")? {
            break;
        }
        items.push(due_item(&row)?);
    }
    Ok(items)
}

/// Puts the window that a dead relay had claimed aside; each message is then tried alone.
pub(super) async fn recover(
    conn: &mut SqliteConnection,
    lane: &str,
    (after, to): (i64, i64),
    now: i64,
) -> Answer<u64> {
    let keys: Vec<String> = sqlx::query_scalar(include_str!("sql/due_recovered_keys.sql"))
        .bind(lane)
        .bind(after)
        .bind(to)
        .fetch_all(&mut *conn)
        .await?;
    let moved = sqlx::query(include_str!("sql/due_recover.sql"))
        .bind(lane)
        .bind(after)
        .bind(to)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    Touched(keys.into_iter().collect()).promote(conn, lane).await?;
    Ok(moved.rows_affected())
}

/// What a message needs to be tried again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) at: i64,
    pub(super) tries: u32,
    pub(super) first_at: Option<i64>,
    pub(super) wait_ms: i64,
    pub(super) uncertain: bool,
}

/// Stores a message of the log, or updates one that was tried before.
pub(super) async fn put(
    conn: &mut SqliteConnection,
    lease: &Lease,
    item: &Item,
    again: &Again,
) -> Answer<()> {
    let envelope = &item.envelope;
    let headers = serde_json::to_string(&envelope.headers).unwrap_or_default();
    sqlx::query(include_str!("sql/due_put.sql"))
        .bind(item.seq)
        .bind(&envelope.id.as_bytes()[..])
        .bind(&lease.lane)
        .bind(&envelope.topic)
        .bind(envelope.key.as_deref())
        .bind(headers)
        .bind(&envelope.payload[..])
        .bind(envelope.created_at)
        .bind(again.at)
        .bind(again.tries)
        .bind(again.first_at)
        .bind(again.wait_ms)
        .bind(again.uncertain)
        .execute(conn)
        .await
        .map(|_| ())
}

pub(super) async fn remove(conn: &mut SqliteConnection, seq: i64) -> Answer<()> {
    sqlx::query(include_str!("sql/due_remove.sql")).bind(seq).execute(conn).await.map(|_| ())
}

/// Holds the place of a dead message.
pub(super) async fn stone(conn: &mut SqliteConnection, seq: i64) -> Answer<()> {
    sqlx::query(include_str!("sql/due_stone.sql")).bind(seq).execute(conn).await.map(|_| ())
}
