//! The one place where this crate reads a clock: real servers live in real time.

use std::time::Duration;

use tokio::time::Instant;

/// Now.
#[expect(clippy::disallowed_methods, reason = "real servers live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits between two looks at a server, or as long as a fault lasts.
#[expect(clippy::disallowed_methods, reason = "real servers live in real time")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits until `deadline`.
#[expect(clippy::disallowed_methods, reason = "real servers live in real time")]
pub(crate) async fn pause_until(deadline: Instant) {
    tokio::time::sleep_until(deadline).await;
}

/// Gives up on `future` after `limit`.
#[expect(clippy::disallowed_methods, reason = "real servers live in real time")]
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}
