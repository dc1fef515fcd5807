//! The engine on SQLite.
//!
//! One file holds the business tables and the tables of this crate, so that both commit together.
//! SQLite has one writer at a time: the log's row order is the commit order, and a reader that
//! follows it misses nothing.

mod connect;
mod dead;
mod due;
mod idempotency;
mod inbox;
mod log;
mod migrate;
mod relay;
mod rows;

use sqlx::{Sqlite, SqliteConnection, Transaction, error::DatabaseError};

pub use connect::{connect_options, pool};

use crate::{
    Filter, Health, Message, MessageId,
    dialect::{
        Answer, AttemptRow, Audit, AuditRow, Claim, Claimed, DeadRow, Dialect, Engine, KeyChange,
        KeyRow, KeyStart, Lease, Peek, Purge, Settlement,
    },
};

impl Dialect for Sqlite {}

impl Engine for Sqlite {
    // A transaction that begins by reading and then wants to write fails at once when another writer was faster.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const SCHEMA: i64 = migrate::NEWEST;

    fn is_busy(error: &sqlx::Error) -> bool {
        // The low byte of an extended result code is the primary one: 5 is busy, 6 is locked.
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 5 | 6))
            || matches!(error, sqlx::Error::PoolTimedOut)
    }

    async fn migrate(tx: &mut Transaction<'static, Self>, now: i64) -> Answer<i64> {
        migrate::run(tx, now).await
    }

    async fn append(
        conn: &mut SqliteConnection,
        messages: &[(MessageId, &Message)],
        now: i64,
    ) -> Answer<()> {
        log::append(conn, messages, now).await
    }

    async fn cancel(conn: &mut SqliteConnection, id: MessageId) -> Answer<bool> {
        log::cancel(conn, id).await
    }

    async fn peek(conn: &mut SqliteConnection, lane: &str) -> Answer<Peek> {
        relay::peek(conn, lane).await
    }

    async fn claim(conn: &mut SqliteConnection, ask: Claim<'_>) -> Answer<Claimed> {
        relay::claim(conn, ask).await
    }

    async fn renew(conn: &mut SqliteConnection, lease: &Lease, until: i64) -> Answer<bool> {
        relay::renew(conn, lease, until).await
    }

    async fn settle(
        conn: &mut SqliteConnection,
        lease: &Lease,
        batch: &Settlement,
    ) -> Answer<bool> {
        relay::settle(conn, lease, batch).await
    }

    async fn purge(conn: &mut SqliteConnection, purge: &Purge<'_>) -> Answer<u64> {
        log::purge(conn, purge).await
    }

    async fn health(conn: &mut SqliteConnection, now: i64) -> Answer<Health> {
        log::health(conn, now).await
    }

    async fn dead_page(
        conn: &mut SqliteConnection,
        filter: &Filter,
        after: i64,
        until: i64,
        limit: u32,
    ) -> Answer<Vec<DeadRow>> {
        dead::page(conn, filter, after, until, limit).await
    }

    async fn dead_count(conn: &mut SqliteConnection, filter: &Filter) -> Answer<(u64, i64)> {
        dead::count(conn, filter).await
    }

    async fn attempts(conn: &mut SqliteConnection, id: MessageId) -> Answer<Vec<AttemptRow>> {
        dead::attempts(conn, id).await
    }

    async fn audit_begin(conn: &mut SqliteConnection, audit: &Audit<'_>) -> Answer<i64> {
        dead::audit_begin(conn, audit).await
    }

    async fn audit_progress(
        conn: &mut SqliteConnection,
        batch: i64,
        moved: u64,
        finished: Option<i64>,
    ) -> Answer<()> {
        dead::audit_progress(conn, batch, moved, finished).await
    }

    async fn audit_page(
        conn: &mut SqliteConnection,
        after: i64,
        limit: u32,
    ) -> Answer<Vec<AuditRow>> {
        dead::audit_page(conn, after, limit).await
    }

    async fn redrive(conn: &mut SqliteConnection, seq: i64, now: i64) -> Answer<bool> {
        dead::redrive(conn, seq, now).await
    }

    async fn discard(conn: &mut SqliteConnection, seq: i64) -> Answer<bool> {
        dead::discard(conn, seq).await
    }

    async fn inbox_count(
        conn: &mut SqliteConnection,
        consumer: &str,
        id: MessageId,
        now: i64,
    ) -> Answer<(u32, bool)> {
        inbox::count(conn, consumer, id, now).await
    }

    async fn inbox_uncount(
        conn: &mut SqliteConnection,
        consumer: &str,
        id: MessageId,
    ) -> Answer<()> {
        inbox::uncount(conn, consumer, id).await
    }

    async fn inbox_enter(
        conn: &mut SqliteConnection,
        consumer: &str,
        id: MessageId,
        now: i64,
    ) -> Answer<bool> {
        inbox::enter(conn, consumer, id, now).await
    }

    async fn key_read(conn: &mut SqliteConnection, key: &str, now: i64) -> Answer<Option<KeyRow>> {
        idempotency::read(conn, key, now).await
    }

    async fn key_start(conn: &mut SqliteConnection, start: &KeyStart<'_>) -> Answer<bool> {
        idempotency::start(conn, start).await
    }

    async fn key_change(
        conn: &mut SqliteConnection,
        key: &str,
        change: KeyChange<'_>,
    ) -> Answer<bool> {
        idempotency::change(conn, key, change).await
    }
}
