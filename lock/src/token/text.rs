//! A token as text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::TokenError;
use crate::error::Failure;

/// A token: 128 random bits, as 32 characters that need no escaping in a URL or a form.
///
/// Whoever has it can use it, so it is in no `Debug` output and there is no `Display`: write
/// [`as_str`](Self::as_str) into the form, and read it back with `parse` or serde.
///
/// # Examples
///
/// ```
/// use mainstay_lock::token::Token;
///
/// let token: Token = "00112233445566778899aabbccddeeff".parse()?;
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert!("' or 1=1".parse::<Token>().is_err());
/// # Ok::<(), mainstay_lock::token::MalformedToken>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Box<str>);

impl Token {
    pub(super) fn random() -> Result<Self, TokenError> {
        let mut bits = [0; BYTES];
        getrandom::fill(&mut bits).map_err(|error| TokenError::NoRandomness {
            failure: Failure::new(error.to_string()),
        })?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bits)).into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FromStr for Token {
    type Err = MalformedToken;

    fn from_str(text: &str) -> Result<Self, MalformedToken> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 2 * BYTES && text.bytes().all(hex) {
            Ok(Self(text.into()))
        } else {
            Err(MalformedToken { bytes: text.len() })
        }
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A text is no [`Token`]; the text is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bytes} bytes were given as a token, which is 32 characters of 0-9 and a-f; send back what the form had"
)]
#[non_exhaustive]
pub struct MalformedToken {
    /// The length of the text.
    pub bytes: usize,
}

const BYTES: usize = 16;
