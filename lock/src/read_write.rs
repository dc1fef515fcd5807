//! Locks that many may read under, or one write under.

use std::time::Duration;

use mainstay_core::{Key, KeyError};

use crate::{
    acquire::{Acquire, TryAcquire},
    locks::Locks,
    mode::Mode,
    request::LockRequest,
};

/// A lock that many may read under, or one write under.
///
/// Made by [`Locks::read_write`]; it names the lock and holds nothing. `write()` is the lock that
/// [`Locks::lock`] asks for under this name: whoever locks it plainly excludes readers and writers alike.
/// [`Locks::inspect`] shows the readers, [`Locks::force_release`] takes the lock from all of them.
///
/// Each reader has a lease, a renewal and a [fence](crate::LockGuard::fence) of its own, and is passed over on its
/// own when its lease ends. Fences rise with every grant, so a writer's is above those of all readers before it.
///
/// The attribute takes `mode = "read"` or `mode = "write"`.
///
/// In process, on a Redis, a Cluster included, replicated, and on a quorum; the plain form keeps no readers: it
/// refuses them.
///
/// # Fairness
///
/// Nobody starves: requests are served in the order in which they came. A reader that comes while a writer
/// waits stands behind it; when the turn is a reader's, all readers next to it get in together.
///
/// # Reading inside reading, and writing inside reading
///
/// Inside the scope of a guard (`run`, [`scope`](crate::LockGuard::scope), the attribute, the layer) a read is one more guard
/// of what is held, reading or writing. A write inside a read is refused with
/// [`LockError::WouldDeadlock`](crate::LockError::WouldDeadlock): there is no upgrade, because two readers that both
/// waited for the other's read to end would wait for ever. Release the read, ask to write, and look again at what was read.
///
/// Outside of its scope a guard does not count: a second read waits behind a writer that waits for the first.
///
/// # Cost
///
/// In process as a plain lock; one more map operation a reader. Plain locks pay nothing for it.
///
/// # Examples
///
/// ```
/// use mainstay_lock::{LockError, Locks};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let locks = Locks::in_process();
/// let rates = locks.read_write("rates");
/// let (one, two) = (rates.read().await?, rates.read().await?);
/// assert!(rates.try_write().await?.is_none());
/// drop((one, two));
/// rates.write().run(async { Ok::<_, LockError>(()) }).await?;
/// # Ok::<(), LockError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReadWriteLock {
    locks: Locks,
    key: Result<Key, KeyError>,
}

impl ReadWriteLock {
    pub(crate) fn new(locks: Locks, key: Result<Key, KeyError>) -> Self {
        Self { locks, key }
    }

    /// Asks to read: beside other readers, and not while anybody writes.
    ///
    /// A backend that keeps no shared locks refuses with [`LockError::Unsupported`](crate::LockError::Unsupported).
    pub fn read(&self) -> LockRequest {
        self.write().mode(Mode::Shared)
    }

    /// Asks to write: alone.
    pub fn write(&self) -> LockRequest {
        LockRequest::new(self.locks.clone(), self.key.clone())
    }

    /// Reads if that is possible at once; `None` if somebody writes, or waits to.
    pub fn try_read(&self) -> TryAcquire {
        at_once(self.read())
    }

    /// Writes if that is possible at once; `None` if somebody reads or writes.
    pub fn try_write(&self) -> TryAcquire {
        at_once(self.write())
    }

    /// The name; nothing if it is no key.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref().ok()
    }
}

fn at_once(request: LockRequest) -> TryAcquire {
    let acquire: Acquire = request.wait(Duration::ZERO).into_future();
    TryAcquire::new(acquire)
}
