//! One acquisition: what was asked for, its state, its lease.

mod held;
mod local;
mod over;
mod waiting;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use mainstay_core::{Clock, Key, Moment};

use crate::{
    agenda::Registration,
    backend::{Claim, Owner},
    error::LockError,
    fence::Fence,
    lines::Lines,
    lost::LostReason,
    manager::Manager,
    slot::Slot,
    terms::Terms,
};

/// One acquisition, from the request to the release.
pub(crate) struct Hold {
    me: Weak<Self>,
    manager: Arc<Manager>,
    key: Key,
    owner: Owner,
    /// The number that the backend knows it by: another's, if it has that one's place.
    wire: AtomicU64,
    in_line: AtomicBool,
    terms: Terms,
    slot: Slot<Tenure, End>,
    // What is told after the tenure is over, too.
    fence: AtomicI64,
    granted: AtomicU64,
    lease: AtomicU64,
    ticket: AtomicU64,
    in_doubt: AtomicBool,
    outlook: Mutex<Outlook>,
    #[cfg(feature = "cancellation")]
    token: crate::cancellation::HoldToken,
}

/// What exists only while the lock is held; its registration ends with it.
struct Tenure {
    /// The lease began then, or later.
    since: Moment,
    deadline: Moment,
    /// When the maximum hold is reached.
    until: Moment,
    /// A renewal came due before anybody picked the grant up.
    idle: bool,
    /// The last renewal got no answer.
    unanswered: bool,
    registration: Registration,
}

/// How an acquisition ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Refused(LockError),
    Abandoned,
    Lost(LostReason),
    Released,
    /// The release was sent and nobody knows what became of it.
    Unknown,
}

/// What a waiter knows of the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// Whether the backend has answered at all.
    pub(crate) answered: bool,
    pub(crate) position: Option<usize>,
    pub(crate) holder_until: Option<Moment>,
    /// When to ask again.
    pub(crate) ask_at: Moment,
}

/// What a hold needs now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Renew,
    Lose(LostReason),
}

impl Hold {
    pub(crate) fn new(manager: Arc<Manager>, key: Key, asked: Moment, terms: Terms) -> Arc<Self> {
        let outlook =
            Outlook { answered: false, position: None, holder_until: None, ask_at: Moment::NEVER };
        let owner = manager.next_owner();
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            owner,
            wire: AtomicU64::new(owner.number()),
            in_line: AtomicBool::new(false),
            key,
            slot: Slot::new(),
            fence: AtomicI64::new(Fence::NONE.get()),
            granted: AtomicU64::new(asked.as_nanos()),
            lease: AtomicU64::new(nanos(terms.lease)),
            ticket: AtomicU64::new(u64::MAX),
            in_doubt: AtomicBool::new(false),
            outlook: Mutex::new(outlook),
            #[cfg(feature = "cancellation")]
            token: crate::cancellation::HoldToken::default(),
            terms,
            manager,
        })
    }

    /// On the agenda while it waits, so that a shutdown finds it.
    pub(crate) fn register_waiting(&self) -> Registration {
        // Numbers from the other end: the tenure may be on the agenda at the same moment.
        let number = u64::MAX - self.owner.number();
        self.manager.agenda().register(self.me.clone(), number, Moment::NEVER)
    }

    pub(crate) fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Who it is to the backend.
    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.owner.client(), self.wire())
    }

    pub(crate) fn wire(&self) -> u64 {
        self.wire.load(Ordering::Relaxed)
    }

    /// Whether it stands, or stood, in a line of its client.
    pub(crate) fn in_line(&self) -> bool {
        self.in_line.load(Ordering::Relaxed)
    }

    pub(crate) fn join_line(&self) {
        self.in_line.store(true, Ordering::Relaxed);
    }

    fn lines(&self) -> Option<&Lines> {
        self.in_line().then(|| self.manager.lines())
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.manager.clock()
    }

    pub(crate) fn metadata(&self) -> Option<&str> {
        self.terms.metadata.as_deref()
    }

    pub(crate) fn fence(&self) -> Fence {
        Fence::new(self.fence.load(Ordering::Relaxed))
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_nanos(self.lease.load(Ordering::Relaxed))
    }

    pub(crate) fn ticket(&self) -> u64 {
        self.ticket.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ticket(&self, ticket: u64) {
        self.ticket.store(ticket, Ordering::Relaxed);
    }

    pub(crate) fn held_for(&self) -> Duration {
        let granted = Moment::from_nanos(self.granted.load(Ordering::Relaxed));
        self.clock().now().saturating_since(granted)
    }

    pub(crate) fn outlook(&self) -> Outlook {
        *self.lock_outlook()
    }

    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        Claim::new(self.clone())
    }

    fn lock_outlook(&self) -> MutexGuard<'_, Outlook> {
        self.outlook.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hold = f.debug_struct("Hold");
        hold.field("key", &self.key).field("owner", &self.owner).field("fence", &self.fence());
        hold.field("held", &self.is_held()).finish_non_exhaustive()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
