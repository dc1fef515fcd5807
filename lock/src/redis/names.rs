//! The Redis keys of one lock.

use mainstay_core::Key;

/// The Redis keys of one lock, which share a hash tag.
#[derive(Debug)]
pub(super) struct Names {
    base: String,
}

impl Names {
    pub(super) fn new(key: &Key, namespace: &Key) -> Self {
        Self { base: key.slotted(&format!("{namespace}:lock1")) }
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

const HELD: &str = ":held";
const TOMB: &str = ":fence";
