//! Messages that were given up, and the way back.

mod filter;
mod letter;
mod redrive;

use std::fmt;

pub use filter::Filter;
pub use letter::{Attempt, DeadLetter, DeadPosition, Page};
pub use redrive::{Redrive, RedriveRecord, Redriven};

use crate::{Event, MessageId, Outbox, OutboxError, dialect::Dialect, error::During};
use redrive::Act;
use sqlx::Database;

/// The dead letters of an outbox, made by [`Outbox::dead`].
pub struct DeadLetters<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
}

impl<DB: Dialect> DeadLetters<DB> {
    pub(crate) fn new(outbox: Outbox<DB>) -> Self {
        Self { outbox }
    }

    /// One page of the dead letters that match, in the order of their keys.
    ///
    /// Pages go by position, so letters that leave between two pages neither hide nor repeat others.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn query(&self, filter: &Filter) -> Result<Page, OutboxError> {
        let mut conn = self.outbox.inner().pool.acquire().await.during("get a connection")?;
        let rows = DB::dead_page(&mut conn, filter, filter.after, i64::MAX, filter.limit).await;
        let letters: Vec<_> =
            rows.during("read dead letters")?.into_iter().map(DeadLetter::from_row).collect();
        let full = u32::try_from(letters.len()).is_ok_and(|count| count >= filter.limit);
        let next = letters.last().map(DeadLetter::position).filter(|_| full);
        Ok(Page { letters, next })
    }

    /// How many match.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn count(&self, filter: &Filter) -> Result<u64, OutboxError> {
        let mut conn = self.outbox.inner().pool.acquire().await.during("get a connection")?;
        DB::dead_count(&mut conn, filter).await.during("count dead letters").map(|(count, _)| count)
    }

    /// One dead letter with every attempt, those before an earlier redrive included.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn get(
        &self,
        id: MessageId,
    ) -> Result<Option<(DeadLetter, Vec<Attempt>)>, OutboxError> {
        let page = self.query(&Filter::new().id(id).limit(1)).await?;
        let Some(letter) = page.letters.into_iter().next() else { return Ok(None) };
        Ok(Some((letter, self.attempts(id).await?)))
    }

    /// Every counted attempt of a message, dead or not, first to last.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn attempts(&self, id: MessageId) -> Result<Vec<Attempt>, OutboxError> {
        let mut conn = self.outbox.inner().pool.acquire().await.during("get a connection")?;
        let rows = DB::attempts(&mut conn, id).await.during("read attempts")?;
        Ok(rows.into_iter().map(Attempt::from_row).collect())
    }

    /// Brings one dead letter back.
    ///
    /// # Errors
    ///
    /// [`OutboxError::NotDead`] if there is none of this id, or another operator was faster.
    pub async fn redrive(&self, id: MessageId) -> Result<Redriven, OutboxError> {
        self.one(id, self.redrive_where(Filter::new().id(id))).await
    }

    /// Throws one dead letter away; a key that it blocked goes on.
    ///
    /// # Errors
    ///
    /// As [`redrive`](Self::redrive).
    pub async fn discard(&self, id: MessageId) -> Result<Redriven, OutboxError> {
        self.one(id, self.discard_where(Filter::new().id(id))).await
    }

    async fn one(&self, id: MessageId, request: Redrive<DB>) -> Result<Redriven, OutboxError> {
        let redriven = request.run().await?;
        if redriven.count == 0 { Err(OutboxError::NotDead { id }) } else { Ok(redriven) }
    }

    /// Prepares to bring back all dead letters that match.
    pub fn redrive_where(&self, filter: Filter) -> Redrive<DB> {
        Redrive::new(self.outbox.clone(), Act::Redrive, filter)
    }

    /// Prepares to throw away all dead letters that match.
    pub fn discard_where(&self, filter: Filter) -> Redrive<DB> {
        Redrive::new(self.outbox.clone(), Act::Discard, filter)
    }

    /// Who brought letters back or threw them away: records after `after`, oldest first.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn audit(&self, after: i64, limit: u32) -> Result<Vec<RedriveRecord>, OutboxError> {
        let mut conn = self.outbox.inner().pool.acquire().await.during("get a connection")?;
        let rows = DB::audit_page(&mut conn, after, limit).await.during("read the audit")?;
        Ok(rows.into_iter().map(RedriveRecord::from_row).collect())
    }
}

impl<DB: Database> fmt::Debug for DeadLetters<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").finish_non_exhaustive()
    }
}

/// What an act on dead letters reports.
fn event_of(act: Act, count: u64) -> Event {
    match act {
        Act::Redrive => Event::Redriven { count },
        Act::Discard => Event::Discarded { count },
    }
}
