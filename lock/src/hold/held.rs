//! While the lock is held.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mainstay_core::Moment;

use super::{Due, End, Hold, Tenure, nanos};
use crate::{
    backend::Grant,
    line::Parted,
    lost::{Lost, LostReason},
    slot::{Leave, Offer},
    wakes::Wakes,
};

impl Hold {
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
        let blind = cfg!(mainstay_planted = "hand_off_late");
        let worth_having = lease == self.terms.lease && (blind || left >= lease / 2);
        let since = if blind { now } else { tenure.since };
        let grant = worth_having.then(|| Grant::new(self.fence(), since, lease));
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

    /// Runs under the slot's lock: the registration and the state begin together.
    fn begin_tenure(&self, grant: Grant) -> Tenure {
        let now = self.clock().now();
        let since = if cfg!(mainstay_planted = "lease_from_reply") { now } else { grant.since };
        let deadline = self.manager.engine().deadline(since, grant.lease);
        let until = self.terms.max_hold.map_or(Moment::NEVER, |hold| now + hold);
        self.fence.store(grant.fence.get(), Ordering::Relaxed);
        self.granted.store(now.as_nanos(), Ordering::Relaxed);
        let first = self.next_renewal(grant.since, grant.lease).min(deadline).min(until);
        let blind = cfg!(mainstay_planted = "no_check_after_wait");
        let first = if blind { first.max(now + grant.lease) } else { first };
        let registration =
            self.manager.agenda().register(self.me.clone(), self.owner.number(), first);
        let since = grant.since;
        Tenure { since, deadline, until, idle: false, unanswered: false, registration }
    }

    pub(super) fn resume_renewal(&self, tenure: &mut Tenure) {
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
}

/// The part of a lease that must be left where a holder begins.
const MIN_VALIDITY: u32 = 8;

/// Renewals that fall into the same part of a lease go out together.
const GRID: u64 = 32;

/// How often a renewal without an answer is tried again within a lease.
const RETRIES: u32 = 10;
