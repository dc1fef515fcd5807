//! Several locks at once.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use mainstay_core::{Key, KeyError, Moment};

use crate::{
    acquire::Acquire, error::LockError, guard::LockGuard, locks::Locks, lost::Lost,
    release::Released,
};

/// A request for several locks; await it.
///
/// Made by [`Locks::lock_all`].
#[derive(Debug)]
#[must_use = "await the request"]
pub struct LockAll {
    locks: Locks,
    keys: Result<Vec<Key>, KeyError>,
    wait: Duration,
}

impl LockAll {
    pub(crate) fn new(locks: Locks, keys: Result<Vec<Key>, KeyError>) -> Self {
        let wait = locks.manager().config().wait;
        Self { locks, keys, wait }
    }

    /// Waits at most so long for all of them together; zero does not wait at all.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl IntoFuture for LockAll {
    type Output = Result<LockSet, LockError>;
    type IntoFuture = AcquireAll;

    fn into_future(self) -> AcquireAll {
        let sorted = self.keys.map(|mut keys| {
            keys.sort();
            keys.dedup();
            keys.into_iter()
        });
        let (keys, invalid) = match sorted {
            Ok(keys) => (keys, None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        let guards = Vec::with_capacity(keys.len());
        let (locks, wait) = (self.locks, self.wait);
        AcquireAll { locks, wait, invalid, keys, until: None, next: None, guards }
    }
}

/// Future of a [`LockAll`].
///
/// # Cancel safety
///
/// Dropping it leaves the queue and releases what it had got.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireAll {
    locks: Locks,
    wait: Duration,
    invalid: Option<KeyError>,
    keys: vec::IntoIter<Key>,
    until: Option<Moment>,
    next: Option<Acquire>,
    guards: Vec<LockGuard>,
}

impl Future for AcquireAll {
    type Output = Result<LockSet, LockError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(error) = this.invalid.take() {
            return Poll::Ready(Err(error.into()));
        }
        let now = this.locks.clock().now();
        let until = *this.until.get_or_insert(now + this.wait);
        loop {
            if let Some(acquire) = &mut this.next {
                let result = ready!(Pin::new(acquire).poll(cx));
                this.next = None;
                match result {
                    Ok(guard) => this.guards.push(guard),
                    Err(error) => {
                        this.guards.clear();
                        return Poll::Ready(Err(error));
                    }
                }
            }
            let Some(key) = this.keys.next() else {
                return Poll::Ready(Ok(LockSet { guards: std::mem::take(&mut this.guards) }));
            };
            let left = until.saturating_since(this.locks.clock().now());
            this.next = Some(this.locks.lock_timeout(key, left));
        }
    }
}

impl fmt::Debug for AcquireAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireAll").field("got", &self.guards).finish_non_exhaustive()
    }
}

/// Several held locks; dropping the set releases them.
#[derive(Debug)]
#[must_use = "dropping the set releases the locks"]
pub struct LockSet {
    guards: Vec<LockGuard>,
}

impl LockSet {
    /// The guards, in the order of their names.
    pub fn guards(&self) -> &[LockGuard] {
        &self.guards
    }

    /// The guard of one name.
    pub fn get(&self, key: &Key) -> Option<&LockGuard> {
        self.guards.iter().find(|guard| guard.key() == key)
    }

    /// Whether all of them are held at this moment.
    pub fn is_held(&self) -> bool {
        self.guards.iter().all(LockGuard::is_held)
    }

    /// Resolves when the first of them is not held any more; never if the set is empty.
    pub async fn lost(&self) -> Lost {
        let mut signals: Vec<_> = self.guards.iter().map(|guard| (guard, guard.lost())).collect();
        std::future::poll_fn(|cx| {
            for (guard, signal) in &mut signals {
                if let Poll::Ready(reason) = Pin::new(signal).poll(cx) {
                    return Poll::Ready(guard.hold().lost_by(reason));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Releases all of them, the last name first; what became of each, in the order of the names.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the guards not yet released are released in the background.
    pub async fn release(self) -> Vec<(Key, Released)> {
        let mut released = Vec::with_capacity(self.guards.len());
        for guard in self.guards.iter().rev() {
            released.push((guard.key().clone(), guard.release().await));
        }
        released.reverse();
        released
    }
}
