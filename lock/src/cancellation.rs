//! Loss and release as a token that others wait for.

use std::{
    sync::{Arc, OnceLock},
    task::{Context, Wake, Waker},
};

use tokio_util::sync::CancellationToken;

use crate::hold::Hold;

/// The token of one hold, made when somebody asks for it.
#[derive(Debug, Default)]
pub(crate) struct HoldToken {
    root: OnceLock<CancellationToken>,
}

impl HoldToken {
    /// A token that ends with the hold; it leaves nothing behind when it is dropped.
    pub(crate) fn child(&self, hold: &Hold) -> CancellationToken {
        self.root.get_or_init(|| watch(hold)).child_token()
    }
}

/// No task waits for the end: whoever ends the hold wakes its watchers, and this one cancels.
fn watch(hold: &Hold) -> CancellationToken {
    let token = CancellationToken::new();
    let waker = Waker::from(Arc::new(Cancels(token.clone())));
    let mut watcher = None;
    if hold.poll_end(&mut Context::from_waker(&waker), &mut watcher).is_ready() {
        token.cancel();
    }
    token
}

struct Cancels(CancellationToken);

impl Wake for Cancels {
    fn wake(self: Arc<Self>) {
        self.0.cancel();
    }
}
