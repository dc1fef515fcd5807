//! Every interleaving of the hand-made synchronisation, with loom's primitives in place of the standard ones.
#![allow(dead_code, reason = "the crate uses what these models do not")]

#[path = "../src/lane.rs"]
mod lane;
#[path = "../src/line.rs"]
mod line;
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
    line::{Line, Local, Parted},
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

/// Those of one client in a line, with its lock around it, as `lines.rs` keeps it; `wire` is what the backend
/// believes: which number holds the name, and whether it was given back.
#[derive(Clone)]
struct Client {
    line: Arc<Mutex<Option<Line<Guest>>>>,
    released: std::sync::Arc<AtomicU64>,
    fences: std::sync::Arc<AtomicI64>,
}

#[derive(Clone)]
struct Guest(Arc<Visit>);

struct Visit {
    slot: Slot<Grant, LostReason>,
    number: u64,
    wire: AtomicU64,
}

impl Guest {
    fn new(number: u64) -> Self {
        Self(Arc::new(Visit { slot: Slot::new(), number, wire: AtomicU64::new(number) }))
    }

    fn claim(&self) -> Result<(), LostReason> {
        block_on(poll_fn(|cx| self.0.slot.poll_claim(cx)))
    }

    fn fence(&self) -> Option<i64> {
        self.0.slot.with_held(|grant, _| grant.fence.get())
    }
}

impl Local for Guest {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn number(&self) -> u64 {
        self.0.number
    }

    fn offer(&self, wire: u64, grant: Grant, wakes: &mut Wakes) -> Offer {
        self.0.wire.store(wire, Ordering::Relaxed);
        self.0.slot.offer(|| grant, wakes)
    }

    fn begin_call(&self) -> bool {
        self.0.slot.begin_call()
    }

    fn take_over(&self, wire: u64, in_flight: bool) -> bool {
        self.0.wire.store(wire, Ordering::Relaxed);
        self.0.slot.take_over(in_flight)
    }

    fn abandon(&self) -> (Abandon, bool) {
        let waited = self.0.slot.is_waiting();
        (self.0.slot.abandon(LostReason::NotHeld), waited)
    }

    fn is_over(&self) -> bool {
        self.0.slot.end().is_some()
    }
}

impl Client {
    /// The first holds the name, the others wait behind it.
    fn holding(guests: &[Guest]) -> Self {
        let mut line = Line::new(guests[0].clone());
        for guest in &guests[1..] {
            line.push(guest.clone());
        }
        let client = Self {
            line: Arc::new(Mutex::new(Some(line))),
            released: std::sync::Arc::default(),
            fences: std::sync::Arc::default(),
        };
        assert!(guests[0].0.slot.begin_call());
        client.answer(&guests[0]);
        guests[0].claim().expect("it was granted");
        client
    }

    fn change<R>(&self, change: impl FnOnce(&mut Line<Guest>) -> R) -> Option<R> {
        self.line.lock().expect("no model panics inside").as_mut().map(change)
    }

    /// The backend grants what `asked` asked for.
    fn answer(&self, asked: &Guest) {
        let mut wakes = Wakes::default();
        let fence = Fence::new(self.fences.fetch_add(64, Ordering::Relaxed) + 64);
        let grant = Grant::new(fence, Moment::from_nanos(1), Duration::from_secs(1));
        let wanted = self.change(|line| {
            let front = line.front().clone();
            front.0.slot.end_call()
                && line.offer(grant, 64, Moment::from_nanos(1), &mut wakes) != Offer::Unwanted
        });
        wakes.wake();
        if wanted == Some(false) {
            self.give_back(asked);
        }
    }

    fn give_back(&self, guest: &Guest) {
        self.released.fetch_or(1 << guest.0.wire.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn parted(&self, guest: &Guest, parted: Parted<Guest>) {
        match parted {
            Parted::Alone => self.give_back(guest),
            Parted::Next(next) => {
                self.give_back(guest);
                self.answer(&next);
            }
            Parted::Waited | Parted::Taken(_) | Parted::Stays => {}
        }
    }

    /// Drops a guard as the crate does.
    fn leave(&self, guest: &Guest) {
        let Leave::Last(tenure) = guest.0.slot.leave() else { return };
        let mut wakes = Wakes::default();
        let now = Moment::from_nanos(2);
        let parted = self.change(|line| line.leave(guest, Some(tenure), now, &mut wakes));
        wakes.wake();
        self.parted(guest, parted.unwrap_or(Parted::Alone));
    }

    fn abandon(&self, guest: &Guest) {
        let parted = self.change(|line| line.abandon(guest)).expect("there is a line");
        self.parted(guest, parted);
    }

    /// The backend takes the name away.
    fn lose(&self) {
        let mut wakes = Wakes::default();
        let mark = |loser: &Guest| loser.0.slot.lose(LostReason::TakenOver, &mut wakes);
        let parted = self.change(|line| line.lose(mark).1);
        wakes.wake();
        if let Some(Parted::Next(next)) = parted {
            self.answer(&next);
        }
    }
}

#[test]
fn a_name_that_is_handed_on_passes_over_one_who_leaves() {
    loom::model(|| {
        let [first, fickle, patient] = [0, 1, 2].map(Guest::new);
        let client = Client::holding(&[first.clone(), fickle.clone(), patient.clone()]);
        let leaver = thread::spawn({
            let (client, fickle) = (client.clone(), fickle.clone());
            move || client.abandon(&fickle)
        });
        client.leave(&first);
        leaver.join().unwrap();
        patient.claim().unwrap();
        assert!(patient.fence() > Some(64));
        client.leave(&patient);
        let wires = client.released.load(Ordering::Relaxed);
        let last = patient.0.wire.load(Ordering::Relaxed);
        assert!(wires & (1 << last) != 0, "it was never given back");
    });
}

#[test]
fn a_loss_reaches_whoever_has_the_name_by_then() {
    loom::model(|| {
        let [first, second] = [0, 1].map(Guest::new);
        let client = Client::holding(&[first.clone(), second.clone()]);
        let backend = thread::spawn({
            let client = client.clone();
            move || client.lose()
        });
        client.leave(&first);
        backend.join().unwrap();
        // Handed on and lost there; or lost first, and then the second asked for itself.
        let number = second.0.wire.load(Ordering::Relaxed);
        match second.claim() {
            Ok(()) => assert_eq!(number, 1, "it holds what was lost"),
            Err(reason) => assert_eq!((reason, number), (LostReason::TakenOver, 0)),
        }
    });
}

#[test]
fn a_place_in_the_queue_goes_to_the_next_whenever_the_answer_comes() {
    loom::model(|| {
        let [fickle, patient] = [0, 1].map(Guest::new);
        let mut line = Line::new(fickle.clone());
        line.push(patient.clone());
        let line = Arc::new(Mutex::new(Some(line)));
        let client =
            Client { line, released: std::sync::Arc::default(), fences: std::sync::Arc::default() };
        assert!(fickle.0.slot.begin_call());
        let call = thread::spawn({
            let (client, fickle) = (client.clone(), fickle.clone());
            move || client.answer(&fickle)
        });
        client.abandon(&fickle);
        call.join().unwrap();
        patient.claim().unwrap();
    });
}
