//! The Redis keys of a lock.

use std::num::NonZeroU32;

use mainstay_core::Key;

/// The Redis key of a lock's holder. The scripts make the other keys from it; all of them share a hash
/// tag with all locks of their bucket.
#[derive(Clone, Debug)]
pub(super) struct Held(String);

impl Held {
    pub(super) fn new(key: &Key, namespace: &Key) -> Self {
        let bucket = bucket(key).to_string();
        // The names are escaped, so the tag's braces are the only ones. Every call has one: `format!` takes longer.
        Self(["{", namespace.as_str(), ":lock1:", &bucket, "}:", key.as_str(), HELD].concat())
    }

    /// The keys of its readers as well, which must be on the same node.
    pub(super) fn with_readers(&self) -> [String; 3] {
        let base = self.0.strip_suffix(HELD).unwrap_or(&self.0);
        [self.0.clone(), format!("{base}:readers"), format!("{base}:shares")]
    }

    /// The holder's key as a script told it.
    pub(super) fn told(text: &str) -> Option<Self> {
        text.ends_with(HELD).then(|| Self(text.to_owned()))
    }
}

impl AsRef<str> for Held {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The bucket of a lock: those of one bucket are on one node, and one script may be about all of them.
pub(super) fn bucket(key: &Key) -> u32 {
    key.bucket(BUCKETS)
}

/// Part of the layout, so never changed without a new version of it.
const BUCKETS: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");

const HELD: &str = ":held";
