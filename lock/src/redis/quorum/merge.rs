//! What several nodes show, as one.

use std::{cmp::Reverse, collections::BTreeMap};

use mainstay_core::Key;

use crate::{
    backend::Owner,
    inspect::{Holder, LockInfo},
};

/// One owner, as each of the nodes that name it shows it.
#[derive(Default)]
struct Shown {
    votes: Vec<Holder>,
    shares: bool,
}

/// Whoever most nodes name, also where that is no majority: it is being taken or given back then. If that is a
/// reader, all readers that any node names.
pub(super) fn merged(key: &Key, seen: Vec<LockInfo>, majority: usize) -> LockInfo {
    let waiters = seen.iter().map(|info| info.waiters).max().unwrap_or(0);
    let most = seen.iter().map(|info| info.reader_count).max().unwrap_or(0);
    let mut owners: BTreeMap<Owner, Shown> = BTreeMap::new();
    for info in seen {
        let alone = info.holder.into_iter().map(|holder| (holder, false));
        let readers = info.readers.into_iter().map(|reader| (reader, true));
        for (holder, shares) in alone.chain(readers) {
            let shown = owners.entry(holder.owner).or_default();
            // One whose turn came at a node has not shared the name there yet.
            shown.shares |= shares;
            shown.votes.push(holder);
        }
    }
    let Some((first, leading)) = owners.iter().max_by_key(|(_, shown)| shown.votes.len()) else {
        return LockInfo::new(key.clone(), None, waiters);
    };
    if !leading.shares {
        let first = *first;
        let holder = owners.remove(&first).and_then(|shown| shown.merged(majority));
        return LockInfo::new(key.clone(), holder, waiters);
    }
    let readers = owners.into_values().filter(|shown| shown.shares);
    let mut readers: Vec<_> = readers.filter_map(|shown| shown.merged(majority)).collect();
    // Nodes show a part of many only.
    let count = readers.len().max(most);
    readers.sort_by_key(|reader| reader.remaining);
    readers.truncate(LockInfo::SHOWN);
    LockInfo::new(key.clone(), None, waiters).with_readers(readers, count)
}

impl Shown {
    /// What a majority has: so long a lease, and so high a fence. A late vote may have a higher one.
    fn merged(mut self, majority: usize) -> Option<Holder> {
        let last = self.votes.len().min(majority).saturating_sub(1);
        self.votes.sort_by_key(|holder| Reverse(holder.remaining));
        let remaining = self.votes.get(last)?.remaining;
        self.votes.sort_by_key(|holder| Reverse(holder.fence));
        let holder = self.votes.into_iter().nth(last)?;
        Some(Holder { remaining, ..holder })
    }
}
