//! What the rest of the crate asks the engine to do.

use std::sync::{Arc, PoisonError};

use mainstay_core::{Clock, Key, Moment};

use super::{
    Cause, Engine, Refusal, Scope, ScopeList,
    fast::{self, Attempt},
    ids::Known,
    state::{Place, State, Turn, Waiter},
};
use crate::sync::Mutex;

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) scopes: &'a ScopeList,
    pub(crate) weight: u32,
    pub(crate) id: Option<&'a Key>,
    /// How long it would wait; `None` for an answer at once.
    pub(crate) park: Option<Park>,
}

/// When a caller that waits gives up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Park {
    pub(crate) deadline: Moment,
}

/// What a caller got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Granted,
    /// It waits under this number.
    Parked(u64),
}

impl Engine {
    pub(crate) fn new(clock: Clock, waiting: usize) -> Self {
        Self { clock, waiting, state: Mutex::new(State::default()) }
    }

    /// Lets a caller in if that takes no lock. If not, nothing is decided: ask [`admit`](Self::admit).
    #[inline]
    pub(crate) fn try_fast(&self, scopes: &ScopeList, weight: u32) -> bool {
        match fast::try_take(scopes, weight) {
            Attempt::Taken => true,
            Attempt::Undecided => false,
            Attempt::Undone => {
                self.serve(scopes);
                false
            }
        }
    }

    /// Lets a caller in, parks it, or says why not.
    pub(crate) fn admit(&self, ask: &Ask<'_>) -> Result<Entry, Refusal> {
        if ask.id.is_none() && self.try_fast(ask.scopes, ask.weight) {
            return Ok(Entry::Granted);
        }
        self.turn(|turn| turn.admit(ask, self.waiting))
    }

    /// Takes permits back. What comes free pays the debt of a lowered limit, then goes to whoever
    /// waits longest, then to newcomers.
    #[inline]
    pub(crate) fn release(&self, scopes: &ScopeList, weight: u32, id: Option<&Key>) {
        if let Some(id) = id {
            return self.release_id(scopes, weight, id);
        }
        if fast::give(scopes, weight) {
            self.serve(scopes);
        }
    }

    #[inline(never)]
    fn release_id(&self, scopes: &ScopeList, weight: u32, id: &Key) {
        self.turn(|turn| {
            if turn.state.ids.leave(id) {
                turn.give(scopes, weight);
            }
        });
    }

    /// Serves the queues of `scopes`, where room may have appeared.
    #[cold]
    fn serve(&self, scopes: &ScopeList) {
        self.turn(|turn| turn.dirty.extend(scopes.iter().cloned()));
    }

    /// Changes a limit; returns the one before. Never waits for anybody.
    pub(crate) fn set_limit(&self, scope: &Arc<Scope>, limit: u32, queue: u32) -> u32 {
        self.turn(|turn| {
            scope.set_queue(queue);
            let before = scope.pool.set_limit(limit);
            if limit < before {
                turn.refuse_hopeless(scope, limit);
            }
            turn.dirty.push(scope.clone());
            before
        })
    }

    /// Refuses everybody who waits.
    pub(crate) fn refuse_all(&self) {
        self.turn(|turn| {
            for (seq, scope) in turn.parked() {
                turn.refuse(seq, Cause::ShutDown, &scope);
            }
        });
    }

    /// Forgets the queue of a scope that is gone.
    pub(crate) fn forget(&self, scope: &Scope) {
        self.turn(|turn| drop(turn.state.lines.remove(&scope.id)));
    }

    /// How many callers wait.
    pub(crate) fn waiting(&self) -> usize {
        self.turn(|turn| turn.state.parked)
    }

    pub(super) fn turn<R>(&self, work: impl FnOnce(&mut Turn<'_>) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = Turn {
            state: &mut state,
            clock: &self.clock,
            now: None,
            dirty: Vec::new(),
            wakers: Vec::new(),
        };
        let out = work(&mut turn);
        turn.serve();
        let wakers = turn.wakers;
        drop(state);
        wakers.into_iter().for_each(std::task::Waker::wake);
        out
    }
}

impl Turn<'_> {
    fn admit(&mut self, ask: &Ask<'_>, waiting: usize) -> Result<Entry, Refusal> {
        if let Some(id) = ask.id {
            match self.state.ids.join(id, ask.scopes, ask.weight) {
                Known::In => return Ok(Entry::Granted),
                Known::Other => {
                    let refusal = ask.scopes[0].refuse(Cause::OtherShape, None);
                    return Err(Refusal { scope: id.clone(), ..refusal });
                }
                Known::Not => {}
            }
        }
        if let Some((scope, cause)) = hopeless(ask.scopes, ask.weight) {
            return Err(scope.refuse(cause, None));
        }
        let seq = self.state.next;
        match self.take(seq, ask.scopes, ask.weight, ask.park.is_some()) {
            Ok(()) => {
                if let Some(id) = ask.id {
                    let others = self.state.ids.enter(id, ask.scopes, ask.weight, None);
                    self.admit_others(others);
                }
                Ok(Entry::Granted)
            }
            Err(at) => self.queue(ask, at, waiting).inspect_err(|_| {
                // It may be marked for a queue that this caller does not join.
                if ask.park.is_some() {
                    self.dirty.push(ask.scopes[at].clone());
                }
            }),
        }
    }

    /// Parks a newcomer at the scope that has no room, if waiting can help.
    fn queue(&mut self, ask: &Ask<'_>, at: usize, waiting: usize) -> Result<Entry, Refusal> {
        let scope = &ask.scopes[at];
        let occupied = self.state.lines.get(&scope.id).is_some_and(|line| line.first().is_some());
        let estimate = self.estimate(scope, ask.weight);
        let Some(park) = ask.park else { return Err(scope.refuse(Cause::Full, estimate)) };
        if scope.queue_is_full() || self.state.parked >= waiting {
            return Err(scope.refuse(Cause::QueueFull, estimate));
        }
        let left = park.deadline.saturating_since(self.now());
        // Whoever is first in line waits in any case: it is the one who finds out the pace.
        if left.is_zero() || (occupied && estimate.is_some_and(|wait| wait > left)) {
            return Err(scope.refuse(Cause::TooLate, estimate));
        }
        Ok(Entry::Parked(self.enqueue(ask, park, at)))
    }

    fn enqueue(&mut self, ask: &Ask<'_>, park: Park, at: usize) -> u64 {
        let seq = self.state.next;
        self.state.next += 1;
        if let Some(id) = ask.id {
            self.state.ids.wait(id, ask.scopes, ask.weight, seq);
        }
        let waiter = Waiter {
            scopes: ask.scopes.clone(),
            weight: ask.weight,
            id: ask.id.cloned(),
            deadline: park.deadline,
            place: Place::Parked(at),
            waker: None,
            moves: 0,
        };
        self.state.waiters.insert(seq, waiter);
        self.park(seq, at);
        seq
    }

    /// Refuses whoever waits for more than `scope` now allows at all.
    fn refuse_hopeless(&mut self, scope: &Arc<Scope>, limit: u32) {
        let cause = if limit == 0 { Cause::Closed } else { Cause::TooWide };
        for (seq, _) in self.parked() {
            let waiter = &self.state.waiters[&seq];
            if waiter.weight > limit && waiter.scopes.iter().any(|s| s.id == scope.id) {
                self.refuse(seq, cause, scope);
            }
        }
    }

    /// Everybody who waits, oldest first, and where.
    fn parked(&self) -> Vec<(u64, Arc<Scope>)> {
        let at = |waiter: &Waiter| match waiter.place {
            Place::Parked(at) => Some(waiter.scopes[at].clone()),
            Place::Granted | Place::Refused(_) => None,
        };
        self.state.waiters.iter().filter_map(|(seq, w)| Some((*seq, at(w)?))).collect()
    }

    pub(super) fn give(&mut self, scopes: &ScopeList, weight: u32) {
        for scope in scopes.iter() {
            if scope.pool.give(weight) {
                self.dirty.push(scope.clone());
            }
        }
    }
}

/// The first scope that would never let this weight in, as it is now.
fn hopeless(scopes: &ScopeList, weight: u32) -> Option<(&Arc<Scope>, Cause)> {
    scopes.iter().find_map(|scope| match scope.pool.read().limit() {
        0 => Some((scope, Cause::Closed)),
        limit if weight > limit => Some((scope, Cause::TooWide)),
        _ => None,
    })
}
