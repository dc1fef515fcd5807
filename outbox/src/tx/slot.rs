//! Where a body leaves its transaction.

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Lent => Returned => Closed, or Lent => Closed when the body ended and kept the transaction.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<State<T>>);

#[derive(Debug)]
enum State<T> {
    Lent,
    Returned(T),
    Closed,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(State::Lent))
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body is done with the transaction. One that comes too late is rolled back by being dropped.
    pub(super) fn give_back(&self, open: T) {
        let mut state = self.lock();
        if matches!(*state, State::Lent) {
            *state = State::Returned(open);
        }
    }

    /// The transaction, if the body left it here.
    pub(super) fn take(&self) -> Option<T> {
        match std::mem::replace(&mut *self.lock(), State::Closed) {
            State::Returned(open) => Some(open),
            State::Lent | State::Closed => None,
        }
    }
}
