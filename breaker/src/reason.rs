//! Why a breaker opened.

use std::fmt;

use serde::Serialize;

use crate::config::Ratio;

/// Why a breaker opened, with the figures that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The share of bad calls reached its limit.
    FailureRate {
        /// The share seen.
        rate: Ratio,
        /// The limit.
        limit: Ratio,
        /// Calls in the window.
        calls: u32,
    },
    /// The share of slow calls reached its limit.
    SlowRate {
        /// The share seen.
        rate: Ratio,
        /// The limit.
        limit: Ratio,
        /// Calls in the window.
        calls: u32,
    },
    /// So many calls in a row were bad.
    Consecutive {
        /// Bad calls in a row.
        calls: u32,
        /// The limit.
        limit: u32,
    },
    /// So many calls in the window were bad.
    Count {
        /// Bad calls in the window.
        calls: u32,
        /// The limit.
        limit: u32,
    },
    /// Trial calls, or the probe, failed.
    Trial {
        /// Trial calls that failed or did not end in time.
        failed: u32,
        /// Trial calls that could be made.
        permits: u32,
    },
    /// An operator opened it.
    Forced,
}

impl Reason {
    const FIELD: u32 = 30;
    const MASK: u64 = (1 << Self::FIELD) - 1;

    /// One word, so that a refusal reads it without a lock. Counts above 2^30 saturate.
    pub(crate) fn pack(self) -> u64 {
        let rates =
            |rate: Ratio, limit: Ratio| (u64::from(rate.parts()) << 14) | u64::from(limit.parts());
        let (kind, high, low) = match self {
            Self::FailureRate { rate, limit, calls } => (1, rates(rate, limit), calls),
            Self::SlowRate { rate, limit, calls } => (2, rates(rate, limit), calls),
            Self::Consecutive { calls, limit } => (3, u64::from(limit), calls),
            Self::Count { calls, limit } => (4, u64::from(limit), calls),
            Self::Trial { failed, permits } => (5, u64::from(permits), failed),
            Self::Forced => (6, 0, 0),
        };
        let field = |value: u64| value.min(Self::MASK);
        (kind << (2 * Self::FIELD)) | (field(high) << Self::FIELD) | field(u64::from(low))
    }

    pub(crate) fn unpack(bits: u64) -> Option<Self> {
        let high = u32::try_from((bits >> Self::FIELD) & Self::MASK).unwrap_or(u32::MAX);
        let low = u32::try_from(bits & Self::MASK).unwrap_or(u32::MAX);
        let ratio = |parts: u32| Ratio::from_parts(u16::try_from(parts & 0x3fff).unwrap_or(0));
        let (rate, limit) = (ratio(high >> 14), ratio(high));
        Some(match bits >> (2 * Self::FIELD) {
            1 => Self::FailureRate { rate, limit, calls: low },
            2 => Self::SlowRate { rate, limit, calls: low },
            3 => Self::Consecutive { calls: low, limit: high },
            4 => Self::Count { calls: low, limit: high },
            5 => Self::Trial { failed: low, permits: high },
            6 => Self::Forced,
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailureRate { rate, limit, calls } => {
                write!(f, "{rate} of {calls} calls were bad, limit {limit}")
            }
            Self::SlowRate { rate, limit, calls } => {
                write!(f, "{rate} of {calls} calls were slow, limit {limit}")
            }
            Self::Consecutive { calls, limit } => {
                write!(f, "{calls} calls in a row were bad, limit {limit}")
            }
            Self::Count { calls, limit } => {
                write!(f, "{calls} calls in the window were bad, limit {limit}")
            }
            Self::Trial { failed, permits } => {
                write!(f, "{failed} of {permits} trial calls failed")
            }
            Self::Forced => f.write_str("forced open"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        let (rate, limit) = (Ratio::from_parts(9_999), Ratio::from_parts(10_000));
        for reason in [
            Reason::FailureRate { rate, limit, calls: 1 << 29 },
            Reason::SlowRate { rate: limit, limit: rate, calls: 0 },
            Reason::Consecutive { calls: 7, limit: (1 << 30) - 1 },
            Reason::Count { calls: (1 << 30) - 1, limit: 9 },
            Reason::Trial { failed: 1, permits: 3 },
            Reason::Forced,
        ] {
            assert_eq!(Reason::unpack(reason.pack()), Some(reason));
        }
        assert_eq!(Reason::unpack(0), None);
    }
}
