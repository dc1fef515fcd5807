//! How many permits a scope has.

use serde::{Deserialize, Serialize};

use crate::engine::UNLIMITED;

/// How many permits of a scope may be out at once: unlimited, a number, or none.
///
/// In configuration: `"unlimited"`, `"closed"`, or `{"max": 64, "floor": 4, "queue": 128}`.
///
/// # Examples
///
/// ```
/// use mainstay_limiter::Limit;
///
/// assert_eq!(Limit::max(2).floor(4).effective(), Some(4));
/// assert_eq!(Limit::unlimited().effective(), None);
/// assert_eq!(Limit::closed().floor(4).effective(), Some(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Repr", into = "Repr")]
pub struct Limit {
    max: Max,
    floor: u32,
    queue: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Max {
    Unlimited,
    Permits(u32),
    Closed,
}

impl Limit {
    /// The highest number that is a limit, 16,777,214; anything above means unlimited.
    pub const MAX: u32 = UNLIMITED - 1;

    /// No limit: calls are counted and let in.
    pub const fn unlimited() -> Self {
        Self { max: Max::Unlimited, floor: 0, queue: None }
    }

    /// At most `permits` at once. Zero lets nobody in, as [`closed`](Self::closed) does, unless a
    /// [`floor`](Self::floor) lifts it.
    pub const fn max(permits: u32) -> Self {
        Self { max: Max::Permits(permits), floor: 0, queue: None }
    }

    /// Nobody gets in and nobody waits, whatever the floor says; permits that are out stay good.
    pub const fn closed() -> Self {
        Self { max: Max::Closed, floor: 0, queue: None }
    }

    /// Never fewer than `permits`: a lower maximum is lifted to it, not ignored.
    #[must_use]
    pub const fn floor(mut self, permits: u32) -> Self {
        self.floor = permits;
        self
    }

    /// How many callers may wait at this scope; the configuration's `queue` if not said.
    #[must_use]
    pub const fn queue(mut self, callers: u32) -> Self {
        self.queue = Some(callers);
        self
    }

    /// The number that holds: zero is closed, `None` is unlimited.
    pub fn effective(self) -> Option<u32> {
        match self.max {
            Max::Unlimited => None,
            Max::Closed => Some(0),
            Max::Permits(n) => Some(n.max(self.floor)).filter(|n| *n <= Self::MAX),
        }
    }

    pub(crate) fn bits(self) -> u32 {
        self.effective().unwrap_or(UNLIMITED)
    }

    pub(crate) fn queue_or(self, default: u32) -> u32 {
        self.queue.unwrap_or(default)
    }
}

/// Unlimited.
impl Default for Limit {
    fn default() -> Self {
        Self::unlimited()
    }
}

/// A plain number is a maximum.
impl From<u32> for Limit {
    fn from(permits: u32) -> Self {
        Self::max(permits)
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "a limit is \"unlimited\", \"closed\" or {\"max\": 64, ..}")]
enum Repr {
    Word(Word),
    Table(Table),
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Unlimited,
    Closed,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    floor: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl TryFrom<Repr> for Limit {
    type Error = &'static str;

    fn try_from(repr: Repr) -> Result<Self, Self::Error> {
        Ok(match repr {
            Repr::Word(Word::Unlimited) => Self::unlimited(),
            Repr::Word(Word::Closed) => Self::closed(),
            Repr::Table(Table { closed: true, max: Some(_), .. }) => {
                return Err("a limit is closed or has a `max`, not both");
            }
            Repr::Table(Table { max, closed, floor, queue }) => {
                let max = match max {
                    _ if closed => Max::Closed,
                    Some(permits) => Max::Permits(permits),
                    None => Max::Unlimited,
                };
                Self { max, floor, queue }
            }
        })
    }
}

impl From<Limit> for Repr {
    fn from(limit: Limit) -> Self {
        let Limit { max, floor, queue } = limit;
        match (max, floor, queue) {
            (Max::Unlimited, 0, None) => Self::Word(Word::Unlimited),
            (Max::Closed, 0, None) => Self::Word(Word::Closed),
            (Max::Permits(n), ..) => {
                Self::Table(Table { max: Some(n), closed: false, floor, queue })
            }
            (max, ..) => Self::Table(Table { max: None, closed: max == Max::Closed, floor, queue }),
        }
    }
}
