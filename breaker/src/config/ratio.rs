//! A share of a whole.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share between 0 and 1, kept in hundredths of a percent; serialised as a number such as `0.5`.
///
/// # Examples
///
/// ```
/// use mainstay_breaker::Ratio;
///
/// assert_eq!(Ratio::new(0.5)?, Ratio::percent(50));
/// assert!(Ratio::new(1.5).is_err());
/// # Ok::<(), mainstay_breaker::RatioError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(u16);

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const ONE: Self = Self(Self::SCALE);

    const SCALE: u16 = 10_000;

    /// The share `value`, rounded to a hundredth of a percent.
    ///
    /// # Errors
    ///
    /// When `value` is not between 0 and 1.
    pub fn new(value: f64) -> Result<Self, RatioError> {
        if !(0.0..=1.0).contains(&value) {
            return Err(RatioError { value: value.to_string() });
        }
        // In range, so the cast loses nothing.
        Ok(Self((value * f64::from(Self::SCALE)).round() as u16))
    }

    /// A share in percent; more than 100 is the whole.
    pub const fn percent(percent: u8) -> Self {
        // A `From` call is not const; widening keeps the value.
        Self(if percent > 100 { Self::SCALE } else { percent as u16 * 100 })
    }

    /// The share as a number between 0 and 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::SCALE)
    }

    /// `part` of `whole`, rounded down; zero of nothing.
    pub(crate) fn of(part: u64, whole: u64) -> Self {
        Self::from_scaled(u128::from(part) * u128::from(Self::SCALE), whole)
    }

    /// `scaled` counts every call as 10,000.
    pub(crate) fn from_scaled(scaled: u128, whole: u64) -> Self {
        let parts = scaled.checked_div(u128::from(whole)).unwrap_or(0);
        Self(u16::try_from(parts).map_or(Self::SCALE, |parts| parts.min(Self::SCALE)))
    }

    /// Hundredths of a percent.
    pub(crate) fn parts(self) -> u16 {
        self.0
    }

    pub(crate) fn from_parts(parts: u16) -> Self {
        Self(parts.min(Self::SCALE))
    }
}

impl TryFrom<f64> for Ratio {
    type Error = RatioError;

    fn try_from(value: f64) -> Result<Self, RatioError> {
        Self::new(value)
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> Self {
        ratio.as_f64()
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 100 {
            0 => write!(f, "{}%", self.0 / 100),
            rest => write!(f, "{}.{rest:02}%", self.0 / 100),
        }
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number is no share of a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not between 0 and 1; write a share such as 0.5 for one half")]
pub struct RatioError {
    value: String,
}
