//! Several locks that are held.

use std::{pin::Pin, task::Poll};

use mainstay_core::Key;

use crate::{guard::LockGuard, lost::Lost, release::Released};

/// Several held locks; dropping the set releases them.
#[derive(Debug)]
#[must_use = "dropping the set releases the locks"]
pub struct LockSet {
    guards: Vec<LockGuard>,
}

impl LockSet {
    pub(super) fn new(guards: Vec<LockGuard>) -> Self {
        Self { guards }
    }

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
