//! One face for all locks, each with its defaults unless its note says otherwise.

use std::{sync::Arc, time::Duration};

use distributed_lock_core::{DistributedLock, LockHandle, LockProvider};
use distributed_lock_redis::{RedisDistributedLock, RedisLockProvider};
use mainstay_lock::{LockGuard, Locks, Redis};
use redisson::{AsyncRLock, AsyncRedissonClient, RedissonConfig};

/// A client of one kind of lock.
pub trait Locker: Clone + Send + Sync + Sized + 'static {
    /// What the holder has.
    type Held: Send + 'static;

    /// Connects one more client; leases last for `lease` where that can be said.
    fn connect(url: &str, lease: Duration) -> impl Future<Output = Self> + Send;

    /// Waits for the lock.
    fn acquire(&self, name: String) -> impl Future<Output = Self::Held> + Send;

    /// Gives it back and waits for the answer.
    fn release(held: Self::Held) -> impl Future<Output = ()> + Send;
}

/// The driver alone: what every lock that asks for a pair of commands pays.
#[derive(Clone)]
pub struct Raw {
    connection: redis::aio::MultiplexedConnection,
    delete: Arc<redis::Script>,
    lease: u64,
}

impl Locker for Raw {
    type Held = (Self, String);

    async fn connect(url: &str, lease: Duration) -> Self {
        let client = redis::Client::open(url).expect("it is an address");
        let connection = client.get_multiplexed_async_connection().await.expect("it connects");
        let delete = Arc::new(redis::Script::new(include_str!("delete.lua")));
        Self { connection, delete, lease: lease.as_millis() as u64 }
    }

    async fn acquire(&self, name: String) -> Self::Held {
        let mut connection = self.connection.clone();
        let mut set = redis::cmd("SET");
        set.arg(&name).arg("owner").arg("NX").arg("PX").arg(self.lease);
        let _: Option<String> = set.query_async(&mut connection).await.expect("it answers");
        (self.clone(), name)
    }

    async fn release((mut raw, name): Self::Held) {
        let mut call = raw.delete.key(name);
        call.arg("owner");
        let _: i64 = call.invoke_async(&mut raw.connection).await.expect("it answers");
    }
}

impl Locker for Locks {
    type Held = LockGuard;

    async fn connect(url: &str, lease: Duration) -> Self {
        let redis = Redis::open(url).expect("it is an address");
        Self::builder().lease(lease).wait(Duration::from_secs(120)).redis(redis)
    }

    async fn acquire(&self, name: String) -> LockGuard {
        self.lock(name).await.expect("it is waited for long enough")
    }

    async fn release(held: LockGuard) {
        held.release().await;
    }
}

/// `rslock`, with its default of 0 to 200 ms between two tries.
#[derive(Clone)]
pub struct Rslock(rslock::LockManager, Duration);

impl Locker for Rslock {
    type Held = rslock::LockGuard;

    async fn connect(url: &str, lease: Duration) -> Self {
        Self(rslock::LockManager::new(vec![url]), lease)
    }

    async fn acquire(&self, name: String) -> Self::Held {
        self.0.acquire(name.as_str(), self.1).await.expect("it tries for ever")
    }

    async fn release(held: Self::Held) {
        held.release().await;
    }
}

/// `async-redis-lock`, with its default of 100 ms between two tries and no time-out.
#[derive(Clone)]
pub struct AsyncRedisLock(async_redis_lock::Locker, async_redis_lock::Options);

impl Locker for AsyncRedisLock {
    type Held = async_redis_lock::Lock;

    async fn connect(url: &str, lease: Duration) -> Self {
        let options = async_redis_lock::Options::new().timeout(None).ttl(lease).extend(lease / 3);
        Self(async_redis_lock::Locker::from_redis_url(url).await.expect("it connects"), options)
    }

    async fn acquire(&self, name: String) -> Self::Held {
        self.0.acquire_with_options(&self.1, name.as_str()).await.expect("it tries for ever")
    }

    async fn release(held: Self::Held) {
        // What it says about a lock that has expired meanwhile is not measured.
        let _ = held.release().await;
    }
}

/// `distributed-lock-redis`.
#[derive(Clone)]
pub struct DistributedLockRedis(Arc<RedisLockProvider>);

impl Locker for DistributedLockRedis {
    type Held = <RedisDistributedLock as DistributedLock>::Handle;

    async fn connect(url: &str, lease: Duration) -> Self {
        let builder = RedisLockProvider::builder().url(url).expiry(lease);
        Self(Arc::new(builder.extension_cadence(lease / 3).build().await.expect("it connects")))
    }

    async fn acquire(&self, name: String) -> Self::Held {
        let lock = self.0.create_lock(&name);
        loop {
            if let Ok(held) = lock.acquire(None).await {
                return held;
            }
        }
    }

    async fn release(held: Self::Held) {
        let _ = held.release().await;
    }
}

/// `redisson`, with a pool of 128: with its default of 10 it refuses 64 tasks.
#[derive(Clone)]
pub struct Redisson(Arc<AsyncRedissonClient>);

impl Locker for Redisson {
    type Held = AsyncRLock;

    async fn connect(url: &str, lease: Duration) -> Self {
        let config = RedissonConfig::single_server(url).with_pool_size(128);
        let config = config.with_watchdog_timeout(lease).with_lock_expire_time(lease);
        Self(Arc::new(AsyncRedissonClient::new(config).await.expect("it connects")))
    }

    async fn acquire(&self, name: String) -> Self::Held {
        let lock = self.0.get_lock(&name);
        while lock.lock().await.is_err() {}
        lock
    }

    async fn release(held: Self::Held) {
        let _ = held.unlock().await;
    }
}
