//! The one place where this crate starts work that outlives its caller.

use tokio::task::JoinHandle;

/// Starts a relay; its handle ends it.
#[expect(clippy::disallowed_methods, reason = "detached work starts here and nowhere else")]
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(work)
}
