//! Who holds one name and who waits for it, as plain data.
//!
//! No lock and no clock in here: the owner of a lane serialises the calls and brings the time. A
//! lease that has ended is noticed by the next call, whatever it asks, and goes to the queue's head.
//!
//! After every call it holds that the head of the queue cannot have the name: somebody has it alone, or
//! the head wants it alone and others share it. So whoever finds the name free may take it.

use std::{collections::BTreeMap, time::Duration};

use mainstay_core::Moment;

use crate::{
    backend::{Answer, Grant, Mode},
    fence::Fence,
    lost::LostReason,
    readers::Readers,
    wakes::Wakes,
};

/// One who asks for a name.
pub(crate) trait Contender: Clone {
    /// Whether both are the same acquisition.
    fn is(&self, other: &Self) -> bool;
    /// Whether it wants the name alone.
    fn mode(&self) -> Mode;
    /// How long a grant lasts.
    fn lease(&self) -> Duration;
    /// Where it stands in the queue, or among those who share the name; the lane sets it.
    fn ticket(&self) -> u64;
    /// Notes where it stands.
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
    pub(crate) lost: Vec<(C, LostReason)>,
}

/// The state of one name.
#[derive(Debug)]
pub(crate) struct Lane<C> {
    /// Who has it alone; then nobody shares it.
    holder: Option<Holder<C>>,
    readers: Readers<C>,
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
        Self { holder: None, readers: Readers::new(), queue: BTreeMap::new(), next_ticket: 0 }
    }

    /// Takes the name for `who`, or queues it, or says that it is busy. A repeated call changes nothing.
    pub(crate) fn acquire(&mut self, who: &C, queue: bool, turn: &mut Turn<'_, C>) -> Answer {
        match self.poll(who, turn) {
            Answer::Gone => {}
            known => return known,
        }
        if self.is_free_for(who) {
            return Answer::Granted(self.install(who.clone(), turn));
        }
        if !queue {
            return Answer::Busy { holder_remaining: self.remaining(turn.now) };
        }
        let ticket = self.draw_ticket(who);
        self.queue.insert(ticket, who.clone());
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
        let renew = |holder: &mut Holder<C>| {
            (holder.granted, holder.lease) = (turn.now, lease);
            holder.expires = turn.now + lease;
        };
        match self.holder.as_mut().filter(|holder| holder.contender.is(who)) {
            Some(holder) => {
                renew(holder);
                true
            }
            None => self.readers.change(who, renew),
        }
    }

    /// Takes back what `who` has: the name or its place in the queue. False if it had nothing.
    pub(crate) fn release(&mut self, who: &C, turn: &mut Turn<'_, C>) -> bool {
        self.expire(turn);
        let had = if self.is_queued(who) {
            self.queue.remove(&who.ticket()).is_some()
        } else {
            self.take(who)
        };
        if had {
            // One who left the queue may have been all that others waited for.
            self.promote(turn);
        }
        had
    }

    /// Takes the name from whoever holds it. False if nobody did.
    pub(crate) fn force(&mut self, reason: &LostReason, turn: &mut Turn<'_, C>) -> bool {
        self.expire(turn);
        let holders: Vec<_> = self.holder.take().into_iter().chain(self.readers.drain()).collect();
        self.depose(holders, reason, turn)
    }

    /// Takes the name from those whose leases have ended and gives it to the head of the queue.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_, C>) {
        let mut ended = self.readers.ended(turn.now);
        ended.extend(self.holder.take_if(|holder| holder.expires <= turn.now));
        self.depose(ended, &LostReason::Expired, turn);
    }

    /// Who has the name alone.
    pub(crate) fn holder(&self) -> Option<&Holder<C>> {
        self.holder.as_ref()
    }

    /// Who share the name.
    pub(crate) fn readers(&self) -> &Readers<C> {
        &self.readers
    }

    pub(crate) fn waiters(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.holder.is_none() && self.readers.is_empty() && self.queue.is_empty()
    }

    fn depose(
        &mut self,
        holders: Vec<Holder<C>>,
        reason: &LostReason,
        turn: &mut Turn<'_, C>,
    ) -> bool {
        let any = !holders.is_empty();
        // The old holders know before the new ones do.
        for Holder { contender, .. } in holders {
            if contender.lose(reason.clone(), &mut turn.wakes) {
                turn.lost.push((contender, reason.clone()));
            }
        }
        if any {
            self.promote(turn);
        }
        any
    }

    /// Gives the name to the head of the queue, or to all at the head that share it.
    fn promote(&mut self, turn: &mut Turn<'_, C>) {
        while let Some((_, head)) = self.queue.first_key_value() {
            let head = head.clone();
            if !self.admits(head.mode()) {
                return;
            }
            self.queue.pop_first();
            let grant = self.install(head.clone(), turn);
            if !head.offer(grant, &mut turn.wakes) {
                self.take(&head);
            }
        }
    }

    fn install(&mut self, contender: C, turn: &mut Turn<'_, C>) -> Grant {
        let (fence, lease, now) = ((turn.fences)(), contender.lease(), turn.now);
        let expires = now + lease;
        let shares = contender.mode() == Mode::Shared;
        if shares {
            self.draw_ticket(&contender);
        }
        let holder = Holder { contender, fence, since: now, granted: now, lease, expires };
        if shares {
            self.readers.insert(holder);
        } else {
            self.holder = Some(holder);
        }
        Grant::new(fence, now, lease)
    }

    /// Takes the name from `who` alone. False if it does not have it.
    fn take(&mut self, who: &C) -> bool {
        self.holder.take_if(|holder| holder.contender.is(who)).is_some() || self.readers.remove(who)
    }

    /// Whether `who` may take the name now. Where others wait nobody passes them.
    fn is_free_for(&self, who: &C) -> bool {
        self.queue.is_empty() && self.admits(who.mode())
    }

    fn admits(&self, mode: Mode) -> bool {
        self.holder.is_none() && (mode == Mode::Shared || self.readers.is_empty())
    }

    fn holder_if(&self, who: &C) -> Option<&Holder<C>> {
        let alone = self.holder.as_ref().filter(|holder| holder.contender.is(who));
        alone.or_else(|| self.readers.get(who))
    }

    fn is_queued(&self, who: &C) -> bool {
        self.queue.get(&who.ticket()).is_some_and(|queued| queued.is(who))
    }

    fn draw_ticket(&mut self, who: &C) -> u64 {
        let ticket = self.next_ticket;
        who.set_ticket(ticket);
        self.next_ticket += 1;
        ticket
    }

    fn queued(&self, position: usize, now: Moment) -> Answer {
        let position = Some(position);
        Answer::Queued { position, holder_remaining: self.remaining(now) }
    }

    /// What is left until the name is free if nobody renews or releases.
    fn remaining(&self, now: Moment) -> Option<Duration> {
        let alone = self.holder.as_ref().map(|holder| holder.expires);
        alone.or_else(|| self.readers.last_end()).map(|end| end.saturating_since(now))
    }
}

impl<C> Turn<'_, C> {
    /// Starts a call at `now`.
    pub(crate) fn at(now: Moment, fences: &dyn Fn() -> Fence) -> Turn<'_, C> {
        Turn { now, fences, wakes: Wakes::default(), lost: Vec::new() }
    }
}
