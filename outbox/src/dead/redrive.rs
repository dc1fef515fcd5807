//! Bringing dead letters back, or throwing them away, with a record of who did it.

use std::{fmt, time::SystemTime};

use super::{DeadPosition, event_of, letter::time};
use crate::{
    Filter, Outbox, OutboxError,
    dialect::{Audit, AuditRow, Dialect},
    error::During,
};
use sqlx::Database;

/// Letters moved in one transaction.
const PAGE: u32 = 200;

/// What is done to dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Redrive,
    Discard,
}

impl Act {
    fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }
}

/// An act on all dead letters that match a filter.
///
/// A redriven message takes the place it had among the unsent messages of its key, with new budgets
/// and its old history. The record of the act is committed before the first letter moves. Letters move in pages, each in
/// a transaction of its own; every letter is visited once, whatever leaves or dies again meanwhile.
///
/// # Cancel safety
///
/// Dropped half-way, the pages that committed have moved and the record says how many; run it again for the rest.
#[must_use = "nothing moves until `run`"]
pub struct Redrive<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
    act: Act,
    filter: Filter,
    operator: String,
    reason: String,
}

/// What an act did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redriven {
    /// Number of the record.
    pub batch: i64,
    /// Letters moved.
    pub count: u64,
}

impl<DB: Dialect> Redrive<DB> {
    pub(super) fn new(outbox: Outbox<DB>, act: Act, filter: Filter) -> Self {
        Self { outbox, act, filter, operator: String::new(), reason: String::new() }
    }

    /// Says why, for the record.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Says who, for the record.
    pub fn by(mut self, operator: impl Into<String>) -> Self {
        self.operator = operator.into();
        self
    }

    /// How many letters [`run`](Self::run) would move now. Moves and records nothing.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn dry_run(&self) -> Result<u64, OutboxError> {
        self.outbox.dead().count(&self.filter).await
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Busy`], [`OutboxError::Database`].
    pub async fn run(self) -> Result<Redriven, OutboxError> {
        let (batch, until) = self.record().await?;
        let (mut count, mut after) = (0, Some(DeadPosition(0)));
        while let Some(position) = after {
            let (moved, next) = self.page(batch, position, until).await?;
            count += moved;
            after = next;
            // Told page by page: the relays need not wait for the last one.
            self.outbox.event(&event_of(self.act, moved));
            self.outbox.wake();
        }
        Ok(Redriven { batch, count })
    }

    /// Commits the record; letters that die from now on are not part of the act.
    async fn record(&self) -> Result<(i64, i64), OutboxError> {
        let filter = serde_json::to_string(&self.filter)
            .map_err(|error| OutboxError::json("the filter", &error))?;
        let audit = Audit {
            at: self.outbox.now(),
            act: self.act.as_str(),
            operator: &self.operator,
            reason: &self.reason,
            filter: &filter,
        };
        let mut open = self.outbox.begin().await?;
        let batch = DB::audit_begin(open.conn(), &audit).await.during("record a redrive")?;
        let (_, until) =
            DB::dead_count(open.conn(), &self.filter).await.during("count dead letters")?;
        open.commit().await?;
        Ok((batch, until))
    }

    async fn page(
        &self,
        batch: i64,
        after: DeadPosition,
        until: i64,
    ) -> Result<(u64, Option<DeadPosition>), OutboxError> {
        let now = self.outbox.now();
        let mut open = self.outbox.begin().await?;
        let rows = DB::dead_page(open.conn(), &self.filter, after.0, until, PAGE).await;
        let rows = rows.during("read dead letters")?;
        let mut moved = 0;
        for row in &rows {
            let done = match self.act {
                Act::Redrive => DB::redrive(open.conn(), row.seq, now).await,
                Act::Discard => DB::discard(open.conn(), row.seq).await,
            };
            moved += u64::from(done.during("move a dead letter")?);
        }
        let last = rows.last().map(|row| DeadPosition(row.seq));
        let next = last.filter(|_| rows.len() == PAGE as usize);
        let finished = next.is_none().then_some(now);
        let progress = DB::audit_progress(open.conn(), batch, moved, finished).await;
        progress.during("record a redrive")?;
        open.commit().await?;
        Ok((moved, next))
    }
}

impl<DB: Database> fmt::Debug for Redrive<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redrive")
            .field("act", &self.act)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// Record of an act on dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedriveRecord {
    /// Its number.
    pub batch: i64,
    /// When it began.
    pub at: SystemTime,
    /// `redrive` or `discard`.
    pub act: String,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// Which letters, as JSON.
    pub filter: String,
    /// How many moved so far.
    pub count: u64,
    /// When it ended; nothing if it was interrupted.
    pub finished_at: Option<SystemTime>,
}

impl RedriveRecord {
    pub(super) fn from_row(row: AuditRow) -> Self {
        Self {
            batch: row.batch,
            at: time(row.at),
            act: row.act,
            operator: row.operator,
            reason: row.reason,
            filter: row.filter,
            count: row.moved,
            finished_at: row.finished_at.map(time),
        }
    }
}
