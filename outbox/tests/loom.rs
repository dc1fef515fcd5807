//! Every order of steps of a body that gives its transaction back and a helper that takes it.
//!
//! The file under test is compiled a second time here, with the model checker's types.
#![allow(unreachable_pub, reason = "the file is compiled without its crate")]

mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

#[path = "../src/tx/slot.rs"]
mod slot;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use slot::Slot;

/// A transaction that rolls back unless it is taken to be committed.
struct Open {
    rolled_back: Arc<AtomicUsize>,
    armed: bool,
}

impl Open {
    fn commit(mut self) {
        self.armed = false;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.armed {
            self.rolled_back.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The body keeps its transaction in another thread, which lets go of it whenever it likes.
#[test]
fn a_transaction_is_committed_or_rolled_back_and_never_both() {
    loom::model(|| {
        let rolled_back = Arc::new(AtomicUsize::new(0));
        let slot = Arc::new(Slot::default());
        let body = {
            let (slot, rolled_back) = (slot.clone(), rolled_back.clone());
            thread::spawn(move || slot.give_back(Open { rolled_back, armed: true }))
        };
        let committed = slot.take().map(Open::commit).is_some();
        body.join().unwrap();
        let undone = rolled_back.load(Ordering::Relaxed);
        assert_eq!(usize::from(committed) + undone, 1, "committed: {committed}, undone: {undone}");
    });
}

/// A helper that was dropped and one that looks again find a slot that stays closed.
#[test]
fn of_two_who_take_one_gets_it_at_most() {
    loom::model(|| {
        let rolled_back = Arc::new(AtomicUsize::new(0));
        let slot = Arc::new(Slot::default());
        let other = {
            let slot = slot.clone();
            thread::spawn(move || slot.take().map(Open::commit).is_some())
        };
        slot.give_back(Open { rolled_back: rolled_back.clone(), armed: true });
        let mine = slot.take().map(Open::commit).is_some();
        let theirs = other.join().unwrap();
        let undone = rolled_back.load(Ordering::Relaxed);
        assert_eq!(usize::from(mine) + usize::from(theirs) + undone, 1);
    });
}
