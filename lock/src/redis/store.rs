//! The backend's parts, held together.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use mainstay_core::{IntoKey, Key, KeyError};
use mainstay_redis::Redis;
use tokio::task::JoinHandle;

use super::{listener, names::Held, registry::Registry, server_time::ServerTime, wire};
use crate::{
    backend::{Mode, Owner},
    spawn::Spawner,
};

/// Locks kept in a Redis, beside all other processes that use the same server and namespace: a single one, a
/// primary that Sentinels name, or a Cluster.
///
/// A clone uses the same connection and the same channel. See [`Locks::redis`](crate::Locks::redis)
/// for the guarantees.
///
/// # Keys
///
/// A lock has one key, two or three while somebody waits, and no key outlives its use:
///
/// | key | what | until |
/// |---|---|---|
/// | `{mainstay:lock1:17}:name:held` | owner, fence, metadata | release, or the end of the lease |
/// | the same, while somebody waits | the end of the lease besides | 15 s after the lease |
/// | the same, if the server's clock stepped back | the last fence | the clock has passed it |
/// | `..:queue`, `..:asked` | who waits, and who asked when | the queue is empty, or nobody has asked for 15 s |
/// | `..:readers`, `..:shares` | who share it, see [`ReadWriteLock`](crate::ReadWriteLock) | the last of their leases ends |
///
/// `mainstay` is the namespace, `lock1` the version of the layout, and 17 one of 64 buckets that names
/// hash to. The hash tag is the bucket's, so that on a Cluster the locks of a bucket are on one node and
/// are renewed together. Processes are told on channels named `mainstay:lock1:*`, one each.
///
/// # Cost
///
/// One call each to acquire and to release, one command of the server for a free lock and two to free it;
/// calls that are made at the same time share a script, and with it its overhead. A hand-over costs one push
/// besides, and no call at the waiter; handing it on within a process costs no call at all.
/// A request whose answer took so long that its caller has given up is refused by the server. A waiter asks every
/// 5 s whether a push was lost. Renewals take one script for 100 leases, one `MGET` and a `PEXPIRE` each.
/// Readers cost a script each to get in and out, and one more where the turn passes from a writer to readers.
/// After each connect every waiter asks, and every holder has a look, once.
///
/// # Permissions
///
/// Keys `{mainstay:lock1:*`, channels `mainstay:lock1:*`, and the commands `HELLO`, `CLIENT INFO`,
/// `CLIENT KILL`, `INFO`, `SUBSCRIBE`, `UNSUBSCRIBE`, `EVALSHA`, `SCRIPT LOAD`, `TIME`, `GET`, `EXISTS`, `SET`,
/// `MGET`, `DEL`, `PEXPIRE`, `PTTL`, `PUBLISH`, `PUBSUB NUMSUB`, `ZADD`, `ZCARD`, `ZCOUNT`, `ZPOPMIN`, `ZRANGE`,
/// `ZRANGEBYSCORE`, `ZRANK`, `ZREM`, `ZSCORE`, `HDEL`, `HGET` and `HSET`.
///
/// # On a Cluster
///
/// The locks of a bucket are on one node, so 100 renewals take a script for each bucket among them, 64 at
/// most. A node does not learn whether a waiter hears of its grant. It is granted for a second, and whoever
/// hears of it asks again at once, for the whole lease: one script more for each hand-over. A grant to a process
/// that is gone so lasts a second, until the next waiter's look, 5 s after its last one at most; and so does a
/// reader's share that is told by push. A request
/// that reaches its node late is not refused as elsewhere, because nodes' clocks differ.
///
/// While a slot migrates, a lock that nobody waits for is taken, renewed and given back as ever, and one that
/// somebody waits for is renewed. What needs the queue is refused with `TRYAGAIN` until the slot has moved: to
/// stand in line is an error then, a release is tried again, and those who wait keep their places for 15 s. Calls about
/// readers are refused likewise, their renewals too, so let that take less than a third of a reader's lease. Leases and
/// fences that have moved are judged by the clock of the new node: what it is ahead is taken off the lease.
///
/// `CLUSTER INFO`, `CLUSTER SLOTS` and `PING` must be allowed besides, and with Sentinels `ROLE`.
///
/// # When the backend is down
///
/// Requests fail with [`LockError::Backend`](crate::LockError::Backend) where nothing was sent, and
/// with [`LockError::Unknown`](crate::LockError::Unknown) where something was. Leases go on until they
/// end; a server that comes back empty has forgotten its locks, and their holders are told when the
/// connection is there again.
#[derive(Clone)]
pub struct RedisLocks {
    pub(super) store: Arc<Store>,
}

pub(super) struct Store {
    pub(super) redis: Redis,
    pub(super) channel: u64,
    pub(super) registry: Registry,
    pub(super) time: ServerTime,
    pub(super) spawner: Spawner,
    /// On a node of a quorum: how many seconds after its start the server gives votes, 0 if at once.
    pub(super) votes_after: Option<u64>,
    namespace: Key,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl RedisLocks {
    /// Locks in the namespace `mainstay` of the server behind `redis`.
    pub fn new(redis: Redis) -> Self {
        let namespace = Key::new(NAMESPACE).expect("a constant that is a key");
        Self::in_key(redis, namespace)
    }

    /// Locks in a namespace of their own.
    ///
    /// # Errors
    ///
    /// If `namespace` is no key.
    pub fn with_namespace(redis: Redis, namespace: impl IntoKey) -> Result<Self, KeyError> {
        Ok(Self::in_key(redis, namespace.into_key()?))
    }

    /// The connection.
    pub fn redis(&self) -> &Redis {
        &self.store.redis
    }

    /// A node of a quorum.
    pub(super) fn voting(redis: Redis, votes_after: u64) -> Self {
        let namespace = Key::new(NAMESPACE).expect("a constant that is a key");
        let mut store = Self::store_in(redis, namespace);
        store.votes_after = Some(votes_after);
        Self { store: Arc::new(store) }
    }

    fn in_key(redis: Redis, namespace: Key) -> Self {
        Self { store: Arc::new(Self::store_in(redis, namespace)) }
    }

    fn store_in(redis: Redis, namespace: Key) -> Store {
        Store {
            redis,
            channel: fastrand::u64(..),
            registry: Registry::default(),
            time: ServerTime::default(),
            spawner: Spawner::default(),
            votes_after: None,
            namespace,
            listening: Mutex::default(),
        }
    }
}

impl Store {
    pub(super) fn held(&self, key: &Key) -> Held {
        Held::new(key, &self.namespace)
    }

    /// What the scripts call an owner.
    pub(super) fn name(&self, owner: Owner, mode: Mode) -> String {
        wire::name_of(self.channel, owner, mode)
    }

    /// Makes sure that pushes are heard; to be called before anything that they may follow.
    pub(super) fn listen(self: &Arc<Self>) {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if listening.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.spawner.enter();
        let subscription = self.redis.subscribe(format!("{CHANNEL}{:016x}", self.channel));
        *listening = self.spawner.detach(listener::run(Arc::downgrade(self), subscription));
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let listening = self.listening.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = listening.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut locks = f.debug_struct("RedisLocks");
        locks.field("redis", &self.store.redis).field("namespace", &self.store.namespace);
        locks.finish_non_exhaustive()
    }
}

const NAMESPACE: &str = "mainstay";
/// Without the namespace: a channel has no spaces.
const CHANNEL: &str = "mainstay:lock1:";
