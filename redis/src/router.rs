//! Who listens to which channel.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use crate::subscription::Push;

/// Hands pushes to those who listen, without waiting for them.
#[derive(Default)]
pub(crate) struct Router {
    channels: Mutex<HashMap<Arc<str>, Vec<Listener>>>,
}

struct Listener {
    pushes: mpsc::Sender<Push>,
    missed: Arc<AtomicBool>,
}

impl Router {
    pub(crate) fn add(
        &self,
        channel: Arc<str>,
        pushes: mpsc::Sender<Push>,
        missed: Arc<AtomicBool>,
    ) {
        self.lock().entry(channel).or_default().push(Listener { pushes, missed });
    }

    /// Forgets listeners that are gone. True if that was the last of the channel.
    pub(crate) fn sweep(&self, channel: &str) -> bool {
        let mut channels = self.lock();
        let Some(listeners) = channels.get_mut(channel) else { return false };
        listeners.retain(|listener| !listener.pushes.is_closed());
        let last = listeners.is_empty();
        if last {
            channels.remove(channel);
        }
        last
    }

    pub(crate) fn channels(&self) -> Vec<Arc<str>> {
        self.lock().keys().cloned().collect()
    }

    /// Called as pushes come in: must not wait.
    pub(crate) fn deliver(&self, push: PushInfo) {
        if push.kind != PushKind::Message {
            return;
        }
        let mut data = push.data.into_iter();
        if let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) =
            (data.next(), data.next())
        {
            let channels = self.lock();
            let named = str::from_utf8(&channel).ok().and_then(|channel| channels.get(channel));
            for listener in named.into_iter().flatten() {
                listener.tell(Push::Message(payload.clone()));
            }
        }
    }

    /// Tells the listeners of a channel that pushes may be gone.
    pub(crate) fn may_have_lost(&self, channel: &str) {
        for listener in self.lock().get(channel).into_iter().flatten() {
            listener.tell(Push::MayHaveLost);
        }
    }

    /// Tells everybody that pushes may be gone.
    pub(crate) fn all_may_have_lost(&self) {
        for listener in self.lock().values().flatten() {
            listener.tell(Push::MayHaveLost);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Listener>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    fn tell(&self, push: Push) {
        if self.pushes.try_send(push).is_err() {
            // Too slow: it will look at everything once instead.
            self.missed.store(true, Ordering::Release);
        }
    }
}
