//! The one place where the crate starts work that outlives its caller.

use std::sync::{Mutex, PoisonError};

use tokio::{runtime::Handle, task::JoinHandle};

/// Starts detached work on the runtime of the caller, or else on the last one seen.
#[derive(Debug, Default)]
pub(crate) struct Spawner {
    // A guard may be dropped outside any runtime and still has a release to send.
    last: Mutex<Option<Handle>>,
}

impl Spawner {
    /// Remembers the caller's runtime. False outside a runtime with none seen before.
    pub(crate) fn enter(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(current) = Handle::try_current() {
            *last = Some(current);
        }
        last.is_some()
    }

    /// Runs `work` on its own; nothing happens where there is no runtime.
    pub(crate) fn detach<F>(&self, work: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runtime = Handle::try_current().ok().or_else(last)?;
        Some(runtime.spawn(work))
    }
}
