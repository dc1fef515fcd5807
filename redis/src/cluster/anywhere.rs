//! Some node of a Cluster, whichever answers.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use super::map::Address;
use crate::{
    error::Cause,
    place::Found,
    server::{Name, Server},
};

/// Some node of a Cluster: for commands without keys, for channels, and for the question who serves what.
pub(crate) struct Anywhere {
    name: Name,
    seeds: Vec<Server>,
    /// The primaries, once they are known.
    primaries: Mutex<Vec<Server>>,
    next: AtomicUsize,
    leave: Notify,
}

impl Anywhere {
    pub(super) fn new(name: Name, seeds: Vec<Server>) -> Self {
        let (primaries, next, leave) = Default::default();
        Self { name, seeds, primaries, next, leave }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Another server at each attempt: the primaries first, then the seeds.
    pub(crate) fn find(&self) -> Result<Found, Cause> {
        let primaries = self.primaries.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let all = primaries.len() + self.seeds.len();
        let server = primaries.iter().chain(&self.seeds).nth(next % all.max(1));
        let server = server.ok_or_else(|| Cause::new("no node is named"))?.clone();
        Ok(Found { server, epoch: None })
    }

    /// Resolves when the node in use has lost touch with the others.
    pub(crate) async fn overtaken(&self) -> Cause {
        self.leave.notified().await;
        Cause::new("the node does not know the Cluster any more")
    }

    /// Leaves the node in use for another one.
    pub(super) fn leave(&self) {
        self.leave.notify_waiters();
    }

    /// Notes who is there.
    pub(super) fn know(&self, primaries: &[Address], like: &Server) {
        let servers = primaries.iter().map(|node| like.at(&node.host, node.port)).collect();
        *self.primaries.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }
}
