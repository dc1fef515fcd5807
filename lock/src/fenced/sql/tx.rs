//! A transaction under a lock, as its body sees it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use sqlx::{Database, Transaction};

use super::slot::Slot;
use crate::fence::Fence;

/// The open transaction of a body under a lock; its fence is checked already.
///
/// Use it as a connection: `&mut *tx` is what sqlx's queries execute on. It goes back to
/// [`LockGuard::transaction`](crate::LockGuard::transaction) when it is dropped, at the end of the body at the latest, and
/// is then committed or rolled back.
///
/// # Cancel safety
///
/// If the body's future is dropped, the transaction is rolled back.
pub struct Tx<DB: Database> {
    open: Option<Transaction<'static, DB>>,
    slot: Arc<Slot<DB>>,
    fence: Fence,
}

impl<DB: Database> Tx<DB> {
    pub(super) fn new(open: Transaction<'static, DB>, fence: Fence) -> (Self, Arc<Slot<DB>>) {
        let slot = Arc::new(Slot::default());
        (Self { open: Some(open), slot: slot.clone(), fence }, slot)
    }

    /// The fence of the lock, for what is written elsewhere on its behalf.
    pub fn fence(&self) -> Fence {
        self.fence
    }
}

impl<DB: Database> Deref for Tx<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        self.open.as_ref().expect("taken by drop alone")
    }
}

impl<DB: Database> DerefMut for Tx<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        self.open.as_mut().expect("taken by drop alone")
    }
}

impl<DB: Database> Drop for Tx<DB> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.slot.give_back(open);
        }
    }
}

impl<DB: Database> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("fence", &self.fence).finish_non_exhaustive()
    }
}
