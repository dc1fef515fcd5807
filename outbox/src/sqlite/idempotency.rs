//! Idempotency keys.

use sqlx::{Row, SqliteConnection};

use crate::dialect::{Answer, KeyChange, KeyRow, KeyStart, KeyState};

pub(super) async fn read(
    conn: &mut SqliteConnection,
    key: &str,
    now: i64,
) -> Answer<Option<KeyRow>> {
    let query = sqlx::query(include_str!("sql/idempotency_read.sql")).bind(key).bind(now);
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    let state = match row.try_get::<i64, _>(1)? {
        0 => KeyState::Started,
        1 => KeyState::Done,
        _ => KeyState::Unknown,
    };
    let (fingerprint, lease_until, result) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    Ok(Some(KeyRow { fingerprint, state, lease_until, result }))
}

pub(super) async fn start(conn: &mut SqliteConnection, start: &KeyStart<'_>) -> Answer<bool> {
    let query = sqlx::query(include_str!("sql/idempotency_start.sql"))
        .bind(start.key)
        .bind(start.fingerprint)
        .bind(start.token)
        .bind(start.lease_until)
        .bind(start.now)
        .bind(start.expires_at);
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

pub(super) async fn change(
    conn: &mut SqliteConnection,
    key: &str,
    change: KeyChange<'_>,
) -> Answer<bool> {
    let query = match change {
        KeyChange::Done { token, result } => {
            sqlx::query(include_str!("sql/idempotency_done.sql")).bind(key).bind(token).bind(result)
        }
        KeyChange::Unknown { token } => {
            sqlx::query(include_str!("sql/idempotency_unknown.sql")).bind(key).bind(token)
        }
        KeyChange::Forget { token } => {
            sqlx::query(include_str!("sql/idempotency_forget.sql")).bind(key).bind(token)
        }
        KeyChange::Lapse { now } => {
            sqlx::query(include_str!("sql/idempotency_lapse.sql")).bind(key).bind(now)
        }
        KeyChange::ResolveDone { result, now } => {
            sqlx::query(include_str!("sql/idempotency_resolve_done.sql"))
                .bind(key)
                .bind(result)
                .bind(now)
        }
        KeyChange::ResolveRetry { now } => {
            sqlx::query(include_str!("sql/idempotency_resolve_retry.sql")).bind(key).bind(now)
        }
    };
    Ok(query.execute(conn).await?.rows_affected() > 0)
}
