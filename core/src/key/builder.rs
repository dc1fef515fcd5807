//! Builds keys from literal text and escaped values.

use std::fmt::{Display, Write};

use super::{Key, KeyError, escape::Escaped};

/// Builds a [`Key`] piece by piece; the first mistake is reported by [`finish`](KeyBuilder::finish).
#[derive(Clone, Debug, Default)]
#[must_use = "call `finish` to get the key"]
pub struct KeyBuilder {
    text: String,
    empty_value: bool,
}

impl KeyBuilder {
    /// Appends text written by the developer: `:` separates parts, the rest is escaped.
    pub fn literal(mut self, text: &str) -> Self {
        self.append(&text, Some(':'));
        self
    }

    /// Appends a value to the current part; all of it is escaped.
    ///
    /// Put a separator between two values, or `a` + `bc` and `ab` + `c` name the same thing.
    pub fn value(mut self, value: &dyn Display) -> Self {
        let before = self.text.len();
        self.append(value, None);
        self.empty_value |= self.text.len() == before;
        self
    }

    /// Appends a template whose `{}` holes are filled by `values`, in order.
    ///
    /// A hole without a value counts as an empty value; values without a hole are ignored.
    pub fn template(mut self, template: &str, values: &[&dyn Display]) -> Self {
        let mut values = values.iter();
        for (index, literal) in template.split("{}").enumerate() {
            if index > 0 {
                self = match values.next() {
                    Some(value) => self.value(value),
                    None => self.value(&""),
                };
            }
            self = self.literal(literal);
        }
        self
    }

    /// Makes the key.
    ///
    /// # Errors
    ///
    /// [`KeyError::EmptyPart`] if a part or value is empty, [`KeyError::TooLong`] above [`Key::MAX_BYTES`].
    pub fn finish(self) -> Result<Key, KeyError> {
        if self.empty_value {
            return Err(KeyError::EmptyPart { so_far: self.text });
        }
        check(&self.text)?;
        Ok(Key(self.text.into()))
    }

    fn append(&mut self, value: &dyn Display, keep: Option<char>) {
        let mut into = Escaped { into: &mut self.text, keep };
        // A `Display` that fails is treated like one that wrote nothing.
        self.empty_value |= write!(into, "{value}").is_err();
    }
}

impl From<Key> for KeyBuilder {
    fn from(key: Key) -> Self {
        Self { text: key.as_str().into(), empty_value: false }
    }
}

/// Checks escaped text: no empty part, not too long.
pub(super) fn check(text: &str) -> Result<(), KeyError> {
    if text.split(':').any(str::is_empty) {
        return Err(KeyError::EmptyPart { so_far: text.into() });
    }
    if text.len() > Key::MAX_BYTES {
        let start = text.chars().take(40).collect();
        return Err(KeyError::TooLong { start, bytes: text.len() });
    }
    Ok(())
}
