//! The scopes a limiter knows.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use dashmap::{DashMap, DashSet};
use mainstay_core::Key;

use crate::{
    core::Core,
    engine::{Scope, UNLIMITED},
    error::{Holders, LimitError, Reason},
    observe::Event,
    scopes::{self, Kind, ResolvedScopes, Scopes},
};

/// Scopes by name, bounded in number.
///
/// A scope is idle when nothing but these maps refers to it: no permit, no waiter, no resolved handle.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) core: Arc<Core>,
    scopes: DashMap<Key, Arc<Scope>>,
    /// What paths resolve to, so that a path costs one look-up.
    paths: DashMap<Key, ResolvedScopes>,
    /// Scopes that were named by configuration; never evicted.
    configured: DashSet<Key>,
    next: AtomicU64,
    /// Held while scopes are made, so that the bound is exact.
    making: Mutex<()>,
    most: usize,
    queue: u32,
}

impl Registry {
    pub(crate) fn new(core: Arc<Core>, most: usize, queue: u32) -> Self {
        Self {
            core,
            scopes: DashMap::new(),
            paths: DashMap::new(),
            configured: DashSet::new(),
            next: AtomicU64::new(0),
            making: Mutex::new(()),
            most,
            queue,
        }
    }

    pub(crate) fn queue(&self) -> u32 {
        self.queue
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<Scope>> + '_ {
        self.scopes.iter().map(|entry| entry.value().clone())
    }

    /// Looks the scopes of a call up, and makes those that are new.
    pub(crate) fn resolve(&self, scopes: Scopes) -> Result<ResolvedScopes, LimitError> {
        match scopes.0 {
            Kind::Invalid(error) => Err(error.into()),
            Kind::Resolved(resolved) => Ok(resolved),
            Kind::Path(path) => match self.paths.get(&path) {
                Some(known) => Ok(known.value().clone()),
                None => self.resolve_path(path),
            },
            Kind::List(keys) if keys.is_empty() => self.resolve_new(scopes::global()),
            Kind::List(keys) => self.resolve_new(keys),
        }
    }

    /// The scope of this name, which is never evicted from now on.
    pub(crate) fn configure(&self, key: &Key) -> Arc<Scope> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.configured.insert(key.clone());
        self.get_or_make(key)
    }

    fn resolve_path(&self, path: Key) -> Result<ResolvedScopes, LimitError> {
        let resolved = self.resolve_new(scopes::path_keys(&path))?;
        Ok(self.paths.entry(path).or_insert(resolved).value().clone())
    }

    fn resolve_new(
        &self,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<ResolvedScopes, LimitError> {
        let mut unique: Vec<Key> = Vec::new();
        for key in keys {
            if !unique.contains(&key) {
                unique.push(key);
            }
        }
        let (resolved, evicted) = self.make(&unique);
        // An observer may call the limiter, so it is told after the lock.
        if evicted > 0 {
            self.core.observe.tell(Event::Evicted { scopes: evicted });
        }
        resolved.ok_or_else(|| self.core.tell(self.too_many(&unique)))
    }

    /// Makes what is new, if there is room; and how many had to make room.
    fn make(&self, keys: &[Key]) -> (Option<ResolvedScopes>, usize) {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = keys.iter().filter(|key| !self.scopes.contains_key(*key)).count();
        let mut evicted = 0;
        // Configured scopes count too, and may alone be more than there is room for.
        let surplus = || (self.scopes.len() + unknown).saturating_sub(self.most);
        if unknown > 0 && surplus() > 0 {
            evicted = self.evict(surplus(), keys);
            if surplus() > 0 {
                return (None, evicted);
            }
        }
        let list = keys.iter().map(|key| self.get_or_make(key)).collect();
        (Some(ResolvedScopes::new(self.core.clone(), list)), evicted)
    }

    fn get_or_make(&self, key: &Key) -> Arc<Scope> {
        let make = || {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            Arc::new(Scope::new(id, key.clone(), UNLIMITED, self.queue))
        };
        self.scopes.entry(key.clone()).or_insert_with(make).value().clone()
    }

    /// Makes room for `needed` scopes, and for some more so that not every new one has to look.
    fn evict(&self, needed: usize, spare: &[Key]) -> usize {
        let mut left = needed.max(self.most / 8);
        self.paths.retain(|_, path| !path.is_idle());
        let before = left;
        self.scopes.retain(|key, scope| {
            let idle = Arc::strong_count(scope) == 1
                && !self.configured.contains(key)
                && !spare.contains(key);
            if idle && left > 0 {
                left -= 1;
                self.core.engine.forget(scope);
                return false;
            }
            true
        });
        before - left
    }

    #[cold]
    fn too_many(&self, keys: &[Key]) -> LimitError {
        LimitError::Rejected {
            scope: keys[keys.len() - 1].clone(),
            reason: Reason::TooManyScopes,
            limit: None,
            used: 0,
            retry_after: Some(self.core.retry_after()),
            holders: Holders::default(),
        }
    }
}
