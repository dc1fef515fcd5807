//! Locks that the replicas have, too, before anybody is told.

mod backend;
mod confirm;
mod error;
mod relay;

use std::{fmt, sync::Arc, time::Duration};

use mainstay_redis::Redis;

use self::confirm::Confirmer;
pub use self::error::ReplicatedError;
use super::RedisLocks;
use crate::spawn::Spawner;

/// Locks of which nobody is told before the configured number of replicas has them: a failover to one of
/// these replicas loses no lock that anybody believes in.
///
/// Made by [`RedisLocks::replicated`]. A clone shares both connections.
///
/// # What is guaranteed
///
/// With **all** replicas configured, as many as the primary has, and a failover by Sentinels or by hand:
///
/// - A grant, whether answered or pushed to a waiter, is told only after the primary wrote it once more and so
///   many replicas acknowledged it (`WAIT`, on the connection of that write). So every replica that may be
///   promoted has it.
/// - A renewal counts only if the replicas have it. So an old primary that is cut off, or was paused and goes
///   on, keeps nobody believing past the lease that the replicas know of.
/// - The number is the configured one, never what the primary reports: one that is cut off reports fewer.
/// - The lease is counted from before the write, and judged again after the wait.
/// - Where too few replicas acknowledge, the grant is given back, and the caller is told that it holds nothing,
///   or that nobody knows.
///
/// With fewer than all replicas configured, a replica that never had the lock may be promoted: measured,
/// `WAIT 1` of two replicas lost nine grants of ten when the primary was cut off with the other one.
///
/// Readers of a [`ReadWriteLock`](crate::ReadWriteLock) are granted and renewed by the same rule.
///
/// Not for a Cluster, because one wait is about one node: [`RedisLocks::replicated`] refuses it.
///
/// What it does not protect from: a promoted replica that had lost its data in between; operators who flush;
/// a clock of the new primary that is ahead by more than the drift of one percent of a lease, which ends leases
/// early; and a holder that is paused, which only a fence checked downstream refuses. `WAIT` is no consensus. For
/// locks that outlive the loss of a server without a promotion, see [`Quorum`](super::Quorum).
///
/// # When the backend is down
///
/// While one of the configured replicas is down or behind, nothing is granted: requests fail with
/// [`LockError::Backend`](crate::LockError::Backend) after the patience, and what is held is lost
/// ([`Unreachable`](crate::LostReason::Unreachable)) when its lease ends. So after a failover, locks are granted again
/// when the old primary is back as a replica. Choose the lease longer than a replica's restart takes.
///
/// # Cost
///
/// A second connection. Beside the script of [`RedisLocks`], one more and a `WAIT` for each grant, shared by up to
/// 100 grants and renewals that come up in the meantime: one round trip more, and one between primary and
/// replicas.
///
/// # Fairness
///
/// As [`RedisLocks`]. A waiter whose turn comes and cannot be replicated goes to the end of the line.
///
/// # Permissions
///
/// Those of [`RedisLocks`], and `WAIT`.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use mainstay_lock::{LockError, Locks, Redis, RedisLocks};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sentinels = ["redis://10.0.0.1:26379/", "redis://10.0.1.1:26379/", "redis://10.0.2.1:26379/"];
/// let redis = Redis::sentinel(sentinels, "primary")?.build()?;
/// // The primary has two replicas.
/// let kept = RedisLocks::new(redis).replicated(2, Duration::from_millis(500))?;
/// let locks = Locks::builder().backend(kept);
/// locks.lock("nightly-report").run(async { Ok::<_, LockError>(()) }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Replicated {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    locks: RedisLocks,
    confirmer: Confirmer,
    spawner: Spawner,
}

impl RedisLocks {
    /// Tells nobody of a lock before `replicas` replicas acknowledged it, each time within `patience`.
    ///
    /// Give the number that the primary is meant to have. `patience` is cut to four fifths of the connection's
    /// [budget](crate::RedisConfig::budget).
    ///
    /// # Errors
    ///
    /// [`ReplicatedError::NoReplicas`] for 0, [`ReplicatedError::Cluster`] for a Cluster.
    pub fn replicated(
        self,
        replicas: u32,
        patience: Duration,
    ) -> Result<Replicated, ReplicatedError> {
        if replicas == 0 {
            return Err(ReplicatedError::NoReplicas);
        }
        if self.redis().is_cluster() {
            return Err(ReplicatedError::Cluster);
        }
        let confirmer = Confirmer::new(self.clone(), replicas, patience);
        let inner = Inner { locks: self, confirmer, spawner: Spawner::default() };
        Ok(Replicated { inner: Arc::new(inner) })
    }
}

impl Replicated {
    /// The connection that is shared; the one that waits for replicas is another.
    pub fn redis(&self) -> &Redis {
        self.inner.locks.redis()
    }
}

impl fmt::Debug for Replicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut replicated = f.debug_struct("Replicated");
        replicated.field("locks", &self.inner.locks).field("confirmer", &self.inner.confirmer);
        replicated.finish_non_exhaustive()
    }
}
