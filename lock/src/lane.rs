//! Who holds one name and who waits for it, as plain data.
//!
//! No lock and no clock in here: the owner of a lane serialises the calls and brings the time. A
//! lease that has ended is noticed by the next call, whatever it asks, and goes to the queue's head.

use std::{collections::BTreeMap, time::Duration};

use mainstay_core::Moment;

use crate::{
    backend::{Answer, Grant},
    fence::Fence,
    lost::LostReason,
    wakes::Wakes,
};

/// One who asks for a name.
pub(crate) trait Contender: Clone {
    /// Whether both are the same acquisition.
    fn is(&self, other: &Self) -> bool;
    /// How long a grant lasts.
    fn lease(&self) -> Duration;
    /// Where it stands in the queue; the lane sets it.
    fn ticket(&self) -> u64;
    /// Notes where it stands in the queue.
    fn set_ticket(&self, ticket: u64);
    /// Tells a waiter that it holds the name now. False if it does not want it any more.
    fn offer(&self, grant: Grant, wakes: &mut Wakes) -> bool;
    /// Tells a holder that it holds the name no longer. False if it knew.
    fn lose(&self, reason: LostReason, wakes: &mut Wakes) -> bool;
}

/// The time of a call and what is to be done after it.
pub(crate) struct Turn<'a, C> {
    pub(crate) now: Moment,
    pub(crate) fences: &'a dyn Fn() -> Fence,
    pub(crate) wakes: Wakes,
    pub(crate) lost: Option<(C, LostReason)>,
}

/// The state of one name.
#[derive(Debug)]
pub(crate) struct Lane<C> {
    holder: Option<Holder<C>>,
    queue: BTreeMap<u64, C>,
    next_ticket: u64,
}

/// Who holds the name.
#[derive(Debug)]
pub(crate) struct Holder<C> {
    pub(crate) contender: C,
    pub(crate) fence: Fence,
    pub(crate) since: Moment,
    granted: Moment,
    lease: Duration,
    pub(crate) expires: Moment,
}

impl<C: Contender> Lane<C> {
    pub(crate) fn new() -> Self {
        Self { holder: None, queue: BTreeMap::new(), next_ticket: 0 }
    }

    /// Takes the name for `who`, or queues it, or says that it is busy. A repeated call changes nothing.
    pub(crate) fn acquire(&mut self, who: &C, queue: bool, turn: &mut Turn<'_, C>) -> Answer {
        match self.poll(who, turn) {
            Answer::Gone => {}
            known => return known,
        }
        if self.holder.is_none() {
            return Answer::Granted(self.install(who.clone(), turn));
        }
        if !queue {
            return Answer::Busy { holder_remaining: self.remaining(turn.now) };
        }
        who.set_ticket(self.next_ticket);
        self.queue.insert(self.next_ticket, who.clone());
        self.next_ticket += 1;
        self.queued(self.queue.len(), turn.now)
    }

    /// What the lane knows of `who`.
    pub(crate) fn poll(&mut self, who: &C, turn: &mut Turn<'_, C>) -> Answer {
        self.expire(turn);
        if let Some(holder) = self.holder_if(who) {
            return Answer::Granted(Grant::new(holder.fence, holder.granted, holder.lease));
        }
        if !self.is_queued(who) {
            return Answer::Gone;
        }
        self.queued(self.queue.range(..=who.ticket()).count(), turn.now)
    }

    /// Lets the lease of `who` last `lease` from now on. False if `who` holds nothing.
    pub(crate) fn renew(&mut self, who: &C, lease: Duration, turn: &mut Turn<'_, C>) -> bool {
        self.expire(turn);
        let Some(holder) = self.holder_if(who) else { return false };
        (holder.granted, holder.lease) = (turn.now, lease);
        holder.expires = turn.now + lease;
        true
    }

    /// Takes back what `who` has: the name or its place in the queue. False if it had nothing.
    pub(crate) fn release(&mut self, who: &C, turn: &mut Turn<'_, C>) -> bool {
        self.expire(turn);
        if self.is_queued(who) {
            return self.queue.remove(&who.ticket()).is_some();
        }
        let held = self.holder_if(who).is_some();
        if held {
            self.holder = None;
            self.promote(turn);
        }
        held
    }

    /// Takes the name from whoever holds it. False if nobody did.
    pub(crate) fn force(&mut self, reason: LostReason, turn: &mut Turn<'_, C>) -> bool {
        self.expire(turn);
        let held = self.holder.is_some();
        self.depose(reason, turn);
        held
    }

    /// Gives the name to the head of the queue if the holder's lease has ended.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_, C>) {
        if self.holder.as_ref().is_some_and(|holder| holder.expires <= turn.now) {
            self.depose(LostReason::Expired, turn);
        }
    }

    pub(crate) fn holder(&self) -> Option<&Holder<C>> {
        self.holder.as_ref()
    }

    pub(crate) fn waiters(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.holder.is_none() && self.queue.is_empty()
    }

    fn depose(&mut self, reason: LostReason, turn: &mut Turn<'_, C>) {
        let Some(holder) = self.holder.take() else { return };
        // The old holder knows before the new one does.
        if holder.contender.lose(reason.clone(), &mut turn.wakes) {
            turn.lost = Some((holder.contender, reason));
        }
        self.promote(turn);
    }

    fn promote(&mut self, turn: &mut Turn<'_, C>) {
        while let Some((_, head)) = self.queue.pop_first() {
            let grant = self.install(head.clone(), turn);
            if head.offer(grant, &mut turn.wakes) {
                return;
            }
            self.holder = None;
        }
    }

    fn install(&mut self, contender: C, turn: &mut Turn<'_, C>) -> Grant {
        let (fence, lease, now) = ((turn.fences)(), contender.lease(), turn.now);
        let expires = now + lease;
        self.holder = Some(Holder { contender, fence, since: now, granted: now, lease, expires });
        Grant::new(fence, now, lease)
    }

    fn holder_if(&mut self, who: &C) -> Option<&mut Holder<C>> {
        self.holder.as_mut().filter(|holder| holder.contender.is(who))
    }

    fn is_queued(&self, who: &C) -> bool {
        self.queue.get(&who.ticket()).is_some_and(|queued| queued.is(who))
    }

    fn queued(&self, position: usize, now: Moment) -> Answer {
        Answer::Queued { position, holder_remaining: self.remaining(now) }
    }

    fn remaining(&self, now: Moment) -> Option<Duration> {
        self.holder.as_ref().map(|holder| holder.expires.saturating_since(now))
    }
}

impl<C> Turn<'_, C> {
    /// Starts a call at `now`.
    pub(crate) fn at(now: Moment, fences: &dyn Fn() -> Fence) -> Turn<'_, C> {
        Turn { now, fences, wakes: Wakes::default(), lost: None }
    }
}
