//! The seam behind which locks are kept.
//!
//! A [`Locks`](crate::Locks) is one client of a backend: it runs the leases, judges deadlines on its
//! own clock, knows scopes and guards, and cleans up. A [`Backend`] keeps the names. It may be used by any
//! number of clients in any number of processes.
//!
//! # What a backend promises
//!
//! - One holder per name whose claim is [`Exclusive`](Mode::Exclusive), and nobody beside it. A lease that has
//!   ended without renewal holds nothing.
//! - Waiters of one name are granted in the order in which they were queued. A release, an end of a
//!   lease and a forced release grant straight to the head of the queue.
//! - Where [`Backend::shares`] says so, any number of claims that are [`Shared`](Mode::Shared) hold a name at the same
//!   time, each with a lease and a fence of its own. A shared claim does not pass a waiter: it joins only
//!   if nobody waits. When its turn comes, those next to it that share are granted with it. A forced release takes
//!   the name from all of them. Elsewhere shared claims are refused before they reach the backend.
//! - Fences of one name rise from grant to grant.
//! - Every call ends within a time budget of the backend's own. A call whose request may have reached
//!   the server and whose answer is missing ends in [`BackendError::Unknown`], nothing else.
//! - Calls about one claim take effect in the order in which they were made: a release never overtakes
//!   the acquire that it cleans up after.
//! - Every call may be repeated: a [`Claim`]'s [`Owner`] is never used for a second acquisition.
//! - A push that [`Claim::grant`] refuses is given back by the backend itself.
//!
//! # What a backend may rely on
//!
//! - Futures it returns are driven to their end whatever the caller of the lock does; nobody drops
//!   them but a runtime that stops. A backend that can answer without a future takes [`Order`]s.
//! - A claim that is abandoned is given back by [`Backend::release`], after the answer to its
//!   acquire came, and again until an answer came or the lease has ended.
//! - Pushes may be lost, late, or doubled: waiters are polled when the holder's lease should have
//!   ended and every few seconds, and deadlines are judged without pushes.
//!
//! A suite that holds a backend to this is in the module `conformance`, behind the feature `testing`.

mod claim;
mod order;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use mainstay_core::{Key, Moment};

pub use claim::{Claim, Owner, Relay};
pub use order::{Order, Replier};

use crate::{error::Failure, fence::Fence, inspect::LockInfo};

pub use crate::mode::Mode;

/// Keeps locks for any number of clients. See the [module](self) for the rules.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Whether claims may share a name, see [`Mode::Shared`]. It does not unless it says so.
    fn shares(&self) -> bool {
        false
    }

    /// Names of one bucket cost less if they are asked for one after another, as [`Locks::lock_all`](crate::Locks::lock_all)
    /// does. All are in one unless it says otherwise.
    fn bucket(&self, _key: &Key) -> u32 {
        0
    }

    /// Takes a call without a future, to answer it through its [`Replier`] from wherever the answer comes up;
    /// or gives it back, and the method that it stands for is called on a task of its own.
    ///
    /// For backends with a task of their own that could answer: it saves a task for each call. Calls about one
    /// claim still take effect in the order in which they were made. It must not wait.
    fn submit(&self, order: Order) -> Option<Order> {
        Some(order)
    }

    /// How many fences a grant reserves, from its own on. One, unless it says so.
    ///
    /// Where there are more, a client stands in line once for all who wait for a name there: it hands the lock
    /// on among them under the [`Owner`] that was granted, to each with the next of these fences, and releases it with the
    /// last that was used ([`Claim::fence`]). Then no other grant may have one of them.
    fn reserved_fences(&self) -> usize {
        1
    }

    /// Asks for the claim's lock; a repeated call tells what the first one did.
    ///
    /// Where the lock is held, `queue` says whether to stand in line or to answer [`Answer::Busy`].
    ///
    /// # Errors
    ///
    /// [`BackendError::Failed`] only if the request cannot have had an effect.
    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError>;

    /// Asks what became of a queued claim, and lets the backend notice a lease that has ended.
    ///
    /// The news of a grant may have been lost: the lease of a claim that holds the lock begins anew. One that
    /// comes to the client with less than an eighth of its lease left is given back.
    ///
    /// # Errors
    ///
    /// Either kind; the client asks again later.
    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError>;

    /// Renews leases in one go: at most [`MAX_BATCH`] of them, answered in their order.
    ///
    /// # Errors
    ///
    /// Either kind, if nothing is known of any of them; the client tries again until the leases end.
    /// Of single ones it is told by [`Renewed::Unanswered`].
    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError>;

    /// Gives back whatever the claim has: the lock, or its place in the queue.
    ///
    /// # Errors
    ///
    /// Either kind; the client tries again until the lease has ended.
    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError>;

    /// Takes the lock from whoever holds it and tells them, by [`Claim::lose`] in their process.
    /// False if nobody held it.
    ///
    /// # Errors
    ///
    /// Either kind, as it is.
    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError>;

    /// Who holds a lock and how many wait.
    ///
    /// # Errors
    ///
    /// Either kind, as it is.
    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError>;
}

/// The most renewals in one call of [`Backend::renew`].
pub const MAX_BATCH: usize = 100;

/// A lock was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The fence of this holder.
    pub fence: Fence,
    /// A reading of the client's clock ([`Claim::clock`]) that is not later than the beginning of the
    /// lease: taken before the request was written, or the server's own time carried over.
    pub since: Moment,
    /// How long the lease lasts.
    pub lease: Duration,
}

impl Grant {
    /// A grant of a lease that began at `since` or later.
    pub const fn new(fence: Fence, since: Moment, lease: Duration) -> Self {
        Self { fence, since, lease }
    }
}

/// What a backend says about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It holds the lock.
    Granted(Grant),
    /// It stands in line.
    Queued {
        /// Its place, 1 being next; none if the backend did not look it up.
        position: Option<usize>,
        /// When the holder's lease ends, unless it is renewed.
        holder_remaining: Option<Duration>,
    },
    /// It is held elsewhere, and the claim was not to queue.
    Busy {
        /// When the holder's lease ends, unless it is renewed.
        holder_remaining: Option<Duration>,
    },
    /// The backend does not know the claim (any more).
    Gone,
}

/// One lease to renew.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Renewal {
    /// Whose lease it is.
    pub claim: Claim,
    /// How long it is to last from now on.
    pub lease: Duration,
}

impl Renewal {
    pub(crate) fn new(claim: Claim, lease: Duration) -> Self {
        Self { claim, lease }
    }
}

/// What became of one renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewed {
    /// The lease was renewed.
    Renewed,
    /// The claim does not hold the lock.
    NotHeld,
    /// Nothing is known of this one; the client tries again until the lease ends.
    Unanswered,
}

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GivenBack {
    /// The claim had the lock, or a place in the queue, and has it no more.
    Released,
    /// It had nothing.
    NotHeld,
}

/// Why a backend did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Nothing was done, and nothing will be.
    #[error("{0}")]
    Failed(Failure),
    /// The request was sent and no answer came: it may have been done, or may yet be.
    #[error("{0}")]
    Unknown(Failure),
}

impl BackendError {
    /// Nothing was done.
    pub fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(Failure::new(source))
    }

    /// It may have been done.
    pub fn unknown(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unknown(Failure::new(source))
    }
}
