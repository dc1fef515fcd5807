//! Every order of steps of two and three threads, for what is synchronised by hand.
//!
//! The files under test are compiled a second time here, with the model checker's types.
#![allow(dead_code, unreachable_pub, reason = "the files are compiled without their crate")]

mod sync {
    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    };
    pub(crate) use std::sync::PoisonError;
}

mod config {
    /// The part of a ratio that a reason needs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
    pub struct Ratio(u16);

    impl Ratio {
        pub(crate) fn parts(self) -> u16 {
            self.0
        }

        pub(crate) fn from_parts(parts: u16) -> Self {
            Self(parts)
        }
    }

    impl std::fmt::Display for Ratio {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            std::fmt::Debug::fmt(self, f)
        }
    }
}

#[path = "../src/gate.rs"]
mod gate;
#[path = "../src/machine.rs"]
mod machine;
#[path = "../src/reason.rs"]
mod reason;
#[path = "../src/recovery.rs"]
mod recovery;
#[path = "../src/state.rs"]
mod state;
#[path = "../src/trials.rs"]
mod trials;
#[path = "../src/window"]
mod window {
    pub(crate) mod meta;
    pub(crate) mod owned;
    pub(crate) mod slots;
    pub(crate) mod tally;
}
#[path = "../src/word.rs"]
mod word;

use std::time::Duration;

use loom::{sync::Arc, thread};
use mainstay_breaker::{Backoff, Outcome};

use self::{
    gate::{Gate, Guarded},
    machine::{Admission, Changes, Machine, Who},
    reason::Reason,
    recovery::Recovery,
    state::State,
    window::{
        owned::Owned,
        slots::{SLOTS, SlotPool},
        tally::{Sample, Tally},
    },
    word::Word,
};

impl Guarded for Machine {
    fn machine(&self) -> Option<&Machine> {
        Some(self)
    }
}

/// Every order with at most `switches` involuntary switches between threads: most bugs need no more,
/// and a ring of buckets has too many steps for all orders.
fn model(switches: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(test);
}

fn recovery(permits: u32) -> Recovery {
    Recovery {
        open_for: Backoff::fixed(Duration::from_millis(10)),
        quiet: 1_000,
        max_hint: 1_000,
        permits,
        needed: permits,
        lease: 100,
        ramp: Box::new([]),
        step: 1_000,
    }
}

/// A gate whose machine opened at time 0 and may be tried from time 10 on.
fn opened(permits: u32) -> (Arc<Gate<Machine>>, Recovery) {
    let (gate, recovery) = (Gate::new(Machine::new(Word::first())), recovery(permits));
    let reason = Reason::Consecutive { calls: 1, limit: 1 };
    let generation = gate.word().generation();
    gate.update(&recovery, |machine| {
        machine.trip(0, &recovery, generation, reason, &mut Changes::new());
    });
    (Arc::new(gate), recovery)
}

/// Admission as the breaker does it: one load, the mutex only when it may help.
fn admit(gate: &Gate<Machine>, recovery: &Recovery, now: u64) -> Option<(u64, u32)> {
    let word = gate.word();
    if word.is_closed() {
        return Some((word.generation(), 0));
    }
    if now < gate.refuse_until() {
        return None;
    }
    gate.update(recovery, |machine| {
        match machine.admit(now, recovery, Who::Caller, &mut Changes::new()) {
            Admission::Pass => Some((machine.word().generation(), 0)),
            Admission::Trial(id) => Some((machine.word().generation(), id)),
            Admission::Refuse => None,
        }
    })
}

fn settle(
    gate: &Gate<Machine>,
    recovery: &Recovery,
    ticket: (u64, u32),
    good: Option<bool>,
) -> bool {
    gate.update(recovery, |machine| machine.settle(20, recovery, ticket, good, &mut Changes::new()))
}

#[test]
fn never_more_trial_calls_than_permits() {
    model(2, || {
        let (gate, recovery) = opened(1);
        let admitted: Vec<_> = (0..2)
            .map(|_| {
                let (gate, recovery) = (gate.clone(), recovery.clone());
                thread::spawn(move || admit(&gate, &recovery, 10))
            })
            .collect();
        let mine = admit(&gate, &recovery, 10);
        let others = admitted.into_iter().map(|call| call.join().unwrap());
        assert_eq!(others.chain([mine]).flatten().count(), 1);
        assert_eq!(gate.word().state(), State::HalfOpen);
    });
}

#[test]
fn a_permit_that_came_back_is_found_and_none_is_lost() {
    model(2, || {
        let (gate, recovery) = opened(1);
        let first = admit(&gate, &recovery, 10).unwrap();
        let dropped = {
            let (gate, recovery) = (gate.clone(), recovery.clone());
            thread::spawn(move || assert!(settle(&gate, &recovery, first, None)))
        };
        let during = admit(&gate, &recovery, 11);
        dropped.join().unwrap();
        // Whoever comes after the permit came back gets it, unless it was taken meanwhile.
        let after = admit(&gate, &recovery, 12);
        assert_eq!(during.is_some(), after.is_none());
        assert!(settle(&gate, &recovery, during.or(after).unwrap(), Some(true)));
        assert_eq!(gate.word().state(), State::Closed);
    });
}

#[test]
fn a_result_of_before_never_decides() {
    model(2, || {
        let (gate, recovery) = (Arc::new(Gate::new(Machine::new(Word::first()))), recovery(1));
        let stale = admit(&gate, &recovery, 0).unwrap();
        let reason = Reason::Consecutive { calls: 1, limit: 1 };
        let opens = {
            let (gate, recovery) = (gate.clone(), recovery.clone());
            thread::spawn(move || {
                gate.update(&recovery, |machine| {
                    machine.trip(0, &recovery, stale.0, reason, &mut Changes::new());
                });
                admit(&gate, &recovery, 10).unwrap()
            })
        };
        // A failure of a call that was let out before, at any moment.
        gate.update(&recovery, |machine| {
            machine.trip(0, &recovery, stale.0, reason, &mut Changes::new());
        });
        settle(&gate, &recovery, stale, Some(true));
        let trial = opens.join().unwrap();
        assert_eq!(gate.word().state(), State::HalfOpen);
        assert!(settle(&gate, &recovery, trial, Some(true)));
        assert_eq!(gate.word().state(), State::Closed);
    });
}

#[test]
fn two_ends_of_one_permit_count_once() {
    model(2, || {
        let (gate, recovery) = opened(2);
        let trial = admit(&gate, &recovery, 10).unwrap();
        let other = {
            let (gate, recovery) = (gate.clone(), recovery.clone());
            thread::spawn(move || settle(&gate, &recovery, trial, Some(true)))
        };
        let mine = settle(&gate, &recovery, trial, Some(true));
        assert!(mine ^ other.join().unwrap());
        assert_eq!(gate.word().state(), State::HalfOpen, "one of two");
    });
}

const SHIFT: u32 = 3;
/// One bucket, two if it begins in the one before: every further one multiplies the orders.
const WINDOW: u64 = 11;

fn sample(outcome: Outcome) -> Sample {
    Sample::new(outcome, false).expect("it counts")
}

/// Counts while another thread reads, and returns what that one saw.
///
/// The reader is the thread that is started: the checker remembers one access to each cell, and the
/// writer's own load would hide the reader's from it.
fn read_while(
    ring: &Arc<Owned>,
    read: impl FnOnce(&Owned) -> Tally + 'static,
    write: impl FnOnce(&Owned),
) -> Tally {
    let reader = {
        let ring = ring.clone();
        thread::spawn(move || read(&ring))
    };
    write(ring);
    reader.join().expect("the reader does not panic")
}

#[test]
fn a_reader_sees_a_bucket_whole() {
    model(2, || {
        let ring = Arc::new(Owned::new());
        ring.record(SHIFT, 1, 80, sample(Outcome::Success));
        let seen = read_while(
            &ring,
            |ring| ring.tally(1, WINDOW, 88),
            // The next bucket.
            |ring| ring.record(SHIFT, 1, 88, sample(Outcome::Success)),
        );
        assert!((1..=2).contains(&seen.success) && seen.calls() == seen.success, "{seen:?}");
        assert_eq!(ring.tally(1, WINDOW, 88).success, 2);
    });
}

#[test]
fn a_reader_takes_nothing_of_another_era() {
    model(2, || {
        let ring = Arc::new(Owned::new());
        ring.record(SHIFT, 1, 80, sample(Outcome::Success));
        let seen = read_while(
            &ring,
            |ring| ring.tally(2, 1, 80),
            |ring| ring.record(SHIFT, 2, 80, sample(Outcome::Failure)),
        );
        assert!(seen.success == 0 && seen.failure <= 1, "{seen:?}");
        assert_eq!(ring.tally(1, 1, 80), Tally::default());
        assert_eq!(ring.tally(2, 1, 80).failure, 1);
    });
}

#[test]
fn a_reader_never_counts_twice_while_buckets_change_their_width() {
    model(1, || {
        let ring = Arc::new(Owned::new());
        for at in [80, 88] {
            ring.record(SHIFT, 1, at, sample(Outcome::Failure));
        }
        let seen = read_while(
            &ring,
            |ring| ring.tally(1, WINDOW, 90),
            |ring| ring.record(SHIFT + 1, 1, 90, sample(Outcome::Failure)),
        );
        assert!([0, 2, 3].contains(&seen.failure), "{seen:?}");
        assert_eq!(ring.tally(1, WINDOW, 90).failure, 3);
    });
}

#[test]
fn a_ring_handed_over_with_its_number_loses_nothing() {
    model(2, || {
        let pool = Arc::new(SlotPool::new(sync::Mutex::new(1)));
        let ring = Arc::new(Owned::new());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (pool, ring) = (pool.clone(), ring.clone());
                thread::spawn(move || {
                    // One number for two threads: the second goes without, or comes after the first.
                    let Some(slot) = pool.take() else { return 0 };
                    ring.record(SHIFT, 1, 80, sample(Outcome::Success));
                    pool.give(slot);
                    1
                })
            })
            .collect();
        let counted: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(ring.tally(1, WINDOW, 80).success, counted);
    });
}

#[test]
fn numbers_are_held_by_one_thread_at_a_time() {
    model(2, || {
        let pool = SlotPool::new(sync::Mutex::new(u16::MAX));
        let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken, (0..SLOTS).collect::<Vec<_>>());
        pool.give(7);
        assert_eq!((pool.take(), pool.take()), (Some(7), None));
    });
}
