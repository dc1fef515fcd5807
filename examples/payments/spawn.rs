//! The one place where this example starts work that outlives its caller.

use tokio::task::JoinHandle;

/// Starts `work` on the runtime. It goes on when the handle is dropped.
#[expect(clippy::disallowed_methods, reason = "the one place that starts detached work")]
pub(crate) fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(work)
}
