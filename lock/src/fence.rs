//! Numbers that tell an old holder from its successor.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A number that rises with every grant of a name.
///
/// Send it along with every write that the lock protects. A store that refuses a fence lower than
/// the highest it has seen is safe even when a paused holder wakes up after its lease; a store that
/// ignores fences is not.
///
/// In process, fences are microseconds since 1970, or one more than the last one where the clock
/// stood still or stepped back; so they rise across restarts too, unless the calendar was set back.
///
/// # Over HTTP
///
/// A fence is sent as the decimal text that `Display` writes and `FromStr` reads, in the header [`Fence::HEADER`]. Whoever
/// receives it checks it where it writes.
///
/// ```
/// use mainstay_lock::Fence;
///
/// let header = (Fence::HEADER, Fence::new(1_795_000_000_000_000).to_string());
/// let received: Fence = header.1.parse()?;
/// assert_eq!(received.get(), 1_795_000_000_000_000);
/// assert!("0".parse::<Fence>().is_err(), "no lock grants it");
/// # Ok::<(), mainstay_lock::ParseFenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(i64);

impl Fence {
    /// Lower than every fence that is granted: what a handle shows that never held the lock.
    pub const NONE: Self = Self(0);

    /// Name of the HTTP header that carries a fence.
    pub const HEADER: &str = "x-fence";

    /// The fence with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number, below 2^53.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether a lock may have granted it: above [`NONE`](Self::NONE) and below 2^53.
    pub const fn is_granted(self) -> bool {
        self.0 > 0 && self.0 < BOUND
    }
}

/// Up to here every number is exact in whatever reads it, scripts and JSON among them.
const BOUND: i64 = 1 << 53;

impl From<Fence> for i64 {
    fn from(fence: Fence) -> Self {
        fence.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads a fence that a lock granted, in decimal digits.
impl FromStr for Fence {
    type Err = ParseFenceError;

    fn from_str(text: &str) -> Result<Self, ParseFenceError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let fence = text.parse().ok().filter(|_| digits).map(Self);
        fence.filter(|fence| fence.is_granted()).ok_or(ParseFenceError(()))
    }
}

/// The text is no fence that a lock grants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no fence; a fence is a number above 0 and below 2^53, in decimal digits")]
pub struct ParseFenceError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_lock_grants_is_read() {
        for text in ["1", "9007199254740991"] {
            assert_eq!(text.parse::<Fence>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "9007199254740992",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Fence>().is_err(), "{text:?}");
        }
    }
}
