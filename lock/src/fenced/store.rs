//! A value in Redis that only rising fences write.

use std::time::Duration;

use mainstay_core::{IntoKey, Key};
use mainstay_redis::{Redis, RedisError, Script, redis::cmd};

use super::{FenceError, granted};
use crate::{error::Failure, fence::Fence};

/// Values in a Redis that refuse writes under an older fence: compare and set.
///
/// A clone uses the same connection. The locks need not be kept in this Redis.
///
/// # What is guaranteed
///
/// Of two writes, the one under the lower fence is refused if it comes second, atomically, for as long as the server keeps
/// its data and the fence is remembered: the time to live of the value and then the [retention](Self::retention). A holder
/// that writes again under its own fence is let through, so repeating a write is harmless.
///
/// A server that lost its data (restarted empty, failed over to a replica that had not got the write, flushed, evicting
/// keys) has forgotten fences too. Use `maxmemory-policy noeviction`, and a database where it must not happen at all.
///
/// # Keys
///
/// | key | what | until |
/// |---|---|---|
/// | `{name}:mainstay:fenced1:value` | the value, for anybody to `GET` | its time to live |
/// | `{name}:mainstay:fenced1:fence` | the highest fence that wrote | that and the retention |
///
/// # When the backend is down
///
/// [`FenceError::Backend`] where nothing was sent, [`FenceError::Unknown`] where something was: read, or write the
/// same again under the same fence.
///
/// # Cost
///
/// One script a write, one `MGET` a read; both of constant work.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use mainstay_lock::{FencedStore, Locks, Redis};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::open("redis://127.0.0.1:6379/")?;
/// let (locks, store) = (Locks::builder().redis(redis.clone()), FencedStore::new(redis));
///
/// let guard = locks.lock("rates:eur").await?;
/// store.set("rates:eur", "1.0832", guard.fence(), Duration::from_secs(60)).await?;
/// guard.release().await;
///
/// let rate = store.get("rates:eur").await?;
/// assert_eq!(rate.expect("just written").value, b"1.0832");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FencedStore {
    redis: Redis,
    retention: Duration,
}

/// What a [`FencedStore`] holds under a key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FencedValue {
    /// The value.
    pub value: Vec<u8>,
    /// The fence that wrote it; [`Fence::NONE`] if the server threw that away.
    pub fence: Fence,
}

impl FencedStore {
    /// Values on the server behind `redis`, whose fences are remembered for a day beyond their values.
    pub fn new(redis: Redis) -> Self {
        Self { redis, retention: RETENTION }
    }

    /// How long a fence is remembered when its value has expired or was removed.
    ///
    /// A holder that was paused for longer than this writes unhindered.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets the value for `ttl`, at least a millisecond, unless a later holder has written.
    ///
    /// # Errors
    ///
    /// [`FenceError::Fenced`]; [`FenceError::Backend`] and [`FenceError::Unknown`]; the misuses.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, the write may or may not be made.
    pub async fn set(
        &self,
        key: impl IntoKey,
        value: impl AsRef<[u8]>,
        fence: Fence,
        ttl: Duration,
    ) -> Result<(), FenceError> {
        self.write(key.into_key()?, value.as_ref(), fence, millis(ttl).max(1)).await
    }

    /// Removes the value unless a later holder has written; the fence is remembered.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// As [`set`](Self::set).
    pub async fn remove(&self, key: impl IntoKey, fence: Fence) -> Result<(), FenceError> {
        self.write(key.into_key()?, &[], fence, 0).await
    }

    /// The value and its fence, read together; nothing if it has expired.
    ///
    /// # Errors
    ///
    /// [`FenceError::Backend`], also where no answer came: reading changes nothing.
    pub async fn get(&self, key: impl IntoKey) -> Result<Option<FencedValue>, FenceError> {
        let key = key.into_key()?;
        let failed = |error: RedisError| FenceError::Backend {
            resource: key.to_string(),
            doing: "read a fenced value",
            failure: Failure::new(error),
        };
        let reply = self.redis.call(cmd("MGET").arg(&names(&key)[..]).take()).await;
        let stored: (Option<Vec<u8>>, Option<i64>) =
            reply.and_then(|reply| reply.read()).map_err(failed)?;
        let fence = stored.1.map_or(Fence::NONE, Fence::new);
        Ok(stored.0.map(|value| FencedValue { value, fence }))
    }

    async fn write(
        &self,
        key: Key,
        value: &[u8],
        fence: Fence,
        ttl: u64,
    ) -> Result<(), FenceError> {
        granted(key.as_str(), fence)?;
        let kept = ttl.saturating_add(millis(self.retention)).clamp(1, LONGEST);
        let script = self.redis.eval(&SET, names(&key)).arg(fence.get()).arg(value);
        let reply = script.arg(ttl).arg(kept).call().await;
        let seen: i64 =
            reply.and_then(|reply| reply.read()).map_err(|error| failure(&key, error))?;
        if seen <= fence.get() {
            return Ok(());
        }
        Err(FenceError::Fenced { resource: key.to_string(), ours: fence, seen: Fence::new(seen) })
    }
}

/// The length of the value: it may be a secret.
impl std::fmt::Debug for FencedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut value = f.debug_struct("FencedValue");
        value.field("bytes", &self.value.len()).field("fence", &self.fence).finish()
    }
}

fn names(key: &Key) -> [String; 2] {
    ["value", "fence"].map(|part| key.slotted(&format!("mainstay:fenced1:{part}")))
}

fn failure(key: &Key, error: RedisError) -> FenceError {
    let (resource, doing) = (key.to_string(), "write a fenced value");
    let unknown = error.is_unknown();
    let failure = Failure::new(error);
    if unknown {
        return FenceError::Unknown { resource, doing, failure };
    }
    FenceError::Backend { resource, doing, failure }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(LONGEST)
}

static SET: Script = Script::new(include_str!("fenced_set.lua"));

const RETENTION: Duration = Duration::from_secs(24 * 3_600);
/// No Redis key may live longer than this, in milliseconds: a century.
const LONGEST: u64 = 100 * 366 * 24 * 3_600 * 1_000;
