//! The word that admission reads, and the mutex under which it is written.

use crate::{
    machine::Machine,
    recovery::Recovery,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError},
    word::Word,
};

/// What the mutex guards: at least the state machine.
pub(crate) trait Guarded {
    /// The machine, if a transition ever needed one; without it the breaker has always been closed.
    fn machine(&self) -> Option<&Machine>;
}

/// Readers take one load; every write happens under the mutex and is published when it is released.
#[derive(Debug)]
pub(crate) struct Gate<S> {
    word: AtomicU64,
    /// Copy of [`Machine::refuse_until`], so that refusals take no lock.
    refuse_until: AtomicU64,
    guarded: Mutex<S>,
}

impl<S> Gate<S> {
    pub(crate) fn new(guarded: S) -> Self {
        Self {
            word: AtomicU64::new(Word::first().bits()),
            refuse_until: AtomicU64::new(0),
            guarded: Mutex::new(guarded),
        }
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn refuse_until(&self) -> u64 {
        self.refuse_until.load(Ordering::Acquire)
    }

    /// The guarded value, for what changes no state. No panic can leave it half changed, so a poisoned
    /// mutex is as good as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, S>> {
        self.guarded.try_lock().ok()
    }
}

impl<S: Guarded> Gate<S> {
    /// Changes the state. The new word is visible before the next one can be made.
    pub(crate) fn update<T>(&self, recovery: &Recovery, change: impl FnOnce(&mut S) -> T) -> T {
        let mut guarded = self.lock();
        let answer = change(&mut guarded);
        if let Some(machine) = guarded.machine() {
            self.refuse_until.store(machine.refuse_until(recovery), Ordering::Release);
            self.word.store(machine.word().bits(), Ordering::Release);
        }
        answer
    }
}
