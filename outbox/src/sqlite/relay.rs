//! Claims and settles batches. Called inside a write transaction.

use sqlx::{Row, SqliteConnection};

use super::{
    dead,
    due::{self, Again, Touched},
    rows::log_item,
};
use crate::dialect::{Answer, Batch, Claim, Claimed, Fate, Item, Lease, Peek, Settlement};

pub(super) async fn peek(conn: &mut SqliteConnection, lane: &str) -> Answer<Peek> {
    let row = sqlx::query(include_str!("sql/peek.sql")).bind(lane).fetch_one(conn).await?;
    let (retry, due): (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Peek {
        owner: row.try_get(0)?,
        lease_until: row.try_get(1)?,
        backlog: row.try_get(2)?,
        next_at: retry.into_iter().chain(due).min(),
    })
}

struct Cursor {
    owner: Option<String>,
    epoch: i64,
    lease_until: i64,
    position: i64,
    claimed_to: i64,
}

async fn cursor(conn: &mut SqliteConnection, lane: &str) -> Answer<Cursor> {
    sqlx::query(include_str!("sql/cursor_add.sql")).bind(lane).execute(&mut *conn).await?;
    let row = sqlx::query(include_str!("sql/cursor_read.sql")).bind(lane).fetch_one(conn).await?;
    Ok(Cursor {
        owner: row.try_get(0)?,
        epoch: row.try_get(1)?,
        lease_until: row.try_get(2)?,
        position: row.try_get(3)?,
        claimed_to: row.try_get(4)?,
    })
}

pub(super) async fn claim(conn: &mut SqliteConnection, ask: Claim<'_>) -> Answer<Claimed> {
    let Claim { lane, now, limit, .. } = ask;
    let cursor = cursor(conn, lane).await?;
    let owner = cursor.owner.as_deref();
    let mine = owner == Some(ask.owner);
    let held = cursor.lease_until > now && owner.is_some_and(|owner| !(ask.is_gone)(owner));
    if held && !mine {
        return Ok(Claimed::Held { until: cursor.lease_until });
    }
    // A window that was claimed and not settled may have been sent, by whomever.
    let window = (cursor.position, cursor.claimed_to);
    let recovered =
        if window.1 > window.0 { due::recover(conn, lane, window, now).await? } else { 0 };
    let position = window.0.max(window.1);
    let epoch = if mine { cursor.epoch } else { cursor.epoch + 1 };

    move_schedule(conn, lane, now, limit).await?;
    let mut items = due::claim(conn, lane, now, limit).await?;
    let alone = items.iter().any(|item| item.claims > 0);
    if !alone {
        let left = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
        items.extend(read_log(conn, lane, position, left).await?);
    }
    let claimed_to = items.iter().filter(|item| !item.due).map(|item| item.seq).max();
    let claimed_to = claimed_to.unwrap_or(position);
    sqlx::query(include_str!("sql/cursor_claim.sql"))
        .bind(lane)
        .bind(ask.owner)
        .bind(epoch)
        .bind(ask.lease_until)
        .bind(position)
        .bind(claimed_to)
        .execute(conn)
        .await?;
    let lease = Lease { lane: lane.into(), owner: ask.owner.into(), epoch };
    Ok(Claimed::Batch(Batch { lease, position: claimed_to, taken_over: !mine, recovered, items }))
}

async fn move_schedule(
    conn: &mut SqliteConnection,
    lane: &str,
    now: i64,
    limit: u32,
) -> Answer<()> {
    let moved = sqlx::query(include_str!("sql/schedule_move.sql")).bind(lane).bind(now).bind(limit);
    if moved.execute(&mut *conn).await?.rows_affected() > 0 {
        let sql = include_str!("sql/schedule_remove.sql");
        sqlx::query(sql).bind(lane).bind(now).bind(limit).execute(conn).await?;
    }
    Ok(())
}

async fn read_log(
    conn: &mut SqliteConnection,
    lane: &str,
    after: i64,
    limit: u32,
) -> Answer<Vec<Item>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let query = sqlx::query(include_str!("sql/log_read.sql")).bind(lane).bind(after).bind(limit);
    query.fetch_all(conn).await?.iter().map(log_item).collect()
}

pub(super) async fn renew(conn: &mut SqliteConnection, lease: &Lease, until: i64) -> Answer<bool> {
    let done = sqlx::query(include_str!("sql/cursor_renew.sql"))
        .bind(&lease.lane)
        .bind(&lease.owner)
        .bind(lease.epoch)
        .bind(until)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn settle(
    conn: &mut SqliteConnection,
    lease: &Lease,
    batch: &Settlement,
) -> Answer<bool> {
    let fenced = sqlx::query(include_str!("sql/cursor_advance.sql"))
        .bind(&lease.lane)
        .bind(&lease.owner)
        .bind(lease.epoch)
        .bind(batch.position)
        .bind(batch.lease_until)
        .execute(&mut *conn)
        .await?;
    if fenced.rows_affected() == 0 {
        return Ok(false);
    }
    let mut touched = Touched::default();
    for (item, fate) in &batch.settled {
        settle_one(conn, lease, batch.now, item, fate).await?;
        if item.due || *fate != Fate::Sent {
            touched.add(item.envelope.key.as_deref());
        }
    }
    touched.promote(conn, &lease.lane).await?;
    Ok(true)
}

async fn settle_one(
    conn: &mut SqliteConnection,
    lease: &Lease,
    now: i64,
    item: &Item,
    fate: &Fate,
) -> Answer<()> {
    match fate {
        // Nothing to write for a message of the log: the cursor has passed it.
        Fate::Sent if !item.due => Ok(()),
        Fate::Sent => due::remove(conn, item.seq).await,
        Fate::Again { at, tries, first_at, wait_ms, uncertain, counted } => {
            if let Some(failed) = counted {
                dead::attempt(conn, lease, now, item, failed).await?;
            }
            let (at, tries, first_at) = (*at, *tries, *first_at);
            let again = Again { at, tries, first_at, wait_ms: *wait_ms, uncertain: *uncertain };
            due::put(conn, lease, item, &again).await
        }
        Fate::Dead { reason, failed, block } => {
            dead::attempt(conn, lease, now, item, failed).await?;
            dead::bury(conn, lease, now, item, (*reason, failed)).await?;
            due::remove(conn, item.seq).await?;
            if *block && item.envelope.key.is_some() {
                due::stone(conn, item.seq).await?;
            }
            Ok(())
        }
    }
}
