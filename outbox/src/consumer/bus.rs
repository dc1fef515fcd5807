//! Delivery inside the process.

use super::{Inbox, Incoming, Router};
use crate::{Confirm, Outgoing, PublishError, Publisher, dialect::Dialect};
use sqlx::Database;

/// A publisher that hands messages to consumers of this process.
///
/// A message is confirmed when every consumer that routes its topic has done it. If one of them fails, the
/// message is delivered again to all; the inboxes of those that had done it absorb it. A topic that no
/// consumer routes is a final failure: it is not dropped in silence.
#[derive(Debug)]
pub struct Bus<DB: Database = sqlx::Sqlite> {
    consumers: Vec<(Inbox<DB>, Router<DB>)>,
}

impl<DB: Dialect> Bus<DB> {
    /// A bus without consumers.
    pub fn new() -> Self {
        Self { consumers: Vec::new() }
    }

    /// Adds a consumer: its memory and its handlers.
    #[must_use]
    pub fn consumer(mut self, inbox: Inbox<DB>, router: Router<DB>) -> Self {
        self.consumers.push((inbox, router));
        self
    }
}

impl<DB: Database> Clone for Bus<DB> {
    fn clone(&self) -> Self {
        Self { consumers: self.consumers.clone() }
    }
}

impl<DB: Dialect> Default for Bus<DB> {
    fn default() -> Self {
        Self::new()
    }
}

impl<DB: Dialect> Publisher for Bus<DB> {
    async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
        let incoming = Incoming::from(message);
        let (mut routed, mut failed) = (false, None);
        for (inbox, router) in &self.consumers {
            match router.handle(inbox, &incoming).await {
                Ok(handled) => routed |= handled.is_some(),
                Err(error) => {
                    routed = true;
                    // One consumer's trouble does not keep the message from the next.
                    failed = failed.or(Some(error));
                }
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None if routed => Ok(Confirm::acknowledged()),
            None => Err(PublishError::final_(
                "no consumer routes this topic; add a route or a fallback",
            )),
        }
    }
}
