//! Until the lock is there.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use mainstay_core::Moment;

use super::{End, Hold, Outlook};
use crate::{
    backend::Answer,
    error::LockError,
    line::Parted,
    slot::{Abandon, Offer},
    wakes::Wakes,
};

impl Hold {
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
                self.queued(position, holder_remaining);
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

    pub(super) fn queued(&self, position: Option<usize>, holder_remaining: Option<Duration>) {
        let now = self.clock().now();
        let holder_until = holder_remaining.map(|left| now + left);
        let ask_at = self.manager.engine().ask_again_at(now, holder_until, self.lease());
        let outlook = Outlook { answered: true, position, holder_until, ask_at };
        *self.lock_outlook() = outlook;
    }
}
