//! What the mutex protects, and the serving of queues.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    task::Waker,
    time::Duration,
};

use mainstay_core::{Clock, Key, Moment};

use super::{Cause, Refusal, Scope, ScopeList, ids::Ids, line::Line, reserve::Reserve};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) next: u64,
    /// Those who wait or have not yet heard what became of them.
    pub(super) waiters: BTreeMap<u64, Waiter>,
    /// By scope; kept while the scope lives.
    pub(super) lines: HashMap<u64, Line>,
    pub(super) ids: Ids,
    /// How many are parked.
    pub(super) parked: usize,
    pub(super) reserve: Option<Reserve>,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) scopes: ScopeList,
    pub(super) weight: u32,
    pub(super) id: Option<Key>,
    pub(super) deadline: Moment,
    pub(super) place: Place,
    pub(super) waker: Option<Waker>,
    /// How often it had to go to another queue.
    pub(super) moves: u32,
}

/// Where a waiter stands: Parked => Granted | Refused.
#[derive(Debug)]
pub(super) enum Place {
    /// At the scope with this index in its list.
    Parked(usize),
    Granted,
    Refused(Refusal),
}

/// One stay under the mutex.
///
/// Wakers run foreign code, so they are called after it.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut State,
    pub(super) clock: &'a Clock,
    pub(super) now: Option<Moment>,
    /// Scopes whose queue may have got room.
    pub(super) dirty: Vec<Arc<Scope>>,
    pub(super) wakers: Vec<Waker>,
}

impl Turn<'_> {
    /// The time of this turn; read once, and only if somebody asks.
    pub(super) fn now(&mut self) -> Moment {
        *self.now.get_or_insert_with(|| self.clock.now())
    }

    /// Serves every queue that may have got room.
    pub(super) fn serve(&mut self) {
        while let Some(scope) = self.dirty.pop() {
            while let Some(seq) = self.first(&scope) {
                if !self.serve_first(&scope, seq) {
                    break;
                }
            }
            let asked = self.first(&scope).is_some() || self.is_reserved(&scope);
            if !asked && scope.pool.read().is_marked() {
                scope.pool.unmark();
            }
        }
    }

    /// Grants, refuses or moves the first of `scope`; `false` if it has to stay there.
    fn serve_first(&mut self, scope: &Arc<Scope>, seq: u64) -> bool {
        let waiter = self.state.waiters.get(&seq).expect("whoever is parked is known");
        let (scopes, weight, late) = (waiter.scopes.clone(), waiter.weight, waiter.deadline);
        if late <= self.now() {
            self.refuse(seq, Cause::TimedOut, scope);
            return true;
        }
        match self.take(seq, &scopes, weight, true) {
            Ok(()) => self.grant(scope, seq),
            Err(at) if scopes[at].id == scope.id => return false,
            Err(at) => {
                self.park(seq, at);
                self.note_move(seq);
            }
        }
        true
    }

    /// Takes every scope, or says which one has no room for whoever came as `seq`.
    ///
    /// With `mark`, that scope will ask its queue when room appears.
    pub(super) fn take(
        &self,
        seq: u64,
        scopes: &[Arc<Scope>],
        weight: u32,
        mark: bool,
    ) -> Result<(), usize> {
        loop {
            let wanted = |s: &Scope| weight.saturating_add(self.kept(s, seq));
            let lacks = |s: &Arc<Scope>| self.is_behind(s, seq) || !s.pool.read().fits(wanted(s));
            let Some(at) = scopes.iter().position(lacks) else {
                if take_all(scopes, weight) {
                    return Ok(());
                }
                continue;
            };
            let scope = &scopes[at];
            if !mark || self.is_behind(scope, seq) || scope.pool.mark_unless_fits(wanted(scope)) {
                return Err(at);
            }
        }
    }

    /// Whether somebody older than `seq` is parked at `scope`.
    pub(super) fn is_behind(&self, scope: &Scope, seq: u64) -> bool {
        self.first(scope).is_some_and(|first| first < seq)
    }

    fn first(&self, scope: &Scope) -> Option<u64> {
        self.state.lines.get(&scope.id)?.first()
    }

    /// Tells the first of `scope` that it is in.
    fn grant(&mut self, scope: &Arc<Scope>, seq: u64) {
        let now = self.now();
        let waiter = self.state.waiters.get(&seq).expect("whoever is parked is known");
        let (id, scopes, weight) = (waiter.id.clone(), waiter.scopes.clone(), waiter.weight);
        self.state.lines.entry(scope.id).or_default().serve(now, weight);
        self.settle(seq, Place::Granted);
        let others = id.map(|id| self.state.ids.enter(&id, &scopes, weight, Some(seq)));
        self.admit_others(others.unwrap_or_default());
    }

    /// Tells waiters that the grant of another call with their id is theirs too.
    pub(super) fn admit_others(&mut self, others: Vec<u64>) {
        for other in others {
            self.settle(other, Place::Granted);
        }
    }

    /// Tells a parked waiter that it is out.
    pub(super) fn refuse(&mut self, seq: u64, cause: Cause, scope: &Scope) {
        let waiter = self.state.waiters.get(&seq).expect("whoever is parked is known");
        let (weight, id) = (waiter.weight, waiter.id.clone());
        let estimate = self.estimate(scope, weight);
        if let Some(id) = id {
            self.state.ids.give_up(&id, seq);
        }
        self.settle(seq, Place::Refused(scope.refuse(cause, estimate)));
    }

    /// How long a newcomer of this weight would wait at `scope`, if that can be told.
    pub(super) fn estimate(&mut self, scope: &Scope, weight: u32) -> Option<Duration> {
        // No line, no need to read the clock.
        self.state.lines.get(&scope.id)?;
        let now = self.now();
        self.state.lines.get(&scope.id)?.estimate(now, weight)
    }

    /// Parks a newcomer, or moves a waiter to another queue.
    pub(super) fn park(&mut self, seq: u64, at: usize) {
        self.unpark(seq);
        let waiter = self.state.waiters.get_mut(&seq).expect("whoever is parked is known");
        waiter.place = Place::Parked(at);
        let (scope, weight) = (&waiter.scopes[at], waiter.weight);
        scope.count_waiting(true);
        self.state.lines.entry(scope.id).or_default().park(seq, weight);
        self.state.parked += 1;
    }

    /// Takes a waiter out of its queue, whose next one may fit.
    pub(super) fn unpark(&mut self, seq: u64) {
        let Some(waiter) = self.state.waiters.get(&seq) else { return };
        let Place::Parked(at) = waiter.place else { return };
        let scope = waiter.scopes[at].clone();
        let Some(line) = self.state.lines.get_mut(&scope.id) else { return };
        if line.leave(seq) {
            scope.count_waiting(false);
            self.state.parked -= 1;
            self.dirty.push(scope);
        }
    }

    fn settle(&mut self, seq: u64, place: Place) {
        self.unpark(seq);
        self.unreserve(seq);
        let waiter = self.state.waiters.get_mut(&seq).expect("whoever is parked is known");
        waiter.place = place;
        self.wakers.extend(waiter.waker.take());
    }
}

/// Takes all or nothing. Under the mutex nobody mistakes what is given back for a full scope.
fn take_all(scopes: &[Arc<Scope>], weight: u32) -> bool {
    let taken = scopes.iter().take_while(|scope| scope.take_queued(weight)).count();
    if taken == scopes.len() {
        return true;
    }
    for scope in &scopes[..taken] {
        scope.pool.untake(weight);
    }
    false
}
