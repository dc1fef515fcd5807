//! One writer at a time, in turn.
//!
//! SQLite's own waiting is a loop of sleeps in which a late comer may win. Writers of one process
//! queue here first, fairly, and without keeping a connection while they wait.

use std::{sync::Arc, time::Duration};

use mainstay_core::{Clock, transaction};
use sqlx::{Database, Pool, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    OutboxError,
    dialect::{Dialect, Engine},
    error::Failure,
};

/// The queue of this process' writers.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Gate {
    /// Waits for the turn, then opens a transaction that may write.
    pub(crate) async fn begin<DB: Dialect>(
        &self,
        pool: &Pool<DB>,
        clock: &Clock,
        wait: Duration,
    ) -> Result<OpenTx<DB>, OutboxError> {
        // The one that holds the turn would be this very task.
        if transaction::is_open() {
            return Err(OutboxError::Nested);
        }
        let turn = clock.timeout(wait, self.0.clone().acquire_owned()).await;
        let Ok(turn) = turn else { return Err(OutboxError::Busy { waited: wait }) };
        let turn = turn.expect("the gate is never closed");
        let tx = pool.begin_with(<DB as Engine>::BEGIN).await.map_err(|error| {
            if DB::is_busy(&error) {
                OutboxError::Busy { waited: wait }
            } else {
                OutboxError::database("begin a transaction", error)
            }
        })?;
        Ok(OpenTx { tx, _turn: turn })
    }
}

/// An open transaction of ours. Dropping it rolls it back and passes the turn on.
#[derive(Debug)]
#[expect(unnameable_types, reason = "sealed: part of `Plan`")]
pub struct OpenTx<DB: Database> {
    // Dropped before the turn is passed on.
    pub(crate) tx: Transaction<'static, DB>,
    _turn: OwnedSemaphorePermit,
}

impl<DB: Dialect> OpenTx<DB> {
    pub(crate) fn conn(&mut self) -> &mut DB::Connection {
        &mut self.tx
    }

    pub(crate) async fn commit(self) -> Result<(), OutboxError> {
        self.tx.commit().await.map_err(|error| {
            let failure = |error| Failure::new("commit", error);
            // An answer of the database says that it did not commit; anything else says nothing.
            if error.as_database_error().is_some() {
                OutboxError::Database(failure(error))
            } else {
                OutboxError::CommitUnknown(failure(error))
            }
        })
    }

    /// Rolls back and waits for it, so that the next writer does not meet this one.
    pub(crate) async fn roll_back(self) {
        // A rollback that fails leaves a connection that the pool throws away: undone all the same.
        let _ = self.tx.rollback().await;
    }
}
