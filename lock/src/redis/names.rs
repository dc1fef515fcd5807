//! The Redis keys of one lock.

use std::num::NonZeroU32;

use mainstay_core::Key;

/// The Redis keys of one lock, which share a hash tag with all locks of their bucket.
#[derive(Debug)]
pub(super) struct Names {
    base: String,
}

impl Names {
    pub(super) fn new(key: &Key, namespace: &Key) -> Self {
        // The names are escaped, so the tag's braces are the only ones.
        Self { base: format!("{{{namespace}:lock1:{}}}:{key}", bucket(key)) }
    }

    /// The lock whose holder's key this is.
    pub(super) fn of_holder(holder: &str) -> Option<Self> {
        holder.strip_suffix(HELD).map(|base| Self { base: base.to_owned() })
    }

    pub(super) fn all(&self) -> [String; 4] {
        [HELD, ":queue", ":waiters", TOMB].map(|suffix| format!("{}{suffix}", self.base))
    }

    /// What a renewal needs.
    pub(super) fn lease(&self) -> [String; 2] {
        [HELD, TOMB].map(|suffix| format!("{}{suffix}", self.base))
    }
}

/// The bucket of a lock: those of one bucket are on one node, and one script may be about all of them.
pub(super) fn bucket(key: &Key) -> u32 {
    key.bucket(BUCKETS)
}

/// Part of the layout, so never changed without a new version of it.
const BUCKETS: NonZeroU32 = NonZeroU32::new(64).unwrap();

const HELD: &str = ":held";
const TOMB: &str = ":fence";
