//! What happens, for those who want to hear it.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::Key;

use crate::LimitError;

/// Something that happened.
///
/// A call that is let in at once is not an event: it is counted in the
/// [`Snapshot`](crate::Snapshot) and costs nothing more.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A caller waits.
    Queued {
        /// The narrowest scope of the call.
        scope: &'a Key,
    },
    /// A caller that waited was let in.
    Granted {
        /// The narrowest scope of the call.
        scope: &'a Key,
        /// How long it waited.
        waited: Duration,
    },
    /// A call was refused, at once or after waiting.
    Refused(&'a LimitError),
    /// A limit was changed; `None` is unlimited, zero is closed.
    LimitChanged {
        /// The scope.
        scope: &'a Key,
        /// The limit before.
        from: Option<u32>,
        /// The limit now.
        to: Option<u32>,
    },
    /// A slot is kept after its call, because the outcome is not known.
    Held {
        /// The narrowest scope of the call.
        scope: &'a Key,
        /// For how long at most.
        ttl: Duration,
    },
    /// The time of a kept slot ended before anybody released it.
    HoldEnded {
        /// The narrowest scope of the call.
        scope: &'a Key,
    },
    /// Idle scopes made room for new ones.
    Evicted {
        /// How many.
        scopes: usize,
    },
    /// The limiter lets nobody in any more.
    ShutDown,
}

/// Hears every [`Event`].
///
/// It is called in the task of the caller, never under a lock; whatever it does, the caller waits for.
/// Closures `Fn(Event<'_>)` are observers.
pub trait Observer: Send + Sync + 'static {
    /// Hears one event.
    fn event(&self, event: Event<'_>);
}

impl<F: Fn(Event<'_>) + Send + Sync + 'static> Observer for F {
    fn event(&self, event: Event<'_>) {
        self(event);
    }
}

/// The observer, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observe(pub(crate) Option<Arc<dyn Observer>>);

impl Observe {
    pub(crate) fn tell(&self, event: Event<'_>) {
        if let Some(observer) = &self.0 {
            observer.event(event);
        }
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observe(..)" } else { "Observe(nobody)" })
    }
}
