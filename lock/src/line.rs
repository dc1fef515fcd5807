//! Those of one client who want one name, as plain data: one of them stands for all at the backend.
//!
//! No lock and no clock in here, as in [`lane`](crate::lane). The front asks, waits and holds under a number
//! that the backend knows, the line's `wire`. A holder that leaves hands the name on to the next of the line
//! without asking anybody, for as long as the budget of the grant lasts; then the name goes back, and the
//! next one asks anew behind those of other clients.

use std::{collections::VecDeque, time::Duration};

use mainstay_core::Moment;

use crate::{
    backend::Grant,
    fence::Fence,
    slot::{Abandon, Offer},
    wakes::Wakes,
};

/// One who stands in a line.
pub(crate) trait Local: Clone {
    /// Whether both are the same acquisition.
    fn is(&self, other: &Self) -> bool;
    /// The number that the backend knows it by if it asks itself.
    fn number(&self) -> u64;
    /// Grants it the name, which the backend knows under `wire`.
    fn offer(&self, wire: u64, grant: Grant, wakes: &mut Wakes) -> Offer;
    /// Starts a call of its own. False if it does not wait any more.
    fn begin_call(&self) -> bool;
    /// Takes the place `wire` of one who left; `in_flight` if a call about it is on its way. False if it does
    /// not wait any more.
    fn take_over(&self, wire: u64, in_flight: bool) -> bool;
    /// Leaves; what is to be done about that, and whether it waited until now.
    fn abandon(&self) -> (Abandon, bool);
    /// Whether it ended.
    fn is_over(&self) -> bool;
}

/// Those of one client who want one name.
#[derive(Debug)]
pub(crate) struct Line<C> {
    wire: u64,
    front: C,
    waiting: VecDeque<C>,
    /// How often the name may be handed on before it goes back.
    budget: usize,
    until: Moment,
}

/// What is to be done after somebody left a line.
#[derive(Debug)]
pub(crate) enum Parted<C> {
    /// It was none of the line, or the last of it, and the line is over: what it has goes back.
    Alone,
    /// What it has goes back, and this one asks, behind that.
    Next(C),
    /// It only waited here: the backend knows nothing of it.
    Waited,
    /// Others have what it had: nothing goes back. The heir of a place looks after it.
    Taken(Option<C>),
    /// It is still there, or a call on the wire cleans up.
    Stays,
}

impl<C: Local> Line<C> {
    pub(crate) fn new(front: C) -> Self {
        let (wire, waiting) = (front.number(), VecDeque::new());
        Self { wire, front, waiting, budget: 0, until: Moment::NEVER }
    }

    /// Stands behind the others; at which place.
    pub(crate) fn push(&mut self, who: C) -> usize {
        self.waiting.push_back(who);
        self.waiting.len() + 1
    }

    pub(crate) fn wire(&self) -> u64 {
        self.wire
    }

    /// Who stands for the line at the backend.
    pub(crate) fn front(&self) -> &C {
        &self.front
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn into_waiting(self) -> VecDeque<C> {
        self.waiting
    }

    /// The backend grants the name, with `reserved` fences: those who wait now may have it in turn.
    pub(crate) fn offer(
        &mut self,
        grant: Grant,
        reserved: usize,
        now: Moment,
        wakes: &mut Wakes,
    ) -> Offer {
        let offered = self.front.offer(self.wire, grant, wakes);
        if offered == Offer::Taken {
            // Who comes later waits for the next grant, so that other clients have their turn.
            self.budget = self.waiting.len().min(HAND_OFFS).min(reserved.saturating_sub(1));
            self.until = now + (grant.lease / 2).min(AT_A_STRETCH);
        }
        offered
    }

    /// The front had the name until now, by `tenure`, and is done with it.
    pub(crate) fn leave(
        &mut self,
        who: &C,
        tenure: Option<Grant>,
        now: Moment,
        wakes: &mut Wakes,
    ) -> Parted<C> {
        // It may have been lost on the way here: then it is not handed on.
        let may_hand_on = self.front.is(who) && !who.is_over();
        let Some(tenure) = tenure.filter(|_| may_hand_on) else { return self.part(who) };
        let in_time = now < self.until || cfg!(mainstay_planted = "hand_off_late");
        while self.budget > 0 && in_time {
            let Some(next) = self.waiting.pop_front() else { break };
            let fence = Fence::new(tenure.fence.get() + 1);
            let grant = Grant::new(fence, tenure.since, tenure.lease);
            if next.offer(self.wire, grant, wakes) == Offer::Taken {
                self.budget -= 1;
                self.front = next;
                return Parted::Taken(None);
            }
        }
        self.part(who)
    }

    /// Somebody who waited, or has just been granted the name, is gone.
    pub(crate) fn abandon(&mut self, who: &C) -> Parted<C> {
        let (left, waited) = who.abandon();
        if left == Abandon::Nothing {
            return if who.is_over() { self.part(who) } else { Parted::Stays };
        }
        if waited && self.front.is(who) {
            let in_flight = left == Abandon::LeaveToCall;
            while let Some(next) = self.waiting.pop_front() {
                if next.take_over(self.wire, in_flight) {
                    self.front = next.clone();
                    return Parted::Taken(Some(next));
                }
            }
            return if in_flight { Parted::Stays } else { Parted::Alone };
        }
        self.part(who)
    }

    /// The backend takes the name away: `mark` tells the front, which is asked for nothing if it is on its way
    /// out. Who lost it, and what follows.
    pub(crate) fn lose(&mut self, mark: impl FnOnce(&C) -> bool) -> (Option<C>, Parted<C>) {
        // One who has just left and was not told must not hand it on.
        self.budget = 0;
        let front = self.front.clone();
        if mark(&front) {
            let parted = self.part(&front);
            return (Some(front), parted);
        }
        (None, Parted::Stays)
    }

    /// Somebody's acquisition has ended.
    pub(crate) fn part(&mut self, who: &C) -> Parted<C> {
        if !self.front.is(who) {
            let before = self.waiting.len();
            self.waiting.retain(|waiter| !waiter.is(who));
            return if self.waiting.len() < before { Parted::Waited } else { Parted::Alone };
        }
        while let Some(next) = self.waiting.pop_front() {
            if next.begin_call() {
                (self.wire, self.front, self.budget) = (next.number(), next.clone(), 0);
                return Parted::Next(next);
            }
        }
        Parted::Alone
    }
}

/// How often a name is handed on at most before it goes back to the backend.
const HAND_OFFS: usize = 16;

/// How long the holders of one grant have the name before it goes back.
const AT_A_STRETCH: Duration = Duration::from_millis(50);
