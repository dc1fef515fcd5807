//! The parts of a configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Ratio;

/// Opens when the share of bad calls reaches a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRate {
    /// The share of bad calls that opens.
    pub limit: Ratio,
    /// Calls that must be in the window before the share means anything; zero is read as one.
    pub min_calls: u32,
}

/// Opens when the share of slow calls reaches a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowRate {
    /// A call that took this long is slow, whatever its outcome.
    #[serde(with = "humantime_serde")]
    pub threshold: Duration,
    /// The share of slow calls that opens.
    pub limit: Ratio,
    /// Calls that must be in the window before the share means anything; zero is read as one.
    pub min_calls: u32,
}

/// The calls that decide, half-open, whether to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trials {
    /// How many trial calls are let through; zero is read as one.
    pub permits: u32,
    /// The share of them that must succeed. The breaker decides as soon as the answer is certain.
    pub success: Ratio,
    /// A trial call that has not ended by then has failed, and its permit is free again.
    /// Without a value: twice the slow threshold, or half a minute if there is none.
    #[serde(with = "humantime_serde")]
    pub lease: Option<Duration>,
}

/// Three calls, all of which must succeed.
impl Default for Trials {
    fn default() -> Self {
        Self { permits: 3, success: Ratio::ONE, lease: None }
    }
}

/// Lets a growing share of calls through after the trial calls succeeded.
///
/// A step ends when its time is over and a call of it succeeded. The rules watch each step, with
/// minimums lowered to the step's share, and open again at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ramp {
    /// The shares, in percent, before everything is let through; 0 and what is above 99 is skipped.
    pub percent: Vec<u8>,
    /// How long each step lasts at least.
    #[serde(with = "humantime_serde")]
    pub step: Duration,
}

/// 10, 25 and 50 percent for a second each, then everything.
impl Default for Ramp {
    fn default() -> Self {
        Self { percent: vec![10, 25, 50], step: Duration::from_secs(1) }
    }
}
