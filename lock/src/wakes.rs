//! Wakers collected under a lock and called after it.

use std::task::Waker;

/// Tasks to wake once every lock is free: a waker runs foreign code.
#[derive(Debug, Default)]
#[must_use = "call `wake` after the lock is free"]
pub(crate) struct Wakes {
    // Nearly always one; no allocation for it.
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Waker) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.rest.push(waker),
        }
    }

    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.rest).for_each(Waker::wake);
    }
}

impl Extend<Waker> for Wakes {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}
