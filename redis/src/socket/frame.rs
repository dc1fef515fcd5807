//! Where an answer ends.

use std::{fmt, num::ParseIntError, str};

/// Looks for the end of an answer in bytes that come bit by bit; each is looked at once.
///
/// RESP3 nests: an answer is whole when all the values are that it announced. What they mean is for the driver's
/// parser to say. Source: <https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md>.
pub(super) struct Frame {
    /// Where the next value of this answer begins.
    at: usize,
    /// How many values there are to come.
    missing: usize,
}

/// Not what a server says.
#[derive(Debug)]
pub(super) enum Garbage {
    Kind(u8),
    Length(ParseIntError),
    Text(str::Utf8Error),
    Huge,
}

impl Frame {
    pub(super) fn new() -> Self {
        Self { at: 0, missing: 1 }
    }

    /// The length of the first answer in `bytes`, once it is whole. `bytes` begin where they began before.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Garbage> {
        while self.missing > 0 {
            let Some((end, more)) = value(&bytes[self.at..])? else { return Ok(None) };
            let missing = (self.missing - 1).checked_add(more).ok_or(Garbage::Huge)?;
            (self.at, self.missing) = (self.at + end, missing);
        }
        let Self { at, .. } = std::mem::replace(self, Self::new());
        Ok(Some(at))
    }
}

/// The length of the first value without those that it consists of, and how many these are.
fn value(bytes: &[u8]) -> Result<Option<(usize, usize)>, Garbage> {
    let Some(line) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let (kind, rest) = (bytes[0], &bytes[1..line.max(1)]);
    let end = line + 1;
    match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Ok(Some((end, 0))),
        b'$' | b'!' | b'=' => {
            let end =
                count(rest)?.map_or(Some(end), |length| end.checked_add(length)?.checked_add(2));
            let end = end.ok_or(Garbage::Huge)?;
            Ok((end <= bytes.len()).then_some((end, 0)))
        }
        b'*' | b'~' | b'>' => Ok(Some((end, count(rest)?.unwrap_or(0)))),
        // Keys and values; attributes stand before what they are about.
        b'%' | b'|' => {
            let pairs = count(rest)?.unwrap_or(0).checked_mul(2).ok_or(Garbage::Huge)?;
            Ok(Some((end, pairs + usize::from(kind == b'|'))))
        }
        kind => Err(Garbage::Kind(kind)),
    }
}

/// How many bytes or values follow; nothing at all if that is below zero.
fn count(line: &[u8]) -> Result<Option<usize>, Garbage> {
    let text = str::from_utf8(line).map_err(Garbage::Text)?;
    let count: i64 = text.trim().parse().map_err(Garbage::Length)?;
    Ok(usize::try_from(count).ok())
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not speak RESP: ")?;
        match self {
            Self::Kind(kind) => write!(f, "no value begins with {:?}", char::from(*kind)),
            Self::Length(error) => write!(f, "a length that is no number: {error}"),
            Self::Text(error) => write!(f, "a length that is no text: {error}"),
            Self::Huge => f.write_str("a length beyond all memory"),
        }
    }
}

impl std::error::Error for Garbage {}
