//! Plain keys, as services written without this library use them.

mod backend;
mod line;
mod raw;
mod scripts;
mod turns;

use std::{fmt, sync::Arc, time::Duration};

use dashmap::DashMap;
use mainstay_core::{Key, Moment};
use mainstay_redis::Redis;

use self::{line::Line, raw::RawKeys};
use crate::{
    backend::{Claim, Owner},
    builder::LocksBuilder,
    fence::Fence,
    locks::Locks,
    spawn::Spawner,
};

/// Locks that are one plain Redis key each: `SET key owner NX PX lease`, compare-and-delete, compare-and-expire.
///
/// For a fleet that moves from services that lock this way: both sides exclude each other on the same
/// keys, service by service. Move on to [`RedisLocks`](super::RedisLocks) when the last of them is gone.
/// A clone shares the connection and the line of those who wait in this process.
///
/// # Which key
///
/// The key on the server is [`prefix`](Self::prefix) and the text of the [`Key`] as it was before
/// escaping: `Key::new("lock:{order}:7")` is the key `lock:{order}:7`, and so is
/// `key!("lock:{}", "{order}:7")`. What the other side calls its keys is thereby written the same here.
/// Names that no [`Key`] can have (an empty part, as in `a::b`) come from
/// [`named_by`](Self::named_by). Two keys whose text before escaping is the same are one lock.
///
/// # What is lost
///
/// | of [`RedisLocks`](super::RedisLocks) | here |
/// |---|---|
/// | a fence that no holder before had | [`fence`](crate::LockGuard::fence) is the server's time of the grant. It rises among holders that use this library, while the server's clock is not set back. The other side has none, so **it proves nothing against the other side**: a write of theirs cannot be refused by it, and theirs raise nothing |
/// | first come, first served over all processes | within this process only. Between processes, and against the other side, whoever asks first after the key is gone |
/// | a release is pushed to the next one | waiters of one process ask together, every 50 ms or so ([`ask_every`](Self::ask_every)), and when the key's time should be over |
/// | holders are told of a forced release at once | those of other processes by their next renewal, a third of the lease later |
/// | metadata, waiters and fences in `inspect` | of this process only. A holder of the other side is shown with the value of its key as metadata, owner `0`, and no fence |
///
/// # What the other side can do to you
///
/// - **It deletes without a look at the owner** (`DEL key` at the end, after its own key had expired): your lock
///   is gone, and somebody else may have it at once. Your next renewal, at most a third of the lease
///   later, says so: `lost()` resolves with [`TakenOver`](crate::LostReason::TakenOver). Until then two hold it.
/// - **It does not renew**, and works on after its key has expired: you hold the lock, and it does not know.
/// - **It sets a key without a time to live** and dies: nobody gets the lock until
///   [`force_release`](Locks::force_release). `inspect` shows such a holder with [`Duration::MAX`] remaining.
/// - **It keeps something else under the key**, such as a hash: requests fail with the server's `WRONGTYPE`.
///
/// # When the backend is down
///
/// As [`RedisLocks`](super::RedisLocks): nothing sent is a failure, sent and not answered is unknown,
/// leases go on until they end.
///
/// # Cost
///
/// One script each to acquire, to release and to renew, sent together where there are many; a name
/// that is waited for costs its process one script each time it asks.
///
/// # Permissions
///
/// Your keys, and the commands `HELLO`, `CLIENT INFO`, `CLIENT KILL`, `INFO`, `EVALSHA`, `SCRIPT LOAD`, `TIME`, `GET`,
/// `SET`, `DEL`, `PEXPIRE` and `PTTL`.
///
/// # Examples
///
/// ```no_run
/// use mainstay_lock::{LockError, Locks, PlainRedis, Redis};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // The other side: SET lock:order:7 <uuid> NX PX 30000
/// let redis = Redis::open("redis://127.0.0.1:6379/")?;
/// let locks = Locks::builder().backend(PlainRedis::new(redis).prefix("lock:"));
/// locks.lock("order:7").run(async { Ok::<_, LockError>(()) }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PlainRedis {
    store: Arc<Store>,
}

struct Store {
    redis: Redis,
    names: RawKeys,
    ask_every: Duration,
    /// By the server's keys: two names may have the same.
    lines: DashMap<Arc<str>, Line>,
    held: DashMap<Owner, Held>,
    spawner: Spawner,
}

/// What this process knows of a lock that it holds.
#[derive(Clone)]
struct Held {
    claim: Claim,
    fence: Fence,
    since: Moment,
}

impl PlainRedis {
    /// Locks on plain keys of the server behind `redis`, which others may use as well.
    pub fn new(redis: Redis) -> Self {
        Self::with(redis, RawKeys::default(), ASK_EVERY)
    }

    /// Puts `prefix`, taken literally, before the text of every key.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<Arc<str>>) -> Self {
        let (redis, ask_every) = (self.store.redis.clone(), self.store.ask_every);
        Self::with(redis, RawKeys::prefixed(prefix.into()), ask_every)
    }

    /// Makes the server's keys by a rule of your own, instead of a prefix.
    #[must_use]
    pub fn named_by(self, name: impl Fn(&Key) -> String + Send + Sync + 'static) -> Self {
        let (redis, ask_every) = (self.store.redis.clone(), self.store.ask_every);
        Self::with(redis, RawKeys::by(name), ask_every)
    }

    /// How often this process asks for a lock that it waits for, give or take half. 50 ms; at least 1 ms.
    #[must_use]
    pub fn ask_every(self, pause: Duration) -> Self {
        let (redis, names) = (self.store.redis.clone(), self.store.names.clone());
        Self::with(redis, names, pause.max(Duration::from_millis(1)))
    }

    /// The connection.
    pub fn redis(&self) -> &Redis {
        &self.store.redis
    }

    /// The server's key of a lock.
    pub fn raw_key(&self, key: &Key) -> String {
        self.store.names.of(key).as_ref().to_owned()
    }

    fn with(redis: Redis, names: RawKeys, ask_every: Duration) -> Self {
        let (lines, held, spawner) = (DashMap::new(), DashMap::new(), Spawner::default());
        let store = Store { redis, names, ask_every, lines, held, spawner };
        Self { store: Arc::new(store) }
    }
}

impl LocksBuilder {
    /// Keeps the locks as plain keys, beside services that lock with `SET NX PX`. [`PlainRedis`] says
    /// what is lost.
    pub fn plain_redis(self, redis: Redis, prefix: impl Into<Arc<str>>) -> Locks {
        self.backend(PlainRedis::new(redis).prefix(prefix))
    }
}

impl fmt::Debug for PlainRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = f.debug_struct("PlainRedis");
        plain.field("redis", &self.store.redis).field("names", &self.store.names);
        plain.finish_non_exhaustive()
    }
}

const ASK_EVERY: Duration = Duration::from_millis(50);
