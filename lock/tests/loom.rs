//! Every interleaving of the hand-made synchronisation, with loom's primitives in place of the standard ones.
#![allow(dead_code, reason = "the crate uses what these models do not")]

#[path = "../src/lane.rs"]
mod lane;
#[path = "../src/readers.rs"]
mod readers;
#[path = "../src/slot.rs"]
mod slot;
#[path = "../src/wakes.rs"]
mod wakes;

mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

mod backend {
    pub(crate) use mainstay_lock::backend::{Answer, Grant, Mode};
}

mod fence {
    pub(crate) use mainstay_lock::Fence;
}

mod lost {
    pub(crate) use mainstay_lock::LostReason;
}

use std::{
    future::poll_fn,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use loom::{future::block_on, sync::Arc, thread};
use mainstay_core::Moment;

use self::{
    backend::{Answer, Grant, Mode},
    fence::Fence,
    lane::{Contender, Lane, Turn},
    lost::LostReason,
    slot::{Abandon, Leave, Offer, Slot},
    sync::{Mutex, MutexGuard},
    wakes::Wakes,
};

#[derive(Clone)]
struct Party(Arc<Member>);

struct Member {
    mode: Mode,
    slot: Slot<Grant, LostReason>,
    ticket: AtomicU64,
}

impl Party {
    fn new() -> Self {
        Self::of(Mode::Exclusive)
    }

    fn of(mode: Mode) -> Self {
        let ticket = AtomicU64::new(u64::MAX);
        Self(Arc::new(Member { mode, slot: Slot::new(), ticket }))
    }
}

impl Contender for Party {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn mode(&self) -> Mode {
        self.0.mode
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn ticket(&self) -> u64 {
        self.0.ticket.load(Ordering::Relaxed)
    }

    fn set_ticket(&self, ticket: u64) {
        self.0.ticket.store(ticket, Ordering::Relaxed);
    }

    fn offer(&self, grant: Grant, wakes: &mut Wakes) -> bool {
        self.0.slot.offer(|| grant, wakes) != Offer::Unwanted
    }

    fn lose(&self, reason: LostReason, wakes: &mut Wakes) -> bool {
        self.0.slot.lose(reason, wakes)
    }
}

/// One name with its lock around it, as the in-process store keeps it.
#[derive(Clone)]
struct Store {
    lane: Arc<Mutex<Lane<Party>>>,
    fence: std::sync::Arc<AtomicI64>,
}

impl Store {
    fn new() -> Self {
        Self { lane: Arc::new(Mutex::new(Lane::new())), fence: std::sync::Arc::default() }
    }

    fn call<R>(&self, act: impl FnOnce(&mut Lane<Party>, &mut Turn<'_, Party>) -> R) -> R {
        let fences = || Fence::new(self.fence.fetch_add(1, Ordering::Relaxed) + 1);
        let mut turn = Turn::at(Moment::from_nanos(1), &fences);
        let mut lane = self.lock();
        let result = act(&mut lane, &mut turn);
        drop(lane);
        turn.wakes.wake();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Lane<Party>> {
        self.lane.lock().expect("no model panics inside")
    }

    fn ask(&self, party: &Party) {
        let answer = self.call(|lane, turn| lane.acquire(party, true, turn));
        if let Answer::Granted(grant) = answer {
            let mut wakes = Wakes::default();
            party.0.slot.offer(|| grant, &mut wakes);
            wakes.wake();
        }
    }

    fn release(&self, party: &Party) -> bool {
        self.call(|lane, turn| lane.release(party, turn))
    }

    /// Drops a guard as the crate does.
    fn leave(&self, party: &Party) {
        if let Leave::Last(_) = party.0.slot.leave() {
            assert!(self.release(party), "a holder that nobody deposed has the name");
        }
    }

    /// Drops a waiter as the crate does.
    fn abandon(&self, party: &Party) {
        if party.0.slot.abandon(LostReason::NotHeld) == Abandon::GiveBack {
            self.release(party);
        }
    }
}

fn claim(party: &Party) -> Result<(), LostReason> {
    block_on(poll_fn(|cx| party.0.slot.poll_claim(cx)))
}

#[test]
fn a_waiter_is_woken_by_the_release_whenever_it_comes() {
    loom::model(|| {
        let (store, first, second) = (Store::new(), Party::new(), Party::new());
        store.ask(&first);
        claim(&first).unwrap();
        let waiter = thread::spawn({
            let (store, second) = (store.clone(), second.clone());
            move || {
                store.ask(&second);
                claim(&second).unwrap();
                store.leave(&second);
            }
        });
        store.leave(&first);
        waiter.join().unwrap();
        assert!(store.lock().is_idle());
    });
}

#[test]
fn a_hand_off_to_one_who_leaves_goes_on_to_the_next() {
    loom::model(|| {
        let (store, first) = (Store::new(), Party::new());
        let (fickle, patient) = (Party::new(), Party::new());
        store.ask(&first);
        claim(&first).unwrap();
        store.ask(&fickle);
        store.ask(&patient);
        let leaver = thread::spawn({
            let (store, fickle) = (store.clone(), fickle.clone());
            move || store.abandon(&fickle)
        });
        store.leave(&first);
        leaver.join().unwrap();
        // Whoever came first, the patient one has it now.
        claim(&patient).unwrap();
        store.leave(&patient);
        assert!(store.lock().is_idle(), "an orphan");
    });
}

#[test]
fn a_refused_grant_goes_to_the_next_at_once() {
    loom::model(|| {
        let (store, first) = (Store::new(), Party::new());
        let (fickle, patient) = (Party::new(), Party::new());
        store.ask(&first);
        claim(&first).unwrap();
        store.ask(&fickle);
        store.ask(&patient);
        // Gone, and its place in the queue not yet given back.
        assert_eq!(fickle.0.slot.abandon(LostReason::NotHeld), Abandon::GiveBack);
        store.leave(&first);
        claim(&patient).unwrap();
        assert!(!store.release(&fickle));
    });
}

#[test]
fn the_last_of_two_readers_lets_the_writer_in() {
    loom::model(|| {
        let (store, writer) = (Store::new(), Party::new());
        let readers = [Party::of(Mode::Shared), Party::of(Mode::Shared)];
        for reader in &readers {
            store.ask(reader);
            claim(reader).unwrap();
        }
        store.ask(&writer);
        let leaves = readers.map(|reader| {
            let store = store.clone();
            thread::spawn(move || store.leave(&reader))
        });
        claim(&writer).unwrap();
        store.leave(&writer);
        for leave in leaves {
            leave.join().unwrap();
        }
        assert!(store.lock().is_idle());
    });
}

#[test]
fn a_writer_that_leaves_lets_the_reader_behind_it_in() {
    loom::model(|| {
        let (store, writer) = (Store::new(), Party::new());
        let (first, behind) = (Party::of(Mode::Shared), Party::of(Mode::Shared));
        store.ask(&first);
        claim(&first).unwrap();
        store.ask(&writer);
        store.ask(&behind);
        let leaver = thread::spawn({
            let (store, writer) = (store.clone(), writer.clone());
            move || store.abandon(&writer)
        });
        claim(&behind).unwrap();
        store.leave(&behind);
        store.leave(&first);
        leaver.join().unwrap();
        assert!(store.lock().is_idle(), "an orphan");
    });
}

#[test]
fn a_loss_and_a_release_do_not_both_win() {
    loom::model(|| {
        let (store, holder, next) = (Store::new(), Party::new(), Party::new());
        store.ask(&holder);
        claim(&holder).unwrap();
        store.ask(&next);
        let operator = thread::spawn({
            let store = store.clone();
            move || store.call(|lane, turn| lane.force(&LostReason::TakenOver, turn))
        });
        let held_to_the_end = match holder.0.slot.leave() {
            Leave::Last(_) => store.release(&holder),
            _ => false,
        };
        let forced = operator.join().unwrap();
        // Forcing after the release hits the successor, who then knows.
        let successor = claim(&next);
        assert_eq!(successor.is_ok(), !(held_to_the_end && forced));
        assert!(forced || held_to_the_end);
    });
}

#[test]
fn a_watcher_never_misses_the_end() {
    loom::model(|| {
        let (store, holder) = (Store::new(), Party::new());
        store.ask(&holder);
        claim(&holder).unwrap();
        let watcher = thread::spawn({
            let holder = holder.clone();
            move || {
                let mut id = None;
                block_on(poll_fn(|cx| holder.0.slot.poll_end(cx, &mut id)))
            }
        });
        store.call(|lane, turn| lane.force(&LostReason::TakenOver, turn));
        assert_eq!(watcher.join().unwrap(), LostReason::TakenOver);
    });
}

#[test]
fn a_call_on_the_wire_and_its_dropped_caller_clean_up_once_at_least() {
    loom::model(|| {
        let (store, party) = (Store::new(), Party::new());
        assert!(party.0.slot.begin_call());
        let call = thread::spawn({
            let (store, party) = (store.clone(), party.clone());
            move || {
                let answer = store.call(|lane, turn| lane.acquire(&party, true, turn));
                if !party.0.slot.end_call() {
                    store.release(&party);
                } else if let Answer::Granted(grant) = answer {
                    party.0.slot.offer(|| grant, &mut Wakes::default());
                }
            }
        });
        store.abandon(&party);
        call.join().unwrap();
        assert!(store.lock().is_idle(), "an orphan");
    });
}
