//! Who was first, and what the others get.

use std::{fmt, time::Duration};

use mainstay_core::{Key, KeyError};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    Event, MessageId, Outbox, OutboxError,
    dialect::{Dialect, KeyChange, KeyRow, KeyStart, KeyState},
    error::During,
    outbox::millis,
};
use sqlx::Database;

/// What a key says about a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Claim<DB: Database = sqlx::Sqlite> {
    /// Nobody used the key: do the work, then finish with the token.
    First(ClaimToken<DB>),
    /// The work was done; this is its result.
    Replay(Stored),
    /// The first request is still running.
    InProgress {
        /// When its outcome is known at the latest.
        retry_after: Duration,
    },
    /// The key was used with other parameters.
    Conflict,
    /// The work was started and nobody knows how it ended. Find out, then [`resolve`](crate::IdempotentRequest::resolve_done).
    Unknown,
}

/// A stored result.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored(pub(super) Vec<u8>);

impl Stored {
    /// Reads the result.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Json`] if it is of another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutboxError> {
        serde_json::from_slice(&self.0)
            .map_err(|error| OutboxError::json("the stored result", &error))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({} bytes)", self.0.len())
    }
}

/// The right, and the duty, to say how the first request of a key ended.
///
/// # Cancel safety
///
/// Dropping it leaves the key `started`: once its lease is over the outcome counts as unknown.
#[derive(Debug)]
#[must_use = "a key that is not finished becomes unknown"]
pub struct ClaimToken<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
    key: Key,
    token: MessageId,
}

impl<DB: Dialect> ClaimToken<DB> {
    /// Stores the result.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Json`], [`OutboxError::Busy`], [`OutboxError::Database`].
    pub async fn finish<T: Serialize + Sync + ?Sized>(self, value: &T) -> Result<(), OutboxError> {
        let bytes = to_json(value)?;
        self.change(KeyChange::Done { token: self.token.as_bytes(), result: &bytes }).await
    }

    /// Stores the result in the caller's transaction.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Json`], [`OutboxError::Database`].
    pub async fn finish_in<T: Serialize + Sync + ?Sized>(
        self,
        conn: &mut DB::Connection,
        value: &T,
    ) -> Result<(), OutboxError> {
        let bytes = to_json(value)?;
        self.store(conn, &bytes).await
    }

    /// Nobody knows what became of the work: later requests are told so.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Busy`], [`OutboxError::Database`].
    pub async fn unknown(self) -> Result<(), OutboxError> {
        self.change(KeyChange::Unknown { token: self.token.as_bytes() }).await
    }

    /// The work certainly had no effect: the key may be used again.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Busy`], [`OutboxError::Database`].
    pub async fn forget(self) -> Result<(), OutboxError> {
        self.change(KeyChange::Forget { token: self.token.as_bytes() }).await
    }

    pub(super) async fn store(
        &self,
        conn: &mut DB::Connection,
        result: &[u8],
    ) -> Result<(), OutboxError> {
        let change = KeyChange::Done { token: self.token.as_bytes(), result };
        DB::key_change(conn, self.key.as_str(), change).await.during("store a result").map(|_| ())
    }

    pub(super) async fn change(&self, change: KeyChange<'_>) -> Result<(), OutboxError> {
        let mut open = self.outbox.begin().await?;
        let changed = DB::key_change(open.conn(), self.key.as_str(), change).await;
        changed.during("finish an idempotency key")?;
        open.commit().await
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.token.as_bytes()
    }
}

/// A key, what the caller asks for under it, and for how long it is remembered.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) key: Result<Key, KeyError>,
    pub(super) fingerprint: Option<Result<Vec<u8>, OutboxError>>,
    pub(super) ttl: Duration,
    pub(super) lease: Duration,
}

/// Looks a key up and starts it if nobody did. Runs inside a write transaction; the caller commits.
pub(super) async fn claim<DB: Dialect>(
    outbox: &Outbox<DB>,
    conn: &mut DB::Connection,
    ask: &Ask,
) -> Result<Claim<DB>, OutboxError> {
    let key = ask.key.clone()?;
    let fingerprint = ask.fingerprint.clone().transpose()?;
    let now = outbox.now();
    let found = DB::key_read(conn, key.as_str(), now).await.during("read an idempotency key")?;
    if let Some(row) = found {
        return found_key(outbox, conn, (&key, fingerprint.as_deref()), row).await;
    }
    let token = MessageId::at(outbox.clock().wall());
    let start = KeyStart {
        key: key.as_str(),
        fingerprint: fingerprint.as_deref(),
        token: token.as_bytes(),
        lease_until: now.saturating_add(millis(ask.lease)),
        now,
        expires_at: now.saturating_add(millis(ask.ttl)),
    };
    DB::key_start(conn, &start).await.during("start an idempotency key")?;
    Ok(Claim::First(ClaimToken { outbox: outbox.clone(), key, token }))
}

async fn found_key<DB: Dialect>(
    outbox: &Outbox<DB>,
    conn: &mut DB::Connection,
    (key, fingerprint): (&Key, Option<&[u8]>),
    row: KeyRow,
) -> Result<Claim<DB>, OutboxError> {
    if row.fingerprint.as_deref() != fingerprint {
        return Ok(Claim::Conflict);
    }
    let now = outbox.now();
    match row.state {
        KeyState::Done => {
            outbox.event(&Event::Replayed);
            Ok(Claim::Replay(Stored(row.result.unwrap_or_default())))
        }
        KeyState::Started if row.lease_until > now => {
            let left = (row.lease_until - now).unsigned_abs();
            Ok(Claim::InProgress { retry_after: Duration::from_millis(left) })
        }
        // Started => Unknown: the starter is gone. Nobody runs it again.
        KeyState::Started => {
            let change = KeyChange::Lapse { now };
            DB::key_change(conn, key.as_str(), change).await.during("mark a key as unknown")?;
            Ok(Claim::Unknown)
        }
        KeyState::Unknown => Ok(Claim::Unknown),
    }
}

/// Digest of a request's parameters; equal values give equal digests whatever the order of a map.
pub(super) fn fingerprint<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, OutboxError> {
    let canonical = serde_json::to_value(value)
        .map_err(|error| OutboxError::json("the fingerprint", &error))?;
    Ok(Sha256::digest(to_json(&canonical)?).to_vec())
}

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, OutboxError> {
    serde_json::to_vec(value).map_err(|error| OutboxError::json("the result to store", &error))
}
