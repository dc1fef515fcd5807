//! The one place where this example reads the machine's clock or waits on it.
//!
//! The world outside the service runs on real time, as a bank and its
//! customers do. The protected service takes its time from mainstay's `Clock`.

use std::time::{Duration, Instant};

/// Measures from one moment, shared by everything that is put on one time line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    start: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the outside world runs on real time")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the start.
    #[expect(clippy::disallowed_methods, reason = "the outside world runs on real time")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Milliseconds since the start.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Waits for `duration`.
#[expect(clippy::disallowed_methods, reason = "the outside world runs on real time")]
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Runs `work` for at most `limit`; `None` says that the time was up first.
#[expect(clippy::disallowed_methods, reason = "the outside world runs on real time")]
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    tokio::time::timeout(limit, work).await.ok()
}
