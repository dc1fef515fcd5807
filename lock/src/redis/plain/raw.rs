//! The server's keys, as the other side writes them.

use std::{fmt, sync::Arc};

use mainstay_core::Key;

/// How a key becomes the server's.
#[derive(Clone)]
pub(super) enum RawKeys {
    Prefixed(Arc<str>),
    By(Arc<dyn Fn(&Key) -> String + Send + Sync>),
}

impl RawKeys {
    pub(super) fn prefixed(prefix: Arc<str>) -> Self {
        Self::Prefixed(prefix)
    }

    pub(super) fn by(name: impl Fn(&Key) -> String + Send + Sync + 'static) -> Self {
        Self::By(Arc::new(name))
    }

    pub(super) fn of(&self, key: &Key) -> Arc<str> {
        match self {
            Self::Prefixed(prefix) => format!("{prefix}{}", plain_text(key.as_str())).into(),
            Self::By(name) => name(key).into(),
        }
    }
}

impl Default for RawKeys {
    fn default() -> Self {
        Self::Prefixed("".into())
    }
}

impl fmt::Debug for RawKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefixed(prefix) => write!(f, "{prefix:?}*"),
            Self::By(_) => f.write_str("by a rule"),
        }
    }
}

/// The text before escaping.
fn plain_text(escaped: &str) -> String {
    let mut raw = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [first, tail @ ..] = rest {
        (raw, rest) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default();
                // Two hexadecimal digits are a byte.
                raw.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or_default());
                (raw, tail)
            }
            _ => {
                raw.push(*first);
                (raw, tail)
            }
        };
    }
    String::from_utf8_lossy(&raw).into_owned()
}

#[cfg(test)]
mod tests {
    use mainstay_core::key;

    use super::*;

    #[test]
    fn a_key_is_on_the_server_what_the_other_side_wrote() {
        let names = RawKeys::prefixed("app:{lock}:".into());
        let of = |key: &Key| names.of(key);
        assert_eq!(&*of(&Key::new("order:7").unwrap()), "app:{lock}:order:7");
        assert_eq!(&*of(&Key::new("100%:{a}:\u{7}ä b").unwrap()), "app:{lock}:100%:{a}:\u{7}ä b");
        assert_eq!(&*of(&key!("order:{}", "7:%41").unwrap()), "app:{lock}:order:7:%41");
        let names = RawKeys::by(|key| format!("a::{key}"));
        assert_eq!(&*names.of(&Key::new("b").unwrap()), "a::b");
    }
}
