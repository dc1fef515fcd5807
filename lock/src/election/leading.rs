//! Whether a candidate leads.

use std::{fmt, future::pending};

use tokio::{select, sync::watch};

use crate::{fence::Fence, handle::LockHandle};

/// Whether a candidate leads, to look at and to wait for; made by [`Election::leading`](super::Election::leading).
///
/// # Examples
///
/// ```
/// use mainstay_lock::{LockError, Locks, election::Election};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let election = Election::new(&Locks::in_process(), "cleaner");
/// let mut leading = election.leading();
/// assert!(!leading.is_leading());
/// let leadership = election.campaign().await?;
/// assert_eq!(leading.changed().await, Some(leadership.term()));
/// leadership.resign().await;
/// assert_eq!(leading.changed().await, None);
/// # Ok::<(), LockError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Leading {
    terms: watch::Receiver<Option<LockHandle>>,
    /// What [`changed`](Self::changed) said last.
    seen: Option<Fence>,
}

impl Leading {
    pub(super) fn new(terms: watch::Receiver<Option<LockHandle>>) -> Self {
        let mut leading = Self { terms, seen: None };
        leading.seen = leading.term();
        leading
    }

    /// Whether the candidate leads at this moment, by lease and clock, without asking anybody.
    pub fn is_leading(&self) -> bool {
        self.term().is_some()
    }

    /// The term in which the candidate leads at this moment.
    pub fn term(&self) -> Option<Fence> {
        let terms = self.terms.borrow();
        terms.as_ref().filter(|term| term.is_held()).map(LockHandle::fence)
    }

    /// Waits until the answer of [`term`](Self::term) is another one than last time, or than when this
    /// was made, and returns it.
    ///
    /// It waits for ever once the candidate is gone and does not lead.
    ///
    /// # Cancel safety
    ///
    /// Nothing is missed: the next call compares with what was returned last.
    pub async fn changed(&mut self) -> Option<Fence> {
        loop {
            let current = self.terms.borrow_and_update().clone().filter(LockHandle::is_held);
            let term = current.as_ref().map(LockHandle::fence);
            if term != self.seen {
                self.seen = term;
                return term;
            }
            match current {
                Some(current) => select! {
                    _ = current.lost() => {}
                    () = elected(&mut self.terms) => {}
                },
                None => elected(&mut self.terms).await,
            }
        }
    }
}

async fn elected(terms: &mut watch::Receiver<Option<LockHandle>>) {
    if terms.changed().await.is_err() {
        pending::<()>().await;
    }
}

impl fmt::Debug for Leading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leading").field("term", &self.term()).finish_non_exhaustive()
    }
}
