//! Locks that a majority of independent servers keeps.

mod agree;
mod attempt;
mod backend;
mod error;
mod gather;
mod give_back;
mod merge;
mod node;

use std::{fmt, sync::Arc, time::Duration};

use dashmap::DashMap;
use mainstay_core::Key;
use mainstay_redis::Redis;

pub use self::error::QuorumError;
use self::{attempt::Attempt, node::Node};
use super::RedisLocks;
use crate::{backend::Owner, builder::LocksBuilder, locks::Locks, spawn::Spawner};

/// Locks that a majority of independent Redis servers keeps: they outlive the loss of a minority.
///
/// The servers know nothing of each other: no replication, no Sentinel, no Cluster. Three survive the
/// loss of one, five of two. A clone shares the connections.
///
/// # What is guaranteed
///
/// While fewer than half of the nodes are down, cut off, or have lost what they knew:
///
/// - One holder per name, or readers that share it. A grant needs the votes of a majority, counted from before the
///   request for them was written, less the drift of the clocks; so does each renewal.
/// - Fences rise from holder to holder. The highest fence of the votes, each `max(last + 1, time)` of its node,
///   is written to a majority in a second round, where a node never goes below its own. Any two majorities
///   share a node. (Between nodes whose clocks are further apart than
///   [`restart_wait`](Self::restart_wait) this needs nodes that [keep their data](Self::durable_nodes).)
/// - A client that is cut off from the majority loses its locks when their leases end, and knows it then.
/// - What a minority granted is given back at once; where that does not arrive, the lease ends it.
///
/// # Restarted nodes
///
/// A node that comes back empty has forgotten whom it gave its vote, and would give it again. So for
/// [`restart_wait`](Self::restart_wait) after its start, by its own `uptime_in_seconds`, it leads nobody and gives no
/// vote, and leases longer than that are refused. Holders win it back with their next renewal, and it counts for
/// them from the renewal after that; that it was empty does not count against them, because it cannot have
/// given its vote to others. Its uptime is counted by its time of day: set forward after a start, that ends the wait early by
/// the step. A node whose data were flushed while it ran looks like any other: a flush
/// counts as a loss of that node for one lease. **All clients must agree on the wait.** Nodes that write
/// each command to disk before they answer (`appendonly yes`, `appendfsync always`) need no wait.
///
/// # Readers
///
/// Readers of a [`ReadWriteLock`](crate::ReadWriteLock) are granted, renewed and released by the same rules: each has
/// the votes of a majority that shares the name with other readers, a lease and a fence of its own, and is told alone of its
/// loss. A vote that a node forgot they win back with their next renewal as well, also past a writer that waits there
/// for other readers.
///
/// # Fairness
///
/// Waiters, readers and others, stand in line at one node, the first in an order that the name sets (so give the nodes in the
/// same order everywhere): first come, first served, told by a push. Who leads there asks the others for
/// their votes, alone, so votes do not split. Clients that cannot reach that node lead at the next one; if
/// votes split between such clients, all are given back after a quarter to half a second and asked for
/// again after a random pause; readers after half that time, so that a writer that waits for several of them sees all
/// go. When the node of the line dies, its waiters notice at their next look, within
/// five seconds, and line up anew.
///
/// # When the backend is down
///
/// With a majority out of reach requests fail with [`LockError::Backend`](crate::LockError::Backend) if
/// nothing can be held anywhere, and otherwise with [`LockError::Unknown`](crate::LockError::Unknown). Leases go on until they end.
/// A holder is told [`TakenOver`](crate::LostReason::TakenOver) only if a majority says that it has nothing; nodes that
/// are silent make a release [`Unknown`](crate::Released::Unknown), and renewals are tried again.
/// A node that hangs costs the first request its budget; then it is asked last for a while.
///
/// # Cost
///
/// To acquire, three round trips: to the leader, to the others, and the fence to those who answered first. Of
/// three nodes that is five or six scripts. To release, two round trips (the others, then the leader) and a script a
/// node. A renewal is a script a node for 100 leases, of readers or of others. Readers cost the same. A hand-over to a waiter saves the first round trip.
///
/// # Permissions
///
/// On each node those of [`RedisLocks`], and `INFO`.
///
/// # Examples
///
/// ```no_run
/// use mainstay_lock::{LockError, Locks, Redis};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let nodes = ["redis://10.0.0.1/", "redis://10.0.1.1/", "redis://10.0.2.1/"];
/// let nodes: Vec<_> = nodes.iter().map(|url| Redis::open(url)).collect::<Result<_, _>>()?;
/// let locks = Locks::quorum(nodes)?;
/// locks.lock("nightly-report").run(async { Ok::<_, LockError>(()) }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Quorum {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    nodes: Vec<Node>,
    /// What is asked for or held, from the request to the release.
    attempts: DashMap<Owner, Arc<Attempt>>,
    restart_wait: Duration,
    spawner: Spawner,
}

impl Quorum {
    /// Locks that are kept by a majority of `nodes`, given in the same order everywhere.
    ///
    /// # Errors
    ///
    /// [`QuorumError::TooFew`] below three nodes, [`QuorumError::Even`] for an even number,
    /// [`QuorumError::Cluster`] for a Cluster among them.
    pub fn new(nodes: impl IntoIterator<Item = Redis>) -> Result<Self, QuorumError> {
        let nodes: Vec<_> = nodes.into_iter().collect();
        if let Some(node) = nodes.iter().position(Redis::is_cluster) {
            return Err(QuorumError::Cluster { node });
        }
        match nodes.len() {
            nodes @ 0..3 => Err(QuorumError::TooFew { nodes }),
            nodes if nodes.is_multiple_of(2) => Err(QuorumError::Even { nodes }),
            _ => Ok(Self::of(nodes, RESTART_WAIT)),
        }
    }

    /// How long a restarted node gives no vote, and the longest lease. A minute; in whole seconds, rounded up.
    #[must_use]
    pub fn restart_wait(self, wait: Duration) -> Self {
        let part = u64::from(wait.subsec_nanos() > 0);
        Self::of(self.redis(), Duration::from_secs(wait.as_secs() + part))
    }

    /// The nodes never forget what they answered, whatever happens to them: they vote as soon as they are up, and
    /// leases may be of any length.
    ///
    /// True of `appendonly yes` with `appendfsync always` on disks that keep what they say they wrote.
    /// Where it is not true, two may hold a lock after a restart.
    #[must_use]
    pub fn durable_nodes(self) -> Self {
        Self::of(self.redis(), Duration::ZERO)
    }

    fn redis(&self) -> Vec<Redis> {
        self.inner.nodes.iter().map(|node| node.locks.redis().clone()).collect()
    }

    fn of(nodes: Vec<Redis>, restart_wait: Duration) -> Self {
        let votes_after = restart_wait.as_secs();
        let node = |redis| Node::new(RedisLocks::voting(redis, votes_after));
        let nodes = nodes.into_iter().map(node).collect();
        let (attempts, spawner) = (DashMap::new(), Spawner::default());
        Self { inner: Arc::new(Inner { nodes, attempts, restart_wait, spawner }) }
    }
}

impl Inner {
    fn majority(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    /// Whether no majority is left beside so many nodes that say no.
    fn is_denied(&self, no: usize) -> bool {
        self.nodes.len() - no < self.majority()
    }

    /// The node where those who wait for `key` stand in line, if it answers. Names are spread over all of them.
    fn first(&self, key: &Key) -> usize {
        let count = u32::try_from(self.nodes.len()).ok().and_then(std::num::NonZeroU32::new);
        count.map_or(0, |count| key.bucket(count) as usize)
    }
}

impl Locks {
    /// Locks that a majority of independent Redis servers keeps. Nothing is sent yet. [`Quorum`] has the guarantees.
    ///
    /// # Errors
    ///
    /// [`QuorumError::TooFew`] below three nodes, [`QuorumError::Even`] for an even number,
    /// [`QuorumError::Cluster`] for a Cluster among them.
    pub fn quorum(nodes: impl IntoIterator<Item = Redis>) -> Result<Self, QuorumError> {
        Self::builder().quorum(nodes)
    }
}

impl LocksBuilder {
    /// Keeps the locks in a majority of independent Redis servers; see [`Quorum`].
    ///
    /// # Errors
    ///
    /// [`QuorumError::TooFew`] below three nodes, [`QuorumError::Even`] for an even number,
    /// [`QuorumError::Cluster`] for a Cluster among them.
    pub fn quorum(self, nodes: impl IntoIterator<Item = Redis>) -> Result<Locks, QuorumError> {
        Ok(self.backend(Quorum::new(nodes)?))
    }
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.inner.nodes.iter().map(|node| node.locks.redis()).collect();
        let mut quorum = f.debug_struct("Quorum");
        quorum.field("nodes", &nodes).field("restart_wait", &self.inner.restart_wait);
        quorum.finish_non_exhaustive()
    }
}

const RESTART_WAIT: Duration = Duration::from_secs(60);
