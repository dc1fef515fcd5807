//! The machine's clocks; the one place that reads them.
#![expect(clippy::disallowed_methods, reason = "this is where time is read")]

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use super::Moment;

/// Readings start well above zero, so that "an hour ago" exists on a machine that has just booted.
const HEAD_START: Duration = Duration::from_secs(1 << 20);

#[cfg(target_os = "linux")]
pub(super) fn boot() -> Moment {
    linux::read(rustix::time::ClockId::Boottime)
}

#[cfg(target_os = "linux")]
pub(super) fn coarse_millis() -> u64 {
    linux::read(rustix::time::ClockId::MonotonicCoarse).as_millis()
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::time::{ClockId, clock_gettime};

    use super::{HEAD_START, Moment};

    pub(super) fn read(clock: ClockId) -> Moment {
        let time = clock_gettime(clock);
        let (secs, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Moment::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos)) + HEAD_START
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn boot() -> Moment {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    let began = BEGAN.get_or_init(std::time::Instant::now);
    Moment::from_nanos(0) + HEAD_START + began.elapsed()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn coarse_millis() -> u64 {
    boot().as_millis()
}

/// Paused runtimes each have a clock of their own, so the first reading of the process is the axis:
/// readings of one runtime are comparable, which is all that is promised.
pub(super) fn tokio() -> Moment {
    static BEGAN: OnceLock<tokio::time::Instant> = OnceLock::new();
    let now = tokio::time::Instant::now();
    let began = *BEGAN.get_or_init(|| now);
    match now.checked_duration_since(began) {
        Some(since) => Moment::from_nanos(0) + HEAD_START + since,
        None => Moment::from_nanos(0) + HEAD_START - began.duration_since(now),
    }
}

pub(super) fn wall() -> SystemTime {
    SystemTime::now()
}
