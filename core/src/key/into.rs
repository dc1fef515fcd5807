//! What methods that take a key accept.

use super::{Key, KeyError};

/// Text, a [`Key`], or the result of [`key!`](crate::key!), wherever a key is asked for.
///
/// Text is read as by [`Key::new`]: its colons separate parts. Put foreign text through
/// [`key!`](crate::key!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot name a mainstay key",
    note = "pass a `Key`, a `&str`, or `key!(\"order:{{}}\", id)`"
)]
pub trait IntoKey {
    /// Makes the key.
    ///
    /// # Errors
    ///
    /// Whatever makes the text no key.
    fn into_key(self) -> Result<Key, KeyError>;
}

impl IntoKey for Key {
    fn into_key(self) -> Result<Key, KeyError> {
        Ok(self)
    }
}

impl IntoKey for &Key {
    fn into_key(self) -> Result<Key, KeyError> {
        Ok(self.clone())
    }
}

impl IntoKey for Result<Key, KeyError> {
    fn into_key(self) -> Result<Key, KeyError> {
        self
    }
}

impl IntoKey for &str {
    fn into_key(self) -> Result<Key, KeyError> {
        Key::new(self)
    }
}

impl IntoKey for String {
    fn into_key(self) -> Result<Key, KeyError> {
        Key::new(&self)
    }
}

impl IntoKey for &String {
    fn into_key(self) -> Result<Key, KeyError> {
        Key::new(self)
    }
}
