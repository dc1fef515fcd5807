//! The handle: where locks are asked for.

use std::{sync::Arc, time::Duration};

use mainstay_core::{Clock, IntoKey, Key};

use crate::{
    acquire::{Acquire, TryAcquire},
    all::LockAll,
    backend::BackendError,
    builder::LocksBuilder,
    error::LockError,
    inspect::LockInfo,
    manager::Manager,
    read_write::ReadWriteLock,
    request::LockRequest,
};

/// A family of named locks.
///
/// Clones are cheap and share everything: locks, leases, the task that renews them.
///
/// # Fairness
///
/// Waiters of a name are served in the order in which they were first polled. Nobody barges in: a
/// release hands the lock to the head of the queue.
///
/// On Redis one waiter of a `Locks` stands in line for all of its waiters. What it is granted goes on to those who
/// waited at that moment, at most 16 of them and for at most 50 ms or half the lease, and then to the waiters of
/// other processes. [`strict_fifo`](crate::LocksConfig::strict_fifo) turns that off, and requests that have
/// metadata, a [fixed lease](LockRequest::fixed_lease) or another lease than those before them stand in line
/// themselves. Other processes see such a tenure as one: [`inspect`](Self::inspect) shows them the first of its
/// fences, and one waiter for each process.
///
/// # Cost
///
/// In process: no task switch and no boxing where the lock is free; one allocation, two map operations and
/// two on the renewal's agenda an acquisition.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_lock::{LockError, Locks, key};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let locks = Locks::in_process();
/// let order = 7;
/// let guard = locks.lock(key!("order:{}", order)).wait(Duration::from_millis(250)).await?;
/// assert!(locks.try_lock("order:7").await?.is_none());
/// guard.release().await;
/// assert!(locks.try_lock("order:7").await?.is_some());
/// # Ok::<(), LockError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Locks {
    manager: Arc<Manager>,
}

impl Locks {
    /// Locks kept in this process, with the defaults of [`LocksConfig`](crate::LocksConfig).
    pub fn in_process() -> Self {
        Self::builder().in_process()
    }

    /// Sets terms, clock, observer and backend.
    pub fn builder() -> LocksBuilder {
        LocksBuilder::default()
    }

    /// Asks for a lock. Nothing happens until the request is awaited or run.
    pub fn lock(&self, key: impl IntoKey) -> LockRequest {
        LockRequest::new(self.clone(), key.into_key())
    }

    /// Takes a lock if it is free; `None` if it is held elsewhere.
    pub fn try_lock(&self, key: impl IntoKey) -> TryAcquire {
        TryAcquire::new(self.lock_timeout(key, Duration::ZERO))
    }

    /// Waits for a lock for at most `wait`.
    pub fn lock_timeout(&self, key: impl IntoKey, wait: Duration) -> Acquire {
        self.lock(key).wait(wait).into_future()
    }

    /// A lock that many may read under, or one write under.
    pub fn read_write(&self, key: impl IntoKey) -> ReadWriteLock {
        ReadWriteLock::new(self.clone(), key.into_key())
    }

    /// Asks for several locks at once: all or none.
    ///
    /// They are taken in the order of their names, whatever the order given, so that two callers never
    /// wait for each other; a name given twice is taken once. Where all of them are free that is one round trip.
    pub fn lock_all<K: IntoKey>(&self, keys: impl IntoIterator<Item = K>) -> LockAll {
        LockAll::new(self.clone(), keys.into_iter().map(IntoKey::into_key).collect())
    }

    /// Who holds a lock and how many wait for it.
    ///
    /// # Errors
    ///
    /// [`LockError::InvalidKey`], and where the backend does not answer [`LockError::Backend`] or
    /// [`LockError::Unknown`].
    pub async fn inspect(&self, key: impl IntoKey) -> Result<LockInfo, LockError> {
        let key = key.into_key()?;
        let seen = self.manager.engine().inspect(self.manager.spawner(), &key).await;
        let mut seen = seen.map_err(|error| failure(key, error))?;
        self.manager.lines().show(&mut seen);
        Ok(seen)
    }

    /// Takes a lock from whoever holds it, and tells them the reason; false if nobody held it.
    ///
    /// The holder's `lost()` resolves, its `run` drops the work, and the next waiter has the lock at once: the old
    /// holder may still be at work, so this is safe only for work that checks fences.
    ///
    /// # Errors
    ///
    /// As [`inspect`](Self::inspect).
    pub async fn force_release(
        &self,
        key: impl IntoKey,
        reason: impl Into<Arc<str>>,
    ) -> Result<bool, LockError> {
        let key = key.into_key()?;
        let (engine, spawner) = (self.manager.engine(), self.manager.spawner());
        let forced = engine.force_release(spawner, &key, reason.into()).await;
        forced.map_err(|error| failure(key, error))
    }

    /// Refuses new requests and those that wait, gives holders `deadline` to finish, then takes their locks
    /// from them. Returns how many were taken.
    ///
    /// Within the deadline it also waits until what was dropped or released is given back: a process that
    /// ends after it leaves no lock behind.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, requests stay refused and nothing is taken from anybody.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.manager.close();
        let emptied = self.manager.agenda().emptied();
        match self.manager.clock().timeout(deadline, emptied).await {
            Ok(()) => 0,
            Err(_) => self.manager.revoke_all(),
        }
    }

    /// The clock that leases and waits run on.
    pub fn clock(&self) -> &Clock {
        self.manager.clock()
    }

    pub(crate) fn from_manager(manager: Arc<Manager>) -> Self {
        Self { manager }
    }

    pub(crate) fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }
}

/// Has locks: what `#[lock(with = ..)]` takes.
///
/// # Examples
///
/// ```
/// use mainstay_lock::{HasLocks, Locks};
///
/// struct Payments { locks: Locks }
///
/// impl HasLocks for Payments {
///     fn locks(&self) -> &Locks {
///         &self.locks
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no locks",
    note = "implement `HasLocks` for it, or name the field that holds the `Locks`: `with = self.locks`"
)]
pub trait HasLocks {
    /// The locks.
    fn locks(&self) -> &Locks;
}

impl HasLocks for Locks {
    fn locks(&self) -> &Locks {
        self
    }
}

impl<T: HasLocks + ?Sized> HasLocks for &T {
    fn locks(&self) -> &Locks {
        (**self).locks()
    }
}

impl<T: HasLocks + ?Sized> HasLocks for Box<T> {
    fn locks(&self) -> &Locks {
        (**self).locks()
    }
}

impl<T: HasLocks + ?Sized> HasLocks for Arc<T> {
    fn locks(&self) -> &Locks {
        (**self).locks()
    }
}

pub(crate) fn failure(key: Key, error: BackendError) -> LockError {
    match error {
        BackendError::Failed(failure) => LockError::Backend { key, failure },
        BackendError::Unknown(failure) => LockError::Unknown { key, failure },
    }
}
