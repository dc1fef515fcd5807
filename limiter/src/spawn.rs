//! Where detached work starts.
#![expect(clippy::disallowed_methods, reason = "the one place of this crate that starts tasks")]

use tokio::{
    runtime::Handle,
    task::{AbortHandle, JoinHandle},
};

/// A task of ours that nobody waits for.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

/// Starts work of ours; outside a runtime nothing starts.
pub(crate) fn detached(work: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
    let runtime = Handle::try_current().ok()?;
    Some(Task(runtime.spawn(work).abort_handle()))
}

/// Starts work of the user's.
///
/// # Panics
///
/// Outside a tokio runtime.
pub(crate) fn child<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(work)
}
