//! One after another, in the order of their names.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    vec,
};

use mainstay_core::{Key, Moment};

use crate::{acquire::Acquire, error::LockError, guard::LockGuard, locks::Locks};

/// Waits for each while it holds those before it: two callers never wait for each other.
pub(super) struct InOrder {
    keys: vec::IntoIter<Key>,
    next: Option<Acquire>,
    guards: Vec<LockGuard>,
}

impl InOrder {
    pub(super) fn new(keys: Vec<Key>) -> Self {
        Self { guards: Vec::with_capacity(keys.len()), keys: keys.into_iter(), next: None }
    }

    pub(super) fn poll_guards(
        &mut self,
        locks: &Locks,
        until: Moment,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<LockGuard>, LockError>> {
        loop {
            if let Some(acquire) = &mut self.next {
                let result = ready!(Pin::new(acquire).poll(cx));
                self.next = None;
                self.guards.push(result?);
            }
            let Some(key) = self.keys.next() else {
                return Poll::Ready(Ok(mem::take(&mut self.guards)));
            };
            let left = until.saturating_since(locks.clock().now());
            self.next = Some(locks.lock_timeout(key, left));
        }
    }
}
