//! Names of locks, limits, breakers and messages.

mod builder;
mod escape;
mod into;

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use builder::KeyBuilder;
pub use into::IntoKey;

/// A name made of parts joined by `:`, safe to use as a Redis key or a metric label.
///
/// Text that comes from outside can neither add a part nor open a hash tag: `{`, `}`, `:`, `%` and
/// control characters of a value are percent-encoded, so different values give different keys.
/// A clone is a reference count.
///
/// # Examples
///
/// ```
/// use mainstay_core::{Key, key};
///
/// let order = "7:refund";
/// assert_eq!(key!("order:{}", order)?.as_str(), "order:7%3Arefund");
/// assert_eq!(Key::new("bank:pay")?.parts().count(), 2);
/// assert!(Key::new("bank::pay").is_err());
/// # Ok::<(), mainstay_core::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Longest key, in bytes after escaping. Hash longer names before use.
    pub const MAX_BYTES: usize = 256;

    /// Makes a key of text written by the developer: every `:` separates two parts.
    ///
    /// Use [`key!`](crate::key!) or [`Key::builder`] for text that comes from outside.
    ///
    /// # Errors
    ///
    /// [`KeyError::EmptyPart`] and [`KeyError::TooLong`].
    pub fn new(path: &str) -> Result<Self, KeyError> {
        Self::builder().literal(path).finish()
    }

    /// Makes a key of parts, each escaped.
    ///
    /// # Errors
    ///
    /// [`KeyError::EmptyPart`] and [`KeyError::TooLong`].
    pub fn from_parts<P: fmt::Display>(
        parts: impl IntoIterator<Item = P>,
    ) -> Result<Self, KeyError> {
        let join = |(built, first): (KeyBuilder, bool), part| {
            let built = if first { built } else { built.literal(":") };
            (built.value(&part), false)
        };
        parts.into_iter().fold((Self::builder(), true), join).0.finish()
    }

    /// Starts a key of literal text and escaped values.
    pub fn builder() -> KeyBuilder {
        KeyBuilder::default()
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The escaped parts, first to last.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(':')
    }

    /// Every leading path of this key, shortest first, the key itself last.
    ///
    /// `bank:pay` gives `bank` and `bank:pay`.
    pub fn prefixes(&self) -> impl Iterator<Item = Key> {
        let ends = self.0.match_indices(':').map(|(at, _)| at).chain([self.0.len()]);
        ends.map(|end| Key(self.0[..end].into()))
    }

    /// This key with one more part, escaped.
    ///
    /// # Errors
    ///
    /// [`KeyError::EmptyPart`] and [`KeyError::TooLong`].
    pub fn child(&self, part: impl fmt::Display) -> Result<Self, KeyError> {
        KeyBuilder::from(self.clone()).literal(":").value(&part).finish()
    }

    /// A Redis key whose hash tag is this key, so that all its suffixes share one Cluster slot.
    pub fn slotted(&self, suffix: &str) -> String {
        format!("{{{}}}:{suffix}", self.0)
    }

    /// The bucket of this key among `buckets`, the same in every process and version (FNV-1a, 64 bits).
    pub fn bucket(&self, buckets: NonZeroU32) -> u32 {
        let hash = self.0.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        u32::try_from(hash % u64::from(buckets.get())).expect("a remainder is below its divisor")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads the escaped text of a key back.
impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if !escape::is_canonical(text) {
            return Err(KeyError::NotEscaped { text: text.into() });
        }
        builder::check(text)?;
        Ok(Self(text.into()))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Why a text is no [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A part, or a value put into one, is empty.
    #[error("key `{so_far}` has an empty part; give every part at least one character")]
    EmptyPart {
        /// The key as far as it was built.
        so_far: String,
    },
    /// The key is longer than [`Key::MAX_BYTES`] once escaped.
    #[error(
        "key `{start}..` has {bytes} bytes, {} are allowed; hash the long part first",
        Key::MAX_BYTES
    )]
    TooLong {
        /// The first characters of the key.
        start: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text to read back was not written by a [`Key`].
    #[error("`{text}` is not the escaped text of a key; build it with `Key::new` or `key!`")]
    NotEscaped {
        /// The text.
        text: String,
    },
}

/// Makes a [`Key`] of a literal with `{}` holes; what fills a hole is escaped.
///
/// Returns `Result<Key, KeyError>`, which every method that takes a key accepts as it is.
///
/// # Examples
///
/// ```
/// let (tenant, id) = ("a{b}", 7);
/// let key = mainstay_core::key!("order:{}:{}", tenant, id)?;
/// assert_eq!(key.as_str(), "order:a%7Bb%7D:7");
/// # Ok::<(), mainstay_core::KeyError>(())
/// ```
#[macro_export]
macro_rules! key {
    ($template:literal $(, $value:expr)* $(,)?) => {{
        // Ended by a statement: a borrowed value that lived on until the end of the caller's own
        // statement would be held across its `.await`, and the caller's future would not be `Send`.
        let key = $crate::Key::builder().template($template, &[$(&$value),*]).finish();
        key
    }};
}
