//! The one place where this program starts work beside its own.

use tokio::task::JoinHandle;

/// Runs `work` on the current runtime.
#[expect(clippy::disallowed_methods, reason = "whoever starts it waits for it")]
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(work)
}
