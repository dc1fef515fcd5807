//! What can be seen of a lock from outside.

use std::{sync::Arc, time::Duration};

use mainstay_core::Key;

use crate::{backend::Owner, fence::Fence};

/// Who holds a lock and how many wait; a moment later it may be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockInfo {
    /// The lock.
    pub key: Key,
    /// Who holds it alone, if anybody.
    pub holder: Option<Holder>,
    /// Who share it, see [`ReadWriteLock`](crate::ReadWriteLock); the first [`SHOWN`](Self::SHOWN) of them.
    pub readers: Vec<Holder>,
    /// How many share it.
    pub reader_count: usize,
    /// How many wait for it.
    pub waiters: usize,
}

impl LockInfo {
    /// How many of those who share a lock are shown one by one.
    pub const SHOWN: usize = 128;

    /// What is known of `key`.
    pub fn new(key: Key, holder: Option<Holder>, waiters: usize) -> Self {
        Self { key, holder, readers: Vec::new(), reader_count: 0, waiters }
    }

    /// Adds those who share it, of whom there are `count`.
    #[must_use]
    pub fn with_readers(mut self, readers: Vec<Holder>, count: usize) -> Self {
        (self.readers, self.reader_count) = (readers, count);
        self
    }

    /// Whether somebody holds it, alone or beside others.
    pub fn is_held(&self) -> bool {
        self.holder.is_some() || self.reader_count > 0
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The acquisition.
    pub owner: Owner,
    /// Its fence.
    pub fence: Fence,
    /// How long it has been held.
    pub held_for: Duration,
    /// When its lease ends, unless it is renewed.
    pub remaining: Duration,
    /// What the holder said of itself, see [`LockRequest::metadata`](crate::LockRequest::metadata).
    pub metadata: Option<Arc<str>>,
}

impl Holder {
    /// A holder that has had the lock for `held_for`.
    pub fn new(owner: Owner, fence: Fence, held_for: Duration, remaining: Duration) -> Self {
        Self { owner, fence, held_for, remaining, metadata: None }
    }

    /// Adds what the holder said of itself.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<Arc<str>>) -> Self {
        self.metadata = Some(metadata.into());
        self
    }
}
