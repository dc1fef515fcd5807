//! What a breaker tells.

use std::{sync::OnceLock, time::Duration};

use mainstay_core::{Key, Outcome};
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};

use crate::{Reason, State, Tally};

/// Something rare happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state changed.
    Changed(Transition),
    /// A probe ended.
    Probed {
        /// The breaker.
        name: Key,
        /// What the probe found.
        outcome: Outcome,
    },
    /// A result came back after the state it was admitted in had ended. It decides nothing.
    Late {
        /// The breaker.
        name: Key,
        /// The result.
        outcome: Outcome,
    },
    /// The configuration was replaced.
    Configured,
    /// This reader was too slow and missed so many events.
    Missed(u64),
}

/// A change of state.
///
/// Events of two threads may arrive in either order; generations tell which came first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The breaker.
    pub name: Key,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The share of calls let through, in percent, if the state after is [`State::Ramping`].
    pub percent: Option<u8>,
    /// Counts the transitions of this breaker.
    pub generation: u64,
    /// Why it is not closed.
    pub reason: Option<Reason>,
    /// The calls that were in the window.
    pub tally: Tally,
}

/// One call ended or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEvent {
    /// A call ended.
    Finished {
        /// The breaker.
        name: Key,
        /// How it ended.
        outcome: Outcome,
        /// How long it took, to a few milliseconds; `None` if no rule needs the time.
        took: Option<Duration>,
    },
    /// A call was refused.
    Refused {
        /// The breaker.
        name: Key,
        /// The state that refused it.
        state: State,
    },
    /// A call would have been refused, were the breaker not in shadow mode.
    WouldRefuse {
        /// The breaker.
        name: Key,
        /// The state that would have refused it.
        state: State,
    },
    /// This reader was too slow and missed so many events.
    Missed(u64),
}

/// Rare events, from the moment of subscribing. A slow reader misses the oldest and is told so.
#[derive(Debug)]
pub struct Events(Receiver<Event>);

impl Events {
    /// The next event; `None` once every handle of the breaker is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn recv(&mut self) -> Option<Event> {
        receive(&mut self.0, Event::Missed).await
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        try_receive(&mut self.0, Event::Missed)
    }
}

/// An event for every call, from the moment of subscribing, made only while somebody listens.
#[derive(Debug)]
pub struct CallEvents(Receiver<CallEvent>);

impl CallEvents {
    /// The next event; `None` once every handle of the breaker is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn recv(&mut self) -> Option<CallEvent> {
        receive(&mut self.0, CallEvent::Missed).await
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<CallEvent> {
        try_receive(&mut self.0, CallEvent::Missed)
    }
}

async fn receive<T: Clone>(from: &mut Receiver<T>, missed: fn(u64) -> T) -> Option<T> {
    match from.recv().await {
        Ok(event) => Some(event),
        Err(RecvError::Lagged(count)) => Some(missed(count)),
        Err(RecvError::Closed) => None,
    }
}

fn try_receive<T: Clone>(from: &mut Receiver<T>, missed: fn(u64) -> T) -> Option<T> {
    use tokio::sync::broadcast::error::TryRecvError;
    match from.try_recv() {
        Ok(event) => Some(event),
        Err(TryRecvError::Lagged(count)) => Some(missed(count)),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

/// Sends to whoever listens; costs nothing to speak of while nobody does.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    events: OnceLock<Sender<Event>>,
    calls: OnceLock<Sender<CallEvent>>,
}

impl Observer {
    const EVENTS: usize = 256;
    const CALLS: usize = 1024;

    pub(crate) fn events(&self) -> Events {
        Events(self.events.get_or_init(|| channel(Self::EVENTS).0).subscribe())
    }

    pub(crate) fn calls(&self) -> CallEvents {
        CallEvents(self.calls.get_or_init(|| channel(Self::CALLS).0).subscribe())
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(sender) = self.events.get() {
            // Nobody listens any more: nothing to do about it.
            let _ = sender.send(event());
        }
    }

    /// False if nobody listened.
    pub(crate) fn tell_call(&self, event: CallEvent) -> bool {
        self.calls.get().is_some_and(|sender| sender.send(event).is_ok())
    }

    pub(crate) fn has_call_listeners(&self) -> bool {
        self.calls.get().is_some_and(|sender| sender.receiver_count() > 0)
    }
}
