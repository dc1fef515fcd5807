//! Slots that are kept after their call.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mainstay_core::Moment;

use crate::{core::Core, observe::Event, permit::Slot, spawn};

/// The slots of a limiter that are kept, by the end of their time.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    count: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    slots: BTreeMap<Place, Entry>,
}

type Place = (Moment, u64);

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot>,
    timer: Option<spawn::Task>,
}

impl Holds {
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Takes out what has ended. The caller drops it, which returns the permits.
    pub(crate) fn take_ended(&self, now: Moment) -> Vec<Arc<Slot>> {
        let mut kept = self.lock();
        let later = kept.slots.split_off(&(now, u64::MAX));
        let ended = std::mem::replace(&mut kept.slots, later);
        self.count.store(kept.slots.len(), Ordering::Release);
        drop(kept);
        ended.into_values().map(|entry| entry.slot).collect()
    }

    fn keep(&self, until: Moment, slot: Arc<Slot>) -> Place {
        let mut kept = self.lock();
        kept.next += 1;
        let place = (until, kept.next);
        kept.slots.insert(place, Entry { slot, timer: None });
        self.count.store(kept.slots.len(), Ordering::Release);
        place
    }

    fn remove(&self, place: &Place) -> Option<Entry> {
        let mut kept = self.lock();
        let entry = kept.slots.remove(place);
        self.count.store(kept.slots.len(), Ordering::Release);
        entry
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps `slot` for `ttl` and returns the means to give it back sooner.
pub(crate) fn keep(slot: Arc<Slot>, ttl: Duration) -> Held {
    let core = slot.scopes.core().clone();
    core.observe.tell(Event::Held { scope: slot.scopes.name(), ttl });
    let until = core.clock.now() + ttl;
    let place = core.holds.keep(until, slot);
    let timer = spawn::detached(end_at(Arc::downgrade(&core), core.clock.sleep_until(until)));
    if let Some(entry) = core.holds.lock().slots.get_mut(&place) {
        entry.timer = timer;
    }
    Held { place: Some((core, place)) }
}

/// Wakes whoever waits for the slot. Newcomers look for ended holds themselves.
async fn end_at(core: std::sync::Weak<Core>, sleep: mainstay_core::Sleep) {
    sleep.await;
    if let Some(core) = core.upgrade() {
        core.reap();
    }
}

/// A slot that is kept although its call is over, because the outcome is not known.
///
/// Dropping this value changes nothing: the slot stays taken until its time ends. Keep it to release
/// the slot as soon as the outcome is known.
#[must_use = "keep it to release the slot once the outcome is known, or drop it to let the time end it"]
pub struct Held {
    place: Option<(Arc<Core>, Place)>,
}

impl Held {
    /// What is left of a call that held nothing.
    pub(crate) fn nothing() -> Self {
        Self { place: None }
    }

    /// Whether the slot is still kept.
    pub fn is_held(&self) -> bool {
        self.place.as_ref().is_some_and(|(core, place)| {
            core.reap();
            core.holds.lock().slots.contains_key(place)
        })
    }

    /// How long the slot is kept if nobody releases it.
    pub fn remaining(&self) -> Duration {
        self.place
            .as_ref()
            .map_or(Duration::ZERO, |(core, (until, _))| until.saturating_since(core.clock.now()))
    }

    /// Gives the slot back; `false` if its time had ended.
    #[expect(clippy::must_use_candidate, reason = "most callers have no use for the answer")]
    pub fn release(self) -> bool {
        let Some((core, place)) = self.place else { return false };
        let entry = core.holds.remove(&place);
        if let Some(timer) = entry.as_ref().and_then(|entry| entry.timer.as_ref()) {
            timer.stop();
        }
        entry.is_some()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("remaining", &self.remaining()).finish()
    }
}
