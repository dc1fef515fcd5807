//! Ways to get locks that are kept in a Redis.

use mainstay_redis::{Redis, RedisError};

use super::RedisLocks;
use crate::{builder::LocksBuilder, locks::Locks};

impl Locks {
    /// Locks kept in the Redis at `url`, shared by all processes that use it. Nothing is sent yet.
    /// `rediss://` is encrypted (feature `redis-tls`).
    ///
    /// [`LocksBuilder::redis`] takes a connection that you made, with settings of its own, by
    /// [`Redis::sentinel`] or by [`Redis::cluster`], and
    /// [`LocksBuilder::backend`] with [`RedisLocks::with_namespace`] a namespace of your own.
    ///
    /// # What is guaranteed
    ///
    /// On one server that keeps its data and its clock, as [in process](crate), but for these:
    ///
    /// | what happens | what holds |
    /// |---|---|
    /// | the process dies | the lock is free when its lease ends; its waiters are passed over |
    /// | the connection is cut | holders keep their locks until their leases end; waiters ask for their places again |
    /// | the server is killed and restarted empty | its locks are gone: two may hold one until the old holder is told, on its reconnect, or its lease ends; fences rise all the same |
    /// | keys are flushed or evicted | as above, told by the next renewal |
    /// | a primary fails over to a replica | grants that the replica had not got are lost: see [`RedisLocks::replicated`] |
    /// | the server's clock steps back | leases last longer by the step; fences go on rising while somebody holds the lock or waits for it |
    /// | it steps forward | leases end early by the step, and their holders are told by the next renewal |
    ///
    /// Fences of a name fall back only if the clock steps back further than the time since its last grant, while
    /// nobody has the lock or after its data were lost. Who checks fences then refuses holders until the clock
    /// has caught up.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mainstay_lock::{LockError, Locks};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let locks = Locks::redis("redis://127.0.0.1:6379/")?;
    /// let request = locks.lock("nightly-report");
    /// let lock = request.handle();
    /// request.run(async move {
    ///     println!("alone among all processes, with fence {}", lock.fence());
    ///     Ok::<_, LockError>(())
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redis(url: &str) -> Result<Self, RedisError> {
        Ok(Self::builder().redis(Redis::open(url)?))
    }
}

impl LocksBuilder {
    /// Keeps the locks in the Redis behind `redis`, a connection that others may use as well.
    pub fn redis(self, redis: Redis) -> Locks {
        self.backend(RedisLocks::new(redis))
    }
}
