//! Listening to a channel.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc;

use crate::{
    handle::{Inner, Redis},
    job::Answer,
};

/// What a listener hears.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Push {
    /// Somebody published this.
    Message(Vec<u8>),
    /// The connection is new, or the listener was too slow: pushes may be gone, so look for yourself.
    MayHaveLost,
}

/// Never shows what was published.
impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(bytes) => write!(f, "Message({} bytes)", bytes.len()),
            Self::MayHaveLost => f.write_str("MayHaveLost"),
        }
    }
}

/// Listens to one channel until it is dropped. It does not keep the connection open.
pub struct Subscription {
    channel: Arc<str>,
    pushes: mpsc::Receiver<Push>,
    missed: Arc<AtomicBool>,
    redis: Weak<Inner>,
}

impl Subscription {
    pub(crate) fn new(redis: &Redis, channel: Arc<str>) -> Self {
        let (sender, pushes) = mpsc::channel(BUFFER);
        let missed = Arc::new(AtomicBool::new(false));
        let inner = &redis.inner;
        inner.router.add(channel.clone(), sender, missed.clone());
        let command = redis::cmd("SUBSCRIBE").arg(&*channel).take();
        // Not sent is not lost: whoever connects next subscribes to all channels there are.
        let listeners = Answer::Listeners { channel: channel.clone(), afar: redis.is_cluster() };
        let sent = inner.enqueue(command, None, listeners);
        if sent.is_err() {
            inner.router.may_have_lost(&channel);
        }
        Self { channel, pushes, missed, redis: Arc::downgrade(inner) }
    }

    /// The next push; `None` once every handle of the connection is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Push> {
        if self.missed.swap(false, Ordering::AcqRel) {
            return Some(Push::MayHaveLost);
        }
        self.pushes.recv().await
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        &self.channel
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.pushes.close();
        let Some(inner) = self.redis.upgrade() else { return };
        if inner.router.sweep(&self.channel) {
            let command = redis::cmd("UNSUBSCRIBE").arg(&*self.channel).take();
            // Unsent, the next connection does not subscribe to it.
            let _ = inner.enqueue(command, None, Answer::Nobody);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// Pushes that wait for a listener before it is told to look for itself.
const BUFFER: usize = 1024;
