//! The layer.

use std::{fmt, time::Duration};

use mainstay_core::{IntoError, With};
use tower_layer::Layer;

use super::Locked;
use crate::{error::LockError, locks::Locks, terms::clamp};

/// Runs each call under the lock that its request names.
///
/// The layer keeps the service's own error type. Where the lock is not got, or is lost, the call returns
/// the [`LockError`] through `From`, or what [`on_reject`](Self::on_reject) makes of it. If the lock is lost, the
/// inner call is dropped.
///
/// Readiness is the inner service's own: no lock is taken, and nothing of ours is held, before a call.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_lock::{LockError, LockLayer, Locks, key};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let layer = LockLayer::new(Locks::in_process(), |order: &u64| key!("order:{}", order));
/// let mut service = ServiceBuilder::new()
///     .layer(layer.wait(Duration::from_millis(250)))
///     .service(service_fn(async |order: u64| Ok::<_, LockError>(order + 1)));
/// assert_eq!(service.ready().await?.call(7).await?, 8);
/// # Ok::<(), LockError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LockLayer<K, R = IntoError> {
    pub(super) locks: Locks,
    pub(super) key: K,
    pub(super) wait: Option<Duration>,
    pub(super) lease: Option<Duration>,
    pub(super) reject: R,
}

impl<K> LockLayer<K> {
    /// Locks in `locks` what `key` makes of a request.
    pub fn new<Req, I>(locks: Locks, key: K) -> Self
    where
        K: Fn(&Req) -> I,
    {
        Self { locks, key, wait: None, lease: None, reject: IntoError }
    }
}

impl<K, R> LockLayer<K, R> {
    /// How long a call waits for its lock; otherwise as `locks` has it.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How long the lock outlives its last renewal; otherwise as `locks` has it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(clamp(lease));
        self
    }

    /// Replaces the result of a call without a lock, for services whose error type cannot hold a [`LockError`].
    #[must_use]
    pub fn on_reject<F, O>(self, reject: F) -> LockLayer<K, With<F>>
    where
        F: Fn(LockError) -> O,
    {
        let Self { locks, key, wait, lease, reject: _ } = self;
        LockLayer { locks, key, wait, lease, reject: With(reject) }
    }
}

impl<S, K: Clone, R: Clone> Layer<S> for LockLayer<K, R> {
    type Service = Locked<S, K, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Locked { inner, layer: self.clone() }
    }
}

impl<K, R> fmt::Debug for LockLayer<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockLayer").field("locks", &self.locks).finish_non_exhaustive()
    }
}
