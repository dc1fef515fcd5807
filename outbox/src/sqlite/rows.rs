//! Reads rows; one that cannot be read is reported as broken and stops no other.

use std::sync::Arc;

use sqlx::{Row, sqlite::SqliteRow};

use crate::{
    DeathReason, Envelope, Headers, MessageId,
    dialect::{Answer, DeadRow, Item},
};

/// The message of a row, and why it could not be read.
fn envelope(row: &SqliteRow) -> Answer<(Envelope, Option<String>)> {
    let id: Vec<u8> = row.try_get("id")?;
    let headers: String = row.try_get("headers")?;
    let mut broken = None;
    let id = <[u8; 16]>::try_from(id.as_slice()).unwrap_or_else(|_| {
        broken = Some(format!("the id has {} bytes instead of 16", id.len()));
        [0; 16]
    });
    let headers = serde_json::from_str(&headers).unwrap_or_else(|error| {
        broken = Some(format!("the headers cannot be read: {error}"));
        Headers::new()
    });
    let envelope = Envelope {
        id: MessageId::from_bytes(id),
        topic: row.try_get("topic")?,
        key: row.try_get("key")?,
        headers,
        payload: row.try_get("payload")?,
        created_at: row.try_get("created_at")?,
    };
    Ok((envelope, broken))
}

pub(super) fn log_item(row: &SqliteRow) -> Answer<Item> {
    let (envelope, broken) = envelope(row)?;
    Ok(Item {
        seq: row.try_get("seq")?,
        envelope: Arc::new(envelope),
        due: false,
        parked: row.try_get("parked")?,
        tries: 0,
        first_at: None,
        wait_ms: 0,
        claims: 0,
        uncertain: false,
        broken,
    })
}

pub(super) fn due_item(row: &SqliteRow) -> Answer<Item> {
    let (envelope, broken) = envelope(row)?;
    Ok(Item {
        seq: row.try_get("seq")?,
        envelope: Arc::new(envelope),
        due: true,
        parked: false,
        tries: row.try_get("tries")?,
        first_at: row.try_get("first_at")?,
        wait_ms: row.try_get("wait_ms")?,
        claims: row.try_get("claims")?,
        uncertain: row.try_get("uncertain")?,
        broken,
    })
}

pub(super) fn dead_row(row: &SqliteRow) -> Answer<DeadRow> {
    Ok(DeadRow {
        seq: row.try_get("seq")?,
        lane: row.try_get("lane")?,
        envelope: envelope(row)?.0,
        died_at: row.try_get("died_at")?,
        reason: DeathReason::parse(row.try_get("reason")?),
        class: row.try_get("class")?,
        error: row.try_get("error")?,
    })
}
