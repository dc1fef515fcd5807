//! What a manager has to look at, and when.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use mainstay_core::Moment;
use tokio::sync::Notify;

use crate::hold::Hold;

/// Every live acquisition of a manager, by the moment it needs a look.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: Mutex<Entries>,
    changed: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    due: BTreeMap<(Moment, u64), Weak<Hold>>,
    /// Until when the scheduler sleeps: it is woken only for something earlier.
    asleep_until: Option<Moment>,
    /// Calls on the wire that may take something, or give it back.
    calls: usize,
    closed: bool,
}

/// A call on the wire; a shutdown waits until it is dropped.
#[derive(Debug)]
pub(crate) struct OnTheWire(Arc<Agenda>);

/// A place on the agenda; dropping it takes it off.
#[derive(Debug)]
pub(crate) struct Registration {
    agenda: Arc<Agenda>,
    hold: Weak<Hold>,
    at: (Moment, u64),
}

impl Agenda {
    pub(crate) fn register(
        self: &Arc<Self>,
        hold: Weak<Hold>,
        number: u64,
        at: Moment,
    ) -> Registration {
        let at = (at, number);
        self.insert(at, hold.clone());
        Registration { agenda: self.clone(), hold, at }
    }

    /// Everything that is due at `now`. It stays on the agenda until its state machine moves it.
    pub(crate) fn due(&self, now: Moment) -> Vec<Arc<Hold>> {
        let entries = self.lock();
        entries.due.range(..=(now, u64::MAX)).filter_map(|(_, hold)| hold.upgrade()).collect()
    }

    /// Everything there is.
    pub(crate) fn all(&self) -> Vec<Arc<Hold>> {
        self.lock().due.values().filter_map(Weak::upgrade).collect()
    }

    /// Until when the scheduler may sleep; `None` when there is no more to come.
    pub(crate) fn fall_asleep(&self) -> Option<Moment> {
        let mut entries = self.lock();
        let until = entries.due.keys().next().map_or(Moment::NEVER, |(at, _)| *at);
        entries.asleep_until = Some(until);
        (!entries.closed).then_some(until)
    }

    /// Resolves when something earlier than the scheduler's sleep came up.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Notes a call before it is made.
    pub(crate) fn call(self: &Arc<Self>) -> OnTheWire {
        self.lock().calls += 1;
        OnTheWire(self.clone())
    }

    /// Waits until nothing is held, nobody waits, and nothing is being given back.
    pub(crate) async fn emptied(&self) {
        loop {
            // Registered before looking, so that the last departure is not missed.
            let mut notified = std::pin::pin!(self.emptied.notified());
            notified.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            notified.await;
        }
    }

    /// Lets the scheduler end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn insert(&self, at: (Moment, u64), hold: Weak<Hold>) {
        let mut entries = self.lock();
        entries.due.insert(at, hold);
        let earlier = entries.asleep_until.is_some_and(|until| at.0 < until);
        if earlier {
            entries.asleep_until = Some(at.0);
        }
        drop(entries);
        if earlier {
            self.changed.notify_one();
        }
    }

    fn remove(&self, at: (Moment, u64)) {
        let mut entries = self.lock();
        entries.due.remove(&at);
        self.departed(entries);
    }

    fn departed(&self, entries: MutexGuard<'_, Entries>) {
        let emptied = entries.is_empty();
        drop(entries);
        if emptied {
            self.emptied.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn is_empty(&self) -> bool {
        self.due.is_empty() && (self.calls == 0 || cfg!(mainstay_planted = "early_shutdown"))
    }
}

impl Registration {
    /// Moves to another moment.
    pub(crate) fn move_to(&mut self, at: Moment) {
        let new = (at, self.at.1);
        let old = std::mem::replace(&mut self.at, new);
        if old != self.at {
            // The new place first: the agenda must not look empty in between.
            self.agenda.insert(self.at, self.hold.clone());
            self.agenda.remove(old);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.agenda.remove(self.at);
    }
}

impl Drop for OnTheWire {
    fn drop(&mut self) {
        let mut entries = self.0.lock();
        entries.calls -= 1;
        self.0.departed(entries);
    }
}
