//! The one place that starts work which outlives its caller.

use tokio::{runtime::Handle, task::AbortHandle};

/// Starts `task` on the current runtime; `None` outside one.
pub(crate) fn detached(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    let runtime = Handle::try_current().ok()?;
    Some(runtime.spawn(task).abort_handle())
}
