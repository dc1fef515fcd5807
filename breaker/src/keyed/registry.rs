//! The breakers there are, and whose place may be taken.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use dashmap::DashMap;
use mainstay_core::Key;

use crate::{Breaker, Snapshot, group::Group, inner::Inner};

pub(super) struct Registry {
    group: Arc<Group>,
    breakers: DashMap<Key, Breaker>,
    /// Every key in the map, in the order in which they are looked at. Held while a key is added.
    hand: Mutex<VecDeque<Key>>,
    capacity: usize,
    overflow: Breaker,
}

impl Registry {
    /// How many candidates one new key looks at.
    const LOOKS: usize = 32;

    pub(super) fn new(group: Arc<Group>, capacity: usize) -> Self {
        let name = Key::new("overflow").expect("the text is a key");
        Self {
            overflow: Breaker::in_group(name, Arc::clone(&group)),
            group,
            breakers: DashMap::new(),
            hand: Mutex::default(),
            capacity,
        }
    }

    pub(super) fn get(&self, key: Key) -> Breaker {
        self.known(&key).unwrap_or_else(|| self.add(key))
    }

    fn known(&self, key: &Key) -> Option<Breaker> {
        // Shared under the map's lock: an eviction sees it.
        self.breakers.get(key).map(|breaker| breaker.share())
    }

    #[cold]
    fn add(&self, key: Key) -> Breaker {
        let mut hand = self.hand.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been first.
        if let Some(breaker) = self.known(&key) {
            return breaker;
        }
        if hand.len() >= self.capacity && !self.evict(&mut hand) {
            return self.overflow.share();
        }
        let breaker = Breaker::in_registry(key.clone(), Arc::clone(&self.group));
        self.breakers.insert(key.clone(), breaker.share());
        hand.push_back(key);
        breaker
    }

    /// Makes room for one, if somebody can be spared.
    fn evict(&self, hand: &mut VecDeque<Key>) -> bool {
        let now = self.group.coarse_millis();
        for _ in 0..hand.len().min(Self::LOOKS) {
            let Some(key) = hand.pop_front() else { return false };
            let spared = self
                .breakers
                .remove_if(&key, |_, breaker| breaker.is_alone() && breaker.inner().is_idle(now));
            if spared.is_some() {
                return true;
            }
            hand.push_back(key);
        }
        false
    }

    pub(super) fn snapshots(&self) -> Vec<Snapshot> {
        let all = self.breakers.iter().map(|breaker| breaker.snapshot());
        all.chain([self.overflow.snapshot()]).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.breakers.len()
    }

    pub(super) fn overflow(&self) -> &Breaker {
        &self.overflow
    }

    pub(super) fn group(&self) -> &Group {
        &self.group
    }
}

impl Inner {
    /// Whether it can be forgotten: closed and at peace, without a bad call in its window. In a window
    /// of time there must be no call at all; a window of calls never empties.
    fn is_idle(&self, now: u64) -> bool {
        let policy = self.group.policy();
        let books = self.gate.lock();
        let word = self.gate.word();
        let machine = books.existing().map(|rest| &rest.machine);
        let calm = machine.is_none_or(|machine| machine.is_calm(now, &policy.recovery));
        let tally = self.tally(&books, &policy, word.generation(), now);
        let used = if policy.count.is_some() { tally.bad() } else { tally.calls() };
        let row = self.row.load(std::sync::atomic::Ordering::Relaxed);
        word.is_closed() && !word.is_shadow() && calm && used == 0 && row == 0
    }
}
