//! The one place where the crate starts work that outlives its caller.
#![expect(clippy::disallowed_methods, reason = "this is where detached work starts")]

use tokio::runtime::Handle;

/// Runs `work` on the caller's runtime; false where there is none.
pub(crate) fn detach(work: impl Future<Output = ()> + Send + 'static) -> bool {
    let runtime = Handle::try_current().is_ok();
    if runtime {
        tokio::spawn(work);
    }
    runtime
}
