//! What a limiter looks like.

use std::{collections::BTreeMap, sync::Arc};

use mainstay_core::Key;
use serde::Serialize;

use crate::{
    core::Core,
    engine::{Cause, Scope},
};

/// What a limiter looks like at one moment.
///
/// Each scope is read by itself: two of them may be seen a few nanoseconds apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Every scope that is known.
    pub scopes: BTreeMap<Key, ScopeSnapshot>,
    /// How many callers wait.
    pub waiting: usize,
    /// How many slots are kept for calls that are over.
    pub held: usize,
}

/// What a scope looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScopeSnapshot {
    /// Its limit: `None` is unlimited, zero is closed.
    pub limit: Option<u32>,
    /// Permits in use; above the limit for a while after it was lowered.
    pub used: u32,
    /// The highest number of permits in use so far.
    pub peak: u32,
    /// Callers that wait because this scope has no room.
    pub waiting: u32,
    /// Calls let in so far.
    pub admitted: u64,
    /// Calls refused because of this scope so far.
    pub rejected: Rejections,
}

/// Calls refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rejections {
    /// No permit was free and the caller did not wait.
    pub full: u64,
    /// As many callers waited as may.
    pub queue_full: u64,
    /// The deadline would have passed before a permit came free.
    pub deadline: u64,
    /// The call weighed more than the limit.
    pub too_wide: u64,
    /// The scope was closed.
    pub closed: u64,
    /// The caller waited in vain.
    pub timed_out: u64,
}

impl Rejections {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { full, queue_full, deadline, too_wide, closed, timed_out } = self;
        full + queue_full + deadline + too_wide + closed + timed_out
    }
}

impl Snapshot {
    pub(crate) fn new(core: &Core, scopes: impl Iterator<Item = Arc<Scope>>) -> Self {
        core.reap();
        let scopes = scopes.map(|scope| (scope.key.clone(), ScopeSnapshot::new(&scope))).collect();
        Self { scopes, waiting: core.engine.waiting(), held: core.holds.len() }
    }

    /// The scope of this name.
    pub fn scope(&self, name: &str) -> Option<&ScopeSnapshot> {
        self.scopes.iter().find(|(key, _)| key.as_str() == name).map(|(_, scope)| scope)
    }
}

impl ScopeSnapshot {
    pub(crate) fn new(scope: &Scope) -> Self {
        let level = scope.pool.read();
        Self {
            limit: (!level.is_unlimited()).then(|| level.limit()),
            used: level.used(),
            peak: scope.peak(),
            waiting: scope.waiting(),
            admitted: scope.admitted(),
            rejected: Rejections {
                full: scope.rejected(Cause::Full),
                queue_full: scope.rejected(Cause::QueueFull),
                deadline: scope.rejected(Cause::TooLate),
                too_wide: scope.rejected(Cause::TooWide),
                closed: scope.rejected(Cause::Closed),
                timed_out: scope.rejected(Cause::TimedOut),
            },
        }
    }
}
