//! A breaker at one moment.

use std::time::Duration;

use mainstay_core::Key;
use serde::Serialize;

use crate::{Ratio, Reason, State, Tally, inner::Inner};

/// A breaker at one moment, for metrics and consoles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker.
    pub name: Key,
    /// Its state.
    pub state: State,
    /// Whether it only reports (shadow mode).
    pub shadow: bool,
    /// The share of calls let through, in percent, while ramping.
    pub percent: Option<u8>,
    /// How many transitions there were, plus one.
    pub generation: u64,
    /// The calls in the window.
    pub tally: Tally,
    /// The share of bad calls in the window, unknown ones by their weight.
    pub failure_rate: Ratio,
    /// The share of slow calls in the window.
    pub slow_rate: Ratio,
    /// Bad calls in a row.
    pub consecutive: u32,
    /// Why it is not closed.
    pub reason: Option<Reason>,
    /// How long the outage has lasted.
    #[serde(with = "humantime_serde")]
    pub since: Option<Duration>,
    /// When calls are tried again, if it refuses them now and a time is known.
    #[serde(with = "humantime_serde")]
    pub retry_after: Option<Duration>,
    /// Trial calls on their way.
    pub trials: usize,
    /// Calls refused since it was made.
    pub refused: u64,
    /// Results that came after the state they were admitted in had ended.
    pub late: u64,
}

impl Inner {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (policy, now) = (self.group.policy(), self.group.coarse_millis());
        let books = self.gate.lock();
        // Under the mutex the word stands still.
        let word = self.gate.word();
        let tally = self.tally(&books, &policy, word.generation(), now);
        let machine = books.existing().map(|rest| &rest.machine);
        let reason = machine.and_then(|machine| machine.reason());
        let until = self.gate.refuse_until();
        let refuses = until > now && until != u64::MAX;
        let millis = Duration::from_millis;
        Snapshot {
            name: self.name.clone(),
            state: word.state(),
            shadow: word.is_shadow(),
            percent: (word.state() == State::Ramping).then(|| word.level()),
            generation: word.generation(),
            tally,
            failure_rate: policy.rules.rate(&tally),
            slow_rate: Ratio::of(tally.slow, tally.calls()),
            consecutive: self.row.load(std::sync::atomic::Ordering::Relaxed),
            since: reason.map(|_| millis(now.saturating_sub(self.since()))),
            reason,
            retry_after: refuses.then(|| millis(until - now)),
            trials: machine.map_or(0, |machine| machine.running_trials()),
            refused: self.rejected(),
            late: self.late(),
        }
    }
}
