//! A breaker for every key.

mod builder;
mod registry;

use std::{fmt, sync::Arc};

use mainstay_core::{IntoKey, KeyError};

pub use builder::BreakersBuilder;
use registry::Registry;

use crate::{Breaker, BreakerConfig, CallEvents, CallRequest, Events, Snapshot, group::Group};

/// Breakers made as their keys appear: one for every bank, host or account.
///
/// At most [`capacity`](BreakersBuilder::capacity) of them exist. When a key is new and all places are
/// taken, the place of a breaker is taken over that is closed, has no bad call to its name and no call
/// in its window or on its way. If there is none, the new key gets the *overflow breaker*, shared by all
/// such keys. So keys made up by somebody else can neither push a failing breaker out nor fill the memory.
///
/// # Cost
///
/// An idle breaker takes at most 256 bytes beside its key. A key that is known costs a look-up; one
/// that is not, a mutex, and at most 32 looks at candidates.
///
/// # Examples
///
/// ```
/// use mainstay_breaker::{Breakers, key};
///
/// let banks = Breakers::builder().capacity(1_000).consecutive(5).build();
/// let account = "7:x";
/// assert_eq!(banks.get(key!("bank:{}", account))?.name().as_str(), "bank:7%3Ax");
/// # Ok::<(), mainstay_breaker::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Breakers(Arc<Registry>);

impl Breakers {
    /// Starts a set of breakers.
    pub fn builder() -> BreakersBuilder {
        BreakersBuilder::new()
    }

    fn new(group: Arc<Group>, capacity: usize) -> Self {
        Self(Arc::new(Registry::new(group, capacity)))
    }

    /// The breaker of `key`, made if it is new. A handle that is kept keeps its place.
    ///
    /// # Errors
    ///
    /// Whatever makes the text no key.
    pub fn get(&self, key: impl IntoKey) -> Result<Breaker, KeyError> {
        Ok(self.0.get(key.into_key()?))
    }

    /// Asks for a call through the breaker of `key`. A key that is none is reported when the request
    /// is used.
    pub fn call(&self, key: impl IntoKey) -> CallRequest {
        CallRequest::new(self.get(key).into())
    }

    /// The breaker shared by keys that found no place.
    pub fn overflow(&self) -> &Breaker {
        self.0.overflow()
    }

    /// How many breakers there are, without the overflow breaker.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All breakers at this moment, the overflow breaker last.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.0.snapshots()
    }

    /// The configuration in force.
    pub fn config(&self) -> BreakerConfig {
        self.0.group().policy().config.clone()
    }

    /// Replaces the configuration of all breakers, keeping state and history.
    pub fn configure(&self, config: BreakerConfig) {
        self.0.group().configure(config);
    }

    /// Transitions and other rare events of all breakers from now on.
    pub fn events(&self) -> Events {
        self.0.group().observer.events()
    }

    /// An event for every call of all breakers from now on, made only while somebody listens.
    pub fn call_events(&self) -> CallEvents {
        self.0.group().listen_to_calls()
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breakers").field("len", &self.len()).finish_non_exhaustive()
    }
}
