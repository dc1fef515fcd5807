//! A mutex for each key.

use std::{fmt, hash::Hash, sync::Arc};

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A mutex for each key, in this process.
///
/// A clone is a reference count and has the same mutexes. Keys are anything that can be compared and
/// hashed: an order's number needs no text.
///
/// # How it differs from `Locks::in_process()`
///
/// A [`Locks`](crate::Locks) has leases: a holder that hangs loses the lock, one that was suspended is
/// told, each has a fence, a scope may enter again, and a server can take its place. A `KeyedMutex` has
/// none of it: it is held until the guard is dropped, and who asks for what it holds itself waits for
/// ever. In return there is no clock, no background task, and nothing to fail.
///
/// # Fairness
///
/// Waiters of a key are served in the order in which they were first polled.
///
/// # Cancel safety
///
/// Dropping the future of [`lock`](Self::lock) gives up the place in the queue; the mutex goes to the next
/// one if it had just been handed over. A guard that is dropped unlocks, also in a panic: there is no
/// poisoning.
///
/// # Cost
///
/// One allocation where nobody uses the key, and two map operations. A key that nobody holds or waits for
/// takes no memory.
///
/// # Examples
///
/// ```
/// use mainstay_lock::local::KeyedMutex;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let accounts = KeyedMutex::new();
/// let guard = accounts.lock(7).await;
/// assert!(accounts.try_lock(7).is_none());
/// assert!(accounts.try_lock(8).is_some());
/// drop(guard);
/// assert!(accounts.is_empty());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct KeyedMutex<K> {
    mutexes: Arc<DashMap<K, InUse>>,
}

/// A mutex and how many hold it or wait for it.
struct InUse {
    mutex: Arc<Mutex<()>>,
    users: usize,
}

impl<K: Eq + Hash + Clone> KeyedMutex<K> {
    /// Mutexes that nobody holds.
    pub fn new() -> Self {
        Self { mutexes: Arc::default() }
    }

    /// Waits for the mutex of `key`.
    pub fn lock(&self, key: K) -> impl Future<Output = KeyedGuard<K>> + use<K> {
        let mutexes = self.mutexes.clone();
        async move {
            let (usage, mutex) = Usage::begin(mutexes, key);
            let held = mutex.lock_owned().await;
            KeyedGuard { _held: held, usage }
        }
    }

    /// Takes the mutex of `key` if nobody holds it.
    pub fn try_lock(&self, key: K) -> Option<KeyedGuard<K>> {
        let (usage, mutex) = Usage::begin(self.mutexes.clone(), key);
        let held = mutex.try_lock_owned().ok()?;
        Some(KeyedGuard { _held: held, usage })
    }

    /// How many keys are held or waited for.
    pub fn len(&self) -> usize {
        self.mutexes.len()
    }

    /// Whether nothing is held and nobody waits.
    pub fn is_empty(&self) -> bool {
        self.mutexes.is_empty()
    }
}

impl<K> Clone for KeyedMutex<K> {
    fn clone(&self) -> Self {
        Self { mutexes: self.mutexes.clone() }
    }
}

impl<K: Eq + Hash + Clone> Default for KeyedMutex<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash> fmt::Debug for KeyedMutex<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedMutex").field("keys", &self.mutexes.len()).finish()
    }
}

/// The mutex of one key, held until this is dropped. Owned: it may be kept or sent.
#[must_use = "dropping the guard unlocks the key"]
pub struct KeyedGuard<K: Eq + Hash> {
    // Before the usage: the key is forgotten only once nobody holds it.
    _held: OwnedMutexGuard<()>,
    usage: Usage<K>,
}

impl<K: Eq + Hash> KeyedGuard<K> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.usage.key
    }
}

impl<K: Eq + Hash + fmt::Debug> fmt::Debug for KeyedGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedGuard").field("key", self.key()).finish_non_exhaustive()
    }
}

/// Somebody who holds a key or waits for it; the last one takes its mutex away.
struct Usage<K: Eq + Hash> {
    mutexes: Arc<DashMap<K, InUse>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Usage<K> {
    fn begin(mutexes: Arc<DashMap<K, InUse>>, key: K) -> (Self, Arc<Mutex<()>>) {
        let mutex = {
            let unused = || InUse { mutex: Arc::default(), users: 0 };
            let mut in_use = mutexes.entry(key.clone()).or_insert_with(unused);
            in_use.users += 1;
            in_use.mutex.clone()
        };
        (Self { mutexes, key }, mutex)
    }
}

impl<K: Eq + Hash> Drop for Usage<K> {
    fn drop(&mut self) {
        // Counted under the map's own lock: nobody can come between the last user and the removal.
        self.mutexes.remove_if_mut(&self.key, |_, in_use| {
            in_use.users -= 1;
            in_use.users == 0
        });
    }
}
