//! Percent-encoding of what could be mistaken for structure.

use std::fmt::{self, Write};

fn is_reserved(c: char) -> bool {
    matches!(c, '{' | '}' | ':' | '%') || c.is_control()
}

/// Writes text into `into`, escaping every reserved character that `keep` does not name.
pub(super) struct Escaped<'a> {
    pub(super) into: &'a mut String,
    pub(super) keep: Option<char>,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if is_reserved(c) && self.keep != Some(c) {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    write!(self.into, "%{byte:02X}")?;
                }
            } else {
                self.into.push(c);
            }
        }
        Ok(())
    }
}

/// Whether `text` could have been written by [`Escaped`].
pub(super) fn is_canonical(text: &str) -> bool {
    // A separator and an escaped `:` decode to the same character, so compare part by part.
    text.split(':').all(|part| decode(part).is_some_and(|raw| encode(&raw) == part))
}

fn encode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let escaped = Escaped { into: &mut out, keep: None }.write_str(raw);
    escaped.expect("writing to a string does not fail");
    out
}

fn decode(part: &str) -> Option<String> {
    let mut raw = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        raw.push(match byte {
            b'%' => digit(bytes.next()?)? * 16 + digit(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(raw).ok()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
