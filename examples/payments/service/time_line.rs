//! Writes down when the breaker changed.

use std::sync::{Arc, Mutex, PoisonError};

use mainstay::breaker::{Breaker, Event, State};

use crate::{
    seam::{BreakerChange, BreakerState},
    spawn::spawn,
    time::Stopwatch,
};

/// The breaker's changes so far.
#[derive(Debug)]
pub(super) struct TimeLine {
    changes: Arc<Mutex<Vec<BreakerChange>>>,
}

impl TimeLine {
    /// Listens to `breaker` until its last handle is gone.
    pub(super) fn of(breaker: &Breaker, watch: Stopwatch) -> Self {
        let changes = Arc::new(Mutex::new(Vec::<BreakerChange>::new()));
        let (mut events, line) = (breaker.events(), changes.clone());
        spawn(async move {
            while let Some(event) = events.recv().await {
                let Event::Changed(change) = event else { continue };
                let state = shown(change.to);
                let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
                // Each step of a ramp is a change of its own.
                if line.last().is_none_or(|last| last.state != state) {
                    line.push(BreakerChange { at_ms: watch.millis(), state });
                }
            }
        });
        Self { changes }
    }

    /// The changes so far, in order.
    pub(super) fn changes(&self) -> Vec<BreakerChange> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn shown(state: State) -> BreakerState {
    match state {
        State::HalfOpen => BreakerState::HalfOpen,
        State::Ramping => BreakerState::Ramping,
        State::Open | State::ForcedOpen => BreakerState::Open,
        _ => BreakerState::Closed,
    }
}
