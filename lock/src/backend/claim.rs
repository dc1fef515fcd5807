//! One acquisition, as a backend sees it.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::{Clock, Key};

use super::{Grant, Mode};
use crate::{
    fence::Fence, hold::Hold, lane::Contender, lost::LostReason, slot::Offer, wakes::Wakes,
};

/// The name of one acquisition: unique over all clients and never used again, so that renewals and
/// releases can be repeated and an old one never hits a successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    client: u64,
    number: u64,
}

impl Owner {
    pub(crate) fn new(client: u64, number: u64) -> Self {
        Self { client, number }
    }

    /// The client, one per [`Locks`](crate::Locks): where pushes for this owner go.
    pub fn client(self) -> u64 {
        self.client
    }

    /// The number of the acquisition at its client.
    pub fn number(self) -> u64 {
        self.number
    }
}

/// `client:number`, both in hexadecimal.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{:x}", self.client, self.number)
    }
}

/// One acquisition, as a backend sees it: who asks for what, and where grants and losses are pushed.
///
/// A clone is a reference count. Pushes may come at any time from any task.
#[derive(Clone)]
pub struct Claim {
    hold: Arc<Hold>,
    relay: Option<Arc<dyn Relay>>,
    #[cfg(feature = "testing")]
    filter: Option<Filter>,
}

/// Where the pushes for a claim go instead of straight to who waits: for backends made of others.
///
/// The wrapped backend may call it while it holds a lock of its own: what it does must not wait, and must not
/// call that backend before it has returned.
pub trait Relay: Send + Sync + 'static {
    /// A grant, as in [`Claim::grant`]; false gives it back.
    fn grant(&self, grant: Grant) -> bool;

    /// A loss, as in [`Claim::lose`].
    fn lose(&self, reason: &LostReason);
}

#[cfg(feature = "testing")]
type Filter = Arc<dyn Fn() -> bool + Send + Sync>;

impl Claim {
    pub(crate) fn new(hold: Arc<Hold>) -> Self {
        Self {
            hold,
            relay: None,
            #[cfg(feature = "testing")]
            filter: None,
        }
    }

    /// The lock asked for.
    pub fn key(&self) -> &Key {
        self.hold.key()
    }

    /// The name of this acquisition.
    pub fn owner(&self) -> Owner {
        self.hold.owner()
    }

    /// Whether it wants the lock alone.
    pub fn mode(&self) -> Mode {
        self.hold.terms().mode
    }

    /// The last fence it was granted; [`Fence::NONE`] before.
    pub fn fence(&self) -> Fence {
        self.hold.fence()
    }

    /// How long a grant is to last.
    pub fn lease(&self) -> Duration {
        self.hold.lease()
    }

    /// What the holder wants others to know of it.
    pub fn metadata(&self) -> Option<&str> {
        self.hold.metadata()
    }

    /// The client's clock, on which [`Grant::since`] is read.
    pub fn clock(&self) -> &Clock {
        self.hold.clock()
    }

    /// Whether somebody still waits for this claim.
    pub fn is_wanted(&self) -> bool {
        self.hold.is_wanted()
    }

    /// Tells the waiter that it holds the lock. Telling it twice does no harm.
    ///
    /// False means that nobody wants it any more: the backend gives it to the next one.
    #[must_use = "a refused grant must be given to the next waiter"]
    pub fn grant(&self, grant: Grant) -> bool {
        let mut wakes = Wakes::default();
        let wanted = self.offer(grant, &mut wakes);
        wakes.wake();
        wanted
    }

    /// Tells the holder that it holds the lock no longer.
    pub fn lose(&self, reason: &LostReason) {
        match &self.relay {
            _ if !self.delivers() => {}
            Some(relay) => relay.lose(reason),
            None => self.hold.lose_on_wire(reason),
        }
    }

    /// The same claim for a wrapped backend, whose pushes go through `relay`.
    #[must_use = "hand the new claim to the wrapped backend"]
    pub fn relayed(&self, relay: Arc<dyn Relay>) -> Self {
        Self { relay: Some(relay), ..self.clone() }
    }

    /// A claim whose pushes are delivered only where `deliver` says so: for backends that wrap another
    /// one to prove that lost pushes do no harm.
    #[cfg(feature = "testing")]
    #[must_use = "hand the new claim to the wrapped backend"]
    pub fn filtered(&self, deliver: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { filter: Some(Arc::new(deliver)), ..self.clone() }
    }

    #[cfg(feature = "testing")]
    fn delivers(&self) -> bool {
        self.filter.as_ref().is_none_or(|deliver| deliver())
    }

    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "the filter exists under `testing` only")]
    fn delivers(&self) -> bool {
        true
    }

    pub(crate) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }
}

impl Contender for Claim {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.hold, &other.hold)
    }

    fn mode(&self) -> Mode {
        self.hold.terms().mode
    }

    fn lease(&self) -> Duration {
        self.hold.lease()
    }

    fn ticket(&self) -> u64 {
        self.hold.ticket()
    }

    fn set_ticket(&self, ticket: u64) {
        self.hold.set_ticket(ticket);
    }

    fn offer(&self, grant: Grant, wakes: &mut Wakes) -> bool {
        // A push that is lost on its way was accepted as far as the sender can tell.
        match &self.relay {
            _ if !self.delivers() => true,
            Some(relay) => relay.grant(grant),
            None => self.hold.offer(grant, wakes) != Offer::Unwanted,
        }
    }

    fn lose(&self, reason: LostReason, wakes: &mut Wakes) -> bool {
        match &self.relay {
            _ if !self.delivers() => false,
            Some(relay) => {
                relay.lose(&reason);
                false
            }
            None => self.hold.mark_lost(reason, wakes),
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut claim = f.debug_struct("Claim");
        claim.field("key", self.key()).field("owner", &self.owner()).finish_non_exhaustive()
    }
}
