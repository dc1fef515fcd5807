//! Sends what was committed.

mod chain;
mod handle;
mod pause;
mod session;
mod verdict;

use std::{fmt, time::Duration};

use tokio::sync::watch;

pub use handle::RelayHandle;

use crate::{Event, Outbox, OutboxError, Publisher, dialect::Dialect, message::LIVE, spawn::spawn};
use session::{Session, Turn};
use sqlx::Database;

/// Sends the messages of one lane through a publisher.
///
/// Any number of relays, in any number of processes, may serve a lane: one works, by a lease, and the
/// others take over when it stops. A relay that lost its lease without noticing changes nothing: every write
/// names the lease's epoch.
///
/// A batch is claimed in one transaction, published with up to [`in_flight`](crate::OutboxConfig::in_flight) messages at a time and those of a
/// key one after the other, and settled in a second transaction, which moves the cursor. The next batch is
/// claimed after that, so one slow message holds up its lane for the publish time-out at most.
///
/// # Cancel safety
///
/// Dropping [`run`](Self::run) at any moment is a crash that the next relay recovers from: messages of the claimed
/// batch that may have been sent are sent again, under the same ids, one at a time. Messages that were not claimed are not
/// repeated. A relay of the same outbox handle takes over at once, one of another process when the lease
/// is over.
///
/// # When the backend is down
///
/// A publisher that reports an outage pauses the lane, with growing waits, and one message tries whether it is
/// back; no attempts are counted. If the database is down, the relay reports it and keeps trying.
///
/// # Cost
///
/// Two commits a batch; nothing is written for a message that is confirmed the first time. An idle lane is
/// looked at once per [`poll_max`](crate::OutboxConfig::poll_max), without a write.
pub struct Relay<P, DB: Database = sqlx::Sqlite> {
    outbox: Outbox<DB>,
    publisher: P,
    lane: String,
}

/// Why a relay has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idle {
    /// Everything that is due was sent.
    Drained {
        /// When the next message is due.
        next: Option<Duration>,
    },
    /// Another relay works on the lane.
    Held {
        /// When its lease is over.
        remaining: Duration,
    },
    /// The publisher is down or asked for a pause.
    Paused {
        /// When it is tried again.
        remaining: Duration,
    },
}

impl<P: Publisher, DB: Dialect> Relay<P, DB> {
    /// A relay of the lane `live`.
    pub fn new(outbox: &Outbox<DB>, publisher: P) -> Self {
        Self { outbox: outbox.clone(), publisher, lane: LIVE.into() }
    }

    /// Serves another lane.
    #[must_use]
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
        self
    }

    /// Sends until dropped.
    pub async fn run(self) {
        // The sender lives as long as this future, so it never says "stop".
        let (_sender, stop) = watch::channel(false);
        self.run_until(stop).await;
    }

    /// Sends until nothing is due, then gives the lane back and says why it stopped.
    ///
    /// For jobs that drain an outbox, and for tests.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Busy`], [`OutboxError::Database`], [`OutboxError::LeaseLost`].
    pub async fn run_until_idle(&self) -> Result<Idle, OutboxError> {
        let mut session = Session::new(self);
        loop {
            if let Turn::Idle(idle) = session.turn().await? {
                session.release().await;
                return Ok(idle);
            }
        }
    }

    /// Starts [`run`](Self::run) as a task.
    pub fn start(self) -> RelayHandle<DB> {
        let (sender, stop) = watch::channel(false);
        let outbox = self.outbox.clone();
        let task = spawn(async move { self.run_until(stop).await });
        RelayHandle::new(outbox, sender, task)
    }

    async fn run_until(&self, mut stop: watch::Receiver<bool>) {
        let mut session = Session::new(self);
        let mut woken = self.outbox.woken();
        let config = self.outbox.config();
        let mut poll = config.poll_min;
        while !*stop.borrow() {
            // Marked as seen before looking: a wake that comes while we look is not lost.
            woken.borrow_and_update();
            let (wait, wakeable) = match session.turn().await {
                Ok(Turn::Worked) => {
                    poll = config.poll_min;
                    continue;
                }
                Ok(Turn::Idle(Idle::Drained { next })) => (next.unwrap_or(poll).min(poll), true),
                Ok(Turn::Idle(Idle::Held { remaining })) => (remaining.min(poll), false),
                Ok(Turn::Idle(Idle::Paused { remaining })) => (remaining, false),
                Err(error) => {
                    self.report(&error);
                    (poll, false)
                }
            };
            let sleep = self.outbox.clock().sleep(wait);
            tokio::select! {
                () = sleep => poll = (poll * 2).min(config.poll_max),
                _ = woken.changed(), if wakeable => poll = config.poll_min,
                _ = stop.changed() => {}
            }
        }
        session.release().await;
    }

    fn report(&self, error: &OutboxError) {
        let lane = self.lane.clone();
        let event = match error {
            OutboxError::LeaseLost { .. } => Event::LeaseLost { lane },
            other => Event::RelayFailed { lane, error: other.to_string() },
        };
        self.outbox.event(&event);
    }
}

impl<P: Clone, DB: Database> Clone for Relay<P, DB> {
    fn clone(&self) -> Self {
        Self {
            outbox: self.outbox.clone(),
            publisher: self.publisher.clone(),
            lane: self.lane.clone(),
        }
    }
}

impl<P, DB: Database> fmt::Debug for Relay<P, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("lane", &self.lane).finish_non_exhaustive()
    }
}
