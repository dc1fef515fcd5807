//! A relay that runs as a task.

use std::fmt;

use tokio::{sync::watch, task::JoinHandle};

use crate::{Outbox, Stats};
use sqlx::Database;

/// A started relay. Dropping the handle kills it.
#[must_use = "dropping the handle ends the relay"]
pub struct RelayHandle<DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl<DB: Database> RelayHandle<DB> {
    pub(super) fn new(outbox: Outbox<DB>, stop: watch::Sender<bool>, task: JoinHandle<()>) -> Self {
        Self { outbox, stop, task }
    }

    /// Lets the relay settle its batch and give its lane back, and waits for that.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // A task that panicked has stopped as well.
        let _ = (&mut self.task).await;
    }

    /// Drops the relay where it stands, as a crash would, and waits until it is gone.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Whether the relay still runs.
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// Counts of its outbox, those of other relays included.
    pub fn stats(&self) -> Stats {
        self.outbox.inner().observe.stats()
    }
}

impl<DB: Database> Drop for RelayHandle<DB> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<DB: Database> fmt::Debug for RelayHandle<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayHandle").field("running", &self.is_running()).finish_non_exhaustive()
    }
}
