//! A look at the order in which names are locked inside each other.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use mainstay_core::Key;
use serde::{Deserialize, Serialize};

use crate::{error::LockError, hold::Hold, manager::Manager, scope::Scope};

/// What happens when names are locked inside each other in two orders.
///
/// One caller that holds `a` and asks for `b`, and another that holds `b` and asks for `a`, wait for each other
/// until a wait budget ends. It takes bad luck for that to happen, so it is looked for before: a
/// request made inside the [scope](crate::LockGuard::scope) of other locks is noted, and one that closes a circle with what
/// was noted before is reported, whether or not anybody waits.
///
/// It sees the requests of one [`Locks`](crate::Locks) and its clones, in this process. Only those that wait are looked at; what is
/// taken with [`lock_all`](crate::Locks::lock_all) is in order by itself.
///
/// # Cost
///
/// Off: nothing. Otherwise a map behind a lock, for requests inside a scope only; the last few thousand pairs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockOrder {
    /// Nothing is looked at.
    Off,
    /// It is reported, once a pair, as a warning and as [`LockEvent::OutOfOrder`](crate::LockEvent::OutOfOrder).
    Warn,
    /// The request is refused with [`LockError::OutOfOrder`](crate::LockError::OutOfOrder), every time.
    Deny,
}

/// [`Warn`](Self::Warn) where debug assertions are on, elsewhere [`Off`](Self::Off).
impl Default for LockOrder {
    fn default() -> Self {
        if cfg!(debug_assertions) { Self::Warn } else { Self::Off }
    }
}

/// The orders that were seen.
#[derive(Debug, Default)]
pub(crate) struct SeenOrders {
    seen: Mutex<Generations>,
}

/// When the recent ones are many they become the older ones, and those are forgotten.
#[derive(Debug, Default)]
struct Generations {
    recent: Orders,
    older: Orders,
}

/// Which names were asked for inside of which.
#[derive(Debug, Default)]
struct Orders {
    inside: HashMap<Key, HashSet<Key>>,
    pairs: usize,
}

impl SeenOrders {
    /// Notes that `key` is asked for inside `scope`; an error if that is not to be.
    pub(crate) fn ask(
        &self,
        manager: &Arc<Manager>,
        scope: &Scope,
        key: &Key,
    ) -> Result<(), LockError> {
        let denies = match manager.config().lock_order {
            LockOrder::Off => return Ok(()),
            LockOrder::Warn => false,
            LockOrder::Deny => true,
        };
        for hold in scope.holds().filter(|hold| Arc::ptr_eq(hold.manager(), manager)) {
            if hold.key() == key || !hold.is_held() || !self.closes_circle(hold, key, !denies) {
                continue;
            }
            manager.observe().out_of_order(key, hold.key());
            if denies {
                return Err(LockError::OutOfOrder { key: key.clone(), held: hold.key().clone() });
            }
        }
        Ok(())
    }

    /// Notes a pair that is new. Whether it closes a circle; then it is noted only if `anyway`.
    fn closes_circle(&self, outer: &Hold, inner: &Key, anyway: bool) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.has(outer.key(), inner) {
            return false;
        }
        let closes = seen.leads(inner, outer.key());
        if !closes || anyway {
            seen.note(outer.key(), inner);
        }
        closes
    }
}

impl Generations {
    fn has(&self, outer: &Key, inner: &Key) -> bool {
        [&self.recent, &self.older]
            .iter()
            .any(|orders| orders.inside.get(outer).is_some_and(|inside| inside.contains(inner)))
    }

    /// Whether `to` was asked for inside `from`, or inside what was asked for inside it, and so on.
    fn leads(&self, from: &Key, to: &Key) -> bool {
        let (mut known, mut next) = (HashSet::from([from]), vec![from]);
        while let Some(key) = next.pop() {
            let inside = [&self.recent, &self.older].map(|orders| orders.inside.get(key));
            for inner in inside.into_iter().flatten().flatten() {
                if inner == to {
                    return true;
                }
                if known.len() < FARTHEST && known.insert(inner) {
                    next.push(inner);
                }
            }
        }
        false
    }

    fn note(&mut self, outer: &Key, inner: &Key) {
        if self.recent.pairs >= PAIRS {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.inside.entry(outer.clone()).or_default().insert(inner.clone());
        self.recent.pairs += 1;
    }
}

/// How many pairs a generation holds.
const PAIRS: usize = 2_048;

/// How many names are looked at for a circle.
const FARTHEST: usize = 256;
