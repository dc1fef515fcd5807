//! The one place where this crate starts work that outlives its caller.

use tokio::task::{AbortHandle, JoinHandle};

/// A task that ends with its handle.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `work` on the current runtime until the handle is dropped.
#[expect(clippy::disallowed_methods, reason = "the task is aborted with its handle")]
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Task {
    let handle: JoinHandle<()> = tokio::spawn(work);
    Task(handle.abort_handle())
}
