//! Who is on which flight.

use std::{
    hash::Hash,
    sync::{Arc, OnceLock},
};

use dashmap::DashMap;
use tokio::sync::Semaphore;

/// One call and what it brought.
pub(super) struct Flight<T> {
    pub(super) result: OnceLock<T>,
    /// One permit: to run. Closed once the result is there.
    pub(super) turn: Arc<Semaphore>,
}

/// A flight that can be joined, and how many are on it.
pub(super) struct InFlight<T> {
    flight: Arc<Flight<T>>,
    seats: usize,
}

/// A seat on a flight; whoever leaves it last, or after it has landed, takes it off the board.
pub(super) struct Ticket<K: Eq + Hash, T> {
    flights: Arc<DashMap<K, InFlight<T>>>,
    key: K,
    flight: Arc<Flight<T>>,
}

impl<T> Flight<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { result: OnceLock::new(), turn: Arc::new(Semaphore::new(1)) })
    }
}

impl<K: Eq + Hash + Clone, T> Ticket<K, T> {
    pub(super) fn join(flights: Arc<DashMap<K, InFlight<T>>>, key: K) -> Self {
        let flight = {
            let begin = || InFlight { flight: Flight::new(), seats: 0 };
            let mut joined = flights.entry(key.clone()).or_insert_with(begin);
            joined.seats += 1;
            joined.flight.clone()
        };
        Self { flights, key, flight }
    }
}

impl<K: Eq + Hash, T> Ticket<K, T> {
    pub(super) fn flight(&self) -> &Arc<Flight<T>> {
        &self.flight
    }
}

impl<K: Eq + Hash, T> Drop for Ticket<K, T> {
    fn drop(&mut self) {
        // One that was cut off is not on the board any more, and a later one is somebody else's.
        self.flights.remove_if_mut(&self.key, |_, board| {
            if !Arc::ptr_eq(&board.flight, &self.flight) {
                return false;
            }
            board.seats -= 1;
            board.seats == 0 || self.flight.result.get().is_some()
        });
    }
}
