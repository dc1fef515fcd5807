//! The states of one acquisition, and who is woken when they change.
//!
//! ```text
//! waiting => held       the backend grants it
//! waiting => over       refused, abandoned, or lost before anybody knew
//! held => held          a guard more, a guard less
//! held => over          lost
//! held => releasing     the last guard is gone
//! releasing => over     given back, or nobody knows
//! over => releasing     nobody knew, and the holder asks again
//! ```
//!
//! What is held (`G`) exists in the held state only, so nothing that lives in it, such as the
//! registration for renewal, can outlive the transition that starts the release.

use std::{
    mem,
    task::{Context, Poll, Waker},
};

use crate::{
    sync::{Mutex, MutexGuard, PoisonError},
    wakes::Wakes,
};

/// The state machine of one acquisition; `G` is what a holder has, `N` how it ended.
pub(crate) struct Slot<G, N> {
    state: Mutex<State<G, N>>,
}

struct State<G, N> {
    phase: Phase<G, N>,
    /// A call for this acquisition is on the wire: whoever abandons the wait leaves the clean-up to it.
    in_flight: bool,
    claimer: Option<Waker>,
    watchers: Vec<(u64, Waker)>,
    next_watcher: u64,
}

enum Phase<G, N> {
    Waiting,
    Held { held: G, guards: usize },
    Releasing,
    Over(N),
}

/// What became of a grant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// The waiter has it.
    Taken,
    /// It was granted before.
    AlreadyHeld,
    /// Nobody waits any more: it must be given back.
    Unwanted,
}

/// What is left to do after a wait was abandoned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Abandon {
    /// Give the place in the queue, or the lock, back now.
    GiveBack,
    /// The call on the wire will see it and give it back.
    LeaveToCall,
    /// Nothing: it was over, or guards hold it.
    Nothing,
}

/// What is left to do after a guard is gone.
#[derive(Debug)]
pub(crate) enum Leave<G, N> {
    /// So many guards hold it still.
    Nested(usize),
    /// It was the last one: give the lock back.
    Last(G),
    /// It is being given back.
    Releasing,
    /// It had ended.
    Over(N),
}

impl<G, N: Clone> Slot<G, N> {
    pub(crate) fn new() -> Self {
        let state = State {
            phase: Phase::Waiting,
            in_flight: false,
            claimer: None,
            watchers: Vec::new(),
            next_watcher: 0,
        };
        Self { state: Mutex::new(state) }
    }

    /// Grants the lock; `make` runs only if it is wanted.
    pub(crate) fn offer(&self, make: impl FnOnce() -> G, wakes: &mut Wakes) -> Offer {
        let mut state = self.lock();
        match state.phase {
            Phase::Waiting => {
                state.phase = Phase::Held { held: make(), guards: 0 };
                wakes.extend(state.claimer.take());
                Offer::Taken
            }
            Phase::Held { .. } => Offer::AlreadyHeld,
            Phase::Releasing | Phase::Over(_) => Offer::Unwanted,
        }
    }

    /// Ends a wait that nothing came of. False if it was no wait any more.
    pub(crate) fn refuse(&self, end: N, wakes: &mut Wakes) -> bool {
        let mut state = self.lock();
        let waiting = matches!(state.phase, Phase::Waiting);
        if waiting {
            state.over(end, wakes);
        }
        waiting
    }

    /// Waits for the grant and makes the first guard.
    pub(crate) fn poll_claim(&self, cx: &mut Context<'_>) -> Poll<Result<(), N>> {
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Held { guards, .. } => {
                *guards += 1;
                Poll::Ready(Ok(()))
            }
            Phase::Over(end) => Poll::Ready(Err(end.clone())),
            Phase::Waiting | Phase::Releasing => {
                state.claimer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Wakes the waiter without a change.
    pub(crate) fn nudge(&self, wakes: &mut Wakes) {
        wakes.extend(self.lock().claimer.take());
    }

    /// The one who waited is gone.
    pub(crate) fn abandon(&self, end: N) -> Abandon {
        let mut state = self.lock();
        match state.phase {
            Phase::Waiting => {
                let left = if state.in_flight { Abandon::LeaveToCall } else { Abandon::GiveBack };
                state.phase = Phase::Over(end);
                left
            }
            Phase::Held { guards: 0, .. } => {
                let _held = mem::replace(&mut state.phase, Phase::Releasing);
                Abandon::GiveBack
            }
            Phase::Held { .. } | Phase::Releasing | Phase::Over(_) => Abandon::Nothing,
        }
    }

    /// Takes the place of another waiter, with the call about it that is on the wire or not. False if nobody
    /// waits.
    pub(crate) fn take_over(&self, in_flight: bool) -> bool {
        let mut state = self.lock();
        let waits = matches!(state.phase, Phase::Waiting);
        state.in_flight |= waits && in_flight;
        waits
    }

    /// Whether it neither waits nor holds any more.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.lock().phase, Phase::Releasing | Phase::Over(_))
    }

    /// Whether it was neither granted nor ended.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.lock().phase, Phase::Waiting)
    }

    /// Starts a call for a waiter. False if nobody waits, or a call is on the wire.
    pub(crate) fn begin_call(&self) -> bool {
        let mut state = self.lock();
        let begins = matches!(state.phase, Phase::Waiting) && !state.in_flight;
        state.in_flight |= begins;
        begins
    }

    /// Ends a call. False if the wait was abandoned meanwhile: what it got must be given back.
    pub(crate) fn end_call(&self) -> bool {
        let mut state = self.lock();
        state.in_flight = false;
        !matches!(state.phase, Phase::Over(_))
    }

    /// Adds a guard. What ended the acquisition, if it is not held.
    pub(crate) fn enter(&self) -> Result<(), Option<N>> {
        match &mut self.lock().phase {
            Phase::Held { guards, .. } if *guards > 0 => {
                *guards += 1;
                Ok(())
            }
            Phase::Over(end) => Err(Some(end.clone())),
            Phase::Held { .. } | Phase::Waiting | Phase::Releasing => Err(None),
        }
    }

    /// Takes a guard away.
    pub(crate) fn leave(&self) -> Leave<G, N> {
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Held { guards, .. } if *guards > 1 => {
                *guards -= 1;
                Leave::Nested(*guards)
            }
            Phase::Over(end) => Leave::Over(end.clone()),
            Phase::Waiting | Phase::Releasing => Leave::Releasing,
            Phase::Held { .. } => match mem::replace(&mut state.phase, Phase::Releasing) {
                Phase::Held { held, .. } => Leave::Last(held),
                Phase::Waiting | Phase::Releasing | Phase::Over(_) => Leave::Releasing,
            },
        }
    }

    /// Ends it from outside. False if it had ended, or is being given back: then the answer to that tells,
    /// and a renewal that arrived behind it would call released what was held to the end lost.
    pub(crate) fn lose(&self, end: N, wakes: &mut Wakes) -> bool {
        let mut state = self.lock();
        let lost = matches!(state.phase, Phase::Waiting | Phase::Held { .. });
        if lost {
            state.over(end, wakes);
        }
        lost
    }

    /// Notes how a release ended, also over an end that `replaces` allows. False if neither holds.
    pub(crate) fn finish(&self, end: N, replaces: impl Fn(&N) -> bool, wakes: &mut Wakes) -> bool {
        let mut state = self.lock();
        let open = match &state.phase {
            Phase::Releasing => true,
            Phase::Over(old) => replaces(old),
            Phase::Waiting | Phase::Held { .. } => false,
        };
        if open {
            state.over(end, wakes);
        }
        open
    }

    /// Goes back to releasing from an end that `again` allows.
    pub(crate) fn reopen(&self, again: impl Fn(&N) -> bool) -> bool {
        let mut state = self.lock();
        let reopens = matches!(&state.phase, Phase::Over(end) if again(end));
        if reopens {
            state.phase = Phase::Releasing;
        }
        reopens
    }

    /// Looks at what is held, and by how many guards.
    pub(crate) fn with_held<R>(&self, look: impl FnOnce(&mut G, usize) -> R) -> Option<R> {
        match &mut self.lock().phase {
            Phase::Held { held, guards } => Some(look(held, *guards)),
            Phase::Waiting | Phase::Releasing | Phase::Over(_) => None,
        }
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<N> {
        match &self.lock().phase {
            Phase::Over(end) => Some(end.clone()),
            Phase::Waiting | Phase::Held { .. } | Phase::Releasing => None,
        }
    }

    /// Waits for the end. `id` is the watcher's own, empty at first; see [`unwatch`](Self::unwatch).
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>, id: &mut Option<u64>) -> Poll<N> {
        let mut state = self.lock();
        if let Phase::Over(end) = &state.phase {
            return Poll::Ready(end.clone());
        }
        state.watch(cx.waker(), id);
        Poll::Pending
    }

    /// Forgets a watcher.
    pub(crate) fn unwatch(&self, id: u64) {
        self.lock().watchers.retain(|(watcher, _)| *watcher != id);
    }

    fn lock(&self) -> MutexGuard<'_, State<G, N>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G, N> State<G, N> {
    fn over(&mut self, end: N, wakes: &mut Wakes) {
        self.phase = Phase::Over(end);
        wakes.extend(self.claimer.take());
        wakes.extend(self.watchers.drain(..).map(|(_, waker)| waker));
    }

    fn watch(&mut self, waker: &Waker, id: &mut Option<u64>) {
        let mine = *id.get_or_insert(self.next_watcher);
        self.next_watcher = self.next_watcher.max(mine + 1);
        match self.watchers.iter_mut().find(|(watcher, _)| *watcher == mine) {
            Some((_, known)) => known.clone_from(waker),
            None => self.watchers.push((mine, waker.clone())),
        }
    }
}
