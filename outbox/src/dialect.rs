//! What an outbox needs of a database: the seam between the engine-neutral code and the SQL.
#![expect(unnameable_types, reason = "the seam is sealed: engines come with this crate")]

use std::{fmt, sync::Arc};

use sqlx::{Database, Transaction};

use crate::{DeathReason, Envelope, Failed, Filter, Health, Message, MessageId};

/// A database that this crate has an engine for.
///
/// Sealed: engines come with this crate, as features.
pub trait Dialect: Engine {}

/// Answer of the driver.
pub(crate) type Answer<T> = Result<T, sqlx::Error>;

/// Statements of one database. Times are milliseconds since the epoch, given by the caller.
pub trait Engine: Database + Sized {
    /// Opens a transaction that may write, at once rather than at its first write.
    const BEGIN: &'static str;

    /// Newest version of the schema known here.
    const SCHEMA: i64;

    /// Whether another writer was in the way, so that nothing was done.
    fn is_busy(error: &sqlx::Error) -> bool;

    /// Brings the schema up to date inside `tx`; returns the version found.
    fn migrate(
        tx: &mut Transaction<'static, Self>,
        now: i64,
    ) -> impl Future<Output = Answer<i64>> + Send;

    /// Stores messages with the ids given.
    fn append(
        conn: &mut Self::Connection,
        messages: &[(MessageId, &Message)],
        now: i64,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Removes a message that no relay has claimed.
    fn cancel(
        conn: &mut Self::Connection,
        id: MessageId,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Whether a lane has something to do. Writes nothing.
    fn peek(conn: &mut Self::Connection, lane: &str) -> impl Future<Output = Answer<Peek>> + Send;

    /// Takes or keeps the lease of a lane and claims a batch.
    fn claim(
        conn: &mut Self::Connection,
        ask: Claim<'_>,
    ) -> impl Future<Output = Answer<Claimed>> + Send;

    /// Prolongs a lease; false if it is not ours any more.
    fn renew(
        conn: &mut Self::Connection,
        lease: &Lease,
        until: i64,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Records what became of a batch; false, and nothing written, if the lease is not ours any more.
    fn settle(
        conn: &mut Self::Connection,
        lease: &Lease,
        batch: &Settlement,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Removes finished rows, at most `limit` of each kind.
    fn purge(
        conn: &mut Self::Connection,
        purge: &Purge<'_>,
    ) -> impl Future<Output = Answer<u64>> + Send;

    /// Counts what is where.
    fn health(conn: &mut Self::Connection, now: i64)
    -> impl Future<Output = Answer<Health>> + Send;

    /// Dead letters after `after` up to `until`, by `seq`.
    fn dead_page(
        conn: &mut Self::Connection,
        filter: &Filter,
        after: i64,
        until: i64,
        limit: u32,
    ) -> impl Future<Output = Answer<Vec<DeadRow>>> + Send;

    /// How many dead letters match, and the highest `seq` of any.
    fn dead_count(
        conn: &mut Self::Connection,
        filter: &Filter,
    ) -> impl Future<Output = Answer<(u64, i64)>> + Send;

    /// Counted attempts of a message.
    fn attempts(
        conn: &mut Self::Connection,
        id: MessageId,
    ) -> impl Future<Output = Answer<Vec<AttemptRow>>> + Send;

    /// Writes the audit row of a redrive before anything is moved.
    fn audit_begin(
        conn: &mut Self::Connection,
        audit: &Audit<'_>,
    ) -> impl Future<Output = Answer<i64>> + Send;

    /// Adds to the audit row what was moved.
    fn audit_progress(
        conn: &mut Self::Connection,
        batch: i64,
        moved: u64,
        finished: Option<i64>,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Audit rows after `after`.
    fn audit_page(
        conn: &mut Self::Connection,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Answer<Vec<AuditRow>>> + Send;

    /// Brings one dead letter back to its place; false if it is gone already.
    fn redrive(
        conn: &mut Self::Connection,
        seq: i64,
        now: i64,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Throws one dead letter away; false if it is gone already.
    fn discard(conn: &mut Self::Connection, seq: i64) -> impl Future<Output = Answer<bool>> + Send;

    /// Counts a delivery: how many so far, and whether the message is done.
    fn inbox_count(
        conn: &mut Self::Connection,
        consumer: &str,
        id: MessageId,
        now: i64,
    ) -> impl Future<Output = Answer<(u32, bool)>> + Send;

    /// Takes counted deliveries back: their handler came to an end.
    fn inbox_uncount(
        conn: &mut Self::Connection,
        consumer: &str,
        id: MessageId,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Marks a message as done; false if it was done before.
    fn inbox_enter(
        conn: &mut Self::Connection,
        consumer: &str,
        id: MessageId,
        now: i64,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Reads an idempotency key that has not expired.
    fn key_read(
        conn: &mut Self::Connection,
        key: &str,
        now: i64,
    ) -> impl Future<Output = Answer<Option<KeyRow>>> + Send;

    /// Stores a key as started.
    fn key_start(
        conn: &mut Self::Connection,
        start: &KeyStart<'_>,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Changes the state of a key; false if it was in no state to be changed so.
    fn key_change(
        conn: &mut Self::Connection,
        key: &str,
        change: KeyChange<'_>,
    ) -> impl Future<Output = Answer<bool>> + Send;
}

/// What one look at a lane says.
#[derive(Debug)]
pub struct Peek {
    pub owner: String,
    pub lease_until: i64,
    pub backlog: bool,
    pub next_at: Option<i64>,
}

/// Who works on a lane. Every write of a relay names it.
#[derive(Clone, Debug)]
pub struct Lease {
    pub lane: String,
    pub owner: String,
    pub epoch: i64,
}

/// Question of a relay for a batch.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub lane: &'a str,
    pub owner: &'a str,
    /// Owners of this process that are known to have stopped.
    pub is_gone: &'a (dyn Fn(&str) -> bool + Send + Sync),
    pub now: i64,
    pub lease_until: i64,
    pub limit: u32,
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("lane", &self.lane)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// Answer to a [`Claim`].
#[derive(Debug)]
pub enum Claimed {
    /// Somebody else works on the lane until then.
    Held { until: i64 },
    /// A batch, perhaps empty.
    Batch(Batch),
}

/// Messages claimed together.
#[derive(Debug)]
pub struct Batch {
    pub lease: Lease,
    pub position: i64,
    pub taken_over: bool,
    pub recovered: u64,
    pub items: Vec<Item>,
}

/// A claimed message.
#[derive(Clone, Debug)]
pub struct Item {
    pub seq: i64,
    pub envelope: Arc<Envelope>,
    /// From `due` rather than from the log.
    pub due: bool,
    /// An earlier message of its key waits, so it goes behind that one.
    pub parked: bool,
    pub tries: u32,
    pub first_at: Option<i64>,
    pub wait_ms: i64,
    /// Deliveries begun before this one and never finished.
    pub claims: u32,
    /// An earlier attempt may have reached the other side.
    pub uncertain: bool,
    /// Why the row could not be read.
    pub broken: Option<String>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Settlement {
    pub now: i64,
    pub lease_until: i64,
    pub position: i64,
    pub settled: Vec<(Item, Fate)>,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Confirmed.
    Sent,
    /// To be tried again at `at`.
    Again {
        at: i64,
        tries: u32,
        first_at: Option<i64>,
        wait_ms: i64,
        uncertain: bool,
        counted: Option<Failed>,
    },
    /// Given up.
    Dead { reason: DeathReason, failed: Failed, block: bool },
}

/// Horizons of a purge; rows older than them go.
#[derive(Debug)]
pub struct Purge<'a> {
    pub lane: &'a str,
    pub position: i64,
    pub now: i64,
    pub sent_before: i64,
    pub attempts_before: i64,
    pub inbox_before: i64,
    pub limit: u32,
}

/// A row of the dead table.
#[derive(Debug)]
pub struct DeadRow {
    pub seq: i64,
    pub lane: String,
    pub envelope: Envelope,
    pub died_at: i64,
    pub reason: DeathReason,
    pub class: String,
    pub error: String,
}

/// A row of the attempts table.
#[derive(Debug)]
pub struct AttemptRow {
    pub n: u32,
    pub at: i64,
    pub class: String,
    pub error: String,
    pub relay: String,
}

/// A new row of the audit table.
#[derive(Debug)]
pub struct Audit<'a> {
    pub at: i64,
    pub act: &'static str,
    pub operator: &'a str,
    pub reason: &'a str,
    pub filter: &'a str,
}

/// A stored row of the audit table.
#[derive(Debug)]
pub struct AuditRow {
    pub batch: i64,
    pub at: i64,
    pub act: String,
    pub operator: String,
    pub reason: String,
    pub filter: String,
    pub moved: u64,
    pub finished_at: Option<i64>,
}

/// A stored idempotency key.
#[derive(Debug)]
pub struct KeyRow {
    pub fingerprint: Option<Vec<u8>>,
    pub state: KeyState,
    pub lease_until: i64,
    pub result: Option<Vec<u8>>,
}

/// What is known of a key's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Started,
    Done,
    Unknown,
}

/// A key to store as started.
#[derive(Debug)]
pub struct KeyStart<'a> {
    pub key: &'a str,
    pub fingerprint: Option<&'a [u8]>,
    pub token: &'a [u8],
    pub lease_until: i64,
    pub now: i64,
    pub expires_at: i64,
}

/// Change of a stored key.
#[derive(Debug)]
pub enum KeyChange<'a> {
    /// The starter knows the result.
    Done { token: &'a [u8], result: &'a [u8] },
    /// The starter does not know what became of it.
    Unknown { token: &'a [u8] },
    /// The starter knows that nothing happened.
    Forget { token: &'a [u8] },
    /// The starter's lease is over.
    Lapse { now: i64 },
    /// An inquiry found the result.
    ResolveDone { result: &'a [u8], now: i64 },
    /// An inquiry found that nothing happened.
    ResolveRetry { now: i64 },
}
