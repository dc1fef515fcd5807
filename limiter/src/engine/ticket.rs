//! A place in the queue.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    Cause, Engine, Refusal,
    state::{Place, Turn, Waiter},
};

/// A place in the queue. Dropping it leaves the queue, and returns a grant nobody has heard of.
pub(crate) struct Ticket {
    engine: Arc<Engine>,
    seq: Option<u64>,
}

impl Ticket {
    pub(crate) fn new(engine: Arc<Engine>, seq: u64) -> Self {
        Self { engine, seq: Some(seq) }
    }

    /// Ready when it is decided. After a grant the caller holds the permits.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let seq = self.seq.expect("a ticket is not polled after it was decided");
        // A waker is foreign code, cloning and dropping it too: not under the mutex.
        let waker = cx.waker().clone();
        let (decided, stale) = self.engine.turn(|turn| turn.hear(seq, waker));
        drop(stale);
        if decided.is_ready() {
            self.seq = None;
        }
        decided
    }

    /// Leaves the queue because the time is over, unless it was decided in this moment.
    pub(crate) fn give_up(&mut self) -> Result<(), Refusal> {
        let Some(seq) = self.seq.take() else { return Ok(()) };
        self.engine.turn(|turn| {
            if let Place::Parked(at) = turn.state.waiters[&seq].place {
                let scope = turn.state.waiters[&seq].scopes[at].clone();
                turn.refuse(seq, Cause::TimedOut, &scope);
            }
            turn.collect(seq)
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(seq) = self.seq.take() else { return };
        let gone = self.engine.turn(|turn| turn.abandon(seq));
        drop(gone);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.seq)
    }
}

impl Turn<'_> {
    fn hear(&mut self, seq: u64, waker: Waker) -> (Poll<Result<(), Refusal>>, Option<Waker>) {
        let waiter = self.state.waiters.get_mut(&seq).expect("a ticket keeps its waiter");
        if matches!(waiter.place, Place::Parked(_)) {
            return (Poll::Pending, waiter.waker.replace(waker));
        }
        (Poll::Ready(self.collect(seq)), Some(waker))
    }

    /// Hands the decision over and forgets the waiter.
    fn collect(&mut self, seq: u64) -> Result<(), Refusal> {
        match self.state.waiters.remove(&seq).map(|waiter| waiter.place) {
            Some(Place::Refused(refusal)) => Err(refusal),
            Some(Place::Granted | Place::Parked(_)) | None => Ok(()),
        }
    }

    /// Forgets a waiter whose caller is gone.
    fn abandon(&mut self, seq: u64) -> Option<Waiter> {
        self.unpark(seq);
        self.unreserve(seq);
        let waiter = self.state.waiters.remove(&seq)?;
        match (&waiter.place, &waiter.id) {
            (Place::Parked(_), Some(id)) => self.state.ids.give_up(id, seq),
            (Place::Granted, Some(id)) if !self.state.ids.leave(id) => {}
            (Place::Granted, _) => self.give(&waiter.scopes, waiter.weight),
            (Place::Parked(_) | Place::Refused(_), _) => {}
        }
        Some(waiter)
    }
}
