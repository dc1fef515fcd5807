//! From the loss or the release on.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{End, Hold};
use crate::{
    fence::Fence,
    line::Parted,
    lost::{Lost, LostReason},
    wakes::Wakes,
};

impl Hold {
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

    /// Notes that a release may have been done although no answer came.
    pub(crate) fn doubt_release(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Notes how giving back ended.
    pub(crate) fn given_back(&self, end: End) {
        let mut wakes = Wakes::default();
        let end = match end {
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
}
