//! One acquisition: what was asked for, its state, its lease.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use mainstay_core::{Clock, Key, Moment};

use crate::{
    agenda::Registration,
    backend::{Answer, Claim, Grant, Owner},
    error::LockError,
    fence::Fence,
    line::{Local, Parted},
    lines::Lines,
    lost::{Lost, LostReason},
    manager::Manager,
    slot::{Abandon, Leave, Offer, Slot},
    terms::Terms,
    wakes::Wakes,
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

    // Waiting.

    pub(crate) fn is_wanted(self: &Arc<Self>) -> bool {
        let current = self.lines().map(|lines| lines.current(self));
        current.as_ref().unwrap_or(self).slot.end().is_none()
    }

    /// Neither waits nor holds any more.
    pub(crate) fn is_done(&self) -> bool {
        self.slot.is_done()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.slot.is_waiting()
    }

    pub(crate) fn begin_call(&self) -> bool {
        let begins = self.slot.begin_call();
        if begins {
            self.lock_outlook().ask_at = Moment::NEVER;
        }
        begins
    }

    pub(crate) fn end_call(&self) -> bool {
        self.slot.end_call() || cfg!(mainstay_planted = "drop_forgets_wire")
    }

    /// Notes what the backend said to a waiter. False if it got a grant that nobody wants.
    pub(crate) fn answered(self: &Arc<Self>, answer: Answer) -> bool {
        let mut wakes = Wakes::default();
        let wanted = match answer {
            Answer::Granted(grant) => self.offer(grant, &mut wakes) != Offer::Unwanted,
            Answer::Busy { holder_remaining } => {
                let error = LockError::Contended { key: self.key.clone(), holder_remaining };
                self.slot.refuse(End::Refused(error), &mut wakes);
                true
            }
            Answer::Queued { position, holder_remaining } => {
                self.queued(Some(position), holder_remaining);
                true
            }
            Answer::Gone => {
                self.queued(None, None);
                true
            }
        };
        wakes.wake();
        wanted
    }

    /// The backend gave no answer to a question that can be asked again.
    pub(crate) fn unanswered(&self) {
        self.queued(None, None);
    }

    /// Lets the waiter read what was noted.
    pub(crate) fn nudge(&self) {
        let mut wakes = Wakes::default();
        self.slot.nudge(&mut wakes);
        wakes.wake();
    }

    pub(crate) fn refuse(&self, error: LockError) -> bool {
        let mut wakes = Wakes::default();
        let forgotten = cfg!(mainstay_planted = "unknown_is_failure") && error.is_unknown();
        let refused = self.slot.refuse(End::Refused(error), &mut wakes);
        wakes.wake();
        refused && !forgotten
    }

    pub(crate) fn poll_claim(&self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let claimed = self.slot.poll_claim(cx);
        if matches!(claimed, Poll::Ready(Ok(()))) {
            self.slot.with_held(|tenure, _| self.resume_renewal(tenure));
        }
        claimed
    }

    /// The waiter is gone: gives back what it may have.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let parted = match self.lines() {
            Some(lines) => lines.abandon(self),
            None => self.abandon_alone(),
        };
        self.manager.engine().parted(self, parted);
    }

    pub(crate) fn abandon_alone(&self) -> Parted<Arc<Self>> {
        match self.slot.abandon(End::Abandoned) {
            Abandon::GiveBack => Parted::Alone,
            Abandon::LeaveToCall | Abandon::Nothing => Parted::Stays,
        }
    }

    /// Waits in the line of its client, where nobody needs to ask.
    pub(crate) fn wait_behind(&self, place: usize) {
        let (position, holder_until, ask_at) = (Some(place), None, Moment::NEVER);
        let mut outlook = self.lock_outlook();
        if !outlook.answered {
            *outlook = Outlook { answered: true, position, holder_until, ask_at };
        }
    }

    // Held.

    /// Takes the grant if it is wanted.
    pub(crate) fn offer(self: &Arc<Self>, grant: Grant, wakes: &mut Wakes) -> Offer {
        match self.lines() {
            Some(lines) => lines.offer(self, grant, self.manager.engine().reserved(), wakes),
            None => self.offer_alone(self.wire(), grant, wakes),
        }
    }

    pub(crate) fn offer_alone(&self, wire: u64, grant: Grant, wakes: &mut Wakes) -> Offer {
        let begin = || {
            // Under the slot's lock: whoever sees the tenure sees whose it is on the wire.
            self.wire.store(wire, Ordering::Relaxed);
            self.begin_tenure(grant)
        };
        self.slot.offer(begin, wakes)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.remaining().is_some_and(|left| !left.is_zero())
    }

    /// Whether enough of the lease is left to begin work under it: an eighth.
    pub(crate) fn is_worth_having(&self) -> bool {
        self.remaining().is_some_and(|left| !left.is_zero() && left >= self.lease() / MIN_VALIDITY)
    }

    /// What is left of the lease; nothing once it is over.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let unseen = cfg!(mainstay_planted = "held_without_clock");
        let now = if unseen { Moment::from_nanos(0) } else { self.clock().now() };
        self.slot.with_held(|tenure, _| tenure.deadline.saturating_since(now))
    }

    /// Adds a guard; how it was lost, if it was. `None` if it is simply not held.
    pub(crate) fn enter(&self) -> Result<(), Option<Lost>> {
        if self.slot.with_held(|_, _| ()).is_some() && !self.is_held() {
            return Err(Some(self.lost_by(LostReason::Expired)));
        }
        self.slot.enter().map_err(|end| match end {
            Some(End::Lost(reason)) => Some(self.lost_by(reason)),
            _ => None,
        })
    }

    /// Takes a guard away; the last one gives the lock back.
    pub(crate) fn leave(self: &Arc<Self>) -> Option<usize> {
        match self.slot.leave() {
            Leave::Nested(guards) => return Some(guards),
            Leave::Last(tenure) => self.hand_on(&tenure),
            Leave::Releasing | Leave::Over(_) => {}
        }
        None
    }

    /// Gives the lock to the next of its line, or back.
    fn hand_on(self: &Arc<Self>, tenure: &Tenure) {
        let (engine, now) = (self.manager.engine(), self.clock().now());
        let Some(lines) = self.lines() else { return engine.parted(self, Parted::Alone) };
        let lease = self.lease();
        // Nobody is to begin with little left, or with a lease that another asked for.
        let left = tenure.deadline.saturating_since(now);
        let worth_having = lease == self.terms.lease && left >= lease / 2;
        let grant = worth_having.then(|| Grant::new(self.fence(), tenure.since, lease));
        let mut wakes = Wakes::default();
        let parted = lines.leave(self, grant, now, &mut wakes);
        wakes.wake();
        if matches!(parted, Parted::Taken(_)) {
            self.given_back(End::Released);
        }
        engine.parted(self, parted);
    }

    /// Gives the lock back once more if nobody knows what became of the first time.
    pub(crate) fn leave_again(self: &Arc<Self>) {
        if self.slot.reopen(|end| matches!(end, End::Unknown)) {
            self.manager.engine().give_back(self);
        }
    }

    /// Judges the lease at `now` and puts the next time to look on the agenda.
    pub(crate) fn due(&self, now: Moment) -> Due {
        let judge = |tenure: &mut Tenure, guards: usize| {
            if now >= tenure.deadline {
                let silent = tenure.unanswered;
                return Due::Lose(if silent {
                    LostReason::Unreachable
                } else {
                    LostReason::Expired
                });
            }
            if now >= tenure.until {
                return Due::Lose(LostReason::HeldTooLong);
            }
            // The end is on the agenda even while a renewal is on its way and never answered.
            tenure.registration.move_to(tenure.deadline.min(tenure.until));
            tenure.idle = guards == 0;
            if guards > 0 && self.terms.renew { Due::Renew } else { Due::Nothing }
        };
        self.slot.with_held(judge).unwrap_or(Due::Nothing)
    }

    /// Notes a renewal that was sent at `sent`. What is over stays over.
    pub(crate) fn renewed(&self, sent: Moment, lease: Duration) -> bool {
        let now = self.clock().now();
        let renewed = self.slot.with_held(|tenure, _| {
            let held = now < tenure.deadline;
            if held {
                tenure.unanswered = false;
                tenure.deadline = self.manager.engine().deadline(sent, lease);
                tenure.since = sent;
                self.lease.store(nanos(lease), Ordering::Relaxed);
                self.schedule(tenure, sent, lease);
            }
            held
        });
        renewed.unwrap_or(false)
    }

    /// Notes a renewal without an answer: tried again soon, until the lease ends.
    pub(crate) fn renewal_failed(&self) {
        let soon = self.clock().now() + self.lease() / RETRIES;
        self.slot.with_held(|tenure, _| {
            tenure.unanswered = true;
            tenure.registration.move_to(soon.min(tenure.deadline).min(tenure.until));
        });
    }

    // Over.

    /// Notes a loss; see [`tell_lost`](Self::tell_lost) for the rest. False if it was over.
    pub(crate) fn mark_lost(&self, reason: LostReason, wakes: &mut Wakes) -> bool {
        self.slot.lose(End::Lost(reason), wakes)
    }

    /// Tells the observer of a loss; not under any lock.
    pub(crate) fn tell_lost(&self, reason: &LostReason) {
        // A claim can be lost before anybody had it.
        if self.fence() != Fence::NONE {
            self.manager.observe().lost(&self.key, self.fence(), reason, self.held_for());
        }
    }

    /// Ends it from our side. False if it was over.
    pub(crate) fn lose(&self, reason: &LostReason) -> bool {
        let mut wakes = Wakes::default();
        let lost = self.mark_lost(reason.clone(), &mut wakes);
        wakes.wake();
        if lost {
            self.tell_lost(reason);
        }
        lost
    }

    /// The backend says that it is lost: whoever has it now is told.
    pub(crate) fn lose_on_wire(self: &Arc<Self>, reason: &LostReason) {
        let Some(lines) = self.lines() else {
            self.lose(reason);
            return;
        };
        let mut wakes = Wakes::default();
        let (loser, parted) = lines.lose(self, reason, &mut wakes);
        wakes.wake();
        if let Some(loser) = loser {
            loser.tell_lost(reason);
        }
        if let Parted::Next(next) = parted {
            self.manager.engine().ask_next(&next);
        }
    }

    /// Notes how giving back ended.
    pub(crate) fn given_back(&self, end: End) {
        let mut wakes = Wakes::default();
        let end = match end {
            End::Unknown => {
                self.in_doubt.store(true, Ordering::Relaxed);
                End::Unknown
            }
            // "Not held" after a release whose answer was lost: that release did it.
            End::Lost(LostReason::TakenOver) if self.in_doubt.load(Ordering::Relaxed) => {
                End::Released
            }
            end => end,
        };
        let released = matches!(end, End::Released);
        let news = self.slot.finish(end, |old| matches!(old, End::Unknown), &mut wakes);
        wakes.wake();
        if cfg!(mainstay_planted = "renew_after_release") && released {
            self.me.upgrade().into_iter().for_each(|me| self.manager.engine().renew(&[me]));
        }
        if news && released && self.fence() != Fence::NONE {
            self.manager.observe().released(&self.key, self.fence(), self.held_for());
        }
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.slot.end()
    }

    pub(crate) fn poll_end(&self, cx: &mut Context<'_>, watcher: &mut Option<u64>) -> Poll<End> {
        self.slot.poll_end(cx, watcher)
    }

    pub(crate) fn unwatch(&self, watcher: u64) {
        self.slot.unwatch(watcher);
    }

    #[cfg(feature = "cancellation")]
    pub(crate) fn child_token(&self) -> tokio_util::sync::CancellationToken {
        self.token.child(self)
    }

    pub(crate) fn lost_by(&self, reason: LostReason) -> Lost {
        Lost::new(self.key.clone(), reason)
    }

    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        Claim::new(self.clone())
    }

    /// Runs under the slot's lock: the registration and the state begin together.
    fn begin_tenure(&self, grant: Grant) -> Tenure {
        let now = self.clock().now();
        let since = if cfg!(mainstay_planted = "lease_from_reply") { now } else { grant.since };
        let deadline = self.manager.engine().deadline(since, grant.lease);
        let until = self.terms.max_hold.map_or(Moment::NEVER, |hold| now + hold);
        self.fence.store(grant.fence.get(), Ordering::Relaxed);
        self.granted.store(now.as_nanos(), Ordering::Relaxed);
        let first = self.next_renewal(grant.since, grant.lease).min(deadline).min(until);
        let registration =
            self.manager.agenda().register(self.me.clone(), self.owner.number(), first);
        let since = grant.since;
        Tenure { since, deadline, until, idle: false, unanswered: false, registration }
    }

    fn resume_renewal(&self, tenure: &mut Tenure) {
        if tenure.idle {
            tenure.idle = false;
            let now = self.clock().now();
            tenure.registration.move_to(now.min(tenure.deadline).min(tenure.until));
        }
    }

    fn schedule(&self, tenure: &mut Tenure, sent: Moment, lease: Duration) {
        let next = self.next_renewal(sent, lease);
        tenure.registration.move_to(next.min(tenure.deadline).min(tenure.until));
    }

    /// A third into the lease, rounded down so that neighbours renew in one batch.
    fn next_renewal(&self, sent: Moment, lease: Duration) -> Moment {
        if !self.terms.renew {
            return Moment::NEVER;
        }
        let grid = (nanos(lease) / GRID).max(1);
        let third = (sent + lease / 3).as_nanos();
        Moment::from_nanos(third - third % grid)
    }

    fn queued(&self, position: Option<usize>, holder_remaining: Option<Duration>) {
        let now = self.clock().now();
        let holder_until = holder_remaining.map(|left| now + left);
        let ask_at = self.manager.engine().ask_again_at(now, holder_until, self.lease());
        let outlook = Outlook { answered: true, position, holder_until, ask_at };
        *self.lock_outlook() = outlook;
    }

    fn lock_outlook(&self) -> MutexGuard<'_, Outlook> {
        self.outlook.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local for Arc<Hold> {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }

    fn number(&self) -> u64 {
        self.owner.number()
    }

    fn offer(&self, wire: u64, grant: Grant, wakes: &mut Wakes) -> Offer {
        self.offer_alone(wire, grant, wakes)
    }

    fn begin_call(&self) -> bool {
        Hold::begin_call(self)
    }

    fn take_over(&self, wire: u64, in_flight: bool) -> bool {
        let waits = self.slot.take_over(in_flight);
        if waits {
            self.wire.store(wire, Ordering::Relaxed);
            // What the one who left knew of its place, a call on the wire may tell; a look will in any case.
            self.queued(None, None);
        }
        waits
    }

    fn abandon(&self) -> (Abandon, bool) {
        let waited = self.slot.is_waiting();
        (self.slot.abandon(End::Abandoned), waited)
    }

    fn is_over(&self) -> bool {
        self.slot.end().is_some()
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

/// The part of a lease that must be left where a holder begins.
const MIN_VALIDITY: u32 = 8;

/// Renewals that fall into the same part of a lease go out together.
const GRID: u64 = 32;

/// How often a renewal without an answer is tried again within a lease.
const RETRIES: u32 = 10;
