//! What happened: typed events, and counters of them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{DeathReason, FailureClass, MessageId};

/// Something that an outbox, a relay or an inbox did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The publisher confirmed a message.
    Sent {
        /// The message.
        id: MessageId,
    },
    /// A message is to be tried again.
    Retried {
        /// The message.
        id: MessageId,
        /// Why.
        class: FailureClass,
    },
    /// A message went behind an earlier one of its key.
    Parked {
        /// The message.
        id: MessageId,
    },
    /// A message was given up.
    Dead {
        /// The message.
        id: MessageId,
        /// Why.
        reason: DeathReason,
    },
    /// Dead letters were brought back.
    Redriven {
        /// How many.
        count: u64,
    },
    /// Dead letters were thrown away.
    Discarded {
        /// How many.
        count: u64,
    },
    /// An inbox met a message that its consumer had done.
    DuplicateAbsorbed {
        /// The message.
        id: MessageId,
    },
    /// A stored result was returned for an idempotency key.
    Replayed,
    /// A relay took a lane.
    LeaseTaken {
        /// The lane.
        lane: String,
        /// Messages of its predecessor that may have been sent and are sent again.
        recovered: u64,
    },
    /// A relay found that another one had taken its lane.
    LeaseLost {
        /// The lane.
        lane: String,
    },
    /// A lane waits because its publisher is down or asked for a pause.
    LanePaused {
        /// The lane.
        lane: String,
        /// For how long.
        wait: Duration,
    },
    /// A lane goes on after a pause.
    LaneResumed {
        /// The lane.
        lane: String,
    },
    /// A relay's database call failed; it tries again.
    RelayFailed {
        /// The lane.
        lane: String,
        /// What was said.
        error: String,
    },
}

/// Receives events. Called where they happen: be quick, do not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn on_event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn on_event(&self, event: &Event) {
        self(event);
    }
}

/// Counts since the outbox handle was made, of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Messages confirmed.
    pub sent: u64,
    /// Attempts after which the message is tried again.
    pub retried: u64,
    /// Messages that went behind an earlier one of their key.
    pub parked: u64,
    /// Messages given up.
    pub dead: u64,
    /// Dead letters brought back.
    pub redriven: u64,
    /// Dead letters thrown away.
    pub discarded: u64,
    /// Messages that an inbox had done already.
    pub duplicates: u64,
    /// Stored results returned for idempotency keys.
    pub replayed: u64,
    /// Messages sent again because their relay died.
    pub recovered: u64,
    /// Pauses of a lane.
    pub pauses: u64,
}

/// Where calls report.
#[derive(Clone, Default)]
pub(crate) struct Observe(Arc<Inner>);

#[derive(Default)]
struct Inner {
    observer: Option<Box<dyn Observer>>,
    counters: Counters,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        #[derive(Default)]
        struct Counters { $($name: AtomicU64),* }

        impl Counters {
            fn read(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters!(
    sent, retried, parked, dead, redriven, discarded, duplicates, replayed, recovered, pauses
);

impl Observe {
    pub(crate) fn new(observer: Option<Box<dyn Observer>>) -> Self {
        Self(Arc::new(Inner { observer, counters: Counters::default() }))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.0.counters.read()
    }

    pub(crate) fn event(&self, event: &Event) {
        self.count(event);
        log(event);
        if let Some(observer) = &self.0.observer {
            observer.on_event(event);
        }
    }

    fn count(&self, event: &Event) {
        let c = &self.0.counters;
        let (counter, by) = match event {
            Event::Sent { .. } => (&c.sent, 1),
            Event::Retried { .. } => (&c.retried, 1),
            Event::Parked { .. } => (&c.parked, 1),
            Event::Dead { .. } => (&c.dead, 1),
            Event::Redriven { count } => (&c.redriven, *count),
            Event::Discarded { count } => (&c.discarded, *count),
            Event::DuplicateAbsorbed { .. } => (&c.duplicates, 1),
            Event::Replayed => (&c.replayed, 1),
            Event::LeaseTaken { recovered, .. } => (&c.recovered, *recovered),
            Event::LanePaused { .. } => (&c.pauses, 1),
            Event::LeaseLost { .. } | Event::LaneResumed { .. } | Event::RelayFailed { .. } => {
                return;
            }
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// What an operator should see even without an observer.
fn log(event: &Event) {
    match event {
        Event::Dead { id, reason } => tracing::warn!(%id, ?reason, "message given up"),
        Event::LeaseLost { lane } => tracing::warn!(lane, "lane taken over by another relay"),
        Event::LanePaused { lane, wait } => tracing::warn!(lane, ?wait, "lane paused"),
        Event::RelayFailed { lane, error } => {
            tracing::warn!(lane, error, "relay failed, trying again");
        }
        other => tracing::trace!(event = ?other, "outbox"),
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// What is where, at one moment.
///
/// The headline is [`oldest_unsent`](Self::oldest_unsent): an outbox whose oldest message grows old is ill, whatever else
/// looks well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Age of the oldest message that should have been sent; messages for later do not count.
    pub oldest_unsent: Option<Duration>,
    /// Messages in the log that were not sent.
    pub unsent: u64,
    /// Messages for later.
    pub scheduled: u64,
    /// Messages to be tried again.
    pub retrying: u64,
    /// Messages behind an earlier one of their key.
    pub parked: u64,
    /// Keys that wait for an operator.
    pub blocked_keys: u64,
    /// Dead letters.
    pub dead: u64,
}

impl Health {
    /// Whether everything that should have been sent was, or is younger than `budget`.
    pub fn is_within(&self, budget: Duration) -> bool {
        self.oldest_unsent.is_none_or(|age| age <= budget)
    }
}
