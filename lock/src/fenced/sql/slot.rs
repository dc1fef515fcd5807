//! Where a body leaves its transaction.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{Database, Transaction};

/// Lent => Returned => Closed, or Lent => Closed when the body ended and kept the transaction.
#[derive(Debug)]
pub(super) struct Slot<DB: Database>(Mutex<State<DB>>);

#[derive(Debug)]
enum State<DB: Database> {
    Lent,
    Returned(Transaction<'static, DB>),
    Closed,
}

impl<DB: Database> Default for Slot<DB> {
    fn default() -> Self {
        Self(Mutex::new(State::Lent))
    }
}

impl<DB: Database> Slot<DB> {
    fn lock(&self) -> MutexGuard<'_, State<DB>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body is done with the transaction. One that comes too late is rolled back by being dropped.
    pub(super) fn give_back(&self, tx: Transaction<'static, DB>) {
        let mut state = self.lock();
        if matches!(*state, State::Lent) {
            *state = State::Returned(tx);
        }
    }

    /// The transaction, if the body left it here.
    pub(super) fn take(&self) -> Option<Transaction<'static, DB>> {
        match std::mem::replace(&mut *self.lock(), State::Closed) {
            State::Returned(tx) => Some(tx),
            State::Lent | State::Closed => None,
        }
    }
}
