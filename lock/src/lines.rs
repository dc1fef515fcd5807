//! The lines of a client, and what follows when somebody leaves one.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use mainstay_core::{Key, Moment};

use crate::{
    backend::Grant,
    hold::Hold,
    inspect::LockInfo,
    line::{Line, Parted},
    lost::LostReason,
    mode::Mode,
    slot::Offer,
    wakes::Wakes,
};

/// The lines of a client: a name has one while somebody wants it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    // Every change of a line runs under the lock of its entry; no call to a backend does.
    lines: DashMap<Key, Line<Arc<Hold>>>,
}

/// Where one who enters stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It asks for itself, and for those behind it.
    Front,
    /// It waits in the line, at this place.
    Behind(usize),
    /// Its terms are others than those of the line: it asks for itself.
    Apart,
}

impl Lines {
    pub(crate) fn enter(&self, hold: &Arc<Hold>) -> Entered {
        let terms = hold.terms();
        // What others see of a holder, or what a lease of its own promises, is between it and the backend.
        if terms.strict_fifo
            || !terms.renew
            || terms.metadata.is_some()
            || terms.mode != Mode::Exclusive
        {
            return Entered::Apart;
        }
        match self.lines.entry(hold.key().clone()) {
            Entry::Vacant(entry) => {
                hold.join_line();
                entry.insert(Line::new(hold.clone()));
                Entered::Front
            }
            Entry::Occupied(mut entry) => {
                if entry.get().front().terms().lease != terms.lease {
                    return Entered::Apart;
                }
                hold.join_line();
                Entered::Behind(entry.get_mut().push(hold.clone()))
            }
        }
    }

    /// A grant to the place of `hold`, whoever has that now.
    pub(crate) fn offer(
        &self,
        hold: &Arc<Hold>,
        grant: Grant,
        reserved: usize,
        wakes: &mut Wakes,
    ) -> Offer {
        match self.lines.get_mut(hold.key()) {
            Some(mut line) if line.wire() == hold.wire() => {
                line.offer(grant, reserved, hold.clock().now(), wakes)
            }
            _ => hold.offer_alone(hold.wire(), grant, wakes),
        }
    }

    /// A loss of what `hold` has on the wire: who lost it, if anybody did, and what follows.
    pub(crate) fn lose(
        &self,
        hold: &Arc<Hold>,
        reason: &LostReason,
        wakes: &mut Wakes,
    ) -> (Option<Arc<Hold>>, Parted<Arc<Hold>>) {
        self.change(hold, |line| {
            let mut mark = |loser: &Arc<Hold>| loser.mark_lost(reason.clone(), wakes);
            match line.filter(|line| line.wire() == hold.wire()) {
                Some(line) => line.lose(mark),
                None => (mark(hold).then(|| hold.clone()), Parted::Stays),
            }
        })
    }

    /// Ends a call; who stands at that place now, and whether somebody still does.
    pub(crate) fn end_call(&self, hold: &Arc<Hold>) -> (Arc<Hold>, bool) {
        self.change(hold, |line| {
            let line = line.filter(|line| line.wire() == hold.wire());
            let front = line.map_or(hold, |line| line.front()).clone();
            let stays = front.end_call();
            (front, stays)
        })
    }

    /// Who stands at the place of `hold` now.
    pub(crate) fn current(&self, hold: &Arc<Hold>) -> Arc<Hold> {
        let line = self.lines.get(hold.key()).filter(|line| line.wire() == hold.wire());
        line.map_or_else(|| hold.clone(), |line| line.front().clone())
    }

    pub(crate) fn leave(
        &self,
        hold: &Arc<Hold>,
        tenure: Option<Grant>,
        now: Moment,
        wakes: &mut Wakes,
    ) -> Parted<Arc<Hold>> {
        let leave = |line: &mut Line<_>| line.leave(hold, tenure, now, wakes);
        self.change(hold, |line| line.map_or(Parted::Alone, leave))
    }

    pub(crate) fn abandon(&self, hold: &Arc<Hold>) -> Parted<Arc<Hold>> {
        self.change(hold, |line| match line {
            Some(line) => line.abandon(hold),
            None => hold.abandon_alone(),
        })
    }

    pub(crate) fn part(&self, hold: &Arc<Hold>) -> Parted<Arc<Hold>> {
        self.change(hold, |line| line.map_or(Parted::Alone, |line| line.part(hold)))
    }

    /// Ends the line of `hold`; who waited in it.
    pub(crate) fn disband(&self, hold: &Arc<Hold>) -> Vec<Arc<Hold>> {
        let front = |_: &Key, line: &Line<Arc<Hold>>| Arc::ptr_eq(line.front(), hold);
        let line = self.lines.remove_if(hold.key(), front);
        line.map_or_else(Vec::new, |(_, line)| line.into_waiting().into())
    }

    /// Adds what only this client knows: who of the line has the name, and who waits here.
    pub(crate) fn show(&self, info: &mut LockInfo) {
        let Some(line) = self.lines.get(&info.key) else { return };
        info.waiters += line.waiters();
        let front = line.front();
        if let Some(holder) = info.holder.as_mut().filter(|holder| holder.owner == front.owner()) {
            holder.fence = holder.fence.max(front.fence());
            holder.held_for = holder.held_for.min(front.held_for());
        }
    }

    /// Changes the line of a name under its lock, and ends it if nobody is left.
    fn change<R>(
        &self,
        hold: &Arc<Hold>,
        change: impl FnOnce(Option<&mut Line<Arc<Hold>>>) -> R,
    ) -> R {
        match self.lines.entry(hold.key().clone()) {
            Entry::Vacant(_) => change(None),
            Entry::Occupied(mut entry) => {
                let result = change(Some(entry.get_mut()));
                let line = entry.get();
                if line.waiters() == 0 && line.front().is_done() {
                    entry.remove();
                }
                result
            }
        }
    }
}
