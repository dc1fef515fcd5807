//! Those who share one name, each with a lease of its own.

use std::collections::BTreeMap;

use mainstay_core::Moment;

use crate::lane::{Contender, Holder};

/// The holders that share a name, in the order in which they got it.
///
/// Nothing is allocated while there are none, which is what a plain lock pays for them.
#[derive(Debug)]
pub(crate) struct Readers<C> {
    by_ticket: BTreeMap<u64, Holder<C>>,
    /// No lease ends before.
    first_end: Moment,
}

impl<C: Contender> Readers<C> {
    pub(crate) fn new() -> Self {
        Self { by_ticket: BTreeMap::new(), first_end: Moment::NEVER }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_ticket.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_ticket.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holder<C>> {
        self.by_ticket.values()
    }

    /// Adds a holder under its ticket.
    pub(crate) fn insert(&mut self, holder: Holder<C>) {
        self.first_end = self.first_end.min(holder.expires);
        self.by_ticket.insert(holder.contender.ticket(), holder);
    }

    pub(crate) fn get(&self, who: &C) -> Option<&Holder<C>> {
        self.by_ticket.get(&who.ticket()).filter(|holder| holder.contender.is(who))
    }

    /// Changes what `who` has. False if it has nothing.
    pub(crate) fn change(&mut self, who: &C, change: impl FnOnce(&mut Holder<C>)) -> bool {
        let known = self.by_ticket.get_mut(&who.ticket());
        let Some(holder) = known.filter(|holder| holder.contender.is(who)) else { return false };
        change(holder);
        self.first_end = self.first_end.min(holder.expires);
        true
    }

    /// Takes out `who`. False if it has nothing.
    pub(crate) fn remove(&mut self, who: &C) -> bool {
        self.get(who).is_some() && self.by_ticket.remove(&who.ticket()).is_some()
    }

    /// Takes out those whose leases have ended; looks at all of them only if there may be some.
    pub(crate) fn ended(&mut self, now: Moment) -> Vec<Holder<C>> {
        if now < self.first_end {
            return Vec::new();
        }
        let over = self.by_ticket.iter().filter(|(_, holder)| holder.expires <= now);
        let over: Vec<_> = over.map(|(ticket, _)| *ticket).collect();
        let ended = over.iter().filter_map(|ticket| self.by_ticket.remove(ticket)).collect();
        let ends = self.by_ticket.values().map(|holder| holder.expires);
        self.first_end = ends.min().unwrap_or(Moment::NEVER);
        ended
    }

    /// Takes out all of them.
    pub(crate) fn drain(&mut self) -> Vec<Holder<C>> {
        self.first_end = Moment::NEVER;
        std::mem::take(&mut self.by_ticket).into_values().collect()
    }

    /// When the last of their leases ends.
    pub(crate) fn last_end(&self) -> Option<Moment> {
        self.by_ticket.values().map(|holder| holder.expires).max()
    }
}
