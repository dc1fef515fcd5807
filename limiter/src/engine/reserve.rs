//! Room that is kept for one caller.

use super::{Scope, ScopeList, state::Turn};

/// How often a waiter may find that another scope has filled up meanwhile, before room is kept for it.
const MOVES: u32 = 3;

/// A waiter whose scopes keep room for it.
///
/// A call that waits at one of two busy scopes finds the other one full each time it gets to the
/// front, and could go back and forth for ever. Once it has moved a few times, later calls get in at
/// its scopes only if they leave room for its weight. Rooms are kept for one caller at a time: two of
/// them could keep each other waiting.
#[derive(Debug)]
pub(super) struct Reserve {
    seq: u64,
    scopes: ScopeList,
    weight: u32,
}

impl Reserve {
    fn covers(&self, scope: &Scope) -> bool {
        self.scopes.iter().any(|own| own.id == scope.id)
    }
}

impl Turn<'_> {
    /// How many permits of `scope` are not for whoever came as `seq`.
    pub(super) fn kept(&self, scope: &Scope, seq: u64) -> u32 {
        match &self.state.reserve {
            Some(reserve) if reserve.seq < seq && reserve.covers(scope) => reserve.weight,
            _ => 0,
        }
    }

    /// Whether newcomers at `scope` have to ask here although nobody is parked there.
    pub(super) fn is_reserved(&self, scope: &Scope) -> bool {
        self.state.reserve.as_ref().is_some_and(|reserve| reserve.covers(scope))
    }

    /// Notes that a waiter had to move; keeps room for it if it moves too often.
    pub(super) fn note_move(&mut self, seq: u64) {
        let Some(waiter) = self.state.waiters.get_mut(&seq) else { return };
        waiter.moves += 1;
        if waiter.moves < MOVES {
            return;
        }
        let (scopes, weight) = (waiter.scopes.clone(), waiter.weight);
        if self.state.reserve.as_ref().is_none_or(|reserve| reserve.seq > seq) {
            scopes.iter().for_each(|scope| scope.pool.mark());
            let before = self.state.reserve.replace(Reserve { seq, scopes, weight });
            self.dirty.extend(before.iter().flat_map(|before| before.scopes.iter().cloned()));
        }
    }

    /// Gives up the room kept for `seq`, which no longer waits.
    pub(super) fn unreserve(&mut self, seq: u64) {
        if let Some(reserve) = self.state.reserve.take_if(|reserve| reserve.seq == seq) {
            self.dirty.extend(reserve.scopes.iter().cloned());
        }
    }
}
