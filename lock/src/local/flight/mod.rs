//! Calls that are shared by all who ask meanwhile.

mod once;
mod ticket;

use std::{fmt, hash::Hash, sync::Arc};

use dashmap::DashMap;

pub use once::Once;
use ticket::InFlight;

/// Shares one call among those who ask for the same key at the same time.
///
/// The first one to ask runs its future; whoever asks while it runs gets a clone of the result, errors
/// included if `T` is a `Result`. It is no cache: a call that begins after another one has returned
/// never gets the other's result. A clone is a reference count and shares the same flights.
///
/// # A read after a write
///
/// A read that arrives after a write never joins a flight that began before the write was done, which
/// may have read the old value. [`write`](Self::write) does a write and then cuts off the flights of its key;
/// [`invalidate`](Self::invalidate) is for writes that were done otherwise. Those who joined before get what the flight
/// brings: they asked before the write was done, so either value is right for them.
///
/// # Cancel safety
///
/// The future that runs belongs to its caller. If that one is dropped, or panics, the next one in line
/// runs the future *it* brought; nobody hangs, and a read may then have been begun more than once. So
/// bring futures that may be dropped and repeated: reads. Nothing runs in the background.
///
/// # Fairness
///
/// Whoever was first polled next takes over. One that is then not polled again holds up the others, as it would
/// with its own call.
///
/// # Cost
///
/// One allocation a flight and one for each that joins it, two map operations a call. The future is stored
/// once, in place. A key without a flight takes no memory.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, convert::Infallible};
/// use mainstay_lock::local::SingleFlight;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (flights, calls) = (SingleFlight::new(), Cell::new(0));
/// let rate = async || {
///     calls.set(calls.get() + 1);
///     tokio::task::yield_now().await;
///     Ok::<_, Infallible>(93)
/// };
/// let (one, two) = tokio::join!(flights.once("EUR", rate()), flights.once("EUR", rate()));
/// assert_eq!((one, two, calls.get()), (Ok(93), Ok(93), 1));
///
/// // Whoever reads after this does not see what was read before it.
/// flights.write("EUR", async { /* UPDATE rates .. */ }).await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SingleFlight<K, T> {
    flights: Arc<DashMap<K, InFlight<T>>>,
}

impl<K: Eq + Hash + Clone, T: Clone> SingleFlight<K, T> {
    /// No flights yet.
    pub fn new() -> Self {
        Self { flights: Arc::default() }
    }

    /// The result of `call`, or of one for the same key that is running already.
    ///
    /// It arrives when the future is first polled.
    pub fn once<F>(&self, key: K, call: F) -> Once<K, T, F>
    where
        F: Future<Output = T>,
    {
        Once::new(self.flights.clone(), key, call)
    }

    /// Does a write, and cuts off the flights that began before it was done.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it writes, or in a panic, the flights are cut off too: the write may have been done.
    pub async fn write<F: Future>(&self, key: K, write: F) -> F::Output {
        let _cut = CutOff { flights: &self.flights, key };
        write.await
    }

    /// Cuts off the flights of `key` that have begun: whoever asks from now on does not join them.
    ///
    /// To be called after the write, not before it.
    pub fn invalidate(&self, key: &K) {
        self.flights.remove(key);
    }

    /// As [`invalidate`](Self::invalidate), for all keys.
    pub fn invalidate_all(&self) {
        self.flights.clear();
    }

    /// How many keys have a flight that can be joined.
    pub fn len(&self) -> usize {
        self.flights.len()
    }

    /// Whether there is nothing to join.
    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }
}

impl<K, T> Clone for SingleFlight<K, T> {
    fn clone(&self) -> Self {
        Self { flights: self.flights.clone() }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash, T> fmt::Debug for SingleFlight<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("keys", &self.flights.len()).finish()
    }
}

struct CutOff<'a, K: Eq + Hash, T> {
    flights: &'a DashMap<K, InFlight<T>>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for CutOff<'_, K, T> {
    fn drop(&mut self) {
        self.flights.remove(&self.key);
    }
}
